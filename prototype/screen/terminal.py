"""Output to a terminal that never waits for long.

A terminal that takes nothing (a frozen window, a dead connection) must not hold up the thread that draws, nor the end
of the program.

The terminal is opened a second time, without blocking; the descriptor we were given is shared with the shell, which
would not like it changed.
"""

from __future__ import annotations

import os
import select
import shutil
from contextlib import suppress
from typing import Final, TextIO

PATIENCE_S: Final = 0.25
LARGEST: Final = (1000, 500)  # columns, lines


def terminal_size(stream: TextIO) -> os.terminal_size:
    """Return the size of the terminal that `stream` is.

    Only where it does not tell (a pipe, a serial line) that of COLUMNS and LINES: they stay as they were exported when
    the window changes. Never more than LARGEST: what claims more would take seconds to draw, and is none.
    """
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):  # ValueError: it is closed
        size = os.terminal_size((0, 0))
    if size.columns <= 0 or size.lines <= 0:
        size = shutil.get_terminal_size()
    return os.terminal_size(map(min, size, LARGEST))


class Outlet:
    """Text on its way to a terminal. Characters that the terminal cannot show become "?".

    Threads: any, one at a time (the dashboard's lock).
    """

    def __init__(self, stream: TextIO) -> None:
        self._encoding = stream.encoding or "utf-8"
        self._fd = stream.fileno()
        self._pending = b""
        self.stuck = False
        """Whether the terminal has not taken everything."""
        with suppress(OSError):  # a terminal without a name, as in some containers: it may block
            self._fd = os.open(os.ttyname(self._fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)

    def write(self, text: str) -> None:
        """Hand over `text`, and what is left from before, as far as the terminal takes it within PATIENCE_S.

        One that was stuck before is not waited for again. Raises OSError: it is gone.
        """
        self._pending += text.encode(self._encoding, "replace")
        while self._pending:
            try:
                written = os.write(self._fd, self._pending)
                self._pending = self._pending[written:]
            except BlockingIOError:
                if not select.select([], [self._fd], [], 0.0 if self.stuck else PATIENCE_S)[1]:
                    self.stuck = True
                    return
        self.stuck = False
