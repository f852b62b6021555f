"""What goes wrong with the disk and with the files on it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from doubles.fake_audio import good_wav
from music.segment import Source
from programme.supplies import FRESH_AHEAD
from whole.faults.levers import Inject, calm, delete_spool, disk, meanwhile, once, restart_server, server_down, together
from whole.faults.table import Fault
from whole.harness import Programme

AREA: Final = "disk"


def broken(code: int, *operations: str) -> Inject:
    """Let file operations fail with an errno."""
    return disk(broken=dict.fromkeys(operations, code))


def slow(seconds: float) -> Inject:
    """Let every write take its time."""

    def stand_in(programme: Programme, real: Any) -> Any:
        def write(path: Path, data: bytes | memoryview) -> None:
            programme.clock.wait(programme.stop, seconds)
            real(path, data)

        return write

    return meanwhile("files", "write", stand_in)


def to_files(shelf: str, change: Callable[[Path], object]) -> Inject:
    """Do something to every file of a shelf; what stood there is gone, and not by us."""

    def act(programme: Programme) -> None:
        for _ in range(60):
            if shelf == "ready" and len(programme.spool.ready()) <= FRESH_AHEAD:  # these are read already
                programme.play(1.0)
        programme.spool.excused |= {entry.key for entry in (*programme.spool.ready(), *programme.spool.library())}
        for path in (programme.folder / "spool" / shelf).iterdir():
            change(path)

    return once(act)


@contextmanager
def liked(programme: Programme) -> Iterator[None]:
    """Like what is heard; the like must hold in the end."""
    programme.like()
    yield


def has_liked(programme: Programme) -> bool:
    """Whether the liked piece has a file in kept/."""
    programme.play(30.0)
    return any((programme.folder / "spool" / "kept").iterdir())


def strangers(folder: Path) -> None:
    """Put files into the spool that are none of ours."""
    for shelf in ("incoming", "ready", "played", "kept"):
        (folder / "spool" / shelf / "a folder.wav").mkdir(parents=True)
        for name, data in (("notes.txt", b"hello"), ("empty.wav", b""), ("broken.wav", b"RIFF\xff"), ("\n.wav", b"x")):
            (folder / "spool" / shelf / name).write_bytes(data)
        (folder / "spool" / shelf / "song.wav").write_bytes(good_wav(0, 2.0))
        (folder / "spool" / shelf / "gone.wav").symlink_to(folder / "nowhere")


def jobs_file(content: bytes) -> Callable[[Path], None]:
    """Return what leaves a file of jobs of an earlier run."""

    def prepare(folder: Path) -> None:
        (folder / "spool").mkdir()
        (folder / "spool" / "jobs.json").write_bytes(content)

    return prepare


def unusable_folder(folder: Path) -> None:
    """Put a file where the spool should be."""
    (folder / "spool").write_text("I am no folder")


# fmt: off
ROWS = (
    Fault(AREA, "full for 3 minutes", disk(full=True), "spool.full", 180.0,
          holds=lambda programme: programme.said("spool.writable")),
    Fault(AREA, "read-only for 3 minutes", disk(read_only=True), "spool.refused", 180.0,
          holds=lambda programme: programme.said("spool.writable")),
    Fault(AREA, "over quota", broken(errno.EDQUOT, "write"), "spool.full"),
    Fault(AREA, "full from the start", disk(full=True), "spool.full", 120.0, from_start=True, plays=Source.FRESH),
    Fault(AREA, "read-only from the start", disk(read_only=True), "spool.refused", 120.0, from_start=True,
          plays=Source.FRESH),
    Fault(AREA, "full while the server is away", together(disk(full=True), server_down), "server.down", 300.0),
    Fault(AREA, "every write fails (I/O error)", broken(errno.EIO, "write"), "spool.refused"),
    Fault(AREA, "every rename fails", broken(errno.EIO, "rename"), "spool.refused"),
    Fault(AREA, "renames are forbidden", broken(errno.EPERM, "rename", "remove", "stamp"), "spool.refused"),
    Fault(AREA, "nothing can be flushed", broken(errno.EIO, "sync_folder"), ""),
    Fault(AREA, "times of files cannot be set", broken(errno.EPERM, "stamp"), ""),
    Fault(AREA, "every operation fails", broken(errno.EIO, "make_folder", "listing", "write", "exists", "rename",
          "sync_folder", "remove", "stamp", "free_bytes"), "spool.refused", 120.0),
    Fault(AREA, "every write takes 20 s", slow(20.0), "", 200.0),
    Fault(AREA, "the spool is deleted while playing", once(delete_spool), "spool.remade"),
    Fault(AREA, "the spool is deleted every 10 s", together(once(delete_spool),
          once(lambda programme: programme.later(10.0, lambda: delete_spool(programme)))), "spool.remade"),
    Fault(AREA, "queued files are deleted", to_files("ready", Path.unlink), ""),
    Fault(AREA, "queued files are overwritten", to_files("ready", lambda path: path.write_bytes(b"garbage" * 99)),
          "loader.corrupt", settings={"prefetch_target": 6}),
    Fault(AREA, "queued files are cut short", to_files("ready", lambda path: path.write_bytes(path.read_bytes()[:200])),
          "loader.corrupt", settings={"prefetch_target": 6}),
    Fault(AREA, "the library is deleted, the server away", together(to_files("played", Path.unlink), server_down),
          "server.down", 120.0, settings={"library_no_repeat": 0}),
    Fault(AREA, "the library is full of garbage, the server away",
          together(to_files("played", lambda path: path.write_bytes(b"x")), server_down), "loader.corrupt", 120.0,
          settings={"library_no_repeat": 0}),
    Fault(AREA, "foreign files on every shelf at the start", calm, "", prepare=strangers, from_start=True,
          http=True, full=True),  # a foreign file is decoded at its own rate
    Fault(AREA, "jobs of the last run are unreadable", calm, "", prepare=jobs_file(b"{\x00"), from_start=True),
    Fault(AREA, "a folder stands where the file of jobs should be", restart_server(5.0), "job.lost",
          prepare=lambda folder: (folder / "spool" / "jobs.json").mkdir(parents=True)),
    Fault(AREA, "a file stands where the spool should be", calm, "spool.refused", 120.0, prepare=unusable_folder,
          from_start=True, plays=Source.FRESH),
    Fault(AREA, "a piece is liked while the disk is full", together(disk(full=True), liked), "spool.full", 90.0,
          holds=has_liked),
)
# fmt: on
