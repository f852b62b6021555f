"""A piece of several segments in the programme: joined where they meet, whatever the listener does meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.sounds import QuietBed, info, there
from music.segment import SAMPLE_RATE_HZ, Continuation, Piece, Samples, Source
from programme.mixer import Mixer
from programme.programme import Dropped, Left, Started

RATE_HZ = 1000
HEARD_S, ENDING_S = 3.0, 1.0  # of each segment before it is joined, and what it has beyond
PARTS = 6


def whole() -> Samples:
    """A long piece without two equal moments, and without a step."""
    times = np.arange(round((PARTS + 1) * HEARD_S * RATE_HZ)) / RATE_HZ
    wave = (0.1 * np.sin(2 * np.pi * (20 * times + 0.5 * times**2)) + 0.05).astype(np.float32)
    return np.stack([wave, wave], axis=1)


def part(number: int, *, source: Source = Source.FRESH, fade_s: float = 0.0, chain: str = "a") -> Piece:
    """Return the segment `number` of the piece; an ending of its own follows what is heard of it."""
    begin = round(number * HEARD_S * RATE_HZ)
    samples = whole()[begin : begin + round((HEARD_S + ENDING_S) * RATE_HZ)].copy()
    samples[round((HEARD_S + 0.1) * RATE_HZ) :] *= np.linspace(1, 0.5, len(samples) - round((HEARD_S + 0.1) * RATE_HZ))[
        :, None
    ].astype(np.float32)
    at, fade = round(HEARD_S * SAMPLE_RATE_HZ), round(fade_s * SAMPLE_RATE_HZ)
    before = Continuation(f"{chain}{number - 1}", at, fade, f"{chain}0", number * HEARD_S, -23.0, -10.0, 0.0)
    about = replace(info(HEARD_S, key=f"{chain}{number}"), continues=before if number else None)
    return Piece(samples, source, f"{chain}{number}.wav", about)


def programme() -> Mixer:
    """A mixer with a known bed at a low rate."""
    return Mixer(QuietBed(), crossfade_s=0.4, rate_hz=RATE_HZ)


def playing_first(target: Mixer) -> None:
    """Have the first segment heard, past the fade from the bed."""
    target.offer(part(0))
    target.read(RATE_HZ)


@pytest.mark.parametrize("fade_s", [0.0, 0.05])
@pytest.mark.parametrize("source", [Source.FRESH, Source.LIBRARY])
def test_a_chain_is_the_piece_itself(fade_s: float, source: Source) -> None:
    """To the sample: a switch, or a fade of the same samples, at the frame at which they meet."""
    target = programme()
    playing_first(target)
    for number in range(1, PARTS):
        target.offer(part(number, source=source, fade_s=fade_s))
    out = target.read(round((PARTS * HEARD_S - 1.0) * RATE_HZ))
    assert np.allclose(out, whole()[RATE_HZ:][: len(out)], atol=1e-6)
    started = [event.piece.key for event in target.take_events() if isinstance(event, Started)]
    assert started == [f"a{number}.wav" for number in range(PARTS)]


def test_one_gain_holds_for_a_piece_and_all_that_continues_it() -> None:
    """Where the beginning was lowered for what it met, what is joined to it is as low: no step at the join."""
    powers = np.full(100, 0.02)
    loud = Piece(10 * whole()[: 10 * RATE_HZ], Source.FRESH, "before", powers=100 * powers)
    target = Mixer(QuietBed(), crossfade_s=1.2, rate_hz=RATE_HZ)
    target.offer(loud)
    target.offer(replace(part(0), powers=powers[:40]))
    target.offer(replace(part(1), powers=powers[:40]))
    out = target.read(14 * RATE_HZ)
    begin = len(loud.samples) - round(1.2 * RATE_HZ)
    heard, own = out[begin + 2 * RATE_HZ : begin + 5 * RATE_HZ], whole()[2 * RATE_HZ : 5 * RATE_HZ]
    gain = float(heard[0, 0] / own[0, 0])
    assert gain < 0.95
    assert np.allclose(heard, gain * own, atol=1e-6)
    joined = target._voice
    assert there(joined.piece).key == "a1.wav"
    assert joined.heard == pytest.approx(gain**2 * powers[:40])


def test_what_continues_the_piece_goes_before_what_was_there_first() -> None:
    """The beginning of the next piece waits; so does a library that should go first to spread what is fresh."""
    target = programme()
    playing_first(target)
    target.prefer_library(True)
    for waiting in (part(0, chain="b"), part(0, source=Source.LIBRARY, chain="c"), part(1)):
        target.offer(waiting)
    out = target.read(round((HEARD_S + 0.5) * RATE_HZ))
    assert np.allclose(out, whole()[RATE_HZ:][: len(out)], atol=1e-6)


def test_the_library_does_not_go_on_where_fresh_music_waits() -> None:
    """A chain from the library is whole only as long as nothing better is there."""
    target = programme()
    target.offer(part(0, source=Source.LIBRARY))
    target.read(RATE_HZ)
    target.offer(part(1, source=Source.LIBRARY))
    target.offer(part(0, chain="b"))
    target.read(round(HEARD_S * RATE_HZ))
    playing = there(target.playing_piece())
    assert playing.key == "b0.wav"


def test_a_late_continuation_lets_the_piece_end_and_follows_by_a_crossfade() -> None:
    """The usual order of sources holds then; nothing steps."""
    target = programme()
    playing_first(target)
    target.read(round((HEARD_S - 0.9) * RATE_HZ))  # 0.1 s past the frame
    target.offer(part(1))
    out = target.read(2 * RATE_HZ)
    assert target.snapshot().playing.key == "a1.wav"
    assert float(np.abs(np.diff(out, axis=0)).max()) < 0.05
    assert target.snapshot().frames[Source.BED] == 0


def test_skipping_ends_the_piece_and_not_only_the_segment() -> None:
    """What would go on with it leaves the stock, and who follows the mixer learns that the piece was left."""
    target = programme()
    playing_first(target)
    target.offer(part(1))
    target.offer(part(0, chain="b"))
    target.read(10)
    target.take_events()
    target.skip()
    target.read(RATE_HZ)
    playing, events = target.playing_piece(), target.take_events()
    assert there(playing).key == "b0.wav"
    assert [event.piece.key for event in events if isinstance(event, Dropped)] == ["a1.wav"]
    assert [event.piece.key for event in events if isinstance(event, Left)] == ["a0.wav"]


def test_a_break_does_not_wait_for_the_frame_at_which_they_meet() -> None:
    """It fades to the bed at once."""
    target = programme()
    playing_first(target)
    target.offer(part(1))
    target.rest(True)
    assert np.allclose(target.read(RATE_HZ)[500:], QuietBed.LEVEL)


def test_a_lost_predecessor_makes_it_a_piece_like_others() -> None:
    """What continues something that is not heard is faded in."""
    target = programme()
    target.offer(part(0, chain="b"))
    target.read(RATE_HZ)
    target.offer(part(3))
    out = target.read(6 * RATE_HZ)
    assert target.snapshot().playing.key == "a3.wav" or target.snapshot().frames[Source.BED] > 0
    assert float(np.abs(np.diff(out, axis=0)).max()) < 0.05


def test_a_rest_that_was_cut_out_moves_the_join_with_it() -> None:
    """The frame is one of the file, not of what is left of it."""
    target = programme()
    first = part(0)
    cut = Piece(
        np.delete(first.samples, slice(500, 700), 0), first.source, first.key, first.info, parts=((0, 500), (700, 4000))
    )
    target.offer(cut)
    target.read(RATE_HZ)
    target.offer(part(1))
    out = target.read(2 * RATE_HZ)
    assert np.allclose(out, whole()[1200:][: len(out)], atol=1e-6)


commands = st.lists(
    st.tuples(
        st.integers(0, 11_990),
        st.sampled_from(["skip", "leave", "mood", "withdraw", "rest", "pause", "library"]),
    ),
    max_size=8,
)
arrivals = st.lists(
    st.tuples(st.integers(0, 11_990), st.integers(0, PARTS - 1), st.sampled_from("ab"), st.booleans()), max_size=14
)


def act(target: Mixer, command: str, at: int) -> None:
    """Do what the listener wishes."""
    if command == "skip":
        target.skip()
    elif command == "leave":
        playing = target.playing_piece()
        target.leave(playing.key if playing else "")
    elif command == "mood":
        target.withdraw(lambda piece: piece.key.startswith("a"))
        target.change_soon()
    elif command == "withdraw":
        target.withdraw(lambda _: True)
    elif command == "rest":
        target.rest(at % 2 == 0)
    elif command == "library":
        target.prefer_library(at % 2 == 0)
    else:
        target.pause(at % 2 == 0)


def perform(script: list[tuple[int, str]], coming: list[tuple[int, int, str, bool]], splits: list[int]) -> Samples:
    """Play 12 s with parts that come or not, early or late, and commands at any frame."""
    target = programme()
    target.take_events()
    out: list[Samples] = []
    todo: list[tuple[int, Callable[[], object]]] = [(at, partial(act, target, what, at)) for at, what in script]
    for at, number, chain, faded in coming:
        todo.append((at, partial(target.offer, part(number, chain=chain, fade_s=0.05 if faded else 0.0))))
    todo.sort(key=lambda line: line[0])
    at = index = 0
    while at < 12_000:
        while todo and todo[0][0] <= at:
            todo.pop(0)[1]()
        step = min([splits[index % len(splits)], 12_000 - at, *([todo[0][0] - at] if todo else [])])
        out.append(target.read(step))
        at, index = at + step, index + 1
    target.read(0)
    result = np.concatenate(out)
    events = target.take_events()
    snapshot = target.snapshot()
    gone = sum(isinstance(event, Started | Dropped) for event in events)
    assert gone + sum(snapshot.stock.values()) == len(coming), "a piece was lost"
    assert sum(snapshot.frames.values()) + snapshot.paused_frames == 12_000, "frames were lost"
    assert float(np.abs(np.diff(result, axis=0)).max()) < 0.06, "a click"
    return result


@given(commands, arrivals, st.lists(st.integers(1, 997), min_size=1, max_size=5))
def test_whatever_happens_nothing_is_lost_and_nothing_clicks(
    script: list[tuple[int, str]], coming: list[tuple[int, int, str, bool]], splits: list[int]
) -> None:
    """Frames are conserved, every piece starts, is dropped or waits, no step is heard."""
    perform(script, coming, splits)


@given(commands, arrivals, st.lists(st.integers(1, 997), min_size=1, max_size=5))
def test_any_split_joins_at_the_same_samples(
    script: list[tuple[int, str]], coming: list[tuple[int, int, str, bool]], splits: list[int]
) -> None:
    """As everywhere in the programme."""
    one, other = (perform(script, coming, sizes) for sizes in (splits, [333]))
    assert np.array_equal(one, other)
