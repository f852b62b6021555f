"""What every sound of the built-in engine is made with: noise, bands, loops, fades, and what rings on.

Noise is made in the spectrum, which makes it periodic: it loops without a seam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from builtin.score import Floats
from music.segment import SAMPLE_RATE_HZ

Sample = TypeVar("Sample", np.float32, np.int16)
Shape = Callable[[Floats], Floats]
"""The amplitude at each of an array of frequencies in Hz."""
Kept = tuple[np.float32, npt.NDArray[np.int16]]
"""Sound in half the memory: the product of both is the sound."""


def hertz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch (69 = A4 = 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def seconds(n_frames: int) -> Floats:
    """Return the time of each of `n_frames`."""
    return np.arange(n_frames, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def shaped_noise(rng: np.random.Generator, n_frames: int, shape: Shape) -> Floats:
    """Return mono noise of RMS 1 whose spectrum is `shape(hz)`; it is periodic: its end joins its beginning."""
    hz = np.fft.rfftfreq(n_frames, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    angle = 2 * np.pi * rng.random(len(hz), dtype=np.float32)
    spectrum = np.empty(len(hz), np.complex64)
    np.cos(angle, out=spectrum.real)
    np.sin(angle, out=spectrum.imag)
    spectrum *= shape(hz)
    noise = np.asarray(np.fft.irfft(spectrum, n_frames), np.float32)
    noise /= np.float32(max(1e-9, float(np.sqrt(np.vdot(noise, noise) / n_frames))))
    return noise


def band(low_hz: float, high_hz: float, order: int = 2) -> Shape:
    """Return a smooth band-pass between two corner frequencies, falling by 6 dB an octave and `order`."""

    def shape(hz: Floats) -> Floats:
        below = (hz / np.float32(low_hz)) ** order
        gain: Floats = below / (1 + below) / (1 + (hz / np.float32(high_hz)) ** order)
        return gain

    return shape


def keep(sound: Floats) -> Kept:
    """Return `sound` as it is kept: what is rounded is 96 dB below its peak."""
    scale = np.float32(max(1e-9, float(np.abs(sound).max())) / 32767)
    return scale, np.rint(sound / scale).astype(np.int16)


def around(loop: npt.NDArray[Sample], at_frame: int, n_frames: int) -> npt.NDArray[Sample]:
    """Return `n_frames` of a periodic sound from `at_frame` on, round and round; a copy."""
    size = loop.shape[-1]
    at = at_frame % size
    turns = (at + n_frames - 1) // size + 1
    return (loop if turns <= 1 else np.tile(loop, turns))[..., at : at + n_frames].copy()


def fade(sound: Floats, attack_s: float, release_s: float) -> Floats:
    """Fade `sound` in and out in place along raised cosines, and return it."""
    n_frames = sound.shape[-1]
    for length_s, edge in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        length = min(round(length_s * SAMPLE_RATE_HZ), n_frames)
        if length:
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length, dtype=np.float32) + 0.5) / length)
            sound[..., edge][..., :length] *= ramp.astype(np.float32)
    return sound


class Ringing:
    """Puts sounds into their places, a stretch at a time; what lasts beyond a stretch is kept for the next.

    Threads: one.
    """

    def __init__(self) -> None:
        self._left = np.zeros((2, 0), np.float32)

    def add(self, sounds: Iterable[tuple[int, Floats]], n_frames: int) -> Floats:
        """Return the next `n_frames`, with `sounds` that each begin at a frame of them; a new array.

        They are made one by one, as they are put in: notes of nine seconds are 4 MB each.
        """
        bus = _longer(self._left, n_frames)
        for at, sound in sounds:
            bus = _longer(bus, at + sound.shape[1])
            bus[:, at : at + sound.shape[1]] += sound
        self._left = bus[:, n_frames:].copy()
        return bus[:, :n_frames]


def _longer(bus: Floats, n_frames: int) -> Floats:
    """Return `bus`, with silence behind it up to `n_frames`."""
    silence = n_frames - bus.shape[1]
    return np.pad(bus, ((0, 0), (0, silence))) if silence > 0 else bus
