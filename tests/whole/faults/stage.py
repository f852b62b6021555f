"""Where the rows with real processes are played: the real program in a sound room, and ears that judge.

    def scene(stage: Stage) -> None:
        with stage.play("--plain") as program, stage.hear() as ear: …

A scene states what must hold by `expect`; `ProcessRow` makes it a row of the fault matrix.
"""

from __future__ import annotations

import functools
import itertools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bench.material import fill_spool, marker
from listening.listening import blocks, first_sound, silences
from listening.sound_room import PIPEWIRE, SINK, Recorder, SoundRoom, app_command, is_usable, pause
from whole.faults.program import TERM, Program, within
from whole.faults.table import Outcome

NOBODY_LISTENS: Final = "http://127.0.0.1:9"
END_S: Final = 2.0
SILENCE_S: Final = 0.1
SETTLE_S: Final = 1.0  # VLC may flush once as a device starts; the promise begins a second after the start
FIRST_SOUND_S: Final = 6.0  # of a machine that also runs the tests; the benchmark measures the start
# The threads that make and load music may be in the middle of a piece as the program ends; the others may not.
UNTOLD: Final = re.compile(r"Traceback|the mixer failed|thread (?:player|input|dashboard) did not stop")
READY_PIECES: Final = 8
READY_S: Final = 8.0


class NotTried(Exception):
    """This machine lacks what the fault is made of."""


