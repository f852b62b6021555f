"""The first moment: noise from the standard library, and nothing slow before it."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from builtin.bed import LEVEL_DBFS, Prelude
from builtin.engine import Bed
from music.segment import CHANNELS, SAMPLE_RATE_HZ, Samples

LIBRARIES = {"numpy", "soundfile", "soxr", "rich", "requests", "tenacity", "dotenv", "scipy", "pyloudnorm"}
SLOW = LIBRARIES | {"datetime", "tomllib", "music.stations", "programme.mixer", "screen.view"}


def heard(seconds: float, gain: float = 1.0, block_frames: int = 4_800) -> Samples:
    """Return the prelude's beginning."""
    prelude = Prelude(gain, random.Random(0).randbytes)
    blocks = [prelude.read(block_frames) for _ in range(round(seconds * SAMPLE_RATE_HZ / block_frames))]
    return np.frombuffer(b"".join(blocks), np.float32).reshape(-1, CHANNELS)


def level_dbfs(samples: Samples) -> float:
    """Return the RMS level."""
    return 20 * float(np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def bands_db(samples: Samples) -> np.ndarray:
    """Return the power in octaves from 100 Hz to 3.2 kHz, relative to all."""
    power = np.abs(np.fft.rfft(samples[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    octaves = [power[(hz >= low) & (hz < 2 * low)].sum() for low in (100, 200, 400, 800, 1600)]
    relative: np.ndarray = 10 * np.log10(np.array(octaves) / power.sum())
    return relative


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_it_has_the_level_it_says(gain: float) -> None:
    """The filters' loss is made up for, and the volume counts."""
    assert level_dbfs(heard(5, gain)) == pytest.approx(LEVEL_DBFS + 20 * np.log10(gain), abs=0.3)


def test_it_sounds_like_the_bed_that_follows() -> None:
    """Within 3 dB in every octave that matters."""
    assert np.abs(bands_db(heard(5)) - bands_db(Bed().read(5 * SAMPLE_RATE_HZ))).max() < 3


def test_it_begins_without_a_click_and_is_the_same_in_any_blocks() -> None:
    """The first sample is next to nothing; the filters go on from block to block."""
    assert np.abs(heard(0.1)[0]).max() < 1e-3
    assert np.array_equal(heard(1), heard(1, block_frames=2_400))


def test_nothing_slow_is_imported_before_the_first_sound() -> None:
    """What the first sound needs comes without any of what is slow to import."""
    code = f"import app, sys; print(*sorted(sys.modules.keys() & {SLOW}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == []
