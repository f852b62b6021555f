"""From the sources to the programme: a few pieces prepared ahead, so that whoever plays them never waits.

The loader asks each source in its turn, has files read where the disk may be waited for, and follows what is heard:
a fresh segment that begins moves to `played/`, and the log gets its waiting time and the queue depth.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from base.errors import CorruptSegment, SpoolError
from base.notices import Notices
from base.texts import reason_of
from base.workers import Clock, Later, at_once
from music.segment import Piece, Source
from music.stations import Mood
from programme.history import Heard, History
from programme.programme import Event, Left, Programme, Started
from programme.supplies import Decoded, Filed, Offer, Pacing, Supply
from spool.folders import READY, is_of_disk
from spool.spool import HANGING_S, Entry, Spool

log = logging.getLogger(__name__)

TICK_S: Final = 0.2
HURRIED_TICK_S: Final = 0.02
HURRY_S: Final = 10.0
CALM_S: Final = 2.5  # with a piece in stock, and nobody to wake it: a disk that hangs is found out by then
REFUSED_S: Final = 10.0  # until a disk is asked again that takes no file


_Made = Piece | CorruptSegment | OSError | SpoolError | None
"""What came of an offer of a source; None through a mistake of ours."""


class Reader:
    """Prepares pieces, in `later` what needs the disk: one that hangs keeps nobody waiting.

    Threads: `begin`, `take` and `hung` belong to the loader's; `later` may use another.
    """

    def __init__(self, preparer: Decoded | Filed, notices: Notices, clock: Clock, later: Later = at_once) -> None:
        self.later = later
        self._preparer = preparer
        self._notices = notices
        self._clock = clock
        self._since: dict[str, float] = {}
        self._done: deque[tuple[Offer, Source, _Made]] = deque()
        self._cut_off: set[str] = set()

    def play(self, offer: Offer, source: Source, play: Callable[[Piece], None]) -> None:
        """Have a piece prepared that is to be played at once."""

        def give(made: _Made) -> None:
            if isinstance(made, Piece):
                play(made)
            elif made is not None:
                self._notices.say("loader.corrupt", "warning", name=offer.key, reason=made)

        self._prepare(f"again {offer.key}", offer, source, give)

    def begin(self, offer: Offer, source: Source) -> None:
        """Have a piece prepared for the stock."""
        self._since[offer.key] = self._clock.now()
        self._prepare(offer.key, offer, source, lambda made: self._done.append((offer, source, made)))

    @property
    def is_busy(self) -> bool:
        """Whether anything is being prepared, or waits to be taken."""
        return bool(self._since)

    def take(self) -> list[tuple[Offer, Source, _Made]]:
        """Return what is prepared."""
        done = [self._done.popleft() for _ in range(len(self._done))]
        for offer, _, _ in done:
            self._since.pop(offer.key, None)
        return done

    def awaits(self, key: str) -> bool:
        """Whether a piece is being prepared, on a disk that does not hang."""
        return key in self._since and key not in self.hung()

    def hung(self) -> set[str]:
        """Return the keys of what the disk has not given for HANGING_S."""
        late = self._clock.now() - HANGING_S
        return {key for key, since in self._since.items() if since < late}

    def _prepare(self, name: str, offer: Offer, source: Source, give: Callable[[_Made], None]) -> None:
        def say(missing: str) -> None:
            if offer.key not in self._cut_off:  # it comes again and again
                self._cut_off.add(offer.key)
                self._notices.say("segment.cut_off", "warning", name=offer.key, missing=missing)

        def prepare() -> None:
            made: _Made = None
            try:
                made = self._preparer.prepare(offer, source, say)
            except (CorruptSegment, OSError, SpoolError) as error:
                of_disk = isinstance(error, OSError) and offer.path and is_of_disk(error, offer.path)
                made = SpoolError(reason_of(error)) if of_disk else error
            finally:
                give(made)

        if self._preparer.waits(offer):
            self.later(name, prepare)
        else:
            prepare()


class Loader:
    """Keeps the programme's stock filled and the shelves in step with what is heard.

    Threads: `step` (and `run`) belongs to one thread. `wake`, `change_mood` and what is public to read may be used from
    anywhere: they are single assignments.
    """

    def __init__(
        self,
        programme: Programme,
        supplies: Sequence[Supply],
        reader: Reader,
        spool: Spool,
        mood: Mood,
        notices: Notices,
        clock: Clock,
        pacing: Pacing | None = None,
    ) -> None:
        """`supplies`: best first."""
        self._programme = programme
        self._supplies = supplies
        self._reader = reader
        self._spool = spool
        self._mood = mood
        self._notices = notices
        self._clock = clock
        self._pacing = pacing or Pacing()
        self._stocked: dict[str, Source] = {}
        self._begun = ""
        self._late: set[str] = set()
        self._events: deque[Event] = deque()
        self._ready_since: dict[str, float] = {}
        self._mood_changed = False
        self._woken = threading.Event()
        self.wake = programme.on_change = spool.on_change = self._woken.set
        """Has the next step made at once."""
        self._refused_until = 0.0
        self._unreadable_until = 0.0  # 0: files can be read
        self._last_source: Source | None = None
        self.started = dict.fromkeys(Source, 0)
        self.history = History()
        self.on_started: Callable[[], None] = lambda: None
        """Told that a piece has begun."""
        self.depth_history: deque[int] = deque(maxlen=120)
        self.waited_s: deque[float] = deque(maxlen=120)

    def change_mood(self) -> None:
        """Let what is queued for the old mood give way; called after the mood was changed."""
        self._mood_changed = True
        self.wake()

    def begin_with(self, entry: Entry) -> None:
        """Have a piece that is heard already prepared before all others; called before the first step."""
        source = Source.FRESH if entry.shelf == READY else Source.LIBRARY
        self._begun = entry.key
        self._stocked[entry.key] = source
        self._reader.begin(entry, source)

    def again(self, heard: Heard) -> bool:
        """Go back to what was heard before, as soon as it is read or made; return whether it can be had."""
        play, makers = self._programme.play, (one for one in self._supplies if one.source is heard.source)
        if entry := self._spool.get(heard.key):
            self._reader.play(entry, Source.LIBRARY, play)
            return True
        return any(one.again(heard.info, lambda piece: self._reader.play(piece, piece.source, play)) for one in makers)

    def run(self, stop: threading.Event) -> None:
        """Repeat `step` until `stop`; `wake` has it seen."""
        begun_at, calm = self._clock.now(), False
        while not stop.is_set():
            self._clock.wait(self._woken, self._pause_s(begun_at, calm=calm))
            self._woken.clear()
            calm = not stop.is_set() and self.step()

    def _pause_s(self, begun_at: float, *, calm: bool) -> float:
        """Return how long to wait: at the beginning hardly, as the first music is on its way."""
        awaited = self._last_source in (None, Source.BED) and (self._reader.is_busy or not self._stocked)
        if awaited and self._clock.now() < begun_at + HURRY_S:
            return HURRIED_TICK_S
        return CALM_S if calm and not self._reader.is_busy else TICK_S

    def step(self) -> bool:
        """Follow the programme, then fill its stock; return whether nothing moves, and there is one."""
        self._events.extend(self._programme.take_events())
        moved = bool(self._events) or self._mood_changed
        while self._events:  # one by one: a failure may cost one of them, not those behind it
            event = self._events.popleft()
            self._stocked.pop(event.piece.key, None)
            if isinstance(event, Started):
                self._on_started(event.piece)
            elif isinstance(event, Left):
                self._leave(event.piece)
            else:
                log.info("%s leaves the stock unheard", event.piece.key)
        self._take_prepared()
        if self._mood_changed:
            self._mood_changed = False
            self._late = {*self._stocked}
            if (piece := self._programme.playing_piece()) and not self._mood.matches(piece.info):
                self._leave(piece)
            for supply in self._supplies:
                supply.change_mood()
            self._programme.withdraw(lambda piece: not self._mood.matches(piece.info))
            self._programme.change_soon()
        self._note_source()
        self._fill()
        return not moved and bool(self._stocked)

    def _leave(self, piece: Piece) -> None:
        """Let a piece not go on, as the listener turned away from it."""
        if piece.info:
            self._mood.continuing.end(piece.info.piece_id, left=True)

    def _on_started(self, piece: Piece) -> None:
        for supply in self._supplies:  # first of all: what fails here is heard twice
            supply.heard(piece)
        self.history.add(piece)
        self.on_started()
        depth = len(self._spool.ready())
        self.started[piece.source] += 1
        self.depth_history.append(depth)
        now = self._clock.now()
        waited_s = now - self._ready_since.get(piece.key, now)
        if piece.source is Source.FRESH and piece.key in self._ready_since:
            self.waited_s.append(waited_s)
        self._pacing.heard(piece.source, depth)
        self._programme.prefer_library(self._pacing.library_first)
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
        piece, before = self._programme.playing_piece(), self._last_source
        source = piece.source if piece else Source.BED
        if source is before:
            return
        self._last_source = source
        now = self._programme.snapshot()
        alone = [supply.source for supply in self._supplies] == [source]
        if not (now.resting or now.playing.asked or alone or (before is None and source is Source.BED)):
            self._notices.say(f"source.{source.name.lower()}", "good" if source is Source.FRESH else "info")

    def _fill(self) -> None:
        now = self._clock.now()
        if now < self._refused_until:
            return
        self._ready_since = {entry.key: self._ready_since.get(entry.key, now) for entry in self._spool.ready()}
        for supply in self._supplies:
            while offer := self._next(supply):
                self._stocked[offer.key] = supply.source
                self._reader.begin(offer, supply.source)
                self._take_prepared()
            if self._stocked.get(self._begun) is supply.source and self._reader.awaits(self._begun):
                return  # what is worse would be faded over to

    def _next(self, supply: Supply) -> Offer | None:
        """Ask a source while there is room: of a disk that hangs, or gives nothing, only for what is in memory."""
        held = {key for key, source in self._stocked.items() if source is supply.source}
        if len(held - self._reader.hung()) >= supply.ahead:
            return None
        if len(held) < supply.ahead and self._clock.now() >= self._unreadable_until:
            return supply.next(self._stocked)
        pieces = (*self._spool.ready(), *self._spool.library())
        return supply.next(self._stocked.keys() | {entry.key for entry in pieces if entry.samples is None})

    def _take_prepared(self) -> None:
        """Offer what has been prepared, if it is still wanted."""
        for offer, source, made in self._reader.take():
            if isinstance(made, Piece) and offer.samples is None:
                self._unreadable_until = 0.0
            if isinstance(made, Piece) and self._is_wanted(offer, source):
                self._programme.offer(made)
                continue
            self._stocked.pop(offer.key, None)
            if isinstance(made, SpoolError):
                self._disk_refused(offer, made)
            elif isinstance(made, Exception) and isinstance(offer, Entry):
                self._reject(offer, made)

    def _is_wanted(self, offer: Offer, source: Source) -> bool:
        """Whether the mood, and the listener, still want what was prepared."""
        late = offer.key in self._late  # asked for when there was another mood
        self._late.discard(offer.key)
        fits = self._mood.matches(offer.info)
        if isinstance(offer, Piece):
            return fits
        now = self._spool.get(offer.key)
        return (fits or not late) and now is not None and (source is Source.LIBRARY or now.shelf == offer.shelf)

    def _disk_refused(self, offer: Offer, error: SpoolError) -> None:
        """Ask again later for what could not be read, and then for other pieces first; or for what got no file."""
        log.warning("the disk does not serve %s: %s", offer.key, error)
        until = self._clock.now() + REFUSED_S
        if offer.path is None:
            self._refused_until = until
            return
        if not self._unreadable_until:
            self._notices.say("loader.unreadable", "warning", reason=error)
        self._unreadable_until = until
        self._spool.mark_played(offer.key)

    def _reject(self, entry: Entry, error: Exception) -> None:
        now = self._spool.get(entry.key)
        if isinstance(error, CorruptSegment):
            self._notices.say("loader.corrupt", "warning", name=entry.key, reason=error)
        elif now is not None and now.path != entry.path:
            return  # it was moved meanwhile, and is tried again
        self._spool.reject(entry.key, str(error))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
