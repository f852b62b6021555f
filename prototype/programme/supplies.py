"""Where pieces come from: one class a source, in one order for the mixer and for VLC's list of files.

A source gives entries of the spool, or pieces that are there already. `Decoded` makes of them what the mixer takes,
and `Filed` what VLC takes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from base import process
from base.errors import CorruptSegment, SpoolError
from base.files import replace_safely
from base.texts import reason_of, said
from music import audio_files
from music.analysis import ingest, to_piece
from music.audio_files import Packed
from music.continuing import continues, play_order
from music.decoding import title_of
from music.segment import CHANNELS, Piece, SegmentInfo, Source
from music.stations import Mood
from programme.following import LOOKED_AT, Following
from spool.folders import KEPT, PLAYED
from spool.spool import Entry, Spool

log = logging.getLogger(__name__)

LONGEST_DEBT: Final = 4.0
FRESH_AHEAD: Final = 2
LONG_S: Final = 120.0  # of a piece: 23 MB; ten minutes, 115 MB, are held once

Offer = Entry | Piece


class Supply(Protocol):
    """One source of music.

    Threads: one, the loader's.
    """

    source: Source

    @property
    def ahead(self) -> int:
        """How many of its pieces should wait in the stock."""

    def next(self, busy: Collection[str]) -> Offer | None:
        """Return what should be heard next of this source for the present mood, but none whose key is `busy`."""

    def heard(self, piece: Piece) -> None:
        """Note that a piece of whatever source began to be heard."""

    def change_mood(self) -> None:
        """Follow the mood, which has just changed; who looks at it whenever a piece is chosen has nothing to do."""
        return

    def again(self, info: SegmentInfo | None, give: Callable[[Piece], None]) -> bool:
        """Make once more what was heard and is in no file, and `give` it; return whether it can be made.

        What is in the spool is not: it is there, or gone.
        """
        return False


class Fresh(Supply):
    """What stands in the queue for the present mood, of the oldest what follows well; the rest is library.

    What goes on with the piece that is heard comes first; with one that the listener turned away from, it is library.
    """

    source = Source.FRESH

    def __init__(self, spool: Spool, mood: Mood) -> None:
        self._spool = spool
        self._mood = mood
        self._last = ""
        self._following = Following()

    @property
    def ahead(self) -> int:
        """Two, of long ones one, and what goes on with the piece that is heard."""
        ready = self._spool.ready()
        long = any(entry.info and entry.info.audible_s > LONG_S for entry in ready)
        return (1 if long else FRESH_AHEAD) + any(continues(entry.info, self._last) for entry in ready)

    def next(self, busy: Collection[str]) -> Entry | None:
        """Return what goes on with what is heard, or follows well on the one before; none that is `busy`."""
        self.change_mood()
        queue = play_order(self._spool.ready(), lambda entry: entry.info, self._last)
        free = [entry for entry in queue if entry.key not in busy]
        entry = next((entry for entry in free if continues(entry.info, self._last)), None)
        if entry := entry or self._following.choose(free):
            self._following.after(entry.info)
        return entry

    def heard(self, piece: Piece) -> None:
        """Note what is heard; the library keeps it."""
        self._last = piece.info.segment_id if piece.info else ""

    def change_mood(self) -> None:
        """Retire what was queued for another mood, whenever."""
        mood = self._mood
        self._spool.retire_ready(lambda one: not mood.matches(one.info) or mood.continuing.is_left(one.info))


class Library(Supply):
    """Chooses what to play again: of the present mood, kept, of those heard longest ago what follows well.

    A piece of several segments is played whole. None of which a segment was among the last `no_repeat` comes again,
    unless there is `nothing_else` to play. `only_kept`: only what the listener liked.
    """

    source = Source.LIBRARY

    def __init__(
        self, spool: Spool, mood: Mood, no_repeat: int, *, nothing_else: bool = False, only_kept: bool = False
    ) -> None:
        self._spool = spool
        self._mood = mood
        self._nothing_else = nothing_else
        self._shelves = (KEPT,) if only_kept else (KEPT, PLAYED)
        self._heard: deque[tuple[str, str]] = deque(maxlen=no_repeat)
        self._made: deque[str] = deque(maxlen=max(1, no_repeat))  # built-in: one that is liked is library at once
        self._last: SegmentInfo | None = None
        self._following = Following()

    @property
    def ahead(self) -> int:
        """One, and what goes on with the piece that is heard: a skip leads to another one."""
        return 1 + (self._rest((None,), ()) is not None)

    def heard(self, piece: Piece) -> None:
        """Note that a piece is heard: it does not come again soon, and leaves the queue where it stood there."""
        self._last = piece.info
        self._following.heard(piece)
        if piece.source is Source.BUILTIN:
            self._made.append(piece.key)
        else:
            self._heard.append((piece.key, piece.info.piece_id if piece.info else ""))
            self._spool.mark_played(piece.key)

    def next(self, busy: Collection[str]) -> Entry | None:
        """Return the best piece that is not `busy`, if there is one; however many there are, few are looked at."""
        moods = self._moods(busy)
        if following := self._rest(moods, {*busy, *(key for key, _ in self._heard)}):
            return following
        parts = (part.key for _, piece_id in self._heard for part in self._spool.piece(piece_id))
        but = {*busy, *self._made, *(key for key, _ in self._heard), *parts}
        fit = self._oldest(moods, but)
        if not fit and self._nothing_else:
            but = set(busy)
            if following := self._rest(moods, but):
                return following
            fit = self._oldest(moods, but)
        best = self._following.choose(fit)
        return best and next(iter(self._parts(best.info, moods, but)), best)

    def _moods(self, busy: Collection[str]) -> tuple[str | None, ...]:
        """Return the moods that may be heard, best first; None stands for all others too."""
        mine = self._mood.name
        others = self._nothing_else and self._spool.is_read and not self._spool.library(self._shelves, mine, busy, 1)
        return (mine, None) if others or not self._mood.asked_for else (mine,)

    def _oldest(self, moods: Collection[str | None], but: Collection[str]) -> tuple[Entry, ...]:
        """Return what was heard longest ago of the best that there is: of the mood, and liked."""
        ranks = ((shelf, mood) for mood in moods for shelf in self._shelves)
        found = (self._spool.library((shelf,), mood, but, LOOKED_AT) for shelf, mood in ranks)
        return next(filter(None, found), ())

    def _parts(self, info: SegmentInfo | None, moods: Collection[str | None], but: Collection[str]) -> list[Entry]:
        """Return what may be heard of the piece that a segment belongs to, from its beginning."""
        parts = self._spool.piece(info.piece_id) if info else ()
        fit = [one for one in parts if one.shelf in self._shelves and one.key not in but]
        fit = [one for one in fit if None in moods or self._mood.matches(one.info)]
        return sorted(fit, key=lambda entry: entry.info.begins_s if entry.info else 0.0)

    def _rest(self, moods: Collection[str | None], but: Collection[str]) -> Entry | None:
        """Return what goes on with what is heard."""
        last_id = self._last.segment_id if self._last else ""
        return next((one for one in self._parts(self._last, moods, but) if continues(one.info, last_id)), None)


def supplies(
    order: Collection[Source], spool: Spool, mood: Mood, builtin: Supply, no_repeat: int = 8
) -> tuple[Supply, ...]:
    """Return the sources of `order`, best first."""
    library = Library(
        spool, mood, no_repeat, nothing_else=Source.BUILTIN not in order, only_kept=Source.FRESH not in order
    )
    return tuple(supply for supply in (Fresh(spool, mood), library, builtin) if supply.source in order)


class Pacing:
    """Spreads fresh music that comes slower than it is played.

    With a factor f > 1 (generation seconds per audible second, None while unknown) a fresh piece leaves a debt of
    f - 1 pieces; as soon as a whole piece is owed the library goes first. A queue of `target` pieces is a full one.
    """

    def __init__(self, factor: Callable[[], float | None] = lambda: None, target: int = 3) -> None:
        self.factor = factor
        self._target = target
        self._debt = 0.0

    def heard(self, source: Source, queued: int) -> None:
        """Take note of a piece that began to play."""
        factor = self.factor()
        if factor is None or factor <= 1 or queued >= self._target:
            self._debt = 0.0
        elif source is Source.FRESH:
            self._debt = min(self._debt + factor - 1, LONGEST_DEBT)
        else:
            self._debt = max(0.0, self._debt - 1)

    @property
    def library_first(self) -> bool:
        """Whether the next piece should rather come from the library."""
        return self._debt >= 1


@dataclass(frozen=True)
class Levels:
    """How a segment is cut and levelled."""

    target_lufs: float
    cue_dbfs: float


class Decoded:
    """Makes pieces for the mixer: decoded and levelled. A file without metadata (a stranger's) is measured first."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def waits(self, offer: Offer) -> bool:
        """Whether the disk is needed: files are read."""
        return offer.samples is None

    def prepare(self, offer: Offer, source: Source, cut_off: Callable[[str], object]) -> Piece:
        """Decode and level. Raises CorruptSegment when it is no music, OSError when it cannot be read.

        `cut_off` is told what lacks of a file that does not hold what it promises.
        """
        if isinstance(offer, Piece):
            return offer
        target_lufs = self._levels.target_lufs
        if offer.info is None and offer.path is not None:
            foreign = ingest(offer.path, 0.0, self._levels.cue_dbfs)
            if foreign.missing:
                cut_off(foreign.missing)
            piece = to_piece(foreign.samples, foreign.analysis, target_lufs, source, offer.key)
            del foreign
            process.give_back()
            return replace(piece, title=title_of(offer.path))
        samples = Packed.read(offer.path) if offer.samples is None and offer.path is not None else offer.samples
        if samples is offer.samples and isinstance(samples, Packed):
            samples = samples.joined([(0, len(samples))])  # it becomes the piece, and is still to be written
        if samples is None or offer.info is None:
            raise CorruptSegment(said("corrupt.no_file") if samples is None else said("corrupt.no_metadata"))
        return to_piece(samples, offer.info.analysis, target_lufs, source, offer.key, offer.info)


class Filed:
    """Makes pieces for VLC's list: files, where they stand; what has none yet is written into one, `temporary`.

    Raises SpoolError too, where no disk takes a file.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def waits(self, offer: Offer) -> bool:
        """Whether the disk is needed: files are written, and the tags of a listener's own are read."""
        return offer.path is None or offer.info is None

    def prepare(self, offer: Offer, source: Source, cut_off: Callable[[str], object]) -> Piece:
        """Give it a file. The samples stay in pieces that are nowhere else, so that they can be liked."""
        none = np.zeros((0, CHANNELS), np.float32)
        piece = offer if isinstance(offer, Piece) else Piece(none, source, offer.key, offer.info, path=offer.path)
        if piece.path is not None:
            return replace(piece, title="" if piece.info else title_of(piece.path))
        if offer.samples is None:
            raise CorruptSegment(said("corrupt.no_file"))
        path = self._spool.incoming_path(".wav")
        try:
            replace_safely(path, audio_files.encode(offer.samples, offer.info))
        except OSError as error:
            raise SpoolError(reason_of(error)) from error
        return replace(piece, path=path, temporary=True)
