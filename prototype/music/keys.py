"""Keys and tempi, and how well a piece follows another: what a DJ looks at before a transition."""

from __future__ import annotations

import math
import re
from typing import Final

from music.segment import Analysis, Recipe, SegmentInfo

NEAR_TEMPO: Final = 0.06  # of each other: what a pitch fader can make up for
UNKNOWN: Final = 1.0  # neither good nor bad

Musical = Analysis | Recipe | SegmentInfo
"""What has a key, "" where it is not known, and a tempo in beats a minute, or None."""

_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_KEY_SCALE = re.compile(r"([A-G])([#♯b♭]?)\s*(maj|m$|min)", re.IGNORECASE)


def parse_key(key_scale: str) -> tuple[int, str] | None:
    """Return (pitch class of the tonic, "major" or "minor") of a name such as "F# minor", or None for anything else."""
    match = _KEY_SCALE.match(key_scale.strip())
    if match is None:
        return None
    shift = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[match[2].lower()]
    return (_TONICS.index(match[1].upper()) + shift) % 12, "major" if match[3].lower() == "maj" else "minor"


def key_name(tonic: int, mode: str) -> str:
    """Return the name that `parse_key` reads."""
    return f"{_TONICS[tonic]} {mode}"


def place(tonic: int, mode: str) -> int:
    """Return the place of a key on the circle of fifths, 0..11 from C major on; relatives share one."""
    return 7 * (tonic + (3 if mode == "minor" else 0)) % 12


def fifths_apart(one: str, other: str) -> int | None:
    """Return how many steps two keys are apart on the circle of fifths, 0..6.

    None where one of them is unknown. The signatures of keys n steps apart differ in n notes.
    """
    keys = parse_key(one), parse_key(other)
    if keys[0] is None or keys[1] is None:
        return None
    apart = abs(place(*keys[0]) - place(*keys[1]))
    return min(apart, 12 - apart)


def tempo_apart(one: float | None, other: float | None) -> float | None:
    """Return by what part two tempi differ, half and double time being the same; None where one is unknown."""
    if not one or not other:
        return None
    octaves = math.log2(one / other)
    return float(2 ** abs(octaves - round(octaves)) - 1)


def discord(before: Musical | None, after: Musical | None) -> float:
    """Return how ill a piece follows another: a step of fifths counts as much as NEAR_TEMPO. None: nothing is known."""
    if before is None or after is None:
        return 2 * UNKNOWN
    fifths, tempo = fifths_apart(before.key_scale, after.key_scale), tempo_apart(before.bpm, after.bpm)
    return (UNKNOWN if fifths is None else fifths) + (UNKNOWN if tempo is None else tempo / NEAR_TEMPO)
