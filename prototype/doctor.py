"""`--check`: everything the music depends on, a line each, with the remedy. It changes nothing.

It works beside a running player, and whatever is broken becomes a line. Exit code 0 means that it will play.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO

from rich.text import Text

import machine_check
from clock import Clock, SystemClock
from config import Settings
from errors import ConfigError
from findings import OK, PROBLEM, WARNING, Findings, found
from lines import FAINT, Lines, column, harmless
from messages import LANGUAGES, text
from server_check import ServerCheck
from stations import Station

EXIT_WELL: Final = 0
EXIT_PROBLEM: Final = 1
STYLES: Final = {OK: "green", WARNING: "yellow", PROBLEM: "bold red"}
SUBJECTS: Final = (
    "settings", "vlc", "sound", "instruments", "server", "key", "model", "lm", "speed", "spool", "disk", "terminal",
)  # fmt: skip


def check(
    settings: Settings, choose: Callable[[], Station], *, stream: TextIO | None = None, clock: Clock | None = None
) -> int:
    """Examine everything and print it; return the exit code: 1 when there is a problem, else 0.

    `choose` returns the station that would be played; a ConfigError that it raises is a problem of the settings.
    """
    stream, clock = stream or sys.stdout, clock or SystemClock()
    lines = Lines(stream)

    def findings() -> Findings:
        station = None
        try:
            station = choose()
            yield found(OK, "settings", "check.settings.ok")
        except ConfigError as error:
            yield from _faults(error.faults)
        for sentence in settings.warnings:
            yield found(WARNING, "settings", "check.settings.warning", sentence=sentence)
        yield from machine_check.sound(settings.audio_output, clock)
        if settings.engine != "acestep":
            yield from machine_check.instruments(settings.soundfont)
        yield from machine_check.disk(settings.spool_dir, settings.spool_max_mb)
        yield from machine_check.terminal(sys.stdin, stream, os.environ.get("TERM", ""))
        server = ServerCheck(settings, clock, lambda words: lines.say(Text(words, FAINT)), lines.passing)
        yield from server.findings(station)

    return _report(findings(), lines, settings.language)


def check_faulty(faults: Sequence[str], environ: Mapping[str, str], *, stream: TextIO | None = None) -> int:
    """Print the `faults` of settings that cannot be used, and examine what does not depend on any; return 1."""
    stream = stream or sys.stdout
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    chosen = environ.get("UI_LANG", "").lower()
    language = chosen if chosen in LANGUAGES else Settings(locale=locale).language

    def findings() -> Findings:
        yield from _faults(faults)
        yield found(WARNING, "settings", "check.settings.first")
        yield from machine_check.sound("auto", SystemClock())
        yield from machine_check.terminal(sys.stdin, stream, os.environ.get("TERM", ""))

    return _report(findings(), Lines(stream), language)


def _faults(faults: Sequence[str]) -> Findings:
    return (found(PROBLEM, "settings", "check.settings.fault", fault=fault) for fault in faults)


def _report(findings: Findings, lines: Lines, language: str) -> int:
    """Print each finding as it comes, and the sum; return the exit code."""
    levels, subjects = _words(language, tuple(STYLES)), _words(language, SUBJECTS)
    counts = dict.fromkeys(STYLES, 0)
    try:
        for one in findings:
            counts[one.level] += 1
            level, subject = levels[one.level], subjects[one.subject]
            head = Text.assemble((level, STYLES[one.level]), "  ", (subject, "bold"), "  ")
            lines.hang(head, harmless(text(language, one.key, **one.fields)))
        lines.say()
        if counts[PROBLEM]:
            lines.say(text(language, "check.done.problems", count=counts[PROBLEM]))
        elif counts[WARNING]:
            lines.say(text(language, "check.done.warnings", count=counts[WARNING]))
        else:
            lines.say(text(language, "check.done.well"))
    finally:
        lines.close()
    return EXIT_PROBLEM if counts[PROBLEM] else EXIT_WELL


def _words(language: str, names: Sequence[str]) -> dict[str, str]:
    """Return the words for `names`, all as wide as the widest."""
    words = column([text(language, f"ui.check.{name}") for name in names])
    return dict(zip(names, words, strict=True))
