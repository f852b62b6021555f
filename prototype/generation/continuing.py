"""What is asked for next where a piece goes on, and what becomes of the result.

The last segment of the piece that is heard, or of the next one where that has ended, is continued; one at a time, as
each needs the one before. Meanwhile one beginning of another piece is made, to have something when the piece ends, or
when a continuation is late; one more for each that failed in a row, before the next is tried. A result that does not
fit is a piece of its own; two in a row end the piece.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from base.errors import AppError, CorruptSegment, JobLost, UploadRefused
from base.notices import Notices
from config import Settings
from generation.fetching import Ingest
from generation.polling import JobServer
from music import joining
from music.analysis import Segment, unmeasured
from music.audio_files import Packed
from music.continuing import Continuing, play_order
from music.joining import Joined
from music.segment import Audio, Context, Continuation, Piece, Recipe, SegmentInfo, Source
from spool.spool import Spool

log = logging.getLogger(__name__)

MISFITS: Final = 2
LOOKS: Final = 3  # a file that moves to another shelf just now is found there
REFUSALS: Final = 2  # of a server that fails at an upload, which may have another reason
FAILURES: Final = 3  # of what it was to continue


class Other(enum.Enum):
    """What to do when nothing is to be continued just now."""

    BEGIN = "make a piece of its own"
    WAIT = "a continuation is being made, and a beginning is there"


class Joints(Protocol):
    """How segments are joined: `music.joining`."""

    def plan(self, info: SegmentInfo, samples: Audio, longest_s: float, wanted_s: float, /) -> Context | None:
        """Return what of a segment to give to the model."""

    def canvas(self, samples: Audio, context: Context, /) -> bytes:
        """Return that as a file, with the room for what is new."""

    def join(
        self, found: tuple[SegmentInfo, Audio] | None, recipe: Recipe, made: Segment, cue_dbfs: float, /
    ) -> Joined:
        """Cut what was made to what is new, and find how it goes on."""


@dataclass(frozen=True)
class Ear:
    """How the program listens to what was made: it reads and measures it, and joins it to what it continues."""

    ingest: Ingest = unmeasured
    joints: Joints = joining


class Chain:
    """Which segment is continued next, where, and by what.

    A context is uploaded, so that any of the servers can go on with it. One that takes no upload is asked for none any
    more in this session, and so is one at which FAILURES continuations in a row came to nothing, while what was asked
    for between them was made.

    Threads: any; `_lock` guards every field but those given. `homes` are given once, before anybody asks.
    """

    def __init__(
        self, settings: Settings, continuing: Continuing, shelves: Spool, notices: Notices, joints: Joints
    ) -> None:
        self.homes: Sequence[JobServer] = ()
        self._settings, self._continuing, self._shelves = settings, continuing, shelves
        self._notices, self._joints = notices, joints
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._beginnings = 0
        self._misfits: dict[str, int] = {}
        self._failures: Counter[str] = Counter()
        self._unable: set[str] = set()

    @property
    def more(self) -> int:
        """How many segments more than usual are kept ready: the beginning of the next piece, while one goes on."""
        return int(self._tip() is not None)

    def next(self, server: JobServer) -> SegmentInfo | Other:
        """Return the segment to be continued there, or what else to do; who asked must say `done` of it."""
        tip = self._tip()
        with self._lock:
            task = self._task(tip, server)
            if task is Other.BEGIN:
                self._beginnings += 1
            elif isinstance(task, SegmentInfo):
                self._at_work.add(task.segment_id)
            return task

    def waits(self, server: JobServer) -> bool:
        """Return whether there is nothing to do there just now."""
        tip = self._tip()
        with self._lock:
            return self._task(tip, server) is Other.WAIT

    def _task(self, tip: SegmentInfo | None, server: JobServer) -> SegmentInfo | Other:
        """Called under the lock."""
        able = [home for home in self.homes if home.url not in self._unable]
        if tip is None or not any(home.is_promising for home in able):
            return Other.BEGIN
        waiting = [entry.info for entry in self._shelves.ready() if entry.info and not entry.info.continues]
        beginnings = self._beginnings + sum(info.segment_id != tip.piece_id for info in waiting)
        doubts = self._failures[server.url]
        has_enough = beginnings >= min(1 + doubts, self._settings.prefetch_target)
        if server in able and tip.segment_id not in self._at_work and (has_enough or not doubts):
            return tip
        return Other.WAIT if has_enough else Other.BEGIN

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
        context = found and self._joints.plan(before, found[1], self._settings.context_seconds, wanted_s)
        if not found or not context:
            log.info("%s cannot be continued", before.segment_id)
            self._continuing.end(before.piece_id)
            return None
        recipe = replace(before.recipe, duration_s=wanted_s, seed=seed, continues=context)
        return recipe, self._joints.canvas(found[1], context)

    def joined(self, recipe: Recipe, segment: Segment, cue_dbfs: float) -> tuple[Segment, Continuation | None]:
        """Cut a result to what is new in it, and find how it is joined; None: it is a piece of its own.

        Raises CorruptSegment when nothing in it can be heard.
        """
        if recipe.continues is None:
            return segment, None
        found = self._find(recipe.continues.segment_id)
        result = self._joints.join(found, recipe, segment, cue_dbfs)
        if found:
            self._judge(found[0], result.misfit)
        return result.segment, result.continues

    def trust(self, server: JobServer) -> None:
        """Count its failures anew: a continuation worked there, or the server was lost over something else."""
        with self._lock:
            self._failures.pop(server.url, None)

    def failed(self, server: JobServer, before: SegmentInfo, error: AppError) -> None:
        """Count a segment that was not continued, for its piece and for the server."""
        url, refused = server.url, isinstance(error, UploadRefused)
        log.info("%s was not continued: %s", before.segment_id, error)
        is_final = isinstance(error, UploadRefused) and error.is_final
        if not is_final and not isinstance(error, JobLost):
            self._judge(before, "refused" if refused else "failed")
        with self._lock:
            self._failures[url] += 1
            if url in self._unable or not (is_final or self._failures[url] >= (REFUSALS if refused else FAILURES)):
                return
            self._unable.add(url)
            nobody = all(home.url in self._unable for home in self.homes)
        self._notices.say("chain.refused" if refused else "chain.unable", "warning", url=url, reason=error)
        if nobody:
            self._continuing.possible = False

    def _judge(self, before: SegmentInfo, misfit: str) -> None:
        """Count what did not fit ("failed": there was no result), and say so; "" for what did.

        An upload that was "refused" is said when that is sure.
        """
        piece_id, is_told = before.piece_id, misfit != "refused"
        with self._lock:
            number = self._misfits.get(piece_id, 0) + 1 if misfit else 0
            self._misfits = {piece_id: number}
        if misfit and is_told:
            self._notices.say(f"chain.{misfit}")
        if number >= MISFITS:
            self._continuing.end(piece_id)
            if is_told:
                self._notices.say("chain.ended")

    def _tip(self) -> SegmentInfo | None:
        """Return the segment that is to be continued next, whether somebody is at it or not."""
        if not self._continuing.any_wanted:
            return None
        piece = self._continuing.playing()
        heard = piece.info if piece and piece.source is not Source.BUILTIN else None
        ready = [entry.info for entry in self._shelves.ready() if entry.info]
        after = play_order(ready, lambda info: info, heard.segment_id if heard else "")
        order = [heard, *after] if heard else list(after)
        continued = {info.follows for info in order}
        ends = [info for info in order if info.segment_id not in continued]
        return next((info for info in ends if self._goes_on(info, heard, piece)), None)

    def _goes_on(self, info: SegmentInfo, heard: SegmentInfo | None, piece: Piece | None) -> bool:
        fresh = info is not heard or (piece is not None and piece.source is Source.FRESH)
        is_young = info.begins_s + info.audible_s < 60.0 * self._settings.piece_minutes
        return is_young and self._continuing.wanted(info.piece_id, fresh=fresh)

    def _find(self, segment_id: str) -> tuple[SegmentInfo, Audio] | None:
        """Return a segment from any shelf, None where it is gone or cannot be read."""
        for _ in range(LOOKS):
            entry = self._shelves.find(segment_id)
            if entry is None or entry.info is None:
                return None
            try:
                samples = Packed.read(entry.path) if entry.samples is None and entry.path else entry.samples
            except (CorruptSegment, OSError) as error:
                log.info("%s cannot be read: %s", segment_id, error)
            else:
                return None if samples is None else (entry.info, samples)
        return None
