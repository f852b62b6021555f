"""What was heard, in its order, and the way back through it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from music.segment import Piece, SegmentInfo, Source

REMEMBERED: Final = 200


@dataclass(frozen=True)
class Heard:
    """A piece that began to play at `wall` ("14:02"); `key` is its name in the spool."""

    wall: str
    source: Source
    key: str = ""
    info: SegmentInfo | None = None
    liked: bool = False
    title: str = ""


class History:
    """The latest REMEMBERED pieces, and where `back` has led: as in a browser, what was left that way is not before.

    Threads: any; `_lock` guards all fields but `heard`, a tuple that is replaced.
    """

    def __init__(self) -> None:
        self.heard: tuple[Heard, ...] = ()
        self._lock = threading.Lock()
        self._past: list[Heard] = []
        self._asked_back = False

    def add(self, piece: Piece) -> None:
        """Note a piece that begins to be heard."""
        heard = Heard(time.strftime("%H:%M"), piece.source, piece.key, piece.info, title=piece.title)
        with self._lock:
            self.heard = (*self.heard, heard)[-REMEMBERED:]
            if not self._past or self._past[-1].key != heard.key:
                self._past = [*self._past, heard][-REMEMBERED:]
            self._asked_back = False

    def back(self, playing: str) -> Heard | None:
        """Go one piece back from that with the key `playing`, or from the one that was asked for last."""
        with self._lock:
            past = self._past
            if past and (self._asked_back or past[-1].key == playing):
                if len(past) == 1:
                    return None
                past.pop()
            self._asked_back = bool(past)
            return past[-1] if past else None

    def find(self, key: str) -> Heard | None:
        """Return what was heard last under that key."""
        return next((heard for heard in reversed(self.heard) if heard.key == key), None)
