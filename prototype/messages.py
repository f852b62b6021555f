"""Every sentence a person reads while the music plays, in English and Japanese, and the list of recent ones.

A text is a `str.format` template; both languages of a key take the same fields. They are written down in `texts`
(notices), `ui_texts` (the screen) and `mode_texts` (what the modes beside playing print).
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections import deque
from typing import Final

from mode_texts import MODES
from texts import NOTICES
from ui_texts import UI
from values import Clock, Notice

log = logging.getLogger(__name__)

LANGUAGES = ("en", "ja")

TEXTS: Final[dict[str, tuple[str, str]]] = {**NOTICES, **UI, **MODES}


def text(language: str, key: str, **fields: object) -> str:
    """Return the text of `key` in `language` ("en" or "ja"), with its fields filled in."""
    return TEXTS[key][LANGUAGES.index(language)].format(**fields)


class Notices:
    """The latest notices, newest last; each is logged (in English) as it is said.

    A notice equal to the one said last under the same key is not repeated.

    Threads: any; `_lock` guards `_recent` and `_last`.
    """

    def __init__(self, clock: Clock, limit: int = 50) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[Notice] = deque(maxlen=limit)
        self._last: dict[str, tuple[tuple[str, object], ...]] = {}

    def say(self, key: str, level: str = "info", **fields: object) -> None:
        """Add a notice; `level` is "info", "good", "warning" or "error"."""
        args = tuple(sorted(fields.items()))
        with self._lock:
            if self._last.get(key) == args and self._recent and self._recent[-1].key == key:
                return
            self._last[key] = args
            wall = datetime.datetime.now().strftime("%H:%M")
            self._recent.append(Notice(level, key, args, self._clock.now(), wall))
        log.log(
            {"warning": logging.WARNING, "error": logging.ERROR}.get(level, logging.INFO),
            "%s",
            text("en", key, **fields),
        )

    def recent(self) -> tuple[Notice, ...]:
        """Return the latest notices, oldest first."""
        with self._lock:
            return tuple(self._recent)
