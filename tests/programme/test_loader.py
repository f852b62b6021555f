"""From the shelves to the mixer: order, preparation ahead, the library's rules, the change of mood."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from base.notices import Notices
from doubles.simulated_time import FakeClock
from doubles.sounds import LOFI, PIANO, QuietBed, info, performed, there, tone
from music.audio_files import Packed
from music.segment import SAMPLE_RATE_HZ, Continuation, Performance, Piece, Recipe, Source
from music.stations import Mood
from programme.loader import CALM_S, HURRIED_TICK_S, REFUSED_S, TICK_S, Loader, Reader
from programme.mixer import Mixer
from programme.performances import BuiltinSupply
from programme.programme import ORDER
from programme.supplies import FRESH_AHEAD, LONG_S, Decoded, Levels, Library, Offer, Pacing, supplies
from spool import folders
from spool.spool import HANGING_S, Entry, Spool

LEVELS = Levels(-23.0, -45.0)
ACESTEP = (Source.FRESH, Source.LIBRARY)
SECONDS = 3.0


def render(_recipe: Recipe, seed: int) -> Performance:
    """Stand in for the built-in engine."""
    return performed(tone(SECONDS, hz=200 + seed))


class Room:
    """A spool, a loader and a mixer, driven by hand."""

    def __init__(self, folder: Path, order: tuple[Source, ...] = ORDER, no_repeat: int = 2) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.notices = Notices(self.clock)
        self.spool = Spool(folder, 1024, self.notices, self.clock)
        self.spool.open()
        self.mood = Mood(LOFI)
        self.mixer = Mixer(QuietBed(), crossfade_s=0.5)
        self.builtin = BuiltinSupply(render, self.mood, LEVELS, self.clock)
        self.reader = Reader(Decoded(LEVELS), self.notices, self.clock)
        sources = supplies(order, self.spool, self.mood, self.builtin, no_repeat)
        self.sources = sources
        self.loader = Loader(self.mixer, sources, self.reader, self.spool, self.mood, self.notices, self.clock)
        self.heard: list[tuple[Source, str]] = []

    def add(self, name: str, *, station: str = "lofi", shelf: str = "ready") -> str:
        """Put a segment of 3 s on a shelf; return its key."""
        about = info(SECONDS, key=name, station=station, prompt=name)
        return self.spool.add(tone(SECONDS, hz=440), about, shelf=shelf).key

    def play(self, seconds: float, *, builtin: bool = True) -> None:
        """Let time pass: the mixer is pulled, the loader steps, the built-in engine renders."""
        for _ in range(round(seconds / 0.1)):
            self.loader.step()
            if builtin:
                self.builtin.step()
            self.mixer.read(SAMPLE_RATE_HZ // 10)
            playing = self.mixer.snapshot().playing
            if not self.heard or self.heard[-1] != (playing.source, playing.key):
                self.heard.append((playing.source, playing.key))

    def keys(self, source: Source) -> list[str]:
        """Return what was heard from a source, in order."""
        return [key for heard, key in self.heard if heard is source]

    def said(self) -> list[str]:
        """Return the keys of the notices."""
        return [notice.key for notice in self.notices.recent()]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room with an empty spool."""
    made = Room(tmp_path)
    yield made
    made.spool.close()


def test_fresh_segments_play_in_their_order_and_move_to_played(room: Room) -> None:
    """The queue is first in, first out; what began to be heard is played."""
    keys = [room.add(name) for name in ("a", "b", "c")]
    room.play(7)
    assert room.keys(Source.FRESH) == keys
    assert room.spool.ready() == ()
    assert {entry.key for entry in room.spool.library()} == set(keys)


def test_two_are_decoded_ahead_and_stay_ready_on_disk(room: Room) -> None:
    """Decoding ahead uses nothing up: only what is heard leaves ready/."""
    for name in "abcd":
        room.add(name)
    room.loader.step()
    assert len(room.spool.ready()) == 4
    room.mixer.read(1)
    assert room.mixer.snapshot().stock[Source.FRESH] == 1  # of two offered, one began
    room.loader.step()
    assert len(room.spool.ready()) == 3


