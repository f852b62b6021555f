"""What is wrong, or only unusual, with the files that acestep-api gives: real bytes, at 48 kHz."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import soundfile
import soxr

from doubles.fake_audio import BAD_KINDS, chord, wav_bytes
from music.segment import SAMPLE_RATE_HZ, Samples
from whole.faults.levers import fake, once, server
from whole.faults.table import Fault
from whole.harness import Programme

AREA: Final = "audio data"
BAD: Final = {
    "silent": "files of pure silence",
    "nan": "files full of NaN",
    "short": "files of 1 s instead of 20",
    "empty": "files of 0 bytes",
    "garbage": "random bytes",
    "truncated": "WAV files that lack their end",
    "web-page": "web pages with the type audio/wav",
}
BRIEF: Final = {"prefetch_target": 1, "engine": "acestep"}  # little to play and to render: 48 kHz take time
Shape = Callable[[Samples], Samples]


def bad_next(kind: str) -> Callable[[Programme], None]:
    """Let two jobs give bad files."""
    return lambda programme: fake(programme).plan(kind, kind)


@functools.lru_cache(maxsize=32)
def encoded(seconds: float, index: int, kind: str, subtype: str, rate_hz: int, channels: int) -> bytes:
    """Return a chord in any format."""
    samples = soxr.resample(chord(seconds, index), SAMPLE_RATE_HZ, rate_hz)[:, :channels]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def unusual(name: str, kind: str, subtype: str, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 2) -> Fault:
    """Return the row of a format that must be played like any other."""

    def audio(number: int, seconds: float) -> bytes:
        return encoded(seconds, number % 2, kind, subtype, rate_hz, channels)

    return _row(name, audio, rejected=False)


def shaped(name: str, shape: Shape, *, rejected: bool) -> Fault:
    """Return the row of float files whose samples are changed."""

    @functools.lru_cache(maxsize=2)
    def audio(_number: int, seconds: float) -> bytes:
        return wav_bytes(shape(chord(seconds)), "FLOAT")

    return _row(name, lambda number, seconds: audio(0, seconds), rejected=rejected)


def _row(name: str, audio: Any, *, rejected: bool) -> Fault:
    return Fault(
        AREA,
        name,
        server(audio=audio),
        "segment.rejected" if rejected else "",
        30.0,
        BRIEF,
        http=True,
        full=True,
        loses=rejected,
        holds=lambda programme: programme.said("segment.rejected") == rejected,
    )


ROWS = (
    *(
        Fault(AREA, BAD[kind], once(bad_next(kind)), "segment.rejected", 30.0, BRIEF, http=True, full=True)
        for kind in BAD_KINDS
    ),
    shaped("samples of 1e20", lambda samples: samples * np.float32(1e20), rejected=True),
    shaped("nothing but a constant offset", lambda samples: np.full_like(samples, 0.5), rejected=True),
    shaped("infinite samples", lambda samples: np.full_like(samples, np.inf), rejected=True),
    shaped("peaks at four times full scale", lambda samples: samples * np.float32(8), rejected=False),
    shaped("one side silent", lambda samples: samples * np.array([1, 0], np.float32), rejected=False),
    unusual("MP3 data under .wav", "MP3", "MPEG_LAYER_III"),
    unusual("FLAC, 24 bit", "FLAC", "PCM_24"),
    unusual("WAV, mono at 44.1 kHz", "WAV", "PCM_16", 44_100, 1),
    unusual("WAV, 32-bit float", "WAV", "FLOAT"),
)
