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
from functools import partial
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from base.workers import Clock

MOST_INTERIM_REPLIES: Final = 16


class Wires:
    """The connections of one channel.

    Threads: any; `_lock` guards `_sockets`; `closed`, when the program ends, stays True.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.closed = False

    def close(self) -> None:
        """Wake whoever waits for a socket, and whoever is about to."""
        with self._lock:
            self.closed = True
            sockets = list(self._sockets)
        for sock in sockets:
            _hang_up(sock)

    def track(self, sock: socket.socket) -> None:
        """Take in a new connection."""
        with self._lock:
            self._sockets.add(sock)
        if self.closed:
            _hang_up(sock)


class Adapter(HTTPAdapter):
    """requests' way to these connections, for one request; its reply is read until `ends_at`, seconds of the clock."""

    def __init__(self, wires: Wires, clock: Clock, whole_s: float) -> None:
        self.wires, self.clock = wires, clock
        self.ends_at = clock.now() + whole_s
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def hurry(self, left_s: float) -> None:
        """Have what is still to be read come within so many seconds from now."""
        self.ends_at = min(self.ends_at, self.clock.now() + left_s)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return urllib3's pool, directly or through a proxy, with connections of ours."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(_TlsWire if pool.scheme == "https" else _Wire, self)
        return pool


class _Wire(HTTPConnection):
    """A connection of an adapter."""

    def __init__(self, adapter: Adapter, *args: Any, **kwargs: Any) -> None:
        self._adapter = adapter
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        super().connect()
        self._adapter.wires.track(self.sock)

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        patient: Any = _Drops(sock, self._adapter)
        return _Reply(patient, *args, **kwargs)


class _TlsWire(_Wire, HTTPSConnection):
    """One with TLS."""


class _Drops(io.RawIOBase):
    """The bytes of a socket as they come, until a deadline; as much of it as http.client.HTTPResponse uses."""

    def __init__(self, sock: socket.socket, adapter: Adapter) -> None:
        self._sock, self._adapter = sock, adapter
        self._read_s = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)  # also keeps the socket open for as long as it is read

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._adapter.ends_at - self._adapter.clock.now()
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
        raise http.client.HTTPException("interim replies without end")


def _hang_up(sock: socket.socket) -> None:
    """Wake whoever waits for this socket; for TLS too without touching the state that it is using."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
