"""The real program and how it begins and ends: signals, keys, a closed window, kill -9, a second program."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from listening.sound_room import busy_cores, pause
from whole.faults.kills import kill_again_and_again
from whole.faults.program import Program, interrupts, keys, within
from whole.faults.stage import END_S, NotTried, ProcessRow, Stage, command_works

AREA: Final = "real process"
WINDOW: Final = (80, 24)
CTRL_C: Final = "\x03"
EARLY_S: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.8)
KILLS: Final = 4


def ended(how: Callable[[Program], None], *, closed: bool = False) -> Callable[[Stage], None]:
    """Return a scene: it plays in a terminal and is ended; exit code 0 within 2 s, the terminal as it was."""

    def scene(stage: Stage) -> None:
        with stage.play("--engine", "builtin", size=WINDOW) as program, stage.hear() as ear:
            stage.begin(ear, program, 0.5)
            stage.expect("\x1b[?1049h" in program.output, "showed no screen")
            stage.ends(program, how, closed=closed)
            stage.expect(closed or "silence" in program.output[program.output.rfind("\x1b[?1049l") :], "no summary")

    return scene


def has_begun(program: Program) -> bool:
    """Whether its own code runs; before that it is Python itself that starts, and shows a traceback."""
    return "lib-dynload" in Path(f"/proc/{program.process.pid}/maps").read_text()


def interrupted_early(stage: Stage) -> None:
    """Ctrl-C at any moment of the start: it ends at once and shows no traceback."""
    for delay_s in EARLY_S:
        with stage.play("--engine", "builtin", size=WINDOW) as program:
            within(5.0, functools.partial(has_begun, program))
            pause(delay_s)
            keys(CTRL_C)(program)
            stage.expect(program.ended(END_S) is not None, f"Ctrl-C after {delay_s} s does not end it")
            code = program.process.returncode
            stage.expect(code in (0, -signal.SIGINT), f"Ctrl-C after {delay_s} s: exit code {code}")
            stage.problems += program.terminal_faults()
            stage.examine(program)


def second_program(stage: Stage) -> None:
    """A second program on the spool is refused in one line, and the first does not notice."""
    stage.fill()
    with stage.play("--plain") as first, stage.hear() as ear:
        stage.begin(ear, first)
        began_at = time.monotonic()
        with stage.play("--plain") as second:
            stage.expect_refused(second)
            stage.expect(str(first.process.pid) in second.output, f"does not name the first: {second.output!r}")
        stage.expect_no_silence(ear, began_at)
        stage.ends(first)


def refused(*arguments: str, lines: int, **environment: str) -> Callable[[Stage], None]:
    """Return a scene: it does not start, says why, a line for each fault, and ends with 2."""

    def scene(stage: Stage) -> None:
        with stage.play(*arguments, size=WINDOW, environment=environment) as program:
            stage.expect_refused(program, lines)
            stage.expect(not stage.spool.exists(), "made a spool")
            stage.problems += program.terminal_faults()
            stage.examine(program)

    return scene


def stopped(stage: Stage) -> None:
    """The program is stopped for 4 s, as by a suspended machine; it is heard again at once."""
    stage.fill()
    with stage.play("--plain") as program, stage.hear() as ear:
        stage.begin(ear, program)
        program.process.send_signal(signal.SIGSTOP)
        pause(4.0)
        program.process.send_signal(signal.SIGCONT)
        continued_at = time.monotonic()
        heard_at = stage.expect_sound(ear, continued_at, 3.0)
        stage.recovery_s = heard_at - continued_at
        pause(2.0)
        stage.play_on(ear, 2.0)
        stage.ends(program)


def killed(stage: Stage) -> None:
    """Kill -9 at random moments; then it begins with what was ready."""
    stage.problems += kill_again_and_again(stage, KILLS, seed=os.getpid()).problems
    first = stage.in_order()[:1]
    with stage.play("--plain") as program, stage.hear() as ear:
        stage.begin(ear, program)
        played = [key for key, _ in program.played()]
        stage.expect(played[:1] == first, f"began with {played[:1]}, not with {first}")
        stage.ends(program)


def busy_machine(stage: Stage) -> None:
    """Twice as many busy processes as there are cores, for 15 s."""
    stage.fill()
    with stage.play(size=WINDOW) as program, stage.hear() as ear:
        stage.begin(ear, program)
        with busy_cores(each=2):
            stage.play_on(ear, 15.0)
        stage.ends(program)


CLOCK_C: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long jump(void) { return access(getenv("JUMP_FILE"), F_OK) ? 0 : atol(getenv("JUMP_S")); }
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, t);
    if (!code && id == CLOCK_REALTIME) t->tv_sec += jump();
    return code;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def clock_jumps(jump_s: int) -> Callable[[Stage], None]:
    """Return a scene: the wall clock, as this program sees it, jumps while it plays."""

    def scene(stage: Stage) -> None:
        library = build_clock(stage.work)
        stage.fill()
        mark = stage.work / "jump"
        environment = {"LD_PRELOAD": str(library), "JUMP_FILE": str(mark), "JUMP_S": str(jump_s)}
        with stage.play("--plain", environment=environment) as program, stage.hear() as ear:
            stage.begin(ear, program)
            before = len(program.played())
            mark.touch()
            stage.play_on(ear, 8.0)
            stage.expect(len(program.played()) > before, "did not go on to the next piece")
            stage.ends(program)

    return scene


def build_clock(folder: Path) -> Path:
    """Compile a clock that can be set for one program. Raises NotTried where there is no compiler."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK_C)
    if not command_works("cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"):
        raise NotTried("needs a C compiler")
    return library


ROWS = (
    ProcessRow(AREA, "kill -9 at random moments", killed),
    ProcessRow(AREA, "SIGTERM", ended(interrupts(signal.SIGTERM))),
    ProcessRow(AREA, "SIGHUP", ended(interrupts(signal.SIGHUP))),
    ProcessRow(AREA, "Ctrl-C", ended(keys(CTRL_C))),
    ProcessRow(AREA, "Ctrl-\\", ended(keys("\x1c"))),
    ProcessRow(AREA, "Ctrl-C twice", ended(keys(CTRL_C, CTRL_C))),
    ProcessRow(AREA, "q", ended(keys("q"))),
    ProcessRow(AREA, "Ctrl-C while it starts", interrupted_early),
    ProcessRow(AREA, "the window is closed", ended(Program.hang_up, closed=True)),
    ProcessRow(AREA, "stopped for 4 s (SIGSTOP)", stopped),
    ProcessRow(AREA, "all cores are busy", busy_machine),
    ProcessRow(AREA, "the clock is set forward by a day", clock_jumps(86_400)),
    ProcessRow(AREA, "the clock is set back by a day", clock_jumps(-86_400)),
    ProcessRow(AREA, "a second program on the same spool", second_program),
    ProcessRow(AREA, "three bad settings", refused("--volume", "x", "--lang", "xx", "--max-retry", "-1", lines=3)),
    ProcessRow(AREA, "libVLC is missing", refused(lines=1, PYTHON_VLC_LIB_PATH="nowhere/libvlc.so")),
)
