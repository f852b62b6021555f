"""A stand-in for the model that knows one long composition: every job gives a part of it, and joins can be measured.

text2music gives an excerpt that ends as real segments do: the music dies away, and seconds of dead air follow. repaint
looks for the context in the composition by correlation and gives what comes after it, in one of the ways that servers
do (HOW). No two seconds of the composition are alike, so that a place in it is found without doubt.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from doubles.fake_audio import RATE_HZ, wav_bytes

BPM: Final = 96
BEAT_FRAMES: Final = RATE_HZ * 60 // BPM
LENGTH_S: Final = 260
PEAK: Final = 10 ** (-1 / 20)
ENDING_S: Final = 3.0  # the music dies away …
DEAD_S: Final = 4.0  # … before so much dead air
SPLICE_FRAMES: Final = RATE_HZ // 40
COARSE: Final = 16
CODEC_DELAY_FRAMES: Final = 17
CODEC_NOISE: Final = 10 ** (-20 / 20)
SOUGHT_S: Final = 6
EXCERPTS_S: Final = (20.0, 45.0, 30.0, 60.0, 35.0)
CHORDS: Final = ((57, 60, 64, 67), (53, 57, 60, 64), (60, 64, 67, 71), (55, 59, 62, 65))  # A minor and C major

HOW: Final = ("newer", "older", "key", "tempo", "quiet", "dying", "silent", "unchanged", "other")
"""How a repaint comes out: spliced and peak-normalised; as a round trip through a codec; in another key, tempo or
level; dying soon; nothing but silence after the context; the upload unchanged; another piece altogether."""

Audio = npt.NDArray[np.float32]


@functools.cache
def composition() -> Audio:
    """Return the whole composition: float32, shape (n_frames, 2), peak below 0.5."""
    rng = np.random.default_rng(20260212)
    total = LENGTH_S * RATE_HZ
    music = np.zeros((total + 4 * RATE_HZ, 2), np.float32)
    for beat in range(total // BEAT_FRAMES):
        begin = beat * BEAT_FRAMES
        chord = CHORDS[beat // 4 % len(CHORDS)]
        if beat % 4 == 0:
            _add(music, begin, chord[0] - 12, 4.0, 0.10, 0.5)
            for pitch in chord:
                _add(music, begin, pitch, 3.0, 0.035, rng.uniform(0.3, 0.7))
        _add(music, begin, int(rng.choice(chord)) + 12, 0.8, rng.uniform(0.05, 0.09), rng.uniform(0.2, 0.8))
        music[begin : begin + 2400] += _strike(rng)
    return music[:total]


def _strike(rng: np.random.Generator) -> Audio:
    """Return a soft stroke of noise, different at every beat."""
    decay = np.exp(-np.arange(2400) / 500)[:, np.newaxis]
    return (0.05 * decay * rng.standard_normal((2400, 2))).astype(np.float32)


def _add(music: Audio, begin: int, pitch: int, seconds: float, level: float, pan: float) -> None:
    part = music[begin : begin + round(seconds * RATE_HZ)]
    part += level * _tone(pitch, seconds)[: len(part), np.newaxis] * np.sqrt([1 - pan, pan]).astype(np.float32)


@functools.cache
def _tone(pitch: int, seconds: float) -> Audio:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * 440.0 * 2 ** ((pitch - 69) / 12) * times
    envelope = (
        np.exp(-2.5 * times / seconds) * np.minimum(1.0, times / 0.005) * np.minimum(1.0, (seconds - times) / 0.05)
    )
    return (envelope * (np.sin(phase) + 0.3 * np.sin(2 * phase))).astype(np.float32)


def place_of(sound: Audio) -> int:
    """Return the frame of the composition at which a stretch of it begins, whatever its level: found coarsely first."""
    whole, stretch = _coarse(), _mono_blocks(sound)
    size = 1 << (len(whole) + len(stretch) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(stretch, size)), size)
    energy = np.concatenate(([0.0], np.cumsum(whole.astype(np.float64) ** 2)))
    strength = np.sqrt(np.maximum(energy[len(stretch) :] - energy[: -len(stretch)], 1e-9))
    near = COARSE * int((product[: len(strength)] / strength).argmax())
    music, middle = composition(), len(sound) // 2
    part = sound[middle : middle + RATE_HZ]
    places = [place for place in range(near - 2 * COARSE, near + 2 * COARSE) if place >= 0]
    return max(places, key=lambda place: float(np.vdot(music[place + middle :][: len(part)], part)))


@functools.cache
def _coarse() -> Audio:
    return _mono_blocks(composition())


def _mono_blocks(sound: Audio) -> Audio:
    whole = len(sound) // COARSE * COARSE
    return np.asarray(sound[:whole].reshape(-1, 2 * COARSE).mean(axis=1))


def excerpt(index: int, seconds: float) -> Audio:
    """Return the excerpt number `index`, as text2music gives it."""
    begin = round(EXCERPTS_S[index % len(EXCERPTS_S)] * RATE_HZ)
    return _normalised(_ended(composition()[begin : begin + round(seconds * RATE_HZ)]))


def continued(upload: Audio, start_s: float, end_s: float, how: str, index: int = 0) -> Audio:
    """Return what a repaint of `upload` gives: as long as it is padded, new from `start_s` to `end_s`.

    `index` chooses what comes instead of the composition's own next bars, where `how` says so.
    """
    start, length = round(start_s * RATE_HZ), max(len(upload), round(end_s * RATE_HZ))
    kept = upload[:start]
    if how in ("unchanged", "silent"):
        result = np.zeros((length, 2), np.float32)
        result[: len(upload)] = upload
        return _normalised(result) if how == "silent" else result
    after = place_of(kept[-SOUGHT_S * RATE_HZ :]) + min(len(kept), SOUGHT_S * RATE_HZ)
    scale = _scale(kept, after)
    fresh = scale * _fresh(after, length - start, how)
    if how == "other":
        return excerpt(index + 1, length / RATE_HZ)
    if how == "older":
        return _round_trip(np.concatenate([kept, _ended(fresh)]))
    # The model's own version of the context's last moment fades into what it was given.
    fade = np.linspace(0.0, 1.0, 2 * SPLICE_FRAMES, dtype=np.float32)[:, np.newaxis]
    own = scale * composition()[after - 2 * SPLICE_FRAMES : after]
    edge = kept[-2 * SPLICE_FRAMES :] * (1 - fade) + own * fade
    return _normalised(np.concatenate([kept[: -2 * SPLICE_FRAMES], edge, _ended(fresh)]))


def repainted(how: str) -> Callable[[dict[str, Any], int], bytes]:
    """Return the model behind FakeAcestep: what was asked, and the number of the file -> its bytes."""

    def repaint(asked: dict[str, Any], number: int) -> bytes:
        upload, _ = soundfile.read(io.BytesIO(asked["src_audio"]), dtype="float32", always_2d=True)
        start, end = float(asked["repainting_start"]), float(asked["repainting_end"])
        return wav_bytes(continued(upload, start, end, how, number), "FLOAT")

    return repaint


def _scale(kept: Audio, after: int) -> np.float32:
    """Return how loud the context is against the composition."""
    original = composition()[after - min(len(kept), SOUGHT_S * RATE_HZ) : after]
    heard = kept[-len(original) :]
    return np.float32(np.vdot(heard, original) / np.vdot(original, original))


def _fresh(after: int, n_frames: int, how: str) -> Audio:
    """Return the new part, `n_frames`, before its ending is made."""
    music = composition()
    following = np.resize(music[after:], (n_frames, 2)) if after + n_frames > len(music) else music[after:][:n_frames]
    if how in ("key", "tempo"):
        # Played faster: by a semitone, which changes the key and hardly the tempo, or by a fifth of the tempo.
        ratio = 2 ** (1 / 12) if how == "key" else 1.2
        source = np.resize(music[after:], (round(n_frames * ratio) + 64, 2))
        return np.asarray(soxr.resample(source, ratio * RATE_HZ, RATE_HZ)[:n_frames], np.float32)
    if how == "quiet":
        return following * np.float32(10 ** (-16 / 20))
    if how == "dying":
        dying = 10 ** (-np.arange(n_frames) / RATE_HZ * 12 / 20)  # 12 dB a second
        return following * dying.astype(np.float32)[:, np.newaxis]
    return following


def _ended(music: Audio) -> Audio:
    """Let the music die away before its end."""
    frames = np.arange(len(music))[::-1] / RATE_HZ
    gain = np.clip((frames - DEAD_S) / ENDING_S, 0.0, 1.0) ** 2
    return music * np.maximum(gain, 1e-4).astype(np.float32)[:, np.newaxis]


def _normalised(music: Audio) -> Audio:
    return music * np.float32(PEAK / max(float(np.abs(music).max(initial=0.0)), 1e-9))


def _round_trip(music: Audio) -> Audio:
    """Return the same music as a codec gives it back: dispersed, coloured, a little late, with a noise of its own."""
    hz = np.fft.rfftfreq(1024, 1 / RATE_HZ)
    angle = 0.4 * np.sin(2 * np.pi * hz / 3000) - 2 * np.pi * hz * CODEC_DELAY_FRAMES / RATE_HZ
    kernel = np.fft.irfft(10 ** (0.02 * np.cos(2 * np.pi * hz / 4000)) * np.exp(1j * angle), 1024)
    size = 1 << (len(music) + 1024).bit_length()
    response = np.fft.rfft(np.roll(kernel, 512), size)[:, np.newaxis]
    coded = np.fft.irfft(np.fft.rfft(music, size, axis=0) * response, size, axis=0)[512 : 512 + len(music)]
    noise = np.random.default_rng(len(music)).standard_normal(coded.shape, np.float32)
    level = CODEC_NOISE * np.sqrt(np.mean(coded**2))
    return np.asarray(np.clip(coded + level * noise, -1, 1), np.float32)
