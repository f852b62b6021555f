"""The built-in engine as a source of pieces, which are made while they are heard."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from base import process
from base.workers import Clock, within
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
from music.stations import Mood
from programme.openings import Openings, piece_info, piece_recipe
from programme.programme import MixerSnapshot
from programme.supplies import Levels

FIRST_WHOLE_S: Final = 15.0  # it is waited for

OPENING_WAIT_S: Final = 0.3  # for the disk; making it anew takes hardly longer
AHEAD_FRAMES: Final = 4 * SAMPLE_RATE_HZ  # of a growing piece, when it is begun: it grows many times faster than time
GIVEN_BACK: Final = 8  # stretches after which memory that is free goes back, which takes some 6 ms (measured)
JOIN_FRAMES: Final = SAMPLE_RATE_HZ // 10

SETTLING_S: Final = (20.0, 40.0)
"""When the gain moves: a whole piece is mostly made in less, and nobody hears 2 dB in so long."""
SETTLING_LEAD_S: Final = 4.0  # where it is later: what is heard is ahead of what we are told

Begin = Callable[[Recipe, int], Performance]
Powers = npt.NDArray[np.float64]


class BuiltinSupply:
    """The built-in engine: a piece whenever it is asked for one.

    Of one in stock there is the opening; the rest is made as soon as it is heard, many times faster than time. So it
    begins at the loudness that pieces usually have; when it is whole its gain moves to what was measured. `growing`
    False: it is made whole before.

    Threads: `run` (or `step`) belongs to one thread; `next` and `heard` to the loader. `_lock` guards `_piece` and
    `_making`, the mood of the next one while it is on its way.
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
        self._openings = openings if growing else None
        self._growing = growing
        self._begun_mood: int | None = None
        self._heard, self._rests = "", False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._piece: tuple[int, Piece] | None = None
        self._making: int | None = None
        self._again: deque[tuple[SegmentInfo, Callable[[Piece], None]]] = deque(maxlen=1)
        self._unfinished: deque[_Growing] = deque()
        self._wanted = threading.Event()
        self._wanted.set()
        self.snapshot: Callable[[], MixerSnapshot] = MixerSnapshot
        """The programme as it is: whether a piece would be heard at once, how far the one that is heard has come."""
        self.on_ready: Callable[[], None] = lambda: None
        """Told that there is a piece."""
        self.is_liked: Callable[[str], bool] = lambda key: False
        """Whether a piece is to be kept, by its key."""
        self.forget: Callable[[], None] = lambda: None
        """Lets go of what the engine keeps for the next piece."""
        self.begun = threading.Event()
        """Set as soon as there was a piece."""

    @property
    def wanted(self) -> bool:
        """Whether there is something to render; for who calls `step` without a thread."""
        return self._wanted.is_set()

    def next(self, busy: Collection[str] = ()) -> Piece | None:
        """Return the piece that is ready; where there is none have one begun: it is there in a second.

        Not before it is asked for: the mixer has one in stock.
        """
        token = self._mood.token()
        with self._lock:
            taken, self._piece = self._piece, None
            if taken and taken[0] == token:
                return taken[1]
            if self._making != token:
                self._wanted.set()
        return None

    def again(self, info: SegmentInfo | None, give: Callable[[Piece], None]) -> bool:
        """Play a piece once more, and `give` it as soon as its opening is there; return whether it can be made."""
        if info is None:
            return False
        self._again.append((info, give))
        self._wanted.set()
        return True

    def heard(self, piece: Piece) -> None:
        """Note which piece it is, and have the rest of it made."""
        self._heard, self._rests = piece.key, piece.source is not self.source
        self.complete(piece)

    def complete(self, piece: Piece) -> None:
        """Have the rest of a piece made, if it lacks any and is heard or liked. Threads: any."""
        if isinstance(piece, _Growing) and piece.growth.frames < len(piece.samples):
            piece.growth.ended.clear()
            self._unfinished.append(piece)
            self._wanted.set()

    def change_mood(self) -> None:
        """Have `run` look: at the new mood, whose first piece it begins, or that it is to stop."""
        self._wanted.set()

    close = change_mood

    def run(self, stop: threading.Event) -> None:
        """Render whenever something is wanted, and keep nothing of it for the next time."""
        self._stop = stop
        while not stop.is_set():
            if self._clock.wait(self._wanted, threading.TIMEOUT_MAX) and not stop.is_set():
                self.step()
                self._let_go()

    def step(self) -> None:
        """Begin a piece and keep it ready, unless one is; then make the rest of what is heard."""
        self._wanted.clear()
        if self._again:
            info, give = self._again.pop()
            self._heard = ""
            self._grow(self._new(info), self._begin_anew(info.recipe, int(info.seed)), give, self._stop.is_set)
        token = self._mood.token()
        with self._lock:
            self._making = None if self._piece and self._piece[0] == token else token
        try:
            if self._making is not None:
                self._make_next(token)
        finally:
            with self._lock:
                self._making = None  # also of one that failed, which nobody would ask for again
        while self._unfinished:
            self._finish(self._unfinished.pop(), self._mood.token())
        openings, self._openings = self._openings, None
        if openings and not self._prepare_opening(openings, token):
            self._openings = openings  # else one that fails would do so again and again

    def _begin_anew(self, recipe: Recipe, seed: int) -> Performance:
        self._let_go()
        return self._begin(recipe, seed)

    def _let_go(self) -> None:
        self.forget()
        process.give_back()

    def _make_next(self, token: int) -> None:
        new, openings = self._begun_mood != token, self._openings if self._begun_mood is None else None
        known = within(OPENING_WAIT_S, lambda: openings.load(self._mood.station), None) if openings else None
        self._begun_mood = token
        self._seed = known[1] if known else self._seed + 1
        recipe = known[0] if known else piece_recipe(self._mood.rotation, self._seed)
        if new and not self._growing:
            recipe = replace(recipe, duration_s=FIRST_WHOLE_S)
        performance = self._begin_anew(recipe, self._seed)
        recipe = replace(recipe, bpm=recipe.bpm or performance.bpm)
        sound = performance.frames, performance.loudness_lufs, performance.peak_dbfs
        begun = self._new(piece_info(recipe, self._seed, *sound), known[2] if known else None)
        if known:
            self._hand_over(token, begun)
        give = None if known else functools.partial(self._hand_over, token)
        self._grow(begun, performance, give, lambda: self._is_over(token), first=new)

    def _new(self, info: SegmentInfo, opening: Samples | None = None) -> _Growing:
        """Return a piece of which there is no more than its opening."""
        samples, growth = Packed.silent(info.analysis.length_frames, self._gain(info.analysis)), Growth()
        if opening is not None:
            growth.frames = min(len(opening), len(samples))
            samples[: growth.frames] = opening[: growth.frames]
        return _Growing(samples, Source.BUILTIN, info.segment_id, info, growth)

    def _finish(self, begun: _Growing, token: int) -> None:
        """Make what lacks of a piece that began to be heard, if it still is, or is liked."""
        wanted = (begun.key == self._heard and not self.snapshot().waiting) or self.is_liked(begun.key)
        if wanted and begun.growth.frames < len(begun.samples):
            performance = self._begin_anew(begun.info.recipe, int(begun.info.seed))
            self._grow(begun, performance, None, lambda: self._is_over(token))
        begun.growth.ended.set()

    def _grow(
        self,
        begun: _Growing,
        performance: Performance,
        give: Callable[[Piece], None] | None,
        is_over: Callable[[], bool],
        *,
        first: bool = True,
    ) -> None:
        """Give a piece as soon as it can be begun, and make the rest behind what is heard; else when it is whole.

        That waits until it is heard; of the `first` piece of a mood only where others' pieces are heard instead. One
        that the listener turns away from meanwhile needs no end, unless it is liked.
        """
        growth, whole = begun.growth, len(begun.samples)
        making, was_heard, rests = _Making(begun.samples, growth.frames), False, False
        try:
            for number, stretch in enumerate(performance.stretches, 1):
                if number % GIVEN_BACK == 0:
                    process.give_back()
                is_heard = self._heard == begun.key
                was_heard |= is_heard
                left = is_over() or bool(self._again) or (was_heard and (self.snapshot().waiting or not is_heard))
                if self._stop.is_set() or (left and not self.is_liked(begun.key)):
                    return
                making.take(stretch)
                growth.frames = max(growth.frames, making.frames)
                if give and self._growing and growth.frames >= min(AHEAD_FRAMES, whole):
                    give(begun)
                    give = None
                may_rest = self._growing and not (is_heard or (first and not self._rests))
                if rests := may_rest and performance.opening_frames <= making.frames < whole:
                    growth.powers = begun.samples.gain**2 * making.measured()[0]
                    return
            self._settle(begun, making, give)
        finally:
            if not rests:
                growth.ended.set()

    def _settle(self, begun: _Growing, making: _Making, give: Callable[[Piece], None] | None) -> None:
        """Let a piece that is whole come to its measured loudness, behind what is heard of it; at once before it is."""
        powers, loudness_lufs, peak_dbfs = making.measured()
        sound = replace(begun.info.analysis, loudness_lufs=loudness_lufs, peak_dbfs=peak_dbfs)
        gain = self._gain(sound)
        begun.growth.powers = powers = gain**2 * powers
        if give:
            begun.samples.gain, info = gain, replace(begun.info, analysis=sound)
            give(Piece(begun.samples, self.source, begun.key, info, powers=powers))
            return
        heard_s = self.snapshot().playing.elapsed_s + SETTLING_LEAD_S if self._heard == begun.key else 0.0
        late_s = max(0.0, heard_s - SETTLING_S[0])
        begun.samples.settle(gain, *(round((at_s + late_s) * SAMPLE_RATE_HZ) for at_s in SETTLING_S))

    def _gain(self, sound: Analysis) -> float:
        return float(10 ** (piece_gain_db(self.source, sound, None, self._levels.target_lufs) / 20))

    def _prepare_opening(self, openings: Openings, token: int) -> bool:
        """Make and keep the opening that the next session begins with; return whether the mood stayed the same."""
        seed = self._seed * 48271 % 999_983 + 1
        recipe = piece_recipe(self._mood.rotation, seed)
        performance = self._begin_anew(recipe, seed)
        opening, made = Packed.silent(performance.opening_frames), 0
        while made < len(opening):
            if self._is_over(token):
                return False
            stretch = next(performance.stretches)
            opening[made : made + len(stretch)] = stretch
            made += len(stretch)
        loudness_lufs, peak = performance.loudness_lufs, performance.peak_dbfs
        openings.save(piece_info(recipe, seed, made, loudness_lufs, peak), opening[:])
        return True

    def _is_over(self, token: int) -> bool:
        return self._stop.is_set() or token != self._mood.token()

    def _hand_over(self, token: int, piece: Piece) -> None:
        with self._lock:
            self._piece, self._making = (token, piece), None
        self.begun.set()
        self.on_ready()


