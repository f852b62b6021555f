"""What VLC's own list is fed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from base.notices import Notices
from doubles.simulated_time import FakeClock
from doubles.sounds import info, performed, tone
from music.segment import QueuedFile, Source
from music.stations import Mood, builtin_stations
from programme.supplies import BuiltinSupply, Levels, Playlist
from spool.spool import Spool


class Shelf:
    """A spool with a playlist before it."""

    def __init__(self, folder: Path, engine: str = "auto") -> None:
        clock = FakeClock()
        self.spool = Spool(folder, 1024, Notices(clock), clock)
        self.spool.open()
        mood = Mood(builtin_stations()[0])
        self.builtin = BuiltinSupply(
            lambda _recipe, seed: performed(tone(3, hz=200 + seed)), mood, Levels(-23, -45), clock
        )
        self.playlist = Playlist(self.spool, mood, self.builtin, engine=engine, no_repeat=2)

    def add(self, name: str, shelf: str = "ready") -> str:
        """Put a segment on a shelf."""
        return self.spool.add(tone(3), info(3, key=name), shelf=shelf).key

    def next(self, waiting: int = 0) -> QueuedFile | None:
        """Ask for a file."""
        return self.playlist.next_file(waiting)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty spool."""
    made = Shelf(tmp_path)
    yield made
    made.spool.close()


def test_fresh_files_are_given_once_and_in_order(shelf: Shelf) -> None:
    """Every ready file is given once, first in first out."""
    keys = [shelf.add(name) for name in "abc"]
    given = [shelf.next(waiting) for waiting in range(3)]
    assert [file.key for file in given if file] == keys
    assert shelf.next(3) is None


def test_a_started_file_moves_to_played(shelf: Shelf) -> None:
    """Only what began to be heard leaves the queue."""
    shelf.add("a")
    file = shelf.next()
    assert file is not None
    assert len(shelf.spool.ready()) == 1
    shelf.playlist.on_started(file)
    assert shelf.spool.ready() == ()
    assert shelf.spool.snapshot().played == 1


def test_something_else_only_when_vlc_has_nothing_left(shelf: Shelf) -> None:
    """The library waits until VLC's list has run out, as fresh music may come any moment."""
    key = shelf.add("old", shelf="played")
    assert shelf.next(waiting=1) is None
    file = shelf.next(waiting=0)
    assert file is not None
    assert (file.source, file.key) == (Source.LIBRARY, key)


def test_builtin_music_becomes_a_file(shelf: Shelf) -> None:
    """Without anything else a built-in piece is written for VLC to read."""
    assert shelf.next() is None
    shelf.builtin.step()
    file = shelf.next()
    assert file is not None
    assert file.source is Source.BUILTIN
    assert file.path.exists()


def test_acestep_only_gives_no_builtin_music(tmp_path: Path) -> None:
    """ENGINE=acestep: an empty spool gives nothing."""
    shelf = Shelf(tmp_path, engine="acestep")
    shelf.builtin.step()
    assert shelf.next() is None


def test_files_of_another_mood_are_not_fresh(shelf: Shelf) -> None:
    """What was queued for another mood goes to the library, at the start and after."""
    shelf.spool.add(tone(3), info(3, key="other", station="piano"), shelf="ready")
    mine = shelf.add("mine")
    file = shelf.next()
    assert file is not None
    assert (file.key, file.source) == (mine, Source.FRESH)
    assert [entry.shelf for entry in shelf.spool.library()] == ["played"]


def test_a_builtin_piece_is_written_where_the_disk_may_be_waited_for(tmp_path: Path) -> None:
    """VLC's owner obeys the keys, and is not kept by a disk that hangs; the file is given when it is there."""
    box = Shelf(tmp_path)
    waiting: list[Callable[[], None]] = []
    box.playlist._later = lambda _, errand: waiting.append(errand)
    box.builtin.step()
    assert box.playlist.next_file(0) is None
    box.builtin.step()
    assert box.playlist.next_file(0) is None
    assert len(waiting) == 1
    waiting.pop()()
    file = box.playlist.next_file(0)
    assert file is not None
    assert file.path.exists()
