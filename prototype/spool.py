"""The directory queue: `incoming/` (partial) → `ready/` → `played/` or `kept/`.

A state is a folder and a change is one rename, so that a kill at any moment leaves every segment on exactly one shelf.
The index is held in memory; the disk is listed at `open` only. Nothing here stops the sound: what the disk refuses
stays in memory, and is written as soon as the disk takes it.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import wavfile
from clock import Clock
from disk import FULL, KEPT, PLAYED, READY, Files
from errors import SpoolError
from folder_lock import FolderLock
from notices import Notices
from pcm import Samples
from shelf_index import ShelfIndex
from shelves import Entry, file_name, fitted, scan
from snapshots import SpoolSnapshot
from storage import DiskState, Storage, tried
from values import SegmentInfo

__all__ = ["Entry", "Spool"]

log = logging.getLogger(__name__)

ROOM_BYTES: Final = 32 * 2**20  # a download of a minute as float WAV takes 23 MB
PLAYED_IN_MEMORY: Final = 8  # 12 MB each for 30 s


class Spool:
    """The shelves and what stands on them. No method raises but `open` (SpoolBusy) and `incoming_path` (SpoolError).

    Threads: any number of them call any method; there is no lock here. A change claims its entry in the index, and
    no lock is held while a file is touched: the disk may be slow, the readers of the index are not.
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
        self._max_bytes = max_mb * 2**20
        self._notices = notices
        self._index = ShelfIndex(wall)
        self._disk = DiskState(root, notices, clock)

    def open(self) -> None:
        """Lock the folder, delete what was left half done, and read the shelves. Raises SpoolBusy."""
        try:
            self._storage.open()
        except OSError as error:
            self._disk.refused(error)
        self._index.fill(scan(self._files, self._storage.root))
        self.trim()

    def close(self) -> None:
        """Try once more to save what is only in memory, and give the folder free."""
        self._save_memory()
        self._storage.close()

    # Looking

    def ready(self) -> tuple[Entry, ...]:
        """Return the queue, first to play first."""
        return self._index.on(READY)

    def library(self) -> tuple[Entry, ...]:
        """Return kept and played pieces, least recently heard first."""
        return tuple(sorted(self._index.on(KEPT, PLAYED), key=lambda entry: entry.last_heard))

    def get(self, key: str) -> Entry | None:
        """Return the entry as it stands now (every change makes a new one), None when it is gone."""
        return self._index.get(key)

    def is_kept(self, key: str) -> bool:
        """Return whether a piece is liked."""
        entry = self.get(key)
        return entry is not None and entry.shelf == KEPT

    def snapshot(self) -> SpoolSnapshot:
        """Return the shelves at this moment."""
        entries = self._index.on(READY, PLAYED, KEPT)
        return SpoolSnapshot(
            ready=tuple(entry.info for entry in entries if entry.shelf == READY and entry.info is not None),
            played=sum(entry.shelf == PLAYED for entry in entries),
            kept=sum(entry.shelf == KEPT for entry in entries),
            size_mb=sum(entry.size_bytes for entry in entries) / 2**20,
            writable=not self._disk.refusing,
        )

    # Bringing in

    def incoming_path(self, suffix: str = "", *, elsewhere: bool = False) -> Path:
        """Return a fresh path for a partial file; whoever writes it deletes it, the next start deletes the rest.

        It lies in the machine's temporary folder while the spool takes no files, and where `elsewhere` says that it
        has just refused one. Raises SpoolError when there is no such place either.
        """
        try:
            if not (elsewhere or self._disk.refusing):
                try:
                    path = self._storage.part_path(suffix)
                    self._make_room()
                    return path
                except OSError as error:
                    self._disk.refused(error)
            return self._storage.temporary_path(suffix)
        except OSError as error:
            raise SpoolError(
                f"no folder takes a file ({error.strerror}): free some space, or set SPOOL_DIR to another disk"
            ) from error

    def add(self, samples: Samples, info: SegmentInfo, *, shelf: str = READY) -> Entry:
        """Put a segment on a shelf and return its entry: in a file, or in memory when the disk refuses."""
        with self._index.claim_new(file_name(info)) as key:
            entry = self._stored(Entry(key, shelf, None, info, samples, self._index.next_stamp()))
            self._index.put(key, entry)
        if entry.path is not None:
            self._save_memory()
        self.trim()
        return entry

    # Moving on

    def mark_played(self, key: str) -> None:
        """Note that a piece is heard now: it leaves the queue, and is the last of the library to be heard again."""
        with self._index.claim(key) as entry:
            if entry is not None:
                heard = replace(entry, last_heard=self._index.next_stamp())
                moved = self._moved(heard, PLAYED if heard.shelf == READY else heard.shelf)
                if moved is not None and moved.path is not None:
                    tried(self._storage.stamp, moved.path, moved.last_heard)
                self._index.put(key, moved)
        if self._disk.worth_a_try:
            self._save_memory()
        self.trim()

    def retire_ready(self, predicate: Callable[[Entry], bool]) -> int:
        """Move the queued segments for which `predicate` holds to the library, unheard; return how many."""
        retired = [entry.key for entry in self.ready() if predicate(entry)]
        for key in retired:
            with self._index.claim(key) as entry:
                if entry is not None and entry.shelf == READY:
                    self._index.put(key, self._moved(entry, PLAYED))
        self.trim()
        return len(retired)

    def keep(self, key: str, samples: Samples | None = None, info: SegmentInfo | None = None) -> bool:
        """Like a piece: from now on it is never deleted. Returns whether it is kept.

        `samples` and `info` are for a piece without a file (built-in, or its file is gone), which is then written.
        They may be those of a `Piece`: where the samples are cut and levelled, the measurements are carried over.
        """
        with self._index.claim(key) as entry:
            if entry is not None:
                entry = self._moved(entry, KEPT)
            if entry is None and samples is not None:
                known = None if info is None else fitted(info, samples)
                entry = Entry(key, KEPT, None, known, samples, self._index.next_stamp())
            if entry is not None and entry.path is None:
                entry = self._stored(entry)
            self._index.put(key, entry)
        if entry is not None and (entry.path is None or entry.path.parent.name != KEPT):
            self._notices.say("spool.keep_failed", "warning")
        return entry is not None

    def unkeep(self, key: str) -> bool:
        """Take a like back: the piece is a played one again. Returns whether it is still kept.

        A listener's own file stays: it was not we who put it there.
        """
        with self._index.claim(key) as entry:
            if entry is not None and entry.shelf == KEPT and entry.info is not None:
                self._index.put(key, self._moved(entry, PLAYED))
        self.trim()
        return self.is_kept(key)

    def discard(self, key: str, reason: str) -> None:
        """Dislike: the piece never plays again and its file is deleted, from any shelf.

        A listener's own file is renamed to `….disliked` instead: it may be the only copy.
        """
        with self._index.claim(key) as entry:
            if entry is not None:
                log.info("discarded %s: %s", key, reason)
                self._index.put(key, None)
                if entry.path is not None:
                    own = entry.shelf == KEPT and entry.info is None
                    tried(self._storage.set_aside if own else self._storage.remove, entry.path)

    def reject(self, key: str, reason: str) -> None:
        """Give up on a piece that cannot be read (corrupt, vanished); what stands in kept/ is left as it is."""
        with self._index.claim(key) as entry:
            if entry is not None:
                log.warning("cannot play %s: %s", key, reason)
                self._index.put(key, None)
                if entry.path is not None and entry.shelf != KEPT:
                    tried(self._storage.remove, entry.path)

    def trim(self) -> None:
        """Delete played pieces, least recently heard first, until they fit; the latest one stays."""
        while sum(entry.size_bytes for entry in self._index.on(PLAYED)) > self._max_bytes:
            if not self._drop_played(spare=1):
                break
        loose = sorted(
            (entry for entry in self._index.on(PLAYED) if entry.path is None), key=lambda entry: entry.last_heard
        )
        for entry in loose[:-PLAYED_IN_MEMORY]:
            self._index.put(entry.key, None)

    # The disk: called with the entry claimed

    def _stored(self, entry: Entry) -> Entry:
        """Return the entry with its samples in a file, or unchanged when the disk refuses."""
        if entry.samples is None:
            return entry
        data = wavfile.encode(entry.samples, entry.info)
        name = Path(entry.key).name if entry.key.endswith(".wav") else file_name(entry.info)
        while True:
            try:
                path = self._storage.save(data, entry.shelf, name)
                break
            except OSError as error:
                if error.errno not in FULL or not self._drop_played():
                    self._disk.refused(error)
                    return entry
        tried(self._storage.stamp, path, entry.last_heard)
        self._disk.accepted()
        return replace(entry, path=path, samples=None, size_bytes=len(data))

    def _moved(self, entry: Entry, shelf: str) -> Entry | None:
        """Return the entry on its new shelf, None when its file is gone; a refused rename changes the index only."""
        if entry.path is None:
            return replace(entry, shelf=shelf)
        try:
            path = self._storage.move(entry.path, shelf)
        except OSError as error:
            self._disk.refused(error)
            path = entry.path
        if path is None:
            log.warning("%s vanished from the spool", entry.path)
            return None
        return replace(entry, shelf=shelf, path=path)

    def _drop_played(self, spare: int = 0) -> bool:
        """Delete the least recently heard played file; return whether there was one and the disk let it go."""
        with self._index.claim_free(_is_played_file, spare) as victim:
            if victim is None or victim.path is None or not tried(self._storage.remove, victim.path):
                return False
            self._index.put(victim.key, None)
            return True

    def _make_room(self) -> None:
        """Delete played files until a download fits. Raises OSError when it never does."""
        while self._storage.free_bytes() < ROOM_BYTES:
            if not self._drop_played():
                raise OSError(errno.ENOSPC, "No space left on device")

    def _save_memory(self) -> None:
        """Write what is only in memory, most wanted first, until the disk refuses."""
        for shelf in (KEPT, READY, PLAYED):
            for loose in self._index.on(shelf):
                if loose.path is None:
                    with self._index.claim(loose.key) as entry:
                        if entry is not None and entry.path is None:
                            entry = self._stored(entry)
                            self._index.put(entry.key, entry)
                    if entry is not None and entry.path is None:
                        return


def _is_played_file(entry: Entry) -> bool:
    return entry.shelf == PLAYED and entry.path is not None
