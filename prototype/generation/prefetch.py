"""How much music is made ahead: the slots of the queue to come, and when there is one more to fill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from config import Settings
from generation.jobs import Job, JobView
from spool.spool import Entry

USUAL_SHARE: Final = 0.75  # audible seconds per second asked for, below which one segment more is kept


@dataclass(eq=False)
class Slot:
    """One slot of the queue to come: reserved by a worker, who asks for one job after the other until one fills it.

    `mood` is what it was reserved for. Where `is_promising()` does not hold, others need not wait for it. Owned by its
    worker; others only look.
    """

    number: int
    mood: int
    reserved_at: float
    is_promising: Callable[[], bool] = lambda: True
    job: Job | None = None


class Prefetch:
    """Keeps what is ready or in flight at the target, and one more where that is too short to listen to.

    Threads: any; `_lock` guards `_slots` and `_reserved`. Anybody may set `resting`, while nothing is to be asked for.
    """

    def __init__(
        self, settings: Settings, ready: Callable[[], Sequence[Entry]], unawaited: Callable[[int], int]
    ) -> None:
        """`unawaited` counts the jobs of a mood that will bring music and have no slot."""
        self.resting = False
        self._settings, self._ready, self._unawaited = settings, ready, unawaited
        self._lock = threading.Lock()
        self._slots: list[Slot] = []
        self._reserved = 0

    def reserve(
        self,
        mood: int,
        segment_s: float,
        usual_s: float,
        now: float,
        more: int = 0,
        is_promising: Callable[[], bool] = lambda: True,
    ) -> Slot | None:
        """Take a slot if one is free, or `more` than usual.

        A segment to come lasts `segment_s`, one that was not measured `usual_s`.
        """
        settings = self._settings
        with self._lock:
            # In the music's order, from the server to the shelf: what moves on meanwhile is counted twice, not missed.
            coming = self._coming(mood)
            ready = self._ready()
            ready_s = sum(entry.info.audible_s if entry.info else usual_s for entry in ready)
            count = len(ready) + settings.batch_size * coming
            ahead_s = ready_s + settings.batch_size * coming * segment_s
            target_s = settings.prefetch_target * settings.segment_seconds * USUAL_SHARE
            spare = count - settings.prefetch_target - more
            if spare > 0 or (spare == 0 and ahead_s >= target_s):
                return None
            self._reserved += 1
            slot = Slot(self._reserved, mood, now, is_promising)
            self._slots.append(slot)
            return slot

    def longest_s(self, mood: int, room_s: Callable[[float], float]) -> float:
        """Return how long the next job may be; `room_s` tells for what length there is time with so much ready.

        Only in a full queue, so that what is missing comes as soon as can be.
        """
        settings, ready = self._settings, self._ready()
        with self._lock:
            coming = self._coming(mood)
        if len(ready) + settings.batch_size * coming < settings.prefetch_target:
            return 0.0
        ready_s = sum(entry.info.audible_s for entry in ready if entry.info)
        return min(settings.segment_max_seconds, room_s(ready_s))

    def leave(self, slot: Slot) -> None:
        """Give a slot back, filled or not."""
        with self._lock:
            self._slots = [other for other in self._slots if other is not slot]

    def _coming(self, mood: int) -> int:
        return sum(slot.mood == mood and slot.is_promising() for slot in self._slots) + self._unawaited(mood)

    def views(self, now: float) -> tuple[JobView, ...]:
        """Return what the dashboard shows of the slots that have no job yet."""
        with self._lock:
            asking = [slot for slot in self._slots if slot.job is None]
        return tuple(JobView(f"#{slot.number}", 0.0, "asking", now - slot.reserved_at) for slot in asking)
