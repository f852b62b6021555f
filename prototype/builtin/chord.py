"""A chord that swells up and dies away over the bed, from the standard library alone: the first music of all.

It is heard while what makes the first piece is imported, and is open in that piece's key: root, fifth and octave, the
ninth and the twelfth, so that it goes with whatever the piece begins with.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

from music.segment import CHANNELS, SAMPLE_RATE_HZ, Endless

TONES: Final = ((0, 0.045), (7, 0.036), (12, 0.031), (14, 0.013), (19, 0.018))
"""Semitones above the root, and amplitudes: together some -27 dBFS RMS at the height."""
LOWEST: Final = 45  # A2, as MIDI counts
APART: Final = 0.0007  # the sides are out of tune by so much, which makes it breathe
RISE_S: Final = 0.08
DECAY_S: Final = 3.0
GONE: Final = 0.001
HELD: Final = 2  # frames that a value is held for, as in the bed
BLOCK: Final = 480  # values that are made at once
_RISE: Final = 1.0 - math.exp(-HELD / (RISE_S * SAMPLE_RATE_HZ))
_DECAY: Final = math.exp(-HELD / (DECAY_S * SAMPLE_RATE_HZ))


class Chord:
    """A chord on `tonic`, a pitch class, over a bed that goes on behind it. Threads: one reader."""

    def __init__(self, tonic: int, bed: Endless) -> None:
        self._bed = bed
        self.peak = bed.peak + sum(amplitude for _, amplitude in TONES)
        root = LOWEST + (tonic - LOWEST) % 12
        steps = [2 * math.pi * HELD / SAMPLE_RATE_HZ * 440 * 2 ** ((root + tone - 69) / 12) for tone, _ in TONES]
        self._steps = [[step * (1 + side * APART) for step in steps] for side in (-1, 1)]
        self._values = 0
        self._level, self._target = 0.0, 1.0
        self._made = array("f")

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo; however the calls are split, they are the same."""
        bed = self._bed.read(n_frames)
        if self._target < GONE and not self._made:
            return bed
        wanted = CHANNELS * n_frames
        while len(self._made) < wanted:
            self._made.extend(self._make())
        given, self._made = self._made[:wanted], self._made[wanted:]
        return array("f", map(float.__add__, given, array("f", bed))).tobytes()

    def _make(self) -> array[float]:
        levels, level, target = array("d"), self._level, self._target
        for _ in range(BLOCK):
            level += _RISE * (target - level)
            target *= _DECAY
            levels.append(level)
        self._level, self._target = level, target
        block = array("f", bytes(4 * CHANNELS * HELD * BLOCK))
        for channel, (one, two, three, four, five) in enumerate(self._steps):
            (a, b, c, d, e), sine = (amplitude for _, amplitude in TONES), math.sin
            mono = array("f", (
                level * (a * sine(one * at) + b * sine(two * at) + c * sine(three * at) + d * sine(four * at)
                         + e * sine(five * at))
                for at, level in enumerate(levels, self._values)
            ))  # fmt: skip
            for copy in range(HELD):
                block[channel + CHANNELS * copy :: CHANNELS * HELD] = mono
        self._values += BLOCK
        return block
