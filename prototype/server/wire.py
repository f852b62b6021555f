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
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from base.workers import Clock
from server.route import Route

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


class Exchange:
    """One request and its reply, which is read until `ends_at`, seconds of the clock."""

    def __init__(self, wires: Wires, clock: Clock, whole_s: float) -> None:
        self.wires, self.clock = wires, clock
        self.ends_at = clock.now() + whole_s

    def hurry(self, left_s: float) -> None:
        """Have what is still to be read come within so many seconds from now."""
        self.ends_at = min(self.ends_at, self.clock.now() + left_s)

    @contextlib.contextmanager
    def send(
        self, way: Route, url: str, body: bytes | None, headers: Mapping[str, str], timeout: urllib3.Timeout
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Get, or post a `body`, once; yield the reply with its own body still to be read. Raises what urllib3 does."""
        if way.host == "*":  # getaddrinfo takes that for this machine
            raise LocationParseError(url)
        with _manager(way) as manager:
            pool: Any = manager.connection_from_url(url)
            pool.ConnectionCls = partial(_TlsWire if pool.scheme == "https" else _Wire, self)
            with manager.urlopen(
                "GET" if body is None else "POST",
                url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            ) as response:
                yield response


def _manager(way: Route) -> urllib3.PoolManager:
    """Return what makes connections to a server, directly or through a proxy."""
    if not way.proxy:
        return urllib3.PoolManager(ssl_context=way.tls)
    proxy = way.proxy if "://" in way.proxy else f"http://{way.proxy}"
    user, _, password = (parse_url(proxy).auth or "").partition(":")
    login = f"{unquote(user)}:{unquote(password)}" if user or password else None
    headers = urllib3.make_headers(proxy_basic_auth=login, proxy_basic_auth_encoding="utf-8")
    return urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=way.tls, proxy_ssl_context=way.tls)


class _Wire(HTTPConnection):
    """A connection of an exchange."""

    def __init__(self, exchange: Exchange, *args: Any, **kwargs: Any) -> None:
        self._exchange = exchange
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        super().connect()
        self._exchange.wires.track(self.sock)

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        patient: Any = _Drops(sock, self._exchange)
        return _Reply(patient, *args, **kwargs)


class _TlsWire(_Wire, HTTPSConnection):
    """One with TLS."""


class _Drops(io.RawIOBase):
    """The bytes of a socket as they come, until a deadline; as much of it as http.client.HTTPResponse uses."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock, self._exchange = sock, exchange
        self._read_s = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)  # also keeps the socket open for as long as it is read

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._exchange.ends_at - self._exchange.clock.now()
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
