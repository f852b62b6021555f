"""Virtual days, short ones of several seeds: never silent, nothing lost, nothing heard again too soon."""

from __future__ import annotations

import pytest

from whole.footprint import measure
from whole.simulate import line, live


@pytest.mark.parametrize("seed", (1, 2, *(pytest.param(seed, marks=pytest.mark.virtual) for seed in range(3, 6))))
def test_a_day_among_random_faults_is_never_silent(seed: int) -> None:
    """No silence, no repeat within the distance, nothing lost, and fresh music again in the end."""
    day = live(seed, 1.0)
    assert day.good, line(day)


def test_a_day_can_be_replayed() -> None:
    """The same seed gives the same day to the tenth of a second."""
    first, second = live(9, 0.5), live(9, 0.5)
    assert first.digest == second.digest
    assert first.digest != live(8, 0.5).digest


def test_playing_costs_no_more_the_longer_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    """Memory, threads and open files stay as they are (10,000 segments: make simulate ARGS="--segments 10000")."""
    assert measure(60) == 0, capsys.readouterr().out
