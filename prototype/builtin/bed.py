"""Soft noise from the standard library alone: what is heard while the program's other modules are imported.

It sounds like `builtin_engine.Bed`, which follows it: white noise through three one-pole filters, at the bed's level.
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


def _pole(hz: float) -> float:
    """Return the coefficient of y += c (x - y), a one-pole low pass with its corner at `hz`."""
    return 1.0 - math.exp(-2.0 * math.pi * hz * _HELD / SAMPLE_RATE_HZ)


_HIGH, _MIDDLE, _DEEP = _pole(1500.0), _pole(600.0), _pole(90.0)


class Prelude:
    """Noise without end; reading never fails. `gain` is linear, 1 for the bed's own level.

    `random_bytes` gives as many as it is asked for. Threads: one reader.
    """

    def __init__(self, gain: float, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._scale = gain * 10 ** (LEVEL_DBFS / 20) / (_WHITE_RMS * _THROUGH)
        self._filters = 0.0, 0.0, 0.0

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo, both sides the same."""
        n_values = -(-n_frames // _HELD)
        noise = array("h", self._random_bytes(2 * n_values))
        mono = array("f", bytes(4 * n_values))
        high, middle, deep = self._filters
        for at, white in enumerate(noise):
            high += _HIGH * (white - high)
            middle += _MIDDLE * (high - middle)
            deep += _DEEP * (middle - deep)
            mono[at] = self._scale * (middle - deep)
        self._filters = high, middle, deep
        copies = CHANNELS * _HELD
        stereo = array("f", bytes(4 * copies * n_values))
        for copy in range(copies):
            stereo[copy::copies] = mono
        return stereo[: CHANNELS * n_frames].tobytes()