def test_of_long_pieces_one_is_decoded_ahead(room: Room) -> None:
    """Ten minutes are 115 MB: what is held does not grow with SEGMENT_SECONDS."""
    fresh = next(supply for supply in room.sources if supply.source is Source.FRESH)
    room.spool.add(tone(1.0), info(LONG_S - 1, key="a"))
    assert fresh.ahead == FRESH_AHEAD
    room.spool.add(tone(1.0), info(LONG_S + 1, key="b"))
    assert fresh.ahead == 1


def hang(room: Room) -> list[Callable[[], None]]:
    """Let the disk hang: what is to be read waits in the list that is returned."""
    waiting: list[Callable[[], None]] = []
    room.reader.later = lambda _, errand: waiting.append(errand)
    return waiting


def test_a_disk_that_hangs_keeps_no_other_source_waiting(room: Room) -> None:
    """What is in memory plays, fresh or built-in, until the files can be read."""
    on_disk = [room.add(name) for name in "ab"]
    waiting = hang(room)
    room.play(4)
    assert room.keys(Source.BUILTIN)
    room.clock.time_s += 5.0
    in_memory = room.add("c")
    entry = there(room.spool.get(in_memory))
    loose = replace(entry, path=None, samples=tone(SECONDS, hz=440))
    assert room.spool._index.swap(entry, loose)
    room.play(4)
    assert room.keys(Source.FRESH) == [in_memory]
    assert len(waiting) == 2
    for errand in waiting:
        errand()
    room.play(8)
    assert room.keys(Source.FRESH) == [in_memory, *on_disk]


@pytest.mark.parametrize("shelf", ["ready", "played"])
def test_what_is_worse_waits_for_the_piece_that_is_heard_already(room: Room, shelf: str) -> None:
    """While its file is read; not on a disk that hangs."""
    reads = hang(room)
    key = room.add("first", shelf=shelf)
    room.add("another", shelf="kept")
    room.builtin.step()
    entry = there(room.spool.get(key))
    room.loader.begin_with(entry)
    room.play(1.0)
    assert room.heard == [(Source.BED, "")]
    assert len(reads) == 1
    room.clock.time_s += HANGING_S + 1.0
    room.play(1.0)
    assert room.heard[-1][0] is Source.BUILTIN


def test_what_was_read_for_the_mood_before_is_not_played(room: Room) -> None:
    """Nor is it lost: it stays in the library."""
    key = room.add("a", shelf="played")
    reads = hang(room)
    room.play(0.5, builtin=False)
    room.mood.change(PIANO)
    room.loader.change_mood()
    room.play(0.2, builtin=False)
    for read in reads:
        read()
    room.play(1.0, builtin=False)
    assert room.keys(Source.LIBRARY) == []
    assert room.spool.get(key) is not None


def test_what_was_read_too_late_is_not_played_as_fresh(room: Room) -> None:
    """The listener changed the mood, or disliked it, while the disk hung."""
    old, disliked = room.add("old"), room.add("bad")
    waiting = hang(room)
    room.loader.step()
    room.mood.change(PIANO)
    room.loader.change_mood()
    room.spool.discard(disliked, "disliked")
    room.loader.step()
    for errand in waiting:
        errand()
    room.play(4)
    assert not {old, disliked} & set(room.keys(Source.FRESH))


def test_library_plays_when_nothing_is_fresh(room: Room) -> None:
    """Without fresh music the library plays; the listener is told."""
    key = room.add("old", shelf="played")
    room.play(1)
    assert room.heard[-1] == (Source.LIBRARY, key)
    assert "source.library" in room.said()


def test_builtin_plays_when_the_library_is_empty(room: Room) -> None:
    """Without fresh music and without a library the built-in engine plays."""
    room.play(1)
    assert room.heard[-1][0] is Source.BUILTIN
    assert "source.builtin" in room.said()


def test_a_builtin_piece_waits_however_much_fresh_music_there_is(room: Room) -> None:
    """Its opening takes little memory, is made once, and is there when a skip is faster than the disk."""
    room.play(1)
    keys = [room.add(name) for name in "abcd"]
    for _ in range(10):
        room.play(1)
        assert room.mixer.snapshot().stock[Source.BUILTIN] == 1
        assert not room.builtin.wanted
    room.play(4)
    assert room.keys(Source.FRESH) == keys
    assert Source.BED not in [source for source, _ in room.heard[1:]]


