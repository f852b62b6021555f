"""The notes of a built-in piece, in the form that `musical` measures."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

import numpy as np

from builtin.engine import Cast, numpy_cast
from builtin.score import Note, Role, Score, amplitude
from listening import musical
from listening.listening import Samples

STEPS_S: Final = 20


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


def held_rub_share(score: Score) -> float:
    """Return the share of time in which two notes of any parts but drums rub, for over a tenth of a second.

    What is held for long has died away after three seconds.
    """
    drums = {part.name for part in score.parts if part.role is Role.DRUMS}
    held = np.zeros((math.ceil(score.duration_s * STEPS_S) + 9 * STEPS_S, 128), bool)
    for note in score.notes:
        begin_s, end_s = note.start_s + 0.06, note.start_s + min(note.length_s, 3.0) - 0.06
        if note.part not in drums:
            held[round(begin_s * STEPS_S) : round(end_s * STEPS_S), note.pitch] = True
    rubbing = [(held[:, :-apart] & held[:, apart:]).any(axis=1) for apart in musical.RUBS]
    return float(np.any(rubbing, axis=0).sum() / (score.duration_s * STEPS_S))


def phrases_of(score: Score) -> list[list[Note]]:
    """Return the notes of each two bars of tune."""
    tunes = {part.name for part in score.parts if part.role is Role.LEAD}
    phrases: dict[int, list[Note]] = defaultdict(list)
    for note in score.notes:
        if note.part in tunes:
            phrases[int((note.start_s + 0.1) / (2 * score.bar_s))].append(note)
    return list(phrases.values())


def alone(score: Score, cast: Cast = numpy_cast) -> dict[Role, Samples]:
    """Return what the parts of each role sound like by themselves, at their levels."""
    sounds: dict[Role, Samples] = {}
    for part, player in zip(score.parts, cast(score), strict=True):
        notes = [note for note in score.notes if note.part == part.name]
        sound = player.play(notes, 0, score.frames).T * np.float32(10 ** (part.gain_db / 20))
        sounds[part.role] = sounds.get(part.role, 0) + sound
    return sounds


def bass_share(score: Score, cast: Cast = numpy_cast) -> float:
    """Return the share of the chords' time in which the bass, played alone, is heard."""
    spans = [(chord.start_s, chord.length_s) for chord in score.chords]
    return musical.bass_share(alone(score, cast)[Role.BASS], spans)
