"""The spool's index: which piece stands where, as it was wished last. The disk follows (`spool`).

What stands on the spool's shelves: the entries, how their files are named, and how a folder is read back.

A file in `ready/` or `played/` counts only when our metadata are inside; anything else there is ignored and left
alone. In `kept/` every audio file counts, so that a listener may put music of their own there.
"""

from __future__ import annotations

import datetime
import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.errors import CorruptSegment
from music import audio_files
from music.metering import loudness_lufs, peak_dbfs
from music.segment import Analysis, Samples, SegmentInfo
from spool.folders import AUDIO_SUFFIXES, KEPT, PLAYED, READY, SHELVES, Files, Listed, numbered

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


def scan(files: Files, root: Path, shelves: Iterable[str] = SHELVES) -> list[Entry]:
    """Return what stands on the shelves, in the order of the files' times: ready pieces in that of their coming."""
    entries: dict[str, Entry] = {}
    for shelf in shelves:
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
    length = len(samples)
    if length == info.analysis.length_frames:
        return info
    return replace(info, analysis=Analysis(length, 0, length, loudness_lufs(samples), peak_dbfs(samples)))


def _entry(path: Path, key: str, shelf: str, listed: Listed) -> Entry | None:
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return None
    info = None
    if path.suffix.lower() == ".wav":  # only these can be ours, and only their headers are quick to read
        try:
            info = audio_files.read_info(path)
        except (CorruptSegment, OSError) as error:
            log.info("%s/%s is none of our files: %s", shelf, listed.name, error)
    if info is None and shelf != KEPT:
        return None
    heard = min(listed.modified_ns / 1e9, LATEST_S)
    return Entry(key, shelf, path, info, None, heard, listed.size_bytes, heard)


def _plain(text: str) -> str:
    """Return `text` as a part of a file name: small ASCII letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]


@dataclass(frozen=True)
class SpoolSnapshot:
    """The shelves at one moment: the queue first to play first."""

    ready: tuple[SegmentInfo, ...] = ()
    played: int = 0
    kept: int = 0
    size_mb: float = 0.0
    writable: bool = True

    @property
    def ready_s(self) -> float:
        """Audible seconds that are ready."""
        return sum(info.audible_s for info in self.ready)


STAMP_STEP_S: Final = 1e-3

Change = Callable[[Entry | None], Entry | None]


class ShelfIndex:
    """Entries by key, in the order they came.

    Threads: any; `_lock` guards all fields, and nothing is waited for under it.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._latest = 0.0

    def fill(self, entries: Iterable[Entry]) -> None:
        """Put these entries before those that are there already."""
        with self._lock:
            self._entries = {entry.key: entry for entry in entries} | self._entries
            times = (entry.last_heard for entry in self._entries.values() if entry.last_heard < LATEST_S)
            self._latest = max(times, default=0.0)

    def get(self, key: str) -> Entry | None:
        """Return the entry of `key`."""
        with self._lock:
            return self._entries.get(key)

    def on(self, *shelves: str) -> tuple[Entry, ...]:
        """Return what stands on the shelves."""
        with self._lock:
            return tuple(entry for entry in self._entries.values() if entry.shelf in shelves)

    def add(self, entry: Entry) -> Entry:
        """Enter a new piece, under a key that nobody has; return it."""
        with self._lock:
            number = 1
            while (key := numbered(entry.key, number)) in self._entries:
                number += 1
            added = self._entries[key] = replace(entry, key=key)
            return added

    def change(self, key: str, change: Change) -> Entry | None:
        """Enter what `change` makes of the entry of `key`, of None where there is none; return what was there before.

        It is called under the lock: it only computes.
        """
        with self._lock:
            before = self._entries.get(key)
            after = change(before)
            if after is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = after
            return before

    def swap(self, before: Entry, after: Entry | None) -> bool:
        """Enter `after` in the place of `before`, unless that has changed; return whether it was done."""
        with self._lock:
            if self._entries.get(before.key) is not before:
                return False
            if after is None:
                del self._entries[before.key]
            else:
                self._entries[before.key] = after
            return True

    def restore(self, entry: Entry) -> None:
        """Enter what was taken out, unless its key was given away."""
        with self._lock:
            self._entries.setdefault(entry.key, entry)

    def next_stamp(self) -> float:
        """Return a time later than any before, in this run and (by the files' times) in earlier ones."""
        with self._lock:
            self._latest = max(self._latest + STAMP_STEP_S, self._wall())
            return self._latest

    def snapshot(self, *, writable: bool) -> SpoolSnapshot:
        """Return the shelves at this moment."""
        entries = self.on(READY, PLAYED, KEPT)
        return SpoolSnapshot(
            ready=tuple(entry.info for entry in entries if entry.shelf == READY and entry.info is not None),
            played=sum(entry.shelf == PLAYED for entry in entries),
            kept=sum(entry.shelf == KEPT for entry in entries),
            size_mb=sum(entry.size_bytes for entry in entries) / 2**20,
            writable=writable,
        )
