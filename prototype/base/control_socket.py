"""Where a running player is spoken to: a Unix socket for its owner alone, one line there and one line of JSON back.

It lies in the spool as `control.sock`. Where its path would be too long for a socket, or the file system has none, it
lies in the user's own runtime folder, under a name made from the spool's.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from base.errors import AppError
from base.files import partial_beside
from base.texts import said

SOCKET: Final = "control.sock"
LONGEST_LINE: Final = 4096
LONGEST_REPLY: Final = 2**22
BACKLOG: Final = 128
PATIENCE_S: Final = 5


class NotReached(AppError):
    """No player took the command."""


def places(folder: Path) -> tuple[Path, Path]:
    """Return where the socket of the spool `folder` can be, the better place first."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    runtime = Path(f"/run/user/{os.geteuid()}")
    own = runtime if runtime.is_dir() else Path(f"/tmp/sagyo-on-{os.geteuid()}")  # noqa: S108 - made for us alone, and checked
    return folder / SOCKET, own / f"sagyo-on-{name}.sock"


def listen(folder: Path) -> tuple[socket.socket, Path]:
    """Return a listening socket and its path; whatever a killed player left there is replaced. Raises OSError."""
    best, other = places(folder)
    try:
        return _bound(best), best
    except OSError:
        other.parent.mkdir(mode=0o700, exist_ok=True)
        status = other.parent.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise
        return _bound(other), other


def _bound(path: Path) -> socket.socket:
    """Bind beside `path` and rename, so that nobody finds it half made, and a link there is replaced, not followed."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(mode := path.lstat().st_mode) and not stat.S_ISLNK(mode):
            raise OSError(errno.EEXIST, said("ctl.no_socket", path=path), str(path))
    listener = socket.socket(socket.AF_UNIX)
    try:
        with partial_beside(path, "." + path.name[1:]) as beside:
            listener.bind(str(beside))
            beside.chmod(0o600)
            listener.listen(BACKLOG)
            listener.setblocking(False)
            beside.replace(path)
    except OSError:
        listener.close()
        raise
    return listener


def is_ours(connection: socket.socket) -> bool:
    """Return whether our own user, or root, is at the other end, as far as the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] in (0, os.geteuid())


def ask(folder: Path, line: str, patience_s: int = PATIENCE_S) -> dict[str, Any]:
    """Send one line to the player of the spool `folder` and return its reply. Raises NotReached."""
    with _connected(folder, patience_s) as connection:
        try:
            connection.sendall(line.encode("utf-8", "surrogateescape") + b"\n")
            data = b""
            while not data.endswith(b"\n") and len(data) < LONGEST_REPLY and (part := connection.recv(2**16)):
                data += part
            reply = json.loads(data)
        except (OSError, ValueError) as error:
            raise NotReached(said("ctl.no_answer", folder=folder)) from error
    if not isinstance(reply, dict):
        raise NotReached(said("ctl.no_answer", folder=folder))
    return reply


def _connected(folder: Path, patience_s: int) -> socket.socket:
    for path in places(folder):
        try:
            status = path.lstat()
        except PermissionError as error:
            raise NotReached(said("ctl.foreign", path=path)) from error
        except OSError:
            continue
        if not stat.S_ISSOCK(status.st_mode):
            raise NotReached(said("ctl.no_socket", path=path))
        if os.geteuid() not in (0, status.st_uid):
            raise NotReached(said("ctl.foreign", path=path))
        connection = socket.socket(socket.AF_UNIX)
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # unlike settimeout, a full queue is waited for
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", patience_s, 0))
        try:
            connection.connect(str(path))
            if is_ours(connection) or os.geteuid() == 0:
                return connection
            raise NotReached(said("ctl.foreign", path=path))
        except ConnectionRefusedError:  # what a killed player left
            connection.close()
        except PermissionError as error:
            raise NotReached(said("ctl.foreign", path=path)) from error
        except OSError as error:
            connection.close()
            raise NotReached(said("ctl.no_answer", folder=folder)) from error
    raise NotReached(said("ctl.nobody", folder=folder))
