"""Which of the pieces that wait comes next: the one that follows best, but none waits long for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from music.continuing import continues
from music.keys import Musical, discord
from music.segment import Piece, SegmentInfo
from spool.spool import Entry

LOOKED_AT: Final = 4  # of those that wait longest
MOST_PASSED: Final = 3  # times that the first of them gives way


class Following:
    """Chooses among the first LOOKED_AT that wait; the first gives way at most MOST_PASSED times.

    A part of a chain stays behind the one that it continues. Threads: one.
    """

    def __init__(self) -> None:
        self._before: Musical | None = None
        self._before_id = ""
        self._strangers: dict[str, Musical] = {}
        self._first = ""
        self._passed = 0

    def after(self, info: SegmentInfo | None) -> None:
        """Note what the next choice is to follow."""
        self._before, self._before_id = info, info.segment_id if info else ""

    def heard(self, piece: Piece) -> None:
        """Note what is heard; of a file without metadata also what was measured of it, which nobody else keeps."""
        self.after(piece.info)
        if piece.info is None and piece.sound:
            self._before = self._strangers[piece.key] = piece.sound

    def choose(self, waiting: Sequence[Entry]) -> Entry | None:
        """Return the best of what waits, longest first; equals in their order; None when nothing does."""
        looked_at = waiting[:LOOKED_AT]
        if not looked_at:
            return None
        first = looked_at[0]
        self._passed = self._passed if first.key == self._first else 0
        self._first = first.key
        if self._passed >= MOST_PASSED:
            return first
        queued = {entry.info.segment_id for entry in looked_at if entry.info}
        free = [entry for entry in looked_at if not entry.info or entry.info.follows not in queued]
        chosen = min(free, key=self._discord, default=first)
        self._passed += chosen is not first
        return chosen

    def _discord(self, entry: Entry) -> float:
        if self._before is None:
            return 0.0
        if continues(entry.info, self._before_id):
            return -1.0
        return discord(self._before, entry.info or self._strangers.get(entry.key))
