"""What is told without the screen, line by line: while it plays, after quitting, and by the modes beside playing.

While it plays, with --plain or no terminal, that is what is new since the last look; after quitting a few lines for a
person, and the same figures for machines (`--stats-json`). The modes print `Lines`: rich decides about colour (none
when the output is no terminal, or with NO_COLOR), whatever stands in a file's name or a server's reply is printed as
harmless text, and a character that the terminal cannot show is replaced.
"""

from __future__ import annotations

import contextlib
import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from base.errors import StartupError
from base.notices import Notice
from base.texts import said
from base.texts import text as say
from music.segment import SAMPLE_RATE_HZ, Source
from screen.panels import piece_title, source_name, why_unheard
from screen.terminal import terminal_size
from screen.view import Snapshot
from screen.widgets import aligned, clean, clock_time, fit, pad, sentence, span, speed, wrap

FAINT: Final = "dim"
LEAST_ROOM: Final = 20
QUEUE_LINE_EVERY_S: Final = 60.0
SCHEMA: Final = 1


def harmless(value: object) -> str:
    """Return `value` in full as one harmless line: what is no visible character or space becomes a space."""
    text = (c if c.isprintable() or unicodedata.category(c) == "Zs" else " " for c in str(value))
    return "".join(text).strip()


def column(words: Sequence[str]) -> list[str]:
    """Return `words`, each filled to the cells of the widest."""
    widest = max(map(cell_len, words), default=0)
    return [pad(word, widest) for word in words]


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartupError(said("output.refused", reason=error)) from error


class Lines:
    """Prints to one stream; a reader that has gone away (`| head`) ends the program quietly.

    Raises StartupError where the stream takes nothing. Threads: one.
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._passing = False

    @_written()
    def say(self, line: str | Text = "") -> None:
        """Print a line; a long one is left for the terminal to wrap."""
        self._wipe()
        self._console.print(line)

    def hang(self, head: Text, words: str, style: str = "") -> None:
        """Print `words` behind `head`; on a terminal, the lines that follow stand below the words."""
        room = terminal_size(self._stream).columns - head.cell_len
        parts = wrap(words, room) if self._console.is_terminal and room >= LEAST_ROOM else [words]
        for index, part in enumerate(parts):
            self.say(Text.assemble(head if index == 0 else " " * head.cell_len, (part, style)))

    @_written()
    def passing(self, line: str) -> None:
        """Show a line until the next one, on a terminal only."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._wipe()
            self._stream.write(fit(line, terminal_size(self._stream).columns - 1))
            self._stream.flush()
            self._passing = True

    @_written()
    def close(self) -> None:
        """Leave no passing line behind."""
        self._wipe()
        self._stream.flush()

    def _wipe(self) -> None:
        if self._passing:
            self._stream.write("\r\x1b[K")
            self._passing = False