class Stage(SoundRoom):
    """A sound room with a spool, in which programs are started, heard and judged.

    Threads: one.
    """

    def __init__(self, folder: Path, *, pipewire: bool = False) -> None:
        super().__init__(pipewire=pipewire)
        self.work = folder
        self.spool = folder / "spool"
        self.problems: list[str] = []
        self.silent_s = 0.0
        self.recovery_s: float | None = None
        self.heard: dict[str, None] = {}
        self._numbers = itertools.count(1)

    def expect(self, holds: object, problem: str) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.problems.append(problem)

    def remember_volumes(self) -> None:
        """Have the server remember what it was told of each stream, as on every desktop."""
        if not self.pipewire:
            self.control("load-module", "module-stream-restore")

    def stand_in(self) -> None:
        """Have the server make a sink of its own where there is none, and move us to it, as on every desktop."""
        if not self.pipewire:
            self.control("load-module", "module-always-sink")
            self.control("load-module", "module-rescue-streams")

    def pull_out(self) -> None:
        """Take the sound device away."""
        self.control("unload-module", SINK[0])

    def put_in(self) -> None:
        """Give the sound device back."""
        self.control("load-module", *SINK)

    # Playing

    def play(
        self,
        *arguments: str | Path,
        size: tuple[int, int] | None = None,
        url: str = NOBODY_LISTENS,
        spool: Path | None = None,
        stdout: IO[Any] | int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Start the program, in a terminal of `size` or with its output in a pipe."""
        log = self.work / f"player-{next(self._numbers)}.log"
        command = app_command("--spool-dir", spool or self.spool, "--log-file", log, "--acestep-api-url", url)
        settings = {**self.environment, "LANG": "C.UTF-8", "UI_LANG": "en", **(environment or {})}
        return Program([*command, *arguments], settings, log, size=size, stdout=stdout)

    def fill(self, pieces: int = READY_PIECES) -> None:
        """Put generated segments into the queue that this spool starts with."""
        shutil.copytree(Path(_filled(pieces).name, "spool"), self.spool)

    def ready(self) -> list[str]:
        """Return the names of the segments in the queue."""
        return sorted(path.name for path in (self.spool / "ready").glob("*.wav"))

    def in_order(self) -> list[str]:
        """Return the names of the segments in the queue, first to play first."""
        paths = (self.spool / "ready").glob("*.wav")
        return [path.name for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def ends(self, program: Program, how: Callable[[Program], None] = TERM, *, closed: bool = False) -> None:
        """End the program, and expect that it ends as it should; `closed`: its terminal is gone."""
        how(program)
        if program.ended(END_S) is None:
            self.problems.append(f"did not end within {END_S:.0f} s")
            program.process.kill()
            program.process.wait()
            return
        self.expect(program.process.returncode == 0, f"exit code {program.process.returncode}")
        if not closed:
            self.problems += program.terminal_faults()
        self.examine(program)

    def examine(self, program: Program) -> None:
        """Expect that nothing went wrong without a person being told, and note what was played."""
        for text in (program.log, program.output):
            for bad in UNTOLD.finditer(text):
                self.problems.append(f"in its log: {text[max(0, bad.start() - 100) : bad.start() + 600]!r}")
        self.heard |= dict.fromkeys(source for _, source in program.played())

    def expect_said(self, program: Program, key: str, limit_s: float, times: int = 1) -> None:
        """Expect a notice within a time."""
        if within(limit_s, lambda: program.said(key) >= times) is None:
            self.problems.append(f"did not say {key} within {limit_s:g} s")

    def expect_refused(self, program: Program, lines: int = 1) -> None:
        """Expect that a program does not start: it says why, in so many lines, and ends with 2."""
        self.expect(program.ended(5.0) is not None, "does not end")
        self.expect(program.process.returncode == 2, f"exit code {program.process.returncode}")
        self.expect(program.output.count("\n") == lines, f"said {program.output!r}")

    # Hearing

    def hear(self) -> Recorder:
        """Return ears: a recorder to be used in a `with`."""
        return Recorder(self, self.folder / f"heard-{next(self._numbers)}.raw")

    def expect_sound(self, ear: Recorder, since: float, limit_s: float = FIRST_SOUND_S) -> float:
        """Wait until something is heard, not before `since`; return when that was (monotonic seconds)."""
        begin = ear.frame_at(since)
        while time.monotonic() - since < limit_s + 1.0:
            frame = first_sound(blocks(ear.samples()[begin:]))
            if frame is not None:
                heard_at = max(since, ear.heard_at(begin + frame))
                self.expect(heard_at - since <= limit_s, f"heard only after {heard_at - since:.1f} s")
                return heard_at
            pause(0.1)
        self.problems.append(f"nothing was heard within {limit_s:g} s")
        return time.monotonic()

    def expect_no_silence(self, ear: Recorder, since: float, until: float | None = None) -> None:
        """Expect that all was heard between two moments, except for what is shorter than SILENCE_S."""
        pause(0.05)
        begin, end = ear.frame_at(since), ear.frame_at(until or time.monotonic())
        found = silences(blocks(ear.samples()[begin:end]), longer_than_s=SILENCE_S)
        self.silent_s += sum(one.length_s for one in found)
        for one in found:
            self.problems.append(f"silent for {one.length_s:.2f} s, {one.begin_s:.1f} s after it should be heard")

    def expect_nothing(self, ear: Recorder, seconds: float, problem: str) -> None:
        """Expect that nothing at all is heard for a while."""
        since = time.monotonic()
        pause(seconds)
        heard = ear.samples()[ear.frame_at(since) : ear.frame_at(time.monotonic())]
        self.expect(len(heard) and not heard.any(), problem)

    def play_on(self, ear: Recorder, seconds: float, heard_at: float | None = None) -> None:
        """Let time pass; expect sound all along, and since it was first heard, but for the first SETTLE_S."""
        since = time.monotonic() if heard_at is None else heard_at + SETTLE_S
        pause(max(seconds, since - time.monotonic() + SILENCE_S))
        self.expect_no_silence(ear, since)

    def begin(self, ear: Recorder, program: Program, seconds: float = 1.0) -> None:
        """Expect that a program is heard soon after its start, and then all along."""
        self.play_on(ear, seconds, self.expect_sound(ear, program.started_at))


@dataclass(frozen=True)
class ProcessRow:
    """A row of the fault matrix that is tried with real processes."""

    area: str
    name: str
    scene: Callable[[Stage], None]
    says: str = ""
    """Key of the notice that tells a person; the scene expects it at its moment."""
    needs_sound: bool = True
    pipewire: bool = False

    def run(self, folder: Path) -> Outcome:
        """Try it."""
        began_at = time.monotonic()
        if self.needs_sound and not is_usable():
            return Outcome(said="not tried: needs pulseaudio and pulseaudio-utils")
        if self.pipewire and not is_usable(*PIPEWIRE):
            return Outcome(said="not tried: needs pipewire, pipewire-pulse, wireplumber and dbus")
        try:
            with Stage(folder, pipewire=self.pipewire) as stage:
                self.scene(stage)
        except NotTried as reason:
            return Outcome(said=f"not tried: {reason}", took_s=time.monotonic() - began_at)
        recovery = "-" if stage.recovery_s is None else f"{stage.recovery_s:.1f} s"
        heard = " ".join(stage.heard)
        took_s = time.monotonic() - began_at
        return Outcome(stage.silent_s, heard, self.says, recovery, tuple(stage.problems), took_s)


@functools.cache
def _filled(pieces: int) -> tempfile.TemporaryDirectory[str]:
    """Make a folder once that holds a spool with segments; it lives as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="filled-")
    fill_spool(Path(folder.name, "spool"), [marker(READY_S, seed) for seed in range(pieces)], "ready")
    return folder


def command_works(*command: str) -> bool:
    """Run a command; return whether it worked."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
