"""The directory queue: `incoming/` (partial) → `ready/` → `played/` or `kept/`.

A state is a folder and a change is one rename, so that a kill at any moment leaves every segment on exactly one shelf.
The index in memory says what is wished, at once; the disk follows. It is listed at the start only, and what files say
inside is read bit by bit behind that. Nothing here stops the sound: what the disk refuses stays in memory, and is tried
again until the disk takes it.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.errors import SpoolBusy, SpoolError
from base.notices import Notices
from base.texts import said
from base.workers import Clock
from music.segment import Audio, SegmentInfo
from spool.folders import (
    DISLIKED,
    KEPT,
    PLAYED,
    READY,
    RETRY_S,
    ROOM_BYTES,
    SHELVES,
    DiskState,
    Files,
    FolderLock,
    Storage,
)
from spool.settling import Settler
from spool.shelves import (
    REST,
    SEGMENT,
    UNSAVED,
    Change,
    Entry,
    ShelfIndex,
    Spare,
    SpoolSnapshot,
    file_name,
    listed,
    read,
)
from spool.trimming import Trimmer

log = logging.getLogger(__name__)

__all__ = ["Entry", "Spool", "SpoolSnapshot"]

HANGING_S: Final = 3.0
READ_AT_ONCE: Final = 50  # files looked into, for 5 ms
READ_PAUSE_S: Final = 0.015  # after that, so that the rest of the start is hardly slower


def _out_of_the_queue(entry: Entry) -> Entry:
    return replace(entry, shelf=PLAYED if entry.shelf == READY else entry.shelf)


class Spool:
    """The shelves and what stands on them. No method raises but `open` (SpoolBusy) and `incoming_path` (SpoolError).

    Threads: any number of them call any method. They change the index only, which never waits; one of them at a time,
    who has `_turn`, makes the disk follow: the thread of `run` if there is one, else (in tests) the caller. Who opens
    it owns `_unread`.
    """

    def __init__(
        self,
        root: Path,
        max_mb: float,
        notices: Notices,
        clock: Clock,
        files: Files | None = None,
        wall: Callable[[], float] = time.time,
        lock: FolderLock | None = None,
        station: str = "",
    ) -> None:
        """Of the library, what was made for `station` is read first."""
        self._storage = Storage(root, files or Files(), notices, lock)
        self._notices = notices
        self._clock = clock
        self._index = ShelfIndex(wall)
        self._disk = DiskState(root, notices)
        self._trimmer = Trimmer(self._index, self._storage, max_mb * 2**20)
        self.opened = threading.Event()
        self.on_change: Callable[[], None] = lambda: None
        """Told that there are more pieces."""
        self._turn = threading.Lock()
        self._settler = Settler(self._index, self._storage, self._trimmer, self._disk, notices, clock)
        self._station = station
        self._unread: deque[Entry] = deque()
        self._busy_since: float | None = None
        self._work: threading.Event | None = None
        self._closed = threading.Event()

    def open(self) -> None:
        """Lock the folder, delete what was left half done, and read the shelves. Raises SpoolBusy."""
        self._open()
        while self._unread:
            self._read_on()
        self._follow()

    def run(self, stop: threading.Event) -> None:
        """Make the disk follow until `stop`, in the thread that may wait for the disk; then close."""
        self._work = self._work or threading.Event()
        while not self.opened.is_set():
            try:
                self._busy(self._open)
            except SpoolBusy as error:
                self._notices.say("spool.busy", "warning", reason=error)
                if self._clock.wait(stop, RETRY_S):
                    return
        while not stop.is_set():
            self._clock.wait(self._work, READ_PAUSE_S if self._unread else RETRY_S)
            self._work.clear()
            self._follow(by_owner=True)
            if self._unread:
                self._busy(self._read_on)
        self._close()
        self._closed.set()

    def close(self, patience_s: float = 0.0) -> None:
        """Try once more to save what is only in memory, and give the folder free; the thread of `run` does it."""
        if self._work is None:
            self._close()
            return
        self._work.set()
        self._clock.wait(self._closed, patience_s)

    @property
    def hanging(self) -> bool:
        """Whether the disk has not answered for HANGING_S."""
        since = self._busy_since
        return since is not None and self._clock.now() - since > HANGING_S

    @property
    def unsaved(self) -> int:
        """How many pieces are only in memory."""
        return sum(self._index.measure(UNSAVED, shelf)[0] for shelf in SHELVES)

    @property
    def is_read(self) -> bool:
        """Whether all that stands on the shelves is known."""
        return self.opened.is_set() and not self._unread

    def ready(self) -> tuple[Entry, ...]:
        """Return the queue, first to play first."""
        return self._index.group(READY)

    def library(
        self,
        shelves: Collection[str] = (KEPT, PLAYED),
        mood: str | None = None,
        but: Collection[str] = (),
        most: int | None = None,
    ) -> tuple[Entry, ...]:
        """Return kept and played pieces, least recently heard first: `most` of them, of a mood, without some keys."""
        name = () if mood is None else (mood,)
        found = [entry for shelf in shelves for entry in self._index.group(shelf, *name, but=but, most=most)]
        return tuple(sorted(found, key=lambda entry: entry.last_heard)[:most])

    def find(self, segment_id: str) -> Entry | None:
        """Return the entry of a segment, whatever shelf it is on; None where it is gone."""
        return next(iter(self._index.group(SEGMENT, segment_id)), None)

    def piece(self, piece_id: str) -> tuple[Entry, ...]:
        """Return the segments that a piece consists of, whatever shelf they are on."""
        return self._index.group(SEGMENT, piece_id) + self._index.group(REST, piece_id)

    def get(self, key: str) -> Entry | None:
        """Return the entry as it stands now (every change makes a new one), None when it is gone or disliked."""
        entry = self._index.get(key)
        return None if entry and entry.shelf == DISLIKED else entry

    def is_kept(self, key: str) -> bool:
        """Return whether a piece is liked."""
        entry = self.get(key)
        return entry is not None and entry.shelf == KEPT

    def snapshot(self) -> SpoolSnapshot:
        """Return the shelves at this moment."""
        return self._index.snapshot(writable=not self._disk.refusing)

    # Bringing in

    def incoming_path(self, suffix: str = "", *, elsewhere: bool = False) -> Path:
        """Return a fresh path for a partial file; whoever writes it deletes it, the next start deletes the rest.

        It lies in the machine's temporary folder while the spool takes no files, and where `elsewhere` says that it
        has just refused one. Raises SpoolError when there is no such place either.
        """
        try:
            if not (elsewhere or self._disk.refusing or self.hanging):
                try:
                    path = self._storage.part_path(suffix)
                    if self._has_room():
                        return path
                except OSError as error:
                    self._disk.refused(error)
            return self._storage.temporary_path(suffix)
        except OSError as error:
            raise SpoolError(said("spool.no_place", reason=error)) from error

    def add(self, samples: Audio, info: SegmentInfo, *, shelf: str = READY) -> Entry:
        """Put a segment on a shelf and return its entry: in a file, or in memory until the disk takes it."""
        added = self._index.add(Entry(file_name(info), shelf, None, info, samples, self._index.next_stamp()))
        self._changed(added.key)
        self.on_change()
        return self._index.get(added.key) or added

    def mark_played(self, key: str) -> None:
        """Note that a piece is heard now: it leaves the queue, and is the last of the library to be heard again."""
        stamp = self._index.next_stamp()
        self._wish(key, lambda entry: entry and replace(_out_of_the_queue(entry), last_heard=stamp))

    def retire_ready(self, predicate: Callable[[Entry], bool]) -> int:
        """Move the queued segments for which `predicate` holds to the library, unheard; return how many."""
        retired = [entry.key for entry in self.ready() if predicate(entry)]
        for key in retired:
            self._wish(key, lambda entry: entry and _out_of_the_queue(entry))
        return len(retired)

    def keep(self, key: str, samples: Audio | None = None, info: SegmentInfo | None = None) -> bool:
        """Like a piece: from now on it is never deleted. Returns whether it is kept.

        `samples`, and `info` that fits them, are for a piece that has no file or loses it: they are written then.
        """
        spare = None if samples is None else functools.partial(self._spare, key, samples, info)
        made = spare() if spare and self._index.get(key) is None else None
        self._wish(key, lambda entry: replace(entry, shelf=KEPT) if entry else made, spare)
        return self.get(key) is not None

    def _spare(self, key: str, samples: Audio, info: SegmentInfo | None) -> Entry:
        return Entry(key, KEPT, None, info, samples[:], self._index.next_stamp())

    def unkeep(self, key: str) -> bool:
        """Take a like back: the piece is a played one again. Returns whether it is still kept.

        A listener's own file stays: it was not we who put it there.
        """
        self._wish(
            key, lambda entry: replace(entry, shelf=PLAYED) if entry and entry.info and entry.shelf == KEPT else entry
        )
        return self.is_kept(key)

    def discard(self, key: str, reason: str) -> None:
        """Dislike: the piece never plays again, whatever shelf it was on.

        Its file goes to `disliked/`, for `restore`, until MOST_DISLIKED newer ones are there or the program ends.
        A listener's own file stays there: it may be the only copy.
        """
        log.info("discarded %s: %s", key, reason)
        stamp = self._index.next_stamp()
        self._wish(key, lambda entry: entry and replace(entry, shelf=DISLIKED, last_heard=stamp))

    def restore(self, key: str, shelf: str) -> bool:
        """Take a dislike back, and put the piece on a shelf; return whether it is there."""
        self._wish(key, lambda entry: replace(entry, shelf=shelf) if entry and entry.shelf == DISLIKED else entry)
        return self.get(key) is not None

    def reject(self, key: str, reason: str) -> None:
        """Give up on a piece that cannot be read (corrupt, vanished); what stands in kept/ is left as it is."""
        entry = self._index.change(key, lambda entry: entry if entry and entry.shelf == DISLIKED else None)
        if entry is not None and entry.shelf != DISLIKED:
            log.warning("cannot play %s: %s", key, reason)
            if entry.path is not None and entry.shelf != KEPT:
                self._settler.doom(entry.path)
            self._changed(key)

    # The disk follows

    def _wish(self, key: str, change: Change, spare: Spare | None = None) -> None:
        """Enter what is wished of a piece, and have the disk follow."""
        self._index.change(key, change)
        self._changed(key, spare)

    def _changed(self, key: str, spare: Spare | None = None) -> None:
        """Have the disk follow a change, as `Settler.ask` says."""
        self._settler.ask(key, spare)
        if self.hanging:
            self._trimmer.forget_unwritten()
        self._follow()

    def _follow(self, *, by_owner: bool = False) -> None:
        """Make the disk follow: in the thread of `run`, or here where there is none and nobody else is at it."""
        if self._work is not None and not by_owner:
            self._work.set()
            return
        while self.opened.is_set() and self._settler.is_due and self._turn.acquire(blocking=False):
            try:
                self._busy(self._settle)
            finally:
                self._turn.release()

    def _busy(self, work: Callable[[], None]) -> None:
        self._busy_since = self._clock.now()
        try:
            work()
        finally:
            self._busy_since = None

    def _close(self) -> None:
        with self._turn:
            self._settler.retry_at = 0.0
            self._busy(self._settle)
            for entry in self._index.group(DISLIKED):
                self._trimmer.forget_disliked(entry)
            self._storage.close()

    # With the turn

    def _settle(self) -> None:
        self._settler.settle()
        if self.is_read:
            self._trimmer.trim(self._settler.left)

    def _open(self) -> None:
        """List the shelves, and look into the queue and a first part of the library."""
        with self._turn:
            try:
                self._storage.open()
            except OSError as error:
                self._disk.refused(error)
            unread = listed(self._storage.files, self._storage.root, (*SHELVES, DISLIKED))
        self._index.later_than(one.last_heard for one in unread)
        unread.sort(key=lambda one: (one.shelf != READY, f"_{self._station}_" not in one.key))
        self._unread = deque(unread)
        self._read_on(sum(one.shelf == READY for one in unread))
        self.opened.set()
        self.on_change()

    def _read_on(self, more: int = 0) -> None:
        """Look into the next files; delete what a killed run had set aside, and trim when all are known."""
        for _ in range(min(READ_AT_ONCE + more, len(self._unread))):
            entry = read(self._unread.popleft())
            if entry is not None and entry.shelf == DISLIKED:
                with self._turn:
                    self._trimmer.forget_disliked(entry)
            elif entry is not None:
                self._index.add(entry)
        if not self._unread:
            with self._turn:
                self._trimmer.trim(self._settler.left)
            self.on_change()

    def _has_room(self) -> bool:
        """Whether a download fits, with less of what was played if that helps."""
        while self._storage.files.free_bytes(self._storage.root) < ROOM_BYTES:
            if not self._turn.acquire(blocking=False):
                return False
            try:
                if not self._trimmer.make_room(ROOM_BYTES):
                    return False
            finally:
                self._turn.release()
        return True
