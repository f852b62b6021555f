"""Real instruments for the built-in engine: who plays what with a SoundFont, blended with the numpy voices.

FluidSynth's reverb and chorus are off: the room is ours.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from base.texts import reason_of
from builtin import kit, synth
from builtin.patches import KITS, OCTAVES_DARKER, PATCHES, Patch
from builtin.score import Articulation, Drum, Floats, Note, Part, Player, Role, Score, amplitude
from builtin.signals import Kept, Ringing, fade, keep
from builtin.soundfont import Font, Unplayable, fonts
from builtin.studio import Convolver

log = logging.getLogger(__name__)

MEASURED: Final = (50, 62, 74)  # the notes whose colour is that of their instrument
STROKE_S: Final = 1.2  # a drum is not let go
INAUDIBLE: Final = 1e-4  # beside other music, in a drum that dies


class Orchestra:
    """Who plays the parts: a real instrument where there is a good one, else numpy.

    `say` is told once, as a text's key and its fields, why there are none. Threads: the one that renders.
    """

    def __init__(self, font: Path | None = None, say: Callable[..., None] | None = None) -> None:
        self._candidates: list[Path] | None = [font] if font else fonts()
        self._say = say

    @property
    def sound(self) -> str:
        """What makes the same score sound otherwise: the font that is, or would be, played."""
        for path in self._candidates or ():
            with contextlib.suppress(OSError):
                return f"{path} {path.stat().st_size}"
        return ""

    def cast(self, score: Score) -> list[Player]:
        """Return who plays each of the score's parts."""
        font = self._open() if any(_patch(part, score.station) for part in score.parts) else None
        return [self._player(part, score, font) for part in score.parts]

    def _player(self, part: Part, score: Score, font: Font | None) -> Player:
        drums, patch = part.role is Role.DRUMS, _patch(part, score.station)
        if patch is None or font is None or not font.has(patch):
            return kit.KitPlayer() if drums else synth.NumpyPlayer(part, score.seed)
        return RealPlayer(font, patch, 0.0 if drums else OCTAVES_DARKER.get(score.station, 0.0), score.seed, part.name)

    def _open(self) -> Font | None:
        if self._candidates is None:
            return None
        try:
            font = Font(self._candidates)
        except Unplayable as reason:
            log.info("the built-in music plays without real instruments: %s", reason)
            if self._say:
                key, fields = reason_of(reason)
                self._say(key, **dict(fields))
            self._candidates = None
            return None
        self._candidates = [font.path]
        return font


def _patch(part: Part, station: str) -> Patch | None:
    return KITS.get(station) if part.role is Role.DRUMS else PATCHES.get(part.instrument)


class RealPlayer:
    """Plays a part with an instrument of the font, and the numpy voice under it (see `score.Player`).

    Its colour is corrected towards the voice's. No note is the copy of the one before: its tuning and brightness move
    a little. Threads: the one that renders.
    """

    def __init__(self, font: Font, patch: Patch, darker: float, seed: int, name: str) -> None:
        self._font = font
        self._patch = patch
        self._darker = darker
        self._simple = patch.simple(seed)
        self._stand_in, self._stands_in = patch.simple(seed), False
        self._rng = np.random.default_rng((seed % 2**64, zlib.crc32(name.encode())))
        self._ringing = Ringing()
        pitched = name != "bass" and not patch.bank  # far below MEASURED a filter would change how loud it is
        self._colour = Convolver(font.equaliser(patch, MEASURED)) if pitched else None
        self._strokes: dict[tuple[int, float, int], Kept] = {}
        self._count = 0
        ratio = 0.0 if patch.blend_db is None else 10 ** (patch.blend_db / 20)
        self._own, self._beside = (np.float32(share / np.hypot(1, ratio)) for share in (1, ratio))

    def play(self, notes: Sequence[Note], first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames` with what begins in them, and keep what rings on."""
        meant = [note for note in notes if not self._patch.bank or note.pitch != Drum.BRUSH]
        real = [note for note in meant if self._font.can_play(self._patch, note)]
        sound = self._stroke if self._patch.bank else self._tone
        sounds = ((max(0, note.frame - first_frame), sound(note)) for note in real)
        heard: Floats = self._own * self._ringing.add(sounds, n_frames)
        if self._colour:
            heard = self._colour.process(heard)
        if self._beside:
            heard += self._beside * self._simple.play(real, first_frame, n_frames)
        self._stands_in |= len(real) < len(notes)
        if self._stands_in:  # to the end, as what it has begun rings on
            heard += self._stand_in.play([note for note in notes if note not in real], first_frame, n_frames)
        return heard

    def _tone(self, note: Note) -> Floats:
        sound = self._varied(note.pitch, note.velocity, min(note.length_s, synth.LONGEST_RING_S))
        # The beginning of a bound note is under the end of the one before.
        return fade(sound, 0.04, 0.0) if note.articulation is Articulation.LEGATO else sound

    def _stroke(self, note: Note) -> Floats:
        """Return a stroke of a drum: one of some that are made when they are first heard."""
        self._count += 1
        key = drum, velocity, _ = note.pitch, max(1, round(4 * note.velocity)) / 4, self._count % kit.VARIATIONS
        if key not in self._strokes:
            sound = self._varied(drum, velocity, STROKE_S) / np.float32(amplitude(velocity))
            sound = Convolver(self._font.equaliser(self._patch, [drum])).process(sound)
            heard = np.flatnonzero(np.abs(sound).max(axis=0) > INAUDIBLE)
            self._strokes[key] = keep(sound[:, : heard[-1] + 1 if len(heard) else 1])
        scale, kept = self._strokes[key]
        return scale * np.float32(amplitude(note.velocity)) * kept

    def _varied(self, pitch: int, velocity: float, hold_s: float) -> Floats:
        """Return a note that is not the copy of the one before."""
        cents, dark = self._rng.standard_normal(2)
        dark = self._patch.dark + self._darker + 0.08 * dark
        return self._font.note(self._patch, pitch, velocity, hold_s, dark, self._patch.cents * cents)
