"""What an ear would note in a recording: silences, clicks, loudness, tones (`alignment` compares with a reference).

Pure numpy. Recordings may be hours long, so whatever looks at a whole one takes it block by block (`blocks`), and every
result is independent of how it was cut. Positions are frames at RATE_HZ from the beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

RATE_HZ: Final = 48_000
CHANNELS: Final = 2
BLOCK_FRAMES: Final = 10 * RATE_HZ
LEVEL_FRAMES: Final = RATE_HZ // 100  # the short-term level: RMS over 10 ms
CLICK_FRAMES: Final = RATE_HZ // 100  # bends nearer than this are one click

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


# -- loudness --------------------------------------------------------------------------------------------------------


def loudness_lufs(samples: Samples) -> float:
    """Return the integrated loudness (ITU-R BS.1770-4)."""
    from pyloudnorm import Meter

    return float(Meter(RATE_HZ).integrated_loudness(np.asarray(samples)))


def momentary_lufs(samples: Samples) -> npt.NDArray[np.float64]:
    """Return the momentary loudness (EBU Tech 3341): that of each 0.4 s, every 0.1 s."""
    from pyloudnorm import Meter

    heard = np.asarray(samples, np.float64).T
    for stage in Meter(RATE_HZ)._filters.values():
        heard = np.stack([stage.apply_filter(side) for side in heard])
    step = RATE_HZ // 10
    power = np.square(heard).sum(axis=0)[: len(samples) // step * step].reshape(-1, step).mean(axis=1)
    return -0.691 + 10 * np.log10(np.convolve(power, np.full(4, 0.25), "valid") + 1e-12)


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
