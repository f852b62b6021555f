"""How sound is stood for in tests: at full size, or so small that a day of it is mixed in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from base.errors import CorruptSegment
from builtin.bed import Bed
from doubles.fake_audio import chord
from generation.fetching import Ingest
from music.analysis import Segment, ingest
from music.segment import SAMPLE_RATE_HZ, Analysis, Endless, Recipe, Samples

TINY_HZ: Final = 200
STEADY: Final = 0.1  # samples at TINY scale: always positive, so that no two of them cancel out in a crossfade


@dataclass(frozen=True)
class Scale:
    """How sound is stood for. `rest_s`: how long the music itself may rest."""

    rate_hz: int
    rest_s: float
    ingest: Ingest
    render: Callable[[Recipe, int], Samples]
    bed: Callable[[], Endless]


class SteadyBed:
    """The bed at TINY scale: a constant at the real bed's level."""

    peak = 10 ** (-38 / 20)

    def read(self, n_frames: int) -> bytes:
        """Return the next frames."""
        return np.full((n_frames, 2), self.peak, np.float32).tobytes()


def steady(seconds: float) -> Samples:
    """Return sound at TINY scale: positive throughout, and no mere offset, which would be taken for silence."""
    samples = np.full((max(8, round(seconds * TINY_HZ)), 2), STEADY, np.float32)
    samples[::2] *= 0.5
    return samples


def tiny_ingest(path: Path, asked_s: float, cue_dbfs: float) -> Segment:
    """Read `<seconds> <audible seconds>`, what both servers send at TINY scale; the measurements are of full size."""
    try:
        length_s, audible_s = (float(word) for word in path.read_text("utf-8").split())
    except ValueError:
        raise CorruptSegment("not audio") from None
    length, cue_out = round(length_s * SAMPLE_RATE_HZ), round(audible_s * SAMPLE_RATE_HZ)
    return Segment(steady(audible_s), Analysis(length, 0, cue_out, -18.0, -1.0))


def tiny_file(_number: int, seconds: float) -> bytes:
    """Return what `tiny_ingest` reads, for FakeAcestep."""
    return f"{seconds} {0.8 * seconds}".encode()


def chord_piece(recipe: Recipe, seed: int) -> Samples:
    """Stand in for the built-in engine at FULL scale."""
    return chord(recipe.duration_s, seed)


TINY: Final = Scale(TINY_HZ, 0.0, tiny_ingest, lambda recipe, _seed: steady(recipe.duration_s), SteadyBed)
FULL: Final = Scale(SAMPLE_RATE_HZ, 0.25, ingest, chord_piece, Bed)
