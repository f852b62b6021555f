"""One HTTP request to acestep-api, one outcome.

Every request has a connection of its own. The server closes idle ones after about 5 s, and a job sent into a
connection that is just being closed is either lost or asked for twice; a fresh one on loopback costs about a
millisecond. Nothing is retried and no redirect is followed: the key goes to the configured server only.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import logging
import math
import re
import socket
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, quote, quote_plus, unquote, urlsplit

import urllib3

from base.errors import AppError, ConfigError, ServerError, ServerTrouble, ServerUnsupported
from base.texts import said
from base.workers import Clock
from server import faults
from server.faults import Call
from server.route import is_loopback, route_to, speaks_tls
from server.wire import Exchange, Wires

log = logging.getLogger(__name__)

MAX_REPLY_BYTES: Final = 4 * 2**20
MAX_DETAIL_BYTES: Final = 64 * 2**10
MAX_DETAIL_S: Final = 5.0
CHUNK_BYTES: Final = 128 * 2**10  # of a large file, half of them took half as long again (measured)
SERVERS: Final = ("uvicorn", "hypercorn", "gunicorn", "granian")
"""Of what the API is served by: such a reply comes from the server itself, not from something in front of it."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, between two signs of life, for a whole reply, a whole file, and the answer to a submit.

    Some servers make the music before they answer, others load their models first.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    reply_s: float = 60.0
    file_s: float = 900.0
    submit_s: float = 1200.0


