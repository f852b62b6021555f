"""The directory queue: `incoming/` (partial) → `ready/` → `played/` or `kept/`.

A state is a folder and a change is one rename, so that a kill at any moment leaves every segment on exactly one shelf.
The index in memory says what is wished, at once; the disk follows. It is listed at `open` only. Nothing here stops the
sound: what the disk refuses stays in memory, and is tried again until the disk takes it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.errors import SpoolBusy, SpoolError
from base.notices import Notices
from base.workers import Clock
from music import audio_files
from music.segment import Samples, SegmentInfo
from spool.folders import (
    DISLIKED,
    FORBIDDEN,
    FULL,
    KEPT,
    PLAYED,
    READY,
    RETRY_S,
    ROOM_BYTES,
    DiskState,
    Files,
    FolderLock,
    Storage,
    tried,
)
from spool.shelves import Entry, ShelfIndex, SpoolSnapshot, file_name, fitted, scan
from spool.trimming import Trimmer

log = logging.getLogger(__name__)

__all__ = ["Entry", "Spool", "SpoolSnapshot"]

HANGING_S: Final = 3.0
URGENCY: Final = {KEPT: 0, READY: 1, PLAYED: 2, DISLIKED: 3}


class Spool:
    """The shelves and what stands on them. No method raises but `open` (SpoolBusy) and `incoming_path` (SpoolError).

    Threads: any number of them call any method. They change the index only, which never waits; one of them at a time,
    who has `_turn`, makes the disk follow: the thread of `run` if there is one, else (in tests) the caller. Who has the
    turn owns `_left`; `_changes` and `_doomed` are queues.
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
    ) -> None:
        self._files = files or Files()
        self._storage = Storage(root, self._files, notices, lock)
        self._notices = notices
        self._clock = clock
        self._index = ShelfIndex(wall)
        self._disk = DiskState(root, notices)
        self._trimmer = Trimmer(self._index, self._storage, max_mb * 2**20)
        self.opened = threading.Event()
        self._turn = threading.Lock()
        self._changes: queue.SimpleQueue[tuple[str, Entry | None]] = queue.SimpleQueue()
        self._doomed: deque[tuple[Callable[[Path], None], Path]] = deque()
        self._left: dict[str, Entry | None] = {}
        self._retry_at = 0.0
        self._busy_since: float | None = None
        self._work: threading.Event | None = None
        self._closed = threading.Event()

    def open(self) -> None:
        """Lock the folder, delete what was left half done, and read the shelves. Raises SpoolBusy."""
        with self._turn:
            try:
                self._storage.open()
            except OSError as error:
                self._disk.refused(error)
            self._index.fill(scan(self._files, self._storage.root))
            for left in scan(self._files, self._storage.root, [DISLIKED]):
                self._trimmer.forget_disliked(left)
            self._trimmer.trim(self._left)
        self.opened.set()
        self._follow()

    def run(self, stop: threading.Event) -> None:
        """Make the disk follow until `stop`, in the thread that may wait for the disk; then close."""
        self._work = self._work or threading.Event()
        while not self.opened.is_set():
            try:
                self._busy(self.open)
            except SpoolBusy as error:
                self._notices.say("spool.busy", "warning", reason=error)
                if self._clock.wait(stop, RETRY_S):
                    return
        while not stop.is_set():
            self._clock.wait(self._work, RETRY_S)
            self._work.clear()
            self._follow(by_owner=True)
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
        return sum(entry.path is None for entry in self._index.on(READY, PLAYED, KEPT))

    def ready(self) -> tuple[Entry, ...]:
        """Return the queue, first to play first."""
        return self._index.on(READY)

    def library(self) -> tuple[Entry, ...]:
        """Return kept and played pieces, least recently heard first."""
        return tuple(sorted(self._index.on(KEPT, PLAYED), key=lambda entry: entry.last_heard))

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
            raise SpoolError(
                f"no folder takes a file ({error.strerror}): free some space, or set SPOOL_DIR to another disk"
            ) from error

    def add(self, samples: Samples, info: SegmentInfo, *, shelf: str = READY) -> Entry:
        """Put a segment on a shelf and return its entry: in a file, or in memory until the disk takes it."""
        added = self._index.add(Entry(file_name(info), shelf, None, info, samples, self._index.next_stamp()))
        self._changed(added.key)
        return self._index.get(added.key) or added

    def mark_played(self, key: str) -> None:
        """Note that a piece is heard now: it leaves the queue, and is the last of the library to be heard again."""
        stamp = self._index.next_stamp()

        def heard(entry: Entry | None) -> Entry | None:
            return entry and replace(entry, last_heard=stamp, shelf=PLAYED if entry.shelf == READY else entry.shelf)

        self._index.change(key, heard)
        self._changed(key)

    def retire_ready(self, predicate: Callable[[Entry], bool]) -> int:
        """Move the queued segments for which `predicate` holds to the library, unheard; return how many."""
        retired = [entry.key for entry in self.ready() if predicate(entry)]
        for key in retired:
            self._index.change(
                key, lambda entry: entry and replace(entry, shelf=PLAYED if entry.shelf == READY else entry.shelf)
            )
            self._changed(key)
        return len(retired)

    def keep(self, key: str, samples: Samples | None = None, info: SegmentInfo | None = None) -> bool:
        """Like a piece: from now on it is never deleted. Returns whether it is kept.

        `samples` and `info` are for a piece without a file (built-in, or its file is gone), which is then written.
        They may be those of a `Piece`: where the samples are cut and levelled, the measurements are carried over.
        """
        spare = None
        if samples is not None:
            known = None if info is None else fitted(info, samples)
            spare = Entry(key, KEPT, None, known, samples, self._index.next_stamp())
        self._index.change(key, lambda entry: replace(entry, shelf=KEPT) if entry else spare)
        self._changed(key, spare)
        return self.get(key) is not None

    def unkeep(self, key: str) -> bool:
        """Take a like back: the piece is a played one again. Returns whether it is still kept.

        A listener's own file stays: it was not we who put it there.
        """

        def unliked(entry: Entry | None) -> Entry | None:
            return replace(entry, shelf=PLAYED) if entry and entry.shelf == KEPT and entry.info else entry

        self._index.change(key, unliked)
        self._changed(key)
        return self.is_kept(key)

    def discard(self, key: str, reason: str) -> None:
        """Dislike: the piece never plays again, whatever shelf it was on.

        Its file goes to `disliked/`, for `restore`, until MOST_DISLIKED newer ones are there or the program ends.
        A listener's own file stays there: it may be the only copy.
        """
        log.info("discarded %s: %s", key, reason)
        stamp = self._index.next_stamp()
        self._index.change(key, lambda entry: entry and replace(entry, shelf=DISLIKED, last_heard=stamp))
        self._changed(key)

    def restore(self, key: str, shelf: str) -> bool:
        """Take a dislike back, and put the piece on a shelf; return whether it is there."""
        self._index.change(
            key, lambda entry: replace(entry, shelf=shelf) if entry and entry.shelf == DISLIKED else entry
        )
        self._changed(key)
        return self.get(key) is not None

    def reject(self, key: str, reason: str) -> None:
        """Give up on a piece that cannot be read (corrupt, vanished); what stands in kept/ is left as it is."""
        entry = self._index.change(key, lambda entry: entry if entry and entry.shelf == DISLIKED else None)
        if entry is not None and entry.shelf != DISLIKED:
            log.warning("cannot play %s: %s", key, reason)
            self._doom(key, entry.path if entry.shelf != KEPT else None, self._storage.remove)

    # The disk follows

    def _changed(self, key: str, spare: Entry | None = None) -> None:
        """Have the disk follow a change; `spare` is liked instead where the file is gone."""
        self._changes.put((key, spare))
        if self.hanging:
            self._trimmer.forget_unwritten()
        self._follow()

    def _doom(self, key: str, path: Path | None, how: Callable[[Path], None]) -> None:
        if path is not None:
            self._doomed.append((how, path))
        self._changed(key)

    def _follow(self, *, by_owner: bool = False) -> None:
        """Make the disk follow: in the thread of `run`, or here where there is none and nobody else is at it."""
        if self._work is not None and not by_owner:
            self._work.set()
            return
        while self._is_due() and self._turn.acquire(blocking=False):
            try:
                self._busy(self._settle)
            finally:
                self._turn.release()

    def _is_due(self) -> bool:
        late = bool(self._left or self._doomed) and self._clock.now() >= self._retry_at
        return self.opened.is_set() and (late or not self._changes.empty())

    def _busy(self, work: Callable[[], None]) -> None:
        self._busy_since = self._clock.now()
        try:
            work()
        finally:
            self._busy_since = None

    def _close(self) -> None:
        self._retry_at = 0.0
        with self._turn:
            self._busy(self._settle)
            for entry in self._index.on(DISLIKED):
                self._trimmer.forget_disliked(entry)
            self._storage.close()

    # With the turn

    def _settle(self) -> None:
        """Do what was asked for since, then what was left before: when its time has come, or the disk writes again."""
        for _ in range(len(self._doomed)):
            how, path = self._doomed.popleft()
            if not tried(how, path) and self._files.exists(path):
                self._doomed.append((how, path))
        asked: dict[str, Entry | None] = {}
        while not self._changes.empty():
            key, spare = self._changes.get_nowait()
            asked[key] = spare or asked.get(key)
        late = self._clock.now() >= self._retry_at
        wrote = self._place(asked, again=False, waiting=frozenset() if late else frozenset(self._left))
        if self._left and (late or wrote):
            self._place({key: spare for key, spare in self._left.items() if key not in asked}, again=True)
        if (self._left or self._doomed) and late:
            self._retry_at = self._clock.now() + RETRY_S
        self._trimmer.trim(self._left)

    def _place(self, wanted: dict[str, Entry | None], *, again: bool, waiting: frozenset[str] = frozenset()) -> bool:
        """Bring pieces to their shelves, most wanted first; return whether a file was written.

        What is `waiting` was refused a moment ago and is not written now.
        """
        found = [(entry, spare) for key, spare in wanted.items() if (entry := self._index.get(key)) is not None]
        wrote = refused = False
        for key in wanted:
            self._left.pop(key, None)
        for entry, spare in sorted(found, key=lambda one: URGENCY[one[0].shelf]):
            if entry.samples is not None and entry.shelf != DISLIKED:
                placed = not refused and entry.key not in waiting and self._write(entry, entry.samples)
                refused, wrote = refused or not placed, wrote or placed
            else:
                placed = entry.path is None or entry.in_place or self._move(entry, entry.path, spare, again=again)
            if not placed:
                self._left[entry.key] = spare
                if entry.shelf == KEPT and not again:
                    self._notices.say("spool.keep_failed", "warning")
        return wrote

    def _write(self, entry: Entry, samples: Samples) -> bool:
        """Put an entry's samples into a file; return whether the disk took it."""
        data = audio_files.encode(samples, entry.info)
        name = Path(entry.key).name if entry.key.endswith(".wav") else file_name(entry.info)
        while True:
            try:
                path = self._storage.save(data, entry.shelf, name)
                break
            except OSError as error:
                if error.errno not in FULL or not self._trimmer.make_room(len(data)):
                    self._disk.refused(error)
                    return False
        tried(self._storage.stamp, path, entry.last_heard)
        self._disk.accepted(self._trimmer.room)
        self._arrived(entry, path, len(data))
        return True

    def _move(self, entry: Entry, old: Path, spare: Entry | None, *, again: bool) -> bool:
        """Bring a file to the entry's shelf, and note in it when it was heard; return whether the disk did that."""
        try:
            path = self._storage.move(old, entry.shelf)
        except OSError as error:
            if not again:
                log.warning("%s cannot be moved to %s/: %s", old, entry.shelf, error)
            if error.errno not in FORBIDDEN:  # else it is this file's or folder's own trouble, not the disk's
                self._disk.refused(error, writing=False)
            return False
        if path is None:
            log.warning("%s vanished from the spool", old)
            self._index.swap(entry, spare)
            return spare is None or spare.samples is None or self._write(spare, spare.samples)
        tried(self._storage.stamp, path, entry.last_heard)
        if path != old:
            self._disk.accepted(self._trimmer.room, writing=False)
        self._arrived(entry, path, entry.size_bytes)
        return True

    def _arrived(self, entry: Entry, path: Path, size_bytes: int) -> None:
        """Note where the file of an entry is; it was perhaps not wanted any more."""

        def change(now: Entry | None) -> Entry | None:
            return now and replace(now, path=path, samples=None, size_bytes=size_bytes, stamped=entry.last_heard)

        if self._index.change(entry.key, change) is None and not tried(self._storage.remove, path):
            self._doomed.append((self._storage.remove, path))

    def _has_room(self) -> bool:
        """Whether a download fits, with less of what was played if that helps."""
        while self._storage.free_bytes() < ROOM_BYTES:
            if not self._turn.acquire(blocking=False):
                return False
            try:
                if not self._trimmer.make_room(ROOM_BYTES):
                    return False
            finally:
                self._turn.release()
        return True
