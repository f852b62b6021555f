"""What a check finds: values for one line each, told apart by what the reader has to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from base.texts import Said, said

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"


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
