"""Composition for the built-in engine: a recipe and a seed become a score, a list of timed notes.

Pure and quick (milliseconds). The form is phrases of four bars, A and B alternating by a plan of the seed's: B has a
progression and patterns of its own. A bar of lead-in stands before time 0, so that the piece begins in full bloom.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

import styles
from styles import BASSES, COMPS, DRUMS, MAJOR, MINOR, PROGRESSIONS, SCALES, Style
from values import Recipe

PHRASE_BARS: Final = 4
SLOWEST_PULSE_BPM: Final = 52.0
FASTEST_PULSE_BPM: Final = 132.0

_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY_SCALE = re.compile(r"([A-G])([#♯b♭]?)\s*(maj|m$|min)", re.IGNORECASE)
_ARPEGGIOS = ((0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 1, 3, 2, 4, 3, 1), (0, 2, 3, 2, 4, 2, 3, 2), (0, 1, 3, 4, 2, 1, 3, 2))
_RHYTHMS = (
    ((0, 1.5), (1.5, 0.5), (2, 2.5), (5, 1), (6, 1.8)),
    ((0.5, 0.5), (1, 1), (2.5, 2), (5.5, 0.5), (6, 1.5)),
    ((0, 2.5), (3, 0.5), (3.5, 0.5), (4, 3)),
    ((1, 1), (2, 0.5), (2.5, 1.5), (5, 1), (6.5, 1.5)),
    ((0, 1), (1, 1), (2, 1.5), (3.5, 3)),
    ((2, 0.5), (2.5, 0.5), (3, 2.5), (6, 1.8)),
)


@dataclass(frozen=True)
class Note:
    """One stroke. `part` is the layer of the mix, `pitch` a MIDI number (0 for drums), `pan` -1 left to 1 right."""

    part: str
    voice: str
    at_s: float
    length_s: float
    pitch: int
    velocity: float
    pan: float


@dataclass(frozen=True)
class Score:
    """A composed piece. `pulse_bpm` is the recipe's tempo, halved or doubled to where a player would feel it."""

    style: Style
    bpm: float
    pulse_bpm: float
    tonic: int
    mode: str
    texture: str
    lead_in_s: float
    notes: tuple[Note, ...]


def parse_key(key_scale: str) -> tuple[int, str] | None:
    """Return (pitch class of the tonic, "major" or "minor") of a name such as "F# minor", or None for anything else."""
    match = _KEY_SCALE.match(key_scale.strip())
    if match is None:
        return None
    shift = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[match[2].lower()]
    return (_TONICS[match[1].upper()] + shift) % 12, "major" if match[3].lower() == "maj" else "minor"


def compose(recipe: Recipe, seed: int) -> Score:
    """Write the piece of `recipe`; another seed gives another piece, the same seed the same one."""
    return _Composer(recipe, np.random.default_rng(seed % 2**128)).compose()


