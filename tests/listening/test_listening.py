"""Recordings are judged right: each fault that is put in is found where it is, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.programme import is_rest
from listening.alignment import compare, find
from listening.listening import (
    RATE_HZ,
    Samples,
    Stretch,
    blocks,
    clicks,
    first_sound,
    largest_bend,
    largest_step,
    levels,
    loudness_lufs,
    momentary_lufs,
    neighbour_jumps,
    odd_corners,
    open_raw,
    quiet_stretches,
    silences,
    tone_levels,
)
from music.segment import Piece, Source

BLOCK_SIZES = (1, 7, 479, 480, 1000, 10**6)
each_block_size = pytest.mark.parametrize("block_frames", BLOCK_SIZES)


def sine(seconds: float, hz: float = 330.0, amplitude: float = 0.2) -> Samples:
    """Return a stereo sine."""
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.column_stack((wave, wave)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> Samples:
    """Return stereo noise, no moment of which is like another."""
    random = np.random.default_rng(seed)
    return random.normal(0, 0.1, (round(seconds * RATE_HZ), 2)).astype(np.float32)


def with_zeros(samples: Samples, begin: int, frames: int) -> Samples:
    """Return a copy with a part of it silent."""
    copy = samples.copy()
    copy[begin : begin + frames] = 0
    return copy


@each_block_size
def test_a_silence_is_found_to_the_frame(block_frames: int) -> None:
    """However the recording is cut, a silence has its exact beginning and length."""
    heard = with_zeros(np.full((3000, 2), 0.5, np.float32), 777, 1234)
    (silence,) = silences(blocks(heard, block_frames), -60.0, 0.01)
    assert (silence.begin_frame, silence.frames, silence.end_frame) == (777, 1234, 2011)


def test_silences_at_both_ends_count() -> None:
    """Silence before the first sound and after the last is silence too."""
    heard = np.zeros((5000, 2), np.float32)
    heard[2000:2500] = 0.5
    assert [(one.begin_frame, one.frames) for one in silences([heard], -60.0, 0.01)] == [(0, 2000), (2500, 2500)]


def test_nothing_but_silence_is_one_silence() -> None:
    """A recording in which nothing was played is silent from end to end."""
    (silence,) = silences(blocks(np.zeros((5000, 2), np.float32), 640), -60.0, 0.01)
    assert (silence.begin_frame, silence.frames) == (0, 5000)


def test_a_silence_needs_both_channels_and_its_length() -> None:
    """Sound at one side is sound, and what is not longer than the limit is no silence."""
    one_side = with_zeros(sine(1.0), 0, RATE_HZ)
    one_side[:, 1] = 0.5
    assert silences([one_side]) == []
    square = np.full((RATE_HZ, 2), 0.5, np.float32)
    assert silences([with_zeros(square, 100, 4800)], -60.0, 0.1) == []
    assert len(silences([with_zeros(square, 100, 4801)], -60.0, 0.1)) == 1


def test_the_threshold_of_a_silence_is_a_level() -> None:
    """-60 dBFS is an amplitude of 0.001: what is above it is heard."""
    assert silences([np.full((9600, 2), 0.00101, np.float32)]) == []
    assert len(silences([np.full((9600, 2), 0.00099, np.float32)])) == 1


@each_block_size
def test_levels_do_not_depend_on_blocks(block_frames: int) -> None:
    """A full-scale square is at 0 dBFS in each window, and windows go on over the ends of blocks."""
    heard = np.ones((2400, 2), np.float32)
    heard[960:1440] = 0.1
    assert levels(blocks(heard, block_frames)) == pytest.approx([0, 0, -20, 0, 0], abs=1e-3)


def test_a_quiet_stretch_is_not_interrupted_by_a_wave_through_zero() -> None:
    """A soft tone below the limit is quiet, a loud one with its zero crossings is not."""
    heard = np.concatenate((sine(0.5), sine(0.5, amplitude=0.002), sine(0.5)))
    (quiet,) = quiet_stretches(blocks(heard, 1000))
    assert quiet.begin_s == pytest.approx(0.5, abs=0.01)
    assert quiet.length_s == pytest.approx(0.5, abs=0.02)
    assert quiet_stretches([sine(1.0)]) == []


@each_block_size
def test_the_first_sound_is_found(block_frames: int) -> None:
    """The first frame above the limit, or none."""
    heard = np.zeros((4000, 2), np.float32)
    assert first_sound(blocks(heard, block_frames)) is None
    heard[3456:, 1] = 0.01
    assert first_sound(blocks(heard, block_frames)) == 3456


@each_block_size
def test_a_cut_is_a_click(block_frames: int) -> None:
    """Lost samples bend a smooth wave more than it does itself, wherever blocks end."""
    whole = sine(0.1)
    own = 1.5 * largest_bend([whole])
    cut = np.concatenate((whole[:2040], whole[2080:]))
    assert clicks(blocks(whole, block_frames), own) == []
    (click,) = clicks(blocks(cut, block_frames), own)
    assert abs(click - 2040) <= 2


@each_block_size
def test_the_largest_step_and_bend_do_not_depend_on_blocks(block_frames: int) -> None:
    """A step between two blocks counts."""
    heard = np.zeros((2000, 2), np.float32)
    heard[1000:, 1] = 0.25
    assert largest_step(blocks(heard, block_frames)) == 0.25
    assert largest_bend(blocks(heard, block_frames)) == 0.25


def test_a_hole_in_music_is_an_odd_corner_and_a_drum_is_not() -> None:
    """A cut does not ring on; a beat does."""
    music = sine(2.0)
    drum = noise(0.3) * np.exp(-np.arange(round(0.3 * RATE_HZ)) / 4000)[:, None].astype(np.float32)
    music[RATE_HZ : RATE_HZ + len(drum)] += drum
    assert odd_corners([music]) == []
    cut = np.concatenate((music[: RATE_HZ // 2], music[RATE_HZ // 2 + 37 :]))
    (corner,) = odd_corners(blocks(cut, 5000))
    assert abs(corner - RATE_HZ // 2) < 1000


def test_a_probe_is_found_where_it_stands() -> None:
    """Not where it is louder, and not where it only resembles."""
    heard = sine(2.0, 330.0) + 0.1 * noise(2.0)
    heard[RATE_HZ:] *= 3
    assert find(heard[12345:14393], heard) == 12345
    assert find(noise(0.1, 1), heard) is None


def test_a_faithful_recording_has_no_deviation() -> None:
    """What is played before and after does not matter, nor does rounding to 16 bit."""
    reference = noise(3.0)
    heard = np.concatenate((np.zeros((5000, 2), np.float32), np.round(reference * 32768) / 32768, noise(0.5, 2)))
    comparison = compare(heard.astype(np.float32), reference)
    assert (comparison.begin_frame, comparison.same_frames) == (5000, len(reference))
    assert comparison.deviations == []


def test_gaps_losses_and_alterations_are_told_apart() -> None:
    """Each is found at its frame and with its length."""
    reference = noise(8.0)
    silence = np.zeros((4321, 2), np.float32)
    heard = np.concatenate((reference[:90_000], silence, reference[90_000:190_000], reference[190_777:]))
    heard[300_000:300_050] = 0
    found = [(one.reference_frame, one.lost, one.inserted) for one in compare(heard, reference).deviations]
    assert found == [(90_000, 0, 4321), (190_000, 777, 0), (296_456, 50, 50)]


def test_a_lost_beginning_is_a_loss() -> None:
    """A player that swallows the first samples is found out."""
    reference = noise(2.0)
    comparison = compare(reference[1000:], reference)
    assert comparison.lost_frames == 1000
    assert comparison.same_frames == len(reference) - 1000


def test_a_recording_of_something_else_is_none_of_the_reference() -> None:
    """Nothing in common, no beginning."""
    assert compare(noise(3.0, 1), noise(3.0, 2)).begin_frame is None


def test_loudness_is_that_of_the_standard() -> None:
    """A stereo sine of 997 Hz at -23 dBFS (peak -20 dB, RMS) in both channels is at -20 LUFS (ITU-R BS.1770-4)."""
    assert loudness_lufs(sine(3.0, 997.0, 0.1)) == pytest.approx(-20.0, abs=0.1)
    assert neighbour_jumps([-23.0, -20.0, -21.0]) == [3.0, 1.0]
    assert momentary_lufs(sine(1.0, 997.0, 0.1)) == pytest.approx(np.full(7, -20.0), abs=0.1)


@pytest.mark.parametrize(
    ("begin_s", "length_s", "expected"),
    [
        (14.5, 1.0, True),  # one piece alone
        (9.4, 0.25, False),  # in the overlap, where neither piece rests
        (9.9, 1.1, True),  # the second piece's own rest, which begins as the first one ends
        (9.8, 1.1, False),  # the same made longer by the fade
        (8.0, 1.0, False),  # the second piece's own rest again, that the first one should have covered
        (1.0, 0.5, False),  # between the bed and the first piece
    ],
)
def test_a_rest_is_told_from_dead_air(begin_s: float, length_s: float, expected: bool) -> None:
    """Quiet is the music's own where one piece is heard, and a fade has neither made nor lengthened it."""
    second = with_zeros(with_zeros(sine(10.0), 2 * RATE_HZ, RATE_HZ), round(3.9 * RATE_HZ), round(1.1 * RATE_HZ))
    pieces = [Piece(samples, Source.FRESH, "") for samples in (sine(10.0), second)]
    stretch = Stretch(round(begin_s * RATE_HZ), round(length_s * RATE_HZ))
    assert is_rest(stretch, pieces, [0, 6 * RATE_HZ]) is expected


