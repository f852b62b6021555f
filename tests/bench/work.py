"""Rows of work: the CPU time and the wake-ups of playing, each program for a while in turn, with the same files."""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.material import fill_spool, marker, write
from doubles.genuine_acestep import GenuineAcestep, is_installed
from listening.listening import blocks, first_sound
from listening.sound_room import Child, Recorder, SoundRoom, app_command, pause

PIECE_S: Final = 30.0
TURN_S: Final = PIECE_S - 4.0  # from one crossfade to the next: as many are measured in any so many seconds
WARM_UP_S: Final = 8.0
FRESH_WARM_UP_S: Final = 120.0  # until the pieces of 30 s are heard, with which an empty queue begins
FRESH_S: Final = 168.0  # three turns of the pieces of 60 s that a full queue asks for: as many are taken in meanwhile
SIZE: Final = (80, 24)
CVLC: Final = "cvlc"
FRESH: Final = "app.py, dashboard, fresh music"


@dataclass(frozen=True)
class Work:
    """CPU seconds a minute, voluntary context switches a second, and the most memory at any moment, in MB."""

    cpu_s: float
    wakeups: float
    rss_mb: float


@dataclass(frozen=True)
class _Program:
    command: Sequence[str | Path]
    size: tuple[int, int] | None = None
    warm_up_s: float = WARM_UP_S
    least_s: float = 0.0


def measure(seconds: float, rounds: int) -> dict[str, Work]:
    """Return the work of each program, the median of `rounds` rounds of `seconds` seconds."""
    found: dict[str, list[Work]] = {}
    with SoundRoom() as room, ExitStack() as stack:
        programs = _programs(room, stack)
        for _ in range(rounds):
            for name, program in programs.items():
                work = _work(room, program, max(seconds, program.least_s), as_nobody=name == CVLC)
                found.setdefault(name, []).append(work)
    return {name: _median(works) for name, works in found.items()}


def _programs(room: SoundRoom, stack: ExitStack) -> dict[str, _Program]:
    pieces = [marker(PIECE_S, seed) for seed in range(4)]
    root = fill_spool(room.folder / "spool", pieces)
    folder = room.folder / "files"
    folder.mkdir()
    files = [write(folder / f"{number}.wav", piece) for number, piece in enumerate(pieces)]
    for path in (folder, *files):
        path.chmod(0o755)
    play = app_command("--play-library", "--spool-dir", root)
    found = {"app.py, dashboard": _Program(play, SIZE), "app.py, --plain": _Program([*play, "--plain"])}
    if is_installed():
        (room.folder / "server").mkdir()
        server = stack.enter_context(GenuineAcestep(room.folder / "server", segments=folder, speed=0.2))
        fresh = app_command("--acestep-api-url", server.url, "--spool-dir", room.folder / "fresh")
        found[FRESH] = _Program(fresh, SIZE, FRESH_WARM_UP_S, FRESH_S)
    if shutil.which(CVLC):
        found[CVLC] = _Program([CVLC, "--no-video", "--loop", *files])
    return found


def _work(room: SoundRoom, program: _Program, seconds: float, *, as_nobody: bool) -> Work:
    with (
        Recorder(room, room.folder / "work.raw") as recorder,
        Child(program.command, room.environment, size=program.size, as_nobody=as_nobody) as child,
    ):
        pause(program.warm_up_s)
        before, frame, wakeups = child.usage(), recorder.frames, _wakeups(child.pid)
        Path(f"/proc/{child.pid}/clear_refs").write_text("5")  # VmHWM begins anew (proc(5))
        woken = 0
        for _ in range(round(seconds)):
            pause(1.0)
            then, wakeups = wakeups, _wakeups(child.pid)
            woken += sum(count - then.get(task, 0) for task, count in wakeups.items())
        status = Path(f"/proc/{child.pid}/status").read_text()
        most_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        cpu_s = child.usage().cpu_s - before.cpu_s  # of threads that have ended too, which a new file brings about
        if first_sound(blocks(recorder.samples()[frame:])) is None:
            raise RuntimeError(f"nothing was heard of {program.command[0]}: {child.output[-500:]}")
    return Work(60 * cpu_s / seconds, woken / seconds, most_mb)


def _wakeups(pid: int) -> dict[str, int]:
    """Return how often each thread of a process has waited and was woken."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ends as we look
            status = (task / "status").read_text()
            found[task.name] = int(status.rpartition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


def _median(works: Sequence[Work]) -> Work:
    columns = ([getattr(work, name) for work in works] for name in ("cpu_s", "wakeups", "rss_mb"))
    return Work(*(statistics.median(column) for column in columns))
