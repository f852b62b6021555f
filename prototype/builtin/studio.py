"""What all parts of a piece go through, a stretch at a time: the one room, the compressor on the bus, and the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from builtin.score import Floats
from builtin.signals import Ringing, band, fade, seconds, shaped_noise
from music.segment import SAMPLE_RATE_HZ

Doubles = npt.NDArray[np.float64]

ROOM_LOW_HZ: Final = 180.0  # below, a room only blurs, and bass stays in the middle
BLOCK_FRAMES: Final = SAMPLE_RATE_HZ // 100
PEAK_MAX: Final = 0.84  # -1.5 dBFS

# Delay in ms, level, and side of the first reflections: walls, floor and ceiling of a studio.
_REFLECTIONS: Final = (
    (7.1, 0.42, -0.6), (11.3, 0.38, 0.7), (16.9, 0.30, 0.2), (21.7, 0.27, -0.4), (28.1, 0.22, 0.5), (36.7, 0.17, -0.7),
    (47.3, 0.13, 0.3),
)  # fmt: skip


def response(decay_s: float, echo_s: float, rng: np.random.Generator) -> Floats:
    """Return the impulse response of a room: first reflections, then a tail whose highs die sooner, and an echo.

    `decay_s` is the time to -60 dB, `echo_s` that of the echo (0: none).
    """
    n_frames = round((0.03 + 1.1 * decay_s) * SAMPLE_RATE_HZ)
    time_s = seconds(n_frames)
    tail = np.zeros((2, n_frames), np.float32)
    for low_hz, high_hz, level, share in (
        (ROOM_LOW_HZ, 600, 1.0, 1.0), (500, 2000, 0.8, 0.8), (1800, 6000, 0.35, 0.5), (5000, 11_000, 0.12, 0.25),
    ):  # fmt: skip
        dying = np.float32(level) * np.exp(-6.9 * time_s / np.float32(decay_s * share))
        middle, side = (shaped_noise(rng, n_frames, band(low_hz, high_hz, 3)) * dying for _ in range(2))
        tail += np.stack([middle + 0.6 * side, middle - 0.6 * side])
    tail = fade(tail, 0.03, 0.2 * decay_s)
    tail /= np.sqrt(np.sum(tail**2) / 2)
    length = round(0.004 * SAMPLE_RATE_HZ)
    puff = shaped_noise(rng, length, band(250, 6000)) * np.exp(-seconds(length) / np.float32(0.0008))
    puff /= np.sqrt(np.sum(puff**2))
    for delay_ms, level, side in _REFLECTIONS:
        at = round(delay_ms * SAMPLE_RATE_HZ / 1000)
        gains = np.float32(0.9 * level) * np.array([[1 - side / 2], [1 + side / 2]], np.float32)
        tail[:, at : at + length] += gains * puff.astype(np.float32)
    if not echo_s:
        return tail
    grown = np.zeros((2, n_frames + round(4 * echo_s * SAMPLE_RATE_HZ)), np.float32)
    grown[:, :n_frames] = 0.6 * tail
    for turn in range(1, 5):
        at = round(turn * echo_s * SAMPLE_RATE_HZ)
        sides = np.array([[1.0], [0.45]] if turn % 2 else [[0.45], [1.0]], np.float32)
        grown[:, at : at + n_frames // 2] += np.float32(0.62**turn) * sides * tail[:, : n_frames // 2]
    return grown


class Convolver:
    """Hears sound in a room; what rings on is kept for the next stretch.

    Threads: one.
    """

    def __init__(self, response: Floats) -> None:
        self._response = response
        self._spectra: dict[int, npt.NDArray[np.complexfloating]] = {}
        self._ringing = Ringing()

    def process(self, sound: Floats) -> Floats:
        """Return `sound` as the room answers it, of the same length."""
        (_, n_frames), length = sound.shape, self._response.shape[1]
        # Many small transforms cost less than one large one, as long as they are much longer than the response.
        size = _fast_size(length - 1 + min(n_frames, 7 * length))
        if size not in self._spectra:
            self._spectra = {size: np.fft.rfft(self._response, size)[:, None]}
        hop = size - length + 1
        blocks = np.zeros((2, -(-n_frames // hop), hop), np.float32)
        blocks.reshape(2, -1)[:, :n_frames] = sound
        spectra = np.fft.rfft(blocks, size)
        spectra *= self._spectra[size]
        answers = np.asarray(np.fft.irfft(spectra, size), np.float32)
        return self._ringing.add(((hop * i, answers[:, i]) for i in range(blocks.shape[1])), n_frames)


def _fast_size(least: int) -> int:
    """Return the next size that an FFT likes: a power of two, or one and a half of one."""
    power = 1 << (least - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= least else power


def tape(loss_db: float, air_db: float = 0.0) -> Floats:
    """Return the impulse response, shape (2, n_frames), of a tape that takes `loss_db` from the highs, half at 1 kHz.

    A shelf of `air_db` comes with it, half of it at 5 kHz.
    """
    return equaliser(lambda hz: air_db / (1 + (5000 / hz) ** 3) - loss_db / (1 + (1000 / hz) ** 2.9))


def equaliser(gain_db: Callable[[Doubles], Doubles]) -> Floats:
    """Return the impulse response, shape (2, n_frames), of a filter with a smooth gain at each frequency.

    Minimum phase, by folding the cepstrum (Oppenheim & Schafer), so that no stroke is heard before it comes.
    """
    size = 2048
    hz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ), 1.0)
    cepstrum = np.fft.irfft(np.log(10) / 20 * gain_db(hz))
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    wave = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[: size // 4]
    return np.tile(wave.astype(np.float32), (2, 1))


class Bus:
    """A gentle compressor: above the threshold the level rises more slowly; and a tape that rounds off the peaks.

    Threads: one.
    """

    THRESHOLD_DB: Final = -19.0
    SLOPE: Final = 0.35  # of each dB above the threshold, what is taken away
    RISE: Final = 1 - np.exp(-0.010 / 0.020)  # a block's step, attack 20 ms
    FALL: Final = 1 - np.exp(-0.010 / 0.250)

    def __init__(self) -> None:
        self._over_db = 0.0
        self._gain = 1.0

    def process(self, sound: Floats) -> Floats:
        """Press `sound` in place and return it."""
        n_frames = sound.shape[1]
        edges = np.arange(0, n_frames, BLOCK_FRAMES)
        power = np.add.reduceat(np.square(sound).sum(axis=0), edges) / 2
        power /= np.diff(np.append(edges, n_frames))
        over_db = np.maximum(0.0, 10 * np.log10(power + 1e-12) - self.THRESHOLD_DB)
        gains = [self._gain]
        for over in over_db.tolist():
            self._over_db += (self.RISE if over > self._over_db else self.FALL) * (over - self._over_db)
            gains.append(10 ** (-self.SLOPE * self._over_db / 20))
        self._gain = gains[-1]
        curve = np.interp(np.arange(n_frames), np.append(edges, n_frames), gains)
        sound *= (curve / PEAK_MAX).astype(np.float32)
        np.tanh(sound, out=sound)
        sound *= np.float32(PEAK_MAX)
        return sound
