"""Unpitched sounds for the built-in engine, in numpy: a drum kit and its player, and background textures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from builtin.score import Drum, Floats, Note, amplitude
from builtin.signals import Kept, Ringing, around, band, fade, keep, seconds, shaped_noise
from music.segment import SAMPLE_RATE_HZ

SOFT, LOUD = 0.4, 0.75  # between these velocities a drum is struck as usual
VARIATIONS: Final = 3  # strokes of one drum that are not copies
LOOP_S: Final = 9
SWELLS_S: Final = (7.3, 11.9)
DROPS: Final = 24  # that differ in pitch
_TEXTURES: Final = {  # noise from and to so many Hz, drops a second and how loud they are
    "rain": (200, 2200, 45, 3.0), "stream": (350, 2600, 20, 2.0), "vinyl": (150, 2500, 7, 9.0),
    "wind": (90, 420, 0, 0.0), "hum": (60, 160, 0, 0.0),
}  # fmt: skip
_METAL = (5330.0, 6270.0, 7410.0, 8820.0, 10_300.0, 12_100.0)


@dataclass(frozen=True)
class Skin:
    """A stroke: noise (low and high Hz, level, decay s), modes (Hz, level, decay s), a drop in pitch, a place."""

    noise: tuple[float, float, float, float]
    modes: tuple[tuple[float, float, float], ...] = ()
    drop: float = 0.0
    attack_s: float = 0.001
    length_s: float = 0.6
    pan: float = 0.0


_SKINS: Final[dict[Drum, Skin]] = {
    Drum.KICK: Skin((250, 2500, 0.05, 0.008), ((50, 0.52, 0.13), (101, 0.09, 0.05)), drop=1.6),
    Drum.RIM: Skin((1200, 7000, 0.07, 0.008), ((810, 0.22, 0.02), (1730, 0.14, 0.015)), pan=-0.15, length_s=0.2),
    Drum.SNARE: Skin((500, 5500, 0.16, 0.085), ((186, 0.22, 0.07), (332, 0.10, 0.05)), drop=0.2, pan=0.05),
    Drum.BRUSH: Skin((700, 4200, 0.09, 0.10), ((190, 0.03, 0.05),), attack_s=0.012, pan=0.05),
    Drum.HAT: Skin((4500, 8500, 0.050, 0.028), tuple((hz, 0.003, 0.03) for hz in _METAL), pan=0.25, length_s=0.25),
    Drum.PEDAL: Skin((4000, 8500, 0.045, 0.018), tuple((hz, 0.002, 0.02) for hz in _METAL), pan=0.25, length_s=0.2),
    Drum.OPEN_HAT: Skin((4800, 9500, 0.045, 0.16), tuple((hz, 0.003, 0.17) for hz in _METAL), pan=0.25),
    Drum.RIDE: Skin(
        (3200, 7000, 0.018, 0.22), ((2950, 0.008, 0.5), (4130, 0.007, 0.4), (6640, 0.005, 0.35), (9120, 0.002, 0.3)),
        pan=0.3, length_s=1.2,
    ),
    Drum.SHAKER: Skin((3600, 7500, 0.050, 0.04), attack_s=0.016, pan=-0.3, length_s=0.25),
    Drum.TOM: Skin((200, 3000, 0.05, 0.02), ((128, 0.36, 0.20), (205, 0.08, 0.1)), drop=0.25, pan=0.15),
    Drum.TOM_LOW: Skin((200, 2500, 0.05, 0.02), ((92, 0.40, 0.24), (148, 0.08, 0.12)), drop=0.25, pan=-0.15),
    Drum.CONGA: Skin((600, 6000, 0.05, 0.012), ((295, 0.22, 0.12), (610, 0.05, 0.06)), drop=0.08, pan=-0.25),
    Drum.CONGA_LOW: Skin((600, 5000, 0.05, 0.014), ((212, 0.25, 0.16), (440, 0.05, 0.07)), drop=0.08, pan=-0.2),
}  # fmt: skip


@functools.lru_cache(maxsize=160)
def stroke(drum: Drum, force: float, variation: int) -> Kept:
    """Render one stroke of a drum at full level; `force` about 1 makes it brighter or duller."""
    skin, rng = _SKINS[drum], np.random.default_rng((drum, variation))
    n_frames = round(skin.length_s * SAMPLE_RATE_HZ)
    time_s = seconds(n_frames)
    # The skin is tightest at the stroke: the tone starts high and drops.
    sweep = time_s + np.float32(0.022 * skin.drop) * (1 - np.exp(-time_s / np.float32(0.022)))
    body = np.zeros(n_frames, np.float32)
    for hz, level, decay_s in skin.modes:
        hz *= 1 + 0.004 * float(rng.standard_normal())
        body += np.float32(level) * np.sin(np.float32(2 * np.pi * hz) * sweep) * np.exp(-time_s / np.float32(decay_s))
    low, high, level, decay_s = skin.noise
    middle, side = (shaped_noise(rng, n_frames, band(low, high * min(1.0, force), 3)) for _ in range(2))
    tail = np.float32(level * force) * np.exp(-time_s / np.float32(decay_s * (0.8 + 0.2 * force)))
    sides = [body * gain + tail * (middle + turn * 0.35 * side) * gain
             for turn, gain in ((1, 1 - max(0.0, skin.pan)), (-1, 1 + min(0.0, skin.pan)))]  # fmt: skip
    return keep(fade(np.stack(sides).astype(np.float32), skin.attack_s, 0.3 * skin.length_s))


class KitPlayer:
    """Plays the drums (see `score.Player`): three forces of each, and no stroke the copy of the one before.

    Threads: the one that renders.
    """

    def __init__(self) -> None:
        self._ringing = Ringing()
        self._strokes = 0

    def play(self, notes: Sequence[Note], first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames` with what is struck in them, and keep what rings on."""
        return self._ringing.add(((max(0, note.frame - first_frame), self._sound(note)) for note in notes), n_frames)

    def _sound(self, note: Note) -> Floats:
        self._strokes += 1
        force = 0.7 if note.velocity < SOFT else 1.0 if note.velocity < LOUD else 1.25
        scale, sound = stroke(Drum(note.pitch), force, self._strokes % VARIATIONS)
        return scale * np.float32(amplitude(note.velocity)) * sound


