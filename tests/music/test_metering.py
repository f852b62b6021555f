"""The loudness of a programme that goes by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyloudnorm import Meter

from doubles.sounds import tone
from music.metering import FINE_FRAMES, K_WEIGHTING, LoudnessMeter, block_powers
from music.segment import SAMPLE_RATE_HZ, Samples

RNG = np.random.default_rng(5)


def restless(seconds: float) -> Samples:
    """Return noise whose level wanders over 60 dB, so that both gates have something to do."""
    n_frames = round(seconds * SAMPLE_RATE_HZ)
    steps = 10 ** (RNG.uniform(-60, 0, int(seconds) + 2) / 20)
    level = np.interp(np.arange(n_frames), np.arange(len(steps)) * SAMPLE_RATE_HZ, steps)
    return (0.3 * level[:, None] * RNG.standard_normal((n_frames, 2))).astype(np.float32)


def measured(samples: Samples, block_frames: int) -> float:
    """Return what the meter says of `samples`, fed in blocks."""
    meter = LoudnessMeter()
    for begin in range(0, len(samples), block_frames):
        meter.feed(samples[begin : begin + block_frames])
    return meter.integrated_lufs()


@pytest.mark.parametrize("seconds", [0.5, 1.37, 9.9, 10.0, 11.4, 43.21])
@pytest.mark.parametrize("block_frames", [4096, 999_999])
def test_it_says_what_pyloudnorm_says_of_the_whole(seconds: float, block_frames: int) -> None:
    """However long it is and however it is split, the loudness is that of the whole; its filters are 0.043 LU off."""
    samples = restless(seconds)
    whole = Meter(SAMPLE_RATE_HZ).integrated_loudness(samples)
    assert measured(samples, block_frames) == pytest.approx(whole + 0.043, abs=0.01)


def test_a_tone_is_as_loud_as_the_standard_says() -> None:
    """BS.1770-4: a sine of 997 Hz at full scale in one channel has -3.01 LKFS, thus in both at -20 dB as many LUFS."""
    assert measured(tone(5.0, hz=997.0), 9999) == pytest.approx(-20.0, abs=0.002)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 30.0])
def test_silence_and_next_to_nothing_have_none(seconds: float) -> None:
    """Where there is nothing to measure the loudness is minus infinity."""
    assert measured(np.zeros((round(seconds * SAMPLE_RATE_HZ), 2), np.float32), 4096) == -math.inf


def test_it_holds_but_a_few_seconds() -> None:
    """What was measured is let go of."""
    meter = LoudnessMeter()
    block = restless(1.0)
    for _ in range(60):
        meter.feed(block)
    assert sum(map(len, meter._waiting)) < 13 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("hz", [25, 40, 63, 150, 440, 1700, 3500, 5900, 6100, 8100, 10_200, 13_000, 17_800, 23_900])
def test_every_frequency_is_weighted_as_the_standard_says(hz: int) -> None:
    """By the response of its two filters, below and above what is measured at a lower rate."""
    back = np.exp(-2j * np.pi * hz / SAMPLE_RATE_HZ)
    responses = [np.polyval(above[::-1], back) / np.polyval(below[::-1], back) for above, below in K_WEIGHTING]
    weight_db = 20 * float(np.log10(np.abs(np.prod(responses))))
    assert measured(tone(5.0, hz=float(hz)), 9999) == pytest.approx(-20.691 + weight_db, abs=0.05)


@pytest.mark.parametrize("frames", [0, 479, 76_800, 200_123])
def test_it_tells_the_powers_that_are_not_weighted_too(frames: int) -> None:
    """Of every 10 ms, and of what is left at the end, as of all at once."""
    samples, meter = restless(5.0)[:frames], LoudnessMeter()
    for begin in range(0, frames, 7000):
        meter.feed(samples[begin : begin + 7000])
    weighted, plain = meter.fine_powers(), meter.plain_powers()
    assert len(weighted) == len(plain)
    assert np.allclose(plain, block_powers(samples, FINE_FRAMES), rtol=1e-5, atol=0)