class PlainLog:
    """Turns one snapshot after the other into lines. Owned by the user-interface thread."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._told: tuple[Notice, ...] = ()
        self._playing = ""
        self._queue_told_at: float | None = None

    def lines(self, snapshot: Snapshot, now: float, wall: str) -> list[str]:
        """Return what to print, `wall` ("14:02") before each line but the notices, which have their own time."""
        found = [
            f"{clean(notice.wall)} {sentence(self._language, notice.key, notice.args)}"
            for notice in snapshot.notices
            if not any(notice is told or notice == told for told in self._told)
        ]
        self._told = snapshot.notices
        found += [f"{wall} {line}" for line in [*self._now_playing(snapshot), *self._queue(snapshot, now)]]
        return found

    def _now_playing(self, snapshot: Snapshot) -> list[str]:
        playing = snapshot.mixer.playing
        if snapshot.player_state == "starting":
            return []
        unheard = why_unheard(snapshot, self._language)
        source = source_name(self._language, playing.source)
        title = piece_title(snapshot, playing.source, playing.info, self._language)
        line = say(self._language, "ui.plain.playing", source=source, title=title)
        line = unheard or line
        told, self._playing = self._playing, line
        return [line] if line != told else []

    def _queue(self, snapshot: Snapshot, now: float) -> list[str]:
        if self._queue_told_at is not None and now - self._queue_told_at < QUEUE_LINE_EVERY_S:
            return []
        self._queue_told_at = now
        return [
            say(
                self._language,
                "ui.plain.queue",
                depth=len(snapshot.spool.ready),
                target=snapshot.target,
                time=clock_time(snapshot.buffer_s),
                jobs=len(snapshot.generator.jobs),
                server=say(self._language, f"ui.server.{snapshot.generator.server}"),
            )
        ]


def stats_dict(snapshot: Snapshot, kept_folder: Path) -> dict[str, object]:
    """Return the session's figures, ready for JSON; what was never measured is None.

    `shares` are fractions of the played time by source and sum to 1 (all 0 when nothing was played).
    """
    mixer, generator, spool = snapshot.mixer, snapshot.generator, snapshot.spool
    frames = {source: mixer.frames.get(source, 0) for source in Source}
    played = sum(frames.values())
    return {
        "schema": SCHEMA,
        "uptime_s": snapshot.uptime_s,
        "played_s": played / SAMPLE_RATE_HZ,
        "paused_s": mixer.paused_frames / SAMPLE_RATE_HZ,
        "silent_s": mixer.silent_frames / SAMPLE_RATE_HZ,
        "longest_silence_s": mixer.longest_silence_s,
        "uninterrupted_s": snapshot.uninterrupted_s,
        "shares": {source.value: frames[source] / played if played else 0.0 for source in Source},
        "segments": generator.produced,
        "retries": generator.retries,
        "failures": generator.failures,
        "rejected": generator.rejected,
        "lost": generator.lost,
        "median_generation_s": generator.median_generation_s,
        "real_time_factor": generator.factor,
        "queue_depth": len(spool.ready),
        "played_on_disk": spool.played,
        "kept": spool.kept,
        "kept_folder": str(kept_folder),
        "station": snapshot.station.key,
        "prompt": snapshot.prompt,
    }


def summary_lines(snapshot: Snapshot, kept_folder: Path, language: str) -> list[str]:
    """Return the farewell, aligned in terminal cells."""
    mixer, generator, kept = snapshot.mixer, snapshot.generator, snapshot.spool.kept
    silence, played = mixer.longest_silence_s, sum(mixer.frames.values())
    made = [
        say(language, f"ui.made.{key}", count=figure)
        for key in ("produced", "retries", "failures")
        if (figure := getattr(generator, key))
    ]
    speeds = [speed(language, generator.factor)] if generator.factor is not None else []
    if generator.median_generation_s is not None:
        speeds.append(say(language, "ui.speed.median", time=span(language, generator.median_generation_s)))
    likes = say(language, "ui.summary.kept", count=kept, folder=clean(str(kept_folder))) if kept else ""
    shares = [
        say(language, "ui.summary.share", percent=_percent(frames / played), source=source_name(language, source))
        for source in Source
        if (frames := mixer.frames.get(source, 0))
    ]
    comma = say(language, "ui.comma")
    rows = [
        ("played", clock_time(played / SAMPLE_RATE_HZ)),
        ("silence", span(language, silence) if silence > 0 else say(language, "ui.summary.none")),
        ("sources", comma.join(shares)),
        ("generation", comma.join(made)),
        ("speed", comma.join(speeds)),
        ("likes", likes or say(language, "ui.summary.nolikes")),
    ]
    labelled = [(say(language, f"ui.summary.{key}"), words) for key, words in rows if words]
    return [say(language, "ui.summary.title"), *aligned(labelled)]


def _percent(share: float) -> str:
    """Return whole percent, without rounding a little to nothing or almost all to all."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 < share < 1 else f"{100 * share:.0f}"
