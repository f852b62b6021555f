"""What a check finds, told apart by what the reader has to do, and how it is printed: a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from base.process import Exit
from base.texts import Said, said, text
from screen.printing import Lines, harmless
from screen.widgets import column

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"
STYLES: Final = {OK: "green", WARNING: "yellow", PROBLEM: "bold red"}
SUBJECTS: Final = (
    "settings", "vlc", "sound", "instruments", "server", "key", "model", "lm", "speed", "spool", "disk", "terminal",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One line: `level` says whether it will play (ok), play with a drawback (warning), or must be mended (problem).

    `subject` names a text `ui.check.…`.
    """

    level: str
    subject: str
    said: Said


Findings = Iterator[Finding]


def found(level: str, subject: str, key: str, **fields: object) -> Finding:
    """Return a finding."""
    return Finding(level, subject, said(key, **fields))


def report(findings: Findings, lines: Lines) -> int:
    """Print each finding as it comes, and the sum; return the exit code."""
    levels, subjects = _words(lines.language, STYLES), _words(lines.language, SUBJECTS)
    counts = dict.fromkeys(STYLES, 0)
    try:
        for one in findings:
            counts[one.level] += 1
            level, subject = levels[one.level], subjects[one.subject]
            head = Text.assemble((level, STYLES[one.level]), "  ", (subject, "bold"), "  ")
            lines.hang(head, harmless(one.said.words(lines.language)))
        lines.say()
        if counts[PROBLEM]:
            lines.tell(said("check.done.problems", count=counts[PROBLEM]))
        elif counts[WARNING]:
            lines.tell(said("check.done.warnings", count=counts[WARNING]))
        else:
            lines.tell(said("check.done.well"))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        lines.close()
    return Exit.PROBLEM if counts[PROBLEM] else Exit.WELL


def _words(language: str, names: Iterable[str]) -> dict[str, str]:
    """Return the words for `names`, all as wide as the widest."""
    words = column([text(language, f"ui.check.{name}") for name in names])
    return dict(zip(names, words, strict=True))
