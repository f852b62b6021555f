"""From the shelves to the mixer: a few pieces decoded ahead, so that the pull path only mixes arrays.

The loader takes the fresh ones in their order, picks from the library what was heard longest ago, has the built-in
engine render one piece ahead, and follows what the mixer plays: a fresh segment that begins to be heard moves to
`played/`, and the log gets its waiting time and the queue depth.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from base.errors import CorruptSegment
from base.notices import Notices
from base.workers import Clock
from music.segment import Piece, Source
from music.stations import Mood
from programme.history import Heard, History
from programme.mixer import Dropped, Event, Mixer, Started
from programme.supplies import ENGINE_SOURCES, BuiltinSupply, Levels, Library, Pacing, load
from spool.spool import HANGING_S, Entry, Spool
from spool.state_files import Later, at_once

log = logging.getLogger(__name__)

TICK_S: Final = 0.2
HURRIED_TICK_S: Final = 0.02
HURRY_S: Final = 5.0
CALM_S: Final = 0.5  # with a piece in stock; a skip takes as long to fade over to it
FRESH_AHEAD: Final = 2

Read = tuple[Entry, Source, Piece | CorruptSegment | OSError]


class Loader:
    """Keeps the mixer's stock filled and the shelves in step with what is heard.

    `factor` tells how fast music is made (generation seconds per audible second, None while unknown).

    Threads: `step` (and `run`) belongs to one thread. `change_mood` and what is public to read may be used from
    anywhere: they are single assignments.
    """

    def __init__(
        self,
        mixer: Mixer,
        spool: Spool,
        mood: Mood,
        builtin: BuiltinSupply,
        notices: Notices,
        clock: Clock,
        *,
        levels: Levels,
        engine: str = "auto",
        target: int = 3,
        no_repeat: int = 8,
        later: Later = at_once,
    ) -> None:
        """`later` reads files, where the disk may be waited for."""
        self._mixer = mixer
        self._later = later
        self._spool = spool
        self._mood = mood
        self._builtin = builtin
        self._notices = notices
        self._clock = clock
        self._levels = levels
        self._allowed = ENGINE_SOURCES[engine]
        self._target = target
        self._library = Library(spool, mood, no_repeat, engine)
        self.factor: Callable[[], float | None] = lambda: None
        self._pacing = Pacing()
        self._stocked: dict[str, Source] = {}
        self._cut_off: set[str] = set()
        self._events: deque[Event] = deque()
        self._read: deque[Read] = deque()
        self._reading_since: dict[str, float] = {}
        self._ready_since: dict[str, float] = {}
        self._mood_changed = False
        self._calm = False
        self._last_source: Source | None = None
        self.started = dict.fromkeys(Source, 0)
        self.history = History()
        self.last_wait_s: float | None = None
        self.depth_history: deque[int] = deque(maxlen=120)

    def change_mood(self) -> None:
        """Let what is queued for the old mood give way; called after the mood was changed."""
        self._mood_changed = True

    def again(self, heard: Heard) -> bool:
        """Fade over to what was heard before, as soon as it is read or made; return whether it can be had."""
        entry = self._spool.get(heard.key)
        if entry is None:
            return heard.source is Source.BUILTIN and self._builtin.again(heard.info, self._mixer.play)

        def read() -> None:
            try:
                missing = functools.partial(self._say_cut_off, entry.key)
                self._mixer.play(load(entry, self._levels, Source.LIBRARY, missing))
            except (CorruptSegment, OSError) as error:
                self._notices.say("loader.corrupt", "warning", name=entry.key, reason=str(error))

        self._later(f"again {heard.key}", read)
        return True

    def run(self, stop: threading.Event) -> None:
        """Repeat `step` until `stop`."""
        begun_at = self._clock.now()
        while not self._clock.wait(stop, self._pause_s(begun_at)):
            self.step()

    def _pause_s(self, begun_at: float) -> float:
        """Return how long to wait: at the beginning hardly, as the first music is on its way."""
        if not self._stocked and self._last_source in (None, Source.BED) and self._clock.now() < begun_at + HURRY_S:
            return HURRIED_TICK_S
        return CALM_S if self._calm else TICK_S

    def step(self) -> None:
        """Follow the mixer, then fill its stock."""
        self._calm = False
        self._events.extend(self._mixer.take_events())
        moved = bool(self._events) or self._mood_changed
        while self._events:  # one by one: a failure may cost one of them, not those behind it
            event = self._events.popleft()
            self._stocked.pop(event.piece.key, None)
            if isinstance(event, Started):
                self._on_started(event.piece)
            elif isinstance(event, Dropped):
                log.info("%s leaves the stock unheard", event.piece.key)
        self._take_read()
        if self._mood_changed:
            self._mood_changed = False
            self._give_way()
        self._note_source()
        self._fill()
        self._calm = not moved and bool(self._stocked)

    # -- following the mixer -------------------------------------------------------------------------------

    def _on_started(self, piece: Piece) -> None:
        if piece.source is not Source.BUILTIN:  # first of all: what fails here is heard twice
            self._library.heard(piece.key)
            self._spool.mark_played(piece.key)
        self.history.add(piece)
        depth = len(self._spool.ready())
        self.started[piece.source] += 1
        self.depth_history.append(depth)
        now = self._clock.now()
        waited_s = now - self._ready_since.get(piece.key, now)
        if piece.source is Source.FRESH:
            self.last_wait_s = waited_s
        self._pacing.heard(piece.source, self.factor(), depth >= self._target)
        self._mixer.prefer_library(self._pacing.library_first)
        info = piece.info
        log.info(
            "play %s (%s): generation %s s, at the server %s s, on the shelf %.1f s, queue depth %d",
            piece.key,
            piece.source.value,
            _seconds(info.generation_s if info else None),
            _seconds(info.server_wait_s if info else None),
            waited_s,
            depth,
        )

    def _note_source(self) -> None:
        """Say when what plays comes from another source than before, and why; not when it is wanted so."""
        now = self._mixer.snapshot()
        source, before = now.playing.source, self._last_source
        if source is before:
            return
        self._last_source = source
        expected = (
            now.resting or now.playing.asked or self._allowed == {source} or (before is None and source is Source.BED)
        )
        if not expected:
            self._notices.say(f"source.{source.name.lower()}", "good" if source is Source.FRESH else "info")

    def _give_way(self) -> None:
        """Drop what is in stock for the old mood, and change over as soon as there is a piece."""
        self._mixer.withdraw(lambda piece: not self._mood.matches(piece.info))
        self._mixer.change_soon()

    # -- filling the stock ---------------------------------------------------------------------------------

    def _fill(self) -> None:
        now = self._clock.now()
        ready = self._library.fresh()
        self._ready_since = {entry.key: self._ready_since.get(entry.key, now) for entry in ready}
        if Source.FRESH in self._allowed:
            for entry in ready:
                if entry.key not in self._stocked and self._room_for(
                    Source.FRESH, FRESH_AHEAD, in_memory=entry.samples is not None
                ):
                    self._offer(entry, Source.FRESH)
        if Source.LIBRARY in self._allowed and self._room_for(Source.LIBRARY, 1):
            again = self._library.pick(self._stocked)
            if again is not None:
                self._offer(again, Source.LIBRARY)
        if Source.BUILTIN in self._allowed and self._room_for(Source.BUILTIN, 1) and (piece := self._builtin.take()):
            self._stocked[piece.key] = Source.BUILTIN
            self._mixer.offer(piece)

    def _room_for(self, source: Source, ahead: int, *, in_memory: bool = False) -> bool:
        """Whether there is room for one more: in memory also for what a disk that hangs has not given yet."""
        late = self._clock.now() - HANGING_S if in_memory else -math.inf
        hung = {key for key, since in self._reading_since.items() if since < late}
        return sum(stocked is source and key not in hung for key, stocked in self._stocked.items()) < ahead

    def _offer(self, entry: Entry, source: Source) -> None:
        """Take the entry's place in the stock, and have it read: a disk that hangs keeps no other source waiting."""
        self._stocked[entry.key] = source

        def read() -> None:
            try:
                piece = load(entry, self._levels, source, lambda missing: self._say_cut_off(entry.key, missing))
                self._read.append((entry, source, piece))
            except (CorruptSegment, OSError) as error:
                self._read.append((entry, source, error))
            except BaseException:
                self._stocked.pop(entry.key, None)
                self._reading_since.pop(entry.key, None)
                raise

        if entry.samples is not None:
            read()
        else:
            self._reading_since[entry.key] = self._clock.now()
            self._later(entry.key, read)
        self._take_read()

    def _take_read(self) -> None:
        """Offer what has been read, if it is still wanted."""
        while self._read:
            entry, source, piece = self._read.popleft()
            self._reading_since.pop(entry.key, None)
            now = self._spool.get(entry.key)
            if isinstance(piece, Piece):
                if now is not None and (source is Source.LIBRARY or now.shelf == entry.shelf):
                    self._mixer.offer(piece)
                    continue
            elif isinstance(piece, CorruptSegment):
                self._notices.say("loader.corrupt", "warning", name=entry.key, reason=str(piece))
                self._spool.reject(entry.key, str(piece))
            elif now is None or now.path == entry.path:  # else it was moved meanwhile, and is tried again
                self._spool.reject(entry.key, str(piece))
            self._stocked.pop(entry.key, None)

    def _say_cut_off(self, key: str, missing: str) -> None:
        if key not in self._cut_off:  # it comes again and again
            self._cut_off.add(key)
            self._notices.say("segment.cut_off", "warning", name=key, missing=missing)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
