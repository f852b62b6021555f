"""The built-in engine: always music, of the length, key and tempo asked for; and a bed that never ends."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synth
from builtin_engine import Bed, loudness_db, render
from composer import FASTEST_PULSE_BPM, SLOWEST_PULSE_BPM, compose, parse_key
from pcm import SAMPLE_RATE_HZ, Samples
from stations import builtin_stations
from styles import COMPS, DRUMS, MAJOR, MINOR, STYLES, choose_style, named_texture, named_voices
from values import Recipe

STATIONS = {station.key: station for station in builtin_stations()}
KEYS = ("C major", "F# minor", "Bb major", "A minor")

recipes = st.builds(
    Recipe,
    station=st.sampled_from((*STATIONS, "custom")),
    prompt=st.sampled_from(("", "techno in the rain", "no drums, harp", "日本の琴", "x" * 600)),
    duration_s=st.floats(0.0, 40.0),
    bpm=st.none() | st.integers(30, 300),
    key_scale=st.sampled_from(("", "garbage", "n/a", *KEYS)),
    time_signature=st.sampled_from(("", "2", "3", "4", "6", "7/8")),
)


def recipe(station: str = "lofi", duration_s: float = 6.0, **fields: object) -> Recipe:
    """Return the first recipe of a station, changed by `fields`."""
    first = STATIONS[station].recipe(0, duration_s)
    return dataclasses.replace(first, **fields)  # type: ignore[arg-type]


def block_levels_db(samples: Samples, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the RMS level of each block of `seconds`, in dBFS."""
    size = round(seconds * SAMPLE_RATE_HZ)
    blocks = samples[: len(samples) // size * size].reshape(-1, size * 2).astype(float)
    return np.asarray(10 * np.log10((blocks**2).mean(1) + 1e-12))


def chroma(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the share of energy of each pitch class between 110 Hz and 1 kHz (within 30 cents of the note)."""
    power = np.abs(np.fft.rfft(samples.mean(1) * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    used = (hz > 110) & (hz < 1000)
    pitch = 69 + 12 * np.log2(hz[used] / 440)
    near = np.abs(pitch - np.round(pitch)) < 0.3
    shares = np.bincount(np.round(pitch[near]).astype(int) % 12, power[used][near], 12)
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize("station", STATIONS)
def test_a_piece_is_music_from_the_first_sample_to_the_last(station: str) -> None:
    """Every station: exact length, finite, below -1 dBFS, about -22 LUFS, and at level from 0.1 s to the very end."""
    samples = render(recipe(station, 12.3), 1)
    assert samples.shape == (round(12.3 * SAMPLE_RATE_HZ), 2)
    assert samples.dtype == np.float32 and samples.flags.c_contiguous
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 10 ** (-1 / 20)
    assert -24 < loudness_db(samples.T) < -20
    levels = block_levels_db(samples, 0.1)
    assert levels[0] > -36, "starts promptly"
    assert levels[1:].min() > -50, "no hole"
    assert levels[-10:].max() > -32, "no fade at the end"


@pytest.mark.parametrize("station", STATIONS)
def test_no_click_at_the_edges_or_inside(station: str) -> None:
    """The piece begins and ends at zero, and nothing in it jumps by more than its own waves do."""
    samples = render(recipe(station, 8.0), 2)
    assert np.abs(samples[[0, -1]]).max() < 1e-3
    steps = np.abs(np.diff(samples, axis=0)).max(1)
    assert steps.max() < 0.12
    assert abs(float(samples.mean())) < 1e-3, "no direct current"


@pytest.mark.parametrize("station", STATIONS)
def test_no_harshness(station: str) -> None:
    """Less than half a percent of the energy is above 8 kHz, so that it can play for hours."""
    power = np.abs(np.fft.rfft(render(recipe(station, 10.0), 3).mean(1))) ** 2
    hz = np.fft.rfftfreq(10 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ)
    assert power[hz > 8000].sum() < 0.005 * power.sum()
    assert power[(hz > 120) & (hz < 4000)].sum() > 0.4 * power.sum(), "small loudspeakers play it too"


def test_a_seed_names_a_piece() -> None:
    """The same seed gives the same samples, another seed another piece, negative and huge seeds included."""
    asked = recipe(duration_s=4.0)
    pieces = [render(asked, seed) for seed in (0, 1, -1, 2**80)]
    assert np.array_equal(render(asked, -1), pieces[2])
    for one, other in itertools.combinations(pieces, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.9


def test_scores_differ_from_seed_to_seed() -> None:
    """Forty seeds write forty different pieces of the same recipe."""
    asked = recipe(duration_s=20.0)
    assert len({tuple((note.part, note.pitch) for note in compose(asked, seed).notes) for seed in range(40)}) == 40


@pytest.mark.parametrize("station", ["lofi", "ambient", "strings", "koto"])
@pytest.mark.parametrize("key_scale", ["D major", "F# minor"])
def test_the_key_can_be_heard(station: str, key_scale: str) -> None:
    """At least 93 % of the tonal energy lies on notes of the key; a key a tritone away would hold far less."""
    asked = recipe(station, 16.0, key_scale=key_scale, prompt=f"{station} without drums")
    shares = chroma(render(asked, 4))
    tonic, mode = parse_key(key_scale) or (0, "")
    scale = MAJOR if mode == "major" else MINOR
    assert sum(shares[(tonic + step) % 12] for step in scale) > 0.93
    assert sum(shares[(tonic + 6 + step) % 12] for step in scale) < 0.75


@given(recipes, st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_every_score_keeps_to_its_key_and_range(asked: Recipe, seed: int) -> None:
    """All pitches belong to the key (asked for, or the seed's where it is empty or garbage) and to playable octaves."""
    score = compose(asked, seed)
    if asked.key_scale in KEYS:
        assert (score.tonic, score.mode) == parse_key(asked.key_scale)
    scale = MAJOR if score.mode == "major" else MINOR
    for note in score.notes:
        if note.part != "drums":
            assert (note.pitch - score.tonic) % 12 in scale
            assert 28 <= note.pitch <= 96
        assert -1 <= note.pan <= 1 and 0 < note.velocity < 1.2 and note.length_s > 0


@given(recipes, st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_every_score_keeps_its_tempo_to_the_end(asked: Recipe, seed: int) -> None:
    """The beat is the asked tempo (times a power of two), 70-85 where none is asked; something plays in every bar."""
    score = compose(asked, seed)
    assert score.bpm == asked.bpm if asked.bpm else 70 <= score.bpm <= 85
    assert SLOWEST_PULSE_BPM <= score.pulse_bpm <= FASTEST_PULSE_BPM
    assert math.log2(score.pulse_bpm / score.bpm).is_integer()
    beats = {"3": 3, "6": 3}.get(asked.time_signature, 4)
    assert score.lead_in_s == pytest.approx(beats * 60 / score.pulse_bpm)
    bar_starts = np.arange(-1, asked.duration_s / score.lead_in_s) * score.lead_in_s
    sounding = [(note.at_s - 0.1, note.at_s + note.length_s + 0.1) for note in score.notes]
    assert all(any(start <= at <= end for start, end in sounding) for at in bar_starts)


@pytest.mark.parametrize("bpm", [64, 96, 128])
def test_the_beat_can_be_heard(bpm: int) -> None:
    """The onsets of a piece repeat at the beat: their autocorrelation peaks there rather than off it."""
    samples = render(recipe("techno", 14.0, bpm=bpm, prompt="techno"), 5)
    spectrum = np.fft.rfft(samples.mean(1))
    spectrum[90 * 14 :] = 0  # the kick drum remains: bins are 1/14 Hz apart
    hop = SAMPLE_RATE_HZ // 200
    level = np.sqrt((np.fft.irfft(spectrum).reshape(-1, hop) ** 2).mean(1))
    onsets = np.convolve(np.maximum(0, np.diff(level)), np.hanning(9))
    onsets -= onsets.mean()

    def strength(seconds: float) -> float:
        lag = round(seconds * 200)
        return float((onsets[:-lag] * onsets[lag:]).mean())

    beat_s = 60 / bpm
    assert strength(beat_s) > 2 * max(strength(beat_s * 0.88), strength(beat_s * 1.12))


@pytest.mark.parametrize("station", ["techno", "lofi", "jazz", "bossa"])
def test_drums_stand_on_the_grid_and_swing_moves_only_the_off_beats(station: str) -> None:
    """Every stroke is within 5 ms of a grid place or, off the beat in a swung style, of its delayed place."""
    score = compose(recipe(station, 30.0, prompt=station), 6)
    pair, late = 2 * score.style.swing_beats, score.style.swing * score.style.swing_beats
    assert (late > 0) == (station in ("lofi", "jazz"))
    # Between the two steps of a swung pair, the sixteenth in the middle is stretched along.
    places = [0.0, score.style.swing_beats + late, pair]
    places += [score.style.swing_beats / 2, 1.5 * score.style.swing_beats + late / 2] if pair == 1 else []
    strokes = [note.at_s * score.pulse_bpm / 60 % pair for note in score.notes if note.part == "drums"]
    assert len(strokes) > 100
    assert max(min(abs(at - place) for place in places) for at in strokes) < 0.005 * score.pulse_bpm / 60


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("soft techno for coding", "techno"),
        ("a deep drone", "focus"),
        ("koto in a garden", "koto"),
        ("restrained and sharp, a dozen trains", "lofi"),
        ("late jazz with swing", "jazz"),
        ("", "lofi"),
    ],
)
def test_a_prompt_of_the_users_own_finds_its_style(prompt: str, style: str) -> None:
    """The words of a prompt choose the style, as whole words only; lo-fi where none is known."""
    assert choose_style(Recipe("custom", prompt, 30)) is STYLES[style]


def test_a_station_plays_its_own_style_and_the_named_instrument() -> None:
    """Every station has its style; the instrument and texture of the prompt are played."""
    assert set(STATIONS) == set(STYLES)
    for key in STATIONS:
        assert choose_style(recipe(key, prompt="house techno with koto")) is STYLES[key]
    assert named_voices("vibraphone over rainfall") == ("vibes",)
    assert (named_texture("soft rainfall, vinyl"), named_texture("synthwave, window")) == ("rain", "")
    score = compose(recipe("jazz", 30.0, prompt="jazz with vibraphone, crackling vinyl"), 1)
    assert {note.voice for note in score.notes if note.part == "lead"} == {"vibes"}
    assert score.texture == "vinyl"


def test_beatless_styles_and_prompts_have_no_drums() -> None:
    """Ambient, piano and drone stations never drum, nor does any prompt that says "no drums"."""
    for asked in (recipe("ambient"), recipe("piano"), recipe("focus"), recipe("lofi", prompt="lofi, no drums")):
        assert not [note for note in compose(asked, 1).notes if note.part == "drums"]
    assert [note for note in compose(recipe("lofi"), 1).notes if note.part == "drums"]


@pytest.mark.parametrize("seed", range(6))
def test_a_piece_has_sections(seed: int) -> None:
    """Of four phrases some repeat their harmony and some bring another: A returns, B contrasts."""
    score = compose(recipe("lofi", 60.0), seed)
    roots: dict[int, int] = {}
    for note in score.notes:
        if note.part == "bass":
            roots.setdefault(math.floor(note.at_s / score.lead_in_s + 0.05), note.pitch)
    phrases = [tuple(roots[4 * phrase + bar] for bar in range(4)) for phrase in range(4)]
    assert len(set(phrases)) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C major", (0, "major")),
        ("F# minor", (6, "minor")),
        ("Bb major", (10, "major")),
        ("C♭ major", (11, "major")),
        (" e minor ", (4, "minor")),
        ("Am", (9, "minor")),
        ("", None),
        ("N/A", None),
        ("H minor", None),
        ("C", None),
    ],
)
def test_key_names(name: str, expected: tuple[int, str] | None) -> None:
    """Keys are read as ACE-Step writes them; anything else leaves the choice to the seed."""
    assert parse_key(name) == expected


