"""How sound is stood for in tests: at full size, or so small that a day of it is mixed in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from doubles.fake_audio import chord
from doubles.scripted_server import scripted_ingest
from generation.continuing import Joints
from generation.fetching import Ingest
from music import joining
from music.analysis import Segment, ingest
from music.segment import (
    CHANNELS,
    SAMPLE_RATE_HZ,
    Audio,
    Context,
    Continuation,
    Recipe,
    Samples,
    SegmentInfo,
)

TINY_HZ: Final = 200
STEADY: Final = 0.1  # samples at TINY scale: always positive, so that no two of them cancel out in a crossfade


@dataclass(frozen=True)
class Scale:
    """How sound is stood for. `rest_s`: how long the music itself may rest."""

    rate_hz: int
    rest_s: float
    ingest: Ingest
    render: Callable[[Recipe, int], Samples]
    joints: Joints


def steady(seconds: float) -> Samples:
    """Return sound at TINY scale: positive throughout, and no mere offset, which would be taken for silence."""
    samples = np.full((max(8, round(seconds * TINY_HZ)), 2), STEADY, np.float32)
    samples[::2] *= 0.5
    return samples


def tiny_ingest(path: Path, asked_s: float, cue_dbfs: float) -> Segment:
    """Read `<seconds> <audible seconds>`, what both servers send at TINY scale; the measurements are of full size."""
    found = scripted_ingest(path, asked_s, cue_dbfs).analysis
    return Segment(steady(found.cue_out_frames / SAMPLE_RATE_HZ), found)


@dataclass(frozen=True)
class TinyJoints:
    """Joins as `music.joining` does, without listening: at the places of full size, now to the sample, now by a fade.

    One result of so many (by its seed) does not fit; 0: all do.
    """

    misfit_of: int = 8

    def plan(self, info: SegmentInfo, samples: Audio, longest_s: float, wanted_s: float) -> Context | None:
        """Take the music to end 3 s before its cue-out."""
        found, place = info.analysis, info.recipe
        end = found.cue_out_frames - 3 * SAMPLE_RATE_HZ
        if info.continues:
            end = min(end, round((joining.GUARD_S + place.duration_s) * SAMPLE_RATE_HZ))
        whole = np.broadcast_to(np.float32(0), (found.length_frames, CHANNELS))
        span = joining.context_of(whole, found.cue_in_frames, end, longest_s, place.bar_s)
        more = round((wanted_s + joining.OVERRUN_S) * SAMPLE_RATE_HZ)
        return span and Context(info.segment_id, *span, span[1] - span[0] + more)

    def canvas(self, samples: Audio, context: Context) -> bytes:
        """Return something."""
        return b"a context"

    def join(
        self, found: tuple[SegmentInfo, Audio] | None, recipe: Recipe, made: Segment, cue_dbfs: float
    ) -> joining.Joined:
        """Join without looking."""
        place, seed = recipe.continues, recipe.seed or 0
        assert place is not None
        early = round(joining.GUARD_S * SAMPLE_RATE_HZ)
        cut = place.length_frames - early
        length, cue_out = made.analysis.length_frames - cut, made.analysis.cue_out_frames - cut
        new = Segment(
            steady(cue_out / SAMPLE_RATE_HZ), replace(made.analysis, length_frames=length, cue_out_frames=cue_out)
        )
        if found is None or (self.misfit_of and seed % self.misfit_of == 0):
            return joining.Joined(new, None, "harmony" if found else "")
        before, at = found[0], place.end_frames - early
        begins_s = before.begins_s + (at - before.analysis.cue_in_frames) / SAMPLE_RATE_HZ
        fade = seed % 2 * round(joining.FADE_S * SAMPLE_RATE_HZ)
        ours = before.continues or before.analysis
        return joining.Joined(
            new,
            Continuation(
                before.segment_id, at, fade, before.piece_id, begins_s, ours.loudness_lufs, ours.peak_dbfs, 0.0
            ),
            "",
        )


def tiny_file(_number: int, seconds: float) -> bytes:
    """Return what `tiny_ingest` reads, for FakeAcestep."""
    return f"{seconds} {0.8 * seconds}".encode()


def chord_piece(recipe: Recipe, seed: int) -> Samples:
    """Stand in for the built-in engine at FULL scale."""
    return chord(recipe.duration_s, seed)


# A rest of one frame: the softened edges of a piece are 1.2 s long here, and those of a liked one are so each time.
TINY: Final = Scale(TINY_HZ, 1 / TINY_HZ, tiny_ingest, lambda recipe, _seed: steady(recipe.duration_s), TinyJoints())
FULL: Final = Scale(SAMPLE_RATE_HZ, 0.25, ingest, chord_piece, joining)
