"""What an ear would note in a recording: silences, clicks, loudness, and what differs from a reference.

Pure numpy. Recordings may be hours long, so whatever looks at a whole one takes it block by block (`blocks`), and every
result is independent of how it was cut. Positions are frames at RATE_HZ from the beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

RATE_HZ: Final = 48_000
CHANNELS: Final = 2
BLOCK_FRAMES: Final = 10 * RATE_HZ
LEVEL_FRAMES: Final = RATE_HZ // 100  # the short-term level: RMS over 10 ms
SAME: Final = 2e-4  # two 16-bit roundings, the one of the player and the one of the reference
CLICK_FRAMES: Final = RATE_HZ // 100  # bends nearer than this are one click
PROBE_FRAMES: Final = 2048
STRIDE_FRAMES: Final = 1200
LONGEST_LOSS_FRAMES: Final = 2 * RATE_HZ
LONGEST_GAP_FRAMES: Final = 6 * RATE_HZ
LONGEST_LEAD_FRAMES: Final = 30 * RATE_HZ

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """A part of a recording."""

    begin_frame: int
    frames: int

    @property
    def end_frame(self) -> int:
        """The frame after its last."""
        return self.begin_frame + self.frames

    @property
    def begin_s(self) -> float:
        """Its beginning in seconds."""
        return self.begin_frame / RATE_HZ

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return self.frames / RATE_HZ


def open_raw(path: Path) -> Samples:
    """Map a file of raw float32 stereo frames into memory; a frame cut off at the end is left out."""
    frames = path.stat().st_size // (4 * CHANNELS)
    if not frames:
        return np.zeros((0, CHANNELS), np.float32)
    return np.memmap(path, np.float32, "r", shape=(frames, CHANNELS))


def blocks(samples: Samples, frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
    """Cut into blocks of at most `frames`."""
    for begin in range(0, len(samples), frames):
        yield np.asarray(samples[begin : begin + frames])


def amplitude(dbfs: float) -> float:
    """Convert a level to an amplitude."""
    return float(10 ** (dbfs / 20))


def dbfs(linear: float) -> float:
    """Convert an amplitude to a level; nothing at all is -200."""
    return float(20 * np.log10(max(linear, 1e-10)))


# -- silence ---------------------------------------------------------------------------------------------------------


def silences(parts: Iterable[Samples], below_dbfs: float = -60.0, longer_than_s: float = 0.1) -> list[Stretch]:
    """Find the runs, longer than `longer_than_s`, in which every single sample is at or below `below_dbfs`."""
    limit, least = amplitude(below_dbfs), longer_than_s * RATE_HZ
    found: list[Stretch] = []
    offset, last_loud = 0, -1

    def note(loud: npt.NDArray[np.int64]) -> None:
        runs = np.diff(loud) - 1
        found.extend(Stretch(int(loud[at]) + 1, int(runs[at])) for at in np.flatnonzero(runs > least))

    for part in parts:
        loud = np.flatnonzero(np.abs(part).max(axis=1) > limit) + offset
        note(np.concatenate(([last_loud], loud)))
        last_loud = int(loud[-1]) if len(loud) else last_loud
        offset += len(part)
    note(np.array([last_loud, offset]))
    return found


def levels(parts: Iterable[Samples], window_frames: int = LEVEL_FRAMES) -> npt.NDArray[np.float32]:
    """Return the RMS level of each window in dBFS; an incomplete one at the end is left out."""
    found, rest = [], np.zeros((0, CHANNELS), np.float32)
    for part in parts:
        joined = np.concatenate((rest, part))
        whole = len(joined) // window_frames * window_frames
        power = np.square(joined[:whole]).reshape(-1, window_frames * CHANNELS).mean(axis=1)
        found.append((10 * np.log10(np.maximum(power, 1e-20))).astype(np.float32))
        rest = joined[whole:]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def quiet_stretches(parts: Iterable[Samples], below_dbfs: float = -50.0, longer_than_s: float = 0.25) -> list[Stretch]:
    """Find the stretches whose short-term level stays below `below_dbfs` for longer than `longer_than_s`."""
    quiet = levels(parts) < below_dbfs
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0])))).reshape(-1, 2)
    stretches = [Stretch(int(a) * LEVEL_FRAMES, int(b - a) * LEVEL_FRAMES) for a, b in edges]
    return [stretch for stretch in stretches if stretch.length_s > longer_than_s]


def first_sound(parts: Iterable[Samples], above_dbfs: float = -60.0) -> int | None:
    """Return the first frame above a level, None where there is none."""
    offset = 0
    for part in parts:
        loud = np.abs(part).max(axis=1) > amplitude(above_dbfs)
        if loud.any():
            return offset + int(loud.argmax())
        offset += len(part)
    return None


# -- clicks ----------------------------------------------------------------------------------------------------------


def _bends(parts: Iterable[Samples]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield (frame of the first, magnitudes of the second difference) of each block, none left out between blocks."""
    offset, before = 0, np.zeros((0, CHANNELS), np.float32)
    for part in parts:
        joined = np.concatenate((before, part))
        if len(joined) > 2:
            yield offset + 1, np.abs(np.diff(joined, 2, axis=0)).max(axis=1)
        before = joined[-2:]
        offset += len(joined) - len(before)


