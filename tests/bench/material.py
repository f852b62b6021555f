"""What the players are given to play: an album that betrays every lost sample, pure tones, and spools."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from base.notices import Notices
from base.workers import SystemClock
from listening.listening import RATE_HZ
from music.analysis import analyse
from music.segment import Recipe, Samples, SegmentInfo
from spool.spool import Spool

CUE_DBFS: Final = -45.0
REAL_SEGMENTS: Final = Path(__file__).resolve().parents[3] / "shared" / "real_segments"
TONES_HZ: Final = tuple(220.0 * 1.3**step for step in range(8))


def marker(seconds: float, seed: int = 0) -> Samples:
    """Return smooth stereo that never repeats itself: chords that wander, under soft noise below 1 kHz.

    It bends so little that any cut stands out, and no two moments of it are alike.
    """
    n_frames = round(seconds * RATE_HZ)
    random = np.random.default_rng(seed)
    time_s = np.arange(n_frames) / RATE_HZ
    mono = np.zeros(n_frames)
    for hz in (110.0, 164.8, 220.0, 277.2, 329.6):
        sway = np.interp(time_s, np.arange(0, seconds + 2), random.normal(0, 4, int(seconds) + 3)[: int(seconds + 2)])
        mono += 0.0375 * np.sin(2 * np.pi * hz * time_s + sway)
    noise = np.convolve(random.normal(0, 1, n_frames), np.hanning(96) / np.hanning(96).sum(), "same")
    left = mono + 0.045 * noise
    return np.column_stack((left, 0.9 * left)).astype(np.float32)


def album(folder: Path, count: int, seconds: float) -> list[Path]:
    """Write one continuous piece as `count` files of `seconds`: 16-bit WAV at 48 kHz."""
    whole = marker(count * seconds)
    return [write(folder / f"album-{index:02}.wav", part) for index, part in enumerate(np.array_split(whole, count))]


def write(path: Path, samples: Samples) -> Path:
    """Write a 16-bit WAV file."""
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    return path


def joined(paths: Sequence[Path]) -> Samples:
    """Read files one behind the other."""
    return np.concatenate([soundfile.read(path, dtype="float32", always_2d=True)[0] for path in paths])


def fill_spool(root: Path, pieces: Sequence[Samples], shelf: str = "kept") -> Path:
    """Put pieces into a spool as segments that were generated, and return its folder."""
    spool = Spool(root, 10_000, Notices(SystemClock()), SystemClock())
    spool.open()
    for index, samples in enumerate(pieces):
        measured = analyse(samples, CUE_DBFS)
        info = SegmentInfo(
            segment_id=f"piece-{index:02}",
            recipe=Recipe("lofi", "a piece to measure with", len(samples) / RATE_HZ),
            engine="bench",
            seed=str(index),
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            analysis=measured,
        )
        spool.add(samples, info, shelf=shelf)
    spool.close()
    return root


def median(values: Sequence[float]) -> float:
    """Return the median of what was measured, infinite when nothing was."""
    return statistics.median(values) if values else float("inf")