def test_what_a_disk_that_hangs_does_not_give_is_not_plenty(room: Room) -> None:
    """However long the queue is, built-in music plays when none of it can be read any more."""
    for name in "abcdef":
        room.add(name)
    room.play(1)
    hang(room)
    room.clock.time_s += 1.0
    room.play(4)
    room.clock.time_s += 5.0
    room.play(8)
    assert room.heard[-1][0] is Source.BUILTIN
    assert Source.BED not in [source for source, _ in room.heard[1:]]


def test_the_bed_plays_until_the_first_piece(room: Room) -> None:
    """Nothing at all: the bed."""
    room.play(1, builtin=False)
    assert room.heard == [(Source.BED, "")]


def test_fresh_music_replaces_the_bed_at_once(room: Room) -> None:
    """A segment that arrives while the bed plays is faded in immediately."""
    room.play(1, builtin=False)
    key = room.add("new")
    room.play(0.3, builtin=False)
    assert room.heard[-1] == (Source.FRESH, key)


def test_no_library_piece_comes_back_too_soon(room: Room) -> None:
    """With LIBRARY_NO_REPEAT=2 three pieces take turns, least recently heard first."""
    for name in "abc":
        room.add(name, shelf="played")
    room.play(20)
    heard = room.keys(Source.LIBRARY)
    assert len(heard) >= 6
    assert all(heard[i] not in heard[max(0, i - 2) : i] for i in range(len(heard)))


def test_two_library_pieces_are_mixed_with_builtin_music(room: Room) -> None:
    """When all library pieces were heard too recently the built-in engine fills in."""
    for name in "ab":
        room.add(name, shelf="played")
    room.play(20)
    sources = [source for source, _ in room.heard]
    assert Source.BUILTIN in sources
    assert Source.LIBRARY in sources


def test_acestep_only_repeats_rather_than_falls_to_noise(tmp_path: Path) -> None:
    """ENGINE=acestep has no built-in music: the one library piece plays again and again."""
    room = Room(tmp_path, order=ACESTEP)
    key = room.add("only", shelf="played")
    room.play(12)
    assert set(room.keys(Source.LIBRARY)) == {key}
    assert room.mixer.snapshot().frames[Source.BUILTIN] == 0


def test_builtin_only_leaves_the_queue_alone(tmp_path: Path) -> None:
    """ENGINE=builtin plays neither the queue nor the library."""
    room = Room(tmp_path, order=(Source.BUILTIN,))
    room.add("fresh")
    room.play(8)
    assert {source for source, _ in room.heard} <= {Source.BUILTIN, Source.BED}
    assert len(room.spool.ready()) == 1


def test_liked_pieces_come_before_played_ones(tmp_path: Path) -> None:
    """The library's order is kept, then played."""
    room = Room(tmp_path)
    room.add("played", shelf="played")
    kept = room.add("kept", shelf="played")
    room.spool.keep(kept)
    assert Library(room.spool, room.mood, 2).next([]) == room.spool.get(kept)


def test_play_library_plays_only_what_was_liked(tmp_path: Path) -> None:
    """--play-library: the likes, again and again, and nothing that was merely played."""
    room = Room(tmp_path, order=(Source.LIBRARY,))
    room.add("played", shelf="played")
    liked = room.add("liked", station="piano", shelf="played")
    room.spool.keep(liked)
    room.play(7)
    assert set(room.keys(Source.LIBRARY)) == {liked}


def test_a_corrupt_file_is_left_out_and_said(room: Room) -> None:
    """A file that went bad on disk is named and skipped; the next one plays."""
    bad, good = room.add("bad"), room.add("good")
    entry = there(room.spool.get(bad))
    there(entry.path).write_bytes(b"no music")
    room.play(1)
    assert room.heard[-1] == (Source.FRESH, good)
    assert "loader.corrupt" in room.said()


def test_a_deleted_file_is_skipped(room: Room) -> None:
    """A file that is gone is no reason to stop."""
    gone, good = room.add("gone"), room.add("good")
    entry = there(room.spool.get(gone))
    there(entry.path).unlink()
    room.play(1)
    assert room.heard[-1] == (Source.FRESH, good)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOENT])
