"""Bytes from anywhere, validated, cut and levelled."""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import CorruptSegment
from doubles.fake_audio import BAD_KINDS, bad_audio, chord, wav_bytes
from doubles.sounds import info, tone
from listening.listening import levels, quiet_stretches
from music.analysis import (
    DEAD_REST_FRAMES,
    EASE_BLOCKS,
    LEFTOVER_DB,
    LEVEL_FRAMES,
    RELEASE_DB,
    Segment,
    _blocks,
    _dead_rests,
    _easing,
    analyse,
    ingest,
    to_piece,
)
from music.audio_files import Packed
from music.decoding import read
from music.metering import PEAK_BLOCK_FRAMES, block_peaks
from music.segment import MAX_GAIN_DB, SAMPLE_RATE_HZ, Analysis, Continuation, Piece, Samples, Source, gain_db

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_segments"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real segments are not beside this repository")
CUE_DBFS = -45.0
TARGET_LUFS = -23.0


def silence(seconds: float, level_dbfs: float | None = None, seed: int = 1) -> Samples:
    """Return digital silence, or a noise floor at `level_dbfs` (RMS)."""
    frames = round(seconds * SAMPLE_RATE_HZ)
    if level_dbfs is None:
        return np.zeros((frames, 2), np.float32)
    noise = np.random.default_rng(seed).standard_normal((frames, 2))
    return (noise * 10 ** (level_dbfs / 20)).astype(np.float32)


def joined(*parts: Samples) -> Samples:
    """Return the parts one after the other."""
    return np.concatenate(parts)


def cues_s(samples: Samples) -> tuple[float, float]:
    """Return cue-in and cue-out in seconds."""
    found = analyse(samples, CUE_DBFS)
    return found.cue_in_frames / SAMPLE_RATE_HZ, found.cue_out_frames / SAMPLE_RATE_HZ


def piece_of(samples: Samples, target_lufs: float = TARGET_LUFS) -> Piece:
    """Return the samples as they would be heard."""
    return to_piece(samples, analyse(samples, CUE_DBFS), target_lufs, Source.FRESH, "k")


def loudness_of(samples: Samples) -> float:
    """Measure with the library directly."""
    from pyloudnorm import Meter

    return float(Meter(SAMPLE_RATE_HZ).integrated_loudness(samples))


# Decoding


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 2**-16),
        ("WAV", "PCM_32", 2**-16),
        ("WAV", "FLOAT", 2**-16),
        ("WAV", "DOUBLE", 2**-16),
        ("WAVEX", "PCM_24", 2**-16),
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "no suffix"])
def test_bytes_count_and_names_do_not(
    tmp_path: Path, container: str, subtype: str, tolerance: float, name: str
) -> None:
    """Any format is decoded whatever the file is called."""
    sf.write(tmp_path / "real", chord(2.0), SAMPLE_RATE_HZ, format=container, subtype=subtype)
    (tmp_path / "real").rename(tmp_path / name)
    samples = read(tmp_path / name).samples[:]
    assert samples.dtype == np.float32
    assert samples.shape == (2 * SAMPLE_RATE_HZ, 2)
    assert np.abs(samples - chord(2.0)).max() < tolerance


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 44_100, 96_000, 192_000])
def test_any_rate_becomes_48_khz(tmp_path: Path, rate: int) -> None:
    """Resampling keeps length, pitch and level."""
    tone = np.sin(2 * np.pi * 440.0 * np.arange(2 * rate) / rate).astype(np.float32) * 0.5
    sf.write(tmp_path / "a.wav", np.column_stack((tone, tone)), rate, subtype="FLOAT")
    samples = read(tmp_path / "a.wav").samples[:]
    assert abs(len(samples) - 2 * SAMPLE_RATE_HZ) <= 1
    expected = np.sin(2 * np.pi * 440.0 * np.arange(len(samples)) / SAMPLE_RATE_HZ) * 0.5
    assert np.abs(samples[4800:-4800, 0] - expected[4800:-4800]).max() < 1e-3


