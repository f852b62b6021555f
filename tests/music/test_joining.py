"""joining: where a piece ends, what is given to the model, where two segments meet, and whether they fit."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from doubles import composition
from doubles.sounds import there
from music import joining
from music.analysis import Segment, analyse
from music.segment import SAMPLE_RATE_HZ, Context, Continuation, Recipe, Samples, SegmentInfo

RATE = SAMPLE_RATE_HZ
REAL = Path(__file__).resolve().parents[3] / "shared" / "real_segments"
BAR_S = 2.5


@pytest.fixture(scope="module")
def first() -> Samples:
    """The first segment of a piece: 20.6 s of music, an ending, dead air."""
    return composition.excerpt(0, 30.0)


@pytest.fixture(scope="module")
def context(first: Samples) -> Samples:
    """The end of it that is to be continued."""
    span = there(
        joining.context_of(first, 0, joining.ending_begins(first, analyse(first, -45.0).cue_out_frames), 15.0, BAR_S)
    )
    return first[slice(*span)]


def test_the_ending_is_never_given_to_the_model(first: Samples) -> None:
    """The context ends before the music begins to die away, and not much earlier than that."""
    end_s = joining.ending_begins(first, analyse(first, -45.0).cue_out_frames) / RATE
    dying_from_s = 30.0 - composition.DEAD_S - composition.ENDING_S
    assert dying_from_s - 5.0 < end_s < dying_from_s


@pytest.mark.parametrize("seconds", [5.02, 5.03, 7.99, 8.0])
def test_a_context_is_whole_steps_of_what_is_there(seconds: float) -> None:
    """As many as there are behind the cue-in, and none before it."""
    samples = np.zeros((round(9 * RATE), 2), np.float32)
    first, end = there(joining.context_of(samples, RATE, round((1 + seconds) * RATE), 30.0, None))
    assert (end, (end - first) % joining.LATENT_FRAMES) == (round((1 + seconds) * RATE), 0)
    assert 0 <= first - RATE < joining.LATENT_FRAMES


def test_what_came_back_next_to_silent_is_no_match() -> None:
    """However like ours it is: raised so far, its noise would be heard."""
    assert [joining.Match(0, 10 ** (gain_db / 20), 1.0).fits for gain_db in (-20, -15, 15, 20)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real segments are not here")
@pytest.mark.parametrize("path", sorted(REAL.glob("*.wav")) if REAL.is_dir() else [], ids=lambda path: path.stem)
def test_real_segments_end_later_than_their_context(path: Path) -> None:
    """Of real segments the last second before the context's end is music: within 10 dB of the piece itself."""
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    found = analyse(samples, -45.0)
    end = joining.ending_begins(samples, found.cue_out_frames)
    assert end < found.cue_out_frames - 2.5 * RATE
    if joining.context_of(samples, found.cue_in_frames, end, 15.0, None) is None:
        pytest.skip("too short to be continued")
    level = 10 * np.log10(np.mean(samples[end - RATE : end] ** 2.0))
    whole = 10 * np.log10(np.mean(samples[found.cue_in_frames : end] ** 2.0))
    assert level > whole - 10


@pytest.mark.parametrize(
    ("there_s", "bar_s", "context_s"),
    [
        (40.0, 2.5, 15.0),
        (40.0, 2.2, 13.2),
        (40.0, None, 15.0),
        (8.0, 3.0, 6.0),
        (6.0, 8.0, 6.0),
        (9.0, 4.9, 9.0),
        (4.0, None, None),
    ],
)
def test_the_context_is_whole_bars_where_the_tempo_is_known(
    there_s: float, bar_s: float | None, context_s: float | None
) -> None:
    """At most so long, in bars if one fits, in steps of the model; none from too little music."""
    samples = np.zeros((50 * RATE, 2), np.float32)
    span = joining.context_of(samples, 2 * RATE, round((2 + there_s) * RATE), 15.0, bar_s)
    if context_s is None:
        assert span is None
        return
    assert span is not None
    begin, end = span
    assert end == round((2 + there_s) * RATE)
    assert (end - begin) / RATE == pytest.approx(context_s, abs=0.021)
    assert (end - begin) % joining.LATENT_FRAMES == 0
    assert begin >= 2 * RATE


