"""Sounds made for tests: pieces whose samples are known, and a bed that can be told apart from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from music.analysis import analyse
from music.segment import SAMPLE_RATE_HZ, Analysis, Performance, Piece, Recipe, Samples, SegmentInfo, Source
from music.stations import Station
from programme.mixer import Mixer

T = TypeVar("T")

LOFI = Station("lofi", "Lo-fi", "ローファイ", ("a prompt",), 78, ("C major",), "4")
PIANO = Station("piano", "Piano", "ピアノ", ("another prompt",), 66, ("A minor",), "4")


def there(one: T | None) -> T:
    """Return what there is; where there is nothing, the test fails."""
    assert one is not None
    return one


def tone(seconds: float, *, amplitude: float = 0.1, hz: float = 300.0, rate_hz: int = SAMPLE_RATE_HZ) -> Samples:
    """Return a stereo sine, shape (n_frames, 2)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)
    return np.stack([wave, wave], axis=1)


def clicks(seconds: float, bpm: float, first_s: float) -> Samples:
    """Return strokes of 60 ms on every beat, as sharp as those of a drum."""
    samples = np.zeros((round(seconds * SAMPLE_RATE_HZ), 2), np.float32)
    stroke = np.random.default_rng(3).standard_normal((SAMPLE_RATE_HZ * 6 // 100, 1)).astype(np.float32)
    stroke = 0.3 * stroke * np.exp(-np.arange(len(stroke)) / 600)[:, None].astype(np.float32)
    for at in np.arange(first_s, seconds - 0.1, 60 / bpm):
        begin = round(at * SAMPLE_RATE_HZ)
        samples[begin : begin + len(stroke)] += stroke
    return samples


def info(
    seconds: float = 20.0, *, key: str = "one", station: str = "lofi", prompt: str = "a prompt", engine: str = "acestep"
) -> SegmentInfo:
    """Return the metadata of a segment that is audible from end to end."""
    frames = round(seconds * SAMPLE_RATE_HZ)
    recipe = Recipe(station, prompt, seconds, 78, "C major", "4")
    return SegmentInfo(
        key, recipe, engine, "42", "2026-01-02T03:04:05.678901+00:00", Analysis(frames, 0, frames, -23.0, -10.0)
    )


def piece(
    seconds: float,
    *,
    source: Source = Source.FRESH,
    key: str = "one",
    amplitude: float = 0.1,
    rate_hz: int = SAMPLE_RATE_HZ,
    about: SegmentInfo | None = None,
) -> Piece:
    """Return a piece that holds a tone."""
    return Piece(tone(seconds, amplitude=amplitude, rate_hz=rate_hz), source, key, about)


def performed(samples: Samples, stretch_frames: int = 1 << 40) -> Performance:
    """Return what the built-in engine would play, in stretches; the first of them is the opening."""
    found = analyse(samples, -45.0)
    stretches = (samples[at : at + stretch_frames] for at in range(0, len(samples), stretch_frames))
    return Performance(len(samples), min(stretch_frames, len(samples)), stretches, found.loudness_lufs, found.peak_dbfs)


class QuietBed:
    """A bed of constant level, so that any step in it is the mixer's."""

    LEVEL = 0.01
    peak = LEVEL

    def read(self, n_frames: int) -> bytes:
        """Return a constant."""
        return np.full((n_frames, 2), self.LEVEL, dtype=np.float32).tobytes()


def info_for(samples: Samples, prompt: str = "soft keys") -> SegmentInfo:
    """Return metadata that fit `samples`."""
    recipe = Recipe("lofi", prompt, 30.0, bpm=72, key_scale="C minor", time_signature="4")
    return SegmentInfo(
        segment_id="a1",
        recipe=recipe,
        engine="acestep",
        seed="42",
        created_at="2026-11-23T13:20:12.123456+00:00",
        analysis=Analysis(len(samples), 0, len(samples), -19.5, -1.25),
        generation_s=8.5,
    )


def played(
    mixer: Mixer, script: Iterable[tuple[int, Callable[[], None]]], frames: int, splits: Sequence[int]
) -> Samples:
    """Read so many frames, acting at the frames that the script says, in blocks of the sizes `splits` repeats."""
    waiting, sizes, blocks, at = sorted(script, key=lambda line: line[0]), itertools.cycle(splits), list[Samples](), 0
    while at < frames:
        while waiting and waiting[0][0] <= at:
            waiting.pop(0)[1]()
        blocks.append(mixer.read(min(next(sizes), (waiting[0][0] if waiting else frames) - at, frames - at)))
        at += len(blocks[-1])
    return np.concatenate(blocks)