@pytest.mark.parametrize("rate", [11_025, 44_100, 96_000])
def test_resampling_has_no_seams(tmp_path: Path, rate: int) -> None:
    """Block by block it gives what it gives in one."""
    noise = np.random.default_rng(rate).uniform(-0.5, 0.5, (2 * rate + 7, 2)).astype(np.float32)
    noise -= noise.mean(axis=0)
    sf.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    found = read(tmp_path / "a.wav").samples[:]
    np.testing.assert_allclose(found, soxr.resample(noise, rate, SAMPLE_RATE_HZ), rtol=0, atol=2**-15)


@pytest.mark.parametrize("level_db", [-40.0, -20.0, 20.0])
def test_what_is_quiet_or_fades_in_has_its_16_bits(tmp_path: Path, level_db: float) -> None:
    """Of a file of more bits as many are kept as its peak needs, wherever that is."""
    fading = chord(4.0) * np.logspace(-4, level_db / 20, 192_000)[:, np.newaxis].astype(np.float32)
    sf.write(tmp_path / "a.wav", fading, SAMPLE_RATE_HZ, subtype="FLOAT")
    found, peak = read(tmp_path / "a.wav").samples, np.abs(fading).max()
    np.testing.assert_allclose(found[:] * max(1.0, peak), fading, rtol=0, atol=2**-14 * peak)


@pytest.mark.parametrize("channels", [1, 3, 6, 8])
def test_any_channels_become_stereo(tmp_path: Path, channels: int) -> None:
    """Mono goes to both sides; every channel beyond the second is heard on both."""
    for sounding in range(channels):
        block = np.zeros((4800, channels), np.float32)
        block[:, sounding] = chord(0.1)[:, 0]
        sf.write(tmp_path / "a.wav", block, SAMPLE_RATE_HZ, subtype="FLOAT")
        left, right = np.abs(read(tmp_path / "a.wav").samples).max(axis=0)
        assert (left > 0.01) == (sounding != 1 or channels == 1)
        assert (right > 0.01) == (sounding != 0 or channels == 1)


def test_extra_chunks_and_odd_padding_are_skipped(tmp_path: Path) -> None:
    """Chunks before and after the data do not matter."""
    plain = wav_bytes(chord(1.0))
    extra = b"JUNK" + struct.pack("<I", 5) + b"12345\0" + b"bext" + struct.pack("<I", 4) + b"abcd"
    body = plain[12:36] + extra + plain[36:] + b"LIST" + struct.pack("<I", 4) + b"INFO"
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    assert len(read(tmp_path / "a.wav").samples) == SAMPLE_RATE_HZ


