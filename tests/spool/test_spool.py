"""The directory queue: nothing is lost, nobody waits, whatever the disk does."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import SpoolBusy, SpoolError
from base.notices import Notices
from base.texts import texts
from base.workers import SystemClock
from doubles.fake_audio import chord, wav_bytes
from doubles.faulty_files import FaultyFiles
from doubles.simulated_time import FakeClock
from doubles.sounds import info_for, there
from music import audio_files
from music.analysis import analyse, as_heard, ingest, to_piece
from music.audio_files import Packed
from music.segment import SAMPLE_RATE_HZ, Analysis, Piece, Recipe, Samples, SegmentInfo, Source
from spool import folders
from spool.folders import LOCK_FILE, Files
from spool.shelves import ShelfIndex, file_name
from spool.spool import READ_AT_ONCE, Entry, Spool
from spool.trimming import Trimmer

REAL = Path(__file__).resolve().parents[3] / "shared" / "real_segments"
SOUND = chord(0.05)
SIZE_MB = len(audio_files.encode(SOUND, info_for(SOUND))) / 2**20
MAX_MB = 50.0


class TightFiles(FaultyFiles):
    """Faulty files of a disk with `room` for so many bytes, None for any: what is removed makes room again."""

    room: int | None = None

    def exists(self, path: Path) -> bool:
        return Files.exists(self, path)  # it cannot fail

    def write(self, path: Path, data: bytes | memoryview) -> None:
        self.full = self.room is not None and len(data) > self.room
        try:
            super().write(path, data)
        finally:
            self.full = False
        self.room = None if self.room is None else self.room - len(data)

    def remove(self, path: Path) -> None:
        size = path.stat().st_size if path.exists() and not path.name.startswith(folders.PART) else 0
        super().remove(path)
        self.room = None if self.room is None else self.room + size


class Bench:
    """A spool on a faulty disk, with what is needed to look at it."""

    def __init__(self, root: Path, max_mb: float = MAX_MB) -> None:
        self.root = root
        self.files = TightFiles()
        self.clock = FakeClock()
        self.notices = Notices(self.clock)
        self.wall_s = 1_700_000_000.0
        self.max_mb = max_mb
        self.made = 0
        self.spool = self.fresh()

    def fresh(self) -> Spool:
        """Return another spool on the same folder, not opened."""
        return Spool(self.root, self.max_mb, self.notices, self.clock, self.files, lambda: self.wall_s)

    def restart(self) -> Spool:
        """Close and open again, on a healthy disk."""
        self.spool.close()
        self.files.fail_at, self.files.broken, self.files.room = {}, {}, None
        self.spool = self.fresh()
        self.spool.open()
        return self.spool

    def info(self, samples: Samples = SOUND) -> SegmentInfo:
        """Return metadata of a new segment."""
        self.made += 1
        stamp = f"2026-11-23T13:20:12.{self.made:06d}+00:00"
        return replace(info_for(samples), segment_id=f"s{self.made}", seed=str(self.made), created_at=stamp)

    def add(self, shelf: str = "ready") -> Entry:
        """Add a new short segment."""
        self.wall_s += 1
        return self.spool.add(SOUND, self.info(), shelf=shelf)

    def heard(self, key: str) -> None:
        """Let a piece be heard, a second later."""
        self.wall_s += 1
        self.spool.mark_played(key)

    def on_disk(self, shelf: str) -> list[str]:
        """Return the names in a folder."""
        folder = self.root / shelf
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def said(self) -> list[str]:
        """Return the keys of the notices."""
        return [notice.key for notice in self.notices.recent()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An open spool in an empty folder."""
    made = Bench(tmp_path / "spool")
    made.spool.open()
    yield made
    made.spool.close()


def keys(entries: tuple[Entry, ...]) -> list[str]:
    """Return the keys of entries."""
    return [entry.key for entry in entries]


def samples_of(entry: Entry) -> Samples:
    """Return the sound of an entry, wherever it is."""
    if entry.samples is not None:
        return entry.samples[:]
    assert entry.path is not None
    return Packed.read(entry.path)[:]


# The life of a segment


def test_a_segment_passes_from_ready_to_played_to_kept(bench: Bench) -> None:
    """A state is a folder: the file moves with the entry, the key stays."""
    entry = bench.add()
    assert (entry.shelf, there(entry.path).parent.name, entry.samples) == ("ready", "ready", None)
    assert keys(bench.spool.ready()) == [entry.key]
    bench.heard(entry.key)
    assert (bench.spool.ready(), bench.on_disk("ready"), bench.on_disk("played")) == ((), [], [entry.key])
    assert bench.spool.keep(entry.key)
    assert bench.spool.is_kept(entry.key)
    assert bench.on_disk("kept") == [entry.key]
    assert not bench.spool.unkeep(entry.key)
    assert bench.on_disk("played") == [entry.key]
    assert bench.on_disk("incoming") == []


def test_names_can_be_read() -> None:
    """A name tells time, station and seed, in letters every file system takes, and sorts by time."""
    info = replace(info_for(SOUND), created_at="2026-11-23T13:20:12.123456+00:00")
    assert file_name(info) == "20261123T132012-123456_lofi_seed42.wav"
    odd = replace(info, recipe=Recipe("../Café 雨/x", "p", 30.0), seed="", created_at="yesterday / noon")
    assert file_name(odd) == "yesterday-noon_caf-x.wav"


