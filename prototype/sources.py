"""Where pieces come from, each source by itself: files decoded and levelled, the built-in engine, the library.

The loader feeds the mixer from here, and `playlist` feeds VLC's own list.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import segment
import wavfile
from clock import Clock
from disk import KEPT
from errors import CorruptSegment
from mood import Mood
from pcm import Samples
from spool import Entry, Spool
from values import Piece, Recipe, SegmentInfo, Source

BUILTIN_S: Final = 60.0
FIRST_BUILTIN_S: Final = 20.0  # the first of a mood is short: it is needed at once, and fresh music comes soon
LOOK_S: Final = 1.5  # a stop is seen within the 2 s that ending may take
LONGEST_DEBT: Final = 4.0

Render = Callable[[Recipe, int], Samples]
ENGINE_SOURCES: Final[dict[str, frozenset[Source]]] = {
    "auto": frozenset({Source.FRESH, Source.LIBRARY, Source.BUILTIN}),
    "acestep": frozenset({Source.FRESH, Source.LIBRARY}),
    "builtin": frozenset({Source.BUILTIN}),
    "library": frozenset({Source.LIBRARY}),
}


@dataclass(frozen=True)
class Levels:
    """How a segment is cut and levelled."""

    target_lufs: float
    cue_dbfs: float


def load(entry: Entry, levels: Levels, source: Source, cut_off: Callable[[str], object]) -> Piece:
    """Decode an entry into a piece; one without metadata (a stranger's file) is measured first.

    `cut_off` is told what lacks of a file that does not hold what it promises.

    Raises CorruptSegment when it is no music, OSError when it cannot be read.
    """
    if entry.path is None and entry.samples is None:
        raise CorruptSegment("neither a file nor samples")
    if entry.info is None and entry.path is not None:
        foreign = segment.ingest(entry.path, 0.0, levels.cue_dbfs)
        if foreign.missing:
            cut_off(foreign.missing)
        return segment.to_piece(foreign.samples, foreign.analysis, levels.target_lufs, source, entry.key)
    samples = wavfile.read(entry.path) if entry.samples is None and entry.path is not None else entry.samples
    if samples is None or entry.info is None:
        raise CorruptSegment("samples without metadata")
    return segment.to_piece(samples, entry.info, levels.target_lufs, source, entry.key, entry.info)


class BuiltinSupply:
    """The built-in engine, one piece ahead.

    Threads: `run` (or `step`) belongs to one thread; `take` to the loader. `_lock` guards `_piece`.
    """

    def __init__(self, render: Render, mood: Mood, levels: Levels, clock: Clock, first_seed: int = 0) -> None:
        self._render = render
        self._mood = mood
        self._levels = levels
        self._clock = clock
        self._seed = first_seed
        self._rendered_mood: int | None = None
        self._lock = threading.Lock()
        self._piece: tuple[int, Piece] | None = None
        self._wanted = threading.Event()
        self._wanted.set()

    @property
    def wanted(self) -> bool:
        """Whether a piece is to be rendered; for who calls `step` without a thread."""
        return self._wanted.is_set()

    def take(self) -> Piece | None:
        """Return the piece that is ready, if any, and have the next rendered."""
        with self._lock:
            taken, self._piece = self._piece, None
        self._wanted.set()
        return taken[1] if taken and taken[0] == self._mood.token() else None

    def run(self, stop: threading.Event) -> None:
        """Render whenever a piece is wanted."""
        while not stop.is_set():
            if self._clock.wait(self._wanted, LOOK_S) and not stop.is_set():
                self.step()

    def step(self) -> None:
        """Render a piece and keep it ready, unless one is."""
        self._wanted.clear()
        token = self._mood.token()
        with self._lock:
            if self._piece is not None and self._piece[0] == token:
                return
        self._seed += 1
        duration_s = BUILTIN_S if self._rendered_mood == token else FIRST_BUILTIN_S
        recipe = self._mood.station.recipe(self._seed, duration_s)
        samples = self._render(recipe, self._seed)
        analysis = segment.analyse(samples, self._levels.cue_dbfs)
        info = SegmentInfo(
            segment_id=f"builtin-{recipe.station}-{self._seed}",
            recipe=recipe,
            engine="builtin",
            seed=str(self._seed),
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            length_frames=analysis.length_frames,
            cue_in_frames=analysis.cue_in_frames,
            cue_out_frames=analysis.cue_out_frames,
            loudness_lufs=analysis.loudness_lufs,
            peak_dbfs=analysis.peak_dbfs,
        )
        piece = segment.to_piece(samples, info, self._levels.target_lufs, Source.BUILTIN, info.segment_id, info)
        self._rendered_mood = token
        with self._lock:
            self._piece = (token, piece)


class Pacing:
    """Spreads fresh music that comes slower than it is played.

    With a factor f > 1 (generation seconds per audible second) a fresh piece leaves a debt of f - 1 pieces; as
    soon as a whole piece is owed the library goes first.
    """

    def __init__(self) -> None:
        self._debt = 0.0

    def heard(self, source: Source, factor: float | None, queue_full: bool) -> None:
        """Take note of a piece that began to play."""
        if factor is None or factor <= 1 or queue_full:
            self._debt = 0.0
        elif source is Source.FRESH:
            self._debt = min(self._debt + factor - 1, LONGEST_DEBT)
        else:
            self._debt = max(0.0, self._debt - 1)

    @property
    def library_first(self) -> bool:
        """Whether the next piece should rather come from the library."""
        return self._debt >= 1


class Library:
    """Chooses what to play again: of the present mood, kept, heard longest ago; in this order.

    None of the last `no_repeat` pieces comes again, unless the engine has nothing else to play. With the engine
    "library" only what the listener liked is played.

    Threads: one, the loader's or the player's.
    """

    def __init__(self, spool: Spool, mood: Mood, no_repeat: int, engine: str) -> None:
        self._spool = spool
        self._mood = mood
        self._endless = Source.BUILTIN not in ENGINE_SOURCES[engine]
        self._only_kept = engine == "library"
        self._heard: list[str] = []
        self._no_repeat = no_repeat

    def heard(self, key: str) -> None:
        """Note that a piece was heard."""
        self._heard = [*self._heard, key][-self._no_repeat :] if self._no_repeat else []

    def fresh(self) -> list[Entry]:
        """Return what is queued for the present mood; what was queued for another, whenever, is library."""
        ready = self._spool.ready()
        matching = [entry for entry in ready if self._mood.matches(entry.info)]
        if len(matching) < len(ready):
            self._spool.retire_ready(lambda entry: not self._mood.matches(entry.info))
        return matching

    def pick(self, busy: Collection[str]) -> Entry | None:
        """Return the best piece that is not `busy`, if there is one."""
        free = [entry for entry in self._spool.library() if entry.key not in busy]
        if self._only_kept:
            free = [entry for entry in free if entry.shelf == KEPT]
        matching = [entry for entry in free if self._mood.matches(entry.info)]
        if self._mood.asked_for and (matching or not self._endless):
            free = matching
        fit = [entry for entry in free if entry.key not in self._heard]
        if not fit and self._endless:
            fit = free
        return min(fit, key=lambda entry: (not self._mood.matches(entry.info), entry.shelf != KEPT), default=None)
