"""The spool's index: which piece stands where, and which thread may change it now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from shelves import LATEST_S, Entry, numbered

STAMP_STEP_S: Final = 1e-3


class ShelfIndex:
    """Entries by key, in the order they came.

    Threads: any; `_lock` guards all fields. A change claims its entry first, so that two threads never move one
    file; who holds a claim takes others only by `claim_free`, which never waits, so nobody waits in a circle.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._lock = threading.Condition()
        self._entries: dict[str, Entry] = {}
        self._claimed: set[str] = set()
        self._latest = 0.0

    def fill(self, entries: Iterable[Entry]) -> None:
        """Start with these entries."""
        with self._lock:
            self._entries = {entry.key: entry for entry in entries}
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

    def put(self, key: str, entry: Entry | None) -> None:
        """Enter what became of `key`; None: it is gone."""
        with self._lock:
            if entry is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = entry

    def next_stamp(self) -> float:
        """Return a time later than any before, in this run and (by the files' times) in earlier ones."""
        with self._lock:
            self._latest = max(self._latest + STAMP_STEP_S, self._wall())
            return self._latest

    @contextmanager
    def claim(self, key: str) -> Iterator[Entry | None]:
        """Wait until no other thread changes `key`, and keep them away from it."""
        with self._lock:
            self._lock.wait_for(lambda: key not in self._claimed)
            self._claimed.add(key)
            entry = self._entries.get(key)
        try:
            yield entry
        finally:
            self._release(key)

    @contextmanager
    def claim_new(self, name: str) -> Iterator[str]:
        """Claim a key that nobody has."""
        with self._lock:
            number = 1
            while (key := numbered(name, number)) in self._entries or key in self._claimed:
                number += 1
            self._claimed.add(key)
        try:
            yield key
        finally:
            self._release(key)

    @contextmanager
    def claim_free(self, wanted: Callable[[Entry], bool], spare: int = 0) -> Iterator[Entry | None]:
        """Claim the least recently heard entry that is wanted and that nobody changes; None when there is none.

        `wanted` looks at the entry only. The `spare` latest of the wanted ones are not taken.
        """
        with self._lock:
            found = sorted(filter(wanted, self._entries.values()), key=lambda entry: entry.last_heard)
            free = [entry for entry in found[: len(found) - spare] if entry.key not in self._claimed]
            if free:
                self._claimed.add(free[0].key)
        try:
            yield free[0] if free else None
        finally:
            if free:
                self._release(free[0].key)

    def _release(self, key: str) -> None:
        with self._lock:
            self._claimed.discard(key)
            self._lock.notify_all()