def test_a_change_of_tone_is_seen_when_it_happens() -> None:
    """The amplitude of each tone over time."""
    amplitudes = tone_levels(np.concatenate((sine(0.5, 300.0), sine(0.5, 700.0))), [300.0, 700.0])
    assert amplitudes[50] == pytest.approx([0.2, 0.0], abs=0.002)
    assert amplitudes[150] == pytest.approx([0.0, 0.2], abs=0.002)
    assert abs(int((amplitudes[:, 1] > amplitudes[:, 0]).argmax()) - 100) <= 1


def test_a_raw_file_that_is_still_written_can_be_read(tmp_path: Path) -> None:
    """A frame cut off at the end is left out, and an empty file has no frames."""
    path = tmp_path / "heard.raw"
    path.write_bytes(np.arange(6, dtype=np.float32).tobytes() + b"\0\0\0")
    assert np.array(open_raw(path)).tolist() == [[0, 1], [2, 3], [4, 5]]
    path.write_bytes(b"")
    assert open_raw(path).shape == (0, 2)


def test_who_is_started_hears_the_signals_that_the_tests_were_started_to_ignore() -> None:
    """Under nohup, or in the background of a script."""
    told = "import signal; print(*(signal.getsignal(n).name for n in (signal.SIGHUP, signal.SIGQUIT)))"
    code = f"""
import subprocess, sys
from listening.sound_room import let_signals_through
let_signals_through()
subprocess.run([sys.executable, "-c", "{told}"], check=True)
"""
    words = ["sh", "-c", 'trap "" INT HUP QUIT; exec "$0" -c "$1"', sys.executable, code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == ["SIG_DFL"] * 2
