"""The real program as a child process: what it says and plays, and how it ends."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from base.texts import texts
from listening.sound_room import LOOK_S, Child, pause

# The last of each pair in the output tells how the terminal was left: alternate screen, cursor, bracketed paste.
SCREEN_MODES: Final = (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?2004h", "\x1b[?2004l"))


def within(limit_s: float, holds: Callable[[], object]) -> float | None:
    """Wait until `holds()`; return the seconds that took, None when it did not within the limit."""
    began_at = time.monotonic()
    while not holds():
        if time.monotonic() - began_at > limit_s:
            return None
        pause(LOOK_S)
    return time.monotonic() - began_at


class Program(Child):
    """The program itself, whose output is kept whole; `log` is its log file.

    Threads: one, but for the reader of the output.
    """

    KEPT_BYTES = sys.maxsize

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path, **how: Any) -> None:
        self.log_path = log
        super().__init__(command, environment, **how)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    @property
    def log(self) -> str:
        """All that it logged so far."""
        try:
            return self.log_path.read_text("utf-8", "replace")
        except OSError:
            return ""

    def said(self, key: str) -> int:
        """Return how often a notice was said, in the log or, where there is none, in its lines."""
        pattern = re.sub(r"\\{\w+\\}", ".*", re.escape(texts("en")[key]))
        return max(len(re.findall(pattern, text)) for text in (self.log, self.output))

    def played(self) -> list[tuple[str, str]]:
        """Return (key, source) of each piece that began to play."""
        return re.findall(r": play (\S+) \(([a-z-]+)\):", self.log)

    def ended(self, within_s: float) -> float | None:
        """Wait for its end; return the seconds that took, None when it has not ended."""
        began_at = time.monotonic()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        took_s = time.monotonic() - began_at
        pause(2 * LOOK_S)  # for the last of its output
        return took_s

    def terminal_faults(self) -> list[str]:
        """Return what it left wrong in the terminal."""
        faults = [] if self.restored_terminal() else ["the terminal's settings were not restored"]
        for on, off in SCREEN_MODES:
            if self.output.rfind(on) > self.output.rfind(off):
                faults.append(f"left the terminal with {on[1:]}")
        return faults


def interrupts(number: int) -> Callable[[Program], None]:
    """Return what sends a signal."""
    return lambda program: program.process.send_signal(number)


def keys(*strokes: str) -> Callable[[Program], None]:
    """Return what presses keys, a moment apart."""

    def press(program: Program) -> None:
        for stroke in strokes:
            with contextlib.suppress(OSError):
                program.type(stroke)
            pause(LOOK_S)

    return press


TERM: Final = interrupts(signal.SIGTERM)
