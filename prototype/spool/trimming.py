"""What may be deleted from the spool, in which order, so that it stays bounded and there is room for what is new."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from spool.folders import DISLIKED, PLAYED, Storage, tried
from spool.shelves import PASSING, UNSAVED, Entry, ShelfIndex

PLAYED_IN_MEMORY: Final = 8
MEMORY_BYTES: Final = 96 * 2**20  # eight of 30 s take half of it; ten minutes are 110 MiB
MOST_DISLIKED: Final = 10


class Trimmer:
    """Bounds `played/` and `disliked/`; what was kept is never touched.

    Threads: who has the spool's turn, but for `forget_unwritten` and `room`, which any may call.
    """

    def __init__(self, index: ShelfIndex, storage: Storage, max_bytes: float) -> None:
        self._index = index
        self._storage = storage
        self._max_bytes = max_bytes

    def trim(self, refused: Collection[str]) -> None:
        """Delete played pieces, least recently heard first, until they fit; the latest one stays.

        Of those that the disk `refused` (keys) only the latest are kept in memory.
        """
        while self._index.measure(PASSING)[1] > self._max_bytes:
            if not self._drop_played(spare=1):
                break
        for entry in self._index.group(DISLIKED)[:-MOST_DISLIKED]:
            self.forget_disliked(entry)
        self.forget_unwritten(refused)

    def forget_disliked(self, entry: Entry) -> None:
        """Delete a disliked piece for good; a listener's own file is left where it is."""
        path = entry.path
        if path is None or entry.info is None or tried(self._storage.files.remove, path):
            self._index.swap(entry, None)

    def forget_unwritten(self, among: Collection[str] | None = None) -> None:
        """Keep of the played pieces that are in no file the latest: PLAYED_IN_MEMORY, or what MEMORY_BYTES hold.

        Only those `among` some keys are looked at; None: all.
        """
        loose = [entry for entry in self._index.group(UNSAVED, PLAYED) if among is None or entry.key in among]
        held = 0
        for number, entry in enumerate(reversed(loose)):
            held += entry.samples.nbytes if entry.samples is not None else 0
            if number >= PLAYED_IN_MEMORY or (number and held > MEMORY_BYTES):
                self._index.swap(entry, None)

    def _drop_played(self, spare: int = 0) -> bool:
        """Delete the least recently heard played file, or disliked one; return whether there was one and it went."""
        while len(files := self._index.group(PASSING, most=1 + spare)) > spare:
            victim = files[0]
            if victim.path is not None and self._index.swap(victim, None):  # else it is liked at this moment
                gone = tried(self._storage.files.remove, victim.path)
                if not gone:
                    self._index.add(victim)
                return gone
        return False

    def room(self) -> int:
        """Return how many bytes can still be written, 0 where nobody knows."""
        try:
            return self._storage.files.free_bytes(self._storage.root)
        except OSError:
            return 0

    def make_room(self, needed: int) -> bool:
        """Delete one played file, if with all of them there were room enough; return whether that helped."""
        before = self.room()
        if before + self._index.measure(PASSING)[1] < needed:
            return False
        return self._drop_played() and (before >= needed or self.room() > before)
