"""What is asked for next where a piece goes on, and what becomes of the result.

The last segment of the piece that is heard, or of the next one where that has ended, is continued; one at a time, as
each needs the one before. Meanwhile one beginning of another piece is made, to have something when the piece ends, or
when a continuation is late. A result that does not fit is a piece of its own; two in a row end the piece.
"""

from __future__ import annotations

import enum
import logging
import threading
from dataclasses import replace
from typing import Final, Protocol

from base.errors import CorruptSegment, UploadRefused
from base.notices import Notices
from config import Settings
from generation.fetching import Store
from music import audio_files, joining
from music.analysis import Segment, analyse
from music.continuing import Continuing, play_order
from music.segment import Continuation, Piece, Recipe, Samples, SegmentInfo, Source

log = logging.getLogger(__name__)

MISFITS: Final = 2
LOOKS: Final = 3  # a file that moves to another shelf just now is found there
REFUSALS: Final = 2  # of a server that fails at an upload, which may have another reason


class Other(enum.Enum):
    """What to do when nothing is to be continued just now."""

    BEGIN = "make a piece of its own"
    WAIT = "a continuation is being made, and a beginning is there"


class Home(Protocol):
    """A server that pieces are made at."""

    @property
    def is_promising(self) -> bool:
        """Whether what is asked for there will come before long."""
        ...


class Chain:
    """Which segment is continued next, and by what.

    Threads: any; `_lock` guards every field but those given.
    """

    def __init__(self, settings: Settings, continuing: Continuing, shelves: Store, notices: Notices) -> None:
        self._settings = settings
        self._continuing = continuing
        self._shelves = shelves
        self._notices = notices
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._homes: dict[str, Home] = {}
        self._beginnings = 0
        self._misfits: dict[str, int] = {}
        self._refusals = 0

    @property
    def more(self) -> int:
        """How many segments more than usual are kept ready: the beginning of the next piece, while one goes on."""
        return int(self._tip() is not None)

    def next(self, server: Home) -> SegmentInfo | Other:
        """Return the segment to be continued, or what else to do; who asked must say `done` of it.

        A piece goes on at the `server` that went on with it before, while music can be had from there.
        """
        tip = self._tip()
        with self._lock:
            if tip is None:
                self._beginnings += 1
                return Other.BEGIN
            home = self._homes.get(tip.piece_id, server)
            if tip.segment_id not in self._at_work and (home is server or not home.is_promising):
                self._homes = {tip.piece_id: server}
                self._at_work.add(tip.segment_id)
                return tip
            waiting = [entry.info for entry in self._shelves.ready() if entry.info and not entry.info.continues]
            if self._beginnings or any(info.segment_id != tip.piece_id for info in waiting):
                return Other.WAIT
            self._beginnings += 1
            return Other.BEGIN

    def done(self, task: SegmentInfo | Other) -> None:
        """Note that what `next` gave was done, or given up."""
        with self._lock:
            if task is Other.BEGIN:
                self._beginnings -= 1
            elif isinstance(task, SegmentInfo):
                self._at_work.discard(task.segment_id)

    def recipe(self, before: SegmentInfo, wanted_s: float, seed: int) -> tuple[Recipe, bytes] | None:
        """Return what to ask for and what to upload; None where the segment cannot be continued: its piece ends."""
        found = self._find(before.segment_id)
        context = found and joining.plan(before, found[1], self._settings.context_seconds, wanted_s)
        if not found or not context:
            log.info("%s cannot be continued", before.segment_id)
            self._continuing.end(before.piece_id)
            return None
        recipe = replace(before.recipe, duration_s=wanted_s, seed=seed, continues=context)
        return recipe, joining.to_flac(joining.canvas(found[1], context))

    def joined(self, recipe: Recipe, segment: Segment, cue_dbfs: float) -> tuple[Segment, Continuation | None]:
        """Cut a result to what is new in it, and find how it is joined; None: it is a piece of its own.

        Raises CorruptSegment when nothing in it can be heard.
        """
        context = recipe.continues
        if context is None:
            return segment, None
        found = self._find(context.segment_id)
        if found is None:  # lost meanwhile: nothing to compare with
            fresh = segment.samples[context.length_frames :]
            return Segment(fresh, analyse(fresh, cue_dbfs), segment.missing), None
        result = joining.join(found[0], found[1], recipe, segment.samples)
        self.judged(found[0], result.misfit)
        analysis = analyse(result.samples, cue_dbfs)
        if result.continues:
            analysis = replace(analysis, cue_in_frames=0)
        return Segment(result.samples, analysis, segment.missing), result.continues

    def judged(self, before: SegmentInfo, misfit: str) -> None:
        """Count what did not fit ("failed": there was no result), and say so; "" for what did."""
        piece_id = before.piece_id
        with self._lock:
            self._refusals = 0
            number = self._misfits.get(piece_id, 0) + 1 if misfit else 0
            self._misfits = {piece_id: number}
        if misfit:
            self._notices.say(f"chain.{misfit}")
        if number >= MISFITS:
            self._continuing.end(piece_id)
            self._notices.say("chain.ended")

    def refused(self, error: UploadRefused) -> None:
        """Let nothing go on where the server takes no upload; one that only failed at it is asked once more."""
        with self._lock:
            self._refusals += 1
            over = error.is_final or self._refusals >= REFUSALS
        log.info("an upload was refused: %s", error)
        if over:
            self._continuing.give_up()
            self._notices.say("chain.refused", "warning", reason=error)

    def _tip(self) -> SegmentInfo | None:
        """Return the segment that is to be continued next, whether somebody is at it or not."""
        piece = self._continuing.playing()
        heard = piece.info if piece and piece.source is not Source.BUILTIN else None
        ready = [entry.info for entry in self._shelves.ready() if entry.info]
        order = play_order(ready, lambda info: info, heard.segment_id if heard else "")
        order = [*([heard] if heard else []), *order]
        continued = {info.continues.segment_id for info in order if info.continues}
        ends = [info for info in order if info.segment_id not in continued]
        return next((info for info in ends if self._goes_on(info, heard, piece)), None)

    def _goes_on(self, info: SegmentInfo, heard: SegmentInfo | None, piece: Piece | None) -> bool:
        fresh = info is not heard or (piece is not None and piece.source is Source.FRESH)
        is_young = info.begins_s + info.audible_s < 60.0 * self._settings.piece_minutes
        return is_young and self._continuing.wanted(info.piece_id, fresh=fresh)

    def _find(self, segment_id: str) -> tuple[SegmentInfo, Samples] | None:
        """Return a segment from any shelf, None where it is gone or cannot be read."""
        for _ in range(LOOKS):
            entry = self._shelves.find(segment_id)
            if entry is None or entry.info is None:
                return None
            try:
                samples = audio_files.read(entry.path) if entry.samples is None and entry.path else entry.samples
            except (CorruptSegment, OSError) as error:
                log.info("%s cannot be read: %s", segment_id, error)
            else:
                return None if samples is None else (entry.info, samples)
        return None
