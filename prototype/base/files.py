"""Opening, locking, reading and replacing files where others may have put something else in their place."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from base.texts import said

log = logging.getLogger(__name__)


def open_safely(path: Path, flags: int) -> int:
    """Open a regular file and return its descriptor; never through a link. New files are for us alone.

    Where others can write to the folder, they could have put a link or a FIFO there. Raises OSError.
    """
    truncates = bool(flags & os.O_TRUNC)
    handle = os.open(path, flags & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, said("file.not_regular"), str(path))
        if truncates and status.st_nlink > 1 and status.st_uid != os.geteuid():
            raise OSError(errno.EMLINK, said("file.second_name"), str(path))
        if truncates:
            os.ftruncate(handle, 0)
    except OSError:
        os.close(handle)
        raise
    return handle


def own_target(path: Path) -> Path:
    """Return where a link of our own leads; any other path unchanged."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
            return path.resolve()
    return path


def locked(handle: int, words: str) -> bool:
    """Lock an open file for as long as it stays open, and write who we are into it; return whether nobody else has it.

    Some network file systems have no locks: better unguarded than silent.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning("a file cannot be locked: %s", error)
    with contextlib.suppress(OSError):  # the words are a courtesy; a full disk has no room for them
        os.ftruncate(handle, 0)
        os.pwrite(handle, words.encode(), 0)
    return True


def read_safely(path: Path, longest: int = -1) -> str:
    """Return the text of a small file, of a `longest` one its beginning; a FIFO in its place is not waited for.

    Raises OSError and ValueError.
    """
    with os.fdopen(open_safely(path, os.O_RDONLY), encoding="utf-8") as file:
        return file.read(longest)


def replace_safely(path: Path, data: bytes | memoryview) -> None:
    """Write a small file anew, so that a reader finds the old one or the new one, whole. Raises OSError."""
    with partial_beside(path, f"{path.name}.part") as partial:
        with os.fdopen(open_safely(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
        partial.replace(path)


def write_named(path: Path, data: bytes) -> bool:
    """Write what a person named: a file, links followed, whole or not at all; a device as it is. Raises OSError."""
    if path.exists() and not path.is_file():
        return path.write_bytes(data) == len(data)
    target = path.resolve()
    with partial_beside(target) as partial:
        partial.write_bytes(data)
        take_place(partial, target)
    return True


@contextlib.contextmanager
def partial_beside(target: Path, name: str = "") -> Iterator[Path]:
    """Yield a path in the folder of `target`, hidden, short and nobody else's; what is left there is deleted."""
    partial = target.with_name(name or f".{os.urandom(16).hex()}.part")
    partial.unlink(missing_ok=True)  # what a killed program left, or a link that is none of ours
    try:
        yield partial
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def take_place(partial: Path, target: Path) -> None:
    """Put a file that is whole in the place of another, if there is one, with its permissions. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copymode(target, partial)
    try:
        partial.replace(target)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(partial, target)  # a mount: what containers are given as a single file
