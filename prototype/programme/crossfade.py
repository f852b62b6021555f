"""How two pieces are faded into each other, so that no hole opens between them: the gains, and the choice of them.

Gains are counted in frames and never in calls, so that a block may be split anywhere without a sample changing.

A plain crossfade sinks below hearing where one piece rests while the other is faded away: the outgoing one near the
end, the incoming one near the beginning. A shorter overlap would not help, it uncovers the rest that the other piece
could have covered. So the overlap is as long as the material allows, and the fade lingers halfway instead, both pieces
at -3 dB: the outgoing one is held until late, and the incoming one is there early. The power law is the same all along.

Of the plain fade and of those that move for a half, a quarter, an eighth of it, those with the least dead air are
looked at. What then remains are rests that both pieces have at once, or that outlast the overlap.

Nor should a piece be louder or softer than its neighbours for what they add to it: where the loud moments of both fall
where the gains are low, each loses what makes up its loudness; where a loud ending falls on a soft beginning, the next
piece gains. So of those fades, with a swell halfway or without, and with the next piece as a whole at its level or a
little below, the one is taken that leaves both pieces nearest to the loudness that they have by themselves; of equals,
the gentlest. Nothing here moves faster than the fade itself, and one gain holds for a piece and all that continues it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from music.metering import gated_lufs
from music.segment import CHANNELS, PEAK_LIMIT, SAMPLE_RATE_HZ, Piece, Samples
from programme.voice import Voice

Curve = npt.NDArray[np.float64]
Gains = npt.NDArray[np.floating[Any]]
DEAD_POWER: Final = 10 ** (-50.0 / 10)  # mean square of both channels
REST_BLOCKS: Final = 20  # of 10 ms: 0.25 s is a hole, wherever the blocks of whoever measures it begin
LONGEST_PHRASE_S: Final = 8.0
SHORTEST_MOVE_S: Final = 0.5  # as short as the fade of a skip
SHORTEST_LEVELLED_S: Final = 1.0
MEET_S: Final = 0.02  # so much apart two strokes are heard as two
MET_S: Final = 0.002
LOOKED_AT_STEPS: Final = 600  # of 0.1 s: what four seconds do to a minute is little
SWELLS_DB: Final = (0.0, 1.5, 3.0, 4.5)
LEVELS_DB: Final = (0.0, -0.5, -1.0, -1.5, -2.0)
LINGER_LU, SWELL_LU, LEVEL_LU = 0.02, 0.02, 0.05  # of loudness are not worth one of them, or a decibel of it

Quiet = npt.NDArray[np.bool_]


def angles(at_frames: Curve, length_frames: int, moving_frames: int, begin: float = 0.0) -> Curve:
    """Return the angle of a crossfade at some of its frames: straight from `begin` to pi/2, lingering halfway.

    It moves for `moving_frames` in all, half of them at each end; in between both pieces are heard.
    """
    edge_frames, halfway = moving_frames / 2, (begin + np.pi / 2) / 2
    corners = [0.0, edge_frames, length_frames - edge_frames, length_frames]
    return np.interp(at_frames, corners, [begin, halfway, halfway, np.pi / 2])


def gains(at_angles: Gains, peaks: tuple[float, float], swell_db: float = 0.0) -> tuple[Gains, Gains]:
    """Return the gains of what goes and of what comes at some angles, where they peak at `peaks`.

    Halfway both are `swell_db` above the power law: at 3 dB the two are as loud as by themselves.
    """
    swell = 10 ** (swell_db / 20 * np.sin(2 * at_angles)) if swell_db else 1.0
    falling, rising = swell * np.cos(at_angles), swell * np.sin(at_angles)
    limit = PEAK_LIMIT / np.maximum(peaks[0] * falling + peaks[1] * rising, PEAK_LIMIT)
    return falling * limit, rising * limit


@dataclass(frozen=True)
class Law:
    """How a crossfade goes: its gains move for `moving_frames` (see `angles`), with a swell (see `gains`).

    What comes is as a whole changed by `level_db`, which is never above 0.
    """

    moving_frames: int
    swell_db: float = 0.0
    level_db: float = 0.0


class Crossfade:
    """An equal-power crossfade under way: gains cos and sin of an angle that runs from `angle` to pi/2.

    Uncorrelated signals keep their summed power under this law (cos² + sin² = 1). The sum of two peaks may pass
    the limit all the same; `peaks` bound it, and both gains are then lowered just enough, smoothly in the angle.
    """

    def __init__(self, length_frames: int, peaks: tuple[float, float], law: Law, angle: float = 0.0) -> None:
        self.length_frames = length_frames
        self.position_frames = 0
        self.peaks = peaks
        self.law = law
        self._begin = angle

    @property
    def angle(self) -> float:
        """How far the fade has come, 0 to pi/2."""
        return float(self._angles(1)[0])

    def advance(self, n_frames: int) -> tuple[Gains, Gains]:
        """Return the next gains of what goes and of what comes, shape (n_frames, 1): a table of all takes longer."""
        at_angles = self._angles(n_frames)[:, None].astype(np.float32)  # a third of what double takes
        self.position_frames += n_frames
        return gains(at_angles, self.peaks, self.law.swell_db)

    def _angles(self, n_frames: int) -> Curve:
        at_frames = np.arange(self.position_frames, self.position_frames + n_frames, dtype=np.float64)
        return angles(at_frames, self.length_frames, self.law.moving_frames, self._begin)

    def hastened(self, length_frames: int) -> Crossfade:
        """Return the rest of the fade, so short."""
        return Crossfade(length_frames, self.peaks, replace(self.law, moving_frames=length_frames), self.angle)


class Handover:
    """A linear fade under way, for what is the same music twice: correlated, so that the gains add up to one."""

    def __init__(self, length_frames: int) -> None:
        self.length_frames = length_frames
        self.position_frames = 0

    def advance(self, n_frames: int) -> tuple[Samples, Samples]:
        """As of `Crossfade`."""
        at_frames = np.arange(self.position_frames, self.position_frames + n_frames, dtype=np.float32)
        self.position_frames += n_frames
        rising = (at_frames[:, None] + np.float32(0.5)) / np.float32(self.length_frames)
        return 1 - rising, rising


@dataclass(frozen=True, eq=False)
class Overlap:
    """What is heard of two pieces at once: `outgoing` from `begin_frame` on and `incoming` from its first frame.

    `peaks` are the largest magnitudes of each in the `length_frames` of the overlap. `heard` are the `powers` of what
    is heard while the outgoing piece is, so that what the overlap before has added is known; None where they are not.
    """

    outgoing: Piece
    begin_frame: int
    incoming: Piece
    length_frames: int
    peaks: tuple[float, float]
    heard: Curve | None = None

    @property
    def end_frame(self) -> int:
        """The frame of the outgoing piece with which the overlap ends."""
        return self.begin_frame + self.length_frames


def natural_frames(longest_frames: int, *pieces: Piece | None) -> int:
    """Return the length of a crossfade between `pieces`: none may spend more than half of itself in one fade."""
    return min([longest_frames, *(len(piece.samples) // 2 for piece in pieces if piece)])


def frames_to_phrase(piece: Piece, position_frames: int, rate_hz: int) -> int:
    """Return the frames from a position in `piece` to its next phrase, 0 where one begins.

    A phrase is as many bars (4, 2 or 1) as last no longer than LONGEST_PHRASE_S; where the tempo is unknown, so long.
    The bars are counted from the beginning of the recording, which the cue-in has cut.
    """
    recipe = piece.info.recipe if piece.info else None
    phrase_s = LONGEST_PHRASE_S
    if recipe and (bar_s := recipe.bar_s):
        phrase_s = min(phrase_s, bar_s * next((bars for bars in (4, 2) if bars * bar_s <= LONGEST_PHRASE_S), 1))
    cut_frames = piece.info.analysis.cue_in_frames * rate_hz // SAMPLE_RATE_HZ if piece.info else 0
    at_frames, phrase_frames = position_frames + cut_frames, phrase_s * rate_hz
    phrases = math.ceil((at_frames - 0.5) / phrase_frames)  # one that begins between two frames begins with the nearer
    return max(0, round(phrases * phrase_frames) - at_frames)


class _Beats(NamedTuple):
    """The beats of a recording: each `beat_s`, one of them at `at_s` in its file; `bar_s` where it begins a bar."""

    beat_s: float
    at_s: float
    bar_s: float | None


def _beats(piece: Piece) -> _Beats | None:
    sound = piece.sound or (piece.info.analysis if piece.info else None)
    if sound is None or sound.bpm is None or sound.beat_s is None:
        return None
    bar_s = piece.info.recipe.bar_s if piece.info and piece.info.engine == "builtin" else None
    return _Beats(60 / sound.bpm, sound.beat_s, bar_s)


def frames_to_meet(outgoing: Piece, begin_frame: int, incoming: Piece, fade_frames: int, rate_hz: int) -> int:
    """Return by how many frames a fade should begin before `begin_frame`, so that beats meet beats, and bars bars.

    They do so halfway through it. It is less than a beat (a bar, where both are known), and 0 where nothing can meet:
    a beat is not known, the tempi (or half and double time of them) are MEET_S apart by the end, or it is no long fade.
    """
    one, other, fade_s = _beats(outgoing), _beats(incoming), fade_frames / rate_hz
    if one is None or other is None or fade_s < SHORTEST_LEVELLED_S:
        return 0
    octaves = round(math.log2(one.beat_s / other.beat_s))
    period_s, next_s = one.beat_s / 2.0 ** max(0, octaves), other.beat_s / 2.0 ** max(0, -octaves)
    if abs(period_s / next_s - 1) * fade_s > MEET_S:
        return 0
    if one.bar_s and one.bar_s == other.bar_s:
        period_s = next_s = one.bar_s
    end_s = outgoing.parts[-1][1] / SAMPLE_RATE_HZ if outgoing.parts else len(outgoing.samples) / rate_hz
    begin_s = end_s - (len(outgoing.samples) - begin_frame) / rate_hz
    first_s = other.at_s - (incoming.parts[0][0] / SAMPLE_RATE_HZ if incoming.parts else 0.0)
    there_s = first_s + round((fade_s / 2 - first_s) / next_s) * next_s
    early_s = (begin_s + there_s - one.at_s + MET_S) % period_s - MET_S
    return max(0, round(early_s * rate_hz))


def faded(outgoing: Voice, incoming: Voice, length_frames: int, rate_hz: int) -> Crossfade:
    """Return the fade from one voice to the other, whose gain and powers follow from it."""
    peaks, law = (outgoing.peak(length_frames), incoming.peak(length_frames)), Law(length_frames)
    if outgoing.piece and incoming.piece:
        begin = outgoing.position_frames
        overlap = Overlap(outgoing.piece, begin, incoming.piece, length_frames, peaks, outgoing.heard)
        law, beginning = law_for(overlap, rate_hz)
        incoming.beginning = incoming.beginning if beginning is None else beginning
        incoming.gain = 10 ** (law.level_db / 20)
    return Crossfade(length_frames, peaks, law)


def law_for(overlap: Overlap, rate_hz: int) -> tuple[Law, Curve | None]:
    """Return how to fade: with the least dead air, each piece nearest to its own loudness, as gently as that allows.

    And the `powers` of what will be heard while the incoming piece is, up to its end; None where they are not known.
    """
    dead = _dead_air(overlap, rate_hz)
    least = [moving for moving in dead if dead[moving] == min(dead.values())]
    steps, end = (frames * 10 // rate_hz for frames in (overlap.length_frames, overlap.end_frame))
    going, own, new = overlap.heard, overlap.outgoing.ready_powers, overlap.incoming.ready_powers
    if going is None or own is None or new is None or overlap.length_frames < SHORTEST_LEVELLED_S * rate_hz:
        return Law(least[0]), new
    if min(len(going), len(own)) < end or len(new) < steps:  # of pieces that were measured at another rate
        return Law(least[0]), new
    begin = max(0, end - LOOKED_AT_STEPS)
    going, own, near = going[begin:end], own[begin:end], new[:LOOKED_AT_STEPS]
    laws = [Law(*one) for one in itertools.product(least, SWELLS_DB, LEVELS_DB)]
    at_frames = (np.arange(steps) + 0.5) * overlap.length_frames / steps
    courses = [
        gains(angles(at_frames, overlap.length_frames, moving), overlap.peaks, swell_db)
        for moving, swell_db in itertools.product(least, SWELLS_DB)
    ]
    falling, rising = (np.repeat(curves, len(LEVELS_DB), axis=0) ** 2 for curves in zip(*courses, strict=True))
    lower = near * 10 ** (np.array([[law.level_db] for law in laws]) / 10)
    mixed = falling * going[-steps:] + rising * lower[:, :steps]  # hardly ever correlated
    before = np.broadcast_to(going[:-steps], (len(laws), len(going) - steps))
    first, second = np.hstack((before, mixed)), np.hstack((mixed, lower[:, steps:]))
    with np.errstate(invalid="ignore"):  # of silence
        off = np.maximum(abs(gated_lufs(first) - gated_lufs(own)), abs(gated_lufs(second) - gated_lufs(near)))
    costs = [
        LINGER_LU * (law.moving_frames < overlap.length_frames) + SWELL_LU * law.swell_db - LEVEL_LU * law.level_db
        for law in laws
    ]
    best = int(np.argmin(np.nan_to_num(off, posinf=0.0) + costs))
    rest = new[LOOKED_AT_STEPS:] * 10 ** (laws[best].level_db / 10)
    return laws[best], np.concatenate((second[best], rest))


def _dead_air(overlap: Overlap, rate_hz: int) -> dict[int, int]:
    """Return the blocks of 10 ms of dead air, by the frames for which the gains move, the gentlest first.

    Only the overlap and 0.2 s on both sides are looked at: under 1 ms of work for 4 s.
    """
    block_frames = max(1, rate_hz // 100)
    around_frames, length_frames = REST_BLOCKS * block_frames, overlap.length_frames
    outgoing, begin = overlap.outgoing.samples, overlap.begin_frame
    incoming, part_frames = overlap.incoming.samples, 100 * block_frames  # the memory for all would be fetched anew
    before = outgoing[max(0, begin - around_frames) : begin]
    after = incoming[length_frames : length_frames + around_frames]
    parts = (slice(at, min(at + part_frames, length_frames)) for at in range(0, length_frames, part_frames))
    powers = np.hstack(
        [_powers(outgoing[begin + part.start : begin + part.stop], incoming[part], block_frames) for part in parts]
    )
    quiet_before, quiet_after = (_powers(one, one, block_frames)[0] < DEAD_POWER for one in (before, after))
    centres = (np.arange(len(powers[0]), dtype=np.float64) + 0.5) * block_frames

    def dead_blocks(moving: int) -> int:
        falling, rising = gains(angles(centres, length_frames, moving), overlap.peaks)
        mixed = falling**2 * powers[0] + rising**2 * powers[1] + 2 * falling * rising * powers[2]
        return _dead_blocks(quiet_before, mixed < DEAD_POWER, quiet_after)

    found, moving = {length_frames: dead_blocks(length_frames)}, length_frames
    while (moving := moving // 2) >= SHORTEST_MOVE_S * rate_hz:
        found[moving] = dead_blocks(moving)
    return found


def _powers(one: Samples, other: Samples, block_frames: int) -> Curve:
    """Return the mean products of two signals in each whole block: the power of each, and what they share."""
    whole = len(one) // block_frames * block_frames
    one, other = (signal[:whole].reshape(-1, block_frames * CHANNELS) for signal in (one, other))
    sums = [np.einsum("bs,bs->b", *pair) for pair in ((one, one), (other, other), (one, other))]
    return np.array(sums, np.float64) / (block_frames * CHANNELS)


def _dead_blocks(before: Quiet, mixed: Quiet, after: Quiet) -> int:
    """Count the blocks of the overlap that lie in stretches longer than a rest, seen with what is around it."""
    quiet = np.concatenate(([False], before, mixed, after, [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(quiet)).reshape(-1, 2)
    dead = edges[edges[:, 1] - edges[:, 0] >= REST_BLOCKS]
    inside = np.clip(dead - len(before), 0, len(mixed))
    return int((inside[:, 1] - inside[:, 0]).sum())
