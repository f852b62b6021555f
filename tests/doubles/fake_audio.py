"""Audio bytes for the doubles of acestep-api: tones, and the bad files that a real server has been seen to give."""

from __future__ import annotations

import functools
import io

import numpy as np
import numpy.typing as npt
import soundfile

RATE_HZ = 48_000
CHORDS_HZ = ((220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7), (164.8, 196.0, 246.9))

BAD_KINDS = ("silent", "nan", "short", "empty", "garbage", "truncated", "web-page")
"""What `bad_audio` can make: all of it is served as a success with the type audio/wav."""


def chord(seconds: float, index: int = 0) -> npt.NDArray[np.float32]:
    """Return a soft chord with a pulse, peak below 0.5: float32, shape (n_frames, 2), at RATE_HZ."""
    time_s = np.arange(round(seconds * RATE_HZ), dtype=np.float32) / RATE_HZ
    pulse = 0.6 + 0.4 * np.cos(2 * np.pi * 1.25 * time_s, dtype=np.float32)
    tones = [np.sin(2 * np.pi * hz * time_s, dtype=np.float32) for hz in CHORDS_HZ[index % len(CHORDS_HZ)]]
    mono = 0.15 * pulse * np.sum(tones, axis=0, dtype=np.float32)
    return np.column_stack((mono, 0.9 * mono)).astype(np.float32)


def wav_bytes(samples: npt.NDArray[np.float32], subtype: str = "PCM_16") -> bytes:
    """Encode as a WAV file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype=subtype)
    return buffer.getvalue()


@functools.lru_cache(maxsize=16)
def _chord_wav(seconds: float, chord_index: int) -> bytes:
    return wav_bytes(chord(seconds, chord_index))


def good_wav(index: int, seconds: float) -> bytes:
    """Return the file of the result number `index`; repeats after a few, so that thousands are cheap."""
    return _chord_wav(seconds, index % len(CHORDS_HZ))


def bad_audio(kind: str, seconds: float) -> bytes:
    """Return one of BAD_KINDS."""
    if kind == "silent":
        return wav_bytes(np.zeros((round(seconds * RATE_HZ), 2), np.float32))
    if kind == "nan":
        return wav_bytes(np.full((round(seconds * RATE_HZ), 2), np.nan, np.float32), "FLOAT")
    if kind == "short":
        return good_wav(0, min(1.0, seconds / 10))
    if kind == "truncated":
        return good_wav(0, seconds)[: 44 + 4 * RATE_HZ // 10]
    fixed = {"empty": b"", "garbage": bytes(range(256)) * 512, "web-page": b"<!doctype html><title>Bad gateway</title>"}
    return fixed[kind]
