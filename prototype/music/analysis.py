"""Bytes from anywhere → a segment ready to mix: decoded, validated, its cue points found, its loudness measured.

**Cue points.** The short-term level is the median of five 10 ms RMS blocks (50 ms in all): deaf to a click in a dead
tail, alive to the shortest note. The threshold applies to the segment *as it will be heard* at the EBU level, not to
the file: real recordings differ by 13 LU, and -45 dBFS in one at -12 LUFS is -56 dBFS once levelled. From the outermost
music the cue points move on through the attack or the decay that stays within RELEASE_DB below the threshold.
A rest inside the music is never cut, only shortened where it is so long that a listener takes it for a failure; but a
short, much weaker sound after a rest at the end is what is left over of an ending, and is cut with the rest.

**Loudness** is measured between the cue points: up to 0.75 LU more on the real segments than over the whole file.
Peaks are sample peaks, without the few milliseconds that stand out: a click must not decide how loud the music is, so
that it is limited instead. The 1 dB below full scale is what true peaks between the samples may take. One static gain
brings 99 % of real segments within 1 LU of the target. The few whose peaks forbid it (they would stay up to 2 LU too
quiet) get up to EASE_DB more, and their highest peaks are eased down by as much.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from base.errors import CorruptSegment
from base.texts import said
from music.audio_files import Packed
from music.decoding import read
from music.features import measured_beat, measured_key
from music.metering import PEAK_BLOCK_FRAMES, LoudnessMeter, block_powers, highest_dbfs, integrated_lufs, step_powers
from music.segment import (
    CHANNELS,
    EASE_DB,
    PEAK_LIMIT,
    SAMPLE_RATE_HZ,
    Analysis,
    Audio,
    Piece,
    SegmentInfo,
    Source,
    gain_db,
    piece_gain_db,
)

SILENT_DBFS: Final = -60.0
SHORTEST_AUDIBLE_S: Final = 1.0
REFERENCE_LUFS: Final = -23.0  # EBU R 128; cue points do not depend on the listener's target

LEVEL_FRAMES: Final = SAMPLE_RATE_HZ // 100
PEAKS: Final = LEVEL_FRAMES // PEAK_BLOCK_FRAMES
MEDIAN_BLOCKS: Final = 5
RELEASE_DB: Final = 5.0
RELEASE_BLOCKS: Final = 50
ISLAND_BLOCKS: Final = 10  # shorter than 0.1 s and
ISLAND_GAP_BLOCKS: Final = 100  # 1 s away from all else: a click with its echo, no music
EASE_BLOCKS: Final = 20  # the gain moves over 20 ms on each side of a peak …
CLICK_DB: Final = 6.0  # above the peak of the music; 4.7 is the most in real segments
CLICK_BLOCKS: Final = 2  # … and over 2 ms on each side of a click, which hides it
LEFTOVER_REST_BLOCKS: Final = 60
LONGEST_LEFTOVER_BLOCKS: Final = 400
LEFTOVER_PART: Final = 0.25  # of what stands before it
LEFTOVER_DB: Final = 10.0  # so much weaker
QUIET_LU: Final = -27.0  # below the target, thus -50 dBFS at the EBU level: nobody at work hears it
LONGEST_QUIET_BLOCKS: Final = 75  # 0.75 s
QUIET_REST_FRAMES: Final = SAMPLE_RATE_HZ * 3 // 5  # kept of a longer one: the decay before, the breath after it
DEAD_LEVEL: Final = 10 ** (SILENT_DBFS / 20)  # amplitude, of the levelled segment
DEAD_REST_FRAMES: Final = SAMPLE_RATE_HZ // 5
EDGE_FADE_FRAMES: Final = SAMPLE_RATE_HZ // 200  # 5 ms: no click even without a crossfade

Curve = npt.NDArray[np.float64]
Peaks = npt.NDArray[np.float32]
Parts = list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Segment:
    """Decoded audio, what was measured of it, and what the file lacks as `Decoded.missing` says it."""

    samples: Audio
    measured: Analysis | Callable[[], Analysis]
    missing: str = ""

    @functools.cached_property
    def analysis(self) -> Analysis:
        """What was measured, or is now: raises CorruptSegment when next to nothing is audible."""
        return self.measured if isinstance(self.measured, Analysis) else self.measured()


def ingest(path: Path, asked_s: float, cue_dbfs: float) -> Segment:
    """Decode, validate and measure a result. `asked_s` is the length asked for; 0 when none was.

    Raises CorruptSegment with the reason, OSError when the file cannot be read.
    """
    segment = unmeasured(path, asked_s, cue_dbfs)
    return replace(segment, measured=segment.analysis)


def unmeasured(path: Path, asked_s: float, cue_dbfs: float) -> Segment:
    """Do the same, but measure only when somebody asks: of what continues a segment only what is new is ever heard."""
    found = read(path)
    length_s = len(found.samples) / SAMPLE_RATE_HZ
    if length_s < max(asked_s / 2, SHORTEST_AUDIBLE_S):
        fault = said("corrupt.short", length=f"{length_s:.1f}", least=f"{SHORTEST_AUDIBLE_S:.0f}")
        if length_s < asked_s / 2:
            fault = said("corrupt.short_of", length=f"{length_s:.1f}", asked=f"{asked_s:.0f}")
        raise CorruptSegment(said("corrupt.cut", fault=fault, missing=found.missing) if found.missing else fault)
    peaks = _without_clicks(found.samples)

    def measured() -> Analysis:
        analysis = analyse(found.samples, cue_dbfs, peaks)
        if analysis.audible_s < SHORTEST_AUDIBLE_S:
            raise CorruptSegment(said("corrupt.almost_silent", audible=f"{analysis.audible_s:.1f}"))
        return analysis

    return Segment(found.samples, measured, found.missing)


def _without_clicks(samples: Packed) -> Peaks:
    """Lower what stands out by more than CLICK_DB: it would disturb, and shift the loudness too.

    Returns the peaks of every PEAK_BLOCK_FRAMES.
    """
    peaks = samples.peaks(PEAK_BLOCK_FRAMES)
    limit = 10 ** ((highest_dbfs(peaks) + CLICK_DB) / 20)
    if peaks.max(initial=0.0) <= limit:
        return peaks
    samples.lower(0, _easing(peaks, len(samples), limit, CLICK_BLOCKS))
    return samples.peaks(PEAK_BLOCK_FRAMES)


def analyse(samples: Audio, cue_dbfs: float, peaks: Peaks | None = None) -> Analysis:
    """Find the cue points and measure what is between them: loudness, peak, key, beat.

    `cue_dbfs` is the threshold at the EBU level (see the module); `peaks` those of PEAK_BLOCK_FRAMES, if they are
    known. Raises CorruptSegment when nothing is audible.
    """
    samples = Packed.of(samples)
    power, weighted, levels = _blocks(samples)
    if not len(levels) or levels.max() < SILENT_DBFS:
        raise CorruptSegment(said("corrupt.silent", least=f"{SILENT_DBFS:.0f}"))
    peaks = samples.peaks(PEAK_BLOCK_FRAMES) if peaks is None else peaks
    gain = gain_db(integrated_lufs(weighted, power), highest_dbfs(peaks), REFERENCE_LUFS)
    first, last = _music(levels > cue_dbfs - gain)
    last = first + _without_leftovers(levels[first:last], cue_dbfs - gain - RELEASE_DB)
    first, last = _with_decay(levels > cue_dbfs - gain - RELEASE_DB, first, last)
    begin, end = max(0, first - 1), min(len(levels), last + 1)
    cue_in, cue_out = begin * LEVEL_FRAMES, min(end * LEVEL_FRAMES, len(samples))
    # Measured anew, as it will be heard: dead tails and rests shift the loudness, in spite of the gates of BS.1770.
    power, weighted, highest = power[begin:end], weighted[begin:end], peaks[begin * PEAKS : end * PEAKS]
    level = 10 ** (gain / 20)
    parts = _kept(power * level**2, _by_levels(highest) * np.float32(level), cue_out - cue_in, REFERENCE_LUFS)
    if len(parts) > 1:
        blocks = [slice(first // LEVEL_FRAMES, -(-last // LEVEL_FRAMES)) for first, last in parts]
        highest = np.concatenate([highest[PEAKS * part.start : PEAKS * part.stop] for part in blocks])
        power, weighted = (np.concatenate([curve[part] for part in blocks]) for curve in (power, weighted))
    music = samples.part(slice(cue_in, cue_out))
    bpm, beat_s = measured_beat(music) or (None, None)
    return Analysis(
        len(samples), cue_in, cue_out, integrated_lufs(weighted, power), highest_dbfs(highest),
        measured_key(music), bpm, None if beat_s is None else cue_in / SAMPLE_RATE_HZ + beat_s,
    )  # fmt: skip


def to_piece(
    samples: Audio, measured: Analysis, target_lufs: float, source: Source, key: str, info: SegmentInfo | None = None
) -> Piece:
    """Cut at the cue points, level, shorten dead rests, and soften the edges by 5 ms so that nothing can click.

    What continues another segment is levelled as the first of the piece, and begins as it is: it may be joined.
    What is packed becomes the piece in its place; other samples stay as they are.
    """
    cue_in = measured.cue_in_frames
    before = info.continues if info else None
    gain = piece_gain_db(source, measured, before, target_lufs)
    heard = Packed.of(samples).part(slice(cue_in, measured.cue_out_frames), 10 ** (gain / 20))
    peaks = heard.peaks(PEAK_BLOCK_FRAMES)
    for most, reach in ((PEAK_LIMIT * 10 ** (EASE_DB / 20), CLICK_BLOCKS), (PEAK_LIMIT, EASE_BLOCKS)):
        if peaks.max(initial=0.0) > most:
            heard.lower(0, _easing(peaks, len(heard), most, reach))
            peaks = heard.peaks(PEAK_BLOCK_FRAMES)
    power = np.concatenate([block_powers(part, LEVEL_FRAMES) for part in heard.parts()])
    parts = _kept(power, _by_levels(peaks), len(heard), target_lufs)
    for first, end in parts:
        edge = min(EDGE_FADE_FRAMES, (end - first) // 2)
        ramp = (np.sin(np.linspace(0.0, np.pi / 2, edge)) ** 2).astype(np.float32)[:, np.newaxis]
        if first or not before:
            heard.lower(first, ramp)
        heard.lower(end - edge, ramp[::-1])
    if len(parts) > 1:
        heard = heard.joined(parts)
    kept = tuple((first + cue_in, end + cue_in) for first, end in parts)
    powers = np.concatenate([step_powers(part) for part in heard.parts()])
    return Piece(heard, source, key, info, parts=kept, powers=powers, sound=measured)


def as_heard(piece: Piece, target_lufs: float) -> SegmentInfo | None:
    """Return the metadata of what is heard of a piece, for a file of its own: it is not cut or levelled once more.

    What was measured before is carried over, as measuring three minutes takes a second; the peak is that before easing.
    """
    info, length = piece.info, piece.ready_frames
    if info is None:
        return None
    sound = info.analysis
    gain = piece_gain_db(piece.source, sound, info.continues, target_lufs)
    begin_s = piece.parts[0][0] / SAMPLE_RATE_HZ if piece.parts else 0.0
    even = sound.beat_s is not None and sound.beat_s >= begin_s and len(piece.parts) < 2  # a rest left out shifts beats
    heard = replace(
        sound, length_frames=length, cue_in_frames=0, cue_out_frames=length, loudness_lufs=sound.loudness_lufs + gain,
        peak_dbfs=sound.peak_dbfs + gain, beat_s=(sound.beat_s or 0.0) - begin_s if even else None,
    )  # fmt: skip
    return replace(info, analysis=heard, continues=None)


def _by_levels(peaks: Peaks) -> Peaks:
    """Return the peaks of LEVEL_FRAMES from those of PEAK_BLOCK_FRAMES."""
    return np.maximum.reduceat(peaks, np.arange(0, len(peaks), PEAKS))


def _kept(power: Curve, peaks: Peaks, n_frames: int, target_lufs: float) -> Parts:
    """Return the (first, end) frames that stay of a segment when its rests are shortened.

    `power` and `peaks` are those of its blocks of LEVEL_FRAMES, levelled to the target. Of a quiet rest, the decay that
    it begins with is kept, and the breath that it ends with: QUIET_REST_FRAMES, in equal parts.
    """
    sounding = np.flatnonzero(power[: n_frames // LEVEL_FRAMES] > 10 ** ((target_lufs + QUIET_LU) / 10))
    quiet = _inside(sounding, LONGEST_QUIET_BLOCKS, QUIET_REST_FRAMES // 2)
    parts = _left([(0, n_frames)], quiet)
    if len(quiet):
        peaks = np.concatenate([peaks[first // LEVEL_FRAMES : -(-end // LEVEL_FRAMES)] for first, end in parts])
    return _left(parts, _dead_rests(peaks))


def _left(parts: Parts, stretches: npt.NDArray[np.intp]) -> Parts:
    """Take stretches, in frames of what `parts` make up, out of the parts."""
    for first, end in stretches[::-1].tolist():
        left, position = [], 0
        for begin, stop in parts:
            removed_from, removed_to = begin + first - position, begin + end - position
            left += [(begin, min(stop, removed_from)), (max(begin, removed_to), stop)]
            position += stop - begin
        parts = [part for part in left if part[0] < part[1]]
    return parts


def _dead_rests(peaks: Peaks) -> npt.NDArray[np.intp]:
    """Return where to leave out the inside of rests that are silence and longer than a rest: (first, end) frames.

    A listener at work takes two seconds of nothing for a failure. What stays is DEAD_REST_FRAMES, and what is silent
    in the two blocks of LEVEL_FRAMES around the rest: a block with any sound is kept whole.
    """
    return _inside(np.flatnonzero(peaks > DEAD_LEVEL), DEAD_REST_FRAMES // LEVEL_FRAMES, DEAD_REST_FRAMES // 2)


def _inside(sounding: npt.NDArray[np.intp], longest_blocks: int, kept_frames: int) -> npt.NDArray[np.intp]:
    """Return the (first, end) frames of what lies between sounding blocks further apart, but for a bit at each end."""
    long = np.flatnonzero(np.diff(sounding) - 1 > longest_blocks)
    begin, end = (sounding[long] + 1) * LEVEL_FRAMES, sounding[long + 1] * LEVEL_FRAMES
    return np.stack([begin + kept_frames, end - kept_frames], axis=1)


def _easing(peaks: Peaks, n_frames: int, limit: float, reach: int) -> npt.NDArray[np.float32]:
    """Return the gain, shape (n_frames, 1), that brings every peak under the limit without a corner to be heard.

    `peaks` are those of PEAK_BLOCK_FRAMES.
    Block by block the least gain needed within `reach` blocks, then its moving average, then straight lines between
    the blocks; the average is one block narrower, so that the lines stay below the need on both sides.
    """
    need = limit / np.maximum(limit, peaks.astype(np.float64))
    count = len(need)
    need = np.pad(need, 2 * reach, constant_values=1.0)
    least = np.lib.stride_tricks.sliding_window_view(need, 2 * reach + 1).min(axis=1)
    width = 2 * reach - 1
    smooth = np.convolve(least, np.full(width, 1 / width), "same")[reach : reach + count]
    smooth = smooth.astype(np.float32)
    ramp = np.linspace(0, 1, PEAK_BLOCK_FRAMES, endpoint=False, dtype=np.float32)
    between = smooth[:-1, np.newaxis] + np.diff(smooth)[:, np.newaxis] * ramp
    half = PEAK_BLOCK_FRAMES // 2
    gain = np.concatenate((np.repeat(smooth[:1], half), between.ravel(), np.repeat(smooth[-1:], half)))
    return gain[:n_frames, np.newaxis]


def _blocks(samples: Packed) -> tuple[Curve, Curve, Curve]:
    """Return the power, the K-weighted one and the short-term level (dBFS) of every 10 ms block, all in one pass.

    In the level, a constant offset is no sound and not counted.
    """
    meter, sums = LoudnessMeter(), []
    for part in samples.parts():
        meter.feed(part)
        both = part.view(np.complex64).ravel()  # as one number, which adds up many times faster
        sums.append(np.add.reduceat(both, np.arange(0, len(both), LEVEL_FRAMES)))
    weighted, power, total = meter.fine_powers(), meter.plain_powers(), np.concatenate(sums)
    offset = total.sum(dtype=np.complex128) / max(1, len(samples))
    # Σ(x-m)² = Σx² - 2mΣx + nm², so that the samples are read once and not copied again
    level = power - (2 * (total * offset.conj()).real - LEVEL_FRAMES * abs(offset) ** 2) / (LEVEL_FRAMES * CHANNELS)
    level = np.maximum(level, 0.0)
    if len(level) >= MEDIAN_BLOCKS:
        half = MEDIAN_BLOCKS // 2
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(level, half, mode="edge"), MEDIAN_BLOCKS)
        level = np.median(windows, axis=1)
    return power, weighted, 10.0 * np.log10(level + 1e-20)


def _music(active: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first block of the music and the one after its last, without lone blips far outside of it."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    runs = [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    if not runs:
        raise CorruptSegment(said("corrupt.click"))
    while len(runs) > 1 and _is_island(runs[-1], runs[-1][0] - runs[-2][1]):
        runs.pop()
    while len(runs) > 1 and _is_island(runs[0], runs[1][0] - runs[0][1]):
        runs.pop(0)
    return runs[0][0], runs[-1][1]


def _is_island(run: tuple[int, int], gap_blocks: int) -> bool:
    return run[1] - run[0] < ISLAND_BLOCKS and gap_blocks >= ISLAND_GAP_BLOCKS


def _without_leftovers(levels: Curve, quiet_db: float) -> int:
    """Return the block with which the music ends, before the leftovers of its ending; see the module."""
    end = len(levels)
    while True:
        sounding = np.flatnonzero(levels[:end] > quiet_db)
        rests = np.flatnonzero(np.diff(sounding) - 1 > LEFTOVER_REST_BLOCKS)
        if not len(rests):
            return end
        music_end, begin = int(sounding[rests[-1]]) + 1, int(sounding[rests[-1] + 1])
        short = end - begin <= min(LONGEST_LEFTOVER_BLOCKS, LEFTOVER_PART * music_end)
        if not short or _mean_db(levels[begin:end]) > _mean_db(levels[:music_end]) - LEFTOVER_DB:
            return end
        end = music_end


def _mean_db(levels: Curve) -> float:
    return 10.0 * float(np.log10(np.mean(10 ** (levels / 10))))


def _with_decay(faint: npt.NDArray[np.bool_], first: int, last: int) -> tuple[int, int]:
    """Widen the music through the neighbouring blocks that are `faint`, at most RELEASE_BLOCKS on each side."""
    before = faint[max(0, first - RELEASE_BLOCKS) : first][::-1]
    after = faint[last : last + RELEASE_BLOCKS]
    return first - int(np.cumprod(before).sum()), last + int(np.cumprod(after).sum())
