"""Files in a folder that others can write to: nothing of theirs is followed, waited for or overwritten."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from base.errors import SpoolBusy
from base.files import open_safely, read_safely, replace_safely
from base.workers import Errands, within
from music.segment import Recipe
from spool.folders import LOCK_FILE, Files, FolderLock, is_of_disk
from spool.state_files import FILE, JobsFile, load_remembered, remember

PRECIOUS = "not yours"


def link(path: Path) -> None:
    """Put a link there, to a file that must stay as it is."""
    path.symlink_to(path.parent / "victim")


def hard_link(path: Path) -> None:
    """Give the victim a second name."""
    path.hardlink_to(path.parent / "victim")


def fifo(path: Path) -> None:
    """Put a FIFO there, which nobody reads or writes."""
    os.mkfifo(path)


def folder(path: Path) -> None:
    """Put a folder there."""
    path.mkdir()


TRAPS = [link, hard_link, fifo, folder]
each_trap = pytest.mark.parametrize("trap", TRAPS)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with a file that nobody may touch."""
    (tmp_path / "victim").write_text(PRECIOUS)
    return tmp_path


def save_jobs(shared: Path) -> None:
    """Remember a job."""
    JobsFile(shared / "jobs.json").save("http://x", lambda: [("a", Recipe("lofi", "slow", 30.0))])


@each_trap
@pytest.mark.parametrize("name", ["jobs.json", "jobs.json.part"])
def test_jobs_are_remembered_past_every_trap(shared: Path, trap: Callable[[Path], None], name: str) -> None:
    """What lies in the way is replaced by a file of our own, or (a folder) left; nothing is written through it."""
    trap(shared / name)
    save_jobs(shared)
    assert (shared / "victim").read_text() == PRECIOUS
    if trap is not folder:
        assert json.loads((shared / "jobs.json").read_text())["jobs"]
        assert (shared / "jobs.json").stat().st_mode & 0o777 == 0o600


@each_trap
@pytest.mark.parametrize("name", [FILE, f"{FILE}.part", "remembered.part"])
def test_the_volume_is_remembered_past_every_trap(shared: Path, trap: Callable[[Path], None], name: str) -> None:
    """As for the jobs; reading waits for no FIFO either."""
    trap(shared / name)
    load_remembered(shared)
    remember(shared, volume=35)
    assert (shared / "victim").read_text() == PRECIOUS
    assert trap is folder or load_remembered(shared) == {"volume": 35}


@pytest.mark.parametrize("trap", [link, fifo, folder])
def test_a_lock_that_is_no_file_of_ours_is_refused(shared: Path, trap: Callable[[Path], None]) -> None:
    """One sentence says what to do; what a link leads to stays whole."""
    trap(shared / LOCK_FILE)
    with pytest.raises(SpoolBusy, match="delete it"):
        FolderLock(shared).take()
    assert (shared / "victim").read_text() == PRECIOUS


def test_a_lock_with_a_second_name_is_refused(shared: Path) -> None:
    """The pid would be written into the other file."""
    hard_link(shared / LOCK_FILE)
    with pytest.raises(SpoolBusy, match="delete it"):
        FolderLock(shared).take()
    assert (shared / "victim").read_text() == PRECIOUS


def test_a_lock_left_by_root_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program was once started with sudo."""
    lock = FolderLock(tmp_path)
    lock.take()
    lock.release()

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("spool.folders.open_safely", refused)
    with pytest.raises(SpoolBusy, match=r"belongs to .*sudo chown .*SPOOL_DIR"):
        lock.take()


def test_what_is_new_is_for_us_alone(tmp_path: Path) -> None:
    """Files 0600, folders 0700, whatever the umask allows."""
    files = Files()
    files.make_folder(tmp_path / "spool")
    files.write(tmp_path / "spool" / "a.wav", b"x")
    replace_safely(tmp_path / "spool" / "b.json", b"{}")
    FolderLock(tmp_path / "spool").take()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()}
    assert modes == {"a.wav": 0o600, "b.json": 0o600, LOCK_FILE: 0o600}
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    """A reader finds the old text or the new."""
    replace_safely(tmp_path / "a", b"one")
    replace_safely(tmp_path / "a", b"two")
    assert read_safely(tmp_path / "a") == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_small_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """On a full disk a partial file would take what room there is."""
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match=str(tmp_path)):
        replace_safely(tmp_path / "a", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_a_regular_file_is_truncated(shared: Path) -> None:
    """Nothing is cut before it is known what it is."""
    link(shared / "a")
    with pytest.raises(OSError, match="symbolic links"):
        open_safely(shared / "a", os.O_WRONLY | os.O_TRUNC)
    assert (shared / "victim").read_text() == PRECIOUS


def test_of_one_name_the_latest_errand_is_done() -> None:
    """While the disk hangs a hundred volumes wait as one."""
    errands, go_on, begun = Errands(threaded=True), threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> None:
        begun.set()
        go_on.wait(10.0)

    threading.Thread(target=errands.run, args=(threading.Event(),), daemon=True).start()
    errands.do("slow", first)
    assert begun.wait(10.0)
    for percent in range(100):
        errands.do("volume", partial(done.append, percent))
    assert not errands.wait_idle(0.0)
    go_on.set()
    assert errands.wait_idle(10.0)
    assert done == [99]


def test_an_errand_that_fails_keeps_none_from_being_done() -> None:
    """The thread starts again, and nobody has to ask for anything more."""
    errands, stop, done = Errands(threaded=True), threading.Event(), threading.Event()

    def fails() -> None:
        raise RuntimeError("a mistake")

    errands.do("like", fails)
    errands.do("volume", done.set)
    with pytest.raises(RuntimeError, match="a mistake"):
        errands.run(stop)
    threading.Thread(target=errands.run, args=(stop,), daemon=True).start()
    assert done.wait(10.0)


def test_who_hangs_is_not_waited_for() -> None:
    """The answer in time, its error, or what to take otherwise."""

    def refuses() -> int:
        raise OSError("no")

    assert within(10.0, lambda: 1, 0) == 1
    assert within(0.0, lambda: int(threading.Event().wait(10.0)), 5) == 5
    with pytest.raises(OSError, match="no"):
        within(10.0, refuses, 0)


def test_a_file_that_goes_as_its_folder_is_listed_hides_no_other(tmp_path: Path) -> None:
    """A sync client takes files away at any moment."""
    for name in "abc":
        (tmp_path / name).touch()
    found = Files().each(tmp_path)
    first = next(found).name
    gone = next(name for name in "abc" if name != first)
    (tmp_path / gone).unlink()
    assert {one.name for one in found} == {*"abc"} - {first, gone}


def test_a_folder_that_cannot_be_looked_at_is_of_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a file is gone or its disk, nobody can tell then; no Python raises."""
    missing, gone = tmp_path / "kept" / "a.wav", FileNotFoundError(errno.ENOENT, "gone")
    missing.parent.mkdir()
    assert not is_of_disk(gone, missing)
    monkeypatch.setattr(os, "stat", Mock(side_effect=OSError(errno.EIO, "ails")))
    assert is_of_disk(gone, missing)


def test_two_that_find_the_lock_deleted_close_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a file that is closed twice may be another's by then: one after the other takes the lock anew."""
    lock = FolderLock(tmp_path)
    lock.take()
    (tmp_path / LOCK_FILE).unlink()
    alone = Mock(side_effect=lambda _handle: lock._lock.locked())
    with monkeypatch.context() as watched:
        watched.setattr(os, "close", alone)
        lock.renew()
    assert alone.call_count == 1
