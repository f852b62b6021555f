"""Composition for the built-in engine: a recipe and a seed become a score.

Pure and quick (tens of milliseconds). A piece is an arc of sections, each of whole phrases of four bars: an intro,
A and B in turn with the parts entering and resting, a turn with a borrowed chord, often in a near key, the fullest
last, and a thinning. `form` plans it, the composer decides what sections are made of, `writers` write the parts.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np

from builtin import harmony, styles, writers
from builtin.score import Chord, Part, Role, Score, Section
from builtin.styles import LEVELS_DB, PROGRESSIONS, SCALES, Style
from builtin.writers import PHRASE_BARS, Sheet
from music.keys import parse_key
from music.segment import Recipe

SLOWEST_PULSE_BPM: Final = 52.0
FASTEST_PULSE_BPM: Final = 132.0
BASS: Final = range(28, 46)  # where the roots lie
SEND: Final = {Role.BASS: 0.0, Role.DRUMS: 0.35}

# Section, its energy, and its share of what lies between intro and outro.
_ARCS: Final[tuple[tuple[tuple[str, float, int], ...], ...]] = (
    (("intro", 0.48, 1), ("A", 0.6, 2), ("B", 0.75, 2), ("A", 0.65, 2), ("turn", 0.4, 1), ("B", 0.85, 1), ("A", 1.0, 2),
     ("outro", 0.42, 1)),
    (("intro", 0.48, 1), ("A", 0.55, 2), ("A", 0.7, 1), ("B", 0.85, 2), ("turn", 0.4, 1), ("A", 0.7, 2), ("B", 1.0, 2),
     ("outro", 0.4, 1)),
    (("intro", 0.46, 1), ("A", 0.65, 3), ("turn", 0.45, 1), ("B", 0.8, 2), ("A", 0.55, 1), ("B", 1.0, 3),
     ("outro", 0.4, 1)),
)  # fmt: skip
_NEAR_KEYS: Final = (0, 0, 5, -5, 3, -3, 2)


def compose(recipe: Recipe, seed: int, tail_s: float = 4.0) -> Score:
    """Write the piece of `recipe`; another seed gives another piece, the same seed the same one.

    It has whole bars, about as many as last `recipe.duration_s`, at least one, and `tail_s` behind them. Where the
    recipe leaves the tempo to us, its prompt decides, so that neighbours have the same.
    """
    rng = np.random.default_rng(seed % 2**128)
    by_prompt = np.random.default_rng(zlib.crc32(f"{recipe.station} {recipe.prompt}".encode()))
    text, style = recipe.prompt.lower(), styles.choose_style(recipe)
    any_key = (int(by_prompt.integers(12)), str(by_prompt.choice(("major", "minor"))))
    bpm = float(recipe.bpm) if recipe.bpm and recipe.bpm > 0 else float(by_prompt.integers(70, 86))
    tonic, mode = parse_key(recipe.key_scale) or any_key
    pulse_bpm, beats = _felt(bpm), 3 if recipe.time_signature[:1] in ("3", "6") else 4
    bars = max(1, round((max(0.0, recipe.duration_s) - tail_s) / (beats * 60 / pulse_bpm)))
    if bars >= 2 * PHRASE_BARS:
        bars = round(bars / PHRASE_BARS) * PHRASE_BARS
    sections = form(bars, rng)
    score = Score(
        recipe.station, seed, bpm, pulse_bpm, beats, bars, max(0.0, tail_s), tonic, mode, _parts(style, text, rng),
        sections, chords=(), notes=(), style=style, texture=styles.named_texture(text) or style.texture,
    )  # fmt: skip
    chords, shifts = _harmonise(score, rng)
    sheet = Sheet(replace(score, chords=chords), rng, shifts)
    for bar in range(score.written_bars):
        writers.write(sheet, bar)
    notes = (note for note in sheet.notes if note.start_s < score.duration_s - 0.01)
    return replace(sheet.score, notes=tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch))))


def form(bars: int, rng: np.random.Generator) -> tuple[Section, ...]:
    """Plan the sections of a piece of `bars`: an arc between an intro and an outro of a phrase each.

    A short piece leaves out what there is no phrase for; one of a phrase or two has no arc at all.
    """
    first, *body, last = _ARCS[int(rng.integers(len(_ARCS)))]
    phrases = bars // PHRASE_BARS - 2
    if phrases < 1:
        return (Section("A", 0, bars, 0.6),)
    ends = np.round(np.cumsum([length for _, _, length in body]) * phrases / sum(length for _, _, length in body))
    edges = [0, *(PHRASE_BARS * (1 + int(end)) for end in (0, *ends)), bars]
    planned = zip((first, *body, last), itertools.pairwise(edges), strict=True)
    return tuple(
        Section(name, begin, end - begin, energy) for (name, energy, _), (begin, end) in planned if end > begin
    )


def _parts(style: Style, text: str, rng: np.random.Generator) -> tuple[Part, ...]:
    """Choose who plays; the prompt may name the instrument of the tune."""

    def level_db(role: Role) -> float:
        return style.trim_db + style.levels_db.get(role.value, LEVELS_DB[role.value])

    beatless = re.search(r"no drums|beatless|without drums", text)
    tunes = (styles.named_voices(text) or style.lead) if style.lead else ()
    chosen: list[tuple[str, Role, tuple[str, ...], float]] = [
        ("chords", Role.CHORDS, style.chords, -0.15),
        ("pad", Role.PAD, style.pad, 0.0),
        ("bass", Role.BASS, style.bass, 0.0),
        ("sub", Role.BASS, ("drone",) if style.sub else (), 0.0),
        ("arpeggio", Role.ARPEGGIO, style.arpeggio, 0.25),
        ("lead", Role.LEAD, tunes, -0.1),
    ]
    parts = []
    for name, role, voices, pan in chosen:
        if voices:
            gain_db = level_db(role) - 9.0 * (name == "sub")
            parts.append(Part(name, role, str(rng.choice(voices)), gain_db, pan, SEND.get(role, 1.0)))
    if style.drums and not beatless:
        parts.append(Part("drums", Role.DRUMS, "kit", level_db(Role.DRUMS), 0.0, SEND[Role.DRUMS]))
    others = [voice for voice in style.lead if parts and voice != parts[-1].instrument]
    if tunes and others:  # another voice answers in B
        parts.append(Part("answer", Role.LEAD, str(rng.choice(others)), level_db(Role.LEAD) - 1.0, 0.2))
    return tuple(parts)


def _harmonise(score: Score, rng: np.random.Generator) -> tuple[tuple[Chord, ...], tuple[int, ...]]:
    """Return the chords, each voiced from the one before, and by how much the key of each bar is moved."""
    style = score.style
    bank = PROGRESSIONS[f"{style.harmony} {score.mode}"]
    known = sorted({symbol for lines in bank.values() for line in lines for symbol in line.split()})
    scale = SCALES["diatonic"][score.mode]
    chosen = {
        letter: [harmony.varied(str(line), known, scale, rng) for line in rng.permutation(bank[letter])[:2]]
        for letter in "ABT"
    }
    away = int(rng.choice(_NEAR_KEYS))
    shifts = [away * (score.section(bar).name == "turn") for bar in range(score.written_bars)]
    chords: list[Chord] = []
    played: Counter[str] = Counter()
    voicing, bass = tuple[int, ...](), BASS[len(BASS) // 2]
    for bar in range(0, score.written_bars, style.bars):
        section = score.section(bar)
        letter = {"B": "B", "turn": "T"}.get(section.name, "A")
        lines = chosen[letter]
        phrase, inside = divmod(played[letter], PHRASE_BARS)
        played[letter] += 1  # a section goes on where the last of its kind has stopped
        symbols = lines[phrase % len(lines)]
        symbol = symbols[inside % len(symbols)]
        if bar >= score.bars:  # over the next piece's beginning: home
            symbol = next((each for each in symbols if re.match("[Ii](?![IViv])", each)), symbol)
        root, tones = harmony.chord_tones(symbol)
        root = (score.tonic + shifts[bar] + root) % 12
        centre = style.centre + round(4 * (section.energy - 0.55)) + 2 * (section.name == "B")
        voicing = harmony.voice(root, tones, voicing, centre)
        length_s = min(style.bars, score.written_bars - bar) * score.bar_s
        bass = min((pitch for pitch in BASS if pitch % 12 == root), key=lambda pitch: abs(pitch - bass))
        chords.append(Chord(symbol, bar * score.bar_s, length_s, voicing, bass))
    return tuple(chords), tuple(shifts)


def _felt(bpm: float) -> float:
    while bpm > FASTEST_PULSE_BPM:
        bpm /= 2
    while bpm < SLOWEST_PULSE_BPM:
        bpm *= 2
    return bpm
