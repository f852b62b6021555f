"""The fade between two pieces: how loud it leaves each of them, and where it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.sounds import QuietBed, clicks, info, there
from listening.listening import loudness_lufs
from music.analysis import analyse, to_piece
from music.metering import gated_lufs, step_powers
from music.segment import PEAK_LIMIT, SAMPLE_RATE_HZ, Analysis, Piece, Samples, Source
from programme.crossfade import (
    LEVELS_DB,
    SWELLS_DB,
    Crossfade,
    Law,
    Overlap,
    frames_to_meet,
    gains,
    law_for,
)
from programme.mixer import Mixer

RATE_HZ = 1000
FADE_FRAMES = 4 * RATE_HZ
Curve = npt.NDArray[np.float64]


def of_levels(*levels_db: float) -> Piece:
    """Return a piece whose seconds have these levels, as powers; its samples never rest."""
    powers = np.repeat(10.0 ** (np.array(levels_db) / 10), 10)
    return Piece(np.full((100 * len(powers), 2), 0.1, np.float32), Source.FRESH, "", powers=powers)


def overlap(going: Piece, coming: Piece, heard: Curve | None = None) -> Overlap:
    """Return the overlap of the end of a piece with the beginning of another."""
    begin = len(going.samples) - FADE_FRAMES
    return Overlap(going, begin, coming, FADE_FRAMES, (0.2, 0.2), going.powers if heard is None else heard)


def off(law: Law, going: Piece, coming: Piece) -> float:
    """Return by how much two pieces become louder or softer for a fade, in LU: the larger of both."""
    assert going.powers is not None
    assert coming.powers is not None
    at = (np.arange(40) + 0.5) * 100
    edge = law.moving_frames / 2
    course = np.interp(at, [0, edge, FADE_FRAMES - edge, FADE_FRAMES], np.array([0, 0.25, 0.25, 0.5]) * np.pi)
    falling, rising = gains(course, (0.2, 0.2), law.swell_db)
    lower = coming.powers * 10 ** (law.level_db / 10)
    mixed = falling**2 * going.powers[-40:] + rising**2 * lower[:40]
    one = gated_lufs(np.concatenate((going.powers[:-40], mixed))) - gated_lufs(going.powers)
    other = gated_lufs(np.concatenate((mixed, lower[40:]))) - gated_lufs(coming.powers)
    return float(max(abs(one), abs(other)))


PLAIN = Law(FADE_FRAMES)
SOFT, LOUD = (-32.0,) * 6, (-20.0,) * 6


@pytest.mark.parametrize(
    ("going", "coming"),
    [
        (of_levels(*SOFT, -35, -35, -20, -17), of_levels(-20, -17, -35, -35, *SOFT)),
        (of_levels(*LOUD, -20, -20, -20, -20), of_levels(-28, -28, -28, -28, *LOUD)),
        (of_levels(*SOFT, -17, -17, -20, -35), of_levels(-35, -30, -32, -28, *LOUD, *LOUD)),
    ],
    ids=["both are loud where the gains are low", "a loud end on a soft beginning", "a crescendo at the end"],
)
def test_pieces_keep_their_loudness_in_the_overlap(going: Piece, coming: Piece) -> None:
    """Neighbours stay within 1 LU of each other, where the plain fade would not leave them so."""
    law, _ = law_for(overlap(going, coming), RATE_HZ)
    assert off(PLAIN, going, coming) > 0.9
    assert off(law, going, coming) < 0.5


levels = st.lists(st.floats(-45, -15), min_size=10, max_size=20) | st.just([-25.0] * 70 + [-17.0] * 8)


@settings(max_examples=40)
@given(levels, levels)
def test_the_law_is_bounded_and_never_worse_than_the_plain_one(going: list[float], coming: list[float]) -> None:
    """Whatever meets: a swell of some decibels, the next piece at most 2 dB lower, and nobody is further off."""
    one, other = of_levels(*going), of_levels(*coming)
    law, heard = law_for(overlap(one, other), RATE_HZ)
    assert law.swell_db in SWELLS_DB
    assert law.level_db in LEVELS_DB
    assert max(LEVELS_DB) == 0
    if max(len(going), len(coming)) <= 60:
        assert off(law, one, other) <= off(PLAIN, one, other) + 1e-9
    assert heard is not None
    assert other.powers is not None
    assert len(heard) == len(other.powers)
    assert heard[40:] == pytest.approx(other.powers[40:] * 10 ** (law.level_db / 10))


def test_what_the_fade_before_has_taken_is_made_up_for() -> None:
    """A piece that has lost its loud beginning gets more of what its end meets."""
    going, coming = of_levels(-15, -15, -15, -15, *SOFT, -24, -24, -24, -24), of_levels(*(-24,) * 12)
    lost = there(going.powers).copy()
    lost[:40] *= 0.1
    usual, after_loss = (law_for(overlap(going, coming, heard), RATE_HZ)[0] for heard in (None, lost))
    assert (usual.swell_db, after_loss.swell_db) == (0.0, max(SWELLS_DB))


def test_silence_is_faded_plainly() -> None:
    """It has no loudness to be kept."""
    silent = of_levels(*(-200.0,) * 10)
    assert law_for(overlap(silent, silent), RATE_HZ)[0] == PLAIN


def test_where_powers_are_not_known_or_the_fade_is_that_of_a_skip_nothing_is_changed() -> None:
    """The plain fade is always possible."""
    going, coming = of_levels(*LOUD, *LOUD), of_levels(*SOFT, *SOFT)
    unknown = Piece(coming.samples, Source.FRESH, "")
    assert law_for(overlap(going, unknown), RATE_HZ) == (PLAIN, None)
    assert law_for(Overlap(going, 100, coming, 500, (0.2, 0.2), going.powers), RATE_HZ)[0] == Law(500)


@given(
    st.floats(0, 1), st.floats(0, 1), st.sampled_from(SWELLS_DB), st.integers(2, 900), st.floats(0, 1), st.floats(0, 1)
)
def test_a_swell_clips_nothing_and_a_hastened_fade_goes_on_where_it_is(
    one: float, other: float, swell_db: float, length: int, part: float, moving: float
) -> None:
    """The peaks stay below the limit, the ends are those of any fade, and no gain steps when it is to be quicker."""
    fade = Crossfade(length, (one, other), Law(max(1, round(moving * length)), swell_db))
    going, coming = fade.advance(length)
    assert (one * going + other * coming).max() <= max(PEAK_LIMIT, one, other) * (1 + 1e-6)
    assert going[0] == pytest.approx(min(1.0, PEAK_LIMIT / max(one, 1e-9)), abs=1e-6)
    fade.position_frames = min(length - 1, round(part * length))
    rest = fade.hastened(100)
    assert rest.angle == pytest.approx(fade.angle)
    for hastened, table in zip(rest.advance(1), (going, coming), strict=True):
        assert hastened[0] == pytest.approx(table[fade.position_frames], abs=1e-6)


def swelling(seed: int, levels_db: tuple[float, ...]) -> Samples:
    """Return noise whose seconds have some levels."""
    noise = np.random.default_rng(seed).standard_normal((len(levels_db) * SAMPLE_RATE_HZ, 2)).astype(np.float32)
    edges = np.arange(len(levels_db)) * SAMPLE_RATE_HZ
    return noise * (10 ** (np.interp(np.arange(len(noise)), edges, levels_db) / 20)).astype(np.float32)[:, None]


def test_neighbours_in_the_programme_are_within_1_lu() -> None:
    """Measured as a listener would: each from its first frame to its last, with what its neighbours add."""
    shapes = [
        (-25, -25, -40, -40, -40, -40, -40, -25, -20), (-20, -25, -45, -45, -40, -40, -30, -30, -30, -20, -18, -18),
        (-34, -34, -34, -34, -20, -20, -20, -20, -20, -20, -40, -40),
        (-20, -20, -45, -40, -40, -30, -30, -25, -22, -20),
    ]  # fmt: skip
    sounds = [swelling(seed, shape) for seed, shape in enumerate(shapes)]
    pieces = [to_piece(one, analyse(one, -60.0), -23.0, Source.FRESH, str(key)) for key, one in enumerate(sounds)]
    mixer = Mixer(QuietBed(), crossfade_s=4.0)
    for one in pieces:
        mixer.offer(one)
    begins = np.cumsum([0] + [len(one.samples) - 4 * SAMPLE_RATE_HZ for one in pieces])
    out = mixer.read(int(begins[-1]))
    parts = [out[begin : begin + len(one.samples)] for begin, one in zip(begins, pieces[:-1], strict=False)]
    found = [loudness_lufs(part) for part in parts]
    assert np.abs(np.diff(found)).max() < 1.0


@settings(max_examples=10)
@given(st.lists(st.floats(-60, 0), min_size=1, max_size=12), st.integers(0, 2**32))
def test_the_powers_of_a_piece_are_its_loudness(levels_db: list[float], seed: int) -> None:
    """Quick as they are taken, the gated loudness of them is what the meter says."""
    sound = swelling(seed % 1000, tuple(level - 20 for level in levels_db))
    assert gated_lufs(step_powers(sound)) == pytest.approx(loudness_lufs(sound) + 0.043, abs=0.06)


def beating(bpm: float | None, beat_s: float, cut_s: float = 0.0, *, builtin: bool = False) -> Piece:
    """Return a piece of 20 s, cut from a file, with a beat at `beat_s` of that; a built-in one is not measured."""
    sound = Analysis(1, 0, 1, -23.0, -1.0, "", bpm, beat_s)
    about = info(engine="builtin" if builtin else "acestep")
    about = replace(about, recipe=replace(about.recipe, bpm=round(bpm) if bpm else None), analysis=sound)
    cut = round(cut_s * SAMPLE_RATE_HZ)
    part = (cut, cut + 20 * SAMPLE_RATE_HZ)
    return Piece(
        np.zeros((20 * RATE_HZ, 2), np.float32),
        Source.FRESH,
        "",
        about,
        parts=(part,),
        sound=None if builtin else sound,
    )


def gap_s(early_frames: int, begin: int, one: Piece, other: Piece) -> float:
    """Return how far apart the nearest strokes are, halfway through the fade."""
    strokes = []
    for piece, at_s in ((one, (begin - early_frames) / RATE_HZ), (other, 0.0)):
        assert piece.sound is not None
        assert piece.sound.bpm is not None
        assert piece.sound.beat_s is not None
        beats = piece.sound.beat_s - piece.parts[0][0] / SAMPLE_RATE_HZ + np.arange(-200, 200) * 60 / piece.sound.bpm
        strokes.append(beats - at_s - 2.0)
    return float(np.abs(strokes[0][:, None] - strokes[1]).min(where=np.abs(strokes[0][:, None]) < 2, initial=9.0))


seconds = st.floats(0, 3)


@given(st.floats(55, 160), st.floats(-0.004, 0.004), st.integers(-1, 1), seconds, seconds, seconds, seconds)
def test_equal_tempi_meet_within_a_beat(
    bpm: float, off: float, octave: int, at: float, other_at: float, cut: float, other_cut: float
) -> None:
    """Wherever the beats lie and the files are cut, also half and double time: less than a beat earlier."""
    one, other = beating(bpm, at, cut), beating(bpm * (1 + off) * 2.0**octave, other_at, other_cut)
    early = frames_to_meet(one, 16_000, other, FADE_FRAMES, RATE_HZ)
    assert 0 <= early <= 60 / bpm * RATE_HZ + 1
    assert gap_s(early, 16_000, one, other) < 0.005


@given(st.floats(0, 2.9), st.integers(60, 120))
def test_bars_meet_where_both_are_known(at: float, bpm: int) -> None:
    """Of what the built-in engine plays; a fade that begins where one does is left there."""
    one, other = beating(bpm, 0.0, builtin=True), beating(bpm, 0.0, builtin=True)
    bar = 240 / bpm * RATE_HZ
    begin = 10_000 + round(at * RATE_HZ)
    early = frames_to_meet(one, begin, other, FADE_FRAMES, RATE_HZ)
    assert 0 <= early < bar
    assert min((begin - early) % bar, -(begin - early) % bar) <= 3
    on_a_bar = round(round(begin / bar) * bar)
    assert frames_to_meet(one, on_a_bar, other, FADE_FRAMES, RATE_HZ) <= 2


@pytest.mark.parametrize(
    ("one", "other", "fade_frames"),
    [
        (beating(None, 0.3), beating(90, 0.1), FADE_FRAMES),
        (beating(90, 0.3), beating(None, 0.1), FADE_FRAMES),
        (beating(90, 0.3), beating(91, 0.1), FADE_FRAMES),
        (beating(90, 0.3), beating(90, 0.1), 500),
    ],
    ids=["the one is not known", "the other is not known", "they drift apart", "a skip"],
)
def test_what_cannot_meet_fades_as_usual(one: Piece, other: Piece, fade_frames: int) -> None:
    """Unsure is no reason to move anything."""
    assert frames_to_meet(one, 16_000, other, fade_frames, RATE_HZ) == 0


@pytest.mark.parametrize("first_s", [0.05, 0.31, 0.52])
def test_strokes_fall_together_in_the_programme(first_s: float) -> None:
    """Measured and mixed: in the overlap no stroke is within a tenth of a second of another but not upon it."""
    sounds = [
        clicks(16.3, 90, at) + 0.1 * swelling(1, (-30,) * 17)[: round(16.3 * SAMPLE_RATE_HZ)] for at in (0.2, first_s)
    ]
    pieces = [to_piece(one, analyse(one, -45.0), -23.0, Source.FRESH, str(key)) for key, one in enumerate(sounds)]
    mixer = Mixer(QuietBed(), crossfade_s=4.0)
    for one in pieces:
        mixer.offer(one)
    out = mixer.read(24 * SAMPLE_RATE_HZ)
    assert sum(mixer.snapshot().frames.values()) == len(out)
    loud = np.flatnonzero(np.abs(np.diff(out[:, 0])) > 0.02)
    strokes = loud[np.flatnonzero(np.diff(loud, prepend=-SAMPLE_RATE_HZ) > SAMPLE_RATE_HZ // 10)] / SAMPLE_RATE_HZ
    gaps = np.diff(strokes[strokes > 5.0])
    assert gaps == pytest.approx(np.full(len(gaps), 60 / 90), abs=0.02)
