"""What the built-in pieces are asked to be, and the one that waits on the disk for the next session."""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.errors import CorruptSegment
from base.files import replace_safely
from base.workers import Later, at_once
from music import audio_files
from music.segment import Analysis, Recipe, Samples, SegmentInfo
from music.stations import Station

BUILTIN_S: Final = (150.0, 180.0, 120.0, 210.0)  # one after the other


class Openings:
    """The opening of the next session's first built-in piece, as one WAV file: music without waiting for its making.

    `version` names what makes it; one of another version, station or prompt is stale, and not used. Losing it is no
    harm, so no failure is reported. Threads: any, one at a time.
    """

    def __init__(self, path: Path, version: str, later: Later = at_once) -> None:
        """`later` has it written by who may wait for the disk."""
        self._path = path
        self._version = version
        self._later = later

    def load(self, station: Station) -> tuple[Recipe, int, Samples] | None:
        """Return recipe, seed and first frames of a piece of `station`, chosen by what was liked when it was made."""
        try:
            info = audio_files.read_info(self._path)
            if info is None or info.engine != self._version:
                return None
            seed, prompt = int(info.seed), info.recipe.prompt
            if info.recipe != replace(piece_recipe(station, seed), prompt=prompt) or not station.makes(prompt):
                return None
            return info.recipe, seed, audio_files.Packed.read(self._path)[:]
        except (OSError, ValueError, CorruptSegment):
            return None

    def save(self, info: SegmentInfo, samples: Samples) -> None:
        """Keep an opening in place of the one before."""
        named = replace(info, engine=self._version)

        def keep() -> None:
            with contextlib.suppress(OSError):
                replace_safely(self._path, audio_files.encode(samples, named))

        self._later("opening", keep)


def piece_recipe(station: Station, seed: int) -> Recipe:
    """Return what the piece of a seed is to be."""
    return station.recipe(seed, BUILTIN_S[seed % len(BUILTIN_S)])


def piece_info(recipe: Recipe, seed: int, frames: int, loudness_lufs: float, peak_dbfs: float) -> SegmentInfo:
    """Return what is known of a piece of ours; its beats begin with it."""
    return SegmentInfo(
        segment_id=f"builtin-{recipe.station}-{seed}",
        recipe=recipe,
        engine="builtin",
        seed=str(seed),
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        analysis=Analysis(frames, 0, frames, loudness_lufs, peak_dbfs, "", recipe.bpm, 0.0 if recipe.bpm else None),
    )
