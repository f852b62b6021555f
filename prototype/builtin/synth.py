"""The synthesised instruments, in numpy alone: how the three models of `voices` sound, and the player of a part.

Low partials stand in the middle, and what differs between the sides never cancels: the sum of both keeps its level.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from builtin.score import Articulation, Floats, Note, Part, amplitude
from builtin.signals import Kept, Ringing, around, band, fade, hertz, keep, seconds, shaped_noise
from builtin.voices import VOICES, Choir, Solo, Struck
from music.segment import SAMPLE_RATE_HZ

Doubles = npt.NDArray[np.float64]

REFERENCE_RMS: Final = 0.1  # of a note of full velocity, over REFERENCE_S
REFERENCE_S: Final = 0.4
LONGEST_RING_S: Final = 9.0
LOOP_FRAMES: Final = 1 << 17
TABLE_FRAMES: Final = 2048
TOP_HZ: Final = 15_000.0
MONO_HZ: Final = 180.0
KNOCK: Final = (110.0, 900.0, 0.006, 0.0)  # the low and the high noise of a stroke, as `_burst` makes it
AIR: Final = (1800.0, 8500.0, 0.010, 0.35)

_REFERENCE_HZ = 261.6
_BLOCK = 512


# -- struck ------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=96)
def _modes(voice: Struck, pitch: int) -> tuple[Doubles, Doubles, Doubles, Floats, Floats]:
    """Return a pitch's partials below TOP_HZ: ratios, levels, rates of z, the sides' gains, and a block of z**i.

    The levels make REFERENCE_RMS over REFERENCE_S, worked out from the decays.
    """
    ratios, levels, decays_s = np.array(voice.partials).T
    kept = hertz(pitch) * ratios < TOP_HZ
    ratios, levels, decays_s = ratios[kept], levels[kept], decays_s[kept] * (_REFERENCE_HZ / hertz(pitch)) ** 0.5
    power = levels**2 / 2 * decays_s / 2 * (1 - np.exp(-2 * REFERENCE_S / decays_s)) / REFERENCE_S
    levels = levels * REFERENCE_RMS / np.sqrt(power.sum())
    hz = hertz(pitch) * ratios
    rates = (2j * np.pi * hz - 1 / decays_s) / SAMPLE_RATE_HZ
    sway = voice.width * np.where(np.arange(len(hz)) % 2, 1, -1) * np.clip((hz - MONO_HZ) / 300, 0, 1)
    sides = np.sqrt(np.stack([1 + sway, 1 - sway])).astype(np.float32)
    fine = np.exp(rates * np.arange(_BLOCK)[:, None])
    return ratios, levels, rates, sides, np.concatenate([fine.imag, fine.real], axis=1).T.astype(np.float32)


def struck(voice: Struck, pitch: int, velocity: float, n_frames: int, rng: np.random.Generator) -> Floats:
    """Render one note at full level, as bright as its velocity makes it.

    A decaying sine is the imaginary part of z**i, and z**(k*_BLOCK + j) = z**(k*_BLOCK) * z**j: one small matrix
    product makes the whole note, all partials at once, with far fewer exponentials than samples.
    """
    ratios, levels, rates, sides, fine = _modes(voice, pitch)
    levels = levels * ratios ** (voice.soft * (velocity - 0.75)) * rng.uniform(0.85, 1.15, len(levels))
    n_blocks = -(-n_frames // _BLOCK)
    coarse = levels * np.exp(rates * (_BLOCK * np.arange(n_blocks))[:, None])
    both = np.concatenate([coarse.real, coarse.imag], axis=1).astype(np.float32)
    if voice.width:
        note = np.stack([((both * np.tile(side, 2)) @ fine).ravel()[:n_frames] for side in sides])
    else:
        note = np.tile((both @ fine).ravel()[:n_frames], (2, 1))
    for level, noise in ((voice.knock, _burst(*KNOCK)), (voice.air * velocity, _burst(*AIR))):
        length = min(n_frames, noise.shape[1])
        note[:, :length] += np.float32(REFERENCE_RMS * level) * noise[:, :length]
    return fade(note, voice.attack_s, 0.0)


@functools.cache
def _burst(low_hz: float, high_hz: float, decay_s: float, width: float) -> Floats:
    """Return the noise of a stroke: 60 ms, starting at RMS 1."""
    length, rng = round(0.06 * SAMPLE_RATE_HZ), np.random.default_rng(1)
    middle, side = (shaped_noise(rng, length, band(low_hz, high_hz)) for _ in range(2))
    noise = np.stack([middle + width * side, middle - width * side]) * np.exp(-seconds(length) / np.float32(decay_s))
    return fade(noise.astype(np.float32), 0.0, 0.01)


# -- sustained ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=40)
def _choir_loop(voice: Choir, pitch: int) -> Kept:
    """Return LOOP_FRAMES of an endless tone, mono, periodic, of RMS 1."""
    hz = hertz(pitch)
    rng = np.random.default_rng(pitch)
    bins = np.arange(LOOP_FRAMES // 2 + 1, dtype=np.float32)
    bin_hz = SAMPLE_RATE_HZ / LOOP_FRAMES
    spectrum = np.zeros(len(bins), np.float32)
    for k in range(1, int(TOP_HZ / hz) + 1):
        level = k**-voice.rolloff / (1 + (k * hz / voice.cutoff_hz) ** 2)
        centre, width = k * hz / bin_hz, max(1.0, k * hz * (2 ** (voice.width_cents / 1200) - 1) / bin_hz)
        near = slice(max(1, int(centre - 4 * width)), int(centre + 4 * width) + 2)
        # Equal energy whatever the width: a wider band is lower.
        spectrum[near] += level / np.sqrt(width) * np.exp(-(((bins[near] - centre) / width) ** 2))
    if voice.air:
        total = float(np.sqrt((spectrum**2).sum()))
        noise = band(2500, 9000)(bins * np.float32(bin_hz))
        spectrum += voice.air * total * noise / float(np.sqrt((noise**2).sum()))
    angle = 2 * np.pi * rng.random(len(bins), dtype=np.float32)
    tone = np.fft.irfft(spectrum * (np.cos(angle) + 1j * np.sin(angle)))
    return keep(np.asarray(tone / np.sqrt(np.mean(tone**2)), np.float32))


def choir(voice: Choir, pitch: int, n_frames: int, rng: np.random.Generator) -> Floats:
    """Render `n_frames` of the endless tone, from anywhere in it, so that repeated notes are not copies.

    The same tone half a period later is its own partner: equal in colour, unrelated in phase. Added on one side and
    taken away on the other it makes width, and vanishes in the sum.
    """
    (scale, loop), at = _choir_loop(voice, pitch), int(rng.integers(LOOP_FRAMES))
    level = scale * np.float32(REFERENCE_RMS / np.sqrt(1 + voice.width**2))
    middle = level * around(loop, at, n_frames)
    level *= np.float32(voice.width * np.clip((hertz(pitch) - 100) / 100, 0, 1))
    side = level * around(loop, at + LOOP_FRAMES // 2, n_frames)
    return np.stack([middle + side, middle - side])


@functools.cache
def _wind() -> Floats:
    """Return the noise of bows and breath, mono, periodic."""
    return shaped_noise(np.random.default_rng(2), LOOP_FRAMES, band(1000, 6500, 2))


def _wavetable(voice: Solo, pitch: int, velocity: float) -> Floats:
    """Return one turn of the tone, of RMS 1; a softer note is duller."""
    hz = hertz(pitch)
    k = np.arange(1, max(2, min(TABLE_FRAMES // 2, int(TOP_HZ / hz))))
    cutoff_hz = voice.cutoff_hz * (0.55 + 0.6 * velocity)
    levels = k**-voice.rolloff / (1 + (k * hz / cutoff_hz) ** 2) * np.where(k % 2, 1.0, voice.even)
    levels *= 1 + 0.5 * np.sin(k * hz / 310)  # the body's resonances, which do not move with the pitch
    levels /= np.sqrt((levels**2).sum() / 2)
    spectrum = np.zeros(TABLE_FRAMES // 2 + 1, np.complex128)
    spectrum[k] = levels * np.exp(1j * k * k * 0.7)
    table = np.fft.irfft(spectrum) * TABLE_FRAMES / 2
    return np.append(table, table[0]).astype(np.float32)


def solo(
    voice: Solo, pitch: int, velocity: float, n_frames: int, rng: np.random.Generator, glide_from: int | None = None
) -> Floats:
    """Render `n_frames` of one voice; its vibrato comes after a while, and a bound note glides from the one before."""
    table = _wavetable(voice, pitch, velocity)
    time_s = seconds(n_frames)
    cents = (
        np.float32(voice.vibrato_cents)
        * np.sin(
            2 * np.pi * np.float32(voice.vibrato_hz * rng.uniform(0.94, 1.06)) * time_s + np.float32(rng.uniform(0, 6))
        )
        * np.clip((time_s - 0.18) / 0.45, 0, 1).astype(np.float32)
    )
    if glide_from is not None:
        cents += 100 * np.float32(np.clip(glide_from - pitch, -2, 2)) * np.exp(-time_s / np.float32(0.018))
    tones = []
    for detune in (0, -1, 1) if voice.chorus_cents else (0,):
        hz = hertz(pitch) * 2.0 ** ((cents + detune * voice.chorus_cents / 2) / 1200)
        place = np.cumsum(hz.astype(np.float64) * (TABLE_FRAMES / SAMPLE_RATE_HZ)) + rng.uniform(0, TABLE_FRAMES)
        whole = place.astype(np.int64)
        part = (place - whole).astype(np.float32)
        index = whole % TABLE_FRAMES
        tones.append(table[index] * (1 - part) + table[index + 1] * part)
    # The neighbours of a chorus stay well below the voice itself, one a side: two equals would beat.
    tone = np.stack([tones[0] + np.float32(0.22) * tones[side] for side in (1, 2)] if tones[1:] else tones * 2)
    if voice.noise:
        tone += np.float32(voice.noise) * around(_wind(), int(rng.integers(LOOP_FRAMES)), n_frames)
    return np.asarray(np.float32(REFERENCE_RMS) * tone, np.float32)


# -- playing -----------------------------------------------------------------------------------------------------------


class NumpyPlayer:
    """Plays a part with one of VOICES (see `score.Player`).

    Threads: the one that renders.
    """

    def __init__(self, part: Part, seed: int) -> None:
        self._voice = VOICES[part.instrument]
        self._rng = np.random.default_rng(seed % 2**128)
        self._ringing = Ringing()
        self._before: Note | None = None

    def play(self, notes: Sequence[Note], first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames` with what begins in them, and keep what rings on."""
        sounds = ((max(0, note.frame - first_frame), self._sound(note)) for note in notes)
        bus = self._ringing.add(sounds, n_frames)
        hz = self._voice.tremolo_hz if isinstance(self._voice, Struck) else 0.0
        if hz:
            turns = (first_frame + np.arange(n_frames)) * (hz / SAMPLE_RATE_HZ) % 1.0
            sway = (0.16 * np.sin(2 * np.pi * turns)).astype(np.float32)
            bus = bus * np.stack([1 + sway, 1 - sway])
        return bus

    def _sound(self, note: Note) -> Floats:
        voice, before, self._before = self._voice, self._before, note
        length_s = min(note.length_s, LONGEST_RING_S)
        muted = isinstance(voice, Struck) and note.articulation is Articulation.MUTED
        release_s = 0.05 if muted else voice.release_s
        # At the very beginning the music is there at once, as if it had begun before.
        attack_s = min(voice.attack_s, length_s / 2) if note.start_s > 0.05 else 0.08
        n_frames = max(1, round((length_s + release_s) * SAMPLE_RATE_HZ))
        if isinstance(voice, Struck):
            sound, attack_s = struck(voice, note.pitch, note.velocity, n_frames, self._rng), 0.0
        elif isinstance(voice, Choir):
            sound = choir(voice, note.pitch, n_frames, self._rng)
        else:
            bound = note.articulation is Articulation.LEGATO and before is not None
            sound = solo(
                voice, note.pitch, note.velocity, n_frames, self._rng, before.pitch if bound and before else None
            )
            attack_s *= 0.4 if bound else 1.0
        fade(sound, attack_s, release_s)
        sound *= np.float32(amplitude(note.velocity))
        return sound
