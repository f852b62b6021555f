"""Samples at rest: half the memory of what is mixed."""

from __future__ import annotations

import numpy as np

from music.metering import loudest
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Samples

FULL_SCALE = 32767.0


class Packed:
    """Samples kept as 16 bits and one gain, sliced like an array of Samples: what is taken out is float32.

    The files that pieces come from have 16 bits too. Without dither: what is rounded is 96 dB below the piece's peak,
    and masked by the noise that any music brings along.
    Threads: one writes; what is written already, any may read.
    """

    def __init__(self, n_frames: int, gain: float = 1.0) -> None:
        """Silence, for samples in [-1, 1] that are heard by `gain` louder."""
        self.gain = gain
        self._stored = np.zeros((n_frames, CHANNELS), np.int16)

    @classmethod
    def of(cls, samples: Samples) -> Packed:
        """Pack what is there, its peak at full scale: however quiet it is to be heard, it has its 16 bits."""
        packed = cls(len(samples), loudest(samples) or 1.0)
        for begin in range(0, len(samples), SAMPLE_RATE_HZ):
            packed[begin : begin + SAMPLE_RATE_HZ] = samples[begin : begin + SAMPLE_RATE_HZ] / np.float32(packed.gain)
        return packed

    def __len__(self) -> int:
        """Frames."""
        return len(self._stored)

    def __getitem__(self, span: slice) -> Samples:
        """Return a copy of some frames as they are heard."""
        heard: Samples = self._stored[span] * np.float32(self.gain / FULL_SCALE)
        return heard

    def __setitem__(self, span: slice, samples: Samples) -> None:
        """Store frames, before the gain."""
        self._stored[span] = np.rint(np.clip(samples, -1, 1) * FULL_SCALE)

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Samples:
        """All of it, for numpy."""
        return self[:]
