"""Rows 2 and 3: the programme made from real segments against the files one by one, and how fast it is mixed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

import segment
from bench.material import CUE_DBFS, marker
from builtin_engine import Bed
from decoder import decode
from listening import RATE_HZ, Stretch, blocks, dbfs, loudness_lufs, neighbour_jumps, quiet_stretches
from mixer import Mixer, Started
from values import Piece, Samples, Source

TARGET_LUFS: Final = -23.0
BLOCK_FRAMES: Final = 4096
QUIET_DBFS: Final = -50.0
QUIET_S: Final = 0.25


@dataclass(frozen=True)
class Heard:
    """What is heard of some segments, one after the other."""

    length_s: float
    dead_air: list[Stretch]
    rests: list[Stretch]
    jumps_lu: list[float]
    peak_dbfs: float
    levelled_jumps_lu: list[float] = field(default_factory=list)

    @property
    def dead_s(self) -> float:
        """Seconds of dead air at the boundaries."""
        return sum(stretch.length_s for stretch in self.dead_air)


def measure_programme(paths: Sequence[Path]) -> tuple[Heard, Heard]:
    """Return what is heard of real segments: as a programme of the mixer, and file by file.

    In the programme a segment is heard from where it begins to where it ends, with both overlaps: that is what its
    loudness is measured of. `levelled_jumps_lu` are of the pieces by themselves, before they are mixed.
    """
    files = [decode(path) for path in paths]
    pieces = [_piece(path, samples) for path, samples in zip(paths, files, strict=True)]
    programme, begins = mix(pieces)
    parts = [programme[begin : begin + len(piece.samples)] for begin, piece in zip(begins, pieces, strict=True)]
    levelled = neighbour_jumps([loudness_lufs(piece.samples) for piece in pieces])
    # A quiet stretch is dead air where two pieces meet, and a rest of the music where it lies inside of a piece.
    overlaps = [Stretch(begin, 4 * RATE_HZ) for begin in begins[1:]]
    joints = np.cumsum([len(samples) for samples in files])
    edges = [Stretch(int(joint) - 1, 2) for joint in joints] + [Stretch(0, 1)]
    ours = replace(_heard(programme, parts, overlaps), levelled_jumps_lu=levelled)
    return ours, _heard(np.concatenate(files), files, edges)


def mix(pieces: Sequence[Piece]) -> tuple[Samples, list[int]]:
    """Mix pieces as the program does; return the programme and the frames at which the pieces begin in it."""
    mixer = Mixer(Bed())
    mixer.offer(pieces[0])
    out, begins = [], []
    waiting = list(pieces[1:])
    frames = left = 0
    while True:
        block = mixer.read(BLOCK_FRAMES)
        for event in mixer.take_events():
            if isinstance(event, Started):
                begins.append(frames)
                left = len(event.piece.samples)
                if waiting:
                    mixer.offer(waiting.pop(0))
        out.append(block)
        frames += len(block)
        left -= len(block)
        if not waiting and len(begins) == len(pieces) and left < RATE_HZ * 4:
            return np.concatenate(out), begins


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
    return [_piece(path, decode(path)) for path in paths]


def made_up_pieces() -> list[Piece]:
    """Make pieces to mix where there are no recordings."""
    return [Piece(marker(30.0, seed), Source.FRESH, str(seed)) for seed in range(6)]


def _piece(path: Path, samples: Samples) -> Piece:
    analysis = segment.analyse(samples, CUE_DBFS)
    return segment.to_piece(samples, analysis, TARGET_LUFS, Source.FRESH, path.stem)


def _heard(whole: Samples, parts: Sequence[Samples], joints: Sequence[Stretch]) -> Heard:
    quiet = quiet_stretches(blocks(whole), QUIET_DBFS, QUIET_S)
    dead = [one for one in quiet if any(_overlap(one, joint) for joint in joints)]
    return Heard(
        length_s=len(whole) / RATE_HZ,
        dead_air=dead,
        rests=[one for one in quiet if one not in dead],
        jumps_lu=neighbour_jumps([loudness_lufs(part) for part in parts]),
        peak_dbfs=dbfs(float(np.abs(whole).max())),
    )


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.begin_frame < other.end_frame and other.begin_frame < one.end_frame