@dataclass(frozen=True, eq=False)
class _Growing(Piece):
    """A piece that is not whole yet."""

    samples: Packed
    info: SegmentInfo
    growth: Growth


class _Making:
    """Puts stretch after stretch of a piece into its place, and measures it. Threads: one.

    What is `known_frames` there stays, only its end is faded over: the two are the same but for the rounding of a
    file, or where the engine's instruments have changed since.
    """

    def __init__(self, samples: Packed, known_frames: int = 0) -> None:
        self.frames = 0
        self._samples, self._known_frames = samples, known_frames
        self._meter, self._peaks = LoudnessMeter(), [np.zeros(0, np.float32)]

    def take(self, stretch: Samples) -> None:
        """Take in what comes next."""
        self._meter.feed(stretch)
        self._peaks.append(block_peaks(stretch, PEAK_BLOCK_FRAMES))
        known_frames, at_frame, samples = self._known_frames, self.frames, self._samples
        self.frames = end = at_frame + len(stretch)
        join = max(0, known_frames - JOIN_FRAMES)
        begin = max(at_frame, join)
        new = stretch[begin - at_frame :]
        if begin < min(known_frames, end):
            share = np.interp(np.arange(begin, end), (join, known_frames), (0, 1)).astype(np.float32)[:, None]
            before = samples[begin:end] / np.float32(samples.gain)
            new = before + share * (new - before)
        samples[begin:end] = new

    def measured(self) -> tuple[Powers, float, float]:
        """Return the powers (see `metering.step_powers`), the loudness in LUFS and the peak in dBFS."""
        powers = self._meter.powers()
        return powers, float(gated_lufs(powers)), highest_dbfs(np.concatenate(self._peaks))