class HttpChannel:
    """Requests to one server.

    Threads: any. `_spoke` only ever turns True; nothing else changes.
    """

    def __init__(self, base_url: str, api_key: str, clock: Clock, timeouts: Timeouts) -> None:
        """Raise ConfigError for an address or a key that no request could carry."""
        self.url = _checked(base_url)
        self.timeouts = timeouts
        if not re.fullmatch(r"[!-~]*", api_key):
            raise ConfigError([said("fault.key")])
        self._headers = {"Connection": "close", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._forms = _forms(api_key)
        self._clock = clock
        self._wires = Wires()
        self._spoke = False

    def close(self) -> None:
        """End every request under way (it raises ServerTrouble) and refuse new ones."""
        self._wires.close()

    def clean(self, value: object, limit: int = 200) -> str:
        """Return the server's words fit for a message: one line, and without our key should it be echoed."""
        text = self._forms.sub("***", value) if isinstance(value, str) and self._forms else value
        return faults.plain_text(text, limit)

    def resolve(self, link: str) -> str:
        """Return the full address of a link in a result, which is already percent-encoded.

        It may be relative, or absolute at the configured server, which may call itself by any name of its machine, and
        may not know of a path that something in front of it goes by.
        Raises ServerUnsupported for any other.
        """
        ours, theirs = urlsplit(self.url), _split(link)
        absolute = theirs is not None and (theirs.scheme or theirs.netloc)
        if theirs is None or (absolute and not _is_same_server(theirs, ours)):
            raise ServerUnsupported(said("call.foreign_link", link=self.clean(link, 80), url=self.url))
        place = "/" + (theirs._replace(scheme="", netloc="").geturl() if absolute else link).lstrip("/")
        known = unquote(place).startswith(f"{unquote(ours.path)}/") and not place.startswith(faults.AUDIO_ROUTE)
        return f"{ours.scheme}://{ours.netloc}{place}" if known else self.url + place

    def json(
        self,
        route: str,
        body: Mapping[str, object] | None = None,
        *,
        read_s: float | None = None,
        upload: bytes | None = None,
    ) -> Any:
        """Get, or post a `body`; return the `data` of the reply. With an `upload`, a FLAC file, `body` is form fields.

        `read_s` is the longest wait for a sign of life; the whole may take as long, and has `reply_s` at least. Raises
        ServerError, also for an error inside an HTTP 200.
        """
        call, whole_s = self._call(route), max(read_s or 0.0, self.timeouts.reply_s)
        with self._open(call, self.url + route, body, read_s, whole_s, upload) as response:
            raw = b"".join(self._chunks(response, MAX_REPLY_BYTES))
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError) as error:
            what = said("call.web_page") if raw.lstrip()[:1] == b"<" else said("call.no_json")
            raise faults.nonsense(call, what) from error
        return self._unwrap(reply, call)

    def file(self, link: str, limit_bytes: int) -> Generator[bytes]:
        """Yield the music that a link of a result leads to, as it comes; to be closed. Raises ServerError."""
        with self._open(self._call(faults.AUDIO_ROUTE), self.resolve(link), whole_s=self.timeouts.file_s) as response:
            kind = response.headers.get("Content-Type", "").lower()
            if "json" in kind or "html" in kind:
                raise ServerTrouble(said("call.no_music", url=self.url, kind=self.clean(kind, 40)))
            yield from self._chunks(response, limit_bytes)

    def _call(self, route: str) -> Call:
        if self._wires.closed:
            raise ServerTrouble(said("call.closed"))
        return Call(self.url, route, route_to(self.url), has_key="Authorization" in self._headers)

    @contextlib.contextmanager
    def _open(
        self,
        call: Call,
        url: str,
        body: Mapping[str, object] | None = None,
        read_s: float | None = None,
        whole_s: float = math.inf,
        upload: bytes | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one request; yield the successful response with its body still to be read, within `whole_s`.

        Raises ServerError, also for what goes wrong while the body is read inside the `with`.
        """
        exchange = Exchange(self._wires, self._clock, whole_s)
        timeout = urllib3.Timeout(connect=self.timeouts.connect_s, read=read_s or self.timeouts.read_s)
        data, kind = _encoded(body, upload)
        try:
            with exchange.send(call.way, url, data, self._headers | kind, timeout) as response:
                self._spoke = True
                if not 200 <= response.status < 300:
                    exchange.hurry(MAX_DETAIL_S)
                    raise self._rejection(response, call)
                yield response
        except AppError:
            raise
        except Exception as error:
            if self._wires.closed:
                raise ServerTrouble(said("call.cut_off")) from error
            if not isinstance(error, (urllib3.exceptions.HTTPError, OSError)):
                log.exception("a request to %s ended in an error of an unknown kind", call.route)
            raise faults.from_exception(call, error, self._is_tls) from error

    def _chunks(self, response: urllib3.BaseHTTPResponse, limit_bytes: int) -> Iterator[bytes]:
        """Yield the body as it comes; raise ServerTrouble beyond a size.

        `read1` returns with whatever has come, so that who reads can look up now and then.
        """
        announced = response.headers.get("Content-Length", "")
        limit = f"{limit_bytes / 2**20:g}"
        too_much = ServerTrouble(said("call.too_much", url=self.url, limit=limit), is_final=True)
        if announced.isdecimal() and int(announced[:20]) > limit_bytes:
            raise too_much
        size = 0
        while chunk := response.read1(CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > limit_bytes:
                raise too_much
            yield chunk
        if self._wires.closed:
            raise ServerTrouble(said("call.cut_off"))

    def _is_tls(self) -> bool:
        """Return whether a server that has never answered in plain text wants TLS."""
        parts = urlsplit(self.url)
        if self._spoke or parts.scheme != "http":
            return False
        return speaks_tls(parts.hostname or "", parts.port or 80)

    def _rejection(self, response: urllib3.BaseHTTPResponse, call: Call) -> ServerError:
        """Return the error for a reply that is no success."""
        detail, ours = self._detail(response)
        if response.status < 400:
            detail = self.clean(response.headers.get("Location", ""))
        served_by = response.headers.get("Server", "").lower()
        return faults.from_status(
            call,
            response.status,
            detail,
            from_server=ours or any(name in served_by for name in SERVERS),
            retry_after=response.headers.get("Retry-After", ""),
        )

    def _detail(self, response: urllib3.BaseHTTPResponse) -> tuple[str, bool]:
        """Return what an error reply says, "" for a web page, and whether it is in the server's form (JSON)."""
        try:
            raw = b"".join(self._chunks(response, MAX_DETAIL_BYTES))
            reply = json.loads(raw)
        except (ServerTrouble, urllib3.exceptions.HTTPError, RecursionError):
            return "", False
        except ValueError:
            return "" if raw.lstrip()[:1] == b"<" else self.clean(raw.decode("utf-8", "replace")), False
        return self._words(reply), isinstance(reply, dict)

    def _words(self, reply: object) -> str:
        """Return what a reply says of an error, "" for nothing."""
        while isinstance(reply, dict):
            reply = next(
                (reply[name] for name in faults.REASON_FIELDS if reply.get(name) and reply[name] is not True), ""
            )
        return self.clean(reply if isinstance(reply, str) else json.dumps(reply))

    def _unwrap(self, reply: object, call: Call) -> Any:
        """Return the `data` of `{"data": …, "code": 200, "error": null}`; an unwrapped reply is its own data."""
        if isinstance(reply, list):
            return reply
        if not isinstance(reply, dict):
            raise faults.nonsense(call, said("call.unknown_form"))
        status = _status(reply.get("code"))
        refused = reply.get("error") or False in (reply.get("success"), reply.get("ok"))
        if refused or not (status == 0 or 200 <= status < 300):
            raise faults.from_status(call, status if status >= 300 else 500, self._words(reply))
        return reply.get("data") if reply.keys() & {"data", "code", "error"} else reply


def _encoded(body: Mapping[str, object] | None, upload: bytes | None) -> tuple[bytes | None, dict[str, str]]:
    """Return what is posted, and the header that says what it is: JSON, with an `upload` a form."""
    if body is None:
        return None, {}
    if upload is None:
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    fields = [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in body.items()]
    data, kind = urllib3.encode_multipart_formdata([*fields, ("src_audio", ("context.flac", upload, "audio/flac"))])
    return data, {"Content-Type": kind}


def _forms(key: str) -> re.Pattern[str] | None:
    """Return what finds the key as a server may echo it: in capitals, escaped for JSON, HTML or a URL, in base 64."""
    if not key:
        return None
    forms = {key, json.dumps(key)[1:-1], html.escape(key), quote(key, safe=""), quote_plus(key), quote(key)}
    forms |= {base64.b64encode(word.encode()).decode().rstrip("=") for word in (key, f"Bearer {key}")}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _status(code: object) -> int:
    """Return the `code` of a wrapped reply as an HTTP status: 0 when there is no number, 500 for one that is none."""
    match = re.fullmatch(r"(-?\d+)(\.0)?", str(code))
    return 0 if match is None else int(match[1]) if re.fullmatch(r"\d{1,3}", match[1]) else 500


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
        raise ConfigError([said("fault.url")])
    return base_url.strip().rstrip("/")


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, or None where it or its port makes no sense."""
    try:
        parts = urlsplit(url.strip())
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None


def _is_same_server(theirs: SplitResult, ours: SplitResult) -> bool:
    """Return whether a link leads to our server: by our name for it, or by any name of a machine for itself."""
    if theirs.scheme != ours.scheme or _port(theirs) != _port(ours) or "@" in theirs.netloc:
        return False
    host, our_host = ((parts.hostname or "").rstrip(".") for parts in (theirs, ours))
    return host == our_host or is_loopback(host) or (is_loopback(our_host) and host == socket.gethostname().lower())


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