class Texture:
    """A background of RMS about 1, one of _TEXTURES: its noise goes round, but no swell and no drop comes again.

    Threads: the one that renders.
    """

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        low_hz, high_hz, self._drops_a_second, self._strength = _TEXTURES[name]
        bands = (band(low_hz, high_hz), band(low_hz, high_hz), band(3000, 14_000))
        middle, side, air = (shaped_noise(rng, LOOP_S * SAMPLE_RATE_HZ, shape) for shape in bands)
        middle += np.float32(0.06) * air
        side *= np.float32(0.0 if name == "hum" else 0.5)
        self._scale, self._ground = keep(np.stack([middle + side, middle - side]))
        self._swells_s = SWELLS_S if name in ("wind", "stream") else ()
        (low_hz, high_hz), decay_s = ((800, 3200), 0.001) if name == "vinyl" else ((1000, 4200), 0.004)
        time_s = seconds(round(8 * decay_s * SAMPLE_RATE_HZ))
        dying = fade(np.exp(-time_s / np.float32(decay_s)), 0.0003, 0.0)
        self._drops = [
            dying * np.sin(np.float32(2 * np.pi * hz) * time_s) for hz in rng.uniform(low_hz, high_hz, DROPS)
        ]
        self._rng, self._ringing = rng, Ringing()

    def play(self, first_frame: int, n_frames: int) -> Floats:
        """Return the next `n_frames`, which begin at `first_frame`, with what falls in them."""
        time_s = (first_frame + np.arange(n_frames)) / SAMPLE_RATE_HZ
        swell = 1 + sum(0.25 * np.sin(2 * np.pi / period_s * time_s) for period_s in self._swells_s)
        falling = self._rng.poisson(self._drops_a_second * n_frames / SAMPLE_RATE_HZ)
        heard = self._ringing.add((self._drop(n_frames) for _ in range(falling)), n_frames)
        heard += np.float32(swell) * self._scale * around(self._ground, first_frame, n_frames)
        return heard

    def _drop(self, n_frames: int) -> tuple[int, Floats]:
        level, pan = self._strength * self._rng.random() ** 4, self._rng.uniform(0.25, 0.75)
        sides = np.array([[1 - pan], [pan]], np.float32) * np.float32(level)
        return int(self._rng.integers(n_frames)), sides * self._drops[self._rng.integers(DROPS)]
