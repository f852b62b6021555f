"""SoundFonts: where they are, and notes by themselves that FluidSynth plays from one, at a known level and colour.

Each note is rendered by itself: it begins on its sample (FluidSynth's own clock has steps of 64 frames), gets its own
brightness and tuning, and is the same however the piece is cut. Fonts differ widely: how loud each note is, and how
dull or shrill each instrument, is measured, so that every font keeps the composer's mix.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from base.errors import AppError
from base.texts import said
from builtin.patches import Patch
from builtin.score import Floats, Note, amplitude
from builtin.signals import fade, hertz
from builtin.studio import equaliser
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
EDGES_HZ: Final = 62.5 * 2.0 ** np.arange(9)  # of the octaves in which a font's colour is measured
FAINT: Final = 1e-6  # the share of a note's energy below which an octave does not count
CORRECTED: Final = 0.8  # of how far its colour is from the voice's, what is made up for: it stays an instrument
CORRECTED_DB: Final = 9.0  # at most, in an octave
MONO_HZ: Final = 110.0  # low notes have no sides
SIDE_MOST: Final = 0.55  # RMS of the sides over that of the middle: the sum of both loses 1.1 dB at most
SILENT_RMS: Final = 1e-5
VOICES: Final = 32
CHANNELS: Final = 16
FILTER_CUTOFF, FINE_TUNE = 8, 52  # generators (SoundFont 2.04, 8.1.2): cents below 20 kHz; cents


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
            import fluidsynth  # it looks for the library when it is imported
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
        np.add(middle, side, out=sound[0])
        np.subtract(middle, side, out=sound[1])
        sound *= np.float32(gain * amplitude(velocity))
        return sound

    def equaliser(self, patch: Patch, pitches: Sequence[int]) -> Floats:
        """Return the filter that brings the font's colour near the voice's, which the mix is made for; as loud.

        Fonts are anything from dull to shrill, some without a sound above 8 kHz: what they lack is measured.
        """
        own = _octaves([self._sound(patch, pitch, _force(USUAL), LEVEL_S, patch.dark, 0.0) for pitch in pitches])
        most = CORRECTED_DB
        gains_db = np.clip(CORRECTED * 10 * np.log10(_voice_octaves(patch, tuple(pitches)) / own), -most, most)
        gains_db -= 10 * np.log10(np.sum(own * 10 ** (gains_db / 10)) / np.sum(own))
        centres = np.log2(EDGES_HZ[:-1]) + 0.5
        return equaliser(lambda hz: np.interp(np.log2(hz), centres, gains_db).astype(np.float32))

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
            dark, frames = patch.dark + patch.soft * (USUAL - force / STEPS), round(patch.level_s * SAMPLE_RATE_HZ)
            middle, side = _middle_and_side(self._sound(patch, pitch, force, patch.level_s, dark, 0.0)[:, :frames])
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
    note = Note("", pitch if patch.bank else pitch // 12 * 12 + 6, 0.0, patch.level_s, USUAL)
    sound = patch.simple(0).play([note], 0, round(patch.level_s * SAMPLE_RATE_HZ))
    return float(np.hypot(*_middle_and_side(sound))) / amplitude(USUAL)


@functools.lru_cache(maxsize=128)
def _voice_octaves(patch: Patch, pitches: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the colour of the numpy voice (see `_octaves`)."""
    notes = [Note("", pitch, 0.0, LEVEL_S, USUAL) for pitch in pitches]
    return _octaves([patch.simple(0).play([note], 0, round(LEVEL_S * SAMPLE_RATE_HZ)) for note in notes])


def _octaves(sounds: Sequence[Floats]) -> npt.NDArray[np.float64]:
    """Return the share of energy in each octave, the mean of some notes, FAINT at least."""
    shares = np.zeros(len(EDGES_HZ) - 1)
    for sound in sounds:
        heard = sound[:, : round(LEVEL_S * SAMPLE_RATE_HZ)]
        power = np.square(np.abs(np.fft.rfft(heard))).sum(axis=0)
        edges = np.searchsorted(np.fft.rfftfreq(heard.shape[1], 1 / SAMPLE_RATE_HZ), EDGES_HZ)
        octaves = np.add.reduceat(power, edges)[:-1]
        shares += octaves / max(1e-12, octaves.sum()) / len(sounds)
    return np.maximum(shares, FAINT)


def _middle_and_side(sound: Floats) -> tuple[float, float]:
    """Return the RMS of both."""
    middle, side = (float(np.sqrt(np.mean((sound[0] + sign * sound[1]) ** 2))) / 2 for sign in (1, -1))
    return middle, side
