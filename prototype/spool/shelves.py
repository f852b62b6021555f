"""What stands on the spool's shelves, and the index of it, as it was wished last: the disk follows (`spool`).

A file in `ready/` or `played/` counts only when our metadata are inside; anything else there is ignored and left
alone. In `kept/` and the folders in it every audio file counts, so that a listener may put music of their own there.
"""

from __future__ import annotations

import bisect
import datetime
import itertools
import logging
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from base.errors import CorruptSegment
from music import audio_files
from music.segment import Audio, SegmentInfo
from music.stations import mood_name
from spool.folders import AUDIO_SUFFIXES, DISLIKED, KEPT, PLAYED, READY, SHELVES, Files, numbered, shelf_of

log = logging.getLogger(__name__)

# File times beyond (the year 2242) are taken for nonsense: nothing could be heard later than they.
LATEST_S: Final = 2.0**33
STAMP_STEP_S: Final = 1e-3
UNSAVED: Final = "in no file"
PASSING: Final = "may be deleted"
SEGMENT: Final = "segment"  # with its id: mostly one entry
REST: Final = "rest"  # with a piece's id: what goes on with its first segment
Name = tuple[str, ...]


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
    samples: Audio | None = None
    last_heard: float = 0.0
    size_bytes: int = 0
    stamped: float = 0.0

    @property
    def in_place(self) -> bool:
        """Whether its file is on its shelf, and says when it was heard."""
        return self.path is not None and shelf_of(self.path).name == self.shelf and self.stamped == self.last_heard


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


def listed(files: Files, root: Path, shelves: Iterable[str]) -> list[Entry]:
    """Return the files on the shelves, in the order of their times: ready pieces in that of their coming.

    Nobody has looked into them yet: that is for `read`.
    """
    found: dict[str, Entry] = {}
    for shelf in shelves:
        folder = root / shelf
        try:
            listing = files.listing(folder)
        except OSError as error:
            log.warning("cannot list the spool's folder %s: %s", shelf, error)
            continue
        for one in listing:
            if os.path.splitext(one.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122 - of a Path it takes thrice as long
                key = one.name if one.name not in found else f"{shelf}/{one.name}"
                heard_s = min(one.modified_ns / 1e9, LATEST_S)
                found[key] = Entry(key, shelf, folder / one.name, None, None, heard_s, one.size_bytes, heard_s)
    return sorted(found.values(), key=lambda entry: (entry.last_heard, entry.key))


def read(entry: Entry) -> Entry | None:
    """Return a listed entry with the metadata inside its file, None when it is not for us to play."""
    info = None
    if entry.path and entry.path.suffix.lower() == ".wav":  # only these can be ours, and have quick headers
        try:
            info = audio_files.read_info(entry.path)
        except (CorruptSegment, OSError) as error:
            log.info("%s is none of our files: %s", entry.path, error)
    return None if info is None and entry.shelf != KEPT else replace(entry, info=info)


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


Spare = Callable[[], Entry]
"""Makes what is liked instead of a file that is gone."""

Change = Callable[[Entry | None], Entry | None]


def _names(entry: Entry) -> Iterator[Name]:
    """Yield the groups of an entry: all that entries are looked for by."""
    info = entry.info
    yield (entry.shelf,)
    if entry.path is None:
        yield UNSAVED, entry.shelf
    elif info is not None and entry.shelf in (PLAYED, DISLIKED):
        yield (PASSING,)
    if info is not None and entry.shelf != DISLIKED:
        yield entry.shelf, mood_name(info.recipe.station, info.recipe.prompt)
        yield SEGMENT, info.segment_id
        if info.continues is not None:
            yield REST, info.piece_id


@dataclass
class _Group:
    """Keys by when they were heard last, and what their files take."""

    order: list[tuple[float, str]] = field(default_factory=list)
    size_bytes: int = 0


class ShelfIndex:
    """Entries by key, and in groups, so that nothing that is asked of many files takes longer than of few.

    Threads: any; `_lock` guards all fields, and nothing is waited for under it.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._groups: defaultdict[Name, _Group] = defaultdict(_Group)
        self._latest = 0.0
        self._snapshot: SpoolSnapshot | None = None  # until something changes

    def later_than(self, times: Iterable[float]) -> None:
        """Let every further stamp be later than these times, but for those that are nonsense."""
        with self._lock:
            self._latest = max([self._latest, *(time for time in times if time < LATEST_S)])

    def get(self, key: str) -> Entry | None:
        """Return the entry of `key`."""
        with self._lock:
            return self._entries.get(key)

    def group(self, *name: str, but: Collection[str] = (), most: int | None = None) -> tuple[Entry, ...]:
        """Return a group, least recently heard first: no more than `most`, and without the keys in `but`."""
        with self._lock:
            group = self._groups.get(name)
            keys = (key for _, key in group.order if key not in but) if group else ()
            return tuple(self._entries[key] for key in itertools.islice(keys, most))

    def measure(self, *name: str) -> tuple[int, int]:
        """Return how many entries are in a group, and the bytes of their files."""
        with self._lock:
            group = self._groups.get(name)
            return (len(group.order), group.size_bytes) if group else (0, 0)

    def add(self, entry: Entry) -> Entry:
        """Enter a piece, under a key that nobody has; return it."""
        with self._lock:
            keys = (numbered(entry.key, number) for number in itertools.count(1))
            added = replace(entry, key=next(key for key in keys if key not in self._entries))
            self._enter(None, added)
            return added

    def change(self, key: str, change: Change) -> Entry | None:
        """Enter what `change` makes of the entry of `key`, of None where there is none; return what was there before.

        It is called under the lock: it only computes.
        """
        with self._lock:
            before = self._entries.get(key)
            self._enter(before, change(before))
            return before

    def swap(self, before: Entry, after: Entry | None) -> bool:
        """Enter `after` in the place of `before`, unless that has changed; return whether it was done."""
        return self.change(before.key, lambda now: after if now is before else now) is before

    def next_stamp(self) -> float:
        """Return a time later than any before, in this run and (by the files' times) in earlier ones."""
        with self._lock:
            self._latest = max(self._latest + STAMP_STEP_S, self._wall())
            return self._latest

    def snapshot(self, *, writable: bool) -> SpoolSnapshot:
        """Return the shelves at this moment: the same one until something changes."""
        with self._lock:
            seen = self._snapshot
            if seen is None or seen.writable != writable:
                groups = {shelf: self._groups[shelf,] for shelf in SHELVES}
                ready = (self._entries[key].info for _, key in groups[READY].order)
                seen = self._snapshot = SpoolSnapshot(
                    ready=tuple(info for info in ready if info is not None),
                    played=len(groups[PLAYED].order),
                    kept=len(groups[KEPT].order),
                    size_mb=sum(group.size_bytes for group in groups.values()) / 2**20,
                    writable=writable,
                )
            return seen

    def _enter(self, before: Entry | None, after: Entry | None) -> None:
        """Put `after` in the place of `before`. With the lock."""
        self._snapshot = None
        if before is not None:
            del self._entries[before.key]
            for name in _names(before):
                group = self._groups[name]
                del group.order[bisect.bisect_left(group.order, (before.last_heard, before.key))]
                group.size_bytes -= before.size_bytes
                if not group.order:
                    del self._groups[name]
        if after is not None:
            self._entries[after.key] = after
            for name in _names(after):
                group = self._groups[name]
                bisect.insort(group.order, (after.last_heard, after.key))
                group.size_bytes += after.size_bytes