def test_equal_names_do_not_collide(bench: Bench) -> None:
    """Two segments of one moment, and a file of somebody else with that name, all survive."""
    info = bench.info()
    foreign = bench.root / "ready" / file_name(info)
    foreign.write_bytes(b"precious")
    first, second = bench.spool.add(SOUND, info), bench.spool.add(SOUND, info)
    assert first.key != second.key
    assert len(bench.on_disk("ready")) == 3
    assert foreign.read_bytes() == b"precious"
    (bench.root / "played" / first.path.name).write_bytes(b"precious too")  # type: ignore[union-attr]
    bench.heard(first.key)
    assert (bench.root / "played" / first.path.name).read_bytes() == b"precious too"  # type: ignore[union-attr]
    assert len(bench.on_disk("played")) == 2


def test_what_was_ready_plays_first_at_the_next_start(bench: Bench) -> None:
    """The queue survives in its order, with its metadata; the names, not the clock, may even disagree."""
    added = [bench.add() for _ in range(3)]
    bench.made = 0  # a clock that went back: names sort before the others
    added += [bench.spool.add(SOUND, replace(bench.info(), created_at=f"2020-01-01T00:00:0{n}")) for n in range(3)]
    spool = bench.restart()
    assert keys(spool.ready()) == [entry.key for entry in added]
    assert [entry.info for entry in spool.ready()] == [entry.info for entry in added]


def test_the_library_plays_the_least_recently_heard_first_over_restarts(bench: Bench) -> None:
    """The order of hearing is in the files' times; a wall clock that jumps back does not disturb it."""
    names = [bench.add().key for _ in range(4)]
    for name in names:
        bench.heard(name)
    bench.spool.keep(names[2])
    bench.heard(names[0])
    bench.wall_s -= 1e6
    bench.heard(names[1])
    expected = [names[2], names[3], names[0], names[1]]
    assert keys(bench.spool.library()) == expected
    assert keys(bench.restart().library()) == expected


def test_results_of_an_older_mood_go_to_the_library(bench: Bench) -> None:
    """`shelf="played"` and `retire_ready` bypass the queue without loss."""
    late = bench.add("played")
    first, second = bench.add(), bench.add()
    assert bench.spool.retire_ready(lambda entry: entry.key == first.key) == 1
    assert keys(bench.spool.ready()) == [second.key]
    assert keys(bench.spool.library()) == [late.key, first.key]
    assert bench.on_disk("played") == sorted([late.key, first.key])


def test_played_is_bounded_and_kept_is_not(tmp_path: Path) -> None:
    """The least recently heard pieces go first; likes, the queue and the latest piece stay."""
    bench = Bench(tmp_path, max_mb=3.5 * SIZE_MB)
    bench.spool.open()
    liked = bench.add().key
    bench.heard(liked)
    bench.spool.keep(liked)
    names = [bench.add().key for _ in range(8)]
    for name in names[:7]:
        bench.heard(name)
    assert bench.on_disk("played") == names[4:7]
    assert (bench.on_disk("kept"), bench.on_disk("ready")) == ([liked], names[7:])
    bench.max_mb = 0.0
    spool = bench.restart()
    assert keys(spool.library()) == [liked, names[6]]
    spool.close()


def test_the_snapshot_counts(bench: Bench) -> None:
    """The dashboard sees what stands where."""
    names = [bench.add().key for _ in range(3)]
    bench.heard(names[0])
    bench.spool.keep(names[1])
    seen = bench.spool.snapshot()
    assert ([info.segment_id for info in seen.ready], seen.played, seen.kept, seen.writable) == (["s3"], 1, 1, True)
    assert seen.size_mb == pytest.approx(3 * SIZE_MB, rel=0.01)


# Likes and dislikes


def test_a_piece_without_a_file_can_be_liked(bench: Bench) -> None:
    """A built-in piece is written to kept/, under its own key now and its file's name after a restart."""
    info = bench.info()
    assert not bench.spool.keep("builtin 7")
    assert bench.spool.keep("builtin 7", SOUND, info)
    assert bench.spool.is_kept("builtin 7")
    assert bench.on_disk("kept") == [file_name(info)]
    assert [entry.info for entry in bench.restart().library()] == [info]


def test_a_like_unpacks_only_what_it_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a file costs a key nothing; where that is gone, it is written from memory."""
    kept, gone = bench.add(), bench.add()
    there(gone.path).unlink()
    unpacked: list[int] = []
    get = Packed.__getitem__

    def unpack(packed: Packed, span: slice) -> Samples:
        unpacked.append(len(packed))
        return get(packed, span)

    monkeypatch.setattr(Packed, "__getitem__", unpack)
    assert bench.spool.keep(kept.key, Packed.of(SOUND), kept.info)
    assert unpacked == []
    assert bench.spool.keep(gone.key, Packed.of(SOUND), gone.info)
    assert unpacked == [len(SOUND)]
    assert bench.on_disk("kept") == sorted([kept.key, gone.key])


def test_the_like_of_a_cut_and_levelled_piece_keeps_true_measurements(bench: Bench) -> None:
    """Where the original is gone, what is written is what was heard: it is not cut or levelled a second time."""
    whole = np.concatenate((np.zeros((48_000, 2), np.float32), chord(5.0), np.zeros((96_000, 2), np.float32)))
    found = analyse(whole, -45.0)
    measured = replace(info_for(whole), analysis=found)
    piece = to_piece(whole, found, -23.0, Source.FRESH, "k", measured)
    assert bench.spool.keep("k", piece.samples[:], as_heard(piece, -23.0))
    entry = bench.restart().library()[0]
    again = to_piece(samples_of(entry), there(entry.info).analysis, -23.0, Source.LIBRARY, "k")
    assert len(again.samples) == len(piece.samples)
    assert np.abs(again.samples[:] - piece.samples[:])[500:-500].max() < 2e-3


def test_the_like_of_a_cut_piece_keeps_its_key_and_beat() -> None:
    """Its beats are counted from the cut; where a rest was left out too they fall nowhere in particular."""
    sound = Analysis(960_000, 48_000, 900_000, -23.0, -1.0, "D minor", 90.0, 1.25)
    piece = Piece(SOUND, Source.FRESH, "k", replace(info_for(SOUND), analysis=sound), parts=((48_000, 900_000),))
    heard = there(as_heard(piece, -23.0))
    assert (heard.key_scale, heard.bpm, heard.analysis.beat_s) == ("D minor", 90.0, 0.25)
    cut = there(as_heard(replace(piece, parts=((48_000, 96_000), (144_000, 900_000))), -23.0))
    assert (cut.key_scale, cut.analysis.beat_s) == ("D minor", None)


@pytest.mark.parametrize("shelf", ["ready", "played", "kept"])
def test_a_disliked_piece_is_gone_for_good(bench: Bench, shelf: str) -> None:
    """The user's word counts more than an earlier like."""
    key = bench.add().key
    if shelf == "played":
        bench.heard(key)
    if shelf == "kept":
        bench.spool.keep(key)
    bench.spool.discard(key, "disliked")
    assert bench.spool.get(key) is None
    assert bench.on_disk(shelf) == []
    assert bench.restart().library() == bench.spool.ready() == ()


