"""Which piece is the first, looked up in the spool's folders with the standard library alone, as the sources choose."""

from __future__ import annotations

import contextlib
import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.errors import CorruptSegment
from config import Settings
from music.continuing import play_order
from music.segment import CHANNELS, SAMPLE_RATE_HZ, SegmentInfo, Source, piece_gain_db
from music.stations import Station, mood_name
from music.wav_header import read_frames, read_info
from programme.programme import First
from spool.folders import KEPT, PLAYED, READY, Files

OPENING: Final = "opening.wav"
LONGEST_S: Final = 20.0  # of a piece; the programme takes over far sooner
SOFT_FRAMES: Final = SAMPLE_RATE_HZ // 100
MOST_LISTED: Final = 1000
MOST_READ: Final = 5


def order(settings: Settings) -> tuple[Source, ...]:
    """Return the sources that the listener wants to hear, best first."""
    if settings.play_library:
        return (Source.LIBRARY,)
    return tuple(source for source in Source if settings.engine in source.engines)


def first_of(settings: Settings, station: Station) -> First | None:
    """Look for the piece that the session begins with."""
    for source, path, info in _candidates(settings, station):
        measured = info.analysis
        frames = min(round(LONGEST_S * SAMPLE_RATE_HZ), measured.cue_out_frames - measured.cue_in_frames)
        try:
            samples = read_frames(path, measured.cue_in_frames, frames)
        except OSError:
            continue
        _soften(samples)
        gain_db = piece_gain_db(source, measured, info.continues, settings.target_lufs)
        return First(source, info, samples, 10 ** (gain_db / 20))
    return None


def _candidates(settings: Settings, station: Station) -> Iterator[tuple[Source, Path, SegmentInfo]]:
    """Yield what could be the first piece, best first."""
    mood, root = mood_name(station.key, station.captions[0]), settings.spool_dir
    for source in order(settings):
        if source is Source.FRESH:
            queue = _read(_oldest(root / READY), mood)
            found = play_order(queue, lambda one: one[1])[:1]
        elif source is Source.LIBRARY:
            shelves = (KEPT,) if settings.play_library else (KEPT, PLAYED)
            paths = [path for shelf in shelves for path in _oldest(root / shelf, f"_{station.key}_")[:MOST_READ]]
            found = [(path, info) for path, info in _read(paths, mood) if info.continues is None][:1]
        else:
            found = _read([root / OPENING], mood) if source is Source.BUILTIN else []
        for path, info in found:
            yield source, path, info


def _oldest(folder: Path, part: str = "") -> list[Path]:
    """Return some of our files in a folder whose names have a part, the one of the earliest time first."""
    files = Files().each(folder, albums=False)  # which may be thousands, and not ours
    ours = (file for file in files if file.name.endswith(".wav") and part in file.name)
    try:
        found = sorted(itertools.islice(ours, MOST_LISTED), key=lambda file: (file.modified_ns, file.name))
    except OSError:
        return []
    return [folder / file.name for file in found]


def _read(paths: list[Path], mood: str) -> list[tuple[Path, SegmentInfo]]:
    """Return those of the files that are whole and of a mood, with what is known of them."""
    found = []
    for path in paths:
        with contextlib.suppress(CorruptSegment, OSError):
            info = read_info(path)
            if info and mood_name(info.recipe.station, info.recipe.prompt) == mood:
                found.append((path, info))
    return found


def _soften(frames: array[int]) -> None:
    """Ease both ends from and to zero: the piece may begin in the middle of a sound, and is cut off."""
    for at in range(min(SOFT_FRAMES, len(frames) // 4)):
        for side in range(CHANNELS):
            for place in (CHANNELS * at + side, len(frames) - 1 - CHANNELS * at - side):
                frames[place] = frames[place] * at // SOFT_FRAMES
