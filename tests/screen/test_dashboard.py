"""The dashboard: what reaches the terminal, when, and how it is given back."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import itertools
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from doubles.simulated_time import FakeClock
from music.segment import Source
from programme.history import Heard
from programme.programme import PlayingView
from screen.dashboard import FRAME_S, WHOLE_S, Dashboard
from screen.terminal import LARGEST, terminal_size
from screen.view import Snapshot
from screen.widgets import clean
from tools.screens import afternoon, screen, segment

RESTORED = "\x1b[?25h\x1b[?1049l"


class Show:
    """A pseudo-terminal: a person at its one end, at the other a dashboard that is shown on a clock."""

    def __init__(self) -> None:
        self.person, program = pty.openpty()
        os.set_blocking(self.person, False)
        self.stream = os.fdopen(program, "w", encoding="utf-8")
        self.set_size(80, 24)
        self.clock = FakeClock()
        self.seen: list[str] = []

    def set_size(self, width: int, height: int) -> None:
        """Make the window that large."""
        fcntl.ioctl(self.stream, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def shown(self) -> str:
        """Return what came to the terminal since the last look."""
        parts: list[bytes] = []
        with contextlib.suppress(OSError):
            while part := os.read(self.person, 65536):
                parts.append(part)
        return b"".join(parts).decode()

    def look(self) -> None:
        """Note what came to the terminal since the last look."""
        self.seen.append(self.shown())

    def dashboard(
        self, get_snapshot: Callable[[], Snapshot] = afternoon, language: str = "en", plain: bool = False
    ) -> Dashboard:
        """Return a dashboard on the terminal."""
        return Dashboard(get_snapshot, self.clock, self.stream, language, plain)

    def run(self, dashboard: Dashboard, until_s: float) -> None:
        """Have it shown so long."""
        stop = threading.Event()
        self.clock.at(until_s, stop.set)
        dashboard.run(stop)
        assert stop.is_set()

    def watch(
        self, moments: Sequence[Snapshot], between: Callable[[int, Dashboard], None] = lambda _index, _dashboard: None
    ) -> list[str]:
        """Show the moments, a frame each, and return what each of them wrote; `between` is called before each."""
        upcoming = iter(moments)
        dashboard = self.dashboard(lambda: next(upcoming, moments[-1]))
        self.seen = []

        def look(index: int) -> None:
            self.look()
            between(index, dashboard)

        began_at = self.clock.now()
        for index in range(1, len(moments) + 1):
            self.clock.at(began_at + (index - 0.5) * FRAME_S, functools.partial(look, index))
        self.run(dashboard, began_at + len(moments) * FRAME_S)
        return self.seen


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    """A show on an ordinary terminal, whatever the tests run in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    made = Show()
    yield made
    with contextlib.suppress(OSError):
        os.close(made.person)
    with contextlib.suppress(OSError):
        made.stream.close()


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
def test_no_row_runs_into_the_next_whatever_a_terminal_takes_for_wide(show: Show, size: tuple[int, int]) -> None:
    """Some draw "━" or an emoji wider or narrower than we think: too long is cut, and too short leaves no rest."""
    show.set_size(*size)
    long, short = (replace(afternoon(), wall=wall) for wall in ("14:04", ""))
    first, second, *_ = show.watch([long, short])
    assert first.startswith("\x1b[?1049h\x1b[H\x1b[?7l")
    for written in (first, second):
        rows = re.split(r"\x1b\[\d+;\d+H", written.split("\x1b[H")[-1])[1:]
        assert rows
        assert all("\x1b[K" in row for row in rows)
    assert show.shown().endswith("\x1b[?7h" + RESTORED)


def counting() -> tuple[Iterator[int], Callable[[], Snapshot]]:
    """Return the number of the next snapshot, and what takes them: no two are alike."""
    taken = itertools.count()
    return taken, lambda: replace(afternoon(), uptime_s=next(taken))


