"""What a session leaves to the next, and `--serve` to the player. Losing it is no harm, so no failure is reported."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from disk import open_safely, read_safely, replace_safely

FILE: Final = "remembered.json"
KEEPER_FILE: Final = "server-{port}.lock"
MOST_BYTES: Final = 4096


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
    """Tells the player that `--serve` keeps a server at `url`: one small file a port, locked while that is so.

    The kernel frees the lock however the keeper ends, so that what a killed one wrote counts for nothing.
    Threads: one.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._path = _keeper_path(folder, url)
        self._url = url
        self._handle: int | None = None

    def take(self) -> bool:
        """Lock the file; return False when another keeper has it. Raises OSError when it cannot be made."""
        handle = open_safely(self._path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:  # some network file systems have no locks
            pass
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(handle, 0)
            os.pwrite(handle, self._url.encode(), 0)
        return True

    def release(self) -> None:
        """Give the lock back; the file stays, as deleting it would let two keepers lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_kept(folder: Path, url: str) -> bool:
    """Return whether a living `--serve` keeps the server at `url`."""
    try:
        handle = open_safely(_keeper_path(folder, url), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, MOST_BYTES, 0) == url.encode()
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _keeper_path(folder: Path, url: str) -> Path:
    return folder / KEEPER_FILE.format(port=urlsplit(url).port or 80)
