"""Connections that can be hung up from outside, and whose replies have one deadline for every byte of them.

A read time-out starts anew with each byte: a server that drips its headers, interim replies, body or trailers would
hold a thread for ever. So each reply is read through a reader that lets the socket wait only until the deadline.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from base.workers import Clock

MOST_INTERIM_REPLIES: Final = 16


class Wires:
    """The connections of one channel.

    Threads: any; `_lock` guards `_sockets` and `_closed`. A deadline belongs to the thread that set it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._closed = False
        self._deadline = threading.local()
        self.pools = _pools(self)

    @property
    def closed(self) -> bool:
        """Whether the program ends."""
        with self._lock:
            return self._closed

    def close(self) -> None:
        """Wake whoever waits for a socket, and whoever is about to."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        for sock in sockets:
            _hang_up(sock)

    @contextlib.contextmanager
    def until(self, ends_at: float) -> Iterator[None]:
        """Give the replies that this thread reads inside a deadline, in seconds of the clock."""
        self._deadline.ends_at = ends_at
        yield

    def track(self, sock: socket.socket) -> None:
        """Take in a new connection."""
        with self._lock:
            self._sockets.add(sock)
            closed = self._closed
        if closed:
            _hang_up(sock)

    def reply(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        """Return a reply that is read until this thread's deadline; for http.client."""
        patient: Any = _Patient(sock, self._clock, self._deadline.ends_at)
        return _Reply(patient, *args, **kwargs)


class Adapter(HTTPAdapter):
    """requests' way to these connections, directly or through a proxy."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the direct connections ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._wires.pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make those through a proxy ours too."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._wires.pools
        return manager


class _Patient:
    """As much of a socket as http.client.HTTPResponse uses: a file to read from, with a deadline."""

    def __init__(self, sock: socket.socket, clock: Clock, ends_at: float) -> None:
        self._sock, self._clock, self._ends_at = sock, clock, ends_at

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Drops(self._sock, self._clock, self._ends_at))


class _Drops(io.RawIOBase):
    """The bytes of a socket as they come, until a deadline."""

    def __init__(self, sock: socket.socket, clock: Clock, ends_at: float) -> None:
        self._sock, self._clock, self._ends_at = sock, clock, ends_at
        self._read_s = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)  # also keeps the socket open for as long as it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_at - self._clock.now()
        if left_s <= 0.0:
            raise TimeoutError("the reply was not complete at its deadline")
        self._sock.settimeout(left_s if self._read_s is None else min(left_s, self._read_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reply(http.client.HTTPResponse):
    """A reply whose interim replies are passed over, all kinds: http.client knows 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM_REPLIES):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 < status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("interim replies without end")


def _pools(wires: Wires) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, with connections that report their socket once they are connected."""

    class Plain(HTTPConnection):
        response_class: Callable[..., http.client.HTTPResponse] = staticmethod(wires.reply)  # type: ignore[assignment]

        def connect(self) -> None:
            super().connect()
            wires.track(self.sock)

    class Secure(HTTPSConnection):
        response_class: Callable[..., http.client.HTTPResponse] = staticmethod(wires.reply)  # type: ignore[assignment]

        def connect(self) -> None:
            super().connect()
            wires.track(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _hang_up(sock: socket.socket) -> None:
    """Wake whoever waits for this socket; for TLS too without touching the state that it is using."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
