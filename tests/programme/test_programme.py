"""What is heard before there is a programme, and how the programme goes on with it."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.sounds import QuietBed, info
from music.segment import SAMPLE_RATE_HZ, Growth, Piece, Samples, Source
from programme.mixer import Mixer
from programme.programme import Beginning, First

BLOCK = 4_800
GAIN = 0.5
RNG = np.random.default_rng(1)
FILE = np.round(np.cumsum(RNG.normal(0, 0.002, (5 * SAMPLE_RATE_HZ, 2)), axis=0) % 0.2 * 32767).astype(np.int16)
ABOUT = info(5.0, key="first")


def beginning(seconds: float, cut_frames: int = 0) -> Beginning:
    """Return the first seconds of the file, without what is cut off."""
    part = FILE[cut_frames : cut_frames + round(seconds * SAMPLE_RATE_HZ)]
    about = dataclasses.replace(ABOUT, analysis=dataclasses.replace(ABOUT.analysis, cue_in_frames=cut_frames))
    return Beginning(First(Source.FRESH, about, array("h", part.tobytes()), GAIN), QuietBed())


def whole(
    key: str = "first", cut_frames: int = 0, growth: Growth | None = None, rest: tuple[int, int] | None = None
) -> Piece:
    """Return the piece that it is the beginning of, as the loader makes it, without the `rest`."""
    parts = ((cut_frames, rest[0]), (rest[1], len(FILE))) if rest else ((cut_frames, len(FILE)),)
    kept = np.concatenate([FILE[first:end] for first, end in parts])
    samples = (kept * np.float32(GAIN / 32768)).astype(np.float32)
    return Piece(samples, Source.FRESH, key, dataclasses.replace(ABOUT, segment_id=key), growth, parts=parts)


def heard(mixer: Mixer, blocks: int) -> Samples:
    """Read some blocks."""
    return np.concatenate([mixer.read(BLOCK) for _ in range(blocks)])


def begun(start: Beginning, blocks: int) -> tuple[Samples, Mixer]:
    """Have some blocks heard before there is a mixer; it goes on."""
    before = np.frombuffer(start.read(blocks * BLOCK), np.float32).reshape(-1, 2)
    mixer = Mixer(QuietBed(), crossfade_s=1.0)
    mixer.begin_with(start)
    return before, mixer


@given(st.integers(0, 12), st.integers(0, 5), st.sampled_from((0, 777)))
@settings(max_examples=30, deadline=None)
def test_the_programme_goes_on_to_the_sample(alone: int, without: int, cut_frames: int) -> None:
    """Whenever the mixer takes over, and whenever the piece is there: as if the piece had played from its beginning."""
    before, mixer = begun(beginning(2.0, cut_frames), alone)
    waiting = heard(mixer, without) if without else before[:0]
    mixer.offer(whole(cut_frames=cut_frames))
    together = np.concatenate([before, waiting, heard(mixer, 4)])
    np.testing.assert_allclose(together, whole(cut_frames=cut_frames).samples[: len(together)], atol=1e-6)
    assert mixer.snapshot().playing.elapsed_s == pytest.approx(len(together) / SAMPLE_RATE_HZ)
    assert [event.piece.key for event in mixer.take_events()] == ["first"]


def test_another_piece_is_faded_over_to_and_nothing_of_the_beginning_comes_again() -> None:
    """What was looked up first may be gone, or something better may have come."""
    _, mixer = begun(beginning(2.0), 3)
    other = Piece(np.full((3 * SAMPLE_RATE_HZ, 2), 0.1, np.float32), Source.FRESH, "other", info(3.0, key="other"))
    mixer.offer(other)
    faded = heard(mixer, 10)
    assert np.abs(faded[-BLOCK:] - 0.1).max() < 1e-6
    assert mixer.snapshot().playing.elapsed_s == pytest.approx(1.0)


def test_behind_its_end_comes_the_bed_and_the_piece_from_its_first_frame() -> None:
    """Where the disk takes so long that the beginning is over, nothing can be gone on with."""
    _, mixer = begun(beginning(0.5), 8)
    assert np.abs(heard(mixer, 2) - QuietBed.LEVEL).max() < 1e-6
    mixer.offer(whole())
    heard(mixer, 10)
    assert mixer.snapshot().playing.elapsed_s == pytest.approx(1.0)


def test_a_piece_that_is_not_made_so_far_is_not_gone_on_with() -> None:
    """It would be silent there."""
    before, mixer = begun(beginning(2.0), 5)
    mixer.offer(whole(growth=Growth(len(before))))
    assert np.square(heard(mixer, 4)).mean(axis=1).min() > 0.0
    assert mixer.snapshot().playing.elapsed_s < 0.5


def test_in_a_rest_that_was_cut_out_it_goes_on_behind_the_rest() -> None:
    """And not from its beginning once more."""
    _, mixer = begun(beginning(2.0), 5)
    rest = 4 * BLOCK, 7 * BLOCK
    mixer.offer(whole(rest=rest))
    together = heard(mixer, 5)
    samples = whole(rest=rest).samples[rest[0] :]
    np.testing.assert_allclose(together[BLOCK:], samples[BLOCK : len(together)], atol=1e-6)


def test_a_skip_before_the_piece_is_there_leads_to_the_one_after_it() -> None:
    """Whoever skips what is heard does not want to hear the rest of it."""
    _, mixer = begun(beginning(5.0), 3)
    mixer.skip()
    heard(mixer, 2)
    mixer.offer(whole())
    mixer.offer(Piece(np.full((3 * SAMPLE_RATE_HZ, 2), 0.1, np.float32), Source.FRESH, "other", info(3.0, key="other")))
    faded = heard(mixer, 7)
    assert np.abs(faded[-BLOCK:] - 0.1).max() < 1e-6
    assert [event.piece.key for event in mixer.take_events()] == ["first", "other"]


def test_a_break_before_the_piece_is_there_is_a_break() -> None:
    """The bed alone, within a crossfade; the piece comes after it."""
    _, mixer = begun(beginning(5.0), 3)
    mixer.rest(True)
    heard(mixer, 3)
    mixer.offer(whole())
    assert np.abs(heard(mixer, 10)[-BLOCK:] - QuietBed.LEVEL).max() < 1e-6
    mixer.rest(False)
    heard(mixer, 10)
    assert mixer.snapshot().playing.key == "first"


def test_peaks_are_as_high_as_in_the_programme() -> None:
    """The programme eases the highest ones down, at the same gain; what stands out for a moment too."""
    loud = array("h", [30_000, -30_000] * BLOCK)
    start = Beginning(First(Source.FRESH, ABOUT, loud, 2.0), QuietBed())
    block = np.frombuffer(start.read(BLOCK), np.float32)
    assert np.abs(block).max() == pytest.approx(start.peak, rel=1e-6)
    assert start.peak < 0.9


WISHES = ("skip", "rest", "unrest", "pause", "go on", "mute", "unmute", "change_soon", "leave", "play")


@given(
    st.lists(st.tuples(st.integers(0, 15), st.sampled_from(WISHES)), max_size=6), st.integers(0, 12), st.integers(0, 15)
)
@settings(max_examples=40, deadline=None)
def test_nothing_that_is_wished_for_in_the_first_moment_clicks(
    wishes: list[tuple[int, str]], there_at: int, other_at: int
) -> None:
    """Before the piece is there, and while it is gone on with; and there is music in the end."""
    wave = np.sin(np.arange(8 * SAMPLE_RATE_HZ) * 2 * np.pi * 100 / SAMPLE_RATE_HZ)
    file = np.round(np.stack([wave, wave], axis=1) * 3_000).astype(np.int16)
    samples = (file / 32768 * GAIN).astype(np.float32)
    about = info(8.0, key="first")
    mixer = Mixer(QuietBed(), crossfade_s=1.0)
    mixer.begin_with(Beginning(First(Source.FRESH, about, array("h", file.tobytes()), GAIN), QuietBed()))
    piece = Piece(samples, Source.FRESH, "first", about)
    other = Piece(samples, Source.FRESH, "other", dataclasses.replace(about, segment_id="other"))
    acts: dict[str, Callable[[], None]] = {
        "skip": mixer.skip, "rest": lambda: mixer.rest(True), "unrest": lambda: mixer.rest(False),
        "pause": lambda: mixer.pause(True), "go on": lambda: mixer.pause(False), "mute": lambda: mixer.mute(True),
        "unmute": lambda: mixer.mute(False), "change_soon": mixer.change_soon, "leave": lambda: mixer.leave("first"),
        "play": lambda: mixer.play(other),
    }  # fmt: skip
    parts = [mixer.read(BLOCK)]
    for block in range(40):
        for wish in (wish for at, wish in wishes if at == block):
            acts[wish]()
        if block == there_at:
            mixer.offer(piece)
        if block == there_at + other_at:
            mixer.offer(dataclasses.replace(other, key="next"))
        parts.append(mixer.read(BLOCK))
    assert np.abs(np.diff(np.concatenate(parts), axis=0)).max() < 2.5 * np.abs(np.diff(samples, axis=0)).max()
    now = mixer.snapshot()
    assert now.paused or now.resting or now.playing.source is not Source.BED