@pytest.mark.parametrize("shelf", ["played", "kept"])
def test_a_dislike_can_be_taken_back(bench: Bench, shelf: str) -> None:
    """Until then the file waits in disliked/; it comes back to its shelf as it was, from memory as well."""
    key = bench.add(shelf).key
    bench.spool.discard(key, "disliked")
    bench.spool.reject(key, "vanished")  # who was reading it when it was moved
    assert (bench.on_disk(shelf), bench.on_disk("disliked")) == ([], [key])
    assert bench.spool.restore(key, shelf)
    assert (bench.on_disk(shelf), bench.on_disk("disliked")) == ([key], [])
    assert keys(bench.spool.library()) == [key]
    assert not bench.spool.restore("never there", shelf)
    bench.files.broken = {"write": errno.EIO}
    loose = bench.add(shelf).key
    bench.spool.discard(loose, "disliked")
    assert bench.spool.restore(loose, shelf)
    assert np.array_equal(samples_of(bench.spool.library()[-1]), SOUND)


@pytest.mark.parametrize("killed", [False, True])
def test_what_can_not_be_taken_back_any_more_is_deleted(bench: Bench, killed: bool) -> None:
    """The eleventh newest dislike, and all of them across the end of the program, however it ended."""
    disliked = [bench.add("played").key for _ in range(12)]
    for key in disliked:
        bench.spool.discard(key, "disliked")
    assert bench.on_disk("disliked") == sorted(disliked[2:])
    assert not bench.spool.restore(disliked[1], "played")
    if killed:
        bench.spool._storage._folder_lock.release()
        bench.spool = bench.fresh()
        bench.spool.open()
    else:
        bench.spool.close()
    assert bench.on_disk("disliked") == []


# While a large library is still being read


class Slow(Bench):
    """A spool whose thread is the test: it reads a library of more files than are looked into at once."""

    def __init__(self, root: Path, pieces: int = 2 * READ_AT_ONCE) -> None:
        super().__init__(root)
        self.spool.open()
        for _ in range(pieces):
            self.add("played")
        self.spool.close()
        self.spool = self.fresh()
        self.spool._open()

    def read_all(self) -> Spool:
        """Let the rest be read."""
        while not self.spool.is_read:
            self.spool._read_on()
        return self.spool


def test_a_dislike_before_all_is_read_can_be_taken_back(tmp_path: Path) -> None:
    """What is set aside in this session is not what a killed one left."""
    bench = Slow(tmp_path)
    entry = bench.spool.library()[-1]
    bench.spool.discard(entry.key, "disliked")
    bench.read_all()
    assert bench.on_disk("disliked") == [entry.key]
    assert bench.spool.restore(entry.key, "played")
    assert bench.on_disk("disliked") == []
    assert samples_of(bench.spool.library()[-1]).shape == SOUND.shape


def test_a_new_piece_takes_no_name_of_one_that_is_not_read_yet(tmp_path: Path) -> None:
    """Both are there when all is read, and count for what the disk may hold."""
    bench = Slow(tmp_path)
    unread = bench.spool._unread[-1]
    info = there(audio_files.read_info(there(unread.path)))
    bench.spool.add(SOUND, info)
    spool = bench.read_all()
    assert len(spool.ready()) == 1
    assert len(spool.library()) == 2 * READ_AT_ONCE
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("*/*.wav"))
    assert spool.snapshot().size_mb == pytest.approx(on_disk / 2**20)


def test_a_clock_set_back_before_the_shelves_are_listed_changes_no_order() -> None:
    """A stamp is the clock's time, but later than any before, those of files that are found late included."""
    wall_s = 1_000.0
    index = ShelfIndex(lambda: wall_s)
    first = index.next_stamp()
    assert first == wall_s
    wall_s = 500.0
    index.later_than([600.0])
    assert index.next_stamp() > first


def test_own_music_in_kept_is_played_and_never_deleted(bench: Bench) -> None:
    """Any audio file counts there; a dislike puts it into disliked/, a reading error and an unlike leave it alone."""
    for name in ("song.mp3", "Mine.FLAC", "44k.wav", "notes.txt", ".hidden.wav"):
        (bench.root / "kept" / name).write_bytes(wav_bytes(SOUND))
    spool = bench.restart()
    assert sorted(keys(spool.library())) == ["44k.wav", "Mine.FLAC", "song.mp3"]
    assert {entry.info for entry in spool.library()} == {None}
    assert spool.unkeep("44k.wav")
    spool.reject("44k.wav", "corrupt")
    spool.discard("song.mp3", "disliked")
    assert keys(spool.library()) == ["Mine.FLAC"]
    expected = [".hidden.wav", "44k.wav", "Mine.FLAC", "notes.txt"]
    assert bench.on_disk("disliked") == ["song.mp3"]
    assert bench.on_disk("kept") == expected
    assert sorted(keys(bench.restart().library())) == ["44k.wav", "Mine.FLAC"]


