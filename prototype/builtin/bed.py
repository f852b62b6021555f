"""The bed: soft noise like distant rain, without end, from the standard library alone.

It is the first that is heard, while the program's other modules are imported, and what plays when nothing else can.
White noise goes through three one-pole filters: little below 90 Hz, falling from 600 Hz on.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Callable
from typing import Final

from music.segment import CHANNELS, SAMPLE_RATE_HZ

LEVEL_DBFS: Final = -38.0  # of each channel, RMS
_WHITE_RMS: Final = 32768 / math.sqrt(3)  # of 16-bit integers, all equally likely
_THROUGH: Final = 0.2136  # what the filters leave of the RMS of white noise (measured)
_HELD: Final = 2  # frames that a value is held for: half the work, and what it adds lies above 22 kHz
_BLOCK: Final = 480  # values that are made at once
_SCALE: Final = 10 ** (LEVEL_DBFS / 20) / (_WHITE_RMS * _THROUGH)


def _pole(hz: float) -> float:
    """Return the coefficient of y += c (x - y), a one-pole low pass with its corner at `hz`."""
    return 1.0 - math.exp(-2.0 * math.pi * hz * _HELD / SAMPLE_RATE_HZ)


_HIGH, _MIDDLE, _DEEP = _pole(1500.0), _pole(600.0), _pole(90.0)


class Bed:
    """Noise without end; reading never fails, and costs some 2 % of a core. No sample is above `peak` in magnitude.

    `random_bytes` gives as many as it is asked for. Threads: one reader.
    """

    peak = 2 * 32768 * _SCALE  # each of the two low passes whose difference it is stays below what goes in

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._filters = [(0.0, 0.0, 0.0)] * CHANNELS
        self._made = array("f")

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo; however the calls are split, they are the same."""
        wanted = CHANNELS * n_frames
        while len(self._made) < wanted:
            self._made.extend(self._make())
        given, self._made = self._made[:wanted], self._made[wanted:]
        return given.tobytes()

    def _make(self) -> array[float]:
        block = array("f", bytes(4 * CHANNELS * _HELD * _BLOCK))
        for channel in range(CHANNELS):
            mono = array("f", bytes(4 * _BLOCK))
            high, middle, deep = self._filters[channel]
            for at, white in enumerate(array("h", self._random_bytes(2 * _BLOCK))):
                high += _HIGH * (white - high)
                middle += _MIDDLE * (high - middle)
                deep += _DEEP * (middle - deep)
                mono[at] = _SCALE * (middle - deep)
            self._filters[channel] = high, middle, deep
            for copy in range(_HELD):
                block[channel + CHANNELS * copy :: CHANNELS * _HELD] = mono
        return block
