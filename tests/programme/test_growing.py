"""Built-in pieces that are heard while they are made, and openings that wait on the disk for the next session."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from doubles.simulated_time import FakeClock
from doubles.sounds import LOFI, PIANO, QuietBed, performed, there, tone
from listening.listening import loudness_lufs
from music import audio_files
from music.metering import step_powers
from music.segment import SAMPLE_RATE_HZ, Growth, Performance, Piece, Recipe, Samples, Source
from music.stations import Mood, builtin_stations
from music.taste import KINDS, Opinion, Taste
from programme.mixer import Mixer
from programme.openings import Openings
from programme.performances import BuiltinSupply
from programme.programme import MixerSnapshot, PlayingView
from programme.supplies import Levels

LEVELS = Levels(-23.0, -45.0)
SECOND = SAMPLE_RATE_HZ
STRETCH = 2 * SECOND


class Engine:
    """Tones of 12 s in stretches of two; `on_stretch` is called before each, with its number."""

    def __init__(self) -> None:
        self.on_stretch: Callable[[int], None] = lambda number: None
        self.begun: list[int] = []
        self.made = 0

    def piece(self, seed: int) -> Samples:
        """Return the whole piece of a seed."""
        return tone(12.0, hz=200 + seed % 500)

    def __call__(self, recipe: Recipe, seed: int) -> Performance:
        """Begin a piece; its first two stretches are its opening."""
        self.begun.append(seed)
        whole = performed(self.piece(seed), STRETCH)

        def stretches() -> Iterator[Samples]:
            for number, stretch in enumerate(whole.stretches):
                self.on_stretch(number)
                self.made += 1
                yield stretch

        return dataclasses.replace(whole, opening_frames=2 * STRETCH, stretches=stretches())


def supply(engine: Engine, mood: Mood, openings: Openings | None = None, *, growing: bool = True) -> BuiltinSupply:
    """Return a supply that nobody has asked yet."""
    return BuiltinSupply(engine, mood, LEVELS, FakeClock(), 10, openings=openings, growing=growing)


def supply_with_likes(engine: Engine, mood: Mood) -> tuple[BuiltinSupply, list[str]]:
    """Return one, and the keys of what is liked, to be added to."""
    target, liked = supply(engine, mood), list[str]()
    target.is_liked = liked.__contains__
    return target, liked


def gain_of(piece: Piece, whole: Samples) -> float:
    """Return the gain of a piece over what the engine made."""
    return float(np.abs(piece.samples[:SECOND]).max() / np.abs(whole[:SECOND]).max())


def test_the_first_piece_of_a_mood_is_there_when_four_seconds_of_it_are() -> None:
    """What is handed over is a piece of full length that goes on growing, and in the end is whole."""
    engine, mood = Engine(), Mood(LOFI)
    target = supply(engine, mood)
    early: list[tuple[int, int, int]] = []

    def look(number: int) -> None:
        if len(engine.begun) == 1 and number >= 2 and (piece := target.next()):
            early.append((number, piece.ready_frames, len(piece.samples)))
            engine.piece_taken = piece  # type: ignore[attr-defined]

    engine.on_stretch = look
    target.step()
    assert early == [(2, 2 * STRETCH, 6 * STRETCH)]
    piece: Piece = engine.piece_taken  # type: ignore[attr-defined]
    whole = engine.piece(11)
    assert piece.ready_frames == len(piece.samples)
    assert there(piece.growth).ended.is_set()
    np.testing.assert_allclose(piece.samples[:], gain_of(piece, whole) * whole, atol=4e-5)  # 16 bits


def test_of_the_next_piece_there_is_the_opening_until_it_is_heard() -> None:
    """A whole one would be 40 MB for minutes; the rest follows the opening as if it had been made at once."""
    engine, mood = Engine(), Mood(LOFI)
    target = supply(engine, mood)
    target.step()
    assert target.next() is not None
    target.step()
    piece = there(target.next())
    assert piece.ready_frames == 2 * STRETCH
    assert piece.ready_powers == pytest.approx(step_powers(piece.samples[: 2 * STRETCH]), rel=0.01)
    assert not there(piece.growth).ended.is_set()
    target.heard(piece)
    assert target.wanted
    target.step()
    assert piece.ready_frames == len(piece.samples) == 6 * STRETCH
    assert there(piece.growth).ended.is_set()
    whole = engine.piece(engine.begun[1])
    np.testing.assert_allclose(piece.samples[:], gain_of(piece, whole) * whole, atol=8e-5)  # 16 bits, twice
    assert piece.ready_powers == pytest.approx(step_powers(piece.samples[:]), rel=0.01)


def test_the_next_opening_is_there_before_the_rest_of_what_is_heard() -> None:
    """Who skips again finds another piece; and one that was skipped before its rest was begun needs none."""
    engine = Engine()
    target = supply(engine, Mood(LOFI))
    heard = []
    for _ in range(2):
        target.step()
        heard.append(there(target.next()))
    target.heard(heard[1])
    target.heard(Piece(heard[0].samples, heard[0].source, "another", heard[0].info))
    made: list[int] = []
    engine.on_stretch = lambda _number: made.append(engine.begun[-1])
    target.step()
    assert set(made) == {engine.begun[2]}
    assert heard[1].ready_frames == 2 * STRETCH
    assert there(heard[1].growth).ended.is_set()
    target.heard(heard[1])  # the listener goes back to it
    assert not there(heard[1].growth).ended.is_set()
    target.step()
    assert heard[1].ready_frames == 6 * STRETCH


def test_the_first_piece_of_a_mood_rests_too_while_others_are_heard() -> None:
    """It may be heard in an hour, or never."""
    target = supply(Engine(), Mood(LOFI))
    target.heard(Piece(tone(1.0), Source.FRESH, "fresh"))
    target.step()
    assert there(target.next()).ready_frames == 2 * STRETCH


class Loud(Engine):
    """Tones of a minute and a half, 2 LU louder than is told of them."""

    def piece(self, seed: int) -> Samples:
        return tone(90.0, hz=400)

    def __call__(self, recipe: Recipe, seed: int) -> Performance:
        return dataclasses.replace(super().__call__(recipe, seed), loudness_lufs=-21.0)


def test_a_gain_does_not_step_where_the_whole_comes_late() -> None:
    """On a slow machine it may take longer than until the gain would move: then it moves behind what is heard.

    That is how far the piece has come, however long it stood still.
    """
    engine = Loud()
    target = supply(engine, Mood(LOFI))
    pieces: list[Piece] = []

    def wait(number: int) -> None:
        if number == 3:
            pieces.append(there(target.next()))
            target.heard(pieces[0])
        elif number == 10:
            target.snapshot = lambda: MixerSnapshot(PlayingView(Source.BUILTIN, elapsed_s=31.0))
            target._clock.time_s += 3600.0  # type: ignore[attr-defined] # as it stood paused

    engine.on_stretch = wait
    target.step()
    heard = pieces[0].samples[:]
    levels = np.abs(heard.reshape(-1, SECOND // 10 * 2)).max(axis=1)
    assert levels[:330] == pytest.approx(levels[0], rel=1e-3)
    assert loudness_lufs(heard[-10 * SECOND :]) == pytest.approx(-23.0, abs=0.1)


def test_a_piece_comes_to_its_measured_loudness_on_the_way() -> None:
    """It begins as pieces usually are; when it is whole, its gain moves to the right one within 20 s."""
    engine = Loud()
    target = supply(engine, Mood(LOFI))
    target.step()
    piece = there(target.next())
    begun, settled = (loudness_lufs(piece.samples[at * SECOND : (at + 10) * SECOND]) for at in (5, 40))
    assert begun == pytest.approx(loudness_lufs(engine.piece(0)) - 2.0, abs=0.1)
    assert settled == pytest.approx(-23.0, abs=0.1)


def test_where_pieces_are_files_one_that_is_gone_back_to_is_whole() -> None:
    """What VLC is given is all that it plays: what lacks would be minutes of silence."""
    engine = Engine()
    target = supply(engine, Mood(LOFI), growing=False)
    target.step()
    before, given = there(target.next()), list[tuple[int, Samples]]()
    target.again(before.info, lambda piece: given.append((piece.ready_frames, piece.samples[:])))
    target.step()
    assert len(given) == 1
    assert given[0][0] == len(before.samples)
    np.testing.assert_array_equal(given[0][1], before.samples[:])


@pytest.mark.parametrize("heard", [True, False])
def test_a_piece_that_is_skipped_while_it_grows_needs_no_end(heard: bool) -> None:
    """The next one is made at once; but one that is awaited itself, and not heard yet, goes on."""
    engine, mood = Engine(), Mood(LOFI)
    target = supply(engine, mood)

    def look(number: int) -> None:
        if number == 3 and engine.made == 3:
            piece = there(target.next())
            if heard:
                target.heard(piece)
            target.snapshot = lambda: MixerSnapshot(waiting=True)

    engine.on_stretch = look
    target.step()
    assert engine.made == (4 if heard else 6)


@pytest.mark.parametrize("turned", ["skip", "mood"])
def test_a_liked_piece_is_made_to_its_end_whatever_the_listener_turns_to(turned: str) -> None:
    """It is kept whole; but nothing is made behind the end of the program."""
    engine, mood = Engine(), Mood(LOFI)
    target, liked = supply_with_likes(engine, mood)

    def look(number: int) -> None:
        if number == 3 and engine.made == 3:
            piece = there(target.next())
            target.heard(piece)
            liked.append(piece.key)
            if turned == "mood":
                mood.change(PIANO)
            target.snapshot = lambda: MixerSnapshot(waiting=True)

    engine.on_stretch = look
    target.step()
    assert engine.made == 6


@pytest.mark.parametrize("turned", ["mood", "back"])
def test_a_piece_that_is_liked_when_its_rest_was_left_off_is_made_whole(turned: str) -> None:
    """It is heard until another is there, and may be liked until then: all of it is kept."""
    engine, mood = Engine(), Mood(LOFI)
    target, liked = supply_with_likes(engine, mood)
    pieces: list[Piece] = []

    def look(number: int) -> None:
        if number == 3 and not pieces:
            pieces.append(there(target.next()))
            target.heard(pieces[0])
            target.snapshot = lambda: MixerSnapshot(waiting=True)
            if turned == "mood":
                mood.change(PIANO)
            else:
                assert target.again(dataclasses.replace(there(pieces[0].info), seed="5"), lambda _piece: None)

    engine.on_stretch = look
    target.step()
    (piece,) = pieces
    assert piece.ready_frames < len(piece.samples)
    liked.append(piece.key)
    target.complete(piece)
    assert not there(piece.growth).ended.is_set()
    target.step()
    assert piece.ready_frames == len(piece.samples)
    assert there(piece.growth).ended.is_set()


def test_a_piece_keeps_its_first_and_last_frame_and_its_rests() -> None:
    """Bars are counted from its beginning, and its end lies over the next one's first bars: nothing may be cut."""

    class Quiet(Engine):
        def piece(self, seed: int) -> Samples:
            samples = tone(6.0)
            samples[: SECOND // 2] = samples[2 * SECOND : 3 * SECOND] = samples[-SECOND // 2 :] = 0
            return samples

    engine = Quiet()
    target = supply(engine, Mood(LOFI), growing=False)
    target.step()
    piece = there(target.next())
    assert piece.info is not None
    assert (piece.info.analysis.cue_in_frames, piece.info.analysis.cue_out_frames) == (0, len(piece.samples))
    whole = engine.piece(0)
    heard = piece.samples[:]
    np.testing.assert_allclose(heard, np.abs(heard).max() / 0.1 * whole, atol=4e-5)  # 16 bits


def test_pieces_are_of_two_to_four_minutes_and_their_tempo_is_known() -> None:
    """Lengths change from piece to piece; where the station leaves the tempo open, what the engine chose is told."""
    asked: list[Recipe] = []

    def begin(recipe: Recipe, seed: int) -> Performance:
        asked.append(recipe)
        return dataclasses.replace(performed(tone(3.0)), bpm=77)

    for station, bpm in ((LOFI, 78), (dataclasses.replace(LOFI, bpm=None), 77)):
        target = BuiltinSupply(begin, Mood(station), LEVELS, FakeClock())
        for _ in range(4):
            target.step()
            piece = there(target.next())
            assert there(piece.info).recipe.bpm == bpm
    assert all(120 <= recipe.duration_s <= 240 for recipe in asked)
    assert len({recipe.duration_s for recipe in asked}) > 2


def test_no_piece_is_made_before_it_is_asked_for() -> None:
    """The one in stock is enough: a third would only fill the memory."""
    target = supply(Engine(), Mood(LOFI))
    target.step()
    taken = [target.next() is not None]
    wanted = [target.wanted]
    taken.append(target.next() is not None)
    wanted.append(target.wanted)
    assert (taken, wanted) == ([True, False], [False, True])


def test_who_asks_while_a_piece_is_made_does_not_ask_for_another() -> None:
    """The loader asks time and again until it is there; of another mood one is made all the same."""
    engine, mood = Engine(), Mood(LOFI)
    target = supply(engine, mood)
    taken: list[Piece | None] = []
    engine.on_stretch = lambda _number: taken.append(target.next())
    target.step()
    assert [piece is not None for piece in taken].count(True) == 1
    wanted = [target.wanted]  # once more, as the stock was empty when the piece was there
    engine.on_stretch = lambda number: taken.append(target.next()) if number < 2 else None
    target.step()
    wanted.append(target.wanted)
    assert target.next() is not None

    def change(number: int) -> None:
        if number == 1:
            mood.change(PIANO)
            assert target.next() is None

    engine.on_stretch = change
    target.step()
    assert [*wanted, target.wanted] == [True, False, True]


def test_a_piece_that_could_not_be_begun_is_asked_for_again() -> None:
    """The thread starts anew after a failure; the next who asks has it made."""
    engine = Engine()
    target = supply(engine, Mood(LOFI))
    engine.on_stretch = lambda number: print(1 // number)
    with pytest.raises(ZeroDivisionError):
        target.step()
    assert target.next() is None
    assert target.wanted


def test_the_first_file_of_a_mood_is_a_short_one() -> None:
    """It is heard only when it is whole, and there may be nothing else until then."""
    asked: list[float] = []

    def begin(recipe: Recipe, seed: int) -> Performance:
        asked.append(recipe.duration_s)
        return performed(tone(3.0))

    mood = Mood(LOFI)
    target = BuiltinSupply(begin, mood, LEVELS, FakeClock(), growing=False)
    for _ in range(2):
        target.step()
        assert target.next() is not None
    mood.change(PIANO)
    target.step()
    assert [seconds <= 15 for seconds in asked] == [True, False, True]


def test_nothing_is_kept_for_the_next_piece() -> None:
    """What pieces have in common is let go before each begins, and when nothing is wanted; which nobody looks for."""
    clock, stop, times = FakeClock(), threading.Event(), []
    engine = Engine()
    target = BuiltinSupply(engine, Mood(LOFI), LEVELS, clock)
    target.forget = lambda: times.append(len(engine.begun))
    clock.at(60.0, stop.set)
    clock.at(60.0, target.close)
    target.run(stop)
    assert times == [0, 1]
    assert clock.waited_s == [threading.TIMEOUT_MAX]
    assert clock.now() == 60.0


def test_files_are_made_whole() -> None:
    """A list of files has no use for half a piece."""
    target = supply(Engine(), Mood(LOFI), growing=False)
    target.step()
    piece = there(target.next())
    assert piece.growth is None


def test_a_piece_of_a_mood_that_has_passed_is_not_made_to_its_end() -> None:
    """The new mood's first piece comes sooner."""
    engine, mood = Engine(), Mood(LOFI)
    target = supply(engine, mood)

    def change(number: int) -> None:
        if number == 3:
            mood.change(PIANO)

    engine.on_stretch = change
    target.step()
    assert engine.made == 4
    assert target.next() is None
    target.step()
    piece = there(target.next())
    assert there(piece.info).recipe.station == "piano"
    assert piece.growth is not None


@pytest.mark.parametrize("stalls_at_s", [0.5, 3.0, 4.0, 5.9])
def test_a_piece_that_stops_growing_is_left_in_time(stalls_at_s: float) -> None:
    """However far it is made: what has not been made is never heard, the bed or the next piece is."""
    samples = tone(6.0, amplitude=0.5)
    ready = round(stalls_at_s * SECOND)
    samples[ready:] = 0.0
    mixer = Mixer(QuietBed(), crossfade_s=1.0)
    mixer.offer(Piece(samples, Source.BUILTIN, "growing", growth=Growth(ready)))
    heard = np.concatenate([mixer.read(4800) for _ in range(70)])
    power = np.square(heard).reshape(-1, 480 * 2).mean(axis=1)
    assert power.min() >= 0.5 * QuietBed.LEVEL**2
    assert mixer.snapshot().playing.source is Source.BED


def test_a_piece_that_grows_in_time_is_heard_to_its_end() -> None:
    """As if it had been whole from the beginning."""
    growth = Growth(2 * SECOND)
    samples = tone(6.0)
    growing, whole = Mixer(QuietBed(), crossfade_s=1.0), Mixer(QuietBed(), crossfade_s=1.0)
    growing.offer(Piece(samples, Source.BUILTIN, "growing", growth=growth))
    whole.offer(Piece(samples, Source.BUILTIN, "whole"))
    for block in range(65):
        if block == 8:
            growth.frames = len(samples)
        assert np.array_equal(growing.read(4800), whole.read(4800))


def test_the_next_session_begins_with_what_this_one_has_left(tmp_path: Path) -> None:
    """The opening is heard at once, and goes on into the piece that it is the opening of."""
    path, engine = tmp_path / "opening.wav", Engine()
    supply(engine, Mood(LOFI), Openings(path, "v1")).step()
    assert engine.begun[0] == 11
    seed = engine.begun[1]
    assert len(audio_files.Packed.read(path)) == 2 * STRETCH
    later = Engine()
    target = supply(later, Mood(LOFI), Openings(path, "v1"))
    at_once: list[Piece | None] = []
    later.on_stretch = lambda number: at_once.append(target.next()) if number == 0 and not at_once else None
    target.step()
    assert later.begun[0] == seed
    assert later.begun[1] != seed
    (piece,) = at_once
    assert piece is not None
    whole = later.piece(seed)
    np.testing.assert_allclose(piece.samples[:], gain_of(piece, whole) * whole, atol=2e-4)  # 16 bits


def test_the_next_session_begins_in_the_mood_that_was_turned_to(tmp_path: Path) -> None:
    """The mood changed while the opening was made: one of the new mood is made, and the old one not heard again."""
    path, engine, mood = tmp_path / "opening.wav", Engine(), Mood(LOFI)
    supply(engine, mood, Openings(path, "v1")).step()
    before = int(there(audio_files.read_info(path)).seed)
    later = Engine()
    target = supply(later, mood, Openings(path, "v1"))

    def change(number: int) -> None:
        if len(later.begun) == 2 and number == 0:
            mood.change(PIANO)

    later.on_stretch = change
    target.step()
    target.step()
    info = there(audio_files.read_info(path))
    assert info.recipe.station == "piano"
    assert later.begun.count(before) == 1
    assert int(info.seed) == later.begun[-1] != before


def test_an_opening_that_cannot_be_made_is_tried_once(tmp_path: Path) -> None:
    """It is for the next session: this one's music does not wait for it."""
    engine = Engine()
    target = supply(engine, Mood(LOFI), Openings(tmp_path / "opening.wav", "v1"))

    def fail_in_the_opening(_number: int) -> None:
        assert len(engine.begun) < 2

    engine.on_stretch = fail_in_the_opening
    with pytest.raises(AssertionError):
        target.step()
    assert target.next() is not None
    engine.on_stretch = lambda _number: None
    target.step()
    assert len(engine.begun) == 3


def test_an_opening_of_other_instruments_is_faded_over_without_a_step(tmp_path: Path) -> None:
    """A font may have come or gone between two sessions: where the two meet, nothing clicks."""
    path, engine = tmp_path / "opening.wav", Engine()
    supply(engine, Mood(LOFI), Openings(path, "v1")).step()

    class Other(Engine):
        def piece(self, seed: int) -> Samples:
            return -super().piece(seed)

    later = Other()
    target = supply(later, Mood(LOFI), Openings(path, "v1"))
    pieces: list[Piece | None] = []
    later.on_stretch = lambda number: pieces.append(target.next()) if number == 0 and not pieces else None
    target.step()
    steps = np.abs(np.diff(there(pieces[0]).samples[:][:, 0]))
    assert steps.max() <= 1.2 * steps[: SECOND // 2].max()


def test_the_composer_follows_what_is_liked_and_an_opening_outlives_an_opinion(tmp_path: Path) -> None:
    """What was prepared is heard, although its prompt would be another one by now; the pieces after it are of today."""
    station = builtin_stations()[0]
    path, taste, engine = tmp_path / "opening.wav", Taste(), Engine()
    supply(engine, Mood(station), Openings(path, "v1")).step()
    for number in range(3):
        made_of = dict(zip(KINDS, station.words(7), strict=True))
        taste.note(str(number), Opinion(str(number), "lofi", True, **made_of))
    later, mood = Engine(), Mood(station, taste=taste)
    target = supply(later, mood, Openings(path, "v1"))
    prompts = []
    for _ in range(3):
        target.step()
        piece = there(target.next())
        assert piece.info is not None
        prompts.append((int(piece.info.seed), piece.info.recipe.prompt))
    assert later.begun[0] == engine.begun[1]
    seeds = [seed for seed, _ in prompts]
    assert prompts[0][1] == station.recipe(seeds[0], 30).prompt != mood.rotation.recipe(seeds[0], 30).prompt
    assert [prompt for _, prompt in prompts[1:]] == [mood.rotation.recipe(seed, 30).prompt for seed in seeds[1:]]


@pytest.mark.parametrize("change", ["version", "station", "prompt", "cut", "garbage", "none"])
def test_a_stale_or_broken_opening_is_ignored(tmp_path: Path, change: str) -> None:
    """It belongs to a station, a prompt, a seed and an engine; whatever else lies there does no harm."""
    path = tmp_path / "opening.wav"
    supply(Engine(), Mood(LOFI), Openings(path, "v1")).step()
    station, version = LOFI, "v1"
    if change == "version":
        version = "v2"
    elif change == "station":
        station = PIANO
    elif change == "prompt":
        station = dataclasses.replace(LOFI, captions=("yet another",))
    elif change == "none":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if change == "cut" else b"x" * 5000)
    engine = Engine()
    target = supply(engine, Mood(station), Openings(path, version))
    target.step()
    assert engine.begun[0] == 11
    assert target.next() is not None


def test_a_disk_that_refuses_costs_nothing(tmp_path: Path) -> None:
    """An opening that cannot be kept is no failure."""
    target = supply(Engine(), Mood(LOFI), Openings(tmp_path / "no" / "such" / "opening.wav", "v1"))
    target.step()
    assert target.next() is not None