def test_whole_albums_of_ones_own_are_played_where_they_lie(bench: Bench) -> None:
    """Folders in kept/ count, not hidden ones, links, shelves; being heard moves nothing, names may be the same."""
    others = "two/.stversions/01.mp3", "../elsewhere/02.mp3", "played/01.mp3"
    for name in ("01.mp3", "one/01.mp3", "two/cd 1/01.mp3", *others):
        path = bench.root / "kept" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(SOUND))
    (bench.root / "kept" / "link").symlink_to(bench.root / "elsewhere")
    (bench.root / "played" / "backup").mkdir()
    (bench.root / "played" / "backup" / "01.wav").write_bytes(audio_files.encode(SOUND, bench.info()))
    spool = bench.restart()
    own = ["01.mp3", "one/01.mp3", "two/cd 1/01.mp3"]
    assert sorted(keys(spool.library())) == own
    for key in own:
        bench.heard(key)
    assert keys(spool.library()) == own
    assert keys(bench.restart().library()) == own
    assert all((bench.root / "kept" / key).is_file() for key in own)
    bench.spool.discard("one/01.mp3", "disliked")
    assert bench.on_disk("disliked") == ["01.mp3"]


def test_a_corrupt_piece_leaves_its_shelf(bench: Bench) -> None:
    """What cannot be read is not tried again."""
    key = bench.add().key
    bench.spool.reject(key, "truncated")
    assert (bench.spool.ready(), bench.on_disk("ready")) == ((), [])


# Strange folders


def test_foreign_and_corrupt_files_are_ignored_and_left_alone(bench: Bench) -> None:
    """Only ours is played, and only what we half wrote is deleted."""
    mine = bench.add().key
    strange: dict[str, bytes | memoryview] = {
        "ready/photo.jpg": b"\xff\xd8",
        "ready/empty.wav": b"",
        "ready/broken.wav": audio_files.encode(SOUND, bench.info())[:-100],
        "ready/not ours.wav": wav_bytes(SOUND),
        "played/notes.txt": b"hello",
        "played/song.mp3": b"ID3",
        "incoming/download.crdownload": b"abc",
        "README": b"text",
    }
    for name, data in strange.items():
        (bench.root / name).write_bytes(data)
    (bench.root / "ready" / "folder.wav").mkdir()
    (bench.root / "ready" / "link.wav").symlink_to("/nowhere")
    (bench.root / "incoming" / f"{folders.PART}77-1.wav").write_bytes(b"half")
    spool = bench.restart()
    assert keys(spool.ready()) == [mine]
    assert spool.library() == ()
    assert all((bench.root / name).read_bytes() == data for name, data in strange.items())
    assert bench.on_disk("incoming") == ["download.crdownload"]


@pytest.mark.parametrize("act", ["mark_played", "keep", "unkeep", "is_kept", "get"])
def test_unknown_keys_are_no_error(bench: Bench, act: str) -> None:
    """A key may have been dropped a moment ago."""
    assert not getattr(bench.spool, act)("gone.wav")
    bench.spool.discard("gone.wav", "disliked")
    bench.spool.reject("gone.wav", "corrupt")


def test_a_vanished_file_leaves_the_index_when_it_is_touched(bench: Bench) -> None:
    """Somebody may tidy up while we play."""
    first, second, third = (bench.add() for _ in range(3))
    for entry in (first, second, third):
        there(entry.path).unlink()
    bench.heard(first.key)
    bench.spool.discard(second.key, "disliked")
    assert bench.spool.keep(third.key, SOUND, third.info)
    assert keys(bench.spool.ready() + bench.spool.library()) == [third.key]
    assert bench.on_disk("kept") == [third.key]


def test_a_deleted_folder_is_made_again(bench: Bench) -> None:
    """The next segment brings the folders back, locked, and it is said."""
    old = bench.add()
    shutil.rmtree(bench.root)
    new = bench.add()
    assert there(new.path).exists()
    assert "spool.remade" in bench.said()
    bench.heard(old.key)
    assert keys(bench.spool.ready()) == [new.key]
    with pytest.raises(SpoolBusy):
        bench.fresh().open()


def test_a_deleted_shelf_does_not_lose_the_piece(bench: Bench) -> None:
    """Only `played/` is gone: the file still finds its place."""
    key = bench.add().key
    (bench.root / "played").rmdir()
    bench.heard(key)
    assert bench.on_disk("played") == [key]


@pytest.mark.parametrize("leaves", ["nothing", "an empty folder"])
def test_a_disk_that_was_taken_away_gets_no_stand_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, leaves: str
) -> None:
    """What were written into the mount point would be hidden later; it waits in memory, and no piece is forgotten."""
    liked, played, queued = bench.add("kept"), bench.add("played"), bench.add()
    aside = bench.root.with_name("stick")
    bench.root.rename(aside)
    if leaves != "nothing":
        bench.root.mkdir()
    with monkeypatch.context() as away:
        away.setattr(folders, "disk_of", lambda _: -1)
        for entry in (liked, played, queued):
            bench.heard(entry.key)
        new = bench.add()
        bench.spool.keep("built-in", SOUND, bench.info())
        assert bench.spool.incoming_path().parent != bench.root / "incoming"
        assert not bench.root.exists() or list(bench.root.iterdir()) == []
    assert "spool.refused" in bench.said()
    assert "spool.remade" not in bench.said()
    if leaves != "nothing":
        bench.root.rmdir()
    aside.rename(bench.root)
    bench.clock.wait(threading.Event(), folders.RETRY_S)
    bench.heard(played.key)
    assert "spool.writable" in bench.said()
    assert len(bench.on_disk("kept")) == 2
    assert set(bench.on_disk("played")) == {played.key, queued.key}
    assert bench.on_disk("ready") == [new.key]


