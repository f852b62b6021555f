"""Where pieces come from, each source by itself: files decoded and levelled, the built-in engine, the library.

The loader feeds the mixer from here, and `playlist` feeds VLC's own list.

What VLC's own list is fed with: the spool's files in their order, and something else when there are none.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from base.errors import CorruptSegment, SpoolError
from base.workers import Clock, within
from music import audio_files
from music.analysis import gain_db, ingest, to_piece
from music.metering import LoudnessMeter, peak_dbfs
from music.segment import (
    CHANNELS,
    SAMPLE_RATE_HZ,
    Growth,
    Performance,
    Piece,
    QueuedFile,
    Recipe,
    Samples,
    SegmentInfo,
    Source,
)
from music.stations import Mood, Station
from programme.history import Heard, History
from spool.folders import KEPT, Files
from spool.spool import Entry, Spool
from spool.state_files import Later, at_once

log = logging.getLogger(__name__)


class Playlist:
    """Answers "the next file, please" in the order fresh, library, built-in.

    Threads: `next_file` and `on_started` belong to the player's owner thread, which also obeys the keys: what is to be
    written is written by `later`, where the disk may be waited for.
    """

    def __init__(
        self,
        spool: Spool,
        mood: Mood,
        builtin: BuiltinSupply,
        *,
        engine: str = "auto",
        no_repeat: int = 8,
        later: Later = at_once,
    ) -> None:
        self._later = later
        self._writing = False
        self._written: QueuedFile | None = None
        self._spool = spool
        self._builtin = builtin
        self._allowed = ENGINE_SOURCES[engine]
        self._library = Library(spool, mood, no_repeat, engine)
        self._given: set[str] = set()
        self.started = dict.fromkeys(Source, 0)
        self.history = History()
        self._heard_files: dict[str, QueuedFile] = {}

    def again(self, heard: Heard, play: Callable[[QueuedFile], None]) -> bool:
        """Have the file of what was heard before played, where it is now; return False when it is gone."""
        entry, file = self._spool.get(heard.key), self._heard_files.get(heard.key)
        if entry is not None and entry.path is not None:
            file = QueuedFile(entry.path, entry.key, Source.LIBRARY, entry.info)
        if file is not None:
            play(file)
        return file is not None

    def next_file(self, waiting: int) -> QueuedFile | None:
        """Return the next file; `waiting` is how many VLC still has, with none left anything will do."""
        if Source.FRESH in self._allowed:
            fresh = next(
                (entry for entry in self._library.fresh() if entry.path and entry.key not in self._given), None
            )
            if file := self._give(fresh, Source.FRESH):
                return file
        if waiting:
            return None
        if Source.LIBRARY in self._allowed and (file := self._give(self._library.pick(self._given), Source.LIBRARY)):
            return file
        return self._next_builtin() if Source.BUILTIN in self._allowed else None

    def on_started(self, file: QueuedFile) -> None:
        """Note that a file began to be heard."""
        self._given.discard(file.key)
        self.started[file.source] += 1
        self.history.add(file)
        if file.source is Source.BUILTIN:
            self._heard_files[file.key] = file
        log.info("play %s (%s), queue depth %d", file.key, file.source.value, max(0, len(self._spool.ready()) - 1))
        if file.source is not Source.BUILTIN:
            self._library.heard(file.key)
            self._spool.mark_played(file.key)

    def _give(self, entry: Entry | None, source: Source) -> QueuedFile | None:
        if entry is None or entry.path is None:
            return None
        self._given.add(entry.key)
        return QueuedFile(entry.path, entry.key, source, entry.info)

    def _next_builtin(self) -> QueuedFile | None:
        file, self._written = self._written, None
        if file is None and not self._writing and (piece := self._builtin.take()):
            self._writing = True
            self._later("built-in piece", lambda: self._write(piece))
            file, self._written = self._written, None
        return file

    def _write(self, piece: Piece) -> None:
        try:
            path = self._spool.incoming_path(".wav")
            audio_files.write(path, piece.samples, piece.info)
            self._written = QueuedFile(path, piece.key, Source.BUILTIN, piece.info)
        except (OSError, SpoolError) as error:
            log.warning("no file for a built-in piece: %s", error)
        finally:
            self._writing = False


BUILTIN_S: Final = (150.0, 180.0, 120.0, 210.0)  # one after the other
LOOK_S: Final = 1.5  # a stop is seen within the 2 s that ending may take
LONGEST_DEBT: Final = 4.0

OPENING_WAIT_S: Final = 0.3  # for the disk; making it anew takes hardly longer
AHEAD_FRAMES: Final = 4 * SAMPLE_RATE_HZ  # of a growing piece, when it is begun: it grows many times faster than time
JOIN_FRAMES: Final = SAMPLE_RATE_HZ // 10

Begin = Callable[[Recipe, int], Performance]
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
        foreign = ingest(entry.path, 0.0, levels.cue_dbfs)
        if foreign.missing:
            cut_off(foreign.missing)
        return to_piece(foreign.samples, foreign.analysis, levels.target_lufs, source, entry.key)
    samples = audio_files.read(entry.path) if entry.samples is None and entry.path is not None else entry.samples
    if samples is None or entry.info is None:
        raise CorruptSegment("samples without metadata")
    return to_piece(samples, entry.info, levels.target_lufs, source, entry.key, entry.info)


class Openings:
    """The opening of the next session's first built-in piece, as one WAV file: music without waiting for its making.

    `version` names what makes it; one of another version, station or prompt is stale, and not used. Losing it is no
    harm, so no failure is reported. Threads: any, one at a time.
    """

    def __init__(self, path: Path | None, version: str, later: Later = at_once) -> None:
        """`later` has it written by who may wait for the disk."""
        self._path = path
        self._version = version
        self._later = later

    def load(self, station: Station) -> tuple[int, Samples] | None:
        """Return the seed and the first frames of a piece for `station`."""
        try:
            info = audio_files.read_info(self._path) if self._path else None
            if self._path is None or info is None or info.engine != self._version:
                return None
            seed = int(info.seed)
            return (seed, audio_files.read(self._path)) if info.recipe == _recipe(station, seed) else None
        except (OSError, ValueError, CorruptSegment):
            return None

    def save(self, info: SegmentInfo, samples: Samples) -> None:
        """Keep an opening in place of the one before."""
        path, named = self._path, replace(info, engine=self._version)
        if path is not None:
            self._later("opening", lambda: self._write(path, audio_files.encode(samples, named)))

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(path.name + ".part")
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
            Files().write(partial, data)
            partial.replace(path)


class BuiltinSupply:
    """The built-in engine: a piece whenever it is asked for one.

    The first piece of a mood is there as soon as it is begun, and goes on being made while it is heard, at the
    loudness that pieces usually have; the others are made whole, and measured. `growing` False: all of them.

    Threads: `run` (or `step`) belongs to one thread; `take` to the loader. `_lock` guards `_piece`.
    """

    def __init__(
        self,
        begin: Begin,
        mood: Mood,
        levels: Levels,
        clock: Clock,
        first_seed: int = 0,
        *,
        openings: Openings | None = None,
        growing: bool = True,
    ) -> None:
        self._begin = begin
        self._mood = mood
        self._levels = levels
        self._clock = clock
        self._seed = first_seed
        self._openings = openings
        self._growing = growing
        self._begun_mood: int | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._piece: tuple[int, Piece] | None = None
        self._again: deque[tuple[SegmentInfo, Callable[[Piece], None]]] = deque(maxlen=1)
        self._wanted = threading.Event()
        self._wanted.set()
        self.begun = threading.Event()
        """Set as soon as there was a piece."""

    @property
    def wanted(self) -> bool:
        """Whether a piece is to be rendered; for who calls `step` without a thread."""
        return self._wanted.is_set()

    def take(self) -> Piece | None:
        """Return the piece that is ready; where there is none have one rendered: it is there in a few seconds.

        Not before it is asked for: the mixer has one in stock, and a third would only fill the memory.
        """
        with self._lock:
            taken, self._piece = self._piece, None
        if taken is None or taken[0] != self._mood.token():
            self._wanted.set()
        return taken[1] if taken and taken[0] == self._mood.token() else None

    def again(self, info: SegmentInfo | None, give: Callable[[Piece], None]) -> bool:
        """Play a piece once more, and `give` it as soon as its opening is there; return whether it can be made."""
        if info is None:
            return False
        self._again.append((info, give))
        self._wanted.set()
        return True

    def run(self, stop: threading.Event) -> None:
        """Render whenever a piece is wanted."""
        self._stop = stop
        while not stop.is_set():
            if self._clock.wait(self._wanted, LOOK_S) and not stop.is_set():
                self.step()

    def step(self) -> None:
        """Render a piece and keep it ready, unless one is."""
        self._wanted.clear()
        token = self._mood.token()
        if self._again:
            info, give = self._again.pop()
            self._wanted.set()
            self._grow(info, self._begin(info.recipe, int(info.seed)), None, give, self._stop.is_set)
            return
        with self._lock:
            if self._piece is not None and self._piece[0] == token:
                return
        first = self._growing and self._begun_mood != token
        openings = self._openings if first and self._begun_mood is None else None
        known = within(OPENING_WAIT_S, lambda: openings.load(self._mood.station), None) if openings else None
        self._begun_mood = token
        self._seed = known[0] if known else self._seed + 1
        recipe = _recipe(self._mood.station, self._seed)
        performance = self._begin(recipe, self._seed)
        recipe = replace(recipe, bpm=recipe.bpm or performance.bpm)
        if first:
            self._grow(
                self._info(recipe, self._seed, performance.frames, performance.loudness_lufs, performance.peak_dbfs),
                performance, known[1] if known else None,
                lambda piece: self._hand_over(token, piece), lambda: self._is_over(token),
            )  # fmt: skip
            if openings:
                self._prepare_opening(openings, token)
        else:
            self._finish(token, recipe, performance)

    def _finish(self, token: int, recipe: Recipe, performance: Performance) -> None:
        """Make a piece whole, measure it, and hand it over; it keeps all its frames, so that bars follow bars."""
        samples = np.empty((performance.frames, CHANNELS), np.float32)
        meter, made = LoudnessMeter(), 0
        for stretch in performance.stretches:
            if self._is_over(token) or self._again:
                return
            samples[made : made + len(stretch)] = stretch
            made += len(stretch)
            meter.feed(stretch)
        info = self._info(recipe, self._seed, made, meter.integrated_lufs(), peak_dbfs(samples))
        samples *= np.float32(10 ** (gain_db(info.loudness_lufs, info.peak_dbfs, self._levels.target_lufs) / 20))
        self._hand_over(token, Piece(samples, Source.BUILTIN, info.segment_id, info))

    def _grow(
        self,
        info: SegmentInfo,
        performance: Performance,
        opening: Samples | None,
        give: Callable[[Piece], None],
        is_over: Callable[[], bool],
    ) -> None:
        """Give a piece as soon as its opening is there, and make the rest behind what is heard."""
        frames = performance.frames
        gain = gain_db(info.loudness_lufs, info.peak_dbfs, self._levels.target_lufs)
        growth, known, made = Growth(), 0, 0
        piece = Piece(np.zeros((frames, CHANNELS), np.float32), Source.BUILTIN, info.segment_id, info, growth)
        if opening is not None:
            known = min(len(opening), frames)
            piece.samples[:known] = np.float32(10 ** (gain / 20)) * opening[:known]
            growth.frames = known
            give(piece)
        handed = opening is not None
        try:
            for stretch in performance.stretches:
                if is_over():
                    return
                stretch = np.float32(10 ** (gain / 20)) * stretch
                _continue(piece.samples, stretch, made, known)
                made += len(stretch)
                growth.frames = max(known, made)
                if not handed and growth.frames >= min(AHEAD_FRAMES, frames):
                    handed = True
                    give(piece)
        finally:
            growth.ended.set()

    def _prepare_opening(self, openings: Openings, token: int) -> None:
        """Make and keep the opening that the next session begins with, unless the mood changes."""
        seed = self._seed * 48271 % 999_983 + 1
        recipe = _recipe(self._mood.station, seed)
        performance = self._begin(recipe, seed)
        stretches: list[Samples] = []
        while sum(map(len, stretches)) < performance.opening_frames:
            if self._is_over(token):
                return
            stretches.append(next(performance.stretches))
        opening = np.concatenate(stretches)
        loudness_lufs, peak = performance.loudness_lufs, performance.peak_dbfs
        openings.save(self._info(recipe, seed, len(opening), loudness_lufs, peak), opening)

    def _is_over(self, token: int) -> bool:
        return self._stop.is_set() or token != self._mood.token()

    def _hand_over(self, token: int, piece: Piece) -> None:
        with self._lock:
            self._piece = (token, piece)
        self.begun.set()

    def _info(self, recipe: Recipe, seed: int, frames: int, loudness_lufs: float, peak_dbfs: float) -> SegmentInfo:
        return SegmentInfo(
            segment_id=f"builtin-{recipe.station}-{seed}",
            recipe=recipe,
            engine="builtin",
            seed=str(seed),
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            length_frames=frames,
            cue_in_frames=0,
            cue_out_frames=frames,
            loudness_lufs=loudness_lufs,
            peak_dbfs=peak_dbfs,
        )


def _recipe(station: Station, seed: int) -> Recipe:
    """Return what the piece of a seed is to be."""
    return station.recipe(seed, BUILTIN_S[seed % len(BUILTIN_S)])


def _continue(samples: Samples, stretch: Samples, at_frame: int, known_frames: int) -> None:
    """Put a stretch into its place, but leave what is `known_frames` there: only its end is faded over to the stretch.

    The two are the same but for the rounding of a file, or where the engine's instruments have changed since.
    """
    join = max(0, known_frames - JOIN_FRAMES)
    begin, end = max(at_frame, join), at_frame + len(stretch)
    if end <= begin:
        return
    new = stretch[begin - at_frame :]
    share = np.clip((np.arange(begin, end, dtype=np.float32) - join) / max(1, known_frames - join), 0, 1)[:, None]
    samples[begin:end] += share * (new - samples[begin:end]) if begin < known_frames else new


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
