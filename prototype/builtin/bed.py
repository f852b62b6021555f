"""The first that is heard, from the standard library alone, while the program's other modules are imported.

The bed is soft noise like distant rain, without end, and what plays when nothing else can: white noise through three
one-pole filters, little below 90 Hz, falling from 600 Hz on. Over it a chord swells up and dies away, while what makes
the first piece is imported. It is open, in that piece's key: root, fifth and octave, the ninth and the twelfth, so that
it goes with whatever the piece begins with.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Callable, Iterable
from typing import Final

from music.segment import CHANNELS, SAMPLE_RATE_HZ, Endless

HELD: Final = 2  # frames that a value is held for: half the work, and what it adds lies above 22 kHz
BLOCK: Final = 480  # values that are made at once

LEVEL_DBFS: Final = -38.0  # of each channel, RMS
_WHITE_RMS: Final = 32768 / math.sqrt(3)  # of 16-bit integers, all equally likely
_THROUGH: Final = 0.2136  # what the filters leave of the RMS of white noise (measured)
_SCALE: Final = 10 ** (LEVEL_DBFS / 20) / (_WHITE_RMS * _THROUGH)
# The coefficients of y += c (x - y), one-pole low passes with their corners there.
_HIGH, _MIDDLE, _DEEP = (1.0 - math.exp(-2.0 * math.pi * hz * HELD / SAMPLE_RATE_HZ) for hz in (1500.0, 600.0, 90.0))

TONES: Final = ((0, 0.045), (7, 0.036), (12, 0.031), (14, 0.013), (19, 0.018))
"""Semitones above the root, and amplitudes: together some -27 dBFS RMS at the height."""
LOWEST: Final = 45  # A2, as MIDI counts
APART: Final = 0.0007  # the sides are out of tune by so much, which makes it breathe
GONE: Final = 0.001
_RISE: Final = 1.0 - math.exp(-HELD / (0.08 * SAMPLE_RATE_HZ))
_DECAY: Final = math.exp(-HELD / (3.0 * SAMPLE_RATE_HZ))


class _InBlocks:
    """What is made in blocks of BLOCK values, each held for HELD frames, and read in any. Threads: one reader."""

    def __init__(self) -> None:
        self._made = array("f")

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo; however the calls are split, they are the same."""
        wanted = CHANNELS * n_frames
        while len(self._made) < wanted:
            block = array("f", bytes(4 * CHANNELS * HELD * BLOCK))
            for channel, values in enumerate(self._make()):
                for copy in range(HELD):
                    block[channel + CHANNELS * copy :: CHANNELS * HELD] = values
            self._made.extend(block)
        given, self._made = self._made[:wanted], self._made[wanted:]
        return given.tobytes()

    def _make(self) -> Iterable[array[float]]:
        """Return the next BLOCK values of each channel."""
        raise NotImplementedError


class Bed(_InBlocks):
    """Noise without end; reading never fails, and costs some 2 % of a core. No sample is above `peak` in magnitude.

    `random_bytes` gives as many as it is asked for. Threads: one reader.
    """

    peak = 2 * 32768 * _SCALE  # each of the two low passes whose difference it is stays below what goes in

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__()
        self._random_bytes = random_bytes
        self._filters = [(0.0, 0.0, 0.0)] * CHANNELS

    def _make(self) -> Iterable[array[float]]:
        for channel, (high, middle, deep) in enumerate(self._filters):
            values = array("f", bytes(4 * BLOCK))
            for at, white in enumerate(array("h", self._random_bytes(2 * BLOCK))):
                high += _HIGH * (white - high)
                middle += _MIDDLE * (high - middle)
                deep += _DEEP * (middle - deep)
                values[at] = _SCALE * (middle - deep)
            self._filters[channel] = high, middle, deep
            yield values


class Chord(_InBlocks):
    """A chord on `tonic`, a pitch class, over a bed that goes on behind it. Threads: one reader."""

    def __init__(self, tonic: int, bed: Endless) -> None:
        super().__init__()
        self._bed = bed
        self.peak = bed.peak + sum(amplitude for _, amplitude in TONES)
        root = LOWEST + (tonic - LOWEST) % 12
        steps = [2 * math.pi * HELD / SAMPLE_RATE_HZ * 440 * 2 ** ((root + tone - 69) / 12) for tone, _ in TONES]
        self._steps = [[step * (1 + side * APART) for step in steps] for side in (-1, 1)]
        self._values = 0
        self._level, self._target = 0.0, 1.0

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames` of both; when the chord has died away, of the bed alone."""
        bed = self._bed.read(n_frames)
        if self._target < GONE and not self._made:
            return bed
        return array("f", map(float.__add__, array("f", super().read(n_frames)), array("f", bed))).tobytes()

    def _make(self) -> Iterable[array[float]]:
        levels, level, target = array("d"), self._level, self._target
        for _ in range(BLOCK):
            level += _RISE * (target - level)
            target *= _DECAY
            levels.append(level)
        self._level, self._target = level, target
        (a, b, c, d, e), sine = (amplitude for _, amplitude in TONES), math.sin
        for one, two, three, four, five in self._steps:
            yield array("f", (
                level * (a * sine(one * at) + b * sine(two * at) + c * sine(three * at) + d * sine(four * at)
                         + e * sine(five * at))
                for at, level in enumerate(levels, self._values)
            ))  # fmt: skip
        self._values += BLOCK
