"""The spool's index: which piece stands where, as it was wished last. The disk follows (`spool`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from shelves import LATEST_S, Entry, numbered

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
