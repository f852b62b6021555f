"""How the disk follows the spool's index: what is to be written, moved and deleted, and tried again."""

from __future__ import annotations

import logging
import queue
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.notices import Notices
from base.workers import Clock
from music import audio_files
from music.segment import Audio
from spool.folders import DISLIKED, FORBIDDEN, FULL, KEPT, PLAYED, READY, RETRY_S, DiskState, Storage, tried
from spool.shelves import Entry, ShelfIndex, Spare, file_name
from spool.trimming import Trimmer

log = logging.getLogger(__name__)

URGENCY: Final = {KEPT: 0, READY: 1, PLAYED: 2, DISLIKED: 3}


class Settler:
    """Brings every piece to the shelf where it is wished, in a file; what the disk refuses is `left`.

    Threads: any call `ask`, `doom` and `is_due`; who has the spool's turn the rest, and owns `left` and `retry_at`.
    """

    def __init__(
        self, index: ShelfIndex, storage: Storage, trimmer: Trimmer, disk: DiskState, notices: Notices, clock: Clock
    ) -> None:
        self._index = index
        self._storage = storage
        self._trimmer = trimmer
        self._disk = disk
        self._notices = notices
        self._clock = clock
        self._changes: queue.SimpleQueue[tuple[str, Spare | None]] = queue.SimpleQueue()
        self._doomed: deque[Path] = deque()
        self.left: dict[str, Spare | None] = {}
        self.retry_at = 0.0

    def ask(self, key: str, spare: Spare | None = None) -> None:
        """Have the disk follow a change; what `spare` makes is liked instead where the file is gone."""
        self._changes.put((key, spare))

    def doom(self, path: Path) -> None:
        """Have a file deleted."""
        self._doomed.append(path)

    @property
    def is_due(self) -> bool:
        """Whether there is something to do, or to be tried again by now."""
        late = bool(self.left or self._doomed) and self._clock.now() >= self.retry_at
        return late or not self._changes.empty()

    def settle(self) -> None:
        """Do what was asked for since, then what was left before: when its time has come, or the disk writes again."""
        for _ in range(len(self._doomed)):
            path = self._doomed.popleft()
            if not tried(self._storage.files.remove, path):
                self._doomed.append(path)
        asked: dict[str, Spare | None] = {}
        while not self._changes.empty():
            key, spare = self._changes.get_nowait()
            asked[key] = spare or asked.get(key)
        late = self._clock.now() >= self.retry_at
        wrote = self._place(asked, again=False, waiting=frozenset() if late else frozenset(self.left))
        if late or wrote:
            self._place({key: spare for key, spare in self.left.items() if key not in asked}, again=True)
        if (self.left or self._doomed) and late:
            self.retry_at = self._clock.now() + RETRY_S

    def _place(self, wanted: dict[str, Spare | None], *, again: bool, waiting: frozenset[str] = frozenset()) -> bool:
        """Bring pieces to their shelves, most wanted first; return whether a file was written.

        What is `waiting` was refused a moment ago and is not written now.
        """
        found = [(entry, spare) for key, spare in wanted.items() if (entry := self._index.get(key)) is not None]
        wrote = refused = False
        for key in wanted:
            self.left.pop(key, None)
        for entry, spare in sorted(found, key=lambda one: URGENCY[one[0].shelf]):
            if entry.samples is not None and entry.shelf != DISLIKED:
                placed = not refused and entry.key not in waiting and self._write(entry, entry.samples)
                refused, wrote = refused or not placed, wrote or placed
            else:
                placed = entry.path is None or entry.in_place or self._move(entry, entry.path, spare, again=again)
            if not placed:
                self.left[entry.key] = spare
                if entry.shelf == KEPT and not again:
                    self._notices.say("spool.keep_failed", "warning")
        return wrote

    def _write(self, entry: Entry, samples: Audio) -> bool:
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
        self._disk.accepted(self._trimmer.room)
        self._arrived(entry, path, len(data))
        return True

    def _move(self, entry: Entry, old: Path, spare: Spare | None, *, again: bool) -> bool:
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
            made = spare() if spare else None
            self._index.swap(entry, made)
            return made is None or made.samples is None or self._write(made, made.samples)
        if path != old:
            self._disk.accepted(self._trimmer.room, writing=False)
        self._arrived(entry, path, entry.size_bytes)
        return True

    def _arrived(self, entry: Entry, path: Path, size_bytes: int) -> None:
        """Note where the file of an entry is, and in it when it was heard; it was perhaps not wanted any more."""
        tried(self._storage.files.stamp, path, int(entry.last_heard * 1e9))

        def change(now: Entry | None) -> Entry | None:
            return now and replace(now, path=path, samples=None, size_bytes=size_bytes, stamped=entry.last_heard)

        if self._index.change(entry.key, change) is None and not tried(self._storage.files.remove, path):
            self._doomed.append(path)
