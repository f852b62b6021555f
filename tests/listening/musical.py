"""What a musician would note about a piece, in figures: of its sound alone, or of its notes.

Pure numpy, made for comparing: the same figures are taken of real recordings (`make listen-sheet`).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from listening.listening import LEVEL_FRAMES, RATE_HZ, Samples, blocks, levels

Doubles = npt.NDArray[np.float64]

WINDOW_FRAMES: Final = 5 * LEVEL_FRAMES
AIR_HZ: Final = 8000.0
BASS_BELOW_DB: Final = 30.0
MEL_BANDS: Final = 40
CEPSTRA: Final = 20
FFT_FRAMES: Final = 2048
RUBS: Final = (1, 13)  # semitones: a minor second, and the flat ninth


# -- of the sound ----------------------------------------------------------------------------------------------------


def level_curve(samples: Samples, frames: int = WINDOW_FRAMES) -> Doubles:
    """Return the RMS level of each window of `frames`, dBFS."""
    return np.asarray(levels(blocks(samples), frames), np.float64)


def level_range_db(samples: Samples) -> float:
    """Return how far the loud moments are above the quiet ones: p95 - p10 of the level in windows of 50 ms."""
    quiet, loud = np.percentile(level_curve(samples), [10, 95])
    return float(loud - quiet)


def mono_loss_db(samples: Samples) -> float:
    """Return what is lost when both sides are added to one: 0 for mono, 3 for two unrelated sides."""
    sides = np.asarray(samples, np.float64)
    mono = np.square(sides.mean(axis=1)).mean()
    return float(10 * np.log10(np.square(sides).mean() / max(mono, 1e-20)))


def low_width_db(samples: Samples, below_hz: float = 120.0) -> float:
    """Return the level of side over mid below `below_hz`: -inf for bass that is mono."""
    mid, side = (np.abs(np.fft.rfft(samples[:, 0] + sign * samples[:, 1])) ** 2 for sign in (1, -1))
    low = np.fft.rfftfreq(len(samples), 1 / RATE_HZ) < below_hz
    return float(10 * np.log10(max(side[low].sum(), 1e-20) / max(mid[low].sum(), 1e-20)))


def air_db(samples: Samples) -> float:
    """Return the energy above 8 kHz, in dB relative to all of it."""
    power = _power_spectra(samples).mean(axis=0)
    high = np.fft.rfftfreq(FFT_FRAMES, 1 / RATE_HZ) > AIR_HZ
    return float(10 * np.log10(max(power[high].sum(), 1e-20) / power.sum()))


def timbre(samples: Samples) -> Doubles:
    """Return the timbre of every half second: 20 cepstra of 40 mel bands (the first, the level, left out).

    Each window is levelled by itself, so that loudness does not count. Shape (n_windows, CEPSTRA - 1).
    """
    power = _power_spectra(samples)
    size = max(1, RATE_HZ // 2 // FFT_FRAMES)
    power = power[: len(power) // size * size].reshape(-1, size, power.shape[1]).mean(axis=1)
    bands = 10 * np.log10(np.maximum(power @ _mel_bank().T, 1e-12 * power.sum(axis=1, keepdims=True) + 1e-20))
    bands = np.maximum(bands, bands.max(axis=1, keepdims=True) - 60)
    turns = np.outer(np.arange(MEL_BANDS) + 0.5, np.arange(1, CEPSTRA)) * np.pi / MEL_BANDS
    cepstra: Doubles = bands @ np.cos(turns) * np.sqrt(2 / MEL_BANDS)
    return cepstra


def frechet(one: Doubles, other: Doubles) -> float:
    """Return the Fréchet distance of two clouds of points, each taken as a normal distribution (Dowson & Landau 1982).

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), square-rooted: in dB here, as the cepstra are.
    """
    gap = one.mean(axis=0) - other.mean(axis=0)
    first, second = np.cov(one.T), np.cov(other.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0.0))
    return float(np.sqrt(max(0.0, gap @ gap + np.trace(first) + np.trace(second) - 2 * roots.sum())))


def _power_spectra(samples: Samples) -> Doubles:
    mono = np.asarray(samples, np.float64).mean(axis=1)
    frames = mono[: len(mono) // FFT_FRAMES * FFT_FRAMES].reshape(-1, FFT_FRAMES)
    spectra: Doubles = np.abs(np.fft.rfft(frames * np.hanning(FFT_FRAMES), axis=1)) ** 2
    return spectra


def _mel_bank() -> Doubles:
    """Return triangular filters, even on the mel scale from 30 Hz to 16 kHz, shape (MEL_BANDS, n_bins)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (30.0, 16_000.0))
    corners = 700 * (10 ** (np.linspace(low, high, MEL_BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(FFT_FRAMES, 1 / RATE_HZ)
    rising = (hz - corners[:-2, None]) / np.maximum(np.diff(corners)[:-1, None], RATE_HZ / FFT_FRAMES)
    falling = (corners[2:, None] - hz) / np.maximum(np.diff(corners)[1:, None], RATE_HZ / FFT_FRAMES)
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


# -- of the notes ----------------------------------------------------------------------------------------------------


def note_spread_db(levels_by_part: Mapping[str, Sequence[float]]) -> float:
    """Return the standard deviation of the notes' levels inside a part, in dB: the parts' mean, by their notes."""
    counts = [len(part) for part in levels_by_part.values()]
    spreads = [float(np.std(part)) for part in levels_by_part.values()]
    return float(np.average(spreads, weights=counts)) if sum(counts) else 0.0


def bass_share(bass: Samples, spans: Sequence[tuple[float, float]]) -> float:
    """Return the share of the chords' time in which the bass is heard, from a recording of the bass alone.

    It is where a tenth of a second is less than BASS_BELOW_DB under the loud ones (p95). `spans` are (start, length).
    """
    curve = level_curve(bass, RATE_HZ // 10)
    heard = curve > np.percentile(curve, 95) - BASS_BELOW_DB
    under = np.zeros(len(heard), bool)
    for start_s, length_s in spans:
        under[round(start_s * 10) : round((start_s + length_s) * 10)] = True
    return float(heard[under].mean()) if under.any() else 1.0


def rub_share(chords: Sequence[tuple[float, Collection[int]]]) -> float:
    """Return the share of time in which two tones of a chord rub. A chord is (length, pitches)."""
    rubbing = sum(length for length, pitches in chords if rubs(pitches))
    return rubbing / max(1e-9, sum(length for length, _ in chords))


def rubs(pitches: Collection[int]) -> bool:
    """Whether two of the pitches lie a semitone or a flat ninth apart."""
    return any(abs(a - b) in RUBS for a, b in itertools.combinations(pitches, 2))


def repeated_share(bars: Sequence[Collection[tuple[str, int, int]]]) -> float:
    """Return the share of bars that hold the same notes as an earlier one: (part, sixteenth in the bar, pitch)."""
    seen: set[frozenset[tuple[str, int, int]]] = set()
    repeated = 0
    for bar in map(frozenset, bars):
        repeated += bar in seen
        seen.add(bar)
    return repeated / max(1, len(bars))
