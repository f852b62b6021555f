"""What a session leaves to the next, and `--serve` to the player. Losing it is no harm, so no failure is reported."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from disk import open_safely, read_safely, replace_safely

FILE: Final = "remembered.json"
KEEPER_FILE: Final = "server-{port}.state"


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


class KeeperFile:
    """What `--serve` is doing with its server, told to the player: one small file a port, locked while it is kept.

    The kernel frees the lock however the keeper ends, so that what a killed one wrote counts for nothing.
    Threads: one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._path = folder / KEEPER_FILE.format(port=port)
        self._handle: int | None = None

    def take(self) -> bool:
        """Lock the file; return False when another keeper has it. Raises OSError when it cannot be made."""
        handle = open_safely(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                os.close(handle)
                return False
        self._handle = handle
        return True

    def note(self, state: str) -> None:
        """Write the state; to lose it is no harm."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, state.encode(), 0)

    def release(self) -> None:
        """Give the lock back; the file stays, as deleting it would let two keepers lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def keeper_state(folder: Path, port: int) -> str:
    """Return the state that a living keeper of this port has noted, "" without one."""
    try:
        handle = open_safely(folder / KEEPER_FILE.format(port=port), os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 32, 0).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(handle)
    return ""