def test_the_screen_comes_and_goes(show: Show) -> None:
    """Drawn on the alternate screen; afterwards screen and cursor are back."""
    taken, snapshots = counting()
    dashboard = show.dashboard(snapshots)
    show.clock.at(0.5, show.look)
    show.run(dashboard, 1.0)
    assert not dashboard.plain
    assert show.seen[0].startswith("\x1b[?1049h")
    assert "vibraphone" in show.seen[0]
    assert next(taken) == pytest.approx(1.0 / FRAME_S, abs=1.5)
    assert show.shown().endswith(RESTORED)
    dashboard.close()
    dashboard.close()
    assert show.shown() == ""


def test_no_second_of_what_plays_is_left_out(show: Show) -> None:
    """Though its time goes on by whole blocks, and drawing takes some as well."""
    seconds = []

    def snapshot() -> Snapshot:
        show.shown()
        show.clock.time_s += 0.006
        elapsed_s = 0.12 * (show.clock.time_s // 0.12)
        seconds.append(int(elapsed_s))
        return replace(
            afternoon(), mixer=replace(afternoon().mixer, playing=PlayingView(Source.LIBRARY, elapsed_s=elapsed_s))
        )

    show.run(show.dashboard(snapshot), 200.0)
    assert list(dict.fromkeys(seconds)) == list(range(seconds[0], seconds[-1] + 1))
    assert len(seconds) < 1.1 * 200.0 / FRAME_S


@pytest.mark.parametrize(("name", "value"), [("TTY_COMPATIBLE", "0"), ("FORCE_COLOR", ""), ("TTY_INTERACTIVE", "0")])
def test_variables_of_other_programs_do_not_take_the_screen_away(
    show: Show, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whether it is a terminal is found out once; rich would have it otherwise halfway through."""
    monkeypatch.setenv(name, value)
    (seen,) = show.watch([afternoon()])
    assert seen.startswith("\x1b[?1049h")
    assert "vibraphone" in seen


def test_no_color_leaves_the_colours_out(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bold, dim or reversed stays so."""
    monkeypatch.setenv("NO_COLOR", "1")
    (seen,) = show.watch([afternoon()])
    looks = set(re.findall(r"\x1b\[([0-9;]*)m", seen))
    assert {"1", "2", "7"} <= looks
    assert not any(code.startswith("3") for look in looks for code in look.split(";"))


def test_a_terminal_that_claims_to_be_huge_is_drawn(show: Show) -> None:
    """Of 65,535 columns and as many lines nobody would see the first picture."""
    show.set_size(65_535, 65_535)
    assert terminal_size(show.stream) == LARGEST
    show.set_size(300, 80)
    assert terminal_size(show.stream) == (300, 80)


def test_only_the_lines_that_changed_are_written(show: Show) -> None:
    """A picture that stands still costs nothing; one that moves costs the lines in which it does."""
    one = afternoon()
    other = replace(one, uptime_s=one.uptime_s + 60)
    first, still, moved = show.watch([one, one, other])
    assert "vibraphone" in first
    assert still == ""
    assert "1:03:11" in moved
    assert "vibraphone" not in moved
    assert len(clean(moved)) < 80


def test_a_line_that_only_changed_its_colour_is_written(show: Show) -> None:
    """The same words in another style are a change."""
    one = afternoon()
    paused = replace(one, mixer=replace(one.mixer, levels_db=(), paused=True))
    playing = replace(one, mixer=replace(one.mixer, levels_db=()))
    _, changed = show.watch([paused, playing])
    assert "\x1b[32m▁ ▁" in changed


@pytest.mark.parametrize("what", ["resize", "key", "resume", "overlay"])
def test_after_anything_unusual_all_is_written(show: Show, what: str) -> None:
    """Whatever may have spoiled the screen, it is drawn anew."""

    def disturb(index: int, dashboard: Dashboard) -> None:
        if index != 2:
            return
        if what == "resize":
            show.set_size(80, 20)
        elif what == "resume":
            dashboard.suspend()
            dashboard.resume()
        else:
            dashboard.refresh()

    last = screen("help") if what == "overlay" else afternoon()
    _, still, anew = show.watch([afternoon(), afternoon(), last], disturb)
    assert still == ""
    assert "vibraphone" in anew
    assert "Lo-fi beats" in anew
    assert ("esc back" if what == "overlay" else "q quit") in clean(anew[-400:])


def test_the_real_size_wins(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS and LINES, exported by a shell long ago, count only where the terminal does not tell its size."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    (seen,) = show.watch([afternoon()])
    assert "without a stop" in seen
    show.set_size(0, 0)
    (seen,) = show.watch([afternoon()])
    assert "without a stop" not in seen
    assert "q quit" in clean(seen)


def test_what_others_wrote_over_the_screen_does_not_stay(show: Show) -> None:
    """Now and then everything is drawn, changed or not."""
    seen = show.watch([afternoon()] * (int(WHOLE_S / FRAME_S) + 2))
    assert ["vibraphone" in one for one in seen].count(True) == 2
    assert seen.count("") == len(seen) - 2


def test_a_half_written_screen_is_drawn_anew(show: Show) -> None:
    """Where the terminal took only a part, the next thing it gets is a whole picture."""
    dashboard = show.dashboard(counting()[1])
    os.set_blocking(show.stream.fileno(), False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(show.stream.fileno(), b"x" * 512)
    for half_seconds in range(4, 16):  # the kernel takes its time to make room
        show.clock.at(half_seconds / 2 + 0.2, show.look)
    show.run(dashboard, 8.0)
    assert "".join(show.seen).count("82 bpm") == 2  # what was on its way, and the whole


def test_a_fault_in_a_snapshot_gives_the_screen_back(show: Show) -> None:
    """An exception leaves the thread body, which its worker restarts, but not before the terminal is restored."""
    snapshots = iter([afternoon()])
    with pytest.raises(StopIteration):
        show.dashboard(lambda: next(snapshots)).run(threading.Event())
    assert show.shown().endswith(RESTORED)


def test_nothing_is_drawn_while_suspended_or_after_closing(show: Show) -> None:
    """Ctrl-Z gives the screen back; resuming draws everything; after closing nothing more comes."""
    dashboard, look = show.dashboard(), show.look
    for time_s, action in ((0.3, dashboard.suspend), (0.4, look), (1.0, look), (1.1, dashboard.resume), (1.2, look)):
        show.clock.at(time_s, action)
    show.clock.at(1.3, dashboard.close)
    dashboard.run(threading.Event())
    given_back, still, anew = show.seen
    assert given_back.endswith(RESTORED)
    assert still == ""
    assert anew.startswith("\x1b[?1049h")
    assert "vibraphone" in anew
    assert show.shown().endswith(RESTORED)


def test_the_cursor_is_shown_only_while_typing(show: Show) -> None:
    """In the prompt the cursor is visible where one types, elsewhere hidden."""
    before, typing, after = show.watch([afternoon(), screen("prompt"), afternoon()])
    assert "\x1b[?25l" in before
    assert "\x1b[?25h" not in before
    assert typing.endswith("\x1b[?25h")
    assert after.endswith("\x1b[?25l")


def test_a_terminal_that_hangs_up_is_survived(show: Show) -> None:
    """When the window is closed the thread waits quietly for the end of the program."""
    show.clock.at(0.5, lambda: os.close(show.person))
    show.run(show.dashboard(), 60.0)


def test_a_frozen_terminal_holds_nothing_up(show: Show) -> None:
    """A terminal that takes nothing costs neither the thread nor the end; thawed, it is drawn on and restored."""
    taken, snapshots = counting()
    dashboard = show.dashboard(snapshots)
    show.run(dashboard, 3.0)
    dashboard.close()
    assert next(taken) >= 2.5 / FRAME_S
    assert show.shown().startswith("\x1b[?1049h")


@pytest.mark.parametrize("plain", [False, True])
def test_the_bell_rings_once(show: Show, plain: bool) -> None:
    """On the screen and beside plain lines; not where no terminal would hear it."""
    dashboard = show.dashboard(plain=plain)
    dashboard.ring()
    show.run(dashboard, 5.0)
    assert re.sub(r"\x1b\][^\a]*\a", "", show.shown()).count("\a") == 1


class Pipe(io.StringIO):
    """An output that is no terminal, and may be closed by its reader."""

    broken = False

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError("nobody reads")
        return super().write(text)


@pytest.mark.parametrize("how", ["pipe", "dumb", "asked"])
def test_calm_lines_without_a_screen(how: str, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a dumb terminal and --plain get lines, no escape sequence."""
    if how == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    pipe = Pipe()
    dashboard = Dashboard(afternoon, show.clock, pipe if how == "pipe" else show.stream, "ja", plain=how == "asked")
    show.run(dashboard, 100.0)
    text = pipe.getvalue() if how == "pipe" else show.shown()
    assert "再生中 [新曲]" in text
    assert text.count("待機列") == 2
    assert "\x1b" not in text


def test_a_broken_pipe_is_survived() -> None:
    """`| head` ends the lines, not the music: the body returns, without an error and without a stop."""
    pipe, stop, clock = Pipe(), threading.Event(), FakeClock()
    pipe.broken = True
    clock.at(100.0, stop.set)
    Dashboard(afternoon, clock, pipe, "en").run(stop)
    assert clock.now() < 100.0
    assert not stop.is_set()


def test_an_output_that_knows_no_japanese(show: Show) -> None:
    """A terminal with a small character set shows question marks instead of failing."""
    assert isinstance(show.stream, io.TextIOWrapper)
    show.stream.reconfigure(encoding="ascii")
    show.run(show.dashboard(afternoon, "ja"), 0.2)
    assert "???" in show.shown()


def test_the_windows_title_says_what_plays(show: Show) -> None:
    """Kept at the start, told when it changes, harmless, given back at the end; none on a console or in a pipe."""
    one = afternoon()
    playing = PlayingView(Source.FRESH, "k", segment("rain \x1b]2;x\x07 on tin"), 1.0, 2.0)
    other = replace(one, mixer=replace(one.mixer, playing=playing, paused=True))
    first, still, changed = show.watch([one, one, other])
    assert "\x1b[22;2t" in first
    assert "\x1b]2;♪ vibraphone · distant rain on a window – Lo-fi beats\a" in first
    assert still == ""
    assert "\x1b]2;‖ rain on tin – Lo-fi beats\a" in changed
    assert "\x1b]2;\a\x1b[23;2t" in show.shown()


def test_a_listeners_own_music_is_called_what_it_is(show: Show) -> None:
    """One after the other, in the window's title, on the screen and among what was heard; harmless."""
    show.set_size(100, 50)
    one, own = afternoon(), "Björk \x1b]2;x\x07 – {}"
    snapshots = [
        replace(
            one,
            mixer=replace(one.mixer, playing=PlayingView(Source.LIBRARY, title, None, 1.0, 2.0, title=title)),
            history=(Heard("14:03", Source.LIBRARY, title=own.format("雨")), Heard("14:04", Source.LIBRARY)),
        )
        for title in (own.format("雨"), own.format("風"))
    ]
    rain, wind = show.watch(snapshots)
    assert "\x1b]2;♪ Björk – 雨 – Lo-fi beats\a" in rain
    assert "\x1b]2;♪ Björk – 風 – Lo-fi beats\a" in wind
    assert wind.count("Björk – 風") == 2
    assert (rain + wind).count("Björk – 雨") == 3


@pytest.mark.parametrize("term", ["linux", "linux-16color", "vt102", "vt220", "ansi"])
def test_a_console_has_no_title(show: Show, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """The kernel's own console has no window, nor has what stands at a serial line."""
    monkeypatch.setenv("TERM", term)
    (seen,) = show.watch([afternoon()])
    assert "vibraphone" in seen
    assert "\x1b]2" not in seen + show.shown()
