"""What a musician hears in a recording: its key, its tempo, and where its beats fall; nothing where that is unsure.

**Key.** The peaks of the spectra, weighted by their compressed magnitudes and every moment like the others, make up a
chroma; the tuning is what they deviate by in common. It is compared with the profiles of the 24 keys (Temperley,
*Music and Probability*, 2007, from the Kostka-Payne corpus). On 48 built-in pieces of 24 s they find the key signature
in 92 %, those of Krumhansl & Kessler (1982) in 75 %, a fifth off else; where the best is KEY_MARGIN ahead of any other
signature, as in 79 %, it is right in 97 %. The halves of 24 real segments agree in 96 %, within a fifth in all.

**Beat.** The onsets (spectral flux of the logarithmic magnitudes) have a period where their spectrum, with the octaves
above it, is strongest, near USUAL_BPM rather than far from it. Folded by it they show where the pulses fall. It is a
beat only if each third of the recording has its pulses at the same place, within STEADY_S; which of the two pulses of
a beat is the stronger is told by the bass. Of 48 built-in pieces that finds 29, all within 14 ms of the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from music.keys import key_name, place
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Audio

KEY_LOWER: Final = 4
KEY_RATE_HZ: Final = SAMPLE_RATE_HZ // KEY_LOWER  # nothing above KEY_HZ is looked at
KEY_FRAMES: Final = 4096
KEY_HZ: Final = (55.0, 2000.0)
COMPRESSED: Final = 0.67
PROFILES: Final = {
    "major": (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
    "minor": (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
}
KEY_LIKENESS: Final = 0.6
KEY_MARGIN: Final = 0.1

ONSET_LOWER: Final = 2  # what is above 12 kHz rises with the rest
ONSET_FRAMES: Final = 2048
ONSET_FOLDS: Final = 2  # neighbouring lines of a windowed spectrum rise together: half of them tell as much
SEEN: Final = 0.66  # of a window: a sharp stroke is seen 6 ms before its middle reaches it, a soft one as much later
STEP_FRAMES: Final = SAMPLE_RATE_HZ // 100
STEPS_A_MINUTE: Final = 60 * SAMPLE_RATE_HZ / STEP_FRAMES
BASS_BINS: Final = slice(1, 4)  # to 150 Hz
SLOWEST_BPM: Final = 50.0
FASTEST_BPM: Final = 170.0
USUAL_BPM: Final = 95.0
USUAL_OCTAVES: Final = 0.6
TEMPO_BINS: Final = 1 << 17
SHORTEST_S: Final = 9.0
STEADY_S: Final = 0.015
CLEAR: Final = 1.3  # times the mean of the onsets

Curve = npt.NDArray[np.float64]


def spectra(
    samples: Audio, window_frames: int, step_frames: int, lower: int = 1, folds: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the magnitudes of some windows after the other, both channels together: shape (n_windows, n_lines).

    Windows and steps count means of `lower` frames: a lax low-pass, of which -14 dB and less is folded back into the
    lower third. Of the lines every `folds`-th is there, from 0 to half the rate: it is that of the window's parts
    added up.
    """
    window = np.hanning(window_frames).astype(np.float32).reshape(folds, -1)
    window *= lower * window.shape[1]  # whatever the rate, the level is that of a sum of frames
    mean = np.full(lower * CHANNELS, 1 / (lower * CHANNELS), np.float32)
    # Half a MB of windows, 2 MB of samples: what is larger leaves the cache, or is memory that is fetched anew.
    some = max(1, min((1 << 17) // window.shape[1], (1 << 18) // (lower * step_frames))) * step_frames
    for begin in range(0, len(samples) // lower - window_frames + 1, some):
        end = min(begin + some - step_frames + window_frames, len(samples) // lower)
        part = samples[lower * begin : lower * end].reshape(-1, lower * CHANNELS) @ mean
        windows = np.lib.stride_tricks.sliding_window_view(part, window_frames)[::step_frames]
        folded = np.einsum("wfn,fn->wn", windows.reshape(-1, *window.shape), window)
        yield np.abs(np.fft.rfft(folded, axis=1, norm="forward"))  # else numpy takes float32 for double


def measured_key(samples: Audio) -> str:
    """Return the key of a recording, such as "F# minor"; "" where it is not sure."""
    chroma = _chroma(samples)
    if not chroma.any():
        return ""
    keys = [(tonic, mode) for mode in PROFILES for tonic in range(12)]
    curves = np.corrcoef([chroma, *(np.roll(PROFILES[mode], tonic) for tonic, mode in keys)])
    likeness = dict(zip(keys, curves[0, 1:].tolist(), strict=True))
    best = max(likeness, key=lambda key: likeness[key])
    other = max(value for key, value in likeness.items() if place(*key) != place(*best))
    sure = likeness[best] > max(KEY_LIKENESS, other + KEY_MARGIN)
    return key_name(*best) if sure else ""


def _chroma(samples: Audio) -> Curve:
    """Return how strong each of the twelve pitch classes is, from C."""
    found = [_peaks(some) for some in spectra(samples, KEY_FRAMES, KEY_FRAMES, KEY_LOWER)]  # an overlap tells no more
    pitch, weight = np.concatenate([np.zeros((2, 0)), *found], axis=1)
    tuning = np.angle((weight * np.exp(2j * np.pi * pitch)).sum()) / (2 * np.pi)
    return np.bincount(np.round(pitch - tuning).astype(int) % 12, weight, 12).astype(np.float64)


def _peaks(magnitudes: npt.NDArray[np.float32]) -> Curve:
    """Return the pitch of the peaks in some spectra, as MIDI counts, and their weights: shape (2, n)."""
    bin_hz = KEY_RATE_HZ / KEY_FRAMES
    first, end = (round(hz / bin_hz) for hz in KEY_HZ)
    loud = np.log(magnitudes[:, first - 1 : end + 1] + 1e-9)
    curves = loud[:, :-2], loud[:, 1:-1], loud[:, 2:]
    moments, lines = np.nonzero((curves[1] > curves[0]) & (curves[1] >= curves[2]))
    below, here, above = (curve[moments, lines] for curve in curves)
    offset = (below - above) / 2 / (below - 2 * here + above - 1e-9)  # of the parabola through the three
    strength = np.exp(COMPRESSED * here)
    weight = strength / (np.bincount(moments, strength) + 1.0)[moments]
    return np.stack([69 + 12 * np.log2((first + lines + offset) * bin_hz / 440), weight])


def measured_beat(samples: Audio) -> tuple[float, float] | None:
    """Return the tempo in beats a minute, and the second of the first beat; None where there is no steady one."""
    onsets, bass = onset_curves(samples)
    third = len(onsets) // 3
    if third * STEP_FRAMES < SHORTEST_S / 3 * SAMPLE_RATE_HZ:
        return None
    period = _period(onsets)
    places = [_pulse(onsets, period / 2, slice(part * third, (part + 1) * third)) for part in range(3)]
    drift = _around(places[2] - places[0], period / 2)
    period *= 1 + drift / (2 * third)
    places = [_pulse(onsets, period / 2, slice(part * third, (part + 1) * third)) for part in range(3)]
    place = _pulse(onsets, period / 2, slice(None))
    apart = max(abs(_around(one - place, period / 2)) for one in places)
    folded = _folded(onsets, period / 2, slice(None))
    if apart * STEP_FRAMES > STEADY_S * SAMPLE_RATE_HZ or folded.max() < CLEAR * max(onsets.mean(), 1e-9):
        return None
    strengths = [_at(bass, place + by, period) for by in (0.0, period / 2)]
    place += period / 2 * (strengths[1] > strengths[0])
    first = (place + 0.5) * STEP_FRAMES + ONSET_FRAMES * SEEN  # a rise is between two windows
    return STEPS_A_MINUTE / period, float(first) / SAMPLE_RATE_HZ


def onset_curves(samples: Audio) -> tuple[Curve, Curve]:
    """Return by how much the spectrum rises from step to step, of all and of the bass alone."""
    rises, bass = [np.zeros(0)], [np.zeros(0)]
    last = np.zeros((0, ONSET_FRAMES // (2 * ONSET_LOWER * ONSET_FOLDS) + 1), np.float32)
    window, step = ONSET_FRAMES // ONSET_LOWER, STEP_FRAMES // ONSET_LOWER
    for magnitudes in spectra(samples, window, step, ONSET_LOWER, ONSET_FOLDS):
        loud = np.concatenate((last, np.log(1 + 30 * magnitudes)))
        rise = np.diff(loud, axis=0)
        rise += np.abs(rise)  # twice what rises, in a third of the time of `maximum`
        rises.append(rise.sum(axis=1) / 2)
        bass.append(rise[:, BASS_BINS].sum(axis=1) / 2)
        last = loud[-1:]
    return np.concatenate(rises), np.concatenate(bass)


def _period(onsets: Curve) -> float:
    """Return the steps from beat to beat, if there are beats."""
    strength = np.abs(np.fft.rfft((onsets - onsets.mean()) * np.hanning(len(onsets)), max(TEMPO_BINS, 2 * len(onsets))))
    bins = 2 * (len(strength) - 1)
    at = np.arange(int(SLOWEST_BPM / STEPS_A_MINUTE * bins), int(FASTEST_BPM / STEPS_A_MINUTE * bins))
    usual = np.exp(-0.5 * (np.log2(at / bins * STEPS_A_MINUTE / USUAL_BPM) / USUAL_OCTAVES) ** 2)
    return bins / float(at[np.argmax(usual * (strength[at] + 0.6 * strength[2 * at] + 0.4 * strength[4 * at]))])


def _folded(onsets: Curve, period: float, part: slice) -> Curve:
    """Return the mean of the onsets at each place of a period, a step apart, smoothed."""
    size = max(3, round(period))
    place = np.arange(len(onsets))[part] % period / period * size
    below, share = place.astype(int) % size, place % 1
    sums, counts = (
        np.bincount(below, one * (1 - share), size) + np.bincount((below + 1) % size, one * share, size)
        for one in (onsets[part], np.ones(len(place)))
    )
    folded = sums / np.maximum(counts, 1e-9)
    smooth: Curve = (np.roll(folded, 1) + 2 * folded + np.roll(folded, -1)) / 4
    return smooth


def _pulse(onsets: Curve, period: float, part: slice) -> float:
    """Return the place in a period at which the onsets are strongest, in steps, between them by a parabola."""
    folded = _folded(onsets, period, part)
    top = int(folded.argmax())
    below, here, above = (float(folded[(top + by) % len(folded)]) for by in (-1, 0, 1))
    return (top + (below - above) / 2 / (below - 2 * here + above - 1e-9)) / len(folded) * period


def _around(steps: float, period: float) -> float:
    """Return a difference of places as the shortest way round."""
    return (steps + period / 2) % period - period / 2


def _at(curve: Curve, place: float, period: float) -> float:
    """Return the sum of what a curve has at every `period` from `place` on."""
    return float(curve[np.round(np.arange(place, len(curve) - 1, period)).astype(int)].sum())
