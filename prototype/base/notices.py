"""The recent notices: calm lines for a person, said by any part of the program and shown by the screen."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final, Literal, NamedTuple

from base.texts import said
from base.workers import Clock

log = logging.getLogger(__name__)

Level = Literal["info", "good", "warning", "error"]
LOGGED: Final[dict[Level, int]] = {
    "info": logging.INFO,
    "good": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Notice(NamedTuple):
    """One calm line for a person. `key` and `args` name a text of `texts`; `wall` is the time of day."""

    level: Level
    key: str
    args: tuple[tuple[str, object], ...]
    at: float
    wall: str


class Notices:
    """The latest notices, newest last; each is logged (in English) as it is said.

    A notice equal to the one before it is not repeated.

    Threads: any; `_lock` guards `_recent`.
    """

    def __init__(self, clock: Clock, limit: int = 50) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[Notice] = deque(maxlen=limit)

    def say(self, key: str, level: Level = "info", **fields: object) -> None:
        """Add a notice."""
        words = said(key, **fields)
        args = tuple(sorted(words.fields))
        with self._lock:
            if self._recent and self._recent[-1][1:3] == (key, args):
                return
            self._recent.append(Notice(level, key, args, self._clock.now(), time.strftime("%H:%M")))
        log.log(LOGGED[level], "%s", words)

    def recent(self) -> tuple[Notice, ...]:
        """Return the latest notices, oldest first."""
        with self._lock:
            return tuple(self._recent)
