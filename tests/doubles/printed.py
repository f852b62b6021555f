"""A mode beside playing, run with its output kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TextIO

from config import Settings
from screen.printing import Lines


def printed(mode: Callable[..., int], settings: Settings, stream: TextIO | None = None, **rest: Any) -> tuple[int, str]:
    """Run it; return the exit code and what it printed."""
    stream = stream or io.StringIO()
    code = mode(settings, Lines(stream, settings.language), **rest)
    stream.seek(0)
    return code, stream.read()