class _Composer:
    """The decisions of one piece, and the parts written from them."""

    def __init__(self, recipe: Recipe, rng: np.random.Generator) -> None:
        self.rng = rng
        self.text = recipe.prompt.lower()
        self.style = styles.choose_style(recipe)
        self.duration_s = recipe.duration_s
        self.bpm = float(recipe.bpm) if recipe.bpm and recipe.bpm > 0 else float(rng.integers(70, 86))
        self.pulse_bpm = self.bpm
        while self.pulse_bpm > FASTEST_PULSE_BPM:
            self.pulse_bpm /= 2
        while self.pulse_bpm < SLOWEST_PULSE_BPM:
            self.pulse_bpm *= 2
        self.beats = 3 if recipe.time_signature[:1] in ("3", "6") else 4
        random_key = (int(rng.integers(12)), str(rng.choice(("major", "minor"))))
        self.tonic, self.mode = parse_key(recipe.key_scale) or random_key
        self.scale = MAJOR if self.mode == "major" else MINOR
        progressions = PROGRESSIONS[self.style.harmony + self.mode]
        self.progressions: list[tuple[int, ...]] = [progressions[i] for i in rng.permutation(len(progressions))[:2]]
        self.plan = str(rng.choice(("ABAB", "AABA", "ABBA")))
        self.motif = [(_RHYTHMS[i], rng.choice((-2, -1, -1, 1, 1, 2), 8)) for i in rng.permutation(len(_RHYTHMS))[:2]]
        self.arpeggio = [_ARPEGGIOS[i] for i in rng.permutation(len(_ARPEGGIOS))[:2]]
        leads = (styles.named_voices(self.text) or self.style.lead) if self.style.lead else ("",)
        self.lead = str(rng.choice(leads))
        self.notes: list[Note] = []
        self.voicing: list[int] = []
        self.chosen = {  # the pattern of each part in A and in B
            part: [str(name) for name in rng.permutation(list(names))]
            for part, names in {
                "comps": self.style.comps, "basses": self.style.basses, "drums": self.style.drums,
                "chords": self.style.chords, "pad": self.style.pad, "arpeggio": self.style.arpeggio,
            }.items()
        }  # fmt: skip

    def compose(self) -> Score:
        beatless = re.search(r"no drums|beatless|without drums", self.text)
        bar_s = self.beats * 60 / self.pulse_bpm
        bars = math.ceil(max(0.0, self.duration_s) / bar_s) + 1
        for bar in range(-1, bars):
            self._harmonise(bar)
            self._chords(bar)
            self._arpeggios(bar)
            self._bass(bar)
            if not beatless:
                self._drums(bar)
            if bar % 2 == 0:
                self._melody(bar)
        return Score(
            self.style, self.bpm, self.pulse_bpm, self.tonic, self.mode,
            styles.named_texture(self.text) or self.style.texture, bar_s,
            tuple(sorted(self.notes, key=lambda note: note.at_s)),
        )  # fmt: skip

    # -- form and harmony

    def _section(self, bar: int) -> int:
        """Return 0 in an A phrase, 1 in a B phrase."""
        return "AB".index(self.plan[bar // PHRASE_BARS % len(self.plan)])

    def _pick(self, part: str, bar: int) -> str:
        names = self.chosen[part]
        return names[self._section(bar) % len(names)] if names else ""

    def _degree(self, bar: int) -> int:
        progression = self.progressions[self._section(bar)]
        return progression[bar // self.style.bars % len(progression)]

    def _bars_held(self, bar: int) -> int:
        """Return for how many bars a chord that begins at `bar` stands; 0 where none begins."""
        if bar == -1:
            return 1
        return self.style.bars if bar % self.style.bars == 0 else 0

    def _tone(self, degree: int) -> int:
        """Return the pitch class of a scale degree."""
        return (self.tonic + self.scale[degree % 7]) % 12

    def _chord(self, degree: int) -> list[int]:
        """Return pitch classes: thirds stacked on `degree`; five tones leave the root to the bass."""
        thirds = [self._tone(degree + 2 * i) for i in range(5)]
        if (thirds[4] - thirds[0]) % 12 != 2:  # a flat ninth bites
            thirds.pop()
        if self.style.colour == 5 and len(thirds) == 5:
            return thirds[1:]
        return thirds[: min(4, self.style.colour)]

    def _harmonise(self, bar: int) -> None:
        """Move the voicing to the bar's chord: the nearest inversion, around middle C, without rubbing semitones."""
        classes = self._chord(self._degree(bar))
        before = self.voicing if len(self.voicing) == len(classes) else []

        def cost(voicing: list[int]) -> float:
            moved: int = sum(abs(a - b) for a, b in zip(voicing, before, strict=False))
            rub: int = sum(b - a < 2 for a, b in itertools.pairwise(voicing))
            return moved + 3 * rub + 0.8 * abs(sum(voicing) / len(voicing) - 63)

        candidates = []
        for lowest in classes:
            for base in range(52, 66):
                if base % 12 == lowest:
                    above = sorted((pitch - lowest) % 12 for pitch in classes)
                    candidates.append([base + step for step in above])
        self.voicing = min(candidates, key=cost)

    # -- parts

    def _add(
        self, part: str, voice: str, bar: int, beat: float, beats: float, pitch: int, velocity: float,
        pan: float = 0.0, late_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Write one note of `bar`, swung and played by a human; what a short metre has no room for is left out."""
        if beat >= self.beats and part != "lead":
            return
        style = self.style
        pair, inside = divmod(beat, 2 * style.swing_beats)
        if inside >= style.swing_beats - 1e-9:  # the second of a pair comes late
            inside += style.swing * style.swing_beats * (2 - inside / style.swing_beats)
        at_s = (bar * self.beats + pair * 2 * style.swing_beats + inside) * 60 / self.pulse_bpm
        loose_s = 0.002 if part == "drums" else 0.005
        at_s += float(np.clip(self.rng.normal(0, loose_s), -2 * loose_s, 2 * loose_s)) + late_s
        velocity *= float(self.rng.uniform(0.9, 1.08))
        self.notes.append(Note(part, voice, at_s, beats * 60 / self.pulse_bpm, pitch, velocity, pan))

    def _chords(self, bar: int) -> None:
        pans = [0.9 * i / (len(self.voicing) - 1) - 0.45 for i in range(len(self.voicing))]
        if self.chosen["pad"] and self._bars_held(bar):
            for pitch, pan in zip(self.voicing, pans, strict=True):
                self._add("pad", self._pick("pad", bar), bar, 0, self.beats * self._bars_held(bar), pitch, 0.7, pan)
        if not self.chosen["chords"]:
            return
        hits = COMPS[self._pick("comps", bar)]
        if bar % PHRASE_BARS == 3 and self.rng.random() < 0.5:
            hits = COMPS[str(self.rng.choice(self.style.comps))]
        spread_s = float(self.rng.uniform(0.006, 0.02))
        for position, length in hits:
            accent = 0.8 if position == 0 else 0.68
            for i, (pitch, pan) in enumerate(zip(self.voicing, pans, strict=True)):
                self._add("chords", self.chosen["chords"][0], bar, position, length, pitch, accent, pan, i * spread_s)

    def _arpeggios(self, bar: int) -> None:
        if not self.chosen["arpeggio"]:
            return
        tones = [*self.voicing, *(pitch + 12 for pitch in self.voicing)]
        order = self.arpeggio[self._section(bar)]
        step = self.style.arpeggio_beats
        for i in range(int(self.beats / step)):
            if i % len(order) and self.rng.random() < 0.12:
                continue  # a breath
            pitch = tones[order[i % len(order)] % len(tones)]
            velocity, pan = 0.75 if i * step % 1 == 0 else 0.58, 0.35 * math.sin(i * 1.3)
            self._add("arpeggio", self._pick("arpeggio", bar), bar, i * step, max(1.6, 2 * step), pitch, velocity, pan)

    def _bass(self, bar: int) -> None:
        degree, next_degree = self._degree(bar), self._degree(bar + 1)

        def low(pitch_class: int) -> int:
            return 33 + (pitch_class - 33) % 12

        root = low(self._tone(degree))
        target = low(self._tone(next_degree))
        steps = [pitch for pitch in range(target - 3, target + 4) if (pitch - self.tonic) % 12 in self.scale]
        tones = {
            "r": root,
            "o": root + 12,
            "t": root + (self._tone(degree + 2) - root) % 12,
            "f": root + (self._tone(degree + 4) - root) % 12,
            "n": min((pitch for pitch in steps if pitch != target), key=lambda pitch: abs(pitch - root - 3)),
        }
        pattern = BASSES[self._pick("basses", bar)]
        if pattern == BASSES["held"]:
            pattern = ((0, self.beats * self._bars_held(bar), "r"),) if self._bars_held(bar) else ()
        for position, length, tone in pattern:
            self._add("bass", self.style.bass, bar, position, length, tones[tone], 0.8 if position == 0 else 0.7)

    def _drums(self, bar: int) -> None:
        if not self.chosen["drums"]:
            return
        pattern = dict(DRUMS[self._pick("drums", bar)])
        if bar % PHRASE_BARS == PHRASE_BARS - 1:  # a small fill leads into the next phrase
            drum = next((drum for drum in ("snare", "rim") if drum in pattern), "brush")
            fill = str(self.rng.choice(("..oo", ".o.x", "o.oo", "x..o")))
            pattern[drum] = pattern.get(drum, "." * 16)[:12] + fill
        levels = {"X": 1.0, "x": 0.8, "o": 0.45}
        pans = {"hat": 0.25, "shaker": -0.3, "ride": 0.3, "rim": -0.2}
        for name, steps in pattern.items():
            for step, mark in enumerate(steps):
                if mark != ".":
                    self._add("drums", name, bar, step / 4, 0.25, 0, levels[mark], pans.get(name, 0.0))

    def _melody(self, bar: int) -> None:
        """Write a phrase of two bars: the section's motif, drawn to the chord where it begins and on strong beats."""
        share = self.style.melody * (0.85 if self._section(bar) == 0 else 1.15)
        if not self.lead or self.rng.random() > share:
            return
        notes = SCALES[self.style.scale][self.mode]
        ladder = [pitch for pitch in range(64, 85) if (pitch - self.tonic) % 12 in notes]
        chord = self._chord(self._degree(bar))
        rhythm, contour = self.motif[self._section(bar)]
        here = min(range(len(ladder)), key=lambda i: abs(ladder[i] - 72) + 4 * (ladder[i] % 12 not in chord))
        for i, (position, length) in enumerate(rhythm):
            here = min(max(here + int(contour[i]) * (i > 0), 0), len(ladder) - 1)
            if position % 2 == 0:
                here = min(range(len(ladder)), key=lambda j: abs(j - here) + 2 * (ladder[j] % 12 not in chord))
            if i and self.rng.random() < 0.1:
                continue
            self._add("lead", self.lead, bar, position, length, ladder[here], 0.75 - 0.05 * (i % 2), -0.15)
