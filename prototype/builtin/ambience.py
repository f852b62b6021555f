"""Sounds of a place, to lie quietly under the music: rain, a record's crackle, a café, waves, brown noise.

A place is a few layers, each periodic and so without a seam; their lengths have no common divisor, so that the whole
repeats only after centuries. What could be recognised when it comes again, a drop, a crackle, a cup, a wave, comes from
layers of very different lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from builtin.score import Floats
from builtin.signals import Shape, around, band, fade, seconds, shaped_noise
from music.metering import LoudnessMeter
from music.segment import SAMPLE_RATE_HZ, Samples

LENGTHS: Final = (3**12, 7**7, 2**20)
"""11, 17 and 22 s, in frames."""
MEASURED_S: Final = 20

Rng = np.random.Generator


def _brown(hz: Floats) -> Floats:
    shape: Floats = band(35, 9000, 2)(hz) / (1 + hz / np.float32(35))
    return shape


def _noise(rng: Rng, n_frames: int, shape: Shape, width: float) -> Floats:
    """Return periodic stereo noise of RMS 1; `width` 0: the same on both sides, 1: nothing in common."""
    middle, side = (
        shaped_noise(rng, n_frames, shape) * np.float32(np.sqrt(share)) for share in (1 - width / 2, width / 2)
    )
    return np.stack((middle + side, middle - side))


def _swell(rng: Rng, n_frames: int, period_s: float, depth: float) -> Floats:
    """Return a gain that swells irregularly, about once in `period_s`, between 1 - depth and 1; periodic."""
    turns = max(2, round(n_frames / SAMPLE_RATE_HZ / period_s))
    angle = 2 * np.pi * np.arange(n_frames, dtype=np.float64) / n_frames
    waves = sum(
        weight * np.cos(count * angle + rng.uniform(0, 2 * np.pi))
        for count, weight in ((turns, 1.0), (turns - 1, 0.5), (2 * turns + 1, 0.3))
    )
    return (1 - depth * (0.5 - 0.5 * np.tanh(1.4 * waves))).astype(np.float32)


def _scatter(rng: Rng, n_frames: int, each_s: float, grain: Callable[[], Floats], quietest_db: float) -> Floats:
    """Return grains at random places and levels, one in `each_s` on average; what rings past the end, rings on."""
    ground = np.zeros((2, n_frames), np.float32)
    for _ in range(round(n_frames / SAMPLE_RATE_HZ / each_s)):
        sound, pan = grain(), rng.uniform(0.15, 0.85)
        level = 10 ** (rng.uniform(quietest_db, 0.0) / 20)
        at = (int(rng.integers(n_frames)) + np.arange(len(sound))) % n_frames
        ground[0, at] += np.float32(level * np.cos(pan * np.pi / 2)) * sound
        ground[1, at] += np.float32(level * np.sin(pan * np.pi / 2)) * sound
    return ground


def _ping(rng: Rng, hz: tuple[float, float], decay_s: float, ratios: tuple[float, ...] = (1.0,)) -> Floats:
    """Return a stroke that rings down, of peak about 1."""
    time_s = seconds(round(7 * decay_s * SAMPLE_RATE_HZ))
    base = float(np.exp(rng.uniform(*np.log(hz))))
    tones = sum(
        np.sin(np.float32(2 * np.pi * base * ratio) * time_s) / (1 + index) for index, ratio in enumerate(ratios)
    )
    return fade((tones * np.exp(-time_s / np.float32(decay_s))).astype(np.float32), 0.0004, 0.001)


def _rain(rng: Rng, n_frames: int, index: int) -> Floats:
    if index == 0:
        return _noise(rng, n_frames, band(250, 6500, 1), 0.8)
    drops = _scatter(rng, n_frames, 0.045, lambda: _ping(rng, (900, 4200), 0.004), -30)
    return np.float32(0.4) * _noise(rng, n_frames, band(120, 1400, 2), 0.7) + np.float32(2.5) * drops


def _vinyl(rng: Rng, n_frames: int, _index: int) -> Floats:
    sound = np.float32(4.0) * _scatter(rng, n_frames, 0.25, lambda: _ping(rng, (700, 3800), 0.0011), -32)
    sound += np.float32(0.25) * _noise(rng, n_frames, band(300, 5000, 1), 0.3)
    sound += np.float32(0.15) * _noise(rng, n_frames, band(45, 120, 2), 0.1)
    return sound


def _cafe(rng: Rng, n_frames: int, index: int) -> Floats:
    voices = np.zeros((2, n_frames), np.float32)
    for low, high in ((180, 420), (260, 700), (350, 1100), (500, 1900)):  # each talks, pauses, and talks on
        talk = _swell(rng, n_frames, 2.7, 0.85) * _swell(rng, n_frames, 0.23, 0.75)
        pan = rng.uniform(0.05, 0.95)
        sides = np.sqrt(np.array([[pan], [1 - pan]], np.float32)) * np.float32(400 / low)
        voices += sides * (talk * shaped_noise(rng, n_frames, band(low, high, 3)))
    if index:
        cup = (1.0, 1.47, 2.09, 2.56)
        voices += np.float32(1.2) * _scatter(rng, n_frames, 3.1, lambda: _ping(rng, (1800, 4200), 0.045, cup), -24)
    return voices + np.float32(0.3) * _noise(rng, n_frames, band(70, 300, 1), 0.5)


def _waves(rng: Rng, n_frames: int, index: int) -> Floats:
    period_s = (8.5, 6.1, 10.7)[index]
    swell = _swell(rng, n_frames, period_s, 0.85)
    foam = np.float32(0.6) * swell**2 * _noise(rng, n_frames, band(700, 5000, 1), 0.8)
    return swell * _noise(rng, n_frames, band(90, 700, 1), 0.5) + foam


PLACES: Final[dict[str, Callable[[Rng, int, int], Floats]]] = {
    "rain": _rain, "vinyl": _vinyl, "cafe": _cafe, "waves": _waves,
    "brown": lambda rng, n_frames, _index: _noise(rng, n_frames, _brown, 0.5),
}  # fmt: skip


class Ambience:
    """The sound of a place, without end, at a loudness; the same for the same name. No sample is above `peak`.

    Raises KeyError where there is no such place. Making one takes half a second, reading it a copy and two sums.
    Threads: one reader.
    """

    def __init__(self, name: str, loudness_lufs: float) -> None:
        make, seed = PLACES[name], list(PLACES).index(name)
        self._loops = [  # the longest first, while nothing else is held
            make(np.random.default_rng((seed, index)), LENGTHS[index], index) for index in (2, 1, 0)
        ]
        self._position = 0
        meter = LoudnessMeter()
        for second in range(MEASURED_S):
            meter.feed(self._frames(second * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ))
        gain = np.float32(10 ** ((loudness_lufs - meter.integrated_lufs()) / 20))
        for loop in self._loops:
            loop *= gain
        self.peak = sum(float(np.abs(loop).max()) for loop in self._loops)

    def read(self, n_frames: int) -> bytes:
        """Return the next `n_frames`: float32, interleaved stereo; however the calls are split, the same samples."""
        frames = self._frames(self._position, n_frames)
        self._position += n_frames
        return frames.tobytes()

    def _frames(self, at_frame: int, n_frames: int) -> Samples:
        first, *others = (around(loop, at_frame, n_frames) for loop in self._loops)
        for other in others:
            first += other
        return first.T
