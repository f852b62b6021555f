"""Sounds of a place: even, seamless, without an end or a loop that could be heard, the same each time."""

from __future__ import annotations

import functools
import math
import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from builtin.ambience import LENGTHS, PLACES, Ambience
from config import OPTIONS
from listening.listening import loudness_lufs
from music.segment import SAMPLE_RATE_HZ, Samples

each_place = pytest.mark.parametrize("name", PLACES)
LOUDNESS_LUFS = -35.0


@functools.cache
def sound(name: str) -> Ambience:
    """Make each but once."""
    return Ambience(name, LOUDNESS_LUFS)


def frames(target: Ambience, n_frames: int) -> Samples:
    """Read as an array."""
    return np.frombuffer(target.read(n_frames), np.float32).reshape(-1, 2)


def begin(name: str) -> Ambience:
    """Return it at its first frame."""
    sound(name)._position = 0
    return sound(name)


@each_place
def test_it_is_as_loud_as_asked_all_along(name: str) -> None:
    """Its loudness is the wanted one, no half second of it rests, and no sample passes its peak."""
    samples = frames(begin(name), 30 * SAMPLE_RATE_HZ)
    assert loudness_lufs(samples) == pytest.approx(LOUDNESS_LUFS, abs=1.0)
    levels_db = 10 * np.log10((samples.astype(np.float64) ** 2).reshape(60, -1).mean(axis=1))
    assert levels_db.min() > LOUDNESS_LUFS - 18
    assert np.abs(samples).max() <= sound(name).peak


@each_place
def test_any_split_gives_the_same_samples(name: str) -> None:
    """However the calls are split."""
    whole = frames(begin(name), 5000)
    again = begin(name)
    assert np.array_equal(whole, np.concatenate([frames(again, size) for size in (1, 999, 4000)]))


@each_place
def test_its_layers_join_without_a_seam(name: str) -> None:
    """Around the end of each layer the steps are no larger than elsewhere."""
    for length in LENGTHS:
        target = begin(name)
        target._position = length - 2000
        steps = np.abs(np.diff(frames(target, 4000), axis=0)).max(axis=1)
        elsewhere = np.abs(np.diff(frames(begin(name), 20 * SAMPLE_RATE_HZ), axis=0)).max()
        assert steps[1990:2010].max() <= elsewhere


@each_place
def test_it_does_not_come_again_within_a_day(name: str) -> None:
    """The layers have no common divisor, and a minute has nothing in common with itself a layer's length later."""
    assert all(math.gcd(one, other) == 1 for one, other in combinations(LENGTHS, 2))
    assert math.lcm(*LENGTHS) / SAMPLE_RATE_HZ > 24 * 3600
    first = frames(begin(name), 60 * SAMPLE_RATE_HZ)[:, 0]
    for length in LENGTHS:
        later = first[length:]
        assert abs(np.corrcoef(first[: len(later)], later)[0, 1]) < 0.75


def test_a_place_has_the_same_name_for_the_settings() -> None:
    """What AMBIENCE accepts is what can be made."""
    (option,) = (option for option in OPTIONS if option.name == "ambience")
    assert [option.kind.parse(name) for name in ("off", *PLACES)] == ["off", *PLACES]


def test_it_is_the_same_each_time() -> None:
    """Nothing in it is left to chance."""
    assert np.array_equal(frames(Ambience("brown", -30.0), 1000), frames(Ambience("brown", -30.0), 1000))


def test_making_one_holds_little_more_than_the_one() -> None:
    """It is made beside the first piece: twice its own memory at most (measured 1.8; 2.5 were heaped up before)."""
    tracemalloc.start()
    made = Ambience("rain", -30.0)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.peak > 0
    assert most < 2 * held
