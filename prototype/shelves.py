"""What stands on the spool's shelves: the entries, how their files are named, and how a folder is read back.

A file in `ready/` or `played/` counts only when our metadata are inside; anything else there is ignored and left
alone. In `kept/` every audio file counts, so that a listener may put music of their own there.
"""

from __future__ import annotations

import datetime
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import wavfile
from disk import AUDIO_SUFFIXES, KEPT, SHELVES, Files, Listed
from errors import CorruptSegment
from loudness import loudness_lufs, peak_dbfs
from pcm import Samples
from values import SegmentInfo

log = logging.getLogger(__name__)

# File times beyond (the year 2242) are taken for nonsense: nothing could be heard later than they.
LATEST_S: Final = 2.0**33


@dataclass(frozen=True, eq=False)
class Entry:
    """One piece on a shelf: in a file, or in `samples` where the disk refused it. Compared by identity.

    `shelf` is where it is wished to be: its file follows. `info` is None for a listener's own file. `last_heard` orders
    the library: seconds since 1970, kept as the file's time (`stamped`); for a piece never heard, when it came.
    `size_bytes` is that of the file.
    """

    key: str
    shelf: str
    path: Path | None
    info: SegmentInfo | None
    samples: Samples | None = None
    last_heard: float = 0.0
    size_bytes: int = 0
    stamped: float = 0.0

    @property
    def in_place(self) -> bool:
        """Whether its file is on its shelf, and says when it was heard."""
        return self.path is not None and self.path.parent.name == self.shelf and self.stamped == self.last_heard


def file_name(info: SegmentInfo | None) -> str:
    """Return a name to read and to sort by: `20261123T132012-123456_lofi_seed42.wav` (UTC, microseconds)."""
    if info is None:
        return "piece.wav"
    try:
        made_at = datetime.datetime.fromisoformat(info.created_at)
        stamp = made_at.strftime("%Y%m%dT%H%M%S-%f")
    except ValueError:
        stamp = _plain(info.created_at) or "undated"
    words = [stamp, _plain(info.recipe.station), f"seed{_plain(info.seed)}" if _plain(info.seed) else ""]
    return "_".join(word for word in words if word) + ".wav"


def numbered(name: str, number: int) -> str:
    """Return the first, second, third … choice of a name: `a.wav`, `a-2.wav`, `a-3.wav`."""
    path = Path(name)
    return name if number == 1 else f"{path.stem}-{number}{path.suffix}"


def scan(files: Files, root: Path) -> list[Entry]:
    """Return what stands on the shelves, in the order of the files' times: ready pieces in that of their coming."""
    entries: dict[str, Entry] = {}
    for shelf in SHELVES:
        try:
            listing = files.listing(root / shelf)
        except OSError as error:
            log.warning("cannot list the spool's folder %s: %s", shelf, error)
            continue
        for listed in listing:
            key = listed.name if listed.name not in entries else f"{shelf}/{listed.name}"
            entry = _entry(root / shelf / listed.name, key, shelf, listed)
            if entry is not None:
                entries[key] = entry
    return sorted(entries.values(), key=lambda entry: (entry.last_heard, entry.key))


def fitted(info: SegmentInfo, samples: Samples) -> SegmentInfo:
    """Return `info` with measurements that fit samples which were cut at its cue points and levelled."""
    if len(samples) == info.length_frames:
        return info
    return replace(
        info,
        length_frames=len(samples),
        cue_in_frames=0,
        cue_out_frames=len(samples),
        loudness_lufs=loudness_lufs(samples),
        peak_dbfs=peak_dbfs(samples),
    )


def _entry(path: Path, key: str, shelf: str, listed: Listed) -> Entry | None:
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return None
    info = None
    if path.suffix.lower() == ".wav":  # only these can be ours, and only their headers are quick to read
        try:
            info = wavfile.read_info(path)
        except (CorruptSegment, OSError) as error:
            log.info("%s/%s is none of our files: %s", shelf, listed.name, error)
    if info is None and shelf != KEPT:
        return None
    heard = min(listed.modified_ns / 1e9, LATEST_S)
    return Entry(key, shelf, path, info, None, heard, listed.size_bytes, heard)


def _plain(text: str) -> str:
    """Return `text` as a part of a file name: small ASCII letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
