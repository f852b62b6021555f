"""Instruments, drums, noises and a room for the built-in engine, in numpy alone.

Sound is planar here: float32, shape (2, n_frames), at SAMPLE_RATE_HZ. Two models make all pitched instruments:

- `Struck`: partials that ring down, each with its own decay (keys, piano, plucked strings, mallets, bass);
- `Sustained`: harmonics widened into narrow bands of noise, one inverse FFT a pitch (the PADsynth idea of
  Nasca Octavian Paul): a lush, endless tone, different left and right (pads, strings, flute, organ).

Noise is made in the spectrum too, which makes it periodic: it loops without a seam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pcm import SAMPLE_RATE_HZ

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Shape = Callable[[Floats], Floats]

RING_S: Final = 4.0
SUSTAIN_FRAMES: Final = 1 << 18
TOP_HZ: Final = 8000.0
"""No instrument has partials above: background music has no glare."""

_REFERENCE_HZ = 261.6
_BLOCK = 512


@dataclass(frozen=True)
class Struck:
    """A tone that rings down. A partial is (ratio to the pitch, amplitude, decay time to 1/e in s at middle C)."""

    partials: tuple[tuple[float, float, float], ...]
    attack_s: float = 0.004
    release_s: float = 0.12
    knock: float = 0.0
    tremolo_hz: float = 0.0


@dataclass(frozen=True)
class Sustained:
    """An endless tone: harmonic k has amplitude k**-rolloff, is `width_cents` wide, and dulled above `cutoff_hz`."""

    width_cents: float
    rolloff: float
    cutoff_hz: float
    attack_s: float
    release_s: float
    breath: float = 0.0


def _string(count: int, rolloff: float, decay_s: float, damping: float, position: float, stiff: float) -> Struck:
    """Return a string struck or plucked at `position` (share of its length); `stiff` stretches its partials."""
    partials = []
    for k in range(1, count + 1):
        level = abs(float(np.sin(np.pi * k * position))) * k**-rolloff
        partials.append((k * float(np.sqrt(1 + stiff * k * k)), level, decay_s / (1 + damping * (k - 1))))
    return Struck(tuple(partials), knock=0.25)


def _bar(*partials: tuple[float, float, float], tremolo_hz: float = 0.0, release_s: float = 0.3) -> Struck:
    return Struck(partials, attack_s=0.003, release_s=release_s, tremolo_hz=tremolo_hz)


VOICES: Final[dict[str, Struck | Sustained]] = {
    "keys": Struck(
        ((1, 1, 1.5), (2, 0.42, 1.0), (3, 0.22, 0.7), (4, 0.11, 0.45), (5, 0.06, 0.3), (7.05, 0.06, 0.14)),
        tremolo_hz=4.3,
    ),
    "piano": _string(12, 1.55, 1.5, 0.35, 0.13, 4e-4),
    "nylon": _string(10, 1.3, 0.8, 0.45, 0.22, 5e-5),
    "harp": _string(8, 1.5, 1.1, 0.35, 0.35, 2e-5),
    "koto": _string(14, 1.25, 1.1, 0.30, 0.12, 1e-4),
    "pizzicato": _string(8, 1.2, 0.28, 0.50, 0.30, 0.0),
    "analog": _string(12, 1.2, 0.32, 0.40, 0.36, 0.0),
    "upright": _string(7, 1.5, 0.9, 0.50, 0.28, 0.0),
    "bass": Struck(((1, 1, 1.6), (2, 0.35, 0.7), (3, 0.12, 0.3), (4, 0.05, 0.2)), attack_s=0.008),
    "vibes": _bar((1, 1, 1.6), (4, 0.13, 0.45), (10, 0.02, 0.08), tremolo_hz=5.1),
    "marimba": _bar((1, 1, 0.38), (3.93, 0.22, 0.12), (9.2, 0.03, 0.04)),
    "bell": _bar((1, 1, 1.8), (2.01, 0.25, 1.2), (3.01, 0.16, 0.9), (5.2, 0.05, 0.4), release_s=0.8),
    "pad": Sustained(24, 1.4, 1100, 0.9, 1.6),
    "choir": Sustained(32, 1.1, 800, 1.1, 1.8, breath=0.01),
    "strings": Sustained(16, 1.0, 2000, 0.35, 0.5),
    "violin": Sustained(9, 1.1, 2400, 0.12, 0.25),
    "synth": Sustained(20, 1.0, 1700, 0.3, 0.7),
    "flute": Sustained(6, 1.9, 2600, 0.07, 0.16, breath=0.05),
    "organ": Sustained(7, 1.5, 900, 1.4, 2.2),
}


def hertz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch (69 = A4 = 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def _seconds(n_frames: int) -> Floats:
    return np.arange(n_frames, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def _sine(hz: float, n_frames: int) -> Floats:
    # Phase in float64 and wrapped before it is narrowed: float32 phase would turn into noise within seconds.
    cycles = np.arange(n_frames) * (hz / SAMPLE_RATE_HZ)
    wave: Floats = np.sin(np.float32(2 * np.pi) * (cycles - np.floor(cycles)).astype(np.float32))
    return wave


def shaped_noise(rng: np.random.Generator, n_frames: int, shape: Shape) -> Floats:
    """Return mono noise of RMS 1 whose spectrum is `shape(hz)`; it is periodic: its end joins its beginning."""
    hz = np.fft.rfftfreq(n_frames, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    angle = 2 * np.pi * rng.random(len(hz), dtype=np.float32)
    noise = np.fft.irfft(shape(hz) * (np.cos(angle) + 1j * np.sin(angle)), n_frames)
    return (noise / max(1e-9, float(np.sqrt(np.mean(noise**2))))).astype(np.float32)


def band(low_hz: float, high_hz: float, order: int = 2) -> Shape:
    """Return a smooth band-pass between two corner frequencies, falling by 6 dB an octave and `order`."""

    def shape(hz: Floats) -> Floats:
        below = (hz / np.float32(low_hz)) ** order
        gain: Floats = below / (1 + below) / (1 + (hz / np.float32(high_hz)) ** order)
        return gain

    return shape


def around(loop: Floats, at_frame: int, n_frames: int) -> Floats:
    """Return `n_frames` of a periodic sound from `at_frame` on, round and round; a copy."""
    size = loop.shape[-1]
    at = at_frame % size
    turns = (at + n_frames - 1) // size + 1
    return (loop if turns <= 1 else np.tile(loop, turns))[..., at : at + n_frames].copy()


def _ringing(hz: Doubles, levels: Doubles, decays_s: Doubles, n_blocks: int) -> Floats:
    """Return the sum of decaying sines, mono, n_blocks * _BLOCK frames.

    A decaying sine is the imaginary part of z**i, and z**(k*_BLOCK + j) = z**(k*_BLOCK) * z**j: one small matrix
    product makes the whole note, all partials at once, with far fewer exponentials than samples.
    """
    rate = (2j * np.pi * hz - 1 / decays_s) / SAMPLE_RATE_HZ
    coarse = levels * np.exp(rate * (_BLOCK * np.arange(n_blocks))[:, None])
    fine = np.exp(rate * np.arange(_BLOCK)[:, None])
    left = np.concatenate([coarse.real, coarse.imag], axis=1).astype(np.float32)
    right = np.concatenate([fine.imag, fine.real], axis=1).astype(np.float32)
    note: Floats = (left @ right.T).ravel()
    return note


def struck(voice: Struck, pitch: int, brightness: float, rng: np.random.Generator) -> Floats:
    """Render one note that rings for RING_S; `brightness` (about 1) scales all but the first partial."""
    ratios, levels, decays_s = np.array(voice.partials).T
    hz = hertz(pitch) * ratios
    levels = levels * brightness ** np.minimum(np.arange(len(ratios)), 4) * (hz < TOP_HZ)
    decays_s = decays_s * (_REFERENCE_HZ / hertz(pitch)) ** 0.5
    n_blocks = round(RING_S * SAMPLE_RATE_HZ) // _BLOCK
    n_frames = n_blocks * _BLOCK
    seconds = _seconds(n_frames)
    # A hair's detuning between the sides gives width, as two strings of a choir do.
    note = np.stack([_ringing(hz * (1 + detune), levels, decays_s, n_blocks) for detune in (-0.0004, 0.0004)])
    if voice.knock:
        length = round(0.03 * SAMPLE_RATE_HZ)
        thud = shaped_noise(rng, length, band(90, 900)) * np.exp(-seconds[:length] / np.float32(0.006))
        note[:, :length] += np.float32(0.3 * voice.knock) * thud
    if voice.tremolo_hz:
        sway = 0.18 * _sine(voice.tremolo_hz, n_frames)
        note *= np.stack([1 + sway, 1 - sway])
    return fade(note, voice.attack_s, 0.3)


def sustained(voice: Sustained, pitch: int, rng: np.random.Generator) -> Floats:
    """Render SUSTAIN_FRAMES of an endless tone, periodic, RMS 1, without its attack and release."""
    hz = hertz(pitch)
    bins = np.arange(SUSTAIN_FRAMES // 2 + 1, dtype=np.float32)
    bin_hz = SAMPLE_RATE_HZ / SUSTAIN_FRAMES
    spectrum = np.zeros(len(bins), np.float32)
    for k in range(1, int(TOP_HZ / hz) + 1):
        level = k**-voice.rolloff / (1 + (k * hz / voice.cutoff_hz) ** 3)
        centre, width = k * hz / bin_hz, max(1.0, k * hz * (2 ** (voice.width_cents / 1200) - 1) / bin_hz)
        near = slice(max(1, int(centre - 4 * width)), int(centre + 4 * width) + 2)
        # Equal energy whatever the width: a wider band is lower.
        spectrum[near] += level / np.sqrt(width) * np.exp(-(((bins[near] - centre) / width) ** 2))
    if voice.breath:
        spectrum += voice.breath * float(spectrum.max()) * 0.02 * band(hz, 3 * hz)(bins * np.float32(bin_hz))
    angle = 2 * np.pi * rng.random(len(bins), dtype=np.float32)
    tone = np.fft.irfft(spectrum * (np.cos(angle) + 1j * np.sin(angle)))
    tone = (tone / np.sqrt(np.mean(tone**2))).astype(np.float32)
    # The same tone half a period later is its own stereo partner: equal in colour, unrelated in phase.
    return np.stack([tone, np.roll(tone, SUSTAIN_FRAMES // 2)])


def fade(sound: Floats, attack_s: float, release_s: float) -> Floats:
    """Fade `sound` in and out in place along raised cosines, and return it."""
    n_frames = sound.shape[-1]
    for seconds, edge in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        length = min(round(seconds * SAMPLE_RATE_HZ), n_frames)
        if length:
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length, dtype=np.float32) + 0.5) / length)
            sound[..., edge][..., :length] *= ramp.astype(np.float32)
    return sound


# Unpitched: (noise low Hz, noise high Hz, noise level, noise decay s, tone Hz, tone level, tone decay s)
_DRUMS: Final[dict[str, tuple[float, float, float, float, float, float, float]]] = {
    "kick": (60, 900, 0.22, 0.010, 50, 0.8, 0.11),
    "snare": (500, 3500, 0.30, 0.075, 185, 0.35, 0.06),
    "brush": (700, 3500, 0.18, 0.110, 190, 0.10, 0.05),
    "rim": (900, 3000, 0.14, 0.010, 780, 0.45, 0.018),
    "hat": (4200, 6500, 0.24, 0.022, 1, 0.0, 0.01),
    "shaker": (3300, 6000, 0.18, 0.032, 1, 0.0, 0.01),
    "ride": (2600, 4500, 0.09, 0.140, 2900, 0.015, 0.25),
    "tom": (60, 700, 0.10, 0.030, 96, 0.6, 0.16),
}


def drum(name: str, rng: np.random.Generator) -> Floats:
    """Render one stroke of the drum `name`."""
    low_hz, high_hz, noise_level, noise_decay_s, tone_hz, tone_level, tone_decay_s = _DRUMS[name]
    n_frames = round(0.7 * SAMPLE_RATE_HZ)
    seconds = _seconds(n_frames)
    # The skin is tightest at the stroke: the tone starts high and drops.
    sweep = tone_hz * (seconds + np.float32(0.028) * (1 - np.exp(-seconds / np.float32(0.025))))
    body = tone_level * np.sin(2 * np.pi * sweep) * np.exp(-seconds / np.float32(tone_decay_s))
    tail = noise_level * np.exp(-seconds / np.float32(noise_decay_s))
    rattle = np.stack([shaped_noise(rng, n_frames, band(low_hz, high_hz, 3)) for _ in range(2)])
    mixed = body + tail * (rattle + rattle.mean(0)) / 1.5
    return fade(mixed.astype(np.float32), 0.003 if tone_level else 0.006, 0.1)


def texture(name: str, n_frames: int, rng: np.random.Generator) -> Floats:
    """Return a background of RMS about 1: "rain", "stream", "vinyl", "wind" or "hum"."""
    loop = 9 * SAMPLE_RATE_HZ
    shapes = {
        "rain": band(250, 2200, 2),
        "stream": band(350, 1400, 3),
        "wind": band(90, 320, 2),
        "hum": band(40, 140, 2),
        "vinyl": band(200, 2500, 2),
    }
    sides = [shaped_noise(rng, loop, shapes[name]) for _ in range(2)]
    if name in ("wind", "stream"):
        # Slow swells, a whole number of them in the loop.
        turns = 2 * np.pi * np.arange(loop, dtype=np.float32) / loop
        sides = [side * (1 + 0.45 * np.sin(3 * turns + 2 * i)).astype(np.float32) for i, side in enumerate(sides)]
    ground = np.stack(sides)
    drops_a_second = {"rain": 45, "stream": 20, "vinyl": 9}.get(name, 0)
    strength = {"rain": 3.0, "stream": 2.0, "vinyl": 9.0}.get(name, 0.0)
    for _ in range(9 * drops_a_second):
        hz, decay_s = (rng.uniform(900, 2600), 0.004) if name != "vinyl" else (rng.uniform(700, 1800), 0.0012)
        length = round(8 * decay_s * SAMPLE_RATE_HZ)
        grain = _sine(hz, length) * np.exp(-_seconds(length) / np.float32(decay_s))
        at, level, pan = rng.integers(loop - length), strength * rng.random() ** 3, rng.random()
        ground[:, at : at + length] += fade(grain, 0.0004, 0.0) * np.array([[1 - pan], [pan]], np.float32) * level
    return around(ground, 0, n_frames)


def room(rng: np.random.Generator, decay_s: float, echo_s: float = 0.0) -> Floats:
    """Return the impulse response of a soft room (its highs die sooner), with an echo from side to side if asked."""
    n_frames = round((0.02 + 1.1 * decay_s) * SAMPLE_RATE_HZ)
    seconds = _seconds(n_frames)
    response = np.zeros((2, n_frames), np.float32)
    for low_hz, high_hz, level, share in ((150, 500, 1.0, 1.0), (400, 1600, 0.8, 0.75), (1500, 4500, 0.35, 0.45)):
        for side in response:
            decay = np.exp(-6.9 * seconds / np.float32(decay_s * share))
            side += level * shaped_noise(rng, n_frames, band(low_hz, high_hz)) * decay
    response = fade(response, 0.012, 0.2 * decay_s)
    response /= np.sqrt(np.sum(response**2) / 2)
    if echo_s:
        grown = np.zeros((2, n_frames + round(4 * echo_s * SAMPLE_RATE_HZ)), np.float32)
        grown[:, :n_frames] = 0.6 * response
        for turn in range(1, 5):
            at = round(turn * echo_s * SAMPLE_RATE_HZ)
            grown[turn % 2, at : at + n_frames // 2] += 0.62**turn * response[turn % 2, : n_frames // 2]
        response = grown
    return response


def convolve(sound: Floats, response: Floats) -> Floats:
    """Return `sound` heard in the room `response`, cut to the length of `sound` (overlap-add, channel by channel)."""
    n_frames, tail = sound.shape[1], response.shape[1]
    size = 1 << (2 * tail - 1).bit_length()
    hop = size - tail + 1
    heard = np.zeros((2, n_frames + size), np.float32)
    for channel in range(2):
        spectrum = np.fft.rfft(response[channel], size)
        for at in range(0, n_frames, hop):
            block = np.fft.irfft(np.fft.rfft(sound[channel, at : at + hop], size) * spectrum, size)
            heard[channel, at : at + size] += block
    return heard[:, :n_frames]
