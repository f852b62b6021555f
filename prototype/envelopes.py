"""Gains over time: the crossfade and the ramp.

Both are counted in frames and never in calls, so that a block may be split anywhere without a sample changing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pcm import Samples

PEAK_LIMIT: Final = 10 ** (-1.0 / 20)  # -1 dBFS, the ceiling of every overlap

Curve = npt.NDArray[np.float64]


def angles(at_frames: Curve, length_frames: int, moving_frames: int, begin: float = 0.0) -> Curve:
    """Return the angle of a crossfade at some of its frames: straight from `begin` to pi/2, lingering halfway.

    It moves for `moving_frames` in all, half of them at each end; in between both pieces are heard.
    """
    edge_frames, halfway = moving_frames / 2, (begin + np.pi / 2) / 2
    corners = [0.0, edge_frames, length_frames - edge_frames, length_frames]
    return np.interp(at_frames, corners, [begin, halfway, halfway, np.pi / 2])


def gains(at_angles: Curve, peaks: tuple[float, float]) -> tuple[Curve, Curve]:
    """Return the gains of what goes and of what comes at some angles, where they peak at `peaks`."""
    falling, rising = np.cos(at_angles), np.sin(at_angles)
    limit = PEAK_LIMIT / np.maximum(peaks[0] * falling + peaks[1] * rising, PEAK_LIMIT)
    return falling * limit, rising * limit


class Crossfade:
    """An equal-power crossfade under way: gains cos and sin of an angle that runs from `angle` to pi/2.

    Uncorrelated signals keep their summed power under this law (cos² + sin² = 1). The sum of two peaks may pass
    the limit all the same; `peaks` bound it, and both gains are then lowered just enough, smoothly in the angle.
    The angle lingers halfway where `moving_frames` are fewer than the fade is long (see `angles`).
    """

    def __init__(self, length_frames: int, peaks: tuple[float, float], moving_frames: int, angle: float = 0.0) -> None:
        self.length_frames = length_frames
        self.position_frames = 0
        self.peaks = peaks
        self._angles = angles(np.arange(length_frames + 1.0), length_frames, moving_frames, angle)
        falling, rising = gains(self._angles[:-1, None], peaks)
        self.gain_out = falling.astype(np.float32)
        self.gain_in = rising.astype(np.float32)

    @property
    def angle(self) -> float:
        """How far the fade has come, 0 to pi/2."""
        return float(self._angles[self.position_frames])


class Ramp:
    """A gain that moves to its target along a straight line, `full_frames` for a move from 0 to 1."""

    def __init__(self, value: float, full_frames: int) -> None:
        self.target = value
        self._full_frames = full_frames
        self._start, self._position, self._length = value, 0, 0

    @property
    def value(self) -> float:
        """The gain now."""
        if self._position >= self._length:
            return self.target
        return self._start + (self.target - self._start) * self._position / self._length

    @property
    def left_frames(self) -> int:
        """Frames until the target is reached."""
        return self._length - self._position

    def move(self, target: float, full_frames: int | None = None) -> None:
        """Head for `target` from wherever the gain is now."""
        self._start, self.target, self._position = self.value, target, 0
        self._length = max(1, round(abs(target - self._start) * (full_frames or self._full_frames)))

    def apply(self, block: Samples) -> None:
        """Multiply `block` in place and advance."""
        n_frames = min(len(block), self.left_frames)
        if n_frames > 0:
            steps = np.arange(self._position + 1, self._position + n_frames + 1)
            gains = self._start + (self.target - self._start) * (steps / self._length)
            block[:n_frames] *= gains.astype(np.float32)[:, None]
            self._position += n_frames
        if self.target != 1.0:
            block[n_frames:] *= np.float32(self.target)