def test_a_disk_that_came_back_under_another_number_is_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a stick or a network drive does: a shelf that is deleted there later is made anew."""
    real = os.stat

    def renumbered(path: str, **how: Any) -> os.stat_result:
        found = list(real(path, **how))
        found[2] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", renumbered)
    shutil.rmtree(bench.root / "ready")
    key = bench.add().key
    assert bench.on_disk("ready") == [key]


# The lock


def test_a_second_program_is_refused_in_one_line(bench: Bench) -> None:
    """The line names the process and the remedy; the first one goes on, and its end lets the next in."""
    second = bench.fresh()
    with pytest.raises(SpoolBusy) as caught:
        second.open()
    assert str(os.getpid()) in str(caught.value)
    assert "SPOOL_DIR" in str(caught.value)
    assert "\n" not in str(caught.value)
    bench.spool.close()
    second.open()
    second.close()


def test_a_killed_program_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel frees the lock, whatever the file says."""
    (tmp_path / LOCK_FILE).write_text("12345\n")
    bench = Bench(tmp_path)
    bench.spool.open()
    bench.spool.close()


# A disk that refuses


def test_a_full_disk_drops_played_pieces_first(bench: Bench) -> None:
    """Old music makes room for new, oldest first; likes and the queue are not touched."""
    names = [bench.add().key for _ in range(4)]
    for name in names[:3]:
        bench.heard(name)
    bench.spool.keep(names[0])
    bench.files.room = 10
    new = bench.add()
    assert new.path is not None
    assert bench.on_disk("played") == [names[2]]
    assert bench.on_disk("kept") == [names[0]]
    assert bench.said() == []


def test_a_full_disk_then_keeps_new_music_in_memory(bench: Bench) -> None:
    """It is said once, the queue grows on, and all is written when there is room again."""
    bench.files.room = 0
    loose = [bench.add() for _ in range(3)]
    assert [entry.path for entry in loose] == [None] * 3
    assert bench.spool.ready() == tuple(loose)
    assert bench.said() == ["spool.full"]
    assert not bench.spool.snapshot().writable
    assert bench.on_disk("incoming") == []
    bench.heard(loose[0].key)
    bench.files.room = None
    bench.add()
    assert bench.said() == ["spool.full", "spool.writable"]
    assert bench.spool.snapshot().writable
    assert len(bench.on_disk("ready")) == 3
    assert len(bench.on_disk("played")) == 1
    assert keys(bench.restart().library()) == [loose[0].key]


def test_memory_is_written_without_new_music_too(bench: Bench) -> None:
    """With a full queue nothing is added: hearing a piece tries again, at most every ten seconds."""
    bench.files.broken = dict.fromkeys(("write",), errno.EROFS)
    first, second = bench.add(), bench.add()
    bench.files.broken = {}
    bench.heard(first.key)
    assert bench.on_disk("ready") == []
    bench.clock.time_s += folders.RETRY_S
    bench.heard(first.key)
    assert bench.on_disk("ready") == [second.key]
    assert bench.said()[-1] == "spool.writable"


def test_memory_is_bounded_while_the_disk_refuses(bench: Bench) -> None:
    """Of the pieces heard from memory only a few remain; a like in memory is not dropped, and is told as unsaved."""
    bench.files.broken = dict.fromkeys(("write",), errno.EROFS)
    liked = bench.add().key
    assert bench.spool.keep(liked)
    assert "spool.keep_failed" in bench.said()
    for _ in range(30):
        bench.heard(bench.add().key)
    assert len(bench.spool.library()) == 9
    assert bench.spool.is_kept(liked)
    bench.files.broken = {}
    bench.restart()
    assert bench.on_disk("kept") == [liked]
    assert len(bench.spool.library()) == 9


@pytest.mark.parametrize(("minutes", "kept"), [(0.5, 8), (1.0, 4), (10.0, 1)])
def test_memory_is_bounded_however_long_the_pieces_are(tmp_path: Path, minutes: float, kept: int) -> None:
    """Counted in bytes; what was heard last stays, however much that is."""
    index, files = ShelfIndex(lambda: 0.0), Files()
    trimmer = Trimmer(index, folders.Storage(tmp_path, files, Notices(FakeClock())), 1e9)
    samples = np.broadcast_to(np.float32(0), (round(minutes * 60 * SAMPLE_RATE_HZ), 2))
    for number in range(12):
        index.add(Entry(str(number), "played", None, info_for(SOUND), samples, float(number)))
    trimmer.forget_unwritten()
    assert [entry.key for entry in index.group("played")] == [str(number) for number in range(12 - kept, 12)]


def test_a_rename_that_is_refused_does_not_play_a_piece_twice(bench: Bench) -> None:
    """On a disk turned read-only the index moves on; if it stays so, the next start plays the piece once more."""
    key = bench.add().key
    bench.files.broken = dict.fromkeys(("rename", "stamp", "remove", "write"), errno.EROFS)
    bench.heard(key)
    assert bench.spool.ready() == ()
    assert keys(bench.spool.library()) == [key]
    bench.spool.discard(key, "disliked")
    assert bench.spool.library() == ()
    assert keys(bench.restart().ready()) == [key]