def about(samples: Samples, continues: Continuation | None = None) -> SegmentInfo:
    """What is known of a segment of these samples."""
    recipe = Recipe("lofi", "slow beats", 30.0, composition.BPM, "A minor", "4")
    found = analyse(samples, -45.0)
    return SegmentInfo("one", recipe, "acestep", "1", "2026-01-02", found, continues=continues)


def decoded(data: bytes) -> Samples:
    """Read what is uploaded."""
    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32)


def joined_as(before: SegmentInfo, ours: Samples, place: Context, result: Samples) -> joining.Joined:
    """Join what came back for a context."""
    made = Segment(result, analyse(result, -45.0))
    return joining.join((before, ours), replace(before.recipe, continues=place), made, -45.0)


def test_the_canvas_is_the_context_with_silence_behind_it(first: Samples, context: Samples) -> None:
    """As much as is wanted and the overrun, in steps of the model."""
    place = there(joining.plan(about(first), first, 15.0, 30.0))
    canvas = decoded(joining.canvas(first, place))
    assert len(canvas) == place.canvas_frames
    assert np.allclose(canvas[: place.length_frames], context, atol=2**-23)
    assert not canvas[place.length_frames :].any()
    assert len(canvas) % joining.LATENT_FRAMES == 0
    assert (len(canvas) - len(context)) / RATE == pytest.approx(30.0 + joining.OVERRUN_S, abs=0.04)


def test_the_overrun_is_never_continued(first: Samples) -> None:
    """Of what was made as a continuation, the context ends with what was wanted of it."""
    before = Continuation("zero", 10, 0, "zero", 20.0, -23.0, -1.0, 0.0)
    information = about(first, before)
    short = replace(information, recipe=replace(information.recipe, duration_s=12.0))
    place = there(joining.plan(short, first, 15.0, 30.0))
    assert place.end_frames == round((12.0 + joining.GUARD_S) * RATE)


@pytest.mark.parametrize(("how", "gain_db"), [("newer", 0.0), ("older", 0.6)])
def test_what_fits_is_cut_to_what_is_new_and_knows_where_it_takes_over(
    first: Samples, how: str, gain_db: float
) -> None:
    """The new file begins at the join; one gain for the whole piece is kept beside it."""
    before = about(first)
    place = there(joining.plan(before, first, 15.0, 30.0))
    canvas = decoded(joining.canvas(first, place))
    result = composition.continued(canvas, place.length_frames / RATE, len(canvas) / RATE, how)
    joined = joined_as(before, first, place, result)
    after = there(joined.continues)
    assert (after.segment_id, after.piece_id, joined.misfit) == ("one", "one", "")
    assert after.begins_s == pytest.approx(after.at_frames / RATE, abs=0.1)
    ours, theirs = (
        first[after.at_frames :][:2300],
        joined.segment.samples[:2300] * np.float32(10 ** (after.gain_db / 20)),
    )
    assert np.vdot(ours, theirs) / np.vdot(ours, ours) == pytest.approx(1.0, abs=0.02)
    if how == "newer":
        assert np.abs(ours - theirs).max() < 1e-4
    assert (after.loudness_lufs, after.peak_dbfs) == (before.analysis.loudness_lufs, before.analysis.peak_dbfs)
    again = joined_as(replace(before, continues=after), first, place, result)
    assert again.continues is not None
    assert again.continues.gain_db == pytest.approx(2 * after.gain_db)
    assert again.continues.begins_s > 1.5 * after.begins_s


def test_what_ends_too_early_is_a_piece_of_its_own(first: Samples) -> None:
    """A continuation that stops after a few seconds."""
    before = about(first)
    place = there(joining.plan(before, first, 15.0, 30.0))
    canvas = decoded(joining.canvas(first, place))
    result = composition.continued(canvas, place.length_frames / RATE, len(canvas) / RATE, "newer")
    result[place.length_frames + 9 * RATE :] *= np.float32(1e-3)
    joined = joined_as(before, first, place, result)
    assert (joined.continues, joined.misfit) == (None, "ending")
    assert len(joined.segment.samples) == len(result) - place.length_frames


