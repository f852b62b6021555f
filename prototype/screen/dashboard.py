"""The thread that shows the program: pictures on a terminal, drawn where they change; calm lines elsewhere.

It only looks at snapshots; nothing here steers the sound.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Final, TextIO

from base.workers import Clock
from screen.keyboard import NO_SEQUENCES, in_foreground
from screen.picture import Frame, render
from screen.plain_lines import PlainLog
from screen.terminal import Outlet, terminal_size
from screen.view import Snapshot

log = logging.getLogger(__name__)

FRAME_S: Final = 1.0  # as the clock goes; keys are shown at once
ECHO_S: Final = 0.1  # after a key: by then the sound has followed it
WHOLE_S: Final = 10.0  # what another program wrote over the screen stays no longer
PLAIN_LOOK_S: Final = 1.0
ALTERNATE_SCREEN: Final = "\x1b[?1049h\x1b[H\x1b[?7l"  # without wrapping: a terminal may draw wider than we think
USUAL_SCREEN: Final = "\x1b[?1049l"
WRAPPING: Final = "\x1b[?7h"
ERASE_REST: Final = "\x1b[K"
SHOW_CURSOR: Final = "\x1b[?25h"
HIDE_CURSOR: Final = "\x1b[?25l"
NO_TITLE: Final = ("linux", "vt1", "vt2", "vt3", "vt4", "vt5", "ansi", "cons25")
"""How TERM begins where there is no window: on a console or a serial line, some of which would print the title."""
PUSH_TITLE: Final = "\x1b[22;2t"
POP_TITLE: Final = "\x1b]2;\a\x1b[23;2t"  # where titles cannot be kept, an empty one is the terminal's own


class Dashboard:
    """Shows `get_snapshot()` until it is stopped; pictures on a terminal, calm lines elsewhere.

    Threads: `run` is the body of the user-interface thread; `close`, `suspend`, `resume` and `refresh` may be called by
    any thread and by a signal handler. `_lock`, re-entrant for that reason, guards `_taken` and what is written to the
    terminal, so that nothing is drawn once the terminal has been given back.
    """

    def __init__(
        self, get_snapshot: Callable[[], Snapshot], clock: Clock, stream: TextIO, language: str, plain: bool = False
    ) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self.plain = plain or not stream.isatty() or os.environ.get("TERM", "") in NO_SEQUENCES
        self._get_snapshot, self._clock, self._stream, self._language = get_snapshot, clock, stream, language
        self._outlet = None if self.plain else Outlet(stream)
        self._coloured = not os.environ.get("NO_COLOR")
        self._has_title = not os.environ.get("TERM", "").startswith(NO_TITLE)
        self._lock = threading.RLock()
        self._taken = False
        self._seen: Frame | None = None  # what is on the screen; None: nobody knows
        self._whole_at = 0.0
        self._closed = False
        self._suspended = False
        self._wake = threading.Event()
        self._bell = False

    def run(self, stop: threading.Event) -> None:
        """Show until `stop`. The terminal is given back at the end, whatever happens."""
        try:
            if self._outlet is None:
                self._print_lines(stop)
            else:
                self._draw_frames(stop, self._outlet)
        except _ScreenGone as error:
            log.warning("the screen is gone (%s); the music plays on", error)
        finally:
            self._leave()

    def refresh(self) -> None:
        """Draw soon: a key was pressed, or the program stops."""
        self._wake.set()

    def ring(self) -> None:
        """Ring the terminal's bell as soon as something is written to it."""
        self._bell = True

    def suspend(self) -> None:
        """Give the terminal back until `resume`."""
        self._suspended = True
        self._leave()

    def resume(self) -> None:
        """Take the terminal again and draw everything."""
        self._suspended = False
        self._wake.set()

    def close(self) -> None:
        """Give the terminal back for good; any number of times."""
        self._closed = True
        self._wake.set()
        self._leave()

    def _print_lines(self, stop: threading.Event) -> None:
        """Print what is new until `stop`."""
        plain_log = PlainLog(self._language)
        while not stop.is_set() and not self._closed:
            lines = plain_log.lines(self._get_snapshot(), self._clock.now())
            with _writing():
                bell = self._take_bell() if self._stream.isatty() else ""
                self._stream.writelines([bell, *(line + "\n" for line in lines)])
                self._stream.flush()
            self._clock.wait(stop, PLAIN_LOOK_S)

    def _take_bell(self) -> str:
        bell, self._bell = self._bell, False
        return "\a" if bell else ""

    def _draw_frames(self, stop: threading.Event, outlet: Outlet) -> None:
        """Draw until `stop`; nothing while the shell has us in the background."""
        while not stop.is_set() and not self._closed:
            asked = self._wake.is_set()
            self._wake.clear()
            width, height = terminal_size(self._stream)
            snapshot = self._get_snapshot()
            frame = render(snapshot, width, height, self._language)
            with self._lock, _writing():
                if self._suspended or self._closed or not in_foreground(self._stream.fileno()):
                    self._leave()
                else:
                    if asked or outlet.stuck or self._clock.now() >= self._whole_at:
                        self._seen = None
                    outlet.write(self._take_bell())
                    if not outlet.stuck:
                        self._draw(frame, outlet)
            self._clock.wait(self._wake, ECHO_S if asked else _until_next_s(snapshot.mixer.playing.elapsed_s))

    def _draw(self, frame: Frame, outlet: Outlet) -> None:
        """Draw over the last picture, on the alternate screen, in one write: what changed, or all that may have."""
        parts = []
        if not self._taken:
            self._taken, self._seen = True, None
            parts += [ALTERNATE_SCREEN, PUSH_TITLE if self._has_title else ""]
        seen, self._seen = self._seen, None  # nobody knows what is seen if this fails half-way
        changed = frame.changed_since(seen)
        for index in changed:
            row = [frame.ansi(index, coloured=self._coloured), ERASE_REST]
            if frame.margin + frame.rows[index].cell_len >= frame.width:  # afterwards it would erase the last character
                row.reverse()
            parts += [_move_to(0, index), *row]
        if seen is None or len(changed) == len(frame.rows):
            self._whole_at = self._clock.now() + WHOLE_S
        if frame.cursor is not None and (seen is None or changed or frame.cursor != seen.cursor):
            parts.append(_move_to(*frame.cursor))
        if seen is None or (frame.cursor is None) != (seen.cursor is None):  # else its blinking would be disturbed
            parts.append(HIDE_CURSOR if frame.cursor is None else SHOW_CURSOR)
        if self._has_title and (seen is None or frame.title != seen.title):
            parts.append(f"\x1b]2;{frame.title}\a")
        outlet.write("".join(parts))
        self._seen = frame

    def _leave(self) -> None:
        """Leave the alternate screen and show the cursor; a terminal that is gone does not matter."""
        with self._lock:
            taken, self._taken = self._taken, False
            if taken and self._outlet is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._outlet.write((POP_TITLE if self._has_title else "") + WRAPPING + SHOW_CURSOR + USUAL_SCREEN)


def _move_to(column: int, row: int) -> str:
    return f"\x1b[{row + 1};{column + 1}H"


def _until_next_s(elapsed_s: float) -> float:
    """Return how long a picture stands: each falls amid a second of what plays, so that its clock leaves none out."""
    turn = elapsed_s % 1
    return FRAME_S + (0.25 if turn < 0.25 else -0.25 if turn > 0.75 else 0.0)


class _ScreenGone(Exception):
    """Nothing can be written any more: a closed pipe, a terminal that hung up."""


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise _ScreenGone(error) from error
