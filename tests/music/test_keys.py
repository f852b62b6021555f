"""How well a piece follows another: the circle of fifths, and tempi."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.sounds import there
from music.keys import NEAR_TEMPO, discord, fifths_apart, key_name, parse_key, tempo_apart
from music.segment import Recipe

NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
keys = st.builds("{} {}".format, st.sampled_from(NOTES), st.sampled_from(("major", "minor")))
SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10}}


def notes(key: str) -> set[int]:
    """Return the notes of a key."""
    tonic, mode = parse_key(key) or (0, "")
    return {(tonic + step) % 12 for step in SCALES[mode]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C major", (0, "major")),
        ("F# minor", (6, "minor")),
        ("Bb major", (10, "major")),
        ("C♭ major", (11, "major")),
        (" e minor ", (4, "minor")),
        ("Am", (9, "minor")),
        ("", None),
        ("N/A", None),
        ("H minor", None),
        ("C", None),
    ],
)
def test_key_names(name: str, expected: tuple[int, str] | None) -> None:
    """Keys are read as ACE-Step writes them; anything else leaves the choice to the seed."""
    assert parse_key(name) == expected


@given(st.integers(0, 11), st.sampled_from(("major", "minor")))
def test_a_key_is_read_as_it_is_named(tonic: int, mode: str) -> None:
    """What is measured can be told."""
    assert parse_key(key_name(tonic, mode)) == (tonic, mode)


@given(keys, keys)
def test_the_distance_counts_the_notes_that_differ(one: str, other: str) -> None:
    """Keys n steps apart differ in n notes (in five where they are six apart), either way round."""
    apart = there(fifths_apart(one, other))
    assert min(apart, 5) == len(notes(one) - notes(other))
    assert apart == fifths_apart(other, one)


@pytest.mark.parametrize("unknown", ["", "C", "H major", "none"])
def test_an_unknown_key_has_no_distance(unknown: str) -> None:
    """Nothing is invented."""
    assert fifths_apart(unknown, "C major") is None


@pytest.mark.parametrize(
    ("one", "other", "part"), [(80, 80, 0), (70, 140, 0), (160, 80, 0), (80, 84, 0.05), (None, 80, None), (80, 0, None)]
)
def test_tempi(one: int | None, other: int | None, part: float | None) -> None:
    """Half and double time fit."""
    assert tempo_apart(one, other) == (part if part is None else pytest.approx(part))


def test_a_neighbour_key_counts_as_a_tempo_next_to_it() -> None:
    """The two are weighed against each other."""
    home = Recipe("", "", 1.0, 100, "C major")
    assert discord(home, Recipe("", "", 1.0, 100, "G major")) == pytest.approx(1.0)
    assert discord(home, Recipe("", "", 1.0, round(100 * (1 + NEAR_TEMPO)), "A minor")) == pytest.approx(1.0)
