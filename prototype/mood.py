"""What the listener wants to hear now: the station, and how far its rotation has come.

Threads: any; `_lock` guards every field.
"""

from __future__ import annotations

import threading

from stations import CUSTOM_KEY, Station
from values import Recipe, SegmentInfo


class Mood:
    """The present station. `token` changes with it, so that work begun for an earlier mood can be told apart."""

    def __init__(self, station: Station, index: int = 0, *, asked_for: bool = False) -> None:
        self._lock = threading.Lock()
        self._station = station
        self._index = index
        self._token = 0
        self._asked_for = asked_for

    @property
    def station(self) -> Station:
        """The present station."""
        with self._lock:
            return self._station

    @property
    def asked_for(self) -> bool:
        """Whether the listener named it: then other music only plays where there is nothing else at all."""
        with self._lock:
            return self._asked_for

    def token(self) -> int:
        """Return the number of the present mood."""
        with self._lock:
            return self._token

    def change(self, station: Station) -> bool:
        """Take another station; return whether it is another one."""
        with self._lock:
            if station == self._station:
                return False
            self._station = station
            self._token += 1
            self._asked_for = True
            return True

    def next_recipe(self, duration_s: float) -> Recipe:
        """Return the next recipe of the rotation."""
        with self._lock:
            self._index += 1
            return self._station.recipe(self._index, duration_s)

    def matches(self, info: SegmentInfo | None) -> bool:
        """Return whether a segment was made for the present mood."""
        station = self.station
        if info is None or info.recipe.station != station.key:
            return False
        return station.key != CUSTOM_KEY or info.recipe.prompt in station.captions