def test_a_disk_that_is_away_costs_no_piece(room: Room, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A network drive that is gone for a while: it is asked now and then, other music plays, and all is there again."""
    liked = [room.add(name, shelf="kept") for name in "abc"]
    queued = room.add("d")
    kept, aside = room.folder / "kept", room.folder / "aside"
    kept.rename(aside)
    (room.folder / "ready").rename(room.folder / "elsewhere")
    asked = []

    def refuse(path: Path) -> Packed:
        asked.append(path)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as away:
        away.setattr(Packed, "read", refuse)
        away.setattr(folders, "disk_of", lambda _: -1)
        room.play(12.0)
        assert {source for source, _ in room.heard} == {Source.BED, Source.BUILTIN}
        assert len(asked) == 1
        room.clock.wait(threading.Event(), REFUSED_S)
        room.play(1.0)
        assert len(asked) == 2
    assert room.said().count("loader.unreadable") == 1
    assert room.spool.ready() == ()
    aside.rename(kept)
    (room.folder / "elsewhere").rename(room.folder / "ready")
    room.clock.wait(threading.Event(), REFUSED_S)
    assert {entry.key for entry in room.spool.library()} == {*liked, queued}
    room.play(30.0)
    assert set(room.keys(Source.LIBRARY)) >= set(liked)


def cannot_be_read(monkeypatch: pytest.MonkeyPatch, name: str, error: OSError) -> None:
    """Have one file refuse to be read."""
    real = Packed.read

    def read(path: Path) -> Packed:
        if path.name == name:
            raise error
        return real(path)

    monkeypatch.setattr(Packed, "read", read)


def test_one_file_that_cannot_be_read_for_ever_holds_up_no_other(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad spot of a disk: its turn comes again when all others were heard."""
    bad, *good = (room.add(name, shelf="kept") for name in "abc")
    cannot_be_read(monkeypatch, bad, OSError(errno.EIO, "Input/output error"))
    room.play(1.0)
    room.clock.wait(threading.Event(), REFUSED_S)
    room.play(12.0)
    assert set(room.keys(Source.LIBRARY)) == set(good)
    assert room.spool.get(bad)


def test_a_file_of_somebody_else_is_left_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are the file's own matter, not the disk's."""
    foreign, good = room.add("a", shelf="kept"), room.add("b", shelf="kept")
    cannot_be_read(monkeypatch, foreign, PermissionError(errno.EACCES, "Permission denied"))
    room.play(1.0)
    assert room.keys(Source.LIBRARY) == [good]
    assert room.spool.get(foreign) is None


def test_a_disk_that_hangs_is_asked_for_little_however_much_is_on_it(room: Room) -> None:
    """What is in memory is found among 1,000 pieces in files by one look at them."""
    for number in range(1_000):
        key = f"{number}.wav"
        about = info(SECONDS, key=key)
        room.spool._index.add(Entry(key, "kept", room.folder / "kept" / key, about, None, float(number)))
    in_memory = room.spool._index.add(Entry("memory.wav", "kept", None, info(SECONDS), tone(SECONDS), 1e6)).key
    hang(room)
    room.loader.step()
    room.clock.wait(threading.Event(), HANGING_S + 1.0)
    looks: list[int] = []
    library = next(supply for supply in room.sources if supply.source is Source.LIBRARY)
    real = library.next

    def look(busy: Collection[str]) -> Offer | None:
        looks.append(len(busy))
        return real(busy)

    library.next = look  # type: ignore[method-assign]
    room.play(0.3)
    assert len(looks) < 10
    assert in_memory in room.keys(Source.LIBRARY)


def test_a_change_of_mood_sends_the_queue_to_the_library_and_fades_over(room: Room) -> None:
    """After a change the old queue gives way, nothing is deleted, and the new mood is heard within a second."""
    for name in "abcd":
        room.add(name)
    room.play(1)
    playing = room.heard[-1][1]
    room.mood.change(PIANO)
    room.loader.change_mood()
    room.play(1)
    assert room.heard[-1][0] is Source.BUILTIN
    assert room.spool.ready() == ()
    assert len(room.spool.library()) == 4
    assert playing in {entry.key for entry in room.spool.library()}


def test_after_a_change_of_mood_the_library_must_fit(room: Room) -> None:
    """Old pieces of another mood do not come back once the listener asked for a new one."""
    room.add("old", shelf="played")
    fitting = room.add("fitting", station="piano", shelf="played")
    room.mood.change(PIANO)
    room.loader.change_mood()
    room.play(7)
    assert room.keys(Source.LIBRARY) == [fitting]


def test_builtin_music_of_the_old_mood_is_thrown_away(room: Room) -> None:
    """A built-in piece that was rendered for the old mood is not used for the new one."""
    room.builtin.step()
    room.mood.change(PIANO)
    assert room.builtin.next() is None
    room.builtin.step()
    piece = there(room.builtin.next())
    assert there(piece.info).recipe.station == "piano"


def test_waiting_time_and_queue_depth_are_logged(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """The log has generation time, both waiting times and the queue depth of every segment that begins."""
    caplog.set_level("INFO")
    room.add("a")
    room.add("b")
    room.loader.step()
    room.clock.wait(threading.Event(), 4.0)
    room.play(0.2)
    assert "on the shelf 4.0 s, queue depth 1" in caplog.text
    assert list(room.loader.waited_s) == [pytest.approx(4.0)]


@pytest.mark.parametrize(("factor", "fresh_share"), [(0.5, 1.0), (1.0, 1.0), (2.0, 0.5), (1.5, 2 / 3), (3.0, 1 / 3)])
def test_scarce_fresh_music_is_spread(factor: float, fresh_share: float) -> None:
    """With generation f times slower than playback, one in f pieces is fresh."""
    pacing, heard = Pacing(lambda: factor), []
    for _ in range(120):
        source = Source.LIBRARY if pacing.library_first else Source.FRESH
        pacing.heard(source, 0)
        heard.append(source)
    assert heard.count(Source.FRESH) / 120 == pytest.approx(fresh_share, abs=0.02)


def test_a_full_queue_ends_the_spreading() -> None:
    """Nothing is held back when the queue is full."""
    pacing = Pacing(lambda: 3.0, target=2)
    pacing.heard(Source.FRESH, 1)
    assert pacing.library_first
    pacing.heard(Source.LIBRARY, 2)
    assert not pacing.library_first


def test_a_listeners_cut_file_is_played_and_said_once(room: Room, tmp_path: Path) -> None:
    """What is there is music; each time it comes again nothing is said."""
    sf.write(tmp_path / "kept" / "mine.aiff", tone(SECONDS, amplitude=0.8), SAMPLE_RATE_HZ)
    whole = (tmp_path / "kept" / "mine.aiff").read_bytes()
    (tmp_path / "kept" / "mine.aiff").write_bytes(whole[: len(whole) // 2])
    room.spool.close()
    again = Room(tmp_path, order=(Source.LIBRARY,), no_repeat=0)
    again.play(3, builtin=False)
    again.notices.say("spool.writable")
    again.play(3, builtin=False)
    assert again.loader.started[Source.LIBRARY] >= 2
    said = [dict(notice.args) for notice in again.notices.recent() if notice.key == "segment.cut_off"]
    assert said == [{"name": "mine.aiff", "missing": f"-{SECONDS / 2:.1f} s"}]
    again.spool.close()


def test_a_listeners_own_file_is_measured_and_played(room: Room, tmp_path: Path) -> None:
    """A file without our metadata in kept/ is levelled like everything else."""
    sf.write(tmp_path / "kept" / "mine.flac", tone(SECONDS, amplitude=0.8), SAMPLE_RATE_HZ)
    room.spool.close()
    again = Room(tmp_path)
    entry = again.spool.library()[0]
    piece = Decoded(LEVELS).prepare(entry, Source.LIBRARY, pytest.fail)
    assert piece.info is None
    assert np.abs(piece.samples[:]).max() < 0.2
    again.play(1)
    assert again.heard[-1] == (Source.LIBRARY, entry.key)
    again.spool.close()


def test_the_loader_looks_rarely_while_all_is_well(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pieces in stock it sleeps longer, before the first one hardly; what changes wakes it that very moment."""
    stop, pauses, wait = threading.Event(), {}, room.clock.wait

    def noted(event: threading.Event, timeout_s: float) -> bool:
        pauses[round(room.clock.now(), 2)] = timeout_s
        return wait(event, timeout_s)

    monkeypatch.setattr(room.clock, "wait", noted)
    room.clock.at(1.01, lambda: [room.add(name) for name in "abcd"])
    room.clock.at(5.5, lambda: room.mixer.read(1))
    room.clock.at(8.5, room.loader.change_mood)
    room.clock.at(11.5, lambda: room.add("e"))
    room.clock.at(13.1, stop.set)
    room.clock.at(13.1, room.loader.wake)
    room.loader.run(stop)
    assert [pauses[at_s] for at_s in (0.0, 0.8)] == [HURRIED_TICK_S, HURRIED_TICK_S]  # the first music is on its way
    assert {pause for at_s, pause in pauses.items() if 1.5 < at_s < 5.5} == {CALM_S}
    assert [pauses[at_s] for at_s in (5.5, 8.5)] == [TICK_S, TICK_S]  # a piece that began, a new mood
    assert {1.01, 11.5} <= {*pauses}  # one that has come
    assert max(pauses) < 13.1 == room.clock.now()


def test_the_first_piece_is_offered_as_soon_as_it_is_prepared(room: Room) -> None:
    """Whoever prepares it may take seconds: nothing is heard meanwhile, and it is looked for often."""
    prepare, stop = hang(room), threading.Event()
    room.add("a")
    room.clock.at(7.05, lambda: [one() for one in prepare])
    room.clock.at(20.0, stop.set)
    offered: list[float] = []

    def offer(_piece: Piece) -> None:
        offered.append(room.clock.now())
        stop.set()

    room.mixer.offer = offer  # type: ignore[method-assign, assignment]
    room.loader.run(stop)
    assert offered[0] <= 7.05 + 2 * HURRIED_TICK_S


def test_at_the_start_what_was_queued_for_another_mood_is_library(room: Room) -> None:
    """A spool that was used for other moods: what does not match goes to the library, and never plays as fresh."""
    others = [room.add(name, station="piano") for name in ("a", "b")]
    mine = room.add("c")
    room.play(1.0)
    assert room.heard[-1] == (Source.FRESH, mine)
    assert {entry.key for entry in room.spool.library()} >= set(others)
    assert room.keys(Source.FRESH) == [mine]


def test_a_piece_of_another_mood_that_comes_late_is_library_too(room: Room) -> None:
    """A job that was asked for before the program was restarted with another mood."""
    room.play(1.0)
    late = room.add("late", station="piano")
    room.play(10.0)
    assert late not in room.keys(Source.FRESH)
    assert room.spool.ready() == ()


@pytest.mark.parametrize("asked_for", [True, False])
def test_a_mood_that_was_asked_for_is_not_mixed_with_others(room: Room, asked_for: bool) -> None:
    """Asked for koto, and nothing of it there: rather the built-in koto than the library's lofi."""
    room.mood.change(PIANO) if asked_for else None
    other = room.add("other", station="koto", shelf="played")
    room.play(8.0)
    assert (other in room.keys(Source.LIBRARY)) is not asked_for


def test_what_was_heard_plays_again_from_the_disk_or_made_once_more(room: Room) -> None:
    """A file from its shelf, a built-in piece from its seed; what was left comes after it, what is gone cannot be."""
    room.play(2)
    (builtin,) = room.keys(Source.BUILTIN)[:1]
    key = room.add("a")
    room.play(2)
    assert room.mixer.snapshot().playing.key == key
    before = there(room.loader.history.back(key))
    assert room.loader.again(before)
    room.play(1.5)
    assert room.mixer.snapshot().playing.key == builtin == before.key
    room.mixer.skip()
    room.play(1)
    assert (room.mixer.snapshot().playing.key, room.mixer.snapshot().playing.asked) == (key, True)
    gone = there(room.loader.history.find(key))
    room.spool.discard(key, "disliked")
    assert not room.loader.again(gone)


# Pieces of several segments


def add_chain(room: Room, name: str, parts: int, *, shelf: str = "ready") -> list[str]:
    """Put a piece of several segments on a shelf, each joined to the one before after 2 s; return their keys."""
    keys = []
    for number in range(parts):
        about = info(SECONDS, key=f"{name}{number}", prompt=name)
        if number:
            at = 2 * SAMPLE_RATE_HZ
            before = Continuation(f"{name}{number - 1}", at, 0, f"{name}0", 2.0 * number, -23.0, -10.0, 0.0)
            about = replace(about, continues=before)
        keys.append(room.spool.add(tone(SECONDS, hz=440), about, shelf=shelf).key)
    return keys


@pytest.mark.parametrize("missing", [None, 0, 1, 2])
def test_the_library_plays_a_piece_whole_and_in_order(room: Room, missing: int | None) -> None:
    """Whatever order its parts were heard in last; one that was trimmed or disliked is left out."""
    keys = add_chain(room, "a", 7, shelf="played")
    for number in (6, 4, 5, 3, 2, 0, 1):
        room.spool.mark_played(keys[number])
    if missing is not None:
        room.spool.discard(keys[missing], "disliked")
    room.play(22)
    left = [key for number, key in enumerate(keys) if number != missing]
    heard = room.keys(Source.LIBRARY)
    assert [key for key in heard if key in left] == heard
    begun = heard[: len(left)]
    if missing is None:
        assert begun == left
    else:  # what follows the gap is a piece to be chosen by itself
        assert begun == sorted(begun, key=left.index)


def test_a_piece_comes_again_only_after_others_however_long_it_is(tmp_path: Path) -> None:
    """None of its parts: a piece just heard does not begin anew while others wait their turn."""
    room = Room(tmp_path, no_repeat=2)
    chain = add_chain(room, "a", 5)
    others = [room.add(name, shelf="played") for name in "bcd"]
    room.play(5 * 2 + 3 + 3 * 3)
    assert room.keys(Source.FRESH) == chain
    assert set(room.keys(Source.LIBRARY)[:3]) == set(others)
    room.spool.close()


def test_a_part_that_was_late_and_heard_by_itself_does_not_follow_at_once(tmp_path: Path) -> None:
    """As the piece comes again, that is heard as far as the distance allows."""
    room = Room(tmp_path, no_repeat=3)
    first, late = add_chain(room, "a", 2, shelf="played")
    other = room.add("b", shelf="played")
    library = next(supply for supply in room.sources if supply.source is Source.LIBRARY)
    for key in (first, other, late, first):
        entry = there(room.spool.get(key))
        library.heard(Piece(tone(1), Source.LIBRARY, key, entry.info))
    assert library.next([]) is None
    room.spool.close()


def test_where_there_is_nothing_else_a_piece_comes_round_in_its_order(tmp_path: Path) -> None:
    """As with --play-library: not its first two parts in turn."""
    room = Room(tmp_path, order=(Source.LIBRARY,), no_repeat=8)
    chain = add_chain(room, "a", 3, shelf="kept")
    room.play(15)
    assert room.keys(Source.LIBRARY)[:6] == [*chain, *chain]
    room.spool.close()


def test_what_the_listener_left_does_not_go_on_from_the_library(room: Room) -> None:
    """After a skip the rest of the piece waits its turn like others."""
    first, rest = add_chain(room, "a", 2, shelf="played")
    other = room.add("b", shelf="played")
    room.spool.mark_played(rest)
    room.play(1)
    assert room.keys(Source.LIBRARY) == [first]
    room.mixer.skip()
    room.play(2)
    assert room.keys(Source.LIBRARY) == [first, other]


@pytest.mark.parametrize("how", ["close", "kill"])
def test_a_restart_joins_a_piece_again(tmp_path: Path, how: str) -> None:
    """What continues what, the place, the fade and the gain are in the files."""
    before = Room(tmp_path)
    add_chain(before, "a", 3)
    told = [entry.info for entry in before.spool.ready()]
    if how == "close":
        before.spool.close()
    else:
        before.spool._storage.close()  # only the lock is given back
    again = Room(tmp_path)
    assert [entry.info for entry in again.spool.ready()] == told
    begins_s: list[float] = []
    for tenth in range(65):
        again.play(0.1)
        if len(again.keys(Source.FRESH)) > len(begins_s):
            begins_s.append(tenth / 10)
    assert again.keys(Source.FRESH) == [entry.key for entry in again.spool.library()]
    assert np.diff(begins_s) == pytest.approx([2.0, 2.0], abs=0.11)  # a crossfade would begin 0.5 s before 3 s
    again.spool.close()
