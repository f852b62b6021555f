"""Real instruments for the built-in engine: notes that FluidSynth plays from a SoundFont, blended with the numpy ones.

Each note is rendered by itself and then placed, as the numpy voices are: it begins on its sample (FluidSynth's own
clock has steps of 64 frames), gets its own brightness and tuning, and is the same however the piece is cut. Its level
is measured, so that every font keeps the composer's balance. FluidSynth's reverb and chorus are off: the room is ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from base.errors import AppError
from base.texts import reason_of, said
from builtin import kit, synth
from builtin.score import Articulation, Drum, Floats, Note, Part, Player, Role, Score, amplitude
from builtin.signals import Ringing, fade, hertz
from music.segment import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

FOLDERS: Final = (
    "~/.local/share/soundfonts", "~/.local/share/sounds/sf2", "~/Library/Audio/Sounds/Banks", "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3", "/usr/share/soundfonts", "/usr/local/share/soundfonts", "/usr/local/share/fluidsynth/sf2",
    "/opt/homebrew/share/soundfonts", "/opt/homebrew/share/fluid-synth/sf2", "/usr/local/share/fluid-synth/sf2",
)  # fmt: skip
# General MIDI fonts, the best first; a font of any other name may be no General MIDI at all.
KNOWN: Final = tuple(
    re.compile(name, re.IGNORECASE)
    for name in ("generaluser", "fluid.?r3", "muse.?score|ms.?basic", "timgm", r"default(-gm)?\.")
)

INSTALLS: Final = {"linux": "instruments.install_linux", "darwin": "instruments.install_macos"}
INSTALL: Final = said(INSTALLS.get(sys.platform, "instruments.install"))
STEPS: Final = 8  # forces a note is struck with; its level and brightness follow its velocity exactly
BLOCK: Final = 64  # frames that FluidSynth makes at once
REST_BLOCKS: Final = 4  # after which nothing of a note is left
LEVEL_S: Final = 0.6
USUAL: Final = 0.75  # velocity
STROKE_S: Final = 1.2  # a drum is not let go
MONO_HZ: Final = 110.0  # low notes have no sides
SIDE_MOST: Final = 0.55  # RMS of the sides over that of the middle: the sum of both loses 1.1 dB at most
SILENT_RMS: Final = 1e-5
VOICES: Final = 32
CHANNELS: Final = 16
DRUM_BANK: Final = 128
FILTER_CUTOFF, FINE_TUNE = 8, 52  # generators (SoundFont 2.04, 8.1.2): cents below 20 kHz; cents


@dataclass(frozen=True)
class Patch:
    """How one instrument of the font is played.

    `voice` is the numpy voice it stands for, and beside which it plays at `blend_db`. `dark` is how many octaves below
    20 kHz a note of velocity USUAL is filtered, `soft` how many more a softer one is, a unit of velocity.
    """

    voice: str
    program: int
    dark: float
    soft: float
    release_s: float = 0.25
    attack_s: float = 0.0
    width: float = 0.8
    cents: float = 2.5
    blend_db: float | None = None
    bank: int = 0

    def simple(self, seed: int) -> Player:
        """Return the numpy voice."""
        return kit.KitPlayer() if self.bank else synth.NumpyPlayer(Part("", Role.LEAD, self.voice), seed)


PATCHES: Final = {
    patch.voice: patch
    for patch in (
        Patch("keys", 4, 2.2, 2.6, release_s=0.2, blend_db=-6),
        Patch("piano", 0, 1.0, 2.6, release_s=0.35, attack_s=0.003, width=0.6),
        Patch("nylon", 24, 1.2, 2.4, release_s=0.2, cents=3.5),
        Patch("harp", 46, 1.2, 2.2, release_s=0.9),
        Patch("koto", 107, 1.0, 2.2, release_s=0.8, cents=4),
        Patch("pizzicato", 45, 1.2, 2.4, release_s=0.3, cents=4),
        Patch("upright", 32, 2.2, 2.0, release_s=0.12, width=0.0, cents=3),
        Patch("bass", 33, 3.0, 2.0, release_s=0.1, width=0.0, blend_db=-3),
        Patch("vibes", 11, 1.5, 2.4, release_s=0.5, blend_db=-7),
        Patch("marimba", 12, 1.2, 2.4, release_s=0.3),
        Patch("bell", 8, 1.5, 2.0, release_s=0.9, blend_db=-2),
        Patch("strings", 49, 1.3, 1.4, release_s=0.7, attack_s=0.25, blend_db=-3),
        Patch("violin", 40, 1.6, 1.8, release_s=0.3, attack_s=0.09, cents=4, blend_db=-3),
        Patch("cello", 42, 2.0, 1.8, release_s=0.4, attack_s=0.10, cents=4, blend_db=-4),
        Patch("flute", 73, 1.3, 1.8, release_s=0.2, attack_s=0.05, cents=4, blend_db=-8),
        Patch("shakuhachi", 77, 1.3, 1.8, release_s=0.3, attack_s=0.06, cents=6, blend_db=-5),
    )
}
# By station; the synthesised kits of the others are what their styles are made of. A standard kit has a second snare
# where a stroke of the brush is meant, and a brush kit a long swirl: there the numpy kit plays.
KITS: Final = {
    "lofi": Patch("kit", 0, 1.6, 2.0, cents=9, blend_db=-7, bank=DRUM_BANK),
    "rain": Patch("kit", 40, 1.4, 2.0, cents=9, blend_db=-8, bank=DRUM_BANK),
    "jazz": Patch("kit", 40, 0.6, 1.8, cents=9, bank=DRUM_BANK),
    "bossa": Patch("kit", 0, 0.8, 2.0, cents=9, bank=DRUM_BANK),
}
OCTAVES_DARKER: Final = {"lofi": 0.5, "ambient": 0.5, "rain": 0.4, "focus": 0.6, "jazz": -0.5, "bossa": -0.3}


class Unplayable(AppError):
    """There are no real instruments."""


def fonts(folders: Sequence[str] = FOLDERS) -> list[Path]:
    """Return the General MIDI fonts of the usual places, the best first."""
    found: list[tuple[int, int, Path]] = []
    for at, folder in enumerate(folders):
        with contextlib.suppress(OSError, RuntimeError):  # no home
            for path in Path(folder).expanduser().iterdir():
                if path.suffix.lower() in (".sf2", ".sf3") and path.is_file():
                    found += [(rank, at, path) for rank, name in enumerate(KNOWN) if name.match(path.name)][:1]
    return [path for _, _, path in sorted(found)]


def _module() -> Any:
    import fluidsynth  # it looks for the library when it is imported

    return fluidsynth


class Font:
    """A SoundFont that FluidSynth has opened, for one piece: notes by themselves, at a known level.

    Only the samples that are used are in memory. What is played in the same order sounds the same to the bit; in
    another it differs by less than -90 dB (measured), as FluidSynth's voices keep a little of what they last played:
    so each piece has its own. Threads: one.
    """

    def __init__(self, candidates: Sequence[Path]) -> None:
        """Open the first of the fonts that can be. Raises Unplayable, with what can be done about it."""
        if not candidates:
            raise Unplayable(said("instruments.no_font", install=INSTALL))
        try:
            fluidsynth = _module()
        except (ImportError, OSError, AttributeError, TypeError) as error:
            log.info("no FluidSynth: %s", error)
            raise Unplayable(said("instruments.no_library", install=INSTALL)) from None
        self._bound = _Bound(fluidsynth)
        for candidate in candidates:
            self._id = self._bound.load(candidate)
            if self._id >= 0:
                break
        else:
            raise Unplayable(said("instruments.broken_font", path=candidates[0]))
        self.path = candidate
        self._levels: dict[tuple[Patch, int, int], tuple[float, float]] = {}
        self._channels: dict[tuple[int, int], int | None] = {}

    def note(self, patch: Patch, pitch: int, velocity: float, hold_s: float, dark: float, cents: float) -> Floats:
        """Render one note and what rings on behind it, as loud as its numpy voice: what the composer's mix is made for.

        `dark` in octaves, `cents` of detuning. Silent where the font has no such note.
        """
        force = _force(velocity)
        gain, width = self._level(patch, pitch, force)
        sound = self._sound(patch, pitch, force, hold_s, dark + patch.soft * (USUAL - velocity), cents)
        middle, side = (sound[0] + sound[1]) / 2, np.float32(width / 2) * (sound[0] - sound[1])
        return np.float32(gain * amplitude(velocity)) * np.stack([middle + side, middle - side])

    def has(self, patch: Patch) -> bool:
        """Whether the font has an instrument."""
        return self._channel(patch) is not None

    def can_play(self, patch: Patch, note: Note) -> bool:
        """Whether the font has a sound for a note."""
        return self._level(patch, note.pitch, _force(note.velocity))[0] > 0

    def _level(self, patch: Patch, pitch: int, force: int) -> tuple[float, float]:
        """Return a note's gain, 0 for silence, and its width, measured: a font's samples are not equally loud."""
        key = patch, pitch, force
        if key not in self._levels:
            sound = self._sound(patch, pitch, force, LEVEL_S, patch.dark + patch.soft * (USUAL - force / STEPS), 0.0)
            middle, side = _middle_and_side(sound[:, : round(LEVEL_S * SAMPLE_RATE_HZ)])
            width = min(patch.width, SIDE_MOST * middle / max(side, 1e-9))
            if not patch.bank:
                width *= min(1.0, max(0.0, hertz(pitch) / MONO_HZ - 1))
            rms = float(np.hypot(middle, width * side))
            self._levels[key] = (_voice_rms(patch, pitch) / rms if rms > SILENT_RMS else 0.0), width
        return self._levels[key]

    def _sound(self, patch: Patch, pitch: int, force: int, hold_s: float, dark: float, cents: float) -> Floats:
        """Return a note as the font has it: held, let go, faded out."""
        hold = max(BLOCK, round(hold_s * SAMPLE_RATE_HZ / BLOCK) * BLOCK)
        ring = round(patch.release_s * SAMPLE_RATE_HZ / BLOCK) * BLOCK
        played = np.zeros((2, hold + ring), np.float32)
        channel = self._channel(patch)
        if channel is not None:
            self._bound.shape(channel, FILTER_CUTOFF, -1200 * min(6.0, max(0.0, dark)))
            self._bound.shape(channel, FINE_TUNE, cents)
            self._bound.play(channel, pitch, round(127 * force / STEPS), played, hold)
        return fade(played, patch.attack_s, patch.release_s)

    def _channel(self, patch: Patch) -> int | None:
        """Return the channel of an instrument, None when the font has no such instrument."""
        key = patch.bank, patch.program
        if key not in self._channels:
            channel = len(self._channels) % CHANNELS
            self._channels[key] = channel if self._bound.select(channel, self._id, *key) else None
        return self._channels[key]


class _Bound:
    """FluidSynth as pyfluidsynth binds it, and the two functions it leaves out: 32-bit output, and generators."""

    def __init__(self, fluidsynth: Any) -> None:
        """Raises Unplayable when the library is not whole."""
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        try:
            log_with = fluidsynth.cfunc(
                "fluid_set_log_function", pointer, ("level", integer, 1), ("fun", pointer, 1), ("data", pointer, 1)
            )
            for level in range(5):  # it would print on standard error
                log_with(level, None, None)
            self._write = fluidsynth.cfunc(
                "fluid_synth_write_float", integer, ("synth", pointer, 1), ("len", integer, 1),
                ("left", pointer, 1), ("left_at", integer, 1), ("left_by", integer, 1),
                ("right", pointer, 1), ("right_at", integer, 1), ("right_by", integer, 1),
            )  # fmt: skip
            self._generator = fluidsynth.cfunc(
                "fluid_synth_set_gen", integer, ("synth", pointer, 1), ("channel", integer, 1),
                ("generator", integer, 1), ("value", ctypes.c_float, 1),
            )  # fmt: skip
            self._load = fluidsynth.fluid_synth_sfload
            self._synth = fluidsynth.Synth(
                gain=1.0, samplerate=SAMPLE_RATE_HZ, channels=CHANNELS,
                **{"synth.dynamic-sample-loading": 1, "synth.lock-memory": 0, "synth.reverb.active": 0,
                   "synth.chorus.active": 0, "synth.polyphony": VOICES, "synth.cpu-cores": 1},
            )  # fmt: skip
            if not (self._synth.synth and self._write and self._generator):
                raise TypeError("incomplete")
        except (AttributeError, TypeError, ctypes.ArgumentError) as error:
            log.info("FluidSynth cannot be used: %s", error)
            raise Unplayable(said("instruments.no_library", install=INSTALL)) from None
        self._rest = np.zeros((2, REST_BLOCKS * BLOCK), np.float32)

    def __del__(self) -> None:
        if synth := getattr(self, "_synth", None):
            synth.delete()

    def load(self, path: Path) -> int:
        """Return the font's number, below 0 when it cannot be used."""
        return int(self._load(self._synth.synth, os.fsencode(path), 0))

    def select(self, channel: int, font: int, bank: int, program: int) -> bool:
        """Choose an instrument; return whether the font has it."""
        return bool(self._synth.program_select(channel, font, bank, program) == 0)

    def shape(self, channel: int, generator: int, value: float) -> None:
        """Move a generator of the notes to come by `value` from what the font says."""
        self._generator(self._synth.synth, channel, generator, value)

    def play(self, channel: int, pitch: int, velocity: int, out: Floats, hold_frames: int) -> None:
        """Fill `out` with one note that is let go after `hold_frames`; all are whole blocks, and nothing stays."""
        self._synth.noteon(channel, pitch, velocity)
        self._fill(out, 0, hold_frames)
        self._synth.noteoff(channel, pitch)
        self._fill(out, hold_frames, out.shape[1])
        self._synth.all_sounds_off(channel)
        self._fill(self._rest, 0, REST_BLOCKS * BLOCK)

    def _fill(self, out: Floats, begin: int, end: int) -> None:
        left, right = (side.ctypes.data for side in out)
        self._write(self._synth.synth, end - begin, left, begin, 1, right, begin, 1)