@given(recipes.filter(lambda asked: asked.duration_s < 4), st.integers())
@settings(max_examples=15, deadline=None)
def test_any_recipe_renders(asked: Recipe, seed: int) -> None:
    """Whatever the recipe, down to no duration at all: the asked length, finite, below full scale."""
    samples = render(asked, seed)
    assert samples.shape == (round(asked.duration_s * SAMPLE_RATE_HZ), 2)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max(initial=0) <= 0.9


def test_every_sound_can_be_made() -> None:
    """Each voice over its range, each drum and each texture is finite, audible and dies or loops cleanly."""
    rng = np.random.default_rng(0)
    for name, voice in synth.VOICES.items():
        for pitch in (28, 60, 96):
            if isinstance(voice, synth.Struck):
                sound = synth.struck(voice, pitch, 1.0, rng)
                assert np.abs(sound[:, [0, -1]]).max() < 0.01, name
            else:
                sound = synth.sustained(voice, pitch, rng)
            assert np.isfinite(sound).all() and 0.01 < np.abs(sound).max() < 12, name
    for name in {name for pattern in DRUMS.values() for name in pattern}:
        assert np.isfinite(synth.drum(name, rng)).all()
    for name in ("rain", "stream", "vinyl", "wind", "hum"):
        assert 0.5 < float(synth.texture(name, SAMPLE_RATE_HZ, rng).std()) < 2.0, name
    assert {name for style in STYLES.values() for name in style.comps} <= COMPS.keys()


