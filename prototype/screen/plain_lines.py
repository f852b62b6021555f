"""What the modes beside playing print with: lines, coloured where that is wanted, and one line that comes and goes.

rich decides about colour: none when the output is no terminal, or with NO_COLOR. Whatever stands in a file's name or a
server's reply is printed as harmless text, and a character that the terminal cannot show is replaced.

The calm lines that take the screen's place when the output is no terminal, or with --plain.

What is new since the last look: notices, the piece that plays now, and once a minute the queue.

What is told after quitting: a few lines for a person, and the same figures for machines (`--stats-json`). Pure.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from base.notices import Notice
from base.texts import text as say
from music.segment import SAMPLE_RATE_HZ, Source
from screen.panels import piece_title, ready_seconds, source_name, why_unheard
from screen.terminal import terminal_size
from screen.view import Snapshot
from screen.widgets import aligned, clean, clock_time, count, fit, number, pad, sentence, span, wrap

FAINT: Final = "dim"
LEAST_ROOM: Final = 20


def harmless(value: object) -> str:
    """Return `value` in full as one harmless line: what is no visible character or space becomes a space."""
    text = (c if c.isprintable() or unicodedata.category(c) == "Zs" else " " for c in str(value))
    return "".join(text).strip()


def column(words: Sequence[str]) -> list[str]:
    """Return `words`, each filled to the cells of the widest."""
    widest = max(map(cell_len, words), default=0)
    return [pad(word, widest) for word in words]


class Lines:
    """Prints to one stream; a reader that has gone away (`| head`) ends the program quietly.

    Threads: one.
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._passing = False

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

    def passing(self, line: str) -> None:
        """Show a line until the next one, on a terminal only."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._wipe()
            self._stream.write(fit(line, terminal_size(self._stream).columns - 1))
            self._stream.flush()
            self._passing = True

    def close(self) -> None:
        """Leave no passing line behind."""
        self._wipe()
        self._stream.flush()

    def _wipe(self) -> None:
        if self._passing:
            self._stream.write("\r\x1b[K")
            self._passing = False


QUEUE_LINE_EVERY_S: Final = 60.0


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
        state = clean(snapshot.generator.server)
        known = state in ("connecting", "up", "loading", "unwell", "down", "restarting", "refused", "off")
        return [
            say(
                self._language,
                "ui.plain.queue",
                depth=len(snapshot.spool.ready),
                target=count(snapshot.target),
                time=span(self._language, ready_seconds(snapshot.spool.ready)),
                jobs=len(snapshot.generator.jobs),
                server=say(self._language, f"ui.server.{state}") if known else state,
            )
        ]


SCHEMA: Final = 1


def stats_dict(snapshot: Snapshot, kept_folder: Path) -> dict[str, object]:
    """Return the session's figures, ready for JSON; what was never measured, or is no number, is None.

    `shares` are fractions of the played time by source and sum to 1 (all 0 when nothing was played).
    """
    mixer, generator, spool = snapshot.mixer, snapshot.generator, snapshot.spool
    frames = {source: max(0.0, number(mixer.frames.get(source, 0)) or 0.0) for source in Source}
    played = sum(frames.values())
    return {
        "schema": SCHEMA,
        "uptime_s": number(snapshot.uptime_s),
        "played_s": played / SAMPLE_RATE_HZ,
        "paused_s": (number(mixer.paused_frames) or 0.0) / SAMPLE_RATE_HZ,
        "silent_s": (number(mixer.silent_frames) or 0.0) / SAMPLE_RATE_HZ,
        "longest_silence_s": number(mixer.longest_silence_s),
        "uninterrupted_s": number(snapshot.uninterrupted_s),
        "shares": {source.value: frames[source] / played if played else 0.0 for source in Source},
        "segments": count(generator.produced),
        "retries": count(generator.retries),
        "failures": count(generator.failures),
        "rejected": count(generator.rejected),
        "lost": count(generator.lost),
        "median_generation_s": number(generator.median_generation_s),
        "real_time_factor": number(generator.factor),
        "queue_depth": len(spool.ready),
        "played_on_disk": count(spool.played),
        "kept": count(spool.kept),
        "kept_folder": str(kept_folder),
        "station": snapshot.station.key,
        "prompt": snapshot.prompt,
    }


def summary_lines(snapshot: Snapshot, kept_folder: Path, language: str) -> list[str]:
    """Return the farewell, aligned in terminal cells."""
    mixer, generator = snapshot.mixer, snapshot.generator
    stats = stats_dict(snapshot, kept_folder)
    silence = number(mixer.longest_silence_s) or 0.0
    made = [say(language, "ui.summary.produced", count=count(generator.produced))]
    made += [
        say(language, f"ui.summary.{key}", count=figure)
        for key, figure in (("retries", count(generator.retries)), ("failures", count(generator.failures)))
        if figure
    ]
    speed = []
    if number(generator.median_generation_s) is not None:
        speed.append(say(language, "ui.summary.median", time=span(language, generator.median_generation_s)))
    factor = number(generator.factor)
    if factor is not None:
        speed.append(say(language, "ui.summary.factor", factor=f"{min(max(0.0, factor), 9999.0):.2f}"))
    kept, comma = count(snapshot.spool.kept), say(language, "ui.comma")
    likes = say(language, "ui.summary.kept", count=kept, folder=clean(kept_folder)) if kept else ""
    rows = [
        ("played", clock_time(stats["played_s"])),
        ("silence", span(language, silence) if silence > 0 else say(language, "ui.summary.none")),
        ("sources", comma.join(_shares(snapshot, language))),
        ("generation", comma.join(made)),
        ("speed", comma.join(speed)),
        ("likes", likes or say(language, "ui.summary.nolikes")),
    ]
    labelled = [(say(language, f"ui.summary.{key}"), words) for key, words in rows if words]
    return [say(language, "ui.summary.title"), *aligned(labelled)]


def _shares(snapshot: Snapshot, language: str) -> list[str]:
    """Return the sources that were heard, in whole percent."""
    frames = {source: max(0.0, number(snapshot.mixer.frames.get(source, 0)) or 0.0) for source in Source}
    played = sum(frames.values())
    return [
        say(language, "ui.summary.share", percent=_percent(frames[source] / played), source=_name(language, source))
        for source in Source
        if frames[source] > 0
    ]


def _percent(share: float) -> str:
    """Return whole percent, without rounding a little to nothing or almost all to all."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 < share < 1 else f"{100 * share:.0f}"


def _name(language: str, source: Source) -> str:
    return say(language, f"ui.source.{source.value}")
