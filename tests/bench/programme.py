"""Rows 2 and 3: the programme made from real segments against the files one by one, and how fast it is mixed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from bench.material import CUE_DBFS, marker
from builtin.bed import Bed
from doubles.sounds import info
from listening.listening import RATE_HZ, Stretch, blocks, dbfs, levels, loudness_lufs, neighbour_jumps, quiet_stretches
from music.analysis import analyse, to_piece
from music.decoding import read
from music.features import measured_beat
from music.keys import fifths_apart, tempo_apart
from music.segment import Piece, Samples, Source
from programme.crossfade import frames_to_meet
from programme.following import Following
from programme.mixer import Mixer
from programme.programme import Started
from spool.spool import Entry

TARGET_LUFS: Final = -23.0
BLOCK_FRAMES: Final = 4096
QUIET_DBFS: Final = -50.0
QUIET_S: Final = 0.25
CROSSFADE_S: Final = 4.0
APART_S: Final = 0.02  # two strokes are heard as two


@dataclass(frozen=True)
class Heard:
    """What is heard of some segments, one after the other.

    `longest_shared_s` is how far a rest reaches into an overlap at most, in seconds.
    """

    length_s: float
    dead_air: list[Stretch]
    rests: list[Stretch]
    jumps_lu: list[float]
    peak_dbfs: float
    levelled_jumps_lu: list[float] = field(default_factory=list)
    longest_shared_s: float = 0.0

    @property
    def dead_s(self) -> float:
        """Seconds of dead air at the boundaries."""
        return sum(stretch.length_s for stretch in self.dead_air)


def measure_programme(paths: Sequence[Path]) -> tuple[Heard, Heard]:
    """Return what is heard of real segments: as a programme of the mixer, and file by file.

    In the programme a segment is heard from where it begins to where it ends, with both overlaps and what the other
    pieces add to them: that is what its loudness is measured of. `levelled_jumps_lu` are of the pieces by themselves,
    before they are mixed.
    """
    files = [read(path).samples[:] for path in paths]
    pieces = [_piece(path, samples) for path, samples in zip(paths, files, strict=True)]
    programme, begins = mix(pieces)
    parts = [programme[begin : begin + len(piece.samples)] for begin, piece in zip(begins, pieces, strict=True)]
    quiet = _quiet(programme)
    rests = [stretch for stretch in quiet if is_rest(stretch, pieces, begins)]
    levelled = neighbour_jumps([loudness_lufs(piece.samples[:]) for piece in pieces])
    ours = replace(
        _heard(programme, parts, quiet, rests),
        levelled_jumps_lu=levelled,
        longest_shared_s=max((_shared_frames(rest, pieces, begins) for rest in rests), default=0) / RATE_HZ,
    )
    whole = np.concatenate(files)
    joints = np.cumsum([0, *(len(samples) for samples in files)])
    quiet = _quiet(whole)
    rests = [one for one in quiet if not any(one.begin_frame <= joint <= one.end_frame for joint in joints)]
    return ours, _heard(whole, files, quiet, rests)


def is_rest(stretch: Stretch, pieces: Sequence[Piece], begins: Sequence[int]) -> bool:
    """Tell whether a quiet stretch of the programme is the music's own rest; otherwise it is dead air.

    It is a rest where one piece alone is heard. Where it reaches into an overlap, of two pieces or of the first one
    and the bed, it is a rest only if it lies there no longer than QUIET_S, and if the piece that goes on alone is by
    itself, levelled and unfaded, as quiet all along: the fade has added nothing to it.
    """
    shared_frames = _shared_frames(stretch, pieces, begins)
    if not shared_frames:
        return True
    return shared_frames <= QUIET_S * RATE_HZ and any(
        begin <= stretch.begin_frame
        and stretch.end_frame <= begin + len(piece.samples)
        and levels([piece.samples[stretch.begin_frame - begin : stretch.end_frame - begin]]).max() < QUIET_DBFS
        for piece, begin in zip(pieces, begins, strict=True)
    )


def _shared_frames(stretch: Stretch, pieces: Sequence[Piece], begins: Sequence[int]) -> int:
    """Count the frames of a stretch that lie in an overlap; the first piece has one with the bed."""
    ends = [
        round(CROSSFADE_S * RATE_HZ),
        *(begin + len(piece.samples) for begin, piece in zip(begins, pieces, strict=True)),
    ]
    overlaps = zip(begins, ends, strict=False)
    return sum(max(0, min(end, stretch.end_frame) - max(begin, stretch.begin_frame)) for begin, end in overlaps)


@dataclass(frozen=True)
class Transitions:
    """What meets in transitions, before and after this was looked at.

    `clashing`: the shares of those whose keys are over a step of fifths apart, of `keys` that are both known. `apart`:
    the shares of those whose beats are over 20 ms apart halfway, of `tempi` that are equal.
    """

    clashing: tuple[float, float]
    keys: tuple[int, int]
    apart: tuple[float, float]
    tempi: int


def measure_transitions(paths: Sequence[Path]) -> Transitions:
    """Look at the keys in an order, and at the beats of any two pieces: they are measured anew, of 12 s at each end."""
    pieces = pieces_of(paths)
    infos = [replace(info(key=piece.key), analysis=piece.sound) for piece in pieces if piece.sound]
    waiting, following, ordered = [Entry(one.segment_id, "ready", Path(), one) for one in infos], Following(), []
    while entry := following.choose(waiting):
        waiting.remove(entry)
        following.after(entry.info)
        ordered += [entry.info] if entry.info else []
    orders = ([one.analysis.key_scale for one in order] for order in (infos, ordered))
    steps = [[fifths_apart(one, other) for one, other in itertools.pairwise(order)] for order in orders]
    known = [[one for one in order if one is not None] for order in steps]
    before, after = (sum(one > 1 for one in order) / max(1, len(order)) for order in known)
    found = (_gaps_s(one, other) for one, other in itertools.permutations(pieces, 2))
    gaps = np.array([one for one in found if one is not None] or [(0.0, 0.0)])
    plain, met = (np.abs(gaps) > APART_S).mean(axis=0).tolist()
    return Transitions((before, after), (len(known[0]), len(known[1])), (plain, met), len(gaps))


def _gaps_s(one: Piece, other: Piece) -> tuple[float, float] | None:
    """Return how far beats are apart, where a fade begins as usual and where they are to meet; None: no equal tempi."""
    fade, part = round(CROSSFADE_S * RATE_HZ), 12 * RATE_HZ
    begin = len(one.samples) - fade
    ending, beginning = measured_beat(one.samples[-part:]), measured_beat(other.samples[:part])
    if not ending or not beginning or (tempo_apart(ending[0], beginning[0]) or 0.0) > APART_S / CROSSFADE_S:
        return None
    pulse_s = 30 / max(ending[0], beginning[0])  # which of the two of a beat is the first is not always told
    gap_s = ending[1] - part / RATE_HZ + CROSSFADE_S - beginning[1]
    early_s = frames_to_meet(one, begin, other, fade, RATE_HZ) / RATE_HZ
    plain, met = ((gap + pulse_s / 2) % pulse_s - pulse_s / 2 for gap in (gap_s, gap_s + early_s))
    return plain, met


def mix(pieces: Sequence[Piece]) -> tuple[Samples, list[int]]:
    """Mix pieces as the program does, the last one up to the fade that would follow it.

    Returns: the programme, and the frames at which the pieces begin in it.
    """
    mixer = Mixer(Bed(), crossfade_s=CROSSFADE_S)
    mixer.offer(pieces[0])
    out: list[Samples] = []
    begins: list[int] = []
    waiting = list(pieces[1:])
    frames = 0
    while len(begins) < len(pieces) or frames < begins[-1] + len(pieces[-1].samples) - CROSSFADE_S * RATE_HZ:
        out.append(mixer.read(BLOCK_FRAMES))
        frames += BLOCK_FRAMES
        for event in mixer.take_events():
            if isinstance(event, Started):
                begins.append(frames - round(mixer.snapshot().playing.elapsed_s * RATE_HZ))
                if waiting:
                    mixer.offer(waiting.pop(0))
    return np.concatenate(out)[: begins[-1] + len(pieces[-1].samples) - round(CROSSFADE_S * RATE_HZ)], begins


def mixing_speed(pieces: Sequence[Piece]) -> float:
    """Return how many seconds of programme one core mixes in a second, over a dozen transitions and more."""
    mixer = Mixer(Bed())
    began_s, frames = time.process_time(), 0
    while frames < 300 * RATE_HZ:
        if sum(mixer.snapshot().stock.values()) < 2:
            mixer.offer(pieces[frames % len(pieces)])
        mixer.read(BLOCK_FRAMES)
        frames += BLOCK_FRAMES
    return frames / RATE_HZ / (time.process_time() - began_s)


def pieces_of(paths: Sequence[Path]) -> list[Piece]:
    """Make pieces ready to mix."""
    return [_piece(path, read(path).samples[:]) for path in paths]


def made_up_pieces() -> list[Piece]:
    """Make pieces to mix where there are no recordings."""
    return [Piece(marker(30.0, seed), Source.FRESH, str(seed)) for seed in range(6)]


def _piece(path: Path, samples: Samples) -> Piece:
    analysis = analyse(samples, CUE_DBFS)
    return to_piece(samples, analysis, TARGET_LUFS, Source.FRESH, path.stem)


def _quiet(whole: Samples) -> list[Stretch]:
    return quiet_stretches(blocks(whole), QUIET_DBFS, QUIET_S)


def _heard(whole: Samples, parts: Sequence[Samples], quiet: list[Stretch], rests: list[Stretch]) -> Heard:
    return Heard(
        length_s=len(whole) / RATE_HZ,
        dead_air=[stretch for stretch in quiet if stretch not in rests],
        rests=rests,
        jumps_lu=neighbour_jumps([loudness_lufs(part) for part in parts]),
        peak_dbfs=dbfs(float(np.abs(whole).max())),
    )