def repainted(context: Samples, how: str) -> Samples:
    """What a server gives back."""
    canvas = decoded(joining.canvas(context, Context("one", 0, len(context), len(context) + 42 * RATE)))
    return composition.continued(canvas, len(context) / RATE, len(canvas) / RATE, how)


def test_a_newer_server_gives_the_same_samples_up_to_a_gain(context: Samples) -> None:
    """So that the programme may switch over at a sample."""
    result = repainted(context, "newer")
    match = joining.match(context, result)
    assert (match.lag_frames, match.fade_frames, match.fits) == (0, 0, True)
    end = len(context) - round(joining.GUARD_S * RATE)
    assert np.abs(match.gain * result[:end] - context[:end]).max() < 1e-5


def test_an_older_server_gives_the_same_music_a_little_late(context: Samples) -> None:
    """A codec's round trip is aligned, levelled, and hidden by a short fade."""
    match = joining.match(context, repainted(context, "older"))
    assert match.fits
    assert abs(match.lag_frames - composition.CODEC_DELAY_FRAMES) < RATE / 1000
    assert match.fade_frames == round(joining.FADE_S * RATE)


@pytest.mark.parametrize("lag_ms", [-40, -3, 0, 7, 45])
@pytest.mark.parametrize("gain_db", [-9.0, 0.0, 6.0])
def test_any_small_lag_and_gain_are_found(context: Samples, lag_ms: int, gain_db: float) -> None:
    """Early or late, louder or softer."""
    lag = lag_ms * RATE // 1000
    moved = np.roll(context, lag, axis=0) * np.float32(10 ** (gain_db / 20))
    match = joining.match(context, moved)
    assert match.lag_frames == lag
    assert 20 * np.log10(match.gain) == pytest.approx(-gain_db, abs=0.01)
    assert match.correlation > 0.999


def test_another_piece_does_not_fit(context: Samples) -> None:
    """A server that ignored the upload, or painted everything anew."""
    assert not joining.match(context, repainted(context, "other")).fits
    assert not joining.match(context, np.zeros_like(context)).fits
    assert not joining.match(context, context[:RATE]).fits


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("newer", ""), ("older", ""), ("key", "harmony"), ("tempo", "harmony"), ("quiet", "level"), ("dying", "level"),
        ("silent", "level"), ("unchanged", "level"),
    ],
)  # fmt: skip
def test_the_guards_let_through_what_goes_on_and_nothing_else(context: Samples, how: str, why: str) -> None:
    """Level, harmony and pulse of the first seconds."""
    result = repainted(context, how)
    match = joining.match(context, result)
    assert joining.misfit(context, match.gain * result[len(context) + match.lag_frames :]) == why


def test_another_pulse_in_the_same_harmony_is_a_misfit(context: Samples) -> None:
    """The beat alone."""

    def beats(bpm: float) -> Samples:
        sound = 0.02 * np.sin(2 * np.pi * 220 * np.arange(12 * RATE) / RATE)
        noise = np.random.default_rng(1).standard_normal(1200)
        for beat in np.arange(0, 11.5, 60 / bpm):
            sound[round(beat * RATE) :][:1200] += 0.2 * noise
        return np.stack([sound, sound], axis=1).astype(np.float32)

    assert joining.misfit(beats(90), beats(90)) == ""
    assert joining.misfit(beats(90), beats(104)) == "pulse"


def test_music_without_a_pulse_is_not_judged_by_it() -> None:
    """Drones have none."""
    times = np.arange(12 * RATE) / RATE
    drone = np.stack([0.1 * np.sin(2 * np.pi * 110 * times), 0.1 * np.sin(2 * np.pi * 165 * times)], axis=1)
    assert joining.misfit(drone.astype(np.float32), drone[::-1].astype(np.float32)) == ""