def _force(velocity: float) -> int:
    return min(STEPS, max(1, round(STEPS * velocity)))


@functools.lru_cache(maxsize=1024)
def _voice_rms(patch: Patch, pitch: int) -> float:
    """Return the level of a note of the numpy voice, at full velocity; all of an octave are equally loud."""
    note = Note("", pitch if patch.bank else pitch // 12 * 12 + 6, 0.0, LEVEL_S, USUAL)
    sound = patch.simple(0).play([note], 0, round(LEVEL_S * SAMPLE_RATE_HZ))
    return float(np.hypot(*_middle_and_side(sound))) / amplitude(USUAL)


def _middle_and_side(sound: Floats) -> tuple[float, float]:
    """Return the RMS of both."""
    middle, side = (float(np.sqrt(np.mean((sound[0] + sign * sound[1]) ** 2))) / 2 for sign in (1, -1))
    return middle, side


class Orchestra:
    """Who plays the parts: a real instrument where there is a good one, else numpy.

    `say` is told once, as a text's key and its fields, why there are none. Threads: the one that renders.
    """

    def __init__(self, font: Path | None = None, say: Callable[..., None] | None = None) -> None:
        self._candidates = [font] if font else None
        self._say = say

    @property
    def sound(self) -> str:
        """What makes the same score sound otherwise: the font that is, or would be, played."""
        for path in fonts() if self._candidates is None else self._candidates:
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
        if self._candidates == []:
            return None
        try:
            font = Font(fonts() if self._candidates is None else self._candidates)
        except Unplayable as reason:
            log.info("the built-in music plays without real instruments: %s", reason)
            if self._say:
                key, fields = reason_of(reason)
                self._say(key, **dict(fields))
            self._candidates = []
            return None
        self._candidates = [font.path]
        return font


def _patch(part: Part, station: str) -> Patch | None:
    return KITS.get(station) if part.role is Role.DRUMS else PATCHES.get(part.instrument)


class RealPlayer:
    """Plays a part with an instrument of the font, and the numpy voice under it (see `score.Player`).

    No note is the copy of the one before: its tuning and brightness move a little. Threads: the one that renders.
    """

    def __init__(self, font: Font, patch: Patch, darker: float, seed: int, name: str) -> None:
        self._font = font
        self._patch = patch
        self._darker = darker
        self._simple = patch.simple(seed)
        self._stand_in, self._stands_in = patch.simple(seed), False
        self._rng = np.random.default_rng((seed % 2**64, zlib.crc32(name.encode())))
        self._ringing = Ringing()
        ratio = 0.0 if patch.blend_db is None else 10 ** (patch.blend_db / 20)
        self._own, self._beside = (np.float32(share / np.hypot(1, ratio)) for share in (1, ratio))

    def play(self, notes: Sequence[Note], first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames` with what begins in them, and keep what rings on."""
        real = [note for note in notes if self._is_meant(note) and self._font.can_play(self._patch, note)]
        sounds = [(max(0, note.frame - first_frame), self._sound(note)) for note in real]
        heard: Floats = self._own * self._ringing.add(sounds, n_frames)
        if self._beside:
            heard += self._beside * self._simple.play(real, first_frame, n_frames)
        self._stands_in |= len(real) < len(notes)
        if self._stands_in:  # to the end, as what it has begun rings on
            heard += self._stand_in.play([note for note in notes if note not in real], first_frame, n_frames)
        return heard

    def _is_meant(self, note: Note) -> bool:
        return not self._patch.bank or note.pitch != Drum.BRUSH

    def _sound(self, note: Note) -> Floats:
        patch, (cents, dark) = self._patch, self._rng.standard_normal(2)
        hold_s = STROKE_S if patch.bank else min(note.length_s, synth.LONGEST_RING_S)
        dark = patch.dark + self._darker + 0.08 * dark
        sound = self._font.note(patch, note.pitch, note.velocity, hold_s, dark, patch.cents * cents)
        # The beginning of a bound note is under the end of the one before.
        return fade(sound, 0.04, 0.0) if note.articulation is Articulation.LEGATO else sound
