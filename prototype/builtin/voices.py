"""The synthesised instruments, as values: what `synth` makes them of. Three models are enough for all.

- `Struck`: partials that ring down, each with its own decay (keys, piano, plucked strings, mallets, bass);
- `Choir`: harmonics widened into narrow bands of noise, one inverse FFT a pitch (the PADsynth idea of Nasca Octavian
  Paul): a lush, endless tone of many voices (pads, strings);
- `Solo`: one voice with its vibrato, its breath or bow: a wavetable read at a moving pitch (violin, flute, leads).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True)
class Struck:
    """A tone that rings down. A partial is (ratio to the pitch, amplitude, decay time to 1/e in s at middle C).

    `knock` and `air` are the levels of the stroke's low and high noise, `soft` how much duller a soft stroke is.
    """

    partials: tuple[tuple[float, float, float], ...]
    attack_s: float = 0.003
    release_s: float = 0.12
    knock: float = 0.0
    air: float = 0.06
    soft: float = 1.2
    tremolo_hz: float = 0.0
    width: float = 0.5


@dataclass(frozen=True)
class Choir:
    """An endless tone: harmonic k has amplitude k**-rolloff, is `width_cents` wide, and dulled above `cutoff_hz`."""

    width_cents: float
    rolloff: float
    cutoff_hz: float
    attack_s: float
    release_s: float
    air: float = 0.0
    width: float = 0.4


@dataclass(frozen=True)
class Solo:
    """One singing voice: harmonics as in `Choir`, a vibrato of `vibrato_cents`, and noise of bow or breath."""

    rolloff: float
    cutoff_hz: float
    attack_s: float
    release_s: float
    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.2
    noise: float = 0.0
    even: float = 1.0
    chorus_cents: float = 0.0


Voice = Struck | Choir | Solo


def _string(
    count: int, rolloff: float, decay_s: float, damping: float, position: float, stiff: float, **other: float
) -> Struck:
    """Return a string struck or plucked at `position` (share of its length); `stiff` stretches its partials.

    Its lowest partials die twice: quickly in one plane of the string's motion, slowly in the other.
    """
    partials = []
    for k in range(1, count + 1):
        level = abs(float(np.sin(np.pi * k * position))) * k**-rolloff
        ratio, decay = k * float(np.sqrt(1 + stiff * k * k)), decay_s / (1 + damping * (k - 1))
        partials.append((ratio, level, decay))
        if k <= 4:
            partials.append((ratio * 1.0004, 0.3 * level, 2.6 * decay))
    return Struck(tuple(partials), **{"knock": 0.25, **other})


VOICES: Final[dict[str, Voice]] = {
    "keys": Struck(
        ((1, 1, 1.7), (2, 0.42, 1.0), (3, 0.22, 0.7), (4, 0.11, 0.45), (5, 0.06, 0.3), (7.05, 0.09, 0.16),
         (14.2, 0.02, 0.06)), tremolo_hz=4.3, air=0.072, soft=1.6,
    ),
    "piano": _string(24, 1.45, 1.5, 0.30, 0.12, 4e-4, air=0.096),
    "nylon": _string(20, 1.25, 0.9, 0.40, 0.22, 5e-5, air=0.18),
    "harp": _string(16, 1.4, 1.2, 0.33, 0.35, 2e-5, air=0.15, release_s=0.5),
    "koto": _string(24, 1.15, 1.2, 0.26, 0.12, 1e-4, air=0.21, release_s=0.6),
    "pizzicato": _string(14, 1.1, 0.28, 0.45, 0.30, 0.0, air=0.18),
    "pluck": _string(18, 1.05, 0.34, 0.35, 0.36, 0.0, air=0.06),
    "stab": _string(16, 1.0, 0.30, 0.30, 0.42, 0.0, air=0.06),
    "analog": _string(16, 1.1, 0.45, 0.30, 0.40, 0.0, width=0.0, air=0.06),
    "upright": _string(10, 1.4, 1.0, 0.45, 0.24, 0.0, width=0.0, air=0.09),
    "bass": Struck(
        ((1, 1, 2.2), (2, 0.4, 0.9), (3, 0.16, 0.4), (4, 0.08, 0.25), (6, 0.03, 0.1)), attack_s=0.006, width=0.0,
        knock=0.2, air=0.036,
    ),
    "vibes": Struck(((1, 1, 1.8), (4, 0.13, 0.45), (10, 0.03, 0.08)), release_s=0.3, tremolo_hz=5.1, air=0.09),
    "marimba": Struck(((1, 1, 0.38), (3.93, 0.25, 0.12), (9.2, 0.06, 0.04)), release_s=0.3, knock=0.3, air=0.09),
    "bell": Struck(
        ((1, 1, 1.8), (2.01, 0.25, 1.2), (3.01, 0.16, 0.9), (5.2, 0.07, 0.4), (8.4, 0.03, 0.2)), release_s=0.8, air=0.1
    ),
    "bowl": Struck(
        ((1, 1, 5.0), (1.004, 0.6, 5.0), (2.71, 0.3, 2.5), (5.15, 0.1, 1.2), (8.1, 0.03, 0.6)), attack_s=0.06,
        release_s=1.5, air=0.012,
    ),
    "pad": Choir(24, 1.25, 1500, 0.9, 1.6, air=0.0036),
    "choir": Choir(30, 1.05, 1000, 1.1, 1.8, air=0.0072),
    "strings": Choir(18, 0.95, 3200, 0.35, 0.5, air=0.012),
    "synth": Choir(20, 0.95, 2400, 0.25, 0.7, air=0.0024),
    "organ": Solo(1.45, 1100, 1.2, 2.2, chorus_cents=4, noise=0.006),
    "drone": Solo(2.2, 420, 0.25, 0.6, chorus_cents=0, noise=0.0),
    "violin": Solo(0.95, 3400, 0.11, 0.22, vibrato_cents=14, noise=0.05),
    "cello": Solo(1.05, 2200, 0.13, 0.30, vibrato_cents=11, vibrato_hz=4.9, noise=0.05),
    "flute": Solo(1.9, 3200, 0.06, 0.14, vibrato_cents=8, vibrato_hz=4.8, noise=0.06),
    "shakuhachi": Solo(1.6, 2600, 0.12, 0.2, vibrato_cents=16, vibrato_hz=4.2, noise=0.09, even=0.5),
    "saw": Solo(0.95, 2600, 0.03, 0.25, vibrato_cents=5, chorus_cents=9),
    "glide": Solo(1.2, 1900, 0.06, 0.35, vibrato_cents=8, vibrato_hz=4.6, chorus_cents=6, even=0.4),
}  # fmt: skip
