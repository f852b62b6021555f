"""How a recording follows what should have been played: to the sample, every frame that was lost, altered or put in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from listening.listening import RATE_HZ, Samples

SAME: Final = 2e-4  # two 16-bit roundings, the one of the player and the one of the reference
PROBE_FRAMES: Final = 2048
STRIDE_FRAMES: Final = 1200
LONGEST_LOSS_FRAMES: Final = 2 * RATE_HZ
LONGEST_GAP_FRAMES: Final = 6 * RATE_HZ
LONGEST_LEAD_FRAMES: Final = 30 * RATE_HZ


@dataclass(frozen=True)
class Deviation:
    """At `reference_frame` (in the recording: `frame`), `lost` frames are missing and `inserted` others stand there."""

    reference_frame: int
    frame: int
    lost: int
    inserted: int


@dataclass(frozen=True)
class Comparison:
    """How a recording follows a reference: where it begins in it (None: nowhere), what is the same, what deviates.

    What is missing at the very beginning is the first deviation.
    """

    begin_frame: int | None
    same_frames: int = 0
    deviations: list[Deviation] = field(default_factory=list)

    @property
    def lost_frames(self) -> int:
        """Frames of the reference that are not in the recording."""
        return sum(deviation.lost for deviation in self.deviations)

    @property
    def inserted_frames(self) -> int:
        """Frames of the recording that are not in the reference."""
        return sum(deviation.inserted for deviation in self.deviations)


def find(probe: Samples, samples: Samples, tolerance: float = SAME) -> int | None:
    """Return the first frame at which `probe` stands in `samples`, each sample within `tolerance`."""
    if len(probe) > len(samples):
        return None
    wave, sought = samples[:, 0].astype(np.float64), probe[:, 0].astype(np.float64)
    size = 1 << (len(samples) + len(probe) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(sought[::-1], size), size)
    power = np.concatenate(([0.0], np.cumsum(wave**2)))
    # Σ(x-p)² = Σx² - 2Σxp + Σp², at every position; the second term without the third is what can differ
    distance = power[len(probe) :] - power[: -len(probe)] - 2 * products[len(probe) - 1 : len(samples)]
    for at in sorted(np.argpartition(distance, min(8, len(distance) - 1))[:8].tolist()):
        if np.abs(samples[at : at + len(probe)] - probe).max() <= tolerance:
            return int(at)
    return None


def compare(recording: Samples, reference: Samples, tolerance: float = SAME) -> Comparison:
    """Follow `reference` through `recording`: find each place where frames were lost, altered or put in between.

    The reference must not repeat itself. What of it comes after the recording's end is not counted.
    """
    start = _rejoin(recording, reference, 0, 0, tolerance, LONGEST_LEAD_FRAMES)
    if start is None:
        return Comparison(None)
    same, here, there = 0, start.inserted, start.lost
    deviations = [Deviation(0, here, there, 0)] if there else []
    while there < len(reference) and here < len(recording):
        step = _same_frames(recording[here:], reference[there:], tolerance)
        same, here, there = same + step, here + step, there + step
        if there >= len(reference) or here >= len(recording):
            break
        deviation = _rejoin(recording, reference, here, there, tolerance)
        if deviation is None:
            deviations.append(Deviation(there, here, len(reference) - there, len(recording) - here))
            break
        deviations.append(deviation)
        here, there = here + deviation.inserted, there + deviation.lost
    return Comparison(start.inserted, same, deviations)


def _same_frames(one: Samples, other: Samples, tolerance: float) -> int:
    """Return how many frames agree from the start."""
    length, done = min(len(one), len(other)), 0
    while done < length:
        step = min(RATE_HZ, length - done)
        wrong = np.abs(one[done : done + step] - other[done : done + step]).max(axis=1) > tolerance
        if wrong.any():
            return done + int(wrong.argmax())
        done += step
    return length


def _rejoin(
    recording: Samples, reference: Samples, here: int, there: int, tolerance: float, frames: int = LONGEST_GAP_FRAMES
) -> Deviation | None:
    """Find the nearest place within `frames` where the recording follows the reference again; None: nowhere."""
    ahead = np.asarray(recording[here : here + frames])
    for skipped in range(0, LONGEST_LOSS_FRAMES, STRIDE_FRAMES):
        probe = np.asarray(reference[there + skipped : there + skipped + PROBE_FRAMES])
        if len(probe) < PROBE_FRAMES:
            return None
        at = find(probe, ahead, tolerance)
        if at is None:
            continue
        back = 0
        while back < min(skipped, at) and np.abs(
            ahead[at - back - 1] - reference[there + skipped - back - 1]
        ).max() <= (tolerance):
            back += 1
        return Deviation(there, here, skipped - back, at - back)
    return None
