"""Chords: read from Roman numerals, and voiced openly, each from the one before.

A numeral names the root on the major scale, whatever the mode ("bVI" is the flat sixth); small letters make it minor.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

VARIED: Final = 0.5  # of the chords for which another may stand
LOWEST: Final = 50  # a voicing leaves what is below to the bass

_NUMERAL = re.compile(r"([b#]?)([iv]+|[IV]+)(.*)")
_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    # semitones above the root; 3 becomes the minor third with small letters
    "": (0, 4, 7), "6": (0, 4, 7, 9), "69": (0, 4, 7, 9, 14), "7": (0, 4, 7, 10), "9": (0, 4, 7, 10, 14),
    "11": (0, 4, 7, 10, 17), "13": (0, 4, 10, 14, 21), "maj7": (0, 4, 7, 11), "maj9": (0, 4, 7, 11, 14),
    "add9": (0, 4, 7, 14), "sus2": (0, 2, 7), "sus4": (0, 5, 7), "9sus": (0, 5, 7, 10, 14), "5": (0, 7, 12),
    "7b5": (0, 4, 6, 10),
}  # fmt: skip
_RUBS = frozenset({1, 13})
_THIRDS = (0, 3, 4, 8, 9)


@functools.cache
def chord_tones(symbol: str) -> tuple[int, tuple[int, ...]]:
    """Return a numeral's root above the tonic (0..11), and its tones above the root. Raises ValueError."""
    match = _NUMERAL.fullmatch(symbol)
    if match is None or match[2].lower() not in _DEGREES or match[3] not in _QUALITIES:
        raise ValueError(f"not a chord: {symbol!r}")
    root = _DEGREES[match[2].lower()] + {"": 0, "b": -1, "#": 1}[match[1]]
    tones = _QUALITIES[match[3]]
    if match[2].islower():
        tones = tuple(3 if tone == 4 else tone for tone in tones)
    return root % 12, tones


@functools.cache
def voice(root: int, tones: tuple[int, ...], before: tuple[int, ...], centre: int) -> tuple[int, ...]:
    """Return the pitches of a chord in open position around `centre`, the nearest to the voicing `before`.

    Five tones leave the root to the bass. No two lie a semitone or a flat ninth apart; below middle C none lie closer
    than a minor third. `root` is a pitch class.
    """
    classes = tuple(tone for tone in tones if tone) if len(tones) == 5 else tones
    low = max(LOWEST, centre - 12)
    choices = [[p for p in range(low, low + 27) if (p - root - tone) % 12 == 0] for tone in classes]
    voicings = {tuple(sorted(pitches)) for pitches in itertools.product(*choices)}
    return min(filter(_is_open, voicings), key=lambda voicing: (_cost(voicing, before, centre), voicing))


def rub(pitch: int, others: Iterable[int]) -> bool:
    """Whether a pitch lies a semitone or a flat ninth from one of the others."""
    return any(abs(pitch - other) in _RUBS for other in others)


def varied(line: str, symbols: Iterable[str], scale: Collection[int], rng: np.random.Generator) -> list[str]:
    """Return a line's chords, many of those behind the first replaced by one of `symbols` that shares two tones.

    Both are of the `scale` (semitones above the tonic), their roots the same or a third apart. A borrowed chord leads
    somewhere, and stays.
    """
    chords, known = line.split(), {symbol: chord_tones(symbol) for symbol in symbols}
    roots = {symbol: root for symbol, (root, tones) in known.items() if all((root + t) % 12 in scale for t in tones)}
    for at, chord in enumerate(chords[1:], 1):
        beside = {known[other][0] for other in chords[:at] + chords[at + 1 :]}
        alike = {(roots[chord] + third) % 12 for third in _THIRDS} - beside if chord in roots else set()
        free = [symbol for symbol, root in roots.items() if root in alike and symbol != chord]
        if free and rng.random() < VARIED:
            chords[at] = str(rng.choice(free))
    return chords


def _is_open(voicing: tuple[int, ...]) -> bool:
    rubs = any(rub(a, voicing[:i]) for i, a in enumerate(voicing))
    return not rubs and all(b - a >= (3 if a < 60 else 2) for a, b in itertools.pairwise(voicing))


def _cost(voicing: tuple[int, ...], before: tuple[int, ...], centre: int) -> float:
    """Return what speaks against a voicing: moves, leaps of the top, a lean to one side, clusters and holes."""
    moved = sum(min(abs(pitch - old) for old in before) for pitch in voicing) if before else 0
    leap = abs(voicing[-1] - before[-1]) if before else 0
    lean = abs(sum(voicing) / len(voicing) - centre)
    steps = [b - a for a, b in itertools.pairwise(voicing)]
    narrow, wide = sum(step == 2 for step in steps), sum(max(0, step - 8) for step in steps)
    return moved + 0.5 * leap + 1.2 * lean + 2 * narrow + wide + (4 if voicing[-1] - voicing[0] <= 10 else 0)
