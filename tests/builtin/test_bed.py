"""The first moment: noise from the standard library, and nothing slow before it."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builtin.bed import LEVEL_DBFS, Bed
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Samples

LIBRARIES = {"numpy", "soundfile", "soxr", "rich", "requests", "tenacity", "dotenv", "scipy", "pyloudnorm"}
SLOW = LIBRARIES | {"datetime", "tomllib", "music.stations", "programme.mixer", "screen.view"}


def heard(seconds: float, splits: Sequence[int] = (4_800,)) -> Samples:
    """Return the bed's beginning, read in blocks of the sizes `splits` repeats."""
    bed, wanted, blocks = Bed(random.Random(0).randbytes), round(seconds * SAMPLE_RATE_HZ), list[bytes]()
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


def test_nothing_slow_is_imported_before_the_first_sound() -> None:
    """What the first sound needs comes without any of what is slow to import."""
    code = f"import app, sys; print(*sorted(sys.modules.keys() & {SLOW}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == []
