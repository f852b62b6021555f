"""The real program on a real disk that fails: full, read-only, deleted, taken away."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from base.control_socket import SOCKET
from doubles.fake_acestep import FakeAcestep
from doubles.fake_audio import good_wav
from listening.sound_room import pause
from whole.faults.disk_rows import strangers
from whole.faults.program import within
from whole.faults.stage import END_S, NotTried, ProcessRow, Stage, command_works

AREA: Final = "real disk"
QUICKLY: Final = ("--plain", "--segment-seconds", "20", "--poll-interval-sec", "0.2")
SOON_S: Final = 6.0
FROZEN_S: Final = 15.0
ANSWERS_S: Final = 0.7
WRITES_WITHIN_S: Final = 30.0  # a piece begins to play, or one is made


@contextlib.contextmanager
def small_disk(stage: Stage, size: str) -> Iterator[Path]:
    """Mount a small disk in memory. Raises NotTried where that is not allowed."""
    disk = stage.work / "disk"
    disk.mkdir()
    if os.geteuid() or not command_works("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)):
        raise NotTried("needs root, to mount a small disk")
    try:
        yield disk
    finally:
        command_works("umount", "--lazy", str(disk))


@contextlib.contextmanager
def freezable_disk(stage: Stage) -> Iterator[Path]:
    """Mount a disk that lies in a file, so that it can be frozen. Raises NotTried where that is not allowed."""
    image, disk = stage.work / "image", stage.work / "frozen"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * 2**20)
    made = os.geteuid() == 0 and command_works("mkfs.ext4", "-q", str(image))
    if not (made and command_works("mount", "-o", "loop", str(image), str(disk))):
        raise NotTried("needs root and loop devices, to mount a disk that can be frozen")
    try:
        yield disk
    finally:
        command_works("fsfreeze", "--unfreeze", str(disk))
        command_works("umount", "--lazy", str(disk))


@contextlib.contextmanager
def write_protected(folder: Path) -> Iterator[None]:
    """Put a read-only view of a folder over it; what is open there stays open. Raises NotTried where it may not."""
    view = str(folder)
    if os.geteuid() or not command_works("mount", "--bind", view, view):
        raise NotTried("needs root, to write-protect a folder")
    try:
        command_works("mount", "-o", "remount,ro,bind", view)
        yield
    finally:
        command_works("umount", "--lazy", view)


def server() -> FakeAcestep:
    """Return a server that makes a segment in a second."""
    return FakeAcestep(speed=0.05, audio=lambda number, _seconds: good_wav(number, 12.0))


def full(stage: Stage) -> None:
    """The disk is full from the start; what is made stays in memory and plays, and is written when there is room."""
    with small_disk(stage, "4m") as disk, server() as made:
        with stage.play(*QUICKLY, spool=disk / "spool", url=made.url) as program, stage.hear() as ear:
            stage.begin(ear, program)
            stage.expect_said(program, "spool.full", SOON_S)
            heard = within(2 * SOON_S, lambda: "fresh" in dict(program.played()).values())
            stage.expect(heard is not None, "no fresh music was heard")
            command_works("mount", "-o", "remount,size=200m", str(disk))
            stage.play_on(ear, 1.0)
            stage.expect_said(program, "spool.writable", WRITES_WITHIN_S)
            stage.play_on(ear, 1.0)
            stage.ends(program)
        stage.expect(list((disk / "spool" / "ready").glob("*.wav")), "nothing was written in the end")


def read_only(stage: Stage) -> None:
    """The disk is read-only for a while; what is made meanwhile stays in memory, plays, and is written later."""
    stage.fill(3)
    with server() as made, stage.play(*QUICKLY, url=made.url) as program, stage.hear() as ear:
        stage.begin(ear, program)
        with write_protected(stage.spool):
            stage.expect_said(program, "spool.refused", WRITES_WITHIN_S)
            stage.play_on(ear, 3.0)
        stage.expect_said(program, "spool.writable", WRITES_WITHIN_S)
        stage.play_on(ear, 1.0)
        stage.ends(program)


def read_only_at_the_end(stage: Stage) -> None:
    """What has become read-only does not spoil the end."""
    stage.fill(3)
    with stage.play("--plain") as program, stage.hear() as ear:
        stage.begin(ear, program)
        stage.expect(within(SOON_S, (stage.spool / SOCKET).exists), "takes no commands")
        with write_protected(stage.spool):
            stage.ends(program)


def read_only_at_the_start(stage: Stage) -> None:
    """A spool that cannot be written to is refused in a line."""
    stage.fill(3)
    with write_protected(stage.spool), stage.play() as program:
        stage.expect_refused(program)
        stage.expect("cannot be written to" in program.output, f"said {program.output!r}")


def frozen(stage: Stage, seconds: float = FROZEN_S) -> None:
    """Spool, log and recording are on a disk that hangs: the music goes on, keys are obeyed, the end does not wait.

    A thread in a frozen disk cannot be ended by anybody: the process is gone when the disk is back, but nothing of it
    is heard or seen before.
    """
    with freezable_disk(stage) as disk, server() as made:
        log = disk / "player.log"
        options = (*QUICKLY[1:], "--log-file", log)
        with (
            stage.play(*options, spool=disk / "spool", url=made.url, size=(100, 30)) as program,
            stage.hear() as ear,
        ):
            program.log_path = log
            stage.begin(ear, program, 8.0)
            program.type("r")
            stage.expect_said(program, "recorder.started", SOON_S)
            stage.expect(command_works("fsfreeze", "--freeze", str(disk)), "the disk could not be frozen")
            stage.play_on(ear, seconds)
            program.type("m")
            pause(ANSWERS_S)
            stage.expect_nothing(ear, ANSWERS_S, "the key m was not obeyed")
            for key in ("m", "l", "d", "-", "r"):
                program.type(key)
            pause(ANSWERS_S)
            stage.play_on(ear, 2.0)
            program.type("q")
            ended = within(
                END_S, lambda: "\x1b[?1049l" in program.output and "played" in program.output.split("\x1b[?1049l")[-1]
            )
            stage.expect(ended is not None, "the end waits for the disk")
            stage.expect(command_works("fsfreeze", "--unfreeze", str(disk)), "the disk could not be thawed")
            stage.expect(program.ended(SOON_S) is not None, "does not end when the disk is back")
            stage.expect(program.process.returncode == 0, f"exit code {program.process.returncode}")
            stage.problems += program.terminal_faults()
            stage.examine(program)


def taken_away(stage: Stage) -> None:
    """The disk is pulled out and put back: nothing is made in its place, and what was made meanwhile is saved."""
    with freezable_disk(stage) as disk, server() as made:
        with stage.play(*QUICKLY, spool=disk / "spool", url=made.url) as program, stage.hear() as ear:
            stage.begin(ear, program)
            queued = within(WRITES_WITHIN_S, lambda: list((disk / "spool" / "ready").glob("*.wav")))
            stage.expect(queued is not None, "nothing was made")
            before = {path.name for path in (disk / "spool").rglob("*.wav")}
            command_works("umount", "--lazy", str(disk))
            stage.expect_said(program, "spool.refused", WRITES_WITHIN_S)
            stage.play_on(ear, 2.0)
            stage.expect(not list(disk.rglob("*.wav")), "something was made where the disk was")
            command_works("mount", "-o", "loop", str(stage.work / "image"), str(disk))
            stage.expect_said(program, "spool.writable", WRITES_WITHIN_S)
            stage.play_on(ear, 1.0)
            stage.ends(program)
        after = {path.name for path in (disk / "spool").rglob("*.wav")}
        stage.expect(before < after, f"lost {before - after}, added {after - before}")


def snapcast(stage: Stage) -> None:
    """The sound goes into a FIFO whose reader comes late, stalls and goes away: it gets music, nobody waits for it."""
    fifo = stage.work / "snapfifo"
    os.mkfifo(fifo)
    stage.fill(3)
    with stage.play(*QUICKLY, "--audio-output", f"file:{fifo}") as program:
        stage.expect(within(SOON_S, program.played), "nothing plays")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        heard = bytearray()
        ends_at = time.monotonic() + 3.0
        while time.monotonic() < ends_at:
            with contextlib.suppress(BlockingIOError):
                heard += os.read(reader, 1 << 16)
            pause(0.02)
        seconds = len(heard) / 4 / 48_000
        stage.expect(2.0 < seconds < 4.0 and any(heard), f"the reader got {seconds:.1f} s in 3 s")
        pause(2.0)  # it stalls
        stage.expect(program.process.poll() is None, "it ended as its reader stalled")
        os.close(reader)
        pause(1.0)
        stage.ends(program)
    stage.expect(fifo.is_fifo(), "something took the place of the FIFO")


def deleted(stage: Stage) -> None:
    """The whole spool is deleted while it plays: it is made again, and fills again."""
    stage.fill()
    with server() as made, stage.play(*QUICKLY, url=made.url) as program, stage.hear() as ear:
        stage.begin(ear, program)
        shutil.rmtree(stage.spool)
        stage.expect_said(program, "spool.remade", WRITES_WITHIN_S)
        again = within(WRITES_WITHIN_S, stage.ready)
        stage.expect(again is not None, "nothing new came into the queue")
        stage.play_on(ear, 1.0)
        with stage.play() as second:
            stage.expect_refused(second)
        stage.expect_no_silence(ear, program.started_at + SOON_S)
        stage.ends(program)


def foreign_files(stage: Stage) -> None:
    """What others left in the folders is no music of ours, and stays where it is."""
    stage.fill(2)
    strangers(stage.work)
    before = {path for path in stage.spool.rglob("*") if path.is_file() and path.parent.name != "ready"}
    with stage.play("--plain") as program, stage.hear() as ear:
        stage.begin(ear, program, 6.0)
        stage.ends(program)
    gone = {path for path in before if not path.exists() and not path.name.startswith("part-")}
    stage.expect(not gone, f"deleted {gone}")


ROWS = (
    ProcessRow(AREA, "full, and then there is room", full, "spool.full"),
    ProcessRow(AREA, "read-only for a while", read_only, "spool.refused"),
    ProcessRow(AREA, "read-only at the end", read_only_at_the_end),
    ProcessRow(AREA, "read-only at the start", read_only_at_the_start, needs_sound=False),
    ProcessRow(AREA, "hangs while it is recorded to", frozen, "spool.hangs"),
    ProcessRow(AREA, "the spool's disk is taken away and put back", taken_away, "spool.refused"),
    ProcessRow(AREA, "the sound goes into a FIFO", snapcast, needs_sound=False),
    ProcessRow(AREA, "the spool is deleted while it plays", deleted, "spool.remade"),
    ProcessRow(AREA, "foreign and broken files in the spool", foreign_files),
)