def test_convolution_is_convolution() -> None:
    """The block-wise room equals the textbook sum, cut to the length of the sound."""
    rng = np.random.default_rng(1)
    sound, response = (rng.standard_normal((2, n)).astype(np.float32) for n in (5000, 300))
    expected = [np.convolve(sound[i], response[i])[:5000] for i in range(2)]
    assert np.allclose(synth.convolve(sound, response), expected, atol=1e-3)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_bed_does_not_depend_on_the_block_size(splits: list[int], seed: int) -> None:
    """Any split of the reading gives the same samples."""
    whole, parts = Bed(seed), Bed(seed)
    expected = whole.read(sum(splits))
    got = np.concatenate([parts.read(n) for n in splits])
    assert got.dtype == np.float32 and got.shape == (sum(splits), 2)
    assert np.array_equal(got, expected)


def test_the_bed_is_soft_steady_and_seamless() -> None:
    """-38 dBFS throughout, no click where a loop closes, no repetition, wider than mono, dull above 4 kHz."""
    samples = Bed().read(30 * SAMPLE_RATE_HZ)
    assert 10 * np.log10(float((samples.astype(float) ** 2).mean())) == pytest.approx(-38, abs=0.3)
    assert np.abs(block_levels_db(samples, 0.5) + 38).max() < 2
    steps = np.diff(samples, axis=0)
    assert np.abs(steps).max() < 7 * steps.std()
    mono = samples[:, 0] + samples[:, 1]
    spectrum = np.abs(np.fft.rfft(mono, 2 * len(mono))) ** 2
    repeats = np.fft.irfft(spectrum)[: len(mono)]
    assert repeats[SAMPLE_RATE_HZ:].max() < 0.6 * repeats[0]
    assert np.corrcoef(samples[:, 0], samples[:, 1])[0, 1] < 0.8
    assert spectrum[len(spectrum) // 6 :].sum() < 0.01 * spectrum.sum()


def test_the_bed_has_the_level_asked_for() -> None:
    """The level is a parameter, in dBFS RMS; another seed is another noise."""
    quiet = Bed(seed=1, level_dbfs=-50).read(SAMPLE_RATE_HZ * 4)
    assert 20 * np.log10(float(quiet.std())) == pytest.approx(-50, abs=0.5)
    assert not np.array_equal(Bed(1).read(100), Bed(2).read(100))
