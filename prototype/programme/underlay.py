"""What lies quietly under the whole programme, whatever plays above it: rain, a café, nothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from music.segment import PEAK_LIMIT, Endless, Samples
from programme.crossfade import Ramp
from programme.voice import frames_of

CHANGE_S: Final = 1.5


class Underlay:
    """An endless sound under others; one that follows another is faded in while that one fades out.

    Threads: the mixer's reader.
    """

    def __init__(self, rate_hz: int) -> None:
        self._change_frames = round(CHANGE_S * rate_hz)
        self._sounds: list[tuple[Endless, Ramp]] = []

    def lay(self, sound: Endless | None, gain: float) -> None:
        """Move to `sound` at `gain` (linear), or to none, along a ramp; the same sound goes on."""
        if sound and all(one is not sound for one, _ in self._sounds):
            self._sounds.append((sound, Ramp(0.0, self._change_frames)))
        for one, ramp in self._sounds:
            ramp.move(gain if one is sound else 0.0, self._change_frames)

    def add_to(self, block: Samples) -> None:
        """Add the sound to `block` in place; where the sum would pass PEAK_LIMIT, the sound gives way."""
        if not self._sounds:
            return
        mixed = block.copy()
        for sound, ramp in self._sounds:
            n_frames = len(block) if ramp.target else min(len(block), ramp.left_frames)
            part = frames_of(sound, n_frames).copy()
            ramp.apply(part)
            mixed[:n_frames] += part
        np.clip(mixed, np.minimum(block, -PEAK_LIMIT), np.maximum(block, PEAK_LIMIT), out=block)
        self._sounds = [(sound, ramp) for sound, ramp in self._sounds if ramp.target or ramp.left_frames > 0]
