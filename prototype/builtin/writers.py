"""The parts of a piece, bar by bar: chords, bass, drums, broken chords, the tune; and the hand that plays them.

How loud a note is comes from its section, its place in the phrase, its place in the bar and the hand; when it is played
from the grid, the swing, the part's own place in the beat and the hand. A hand does not jump about: its drift is
correlated from note to note, as measured in real playing (Hennig et al. 2011).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from builtin.harmony import rub
from builtin.score import Articulation, Chord, Drum, Note, Part, Role, Score, velocity_of
from builtin.styles import BASSES, COMPS, DRUMS, FILLS, LATE_MS, SCALES, Hits

PHRASE_BARS: Final = 4
STEP: Final = 2.4  # semitones: of a pentatonic scale, on average
REACH: Final = 8  # of a tune, around its centre
DRIFT: Final = 0.85
DRIFT_S: Final = {Role.DRUMS: 0.003, Role.PAD: 0.015}
DRIFT_DB: Final = 2.8
TAIL_DB: Final = -3.0  # behind the last bar, where the next piece has begun
TIGHT: Final = 0.1  # where another piece is heard too, so that their strokes meet
MARKS_DB: Final = {"X": 0.0, "x": -4.0, "o": -9.0, ",": -16.0}
ENTRIES: Final = {  # the energy of a section from which on a drum plays
    Drum.HAT: 0.3, Drum.RIDE: 0.3, Drum.SHAKER: 0.3, Drum.BRUSH: 0.3, Drum.KICK: 0.4, Drum.PEDAL: 0.45,
    Drum.SNARE: 0.5, Drum.RIM: 0.5, Drum.CONGA: 0.65, Drum.CONGA_LOW: 0.65, Drum.OPEN_HAT: 0.7,
}  # fmt: skip

_ARPEGGIOS: Final[tuple[tuple[int, ...], ...]] = (
    (0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 1, 3, 2, 4, 3, 1), (0, 2, 3, 2, 4, 2, 3, 2), (0, 1, 3, 4, 2, 1, 3, 2),
    (0, 3, 1, 4, 2, 4, 1, 3), (4, 3, 2, 1, 0, 1, 2, 3), (0, 2, 4, 5, 4, 2, 3, 1),
)  # fmt: skip
# What a tune does in the first of two bars, and in the second: (beat, length). Any two go together.
_BARS: Final = (
    (
        ((0, 1.5), (1.5, 0.5), (2, 1.8)), ((0.5, 0.5), (1, 1), (2.5, 1.4)), ((0, 2.5), (3, 0.5), (3.5, 0.5)),
        ((1, 1), (2, 0.5), (2.5, 1.5)), ((0, 1), (1, 1), (2, 1.5), (3.5, 0.5)), ((2, 0.5), (2.5, 0.5), (3, 1)),
        ((0.5, 1), (1.5, 0.5), (2, 2)), ((0, 0.5), (0.5, 0.5), (1, 2.5)),
    ),
    (
        ((1, 1), (2, 1.8)), ((0, 3),), ((1.5, 0.5), (2, 1.5)), ((1, 0.5), (1.5, 0.5), (2, 1.5)), ((0, 1), (1, 2)),
        ((0.5, 0.5), (1, 1), (2.5, 1.4)), ((0, 1.5), (1.5, 1.5)),
    ),
)  # fmt: skip
_SLOW_BARS: Final = (
    (((0, 4),), ((2, 2),), ((0, 3),), ((1, 3),), ((0, 2), (3, 1))),
    (((0, 3.5),), ((1, 3),), ((0, 2), (2, 2)), ((2, 2),)),
)

Motif = tuple[tuple[float, float, int], ...]
"""A cell of two bars: (beat, length, steps from the note before)."""


@dataclass
class Sheet:
    """What is being written of a score, and what its writers share; `shifts`: by how much each bar's key is moved.

    The hand that plays it puts a note into its time and its loudness, and keeps all `notes`.
    Threads: the one that composes.
    """

    score: Score
    rng: np.random.Generator
    shifts: tuple[int, ...]
    notes: list[Note] = field(default_factory=list)
    motifs: dict[str, Motif] = field(default_factory=dict)
    _chosen: dict[tuple[str, str], int] = field(default_factory=dict)
    _drifts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.style = self.score.style

    def play(
        self, part: Part, bar: int, beat: float, beats: float, pitch: int, level_db: float,
        articulation: Articulation = Articulation.NORMAL, late_s: float = 0.0, place: str = "",
    ) -> None:  # fmt: skip
        """Play one note of `bar`; what a short metre has no room for is left out. `place` names its place in time."""
        score = self.score
        if beat >= score.beats and part.role is not Role.LEAD:
            return
        beat_s = score.bar_s / score.beats
        at_s = bar * score.bar_s + self._swung(beat) * beat_s
        early, soft = self._drift(part)
        loose = TIGHT if at_s < score.tail_s + score.bar_s or at_s >= score.bars * score.bar_s - 1 else 1.0
        place = place or part.role.value
        place_s = self.style.late_ms.get(place, LATE_MS.get(place, 0.0)) / 1000
        at_s += loose * DRIFT_S.get(part.role, 0.006) * early + place_s + late_s
        velocity = velocity_of(min(0.0, level_db + DRIFT_DB * soft))
        note = Note(part.name, int(pitch), max(0.0, at_s), beats * beat_s, max(0.1, velocity), articulation)
        self.notes.append(note)

    def _swung(self, beat: float) -> float:
        swing, unit = self.style.swing, self.style.swing_beats
        pair, inside = divmod(beat, 2 * unit)
        if inside >= unit - 1e-9:  # the second of a pair comes late
            inside += swing * unit * (2 - inside / unit)
        return pair * 2 * unit + inside

    def _drift(self, part: Part) -> tuple[float, float]:
        """Return the part's drift in time and loudness, each of variance 1, a little on from where it was."""
        step = math.sqrt(1 - DRIFT**2) * np.clip(self.rng.standard_normal(2), -2, 2)
        early, soft = self._drifts.get(part.name, (0.0, 0.0))
        now = DRIFT * early + float(step[0]), DRIFT * soft + float(step[1])
        self._drifts[part.name] = now
        return now

    def chord(self, bar: int) -> Chord:
        """Return the chord of `bar`; behind the last it is the last."""
        return self.score.chords[min(bar // self.style.bars, len(self.score.chords) - 1)]

    def begins(self, bar: int) -> bool:
        """Whether a chord begins at `bar`."""
        return bar % self.style.bars == 0

    def pick(self, kind: str, bar: int, count: int) -> int:
        """Return which of `count` patterns a section plays: the same one whenever the section comes back."""
        key = (kind, self.score.section(bar).name)
        if key not in self._chosen:
            self._chosen[key] = int(self.rng.integers(count))
        return self._chosen[key]

    def level_db(self, bar: int, beat: float) -> float:
        """Return how loud the music is here: by section, with a swell over the phrase and the weight of the beat."""
        section = self.score.section(bar)
        place = ((bar - section.first_bar) % PHRASE_BARS + beat / self.score.beats) / PHRASE_BARS
        if section.first_bar == 0 and self.style.bars == 1:  # a listener comes into the middle of a phrase
            place = 0.3 + place / 2
        swell = 5.0 * math.sin(math.pi * min(1.0, max(0.0, place))) - 3.2
        if beat % 1:
            weight = -6.0 if beat % 0.5 else -4.5
        else:
            weight = 0.0 if beat == 0 else -1.5 if beat == 2 and self.score.beats == 4 else -3.0
        leaving = TAIL_DB if bar >= self.score.bars else 0.0
        return -2.0 - 14.0 * (1 - section.energy) + swell + weight + leaving

    def part(self, name: str) -> Part | None:
        """Return the part of that name, if it plays in this piece."""
        return next((part for part in self.score.parts if part.name == name), None)


def _pad(sheet: Sheet, part: Part, bar: int) -> None:
    """Hold the chord, its tones one after the other where chords are long; in calm music they come again within it."""
    chord, slow = sheet.chord(bar), sheet.style.bars > 1
    left = sheet.style.bars - bar % sheet.style.bars
    alone = not sheet.style.chords and not sheet.style.arpeggio
    for i, pitch in enumerate(chord.voicing):
        if sheet.begins(bar):
            late = 0.5 * i * float(sheet.rng.random()) if slow and bar else 0.0
            length = sheet.score.beats * left - late
        elif alone and sheet.rng.random() < 0.4:
            late = float(sheet.rng.choice((0, 1, 2)))
            higher = pitch < 64 and sheet.rng.random() < 0.5 and not rub(pitch + 12, chord.voicing)
            length, pitch = sheet.score.beats * left - late, pitch + 12 * higher
        else:
            continue
        sheet.play(part, bar, late, length, pitch, sheet.level_db(bar, late) - 2.0 * (i % 2))


def _chords(sheet: Sheet, part: Part, bar: int) -> None:
    """Comp: a rhythm for each section, another one now and then; the strings of a chord one after the other."""
    section = sheet.score.section(bar)
    comps = [name for name in sheet.style.comps if section.first_bar or _is_full(COMPS[name])] or sheet.style.comps
    which = sheet.pick("comps", bar, len(comps))
    if sheet.rng.random() < (0.15 if sheet.style.loops else 0.4):
        which = int(sheet.rng.integers(len(comps)))
    for position, length in COMPS[comps[which]]:
        pitches = sheet.chord(bar).voicing
        upwards = position % 1 == 0
        if not upwards and sheet.rng.random() < 0.4:
            pitches = pitches[1:]
        strum = sheet.style.strum_s * float(sheet.rng.uniform(0.6, 1.4))
        for i, pitch in enumerate(pitches if upwards else pitches[::-1]):
            level = sheet.level_db(bar, position) - (0.0 if i == len(pitches) - 1 else 2.0)
            sheet.play(part, bar, position, length, pitch, level, late_s=i * strum)


def _is_full(hits: Hits) -> bool:
    """Whether chords struck so are there from the first beat, and leave no gap of three beats."""
    positions = [position for position, _ in hits] + [4.0]
    return positions[0] == 0 and all(b - a < 3 for a, b in itertools.pairwise(positions))


def _arpeggio(sheet: Sheet, part: Part, bar: int) -> None:
    """Break the chord: an order for each section, turned from bar to bar; it rests where there is little energy."""
    if bar >= sheet.score.bars and sheet.part("chords"):
        return
    section, voicing = sheet.score.section(bar), sheet.chord(bar).voicing
    tones = [*voicing, *(pitch + 12 for pitch in voicing if not rub(pitch + 12, voicing))]
    left = sheet.score.beats * (sheet.style.bars - bar % sheet.style.bars)
    order = _ARPEGGIOS[sheet.pick("arpeggio", bar, len(_ARPEGGIOS))]
    step = sheet.style.arpeggio_beats
    if not sheet.style.loops:
        turn = int(sheet.rng.choice((0, 0, 1, 2)))
        order = order[turn:] + order[:turn]
        step *= 2 if section.energy < 0.45 else 1
    for i in range(int(sheet.score.beats / step)):
        if i % len(order) and sheet.rng.random() < 0.14:
            continue  # a breath
        pitch = tones[order[i % len(order)] % len(tones)]
        level = sheet.level_db(bar, i * step) - 0.25 * (pitch - voicing[0])
        sheet.play(part, bar, i * step, min(max(1.6, 2 * step), left - i * step), pitch, level)


def _bass(sheet: Sheet, part: Part, bar: int) -> None:
    """Play the section's pattern under the chord; where there is little energy, and in the last bar, hold the root."""
    section, chord = sheet.score.section(bar), sheet.chord(bar)
    if (sub := sheet.part("sub")) and sheet.begins(bar):
        left = sheet.style.bars * sheet.score.beats
        sheet.play(sub, bar, 0, left, chord.bass + 12 * (chord.bass < 36), sheet.level_db(bar, 0))
    following = sheet.chord(bar + 1)
    fifth = 6 if chord.symbol.endswith("7b5") else 7
    third = 3 if chord.symbol.lstrip("b#")[0].islower() else 4
    tones = {"r": chord.bass, "g": chord.bass, "o": chord.bass + 12, "f": chord.bass + fifth, "t": chord.bass + third}
    scale = {(sheet.score.tonic + step) % 12 for step in SCALES["diatonic"][sheet.score.mode]}
    steps = [p for p in range(following.bass - 2, following.bass + 3) if p != following.bass and p % 12 in scale]
    tones["n"] = min(steps, key=lambda pitch: abs(pitch - chord.bass - 3), default=chord.bass)
    pattern = BASSES[sheet.style.basses[sheet.pick("basses", bar, len(sheet.style.basses))]]
    if sheet.rng.random() < 0.25 and not sheet.style.loops:
        pattern = BASSES[str(sheet.rng.choice(sheet.style.basses))]
    if section.energy < 0.4:
        pattern = BASSES["held"]
    positions = [position for position, _, _ in pattern] + [float(sheet.score.beats)]
    for i, (position, length, tone) in enumerate(pattern):
        room = next((p for p in positions[i + 1 :] if p > position), sheet.score.beats) - position
        ghost = tone == "g"
        held = min(length, room) if len(pattern) > 1 else sheet.score.beats - position
        sheet.play(
            part, bar, position, held, tones[tone], sheet.level_db(bar, position) - 9.0 * ghost,
            Articulation.MUTED if ghost else Articulation.NORMAL,
        )  # fmt: skip


def _drums(sheet: Sheet, part: Part, bar: int) -> None:
    """Play the section's groove, as many of its drums as its energy lets in, and a fill into the next section."""
    section = sheet.score.section(bar)
    grooves = sheet.style.drums
    groove = dict(DRUMS[grooves[sheet.pick("drums", bar, len(grooves))]])
    last = bar - section.first_bar + 1
    kind = "rim" if "rim" in groove else "brush" if "brush" in groove else "snare"
    if last % PHRASE_BARS == 0 and section.energy >= 0.5:
        whole = last == section.bars
        fill = FILLS[kind][int(sheet.rng.integers(len(FILLS[kind])))]
        for name, steps in fill.items():
            before = groove.get(name, "." * 16)
            groove[name] = before[:8] + steps if whole else before[:12] + steps[4:]
    for name, steps in groove.items():
        drum = Drum[name.upper()]
        if section.energy < ENTRIES.get(drum, 0.5):
            continue
        for step, mark in enumerate(steps):
            if mark == "." or (mark == "," and sheet.rng.random() < 0.3):
                continue
            level = -1.0 + MARKS_DB[mark] - 6.0 * (1 - section.energy) + sheet.level_db(bar, 0) * 0.25
            sheet.play(part, bar, step / 4, 0.25, drum, level, place=name)


def _tune(sheet: Sheet, part: Part, bar: int) -> None:
    """Write two bars of tune: a motif, then itself varied, then an answer, then a close; or a rest."""
    if bar >= sheet.score.bars or bar % 2:  # behind the last bar another piece has begun to sing
        return
    section = sheet.score.section(bar)
    if section.name == "B":
        part = sheet.part("answer") or part
    place = (bar - section.first_bar) // 2 % 4
    share = sheet.style.melody * (0.5 if section.energy < 0.4 else 1.0) * (1.3, 1.0, 1.0, 0.7)[place]
    if sheet.rng.random() > share:
        return
    motif = _motif(sheet, "B" if section.name == "B" else "A")
    if place:
        motif = _varied(sheet, motif, place)
    _sing(sheet, part, bar, motif)


def _motif(sheet: Sheet, letter: str) -> Motif:
    """Return the motif of A or B, made when it is first heard."""
    if letter not in sheet.motifs:
        cells = _SLOW_BARS if sheet.style.bars > 1 and not sheet.style.arpeggio else _BARS
        first, second = (bars[int(sheet.rng.integers(len(bars)))] for bars in cells)
        beats = sheet.score.beats
        rhythm = [(at, length) for at, length in first if at < beats] + [(beats + at, length) for at, length in second]
        steps = sheet.rng.choice((-2, -1, -1, 1, 1, 2, 3), len(rhythm))
        sheet.motifs[letter] = tuple((at, length, int(step)) for (at, length), step in zip(rhythm, steps, strict=True))
    return sheet.motifs[letter]


def _varied(sheet: Sheet, motif: Motif, place: int) -> Motif:
    """Return the motif as it comes back: turned upside down, begun later, ornamented, or closed early."""
    kind = int(sheet.rng.integers(4))
    if place == 3:  # a close: the first notes, the last one long
        kept = motif[: max(1, len(motif) - 2)]
        return (*kept[:-1], (kept[-1][0], 3.0, -1))
    if kind == 0:
        return tuple((at, length, -step) for at, length, step in motif)
    if kind == 1:
        return tuple((at + 0.5, length, step) for at, length, step in motif if at + 0.5 < 8)
    if kind == 2 and len(motif) > 1:
        at, length, step = motif[-1]
        return (*motif[:-1], (at, length / 2, step), (at + length / 2, length / 2, 1))
    return tuple((at, length, step + 1 if i == 1 else step) for i, (at, length, step) in enumerate(motif))


def _sing(sheet: Sheet, part: Part, bar: int, motif: Motif) -> None:
    """Lay a motif on the scale, drawn to the chord on strong beats and never a semitone beside one of its tones."""
    section, style = sheet.score.section(bar), sheet.style
    centre = style.tune + round(6 * (section.energy - 0.6)) - 5 * (section.name == "turn")
    last = next((note.pitch for note in reversed(sheet.notes) if note.part == part.name), centre)
    here = round((last + centre) / 2)  # the motif comes wherever the tune has got to
    for i, (at, length, step) in enumerate(motif):
        into, beat = divmod(at, sheet.score.beats)
        now = bar + int(into)
        if at >= 2 * sheet.score.beats or now >= sheet.score.written_bars:
            break
        ladder, tones = _ladder(sheet, now, centre)
        wanted = here + STEP * (step if abs(here + STEP * step - centre) <= REACH else -step)
        strong = not i or beat % 2 == 0 or length >= 2
        costs = {p: abs(p - wanted) + 3 * (p == here) + 4 * (strong and p % 12 not in tones) for p in ladder}
        here = min(costs, key=costs.__getitem__)
        next_at = motif[i + 1][0] if i + 1 < len(motif) else 2.0 * sheet.score.beats
        bound = Articulation.LEGATO if i and at - motif[i - 1][0] <= motif[i - 1][1] + 0.01 else Articulation.NORMAL
        level = sheet.level_db(now, beat) + 3.0 * math.sin(math.pi * (i + 1) / (len(motif) + 1)) + 0.2 * (here - centre)
        sheet.play(part, now, beat, min(length, max(0.4, next_at - at)), here, level, bound)


def _ladder(sheet: Sheet, bar: int, centre: int) -> tuple[list[int], set[int]]:
    """Return the pitches that a tune around `centre` may use here, and the pitch classes of the chord."""
    chord = sheet.chord(bar)
    tones = {pitch % 12 for pitch in (*chord.voicing, chord.bass)}
    tonic = sheet.score.tonic + sheet.shifts[min(bar, len(sheet.shifts) - 1)]
    scale = {(tonic + step) % 12 for step in SCALES[sheet.style.scale][sheet.score.mode]}
    rubbing = {(tone + side) % 12 for tone, side in itertools.product(tones, (1, -1))} - tones
    usable = (scale - rubbing) or tones
    around = range(max(62, centre - REACH), centre + REACH + 1)
    return [pitch for pitch in around if pitch % 12 in usable and not rub(pitch, chord.voicing)], tones


WRITERS: Final = {
    "pad": _pad, "chords": _chords, "bass": _bass, "drums": _drums, "arpeggio": _arpeggio, "lead": _tune,
}  # fmt: skip


def write(sheet: Sheet, bar: int) -> None:
    """Write all parts of one bar."""
    for name, writer in WRITERS.items():
        if part := sheet.part(name):
            writer(sheet, part, bar)
