"""The first moment: noise from the standard library, and a chord over it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builtin.bed import LEVEL_DBFS, Bed, Chord
from doubles.sounds import QuietBed
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Endless, Samples


def heard(seconds: float, splits: Sequence[int] = (4_800,), bed: Endless | None = None) -> Samples:
    """Return the beginning of a bed, read in blocks of the sizes `splits` repeats."""
    bed, wanted, blocks = bed or Bed(random.Random(0).randbytes), round(seconds * SAMPLE_RATE_HZ), list[bytes]()
    sizes = itertools.cycle(splits)
    while wanted:
        blocks.append(bed.read(min(next(sizes), wanted)))
        wanted -= len(blocks[-1]) // 8
    return np.frombuffer(b"".join(blocks), np.float32).reshape(-1, CHANNELS)


def level_dbfs(samples: Samples) -> float:
    """Return the RMS level."""
    return 20 * float(np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def test_it_is_soft_steady_and_wide() -> None:
    """At its level throughout, on both sides, which differ; no click; nothing above the peak that it promises."""
    samples = heard(5)
    assert level_dbfs(samples) == pytest.approx(LEVEL_DBFS, abs=0.3)
    assert all(level_dbfs(part) == pytest.approx(LEVEL_DBFS, abs=2) for part in np.array_split(samples, 10))
    assert all(level_dbfs(side) == pytest.approx(LEVEL_DBFS, abs=0.3) for side in samples.T)
    assert abs(np.corrcoef(samples.T)).min() < 0.1
    steps = np.diff(samples, axis=0)
    assert np.abs(steps).max() < 7 * steps.std()
    assert np.abs(samples).max() <= Bed.peak


def test_it_sounds_like_distant_rain() -> None:
    """Its octaves from 100 Hz to 3.2 kHz, as shares of all: little rumble, little hiss."""
    samples = heard(5)
    power = np.abs(np.fft.rfft(samples[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    octaves = [power[(hz >= low) & (hz < 2 * low)].sum() for low in (100, 200, 400, 800, 1600)]
    shares_db = 10 * np.log10(np.array(octaves) / power.sum())
    np.testing.assert_allclose(shares_db, (-10.3, -5.6, -4.7, -6.8, -11.5), atol=1.5)
    assert power[hz > 8000].sum() < 0.01 * power.sum()


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8).filter(any))
@settings(max_examples=20, deadline=None)
def test_it_is_the_same_in_any_blocks_and_begins_without_a_click(splits: list[int]) -> None:
    """Whoever reads it, and whenever another reader goes on with it."""
    assert np.array_equal(heard(0.2), heard(0.2, splits))
    assert np.abs(heard(0.01)[0]).max() < 10 ** (LEVEL_DBFS / 20)


@pytest.mark.parametrize("tonic", range(12))
def test_a_chord_is_music_at_once_and_dies_away(tonic: int) -> None:
    """Louder than the bed within a tenth of a second, without a click, below its peak; then it dies away.

    Its tones are those that go with any chord on its root: no third.
    """
    chord = Chord(tonic, QuietBed())
    samples = heard(5.05, bed=chord) - QuietBed.LEVEL
    blocks = [level_dbfs(part) for part in np.split(samples, 101)]
    assert max(blocks) == pytest.approx(-27, abs=1.5)
    assert min(blocks[2:20]) > -33
    assert blocks[100] < -36
    assert np.abs(samples).max() + QuietBed.LEVEL <= chord.peak
    assert np.abs(np.diff(samples[::2], 2, axis=0)).max() < 0.005
    power = np.abs(np.fft.rfft(samples[: 4 * SAMPLE_RATE_HZ, 0])) ** 2
    semitones = 12 * np.log2(np.maximum(np.fft.rfftfreq(4 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ), 1) / 440) + 69 - tonic
    third = power[np.isin(np.round(semitones) % 12, (3, 4))].sum()
    assert third < 1e-3 * power.sum()


def test_in_the_end_the_bed_is_alone() -> None:
    """Nothing is left of the chord."""
    assert np.abs(heard(25.0, bed=Chord(9, QuietBed()))[-SAMPLE_RATE_HZ:] - QuietBed.LEVEL).max() == 0.0


def test_a_chord_is_the_same_in_any_blocks() -> None:
    """However the calls are split."""
    assert np.array_equal(heard(0.3, bed=Chord(9, QuietBed())), heard(0.3, (7, 960, 1), Chord(9, QuietBed())))