def test_a_refused_move_is_tried_again(bench: Bench) -> None:
    """Read-only for half a minute: what was heard or disliked meanwhile does not come again at the next start."""
    heard, disliked = bench.add().key, bench.add().key
    bench.files.broken = dict.fromkeys(("rename", "stamp", "remove", "write"), errno.EROFS)
    bench.heard(heard)
    bench.spool.discard(disliked, "disliked")
    bench.files.broken = {}
    bench.clock.time_s += folders.RETRY_S
    bench.heard("nothing")
    assert bench.on_disk("ready") == []
    assert bench.on_disk("played") == [heard]
    assert bench.said() == ["spool.refused", "spool.writable"]
    assert bench.restart().ready() == ()


def test_a_refused_move_is_tried_again_at_the_end(bench: Bench) -> None:
    """The disk takes files again just before the end."""
    key = bench.add().key
    bench.files.broken = dict.fromkeys(("rename",), errno.EROFS)
    bench.heard(key)
    bench.files.broken = {}
    assert bench.restart().ready() == ()


def test_a_piece_on_a_disk_that_tells_nothing_is_not_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder cannot be looked into, nothing is known of its files; they are there when it can be again."""
    key = bench.add().key
    bench.files.broken = dict.fromkeys(("rename", "stamp"), errno.EIO)
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "lexists", lambda _: False)  # as it says where it is refused
        bench.heard(key)
    assert keys(bench.spool.library()) == [key]
    assert bench.said() == ["spool.refused"]


def test_a_file_that_goes_as_it_is_moved_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of the disk, and no folder was gone."""
    key = bench.add().key
    path, rename = there(there(bench.spool.get(key)).path), bench.files.rename

    def too_late(old: Path, new: Path) -> None:
        path.unlink(missing_ok=True)
        rename(old, new)

    monkeypatch.setattr(bench.files, "rename", too_late)
    bench.heard(key)
    assert bench.spool.library() == ()
    assert bench.said() == []


def test_one_file_that_is_forbidden_says_nothing_of_the_disk(bench: Bench) -> None:
    """A file of another user's cannot be moved; others can: no "refused" and "writable" by turns."""
    key = bench.add().key
    bench.files.broken = dict.fromkeys(("rename",), errno.EPERM)
    bench.heard(key)
    bench.files.broken = {}
    bench.add()
    assert bench.said() == []


