"""The built-in engine as a source of pieces: the first of a mood is heard while it is made."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from base import process
from base.errors import CorruptSegment
from base.files import replace_safely
from base.workers import Clock, Later, at_once, within
from music import audio_files
from music.audio_files import Packed
from music.metering import PEAK_BLOCK_FRAMES, LoudnessMeter, block_peaks, gated_lufs, highest_dbfs
from music.segment import (
    SAMPLE_RATE_HZ,
    Analysis,
    Growth,
    Performance,
    Piece,
    Recipe,
    Samples,
    SegmentInfo,
    Source,
    piece_gain_db,
)
from music.stations import Mood, Station
from programme.supplies import Levels

log = logging.getLogger(__name__)


BUILTIN_S: Final = (150.0, 180.0, 120.0, 210.0)  # one after the other
FIRST_WHOLE_S: Final = 15.0  # it is waited for
LOOK_S: Final = 1.5  # whether another source's piece is heard by now

OPENING_WAIT_S: Final = 0.3  # for the disk; making it anew takes hardly longer
AHEAD_FRAMES: Final = 4 * SAMPLE_RATE_HZ  # of a growing piece, when it is begun: it grows many times faster than time
JOIN_FRAMES: Final = SAMPLE_RATE_HZ // 10

Begin = Callable[[Recipe, int], Performance]


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

    def load(self, station: Station) -> tuple[Recipe, int, Samples] | None:
        """Return recipe, seed and first frames of a piece of `station`, chosen by what was liked when it was made."""
        try:
            info = audio_files.read_info(self._path) if self._path else None
            if self._path is None or info is None or info.engine != self._version:
                return None
            seed, prompt = int(info.seed), info.recipe.prompt
            if info.recipe != replace(_recipe(station, seed), prompt=prompt) or not station.makes(prompt):
                return None
            return info.recipe, seed, audio_files.read(self._path)
        except (OSError, ValueError, CorruptSegment):
            return None

    def save(self, info: SegmentInfo, samples: Samples) -> None:
        """Keep an opening in place of the one before."""
        path, named = self._path, replace(info, engine=self._version)
        if path is not None:
            self._later("opening", lambda: _keep(path, audio_files.encode(samples, named)))


class BuiltinSupply:
    """The built-in engine: a piece whenever it is asked for one.

    The first piece of a mood is there as soon as it is begun, and goes on being made while it is heard, at the
    loudness that pieces usually have; the others are made whole, and measured. `growing` False: all of them.

    Threads: `run` (or `step`) belongs to one thread; `next` to the loader. `_lock` guards `_piece`.
    """

    source = Source.BUILTIN
    ahead = 1

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
        self._heard, self._rests, self._spared = "", False, False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._piece: tuple[int, Piece] | None = None
        self._again: deque[tuple[SegmentInfo, Callable[[Piece], None]]] = deque(maxlen=1)
        self._wanted = threading.Event()
        self._wanted.set()
        self.is_awaited: Callable[[], bool] = lambda: False
        """Whether a piece would be heard at once."""
        self.is_liked: Callable[[str], bool] = lambda key: False
        """Whether a piece is to be kept, by its key."""
        self.forget: Callable[[], None] = lambda: None
        """Lets go of what the engine keeps for the next piece."""
        self.begun = threading.Event()
        """Set as soon as there was a piece."""

    @property
    def wanted(self) -> bool:
        """Whether a piece is to be rendered; for who calls `step` without a thread."""
        return self._wanted.is_set()

    def next(self, busy: Collection[str] = ()) -> Piece | None:
        """Return the piece that is ready; where there is none have one rendered: it is there in a few seconds.

        Not before it is asked for: the mixer has one in stock, and a third would only fill the memory.
        """
        self._spared = False
        with self._lock:
            taken, self._piece = self._piece, None
        if taken is None or taken[0] != self._mood.token():
            self._wanted.set()
        return taken[1] if taken and taken[0] == self._mood.token() else None

    def let_go(self) -> None:
        """Keep no piece ready, and make none whole, until one is asked for: it is up to 40 MB."""
        self._spared = True
        with self._lock:
            self._piece = None

    def again(self, info: SegmentInfo | None, give: Callable[[Piece], None]) -> bool:
        """Play a piece once more, and `give` it as soon as its opening is there; return whether it can be made."""
        if info is None:
            return False
        self._again.append((info, give))
        self._wanted.set()
        return True

    def heard(self, piece: Piece) -> None:
        """Note which piece it is; nothing of it is kept."""
        self._heard, self._rests = piece.key, piece.source is not self.source

    def change_mood(self) -> None:
        """Begin the new mood's first piece."""
        self._spared = False
        self._wanted.set()

    def close(self) -> None:
        """Let `run` see that it is to stop."""
        self._wanted.set()

    def run(self, stop: threading.Event) -> None:
        """Render whenever a piece is wanted; while others' pieces are heard, keep nothing for the next one."""
        self._stop, made = stop, False
        while not stop.is_set():
            if self._clock.wait(self._wanted, LOOK_S if made else threading.TIMEOUT_MAX) and not stop.is_set():
                self.step()
                made = True
            elif made and self._rests:
                self.forget()
                process.give_back()
                made = False

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
        new = self._begun_mood != token
        first = self._growing and new
        openings = self._openings if first and self._begun_mood is None else None
        known = within(OPENING_WAIT_S, lambda: openings.load(self._mood.station), None) if openings else None
        self._begun_mood = token
        self._seed = known[1] if known else self._seed + 1
        recipe = known[0] if known else _recipe(self._mood.rotation, self._seed)
        if new and not self._growing:
            recipe = replace(recipe, duration_s=FIRST_WHOLE_S)
        performance = self._begin(recipe, self._seed)
        recipe = replace(recipe, bpm=recipe.bpm or performance.bpm)
        if first:
            self._grow_next(token, recipe, performance, known[2] if known else None)
            if openings:
                self._prepare_opening(openings, token)
        else:
            self._finish(token, recipe, performance)

    def _finish(self, token: int, recipe: Recipe, performance: Performance) -> None:
        """Make a piece whole, measure it, and hand it over; it keeps all its frames, so that bars follow bars.

        One that is awaited meanwhile is heard while the rest is made.
        """
        samples, meter, peaks, made = Packed(performance.frames), LoudnessMeter(), [], 0
        for stretch in performance.stretches:
            if self._is_over(token) or self._again or self._spared:
                return
            samples[made : made + len(stretch)] = stretch
            made += len(stretch)
            peaks.append(block_peaks(stretch, PEAK_BLOCK_FRAMES))
            meter.feed(stretch)
            if self._growing and self.is_awaited():
                rest = itertools.chain([samples[:made]], performance.stretches)
                self._grow_next(token, recipe, replace(performance, stretches=rest), None)
                return
        peak_dbfs = highest_dbfs(np.concatenate(peaks))
        powers = meter.powers()
        info = self._info(recipe, self._seed, made, float(gated_lufs(powers)), peak_dbfs)
        samples.gain = self._gain(info.analysis)
        process.give_back()
        powers *= samples.gain**2
        self._hand_over(token, Piece(samples, Source.BUILTIN, info.segment_id, info, powers=powers))

    def _grow_next(self, token: int, recipe: Recipe, performance: Performance, opening: Samples | None) -> None:
        sound = performance.frames, performance.loudness_lufs, performance.peak_dbfs
        info = self._info(recipe, self._seed, *sound)
        self._grow(
            info, performance, opening, lambda piece: self._hand_over(token, piece), lambda: self._is_over(token)
        )

    def _grow(
        self,
        info: SegmentInfo,
        performance: Performance,
        opening: Samples | None,
        give: Callable[[Piece], None],
        is_over: Callable[[], bool],
    ) -> None:
        """Give a piece as soon as its opening is there, and make the rest behind what is heard.

        One that the listener turns away from meanwhile needs no end, unless it is liked.
        """
        frames = performance.frames
        samples, growth, known, made = Packed(frames, self._gain(info.analysis)), Growth(), 0, 0
        self._heard = ""
        piece = Piece(samples, Source.BUILTIN, info.segment_id, info, growth)
        if opening is not None:
            known = min(len(opening), frames)
            samples[:known] = opening[:known]
            growth.frames = known
            give(piece)
        handed, ahead = opening is not None, AHEAD_FRAMES if self._growing else frames
        try:
            for stretch in performance.stretches:
                left = is_over() or (self._heard == info.segment_id and self.is_awaited())
                if self._stop.is_set() or (left and not self.is_liked(info.segment_id)):
                    return
                _continue(samples, stretch, made, known)
                made += len(stretch)
                growth.frames = max(known, made)
                if not handed and growth.frames >= min(ahead, frames):
                    handed = True
                    give(piece)
        finally:
            growth.ended.set()
            process.give_back()

    def _gain(self, sound: Analysis) -> float:
        return float(10 ** (piece_gain_db(self.source, sound, None, self._levels.target_lufs) / 20))

    def _prepare_opening(self, openings: Openings, token: int) -> None:
        """Make and keep the opening that the next session begins with, unless the mood changes."""
        seed = self._seed * 48271 % 999_983 + 1
        recipe = _recipe(self._mood.rotation, seed)
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
            analysis=Analysis(frames, 0, frames, loudness_lufs, peak_dbfs, "", recipe.bpm, 0.0 if recipe.bpm else None),
        )


def _keep(path: Path, data: bytes | memoryview) -> None:
    with contextlib.suppress(OSError):
        replace_safely(path, data)


def _recipe(station: Station, seed: int) -> Recipe:
    """Return what the piece of a seed is to be."""
    return station.recipe(seed, BUILTIN_S[seed % len(BUILTIN_S)])


def _continue(samples: Packed, stretch: Samples, at_frame: int, known_frames: int) -> None:
    """Put a stretch into its place, but leave what is `known_frames` there: only its end is faded over to the stretch.

    The two are the same but for the rounding of a file, or where the engine's instruments have changed since.
    """
    join = max(0, known_frames - JOIN_FRAMES)
    begin, end = max(at_frame, join), at_frame + len(stretch)
    if end <= begin:
        return
    new = stretch[begin - at_frame :]
    if begin < known_frames:
        share = np.arange(begin, end, dtype=np.float32)[:, None] - np.float32(join)
        share = np.clip(share / np.float32(max(1, known_frames - join)), 0, 1)
        before = samples[begin:end] / np.float32(samples.gain)
        new = before + share * (new - before)
    samples[begin:end] = new