def largest_step(parts: Iterable[Samples]) -> float:
    """Return the largest difference between two neighbouring samples."""
    largest, before = 0.0, np.zeros((0, CHANNELS), np.float32)
    for part in parts:
        joined = np.concatenate((before, part))
        if len(joined) > 1:
            largest = max(largest, float(np.abs(np.diff(joined, axis=0)).max()))
        before = joined[-1:]
    return largest


def largest_bend(parts: Iterable[Samples]) -> float:
    """Return the largest second difference: what `clicks` takes as the material's own."""
    return max((float(bends.max()) for _, bends in _bends(parts)), default=0.0)


def clicks(parts: Iterable[Samples], own_bend: float) -> list[int]:
    """Find the frames where the waveform bends more sharply than `own_bend`, what the material does by itself."""
    found: list[int] = []
    for offset, bends in _bends(parts):
        for at in np.flatnonzero(bends > own_bend) + offset:
            if not found or at - found[-1] > CLICK_FRAMES:
                found.append(int(at))
    return found


def odd_corners(parts: Iterable[Samples], ratio: float = 12.0, above_dbfs: float = -60.0) -> list[int]:
    """Find lone corners in music that is not known: sharper by `ratio` than anything 20 to 60 ms before and after.

    The beat of a drum is sharp against what was before, but rings on; a cut or a lost sample does not.
    """
    windows: list[npt.NDArray[np.float32]] = []
    rest = np.zeros(0, np.float32)
    for _, bends in _bends(parts):
        rest = np.concatenate((rest, bends))
        whole = len(rest) // LEVEL_FRAMES * LEVEL_FRAMES
        windows.append(rest[:whole].reshape(-1, LEVEL_FRAMES).max(axis=1))
        rest = rest[whole:]
    peaks = np.concatenate(windows) if windows else np.zeros(0, np.float32)
    around = np.pad(peaks, 6, mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(around, 13)
    usual = np.maximum(near[:, 0:5].max(axis=1), near[:, 8:13].max(axis=1))
    odd = np.flatnonzero((peaks > ratio * usual) & (peaks > amplitude(above_dbfs)))
    return [int(at) * LEVEL_FRAMES for at in odd]


# -- comparison with a reference -------------------------------------------------------------------------------------


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


# -- loudness --------------------------------------------------------------------------------------------------------


def loudness_lufs(samples: Samples) -> float:
    """Return the integrated loudness (ITU-R BS.1770-4)."""
    from pyloudnorm import Meter

    return float(Meter(RATE_HZ).integrated_loudness(np.asarray(samples)))


def neighbour_jumps(loudnesses: Sequence[float]) -> list[float]:
    """Return how far each piece is from the one before it, in LU."""
    return [abs(after - before) for before, after in itertools.pairwise(loudnesses)]


# -- tones -----------------------------------------------------------------------------------------------------------


def tone_levels(samples: Samples, tones_hz: Sequence[float], hop_frames: int = 240) -> npt.NDArray[np.float64]:
    """Return the amplitude of each tone over time, shape (n_hops, n_tones); a window is 50 ms, centred on its hop."""
    size = RATE_HZ // 20
    window = np.hanning(size)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size), tones_hz) / RATE_HZ) * (window * 2 / window.sum())[:, None]
    mono = np.pad(np.asarray(samples[:, 0], np.float64), size // 2)
    views = np.lib.stride_tricks.sliding_window_view(mono, size)[::hop_frames]
    result: npt.NDArray[np.float64] = np.abs(views @ waves)
    return result