def test_a_nearly_full_disk_is_said_once_and_spares_what_would_not_help(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one segment and ROOM_BYTES of free disk: no "full" and "writable" by turns, nothing deleted in vain."""
    monkeypatch.setattr(bench.files, "free_bytes", lambda path: bench.files.room)
    bench.heard(bench.add().key)
    bench.files.room = 100
    big = np.tile(SOUND, (5, 1))
    bench.spool.add(big, bench.info(big))
    assert len(bench.on_disk("played")) == 1, "deleted in vain"
    for _ in range(5):
        bench.files.room = int(1.5 * SIZE_MB * 2**20)
        bench.clock.time_s += folders.RETRY_S
        bench.heard(bench.add().key)
        bench.files.room = 100
        bench.add()
    assert bench.said() == ["spool.full"]
    bench.files.room = 2 * folders.ROOM_BYTES
    bench.add()
    assert bench.said() == ["spool.full", "spool.writable"]


class LateClock(SystemClock):
    """Real time, and what is added to it."""

    later_s = 0.0

    def now(self) -> float:
        return super().now() + self.later_s


Hung = tuple[Spool, "HangingFiles", LateClock, threading.Event]


class HangingFiles(Files):
    """A disk that answers nothing while `hung` is set, as a network share does."""

    def __init__(self) -> None:
        self.hung = threading.Event()
        self.back = threading.Event()
        self.asked = threading.Event()

    def __getattribute__(self, name: str) -> object:
        asked = name in ("make_folder", "listing", "write", "exists", "rename", "sync_folder", "remove", "stamp")
        if asked and self.hung.is_set():
            self.asked.set()
            self.back.wait(30.0)
        return super().__getattribute__(name)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hung]:
    """A spool whose disk is followed by a thread, as in the program."""
    files, clock, stop = HangingFiles(), LateClock(), threading.Event()
    made = Spool(tmp_path, MAX_MB, Notices(clock), clock, files)
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    assert made.opened.wait(10.0)
    yield made, files, clock, stop
    stop.set()
    files.back.set()
    made.close()
    thread.join(10.0)
    assert not thread.is_alive()


def test_nobody_waits_for_a_disk_that_hangs(hanging: Hung, tmp_path: Path) -> None:
    """Adding, hearing, liking, disliking, looking and closing answer from memory; the disk follows when it is back."""
    spool, files, clock, stop = hanging
    files.hung.set()
    heard, liked, disliked = (spool.add(SOUND, replace(info_for(SOUND), seed=str(n))).key for n in range(3))
    assert files.asked.wait(10.0)
    clock.later_s = 5.0
    assert spool.hanging
    spool.mark_played(heard)
    assert spool.keep(liked)
    assert spool.keep("builtin", SOUND, info_for(SOUND))
    spool.discard(disliked, "disliked")
    assert spool.ready() == ()
    assert spool.unsaved == 3
    assert not spool.incoming_path(".wav").is_relative_to(tmp_path)
    stop.set()
    spool.close()
    files.hung.clear()
    files.back.set()


def test_memory_is_bounded_while_the_disk_hangs(hanging: Hung) -> None:
    """Of what was played only the latest pieces stay in memory."""
    spool, files, clock, stop = hanging
    files.hung.set()
    first = spool.add(SOUND, info_for(SOUND)).key
    assert files.asked.wait(10.0)
    clock.later_s = 5.0
    for n in range(20):
        spool.mark_played(spool.add(SOUND, replace(info_for(SOUND), seed=str(n))).key)
    assert len(spool.library()) == 8
    assert keys(spool.ready()) == [first]
    stop.set()


def test_what_was_asked_while_the_disk_hung_is_done_at_last(hanging: Hung, tmp_path: Path) -> None:
    """Each piece ends on the shelf that was wished last, the disliked one nowhere."""
    spool, files, _, stop = hanging
    files.hung.set()
    heard, liked, disliked = (spool.add(SOUND, replace(info_for(SOUND), seed=str(n))).key for n in range(3))
    assert files.asked.wait(10.0)
    spool.mark_played(heard)
    spool.keep(liked)
    spool.discard(disliked, "disliked")
    files.hung.clear()
    files.back.set()
    stop.set()
    spool.close()
    assert spool._closed.wait(10.0)
    found = {shelf: [path.name for path in (tmp_path / shelf).iterdir()] for shelf in ("ready", "played", "kept")}
    assert found == {"ready": [], "played": [heard], "kept": [liked]}


def test_a_spool_that_was_never_writable_still_works(tmp_path: Path) -> None:
    """A folder where a file stands: everything happens in memory."""
    (tmp_path / "file").write_text("x")
    bench = Bench(tmp_path / "file" / "spool")
    bench.spool.open()
    entry = bench.add()
    assert np.array_equal(samples_of(entry), SOUND)
    bench.heard(entry.key)
    assert keys(bench.spool.library()) == [entry.key]
    assert bench.said() == ["spool.refused"]
    path = bench.spool.incoming_path(".wav")
    path.write_bytes(b"a download")
    bench.spool.close()
    assert not path.exists()


def test_a_read_only_spool_plays_what_it_has(bench: Bench) -> None:
    """Listing still works where writing does not."""
    key = bench.add().key
    bench.spool.close()
    bench.files.broken = dict.fromkeys(("write", "rename", "make_folder", "stamp"), errno.EROFS)
    bench.spool = bench.fresh()
    bench.spool.open()
    assert keys(bench.spool.ready()) == [key]
    assert bench.said() == ["spool.refused"]


# Downloads


def test_partial_files_lie_in_incoming(bench: Bench) -> None:
    """Every path is new, and its name harmless whatever the server calls the file."""
    paths = {bench.spool.incoming_path(suffix) for suffix in (".wav", ".wav", "", "../../x y", "." * 300)}
    assert len(paths) == 5
    assert {path.parent for path in paths} == {bench.root / "incoming"}


def test_a_download_gets_room_or_another_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nearly full disk gives up played pieces if that helps; else downloads go elsewhere, then SpoolError."""
    for _ in range(3):
        bench.heard(bench.add().key)
    lacking = folders.ROOM_BYTES - int(1.5 * SIZE_MB * 2**20)
    bench.files.room = lacking
    monkeypatch.setattr(bench.files, "free_bytes", lambda path: bench.files.room)
    assert bench.spool.incoming_path(".wav").parent == bench.root / "incoming"
    assert len(bench.on_disk("played")) == 1
    bench.files.room = lacking
    elsewhere = bench.spool.incoming_path(".wav")
    assert not elsewhere.is_relative_to(bench.root)
    assert len(bench.on_disk("played")) == 1, "deleted in vain"
    assert bench.said() == [], "nothing was refused"

    def no_place(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.rmtree(elsewhere.parent)
    monkeypatch.setattr("spool.folders.tempfile.mkdtemp", no_place)
    with pytest.raises(SpoolError, match="SPOOL_DIR"):
        bench.spool.incoming_path(".wav")


# Everything that can fail


def session(bench: Bench) -> dict[str, Entry]:
    """Live a short life with every operation in it; return what must not be lost."""
    spool = bench.spool
    names = [bench.add().key for _ in range(5)]
    bench.heard(names[0])
    bench.heard(names[1])
    spool.keep(names[0])
    spool.keep(names[2])
    spool.unkeep(names[2])
    spool.keep("builtin 1", SOUND, bench.info())
    spool.retire_ready(lambda entry: entry.key == names[3])
    names.append(bench.add("played").key)
    spool.discard(names[1], "disliked")
    with contextlib.suppress(SpoolError):
        spool.incoming_path(".wav").write_bytes(b"x")
    names.append(bench.add().key)
    lost_on_purpose = {names[1]}
    return {key: entry for key in [*names, "builtin 1"] if (entry := spool.get(key)) and key not in lost_on_purpose}


def operations(tmp_path: Path) -> int:
    """Return how many file operations a session takes."""
    bench = Bench(tmp_path / "count")
    bench.spool.open()
    session(bench)
    bench.spool.close()
    return len(bench.files.calls)


@pytest.mark.parametrize(
    "error", [errno.EIO, errno.ENOSPC, errno.ENOENT, pytest.param(errno.EROFS, marks=pytest.mark.virtual)]
)
def test_any_one_file_operation_may_fail(tmp_path: Path, error: int) -> None:
    """For every N: the Nth file operation fails, nothing is raised, and nothing generated is lost."""
    total = operations(tmp_path)
    assert total > 50
    for number in range(1, total + 1):
        bench = Bench(tmp_path / str(number))
        bench.files.fail_at = {number: error}
        bench.spool.open()
        survivors = session(bench)
        # A played piece may have made room for a new one; every other piece is there.
        made_room = 1 if error == errno.ENOSPC else 0
        assert len(survivors) >= 7 - made_room, number
        assert all(np.abs(samples_of(entry) - SOUND).max() < 1e-4 for entry in survivors.values())
        again = bench.restart()
        failed = bench.files.calls[number - 1]
        if error == errno.ENOENT and failed == "write":
            assert "spool.remade" in bench.said()
        after = again.ready() + again.library()
        assert len(after) >= len(survivors), (number, failed)
        assert sum(entry.shelf == "kept" for entry in after) >= 1, (number, failed)
        assert bench.on_disk("incoming") == []
        again.close()
        shutil.rmtree(bench.root)


@pytest.mark.parametrize(
    "error", [errno.EIO, errno.ENOSPC, errno.ENOENT, pytest.param(errno.EROFS, marks=pytest.mark.virtual)]
)
def test_from_any_moment_on_everything_may_fail(tmp_path: Path, error: int) -> None:
    """For every N: the disk dies at its Nth operation; the session ends as it would have, from memory."""
    for number in range(1, operations(tmp_path) + 1, 3):
        bench = Bench(tmp_path / str(number))
        bench.files.fail_at = dict.fromkeys(range(number + 1, 10_000), error)
        bench.spool.open()
        survivors = session(bench)
        assert len(survivors) >= 6, number
        assert len(bench.spool.ready()) == 2, number
        bench.spool.close()
        shutil.rmtree(bench.root)


def test_many_threads_lose_nothing(bench: Bench) -> None:
    """Adding (under equal names), hearing, liking and looking at once: every segment ends on exactly one shelf."""
    faults: list[BaseException] = []
    added: list[str] = []

    def maker() -> None:
        added.extend(bench.spool.add(SOUND, replace(info_for(SOUND), seed=str(step))).key for step in range(25))

    def listener() -> None:
        for _ in range(200):
            for entry in bench.spool.ready()[:2]:
                bench.spool.mark_played(entry.key)
            for entry in bench.spool.library()[:2]:
                if not bench.spool.keep(entry.key):
                    raise AssertionError("a like got lost")
                bench.spool.unkeep(entry.key)
            bench.spool.snapshot()

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in (maker, listener) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert faults == []
    everything = sorted(keys(bench.spool.ready() + bench.spool.library()))
    assert everything == sorted(added)
    assert len(set(everything)) == 100
    assert sorted(bench.on_disk("ready") + bench.on_disk("played") + bench.on_disk("kept")) == everything


KILLED = """
    import sys, threading
    sys.path[:0] = sys.argv[2:]
    from pathlib import Path
    from base.notices import Notices
    from doubles.simulated_time import FakeClock
    from spool.spool import Spool
    from dataclasses import replace
    from doubles.fake_audio import chord
    from doubles.sounds import info_for
    SOUND = chord(0.05)
    clock = FakeClock()
    spool = Spool(Path(sys.argv[1]), 50.0, Notices(clock), clock)
    spool.open()
    number = 0
    while True:
        number += 1
        key = spool.add(SOUND, replace(info_for(SOUND), seed=str(number))).key
        print("added", key, flush=True)
        if number % 3 == 0:
            spool.mark_played(key)
            print("played", key, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_kill_9_loses_nothing_that_was_ready(tmp_path: Path, lines: int) -> None:
    """Whenever the program is killed, what `add` had returned is there at the next start, and nothing is half done."""
    here = Path(__file__).resolve().parent
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(KILLED),
            str(tmp_path),
            str(here.parents[1] / "prototype"),
            str(here.parent),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    told = [program.stdout.readline().split() for _ in range(lines)]
    program.kill()
    told += [line.split() for line in program.stdout]
    program.stdout.close()
    program.wait()
    bench = Bench(tmp_path)
    bench.spool.open()
    added = {words[1] for words in told if words[:1] == ["added"] and len(words) == 2}
    played = {words[1] for words in told if words[:1] == ["played"] and len(words) == 2}
    ready, library = set(keys(bench.spool.ready())), set(keys(bench.spool.library()))
    assert added <= ready | library
    assert played <= library
    assert len(added - played - ready) <= 1  # one may have been on its way when the kill came
    assert bench.on_disk("incoming") == []
    assert all(np.abs(samples_of(entry) - SOUND).max() < 1e-4 for entry in bench.spool.ready())
    bench.spool.close()


def test_a_thousand_segments_leave_no_trace(tmp_path: Path) -> None:
    """The index and the folders stay as small as SPOOL_MAX_MB says, however long we play."""
    bench = Bench(tmp_path, max_mb=20 * SIZE_MB)
    bench.spool.open()
    for _ in range(1000):
        bench.heard(bench.add().key)
    assert len(bench.spool.library()) <= 20
    assert len(bench.on_disk("played")) <= 20
    bench.spool.close()


def test_every_notice_has_its_text() -> None:
    """What the spool says exists in both languages."""
    for key in ("spool.full", "spool.refused", "spool.writable", "spool.remade", "spool.keep_failed"):
        assert all(text.format(reason="r", folder="f") for text in (texts("en")[key], texts("ja")[key]))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real segments are not beside this repository")
def test_real_segments_pass_through(bench: Bench) -> None:
    """From a server's bytes to the shelf and back to a piece: cue points and loudness are those measured at first."""
    for path in sorted(REAL.glob("*.wav"))[:3]:
        found = ingest(path, 30.0, -45.0)
        entry = bench.spool.add(found.samples, replace(bench.info(found.samples[:]), analysis=found.analysis))
        assert entry.info is not None
        first = to_piece(found.samples, found.analysis, -23.0, Source.FRESH, "k")
        second = to_piece(samples_of(entry), entry.info.analysis, -23.0, Source.FRESH, "k")
        assert np.abs(first.samples[:] - second.samples[:]).max() < 1e-3
