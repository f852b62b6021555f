"""A small HTTP front for doubles: it sends what a function says, or breaks off, or keeps the client waiting."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CHUNK_BYTES = 64 * 1024
PEM = Path(__file__).with_name("localhost.pem")
"""Key and certificate of localhost and 127.0.0.1, signed by itself; of no use to anybody."""


@dataclass(frozen=True)
class Request:
    """What was asked: header names in lower case, `body` parsed from JSON or a multipart form (None for neither)."""

    method: str
    route: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """How it is answered: "reply", "drop" (no answer), "stall" (later), or "half" (the body breaks off)."""

    reply: Reply
    how: str = "reply"
    pause_s: float = 0.0


def wrapped(data: Any, code: int = 200, error: str | None = None) -> Reply:
    """Return a reply in the form that acestep-api gives to all of them."""
    envelope = {"data": data, "code": code, "error": error, "timestamp": int(time.time() * 1000), "extra": None}
    return Reply(200, json.dumps(envelope).encode())


@contextlib.contextmanager
def answering(*parts: bytes, tls: bool = False, pause_s: float = 0.0) -> Iterator[int]:
    """Answer each connection with the same bytes, each part after a pause; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
    if context:
        context.load_cert_chain(PEM)
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                plain.settimeout(5.0)
                with plain, context.wrap_socket(plain, server_side=True) if context else plain as connection:
                    connection.recv(65536)
                    for part in parts:
                        connection.sendall(part)
                        done.wait(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            done.set()
            thread.join()


def text(status: int, body: str, content_type: str = "text/plain") -> Reply:
    """Return a reply of text."""
    return Reply(status, body.encode(), content_type)


RANDOM_ERRORS = (
    text(500, "Internal Server Error"),
    text(503, "Service Unavailable"),
    text(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"),
)


@dataclass
class Fault:
    """The next `count` requests to `route` ("" = any) are met with `reply` or `how`.

    `how`: "reply", "drop" (the connection ends before anything is done), "drop-after" (done, but no answer),
    "stall" (done, and no answer until `release` or the end), "half" (the body breaks off in the middle).
    """

    route: str
    how: str
    count: int
    reply: Reply | None = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, answer: Callable[[Request], Delivery]) -> None:
        self.answer = answer
        self.released = threading.Event()
        self.stopped = threading.Event()
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 5  # seconds an idle connection is kept, as uvicorn does

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output clean."""

    def _serve(self) -> None:
        delivery = self.server.answer(self._request())
        if delivery.how == "stall":
            self.server.released.wait()
        if delivery.how == "drop" or self.server.stopped.is_set():
            self.close_connection = True
            return
        reply = delivery.reply
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = reply.body
        if delivery.how == "half":
            self.close_connection = True
            body = body[: len(body) // 2]
        for begin in range(0, len(body), CHUNK_BYTES):
            self.wfile.write(body[begin : begin + CHUNK_BYTES])
            if delivery.pause_s:
                self.server.stopped.wait(delivery.pause_s)

    def _request(self) -> Request:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        form = re.match(r"multipart/form-data; *boundary=(\S+)", self.headers.get("Content-Type", ""))
        try:
            body = _form(raw, form[1].encode()) if form else json.loads(raw)
        except ValueError:
            body = None
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, parts.path, query, headers, body)


def _form(raw: bytes, boundary: bytes) -> dict[str, Any]:
    """Return the fields of a form: text, and bytes for a file."""
    fields: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if name is None:
            raise ValueError("a part without a name")
        fields[name[1].decode()] = content if b"filename=" in head else content.decode()
    return fields


class HttpFront:
    """Listens while started; may be started and stopped again and again, on the same port.

    Threads: `start` and `stop` by one; requests are answered by threads of their own.
    """

    def __init__(self, answer: Callable[[Request], Delivery]) -> None:
        self._answer = answer
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> int:
        """Listen; port 0 takes a free one. Return the port."""
        self._server = _Server(port, self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake-http", daemon=True)
        self._thread.start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening and break every connection; what is done half stays so."""
        if self._server is None or self._thread is None:
            return
        server, self._server = self._server, None
        server.stopped.set()
        server.released.set()
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)

    def release(self) -> None:
        """Let the answers go that are held by "stall"."""
        if self._server is not None:
            self._server.released.set()
            self._server.released = threading.Event()
