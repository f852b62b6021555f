"""One HTTP request to acestep-api, one outcome.

Every request has a connection of its own. The server closes idle ones after about 5 s, and a job sent into a
connection that is just being closed is either lost or asked for twice; a fresh one on loopback costs about a
millisecond. Nothing is retried and no redirect is followed: the key goes to the configured server only.
"""

from __future__ import annotations

import base64
import contextlib
import html
import ipaddress
import json
import re
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, quote, quote_plus, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

import ace_faults
from clock import Clock
from errors import ConfigError, ServerTrouble

MAX_REPLY_BYTES: Final = 4 * 2**20
MAX_DETAIL_BYTES: Final = 64 * 2**10
MAX_DETAIL_S: Final = 5.0
CHUNK_BYTES: Final = 64 * 2**10


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, between two signs of life, for a whole reply, and for a whole file."""

    connect_s: float = 5.0
    read_s: float = 30.0
    reply_s: float = 60.0
    file_s: float = 300.0


class HttpChannel:
    """Requests to one server.

    Threads: any. `_lock` guards `_sockets` and `_closed`; nothing else ever changes.
    """

    def __init__(self, base_url: str, api_key: str, clock: Clock, timeouts: Timeouts) -> None:
        """Raise ConfigError for an address or a key that no request could carry."""
        self.url = _checked(base_url)
        self.timeouts = timeouts
        if not re.fullmatch(r"[!-~]*", api_key):
            raise ConfigError(["ACESTEP_API_KEY: (not shown) has a space or a character that no HTTP header can carry"])
        self._key = api_key
        self._forms = _forms(api_key)
        self._clock = clock
        self._loopback = _is_loopback(urlsplit(self.url).hostname or "")
        self._pools = _tracking_pools(self._track)
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._closed = False

    def close(self) -> None:
        """End every request under way (it raises ServerTrouble) and refuse new ones."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        for sock in sockets:
            _hang_up(sock)

    def clean(self, value: object, limit: int = 200) -> str:
        """Return the server's words fit for a message: one line, and without our key should it be echoed."""
        text = self._forms.sub("***", value) if isinstance(value, str) and self._forms else value
        return ace_faults.plain_text(text, limit)

    def resolve(self, link: str) -> str:
        """Return the full address of a link in a result, which is already percent-encoded.

        It may be relative, or absolute at the configured server. Raises ServerTrouble for any other.
        """
        ours, theirs = urlsplit(self.url), _split(link)
        if theirs is not None and not theirs.scheme and not theirs.netloc:
            return f"{self.url}/{link.removeprefix('/')}"
        if theirs is None or _origin(theirs) != _origin(ours):
            raise ServerTrouble(f"a result points to {self.clean(link, 80)!r}, which is not at {self.url}: not fetched")
        return f"{ours.scheme}://{ours.netloc}/{theirs._replace(scheme='', netloc='').geturl().lstrip('/')}"

    def json(
        self, method: str, route: str, body: Mapping[str, object] | None = None, read_s: float | None = None
    ) -> Any:
        """Send one request and return the `data` of the reply. `read_s` shortens the wait for a sign of life.

        Raises ServerError, also for an error inside an HTTP 200.
        """
        ends_at = self._clock.now() + self.timeouts.reply_s
        with self.open(method, self.url + route, route, body, read_s) as response:
            raw = b"".join(self.chunks(response, MAX_REPLY_BYTES, ends_at))
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError) as error:
            what = "a web page" if raw.lstrip()[:1] == b"<" else "no JSON"
            raise ace_faults.nonsense(what, self.url, route) from error
        return self._unwrap(reply, route)

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        url: str,
        route: str,
        body: Mapping[str, object] | None = None,
        read_s: float | None = None,
    ) -> Iterator[requests.Response]:
        """Send one request; yield the successful response with its body still to be read.

        Raises ServerError, also for what goes wrong while the body is read inside the `with`.
        """
        if self._is_closed():
            raise ServerTrouble("the connection to acestep-api is closed: the program ends", arrived=False)
        try:
            with (
                self._session() as session,
                session.request(
                    method,
                    url,
                    json=body,
                    auth=self._authorise,
                    headers={"Connection": "close", "Accept-Encoding": "identity"},
                    timeout=(self.timeouts.connect_s, read_s or self.timeouts.read_s),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                if not 200 <= response.status_code < 300:
                    raise self._fault(response.status_code, self._detail(response), route)
                yield response
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ace_faults.from_exception(error, self.url, route) from error

    def chunks(self, response: requests.Response, limit_bytes: int, ends_at: float) -> Iterator[bytes]:
        """Yield the body as it comes; raise ServerTrouble beyond a size or a moment.

        `read1` returns with whatever has come, so that a server that sends byte by byte cannot hold us.
        """
        announced = response.headers.get("Content-Length", "")
        too_much = ServerTrouble(f"acestep-api at {self.url} sends more than {limit_bytes / 2**20:g} MiB: not taken")
        if announced.isdecimal() and int(announced[:20]) > limit_bytes:
            raise too_much
        size = 0
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > limit_bytes:
                raise too_much
            if self._clock.now() > ends_at:
                raise ServerTrouble(f"acestep-api at {self.url} sends too slowly: given up after {size} bytes")
            yield chunk
        if self._is_closed():
            raise ServerTrouble("the answer of acestep-api was cut off: the program ends")

    def _is_closed(self) -> bool:
        with self._lock:
            return self._closed

    def _session(self) -> requests.Session:
        session = requests.Session()
        # A proxy named in the environment cannot reach this machine's own server.
        session.trust_env = not self._loopback
        for scheme in ("http://", "https://"):
            adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
            adapter.poolmanager.pool_classes_by_scheme = self._pools
            session.mount(scheme, adapter)
        return session

    def _track(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)
            closed = self._closed
        if closed:
            _hang_up(sock)

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key. Being an auth hook, it also keeps requests from taking a password out of ~/.netrc."""
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _detail(self, response: requests.Response) -> str:
        """Return what an error reply says, or "" (a web page is not worth showing)."""
        try:
            raw = b"".join(self.chunks(response, MAX_DETAIL_BYTES, self._clock.now() + MAX_DETAIL_S))
            reply = json.loads(raw)
        except (ServerTrouble, urllib3.exceptions.HTTPError, RecursionError):
            return ""
        except ValueError:
            return "" if raw.lstrip()[:1] == b"<" else self.clean(raw.decode("utf-8", "replace"))
        said = (reply.get("detail") or reply.get("error")) if isinstance(reply, dict) else reply
        return self.clean(said if isinstance(said, str) else json.dumps(said))

    def _unwrap(self, reply: object, route: str) -> Any:
        """Return the `data` of `{"data": …, "code": 200, "error": null}`; an unwrapped reply is its own data."""
        if not isinstance(reply, dict):
            raise ace_faults.nonsense("an unknown form of reply", self.url, route)
        error, code = reply.get("error"), reply.get("code")
        status = _status(code)
        if error or not (status == 0 or 200 <= status < 300):
            detail = self.clean(error if isinstance(error, str) else json.dumps(error))
            raise self._fault(status if status >= 300 else 500, detail, route)
        return reply.get("data") if reply.keys() & {"data", "code", "error"} else reply

    def _fault(self, status: int, detail: str, route: str) -> Exception:
        return ace_faults.from_status(status, detail, self.url, route, has_key=bool(self._key))


def _forms(key: str) -> re.Pattern[str] | None:
    """Return what finds the key as a server may echo it: in capitals, escaped for JSON, HTML or a URL, in base 64."""
    if not key:
        return None
    forms = {key, json.dumps(key)[1:-1], html.escape(key), quote(key, safe=""), quote_plus(key), quote(key)}
    forms |= {base64.b64encode(word.encode()).decode().rstrip("=") for word in (key, f"Bearer {key}")}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _status(code: object) -> int:
    """Return the `code` of a wrapped reply as an HTTP status: 0 when absent, 500 when it makes no sense."""
    if code is None:
        return 0
    match = re.fullmatch(r"(\d{1,3})(\.0)?", str(code))
    return int(match[1]) if match else 500


def _checked(base_url: str) -> str:
    """Return the address without a trailing slash. It is not quoted in the error: it may hold a password."""
    parts = _split(base_url)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise ConfigError(["ACESTEP_API_URL: not an address like http://127.0.0.1:8001 (http or https, no password)"])
    return base_url.strip().rstrip("/")


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, or None where it or its port makes no sense."""
    try:
        parts = urlsplit(url.strip())
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str, int | None, bool]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port, "@" in parts.netloc


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _hang_up(sock: socket.socket) -> None:
    """Wake whoever waits for this socket; for TLS too without touching the state that it is using."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _tracking_pools(track: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, with connections that report their socket once they are connected."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            track(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            track(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
