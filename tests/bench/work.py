"""Rows of work: the CPU time and the wake-ups of playing, of each program beside one that plays the same files.

What a machine makes of the same work changes from minute to minute, by more than the programs differ: so the two are
measured at the same time, each with a sound server of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Iterator, Sequence
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


def measure(seconds: float, rounds: int) -> dict[str, list[Work]]:
    """Return the work of each program and, where there is one, of `cvlc` meanwhile: the median of some rounds."""
    found: dict[str, list[Work]] = {}
    with SoundRoom() as room, SoundRoom() as beside, ExitStack() as stack:
        programs, others = _programs(room, stack)
        for name, program in programs.items():
            players = [(room, program), *((beside, other) for other in others)]
            works = [_works(players, program.warm_up_s, max(seconds, program.least_s)) for _ in range(rounds)]
            found[name] = [_median(of_one) for of_one in zip(*works, strict=True)]
    return found


def _programs(room: SoundRoom, stack: ExitStack) -> tuple[dict[str, _Program], list[_Program]]:
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
    return found, [_Program([CVLC, "--no-video", "--loop", *files])] if shutil.which(CVLC) else []


def _works(players: Sequence[tuple[SoundRoom, _Program]], warm_up_s: float, seconds: float) -> list[Work]:
    """Return the work of programs that play at the same time."""
    with ExitStack() as stack:
        watched = [stack.enter_context(_playing(room, program)) for room, program in players]
        pause(warm_up_s)
        for one in watched:
            one.begin()
        for _ in range(round(seconds)):
            pause(1.0)
            for one in watched:
                one.look()
        return [one.work(seconds) for one in watched]


@contextlib.contextmanager
def _playing(room: SoundRoom, program: _Program) -> Iterator[_Watched]:
    with (
        Recorder(room, room.folder / "work.raw") as recorder,
        Child(program.command, room.environment, size=program.size, as_nobody=program.command[0] == CVLC) as child,
    ):
        yield _Watched(recorder, child)


class _Watched:
    """A program whose work is measured from `begin` on."""

    def __init__(self, recorder: Recorder, child: Child) -> None:
        self._recorder, self._child = recorder, child
        self._woken = 0

    def begin(self) -> None:
        """Count from now on."""
        pid = self._child.pid
        self._before, self._frame, self._wakeups = self._child.usage(), self._recorder.frames, _wakeups(pid)
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins anew (proc(5))

    def look(self) -> None:
        """Add the wake-ups since the last look: a thread that ends takes its own with it."""
        then, self._wakeups = self._wakeups, _wakeups(self._child.pid)
        self._woken += sum(count - then.get(task, 0) for task, count in self._wakeups.items())

    def work(self, seconds: float) -> Work:
        """Return the work of so many seconds. Raises RuntimeError when nothing was heard."""
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        most_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        cpu_s = self._child.usage().cpu_s - self._before.cpu_s  # of threads that have ended too, as a new file has some
        if first_sound(blocks(self._recorder.samples()[self._frame :])) is None:
            raise RuntimeError(f"nothing was heard: {self._child.output[-500:]}")
        return Work(60 * cpu_s / seconds, self._woken / seconds, most_mb)


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
