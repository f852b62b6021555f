"""What one session leaves to the next: the volume. Losing it is no harm, so no failure is reported."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from disk import read_safely, replace_safely

FILE: Final = "remembered.json"


def load_volume(folder: Path) -> int | None:
    """Return the last volume in percent, None when there is none."""
    try:
        text = read_safely(folder / FILE)
        import json  # slow to import: not before the first sound, where there is no such file

        volume = json.loads(text)["volume"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return volume if isinstance(volume, int) and 0 <= volume <= 100 else None


def save_volume(folder: Path, percent: int) -> None:
    """Remember the volume, atomically."""
    import json

    with contextlib.suppress(OSError):
        replace_safely(folder / FILE, json.dumps({"volume": percent}))