@pytest.mark.parametrize("kind", BAD_KINDS)
def test_every_bad_result_is_rejected_with_a_reason(tmp_path: Path, kind: str) -> None:
    """Nothing that is no music passes."""
    (tmp_path / "a.wav").write_bytes(bad_audio(kind, 30.0))
    reasons = {
        "silent": "silent",
        "nan": "NaN",
        "short": "too short: 1.0 s of the 30 s",
        "empty": "empty",
        "garbage": "not audio",
        "truncated": "truncated",
        "web-page": "not audio",
    }
    with pytest.raises(CorruptSegment, match=reasons[kind]):
        ingest(tmp_path / "a.wav", 30.0, CUE_DBFS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_one_impossible_sample_is_enough(tmp_path: Path, value: float) -> None:
    """A single NaN would silence every filter after it."""
    samples = chord(2.0)
    samples[50_000, 1] = value
    sf.write(tmp_path / "a.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    with pytest.raises(CorruptSegment, match="no sound"):
        read(tmp_path / "a.wav")


def test_samples_beyond_full_scale_are_scaled(tmp_path: Path) -> None:
    """Float files may exceed ±1; what is measured must be what the 16-bit spool can hold."""
    samples = chord(2.0) * np.float32(8.0)
    sf.write(tmp_path / "a.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    assert np.allclose(read(tmp_path / "a.wav").samples, samples / np.abs(samples).max(), atol=2**-15)


@pytest.mark.parametrize(
    ("level", "at", "frames", "rate"),
    [
        (1000.0, 100_000, 1, SAMPLE_RATE_HZ), (-90_000.0, 0, 1, SAMPLE_RATE_HZ), (300.0, 350_000, 1, 44_100),
        (300.0, 100_000, 2_000, SAMPLE_RATE_HZ), (-60_000.0, 100_000, 2_000, 44_100), (64.0, 0, 40_000, SAMPLE_RATE_HZ),
    ],
)  # fmt: skip
def test_a_click_far_above_the_music_costs_it_no_bits(
    tmp_path: Path, level: float, at: int, frames: int, rate: int
) -> None:
    """It is clipped where the music around it ends, wherever and however long it is; a burst as well."""
    music = np.tile(chord(4.0) / np.abs(chord(4.0)).max(), (2, 1))
    clicked = music.copy()
    clicked[at : at + frames] = level
    for name, samples in (("music", music), ("clicked", clicked)):
        sf.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
    found, wanted = (read(tmp_path / f"{name}.wav").samples for name in ("clicked", "music"))
    beside, scale = np.ones(len(wanted), bool), SAMPLE_RATE_HZ / rate
    beside[max(0, round(at * scale) - 2_000) : round((at + frames) * scale) + 2_000] = False
    heard, ought = found[:][beside], wanted[:][beside]
    ought *= np.vdot(heard, ought) / np.vdot(ought, ought)
    assert np.abs(heard - ought).max() < 2**-13 * np.abs(ought).max()
    assert np.abs(ought).max() > 0.2


@pytest.mark.parametrize("peak", [2.0, 3.98, 15.0])
@pytest.mark.parametrize("at", [0, 150_000])
def test_peaks_of_hot_music_keep_their_form(tmp_path: Path, at: int, peak: float) -> None:
    """Up to 12 dB over full scale, or over the loudest of the rest: they are no clicks, the first of all as little."""
    music = chord(4.0) * np.float32(2.0 if peak < 10 else 8.0)
    music[at + 10 : at + 40] *= peak / np.abs(music[at + 10 : at + 40]).max()
    music -= music.mean(axis=0)
    sf.write(tmp_path / "a.wav", music, SAMPLE_RATE_HZ, subtype="FLOAT")
    found = read(tmp_path / "a.wav").samples[:]
    largest = float(np.abs(music).max())
    np.testing.assert_allclose(found, music / largest, rtol=0, atol=2**-14)


@pytest.mark.parametrize("silent", [0, 100_000, 300_000])
def test_music_in_the_units_of_16_bits_is_music(tmp_path: Path, silent: int) -> None:
    """Some programs write floats up to 32768: the form is kept, where silence goes before as well."""
    music = np.tile(chord(4.0), (3, 1)) * np.float32(32_767)
    music[silent:] -= music[silent:].mean(axis=0)
    music[:silent] = 0
    sf.write(tmp_path / "a.wav", music, SAMPLE_RATE_HZ, subtype="FLOAT")
    found = read(tmp_path / "a.wav").samples[:]
    np.testing.assert_allclose(found, music / np.abs(music).max(), rtol=0, atol=2**-14)


def test_a_vanished_file_is_an_os_error(tmp_path: Path) -> None:
    """Gone is not corrupt."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), whole=st.booleans(), at=st.integers(0, 4000))
def test_no_bytes_at_all_do_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes, whole: bool, at: int) -> None:
    """Whatever a server sends is music or CorruptSegment; damage anywhere in a good file too."""
    path = tmp_path_factory.mktemp("any") / "a.wav"
    good = wav_bytes(chord(2.0))
    path.write_bytes(data if whole else good[:at] + data + good[at + len(data) :])
    try:
        found = ingest(path, 0.0, CUE_DBFS)
    except CorruptSegment as error:
        assert str(error)
    else:
        assert np.isfinite(found.samples).all()
        assert np.isfinite([found.analysis.loudness_lufs, found.analysis.peak_dbfs]).all()


def test_more_than_asked_is_welcome_and_no_length_asked_rejects_none(tmp_path: Path) -> None:
    """Only under half of the asked length is too short."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(chord(3.0)))
    for asked_s in (0.0, 1.0, 5.9):
        assert isinstance(ingest(tmp_path / "a.wav", asked_s, CUE_DBFS), Segment)
    with pytest.raises(CorruptSegment, match="too short"):
        ingest(tmp_path / "a.wav", 6.1, CUE_DBFS)


def test_half_a_second_is_too_short_however_loud(tmp_path: Path) -> None:
    """The reason is the length, not the level."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(chord(0.5)))
    with pytest.raises(CorruptSegment, match=r"too short: 0\.5 s"):
        ingest(tmp_path / "a.wav", 0.0, CUE_DBFS)


@pytest.mark.parametrize("offset", [0.4, -0.2, 0.01, 3.0])
def test_a_constant_offset_is_removed(tmp_path: Path, offset: float) -> None:
    """It costs headroom and clicks at both ends; each channel may have its own."""
    shifted = chord(3.0) + np.array([offset, -offset / 2], np.float32)
    sf.write(tmp_path / "a.wav", shifted, SAMPLE_RATE_HZ, subtype="FLOAT")
    samples = read(tmp_path / "a.wav").samples[:]
    assert np.abs(samples.mean(axis=0)).max() < 1e-4
    assert np.abs(samples - chord(3.0)).max() < 2e-3


def test_a_moment_of_sound_in_a_long_silence_is_rejected(tmp_path: Path) -> None:
    """Under a second of music is none."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(joined(silence(10.0), chord(0.6), silence(19.0))))
    with pytest.raises(CorruptSegment, match="almost silent"):
        ingest(tmp_path / "a.wav", 30.0, CUE_DBFS)


@pytest.mark.parametrize("level_dbfs", [None, -65.0, -90.0])
def test_silence_is_rejected_with_and_without_noise(level_dbfs: float | None) -> None:
    """A faint noise floor is silence, and a click or an offset in it is no music."""
    samples = silence(10.0, level_dbfs)
    clicked = samples.copy()
    clicked[100_000] = 0.9
    for silent in (samples, clicked, samples + np.float32(0.5)):
        with pytest.raises(CorruptSegment, match="silent"):
            analyse(silent, CUE_DBFS)


# Cue points


@pytest.mark.parametrize("gain_db", [-30.0, -12.0, 0.0, 6.0])
@pytest.mark.parametrize("floor_below_db", [None, -35.0])
def test_dead_head_and_tail_are_cut_at_any_loudness(gain_db: float, floor_below_db: float | None) -> None:
    """The cue points bound the music, however loud the recording, with or without a noise floor."""
    floor = None if floor_below_db is None else loudness_of(chord(10.0)) + floor_below_db
    whole = joined(silence(2.0, floor), chord(10.0), silence(6.0, floor, seed=2)) * np.float32(10 ** (gain_db / 20))
    cue_in_s, cue_out_s = cues_s(whole)
    assert 1.95 <= cue_in_s <= 2.0
    assert 12.0 <= cue_out_s <= 12.1


def test_a_rest_inside_the_music_is_never_cut() -> None:
    """However long a rest is, what follows it is music."""
    for rest_s in (0.5, 3.0, 8.0):
        cue_in_s, cue_out_s = cues_s(joined(chord(5.0), silence(rest_s), chord(1.0), silence(5.0)))
        assert cue_in_s == 0.0
        assert 6.0 + rest_s <= cue_out_s <= 6.1 + rest_s


def test_a_last_short_note_after_a_rest_is_music() -> None:
    """A note of a quarter of a second is kept."""
    assert cues_s(joined(chord(5.0), silence(1.5), chord(0.25), silence(5.0)))[1] >= 6.75


@pytest.mark.parametrize("click_frames", [1, 48, 960, 3840])
def test_a_click_in_the_dead_parts_does_not_defeat_the_cut(click_frames: int) -> None:
    """Up to 80 ms of crackle, alone in head or tail, is no music."""
    whole = joined(silence(4.0, -60.0), chord(6.0), silence(6.0, -60.0))
    for at_s in (1.0, 13.0, 15.0):
        at = round(at_s * SAMPLE_RATE_HZ)
        whole[at : at + click_frames] = 0.3 * (-1.0) ** np.arange(click_frames)[:, np.newaxis]
    cue_in_s, cue_out_s = cues_s(whole)
    assert 3.95 <= cue_in_s <= 4.0
    assert 10.0 <= cue_out_s <= 10.1


def test_a_fade_out_is_followed_down_to_the_threshold() -> None:
    """A musical fade-out is kept while it can be heard beside the next piece, and not much longer."""
    fade = chord(12.0) * np.logspace(0, -3, 12 * SAMPLE_RATE_HZ)[:, np.newaxis].astype(np.float32)
    whole = joined(chord(10.0), fade, silence(5.0))
    _, cue_out_s = cues_s(whole)
    heard = piece_of(whole).samples[:]
    last_db = 20 * np.log10(np.sqrt(np.mean(heard[-4800:-480] ** 2)))
    assert -52.0 < last_db < -45.0
    assert 14.0 < cue_out_s < 22.0


def test_a_decay_below_the_threshold_is_not_chopped() -> None:
    """The cue-out lies beyond the threshold crossing, where the decay has gone on falling."""
    decay = chord(1.5) * np.logspace(0, -3, 72_000)[:, np.newaxis].astype(np.float32)
    whole = joined(chord(10.0), decay, silence(5.0))
    levels = _blocks(Packed.of(piece_of(whole).samples))[2]
    assert CUE_DBFS - RELEASE_DB - 1 < levels[:-2].min() < CUE_DBFS - 2


def test_an_abrupt_end_and_start_do_not_click() -> None:
    """Music cut in mid-wave fades over a few milliseconds at both edges."""
    whole = chord(12.0)
    first = int(np.abs(whole[:4800, 0]).argmax())
    last = 480_000 + int(np.abs(whole[480_000:484_800, 0]).argmax())
    heard = piece_of(whole[first:last]).samples[:]
    assert np.abs(heard[0]).max() < 1e-6
    assert np.abs(heard[-1]).max() < 1e-6
    steps = np.abs(np.diff(heard, axis=0)).max()
    assert steps <= 1.05 * np.abs(np.diff(heard[4800:-4800], axis=0)).max()


def test_the_cue_points_do_not_depend_on_the_target() -> None:
    """What is stored in a file holds for any TARGET_LUFS."""
    whole = joined(chord(10.0), silence(5.0))
    assert len(piece_of(whole, -14.0).samples) == len(piece_of(whole, -30.0).samples)


def test_what_continues_a_segment_begins_as_it_is() -> None:
    """It is joined at its first frame, where a softened edge would be heard; its end is softened all the same."""
    found = analyse(chord(2.0), CUE_DBFS)
    before = Continuation("a", 0, 0, "a", 0.0, found.loudness_lufs, found.peak_dbfs, 0.0)
    alone, joined_on = (
        np.asarray(to_piece(chord(2.0), found, TARGET_LUFS, Source.FRESH, "k", about).samples)
        for about in (None, replace(info(2.0), analysis=found, continues=before))
    )
    assert np.abs(alone[:10]).max() < 0.001 < 0.01 < np.abs(joined_on[:10]).max()
    assert np.array_equal(alone[1000:], joined_on[1000:])


def test_the_loudness_is_that_of_what_is_left_between_long_rests() -> None:
    """Not of the rests: what surrounds them would pass the gates, and the piece be played too loud."""
    heard = piece_of(joined(*[tone(0.7), silence(2.0)] * 8, tone(0.7)))
    assert analyse(heard.samples, CUE_DBFS).loudness_lufs == pytest.approx(TARGET_LUFS, abs=0.1)


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 0.4, 0.41])
def test_short_sounds_are_measured(seconds: float) -> None:
    """Below the 0.4 s that the standard needs, the plain power stands in."""
    found = analyse(chord(seconds), CUE_DBFS)
    assert np.isfinite(found.loudness_lufs)
    assert len(piece_of(chord(seconds)).samples) == round(seconds * SAMPLE_RATE_HZ)


def test_no_frames_at_all_are_silent() -> None:
    """Nothing is silent, not an IndexError."""
    with pytest.raises(CorruptSegment, match="silent"):
        analyse(silence(0.0), CUE_DBFS)


def leftover(rest_s: float, level_db: float, seconds: float, before_s: float = 14.0) -> Samples:
    """Return music, a rest, and something after it."""
    return joined(chord(before_s), silence(rest_s), chord(seconds) * np.float32(10 ** (level_db / 20)))


def test_a_leftover_after_a_rest_is_cut_with_the_rest() -> None:
    """Short and much weaker after over 0.6 s of rest: the music ends before the rest, also before several of them."""
    for whole in (leftover(1.0, -16.5, 1.5), leftover(0.7, -12.0, 0.3), leftover(3.0, -20.0, 3.0)):
        assert 14.0 <= cues_s(whole)[1] <= 14.1
    twice = joined(leftover(1.0, -16.5, 1.5), silence(1.0), chord(0.5) * np.float32(0.1))
    assert 14.0 <= cues_s(twice)[1] <= 14.1


@pytest.mark.parametrize(
    "whole",
    [
        leftover(0.4, -16.5, 1.5),
        leftover(1.0, -3.0, 1.5),
        leftover(1.0, -16.5, 6.0),
        leftover(1.0, -16.5, 1.5, before_s=4.0),
        leftover(3.0, 0.0, 8.0, before_s=10.0),
    ],
    ids=["a short rest", "as loud", "long", "a large part", "music"],
)
def test_music_after_a_rest_is_no_leftover(whole: Samples) -> None:
    """All three must hold: a real rest before it, short, and much weaker."""
    assert cues_s(whole)[1] == pytest.approx(len(whole) / SAMPLE_RATE_HZ, abs=0.1)


@pytest.mark.parametrize("rest_s", [0.7, 0.85, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("floor_dbfs", [None, -80.0, -56.0])
def test_no_rest_is_heard_as_a_failure_and_no_music_is_lost(rest_s: float, floor_dbfs: float | None) -> None:
    """Below -50 dBFS never for over 0.8 s, in silence as in noise; what is louder is all there."""
    heard = piece_of(joined(chord(6.0), silence(rest_s, floor_dbfs), chord(5.0, 1))).samples[:]
    levels = 10 * np.log10(np.mean(heard[: len(heard) // 480 * 480].reshape(-1, 960) ** 2, axis=1) + 1e-20)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], levels < -50, [0])).astype(int))).reshape(-1, 2)
    assert np.diff(edges, axis=1).max(initial=0) <= 80
    assert (levels >= -50).sum() >= 100 * 10.9
    assert loudness_of(heard) == pytest.approx(TARGET_LUFS, abs=0.15)


# Level


def test_the_gain_is_to_the_target_and_below_the_peak_limit() -> None:
    """One gain: the target, unless the peak or the noise forbid it."""
    assert gain_db(-18.0, -3.0, -23.0) == -5.0
    assert gain_db(-28.0, -3.0, -23.0) == 2.0
    assert gain_db(-60.0, -50.0, -23.0) == MAX_GAIN_DB


@pytest.mark.parametrize("gain_db", [-25.0, -6.0, 3.0])
def test_pieces_are_heard_at_the_target(gain_db: float) -> None:
    """Loudness is that of the audible part, measured by the standard's own meter."""
    whole = joined(silence(5.0), chord(10.0), silence(15.0)) * np.float32(10 ** (gain_db / 20))
    assert loudness_of(piece_of(whole).samples[:]) == pytest.approx(TARGET_LUFS, abs=0.1)


def test_peaks_stay_below_the_limit_and_quiet_pieces_still_reach_the_target() -> None:
    """Up to 2 dB of the highest peaks are eased, smoothly; the rest of the piece is only scaled."""
    samples = chord(20.0) * np.float32(10 ** ((-24.0 - loudness_of(chord(20.0))) / 20))
    samples[480_000:480_200] *= np.float32(0.9 / np.abs(samples[480_000:480_200]).max())
    heard = piece_of(samples).samples[:]
    assert np.abs(heard).max() <= 10 ** (-1 / 20) + 1e-6
    assert loudness_of(heard) == pytest.approx(TARGET_LUFS, abs=0.15)
    before, after = samples[4800:400_000], heard[4800:400_000]
    gain = np.vdot(before, after) / np.vdot(before, before)
    assert np.abs(after - gain * before).max() < 2 / 32768  # the pieces have 16 bits


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9_599), st.floats(0.0, 4.0)), max_size=20))
def test_easing_holds_every_peak(peaks: list[tuple[int, float]]) -> None:
    """Wherever peaks stand, none passes the limit, and the gain only ever lowers."""
    samples = silence(0.2)
    for at, height in peaks:
        samples[at] = height
    gain = _easing(block_peaks(samples, PEAK_BLOCK_FRAMES), len(samples), 10 ** (-1 / 20), EASE_BLOCKS)
    assert (gain <= 1.0).all()
    assert np.abs(samples * gain).max(initial=0.0) <= 10 ** (-1 / 20) + 1e-6


@pytest.mark.parametrize("clicks", [[100], [100, 96_000, 200_000], [150_000, 150_001, 150_002]])
@pytest.mark.parametrize("height", [1.0, -1.0])
def test_clicks_do_not_decide_the_loudness(tmp_path: Path, clicks: list[int], height: float) -> None:
    """The music is heard at the target, the click stays below the limit, and around it the music does not move."""
    music = chord(6.0) * np.float32(10 ** ((-35.0 - loudness_of(chord(6.0))) / 20))
    clicked = music.copy()
    clicked[clicks, 0] = height
    sf.write(tmp_path / "a.wav", clicked, SAMPLE_RATE_HZ, subtype="FLOAT")
    found = ingest(tmp_path / "a.wav", 0.0, CUE_DBFS)
    clean = piece_of(music).samples[:]
    heard = to_piece(found.samples, found.analysis, TARGET_LUFS, Source.FRESH, "k").samples[:]
    assert np.abs(heard).max() <= 2.1 * np.abs(clean).max()
    assert loudness_of(heard) == pytest.approx(TARGET_LUFS, abs=0.1)
    near = 5 * SAMPLE_RATE_HZ // 1000
    mask = np.all([np.abs(np.arange(len(heard)) - at) > near for at in clicks], axis=0)
    assert np.abs(heard[mask] - clean[mask]).max() < 0.01 * np.abs(clean).max()


def test_loud_hits_are_no_clicks() -> None:
    """What peaks again and again is the music's own peak, and holds the gain down but for the usual easing."""
    hits = chord(6.0) * np.float32(0.1)
    for at in range(0, len(hits) - 480, SAMPLE_RATE_HZ // 4):
        hits[at : at + 480] = 0.9 * np.sin(np.arange(480) / 10)[:, np.newaxis]
    assert analyse(hits, CUE_DBFS).peak_dbfs == pytest.approx(20 * np.log10(0.9), abs=0.1)


def test_measurements_that_do_not_fit_are_bounded() -> None:
    """Cue points beyond the samples give a shorter piece, never an error."""
    odd = Analysis(10_000, 500, 99_999, -20.0, -3.0)
    assert len(to_piece(chord(0.1), odd, TARGET_LUFS, Source.LIBRARY, "k").samples) == 4800 - 500
    beyond = Analysis(10_000, 9_000, 9_999, -20.0, -3.0)
    assert len(to_piece(chord(0.1), beyond, TARGET_LUFS, Source.LIBRARY, "k").samples) == 0


# The real segments


@functools.cache
def real_pieces() -> tuple[tuple[Samples, Analysis, Piece], ...]:
    """Return all real segments, ingested and as they would be heard."""
    found = [ingest(path, 30.0, CUE_DBFS) for path in sorted(REAL.glob("*.wav"))]
    return tuple(
        (
            one.samples[:],
            one.analysis,
            to_piece(one.samples, one.analysis, TARGET_LUFS, Source.FRESH, str(number)),
        )
        for number, one in enumerate(found)
    )


@needs_real
def test_real_tails_are_cut_and_no_music_with_them() -> None:
    """What is cut lies far below the music: nowhere as loud as -43 dBFS for 0.1 s, as it would be heard.

    A leftover of the ending behind a rest may be as loud as 10 dB below the music.
    """
    for samples, found, piece in real_pieces():
        assert len(piece.samples) < len(samples) - SAMPLE_RATE_HZ
        gain = gain_db(found.loudness_lufs, found.peak_dbfs, TARGET_LUFS)
        for dead in (samples[: found.cue_in_frames], samples[found.cue_out_frames :]):
            blocks = dead[: len(dead) // 4800 * 4800].astype(np.float64).reshape(-1, 9600)
            levels = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-20) + gain
            assert levels[:6].max(initial=-99.0) < -43.0
            assert levels.max(initial=-99.0) < TARGET_LUFS - LEFTOVER_DB
            assert (levels > -43.0).sum() <= 15


@needs_real
def test_real_neighbours_are_equally_loud() -> None:
    """At most 1 LU between neighbours at the 95th percentile, in any order; peaks at most -1 dBFS."""
    loudness = np.array([loudness_of(piece.samples[:]) for _, _, piece in real_pieces()])
    assert np.abs(loudness - TARGET_LUFS).max() < 0.5
    assert np.ptp(loudness) < 1.0
    assert max(float(np.abs(piece.samples).max()) for _, _, piece in real_pieces()) <= 10 ** (-1 / 20) + 1e-6


@needs_real
def test_the_programme_of_real_segments_has_no_holes() -> None:
    """In a crossfade of 4 s nothing falls below -50 dBFS for over 0.25 s, whichever piece follows which.

    A rest of the music itself, in either piece, is no hole.
    """
    fade = 4 * SAMPLE_RATE_HZ
    up = np.sin(np.linspace(0, np.pi / 2, fade))[:, np.newaxis]

    def quiet(samples: Samples) -> np.ndarray:
        return np.asarray(np.mean(samples.reshape(-1, 960) ** 2, axis=1) < 10 ** (-50 / 10))

    pieces = [piece.samples for _, _, piece in real_pieces()]
    for out, new in itertools.permutations(pieces, 2):
        overlap = out[-fade:] * up[::-1] + new[:fade] * up
        hole = quiet(overlap) & ~quiet(out[-fade:]) & ~quiet(new[:fade])
        edges = np.flatnonzero(np.diff(np.concatenate(([0], hole.astype(int), [0])))).reshape(-1, 2)
        assert max((end - start for start, end in edges), default=0) <= 25


@needs_real
def test_real_segments_have_no_rest_that_is_taken_for_a_failure() -> None:
    """No stretch below -50 dBFS over 0.8 s, which they have up to 3 s long, and little else is gone than rests."""
    for samples, found, piece in real_pieces():
        assert not quiet_stretches([piece.samples[:]], -50.0, 0.8)
        gain = gain_db(found.loudness_lufs, found.peak_dbfs, TARGET_LUFS)
        before = levels([samples[found.cue_in_frames : found.cue_out_frames]]) + gain
        assert (levels([piece.samples[:]]) > -50.0).sum() == pytest.approx((before > -50.0).sum(), abs=8)


def test_dead_rests_are_shortened_and_music_is_not() -> None:
    """Two seconds of silence inside a segment become 0.2 s; a soft passage of the same length stays."""
    one = tone(4.0, amplitude=0.2)
    soft, dead = tone(2.0, amplitude=0.02), np.zeros((2 * SAMPLE_RATE_HZ, 2), np.float32)
    samples = np.concatenate([one, soft, one, dead, one])
    piece = to_piece(samples, analyse(samples, -45.0), -23.0, Source.FRESH, "rests")
    assert len(piece.samples) / SAMPLE_RATE_HZ == pytest.approx(14.2, abs=0.05)
    quiet = np.abs(piece.samples).max(axis=1) < 10 ** (-60 / 20)
    longest = int(np.diff(np.flatnonzero(~quiet)).max())
    assert longest <= DEAD_REST_FRAMES + 2 * LEVEL_FRAMES
    assert np.abs(np.diff(piece.samples, axis=0)).max() < 0.02


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=6), st.integers(0, 2 * LEVEL_FRAMES))
def test_only_silence_is_left_out_of_rests(rests: list[int], shift: int) -> None:
    """Wherever a rest begins, every frame that sounds is kept, and no rest stays longer than 0.2 s and two blocks."""
    heard = np.full((shift + 1, 2), 0.1, np.float32)
    for rest in rests:
        heard = joined(heard, np.zeros((rest, 2), np.float32), np.full((1, 2), 0.1, np.float32))
    parts = np.split(heard, _dead_rests(block_peaks(heard, LEVEL_FRAMES)).ravel())
    kept, left_out = np.concatenate(parts[::2])[:, 0], parts[1::2]
    assert not any(part.any() for part in left_out)
    assert all(len(part) for part in left_out)
    assert np.diff(np.flatnonzero(kept)).max() <= DEAD_REST_FRAMES + 2 * LEVEL_FRAMES
