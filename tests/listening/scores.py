"""The notes of a built-in piece, in the form that `musical` measures."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from builtin.engine import numpy_cast
from builtin.score import Role, Score, amplitude
from listening import musical


def bars_of(score: Score) -> list[set[tuple[str, int, int]]]:
    """Return the notes of every bar in which one begins, to the sixteenth, without the drums."""
    drums = {part.name for part in score.parts if part.role is Role.DRUMS}
    bars: dict[int, set[tuple[str, int, int]]] = defaultdict(set)
    for note in score.notes:
        bar, place = divmod(round(note.start_s / score.bar_s * 16), 16)
        if note.part not in drums:
            bars[bar].add((note.part, place, note.pitch))
    return list(bars.values())


def levels_of(score: Score) -> dict[str, list[float]]:
    """Return the notes' levels in dB, part by part."""
    levels: dict[str, list[float]] = defaultdict(list)
    for note in score.notes:
        levels[note.part].append(20 * float(np.log10(amplitude(note.velocity))))
    return levels


def bass_share(score: Score) -> float:
    """Return the share of the chords' time in which the bass, played alone, is heard."""
    alone = np.zeros((2, score.frames), np.float32)
    for part, player in zip(score.parts, numpy_cast(score), strict=True):
        if part.role is Role.BASS:
            notes = [note for note in score.notes if note.part == part.name]
            alone += player.play(notes, 0, score.frames) * np.float32(10 ** (part.gain_db / 20))
    return musical.bass_share(alone.T, [(chord.start_s, chord.length_s) for chord in score.chords])
