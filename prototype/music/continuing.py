"""Which pieces go on: segment after segment, each made as a continuation of the one before (`joining`).

A piece goes on because all of them do (CONTINUE), or because the listener asked for this one. It ends when the listener
says otherwise or turns to something else, when it has lasted long enough, or when it cannot be continued.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from music.segment import Piece, SegmentInfo, Source

REMEMBERED: Final = 200

T = TypeVar("T")


class Continuing:
    """What the listener wants to go on.

    `playing` tells what is heard; it is given once, before anybody asks. `possible`: whether anything can go on at all.
    Threads: any; `_lock` guards `_kept` and `_ended` (by piece, whether the listener turned away from it).
    """

    def __init__(self, always: bool = False, *, possible: bool = True) -> None:
        """`possible` False: the player cannot join segments."""
        self.playing: Callable[[], Piece | None] = lambda: None
        self._lock = threading.Lock()
        self.possible = possible
        self._always = always
        self._kept = ""
        self._ended: dict[str, bool] = {}

    @property
    def any_wanted(self) -> bool:
        """Whether there may be a piece that is to go on."""
        return self.possible and (self._always or bool(self._kept))

    def wanted(self, piece_id: str, *, fresh: bool = True) -> bool:
        """Return whether a piece is to go on; one that is not `fresh` only where the listener asked for it."""
        with self._lock:
            asked = (self._always and fresh) or piece_id == self._kept
            return self.possible and asked and piece_id not in self._ended

    def goes_on(self, info: SegmentInfo | None, source: Source) -> bool:
        """Return whether what is heard is to go on."""
        if info is None or source is Source.BUILTIN:
            return False
        return self.wanted(info.piece_id, fresh=source is Source.FRESH)

    def toggle(self, info: SegmentInfo, source: Source) -> bool:
        """Keep what is heard going, or let it end where it was kept; return whether it goes on now."""
        if self.goes_on(info, source):
            self.end(info.piece_id)
            return False
        with self._lock:
            self._kept = info.piece_id
            self._ended.pop(info.piece_id, None)
        return self.goes_on(info, source)

    def end(self, piece_id: str, *, left: bool = False) -> None:
        """Ask for no more of a piece; what was made of it still plays.

        `left`: the listener turned away from it; what was made and not heard yet goes to the library.
        """
        with self._lock:
            self._ended[piece_id] = left or self._ended.get(piece_id, False)
            while len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]

    def is_left(self, info: SegmentInfo | None) -> bool:
        """Return whether a segment continues a piece that the listener turned away from."""
        with self._lock:
            return info is not None and info.continues is not None and self._ended.get(info.piece_id, False)


def play_order(entries: Iterable[T], info_of: Callable[[T], SegmentInfo | None], after: str = "") -> list[T]:
    """Return what is queued in the order of playing: what continues a segment comes right behind it.

    `after` is the id of the segment before the first. What continues something that is not there is as any other.
    """
    left, ordered = list(entries), []
    while left:
        ids = {info.segment_id for entry in left if (info := info_of(entry))}
        follows = {id(entry): info.follows if (info := info_of(entry)) else "" for entry in left}
        chosen = next((entry for entry in left if after and follows[id(entry)] == after), None)
        chosen = chosen or next((entry for entry in left if follows[id(entry)] not in ids), left[0])
        left.remove(chosen)
        ordered.append(chosen)
        info = info_of(chosen)
        after = info.segment_id if info else ""
    return ordered


def continues(info: SegmentInfo | None, segment_id: str) -> bool:
    """Return whether a segment goes on with the one of this id ("" for none)."""
    return info is not None and info.follows == segment_id != ""
