"""What went wrong at acestep-api, as the error and the sentence for it: pure functions, no I/O.

Foreign errors (requests, urllib3, HTTP statuses, errors inside an HTTP 200) become ServerError here only.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Final

import requests
import urllib3

from base.errors import (
    ServerBlocked,
    ServerError,
    ServerNonsense,
    ServerRefused,
    ServerSilent,
    ServerTrouble,
    ServerUnreachable,
    ServerUnsupported,
)
from server.route import Route, is_bundle

SUBMIT_ROUTE: Final = "/release_task"
POLL_ROUTE: Final = "/query_result"
AUDIO_ROUTE: Final = "/v1/audio"
NEEDED_ROUTES: Final = (SUBMIT_ROUTE, POLL_ROUTE)
LACKING_STATUSES: Final = frozenset({404, 405, 501})
PASSING_STATUSES: Final = frozenset({408, 425})
PROXY_WANTS_LOGIN: Final = 407
PROXY_REFUSES: Final = frozenset({401, 403})
GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
QUEUE_FULL: Final = 429
NO_ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
    UnicodeError,
)
NO_MODEL: Final = re.compile(r"\bmodel (is )?not (yet )?(initiali[sz]ed|loaded)", re.IGNORECASE)
"""What the Gradio app says before somebody has had it load its models."""


def plain_text(value: object, limit: int = 200) -> str:
    """Return the server's words as one line without control characters: they end up on a terminal."""
    words = "".join(char if char.isprintable() else " " for char in value) if isinstance(value, str) else ""
    line = " ".join(words.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class InternalError(ServerTrouble):
    """An HTTP 500 of the server itself; `detail` is what it says of it, "" for nothing."""

    def __init__(self, message: str, detail: str, retry_after_s: float | None) -> None:
        self.detail = detail
        super().__init__(message, retry_after_s=retry_after_s)


def from_status(
    status: int,
    detail: str,
    url: str,
    route: str,
    *,
    has_key: bool,
    way: Route | None = None,
    from_server: bool = True,
    retry_after: str = "",
) -> ServerError:
    """Return the error for an HTTP status, or the `code` of a wrapped reply, that is no success.

    Where it is not `from_server` (its form is not acestep-api's), something in between may have said it: the proxy
    of our `way`, or a gateway in front of the server.
    """
    said = f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    wait_s = _seconds(retry_after)
    if status == PROXY_WANTS_LOGIN or (way and way.proxy and not from_server and status in PROXY_REFUSES):
        return _from_proxy(status, said, url, way)
    if status in LACKING_STATUSES and route in NEEDED_ROUTES:
        return ServerUnsupported(
            f"{url} knows no {route} ({said}): set ACESTEP_API_URL to the address of acestep-api, or start ACE-Step's"
            " Gradio app there with --enable-api",
            status=status,
        )
    if status in GATEWAY_STATUSES and not from_server:
        who = way.proxy_name if way and way.proxy else "a gateway"
        return ServerTrouble(
            f"{who} in front of acestep-api at {url} answers in its place ({said}): is the server running, and reached"
            " from there?",
            retry_after_s=wait_s,
        )
    if status == QUEUE_FULL:
        words = f"acestep-api at {url} has its queue full ({said}): it needs time"
        return ServerTrouble(words, arrived=False, retry_after_s=wait_s)
    if status >= 500 and NO_MODEL.search(detail):
        words = f"the server at {url} has no model loaded ({said}): press Initialize Service in its page, or start it"
        return ServerRefused(f"{words} with --init_service true", status=status)
    if status in PASSING_STATUSES or not 300 <= status < 500:
        hint = "; if it stays so, check LM_BACKEND and the server's log" if route == SUBMIT_ROUTE else ""
        words = f"acestep-api at {url} failed at {route} ({said}){hint}"
        return InternalError(words, detail if from_server else "", wait_s)
    if status == 403 and not from_server:
        words = f"something in front of acestep-api at {url} refuses access ({said}): have it let this machine in"
        return ServerRefused(words, status=status, wants_key=False)
    return ServerRefused(_refusal(status, said, url, route, has_key=has_key), status=status)


def _from_proxy(status: int, said: str, url: str, way: Route | None) -> ServerError:
    if way is None or not way.proxy:
        return ServerBlocked(f"what listens at {url} is a proxy ({said}): set ACESTEP_API_URL to acestep-api's address")
    login = ", or give it a login (http://name:password@…)" if status == PROXY_WANTS_LOGIN else ""
    return ServerBlocked(
        f"{way.proxy_name} does not let us through to acestep-api at {url} ({said}): {way.way_out}{login}"
    )


def _seconds(retry_after: str) -> float | None:
    """Return a Retry-After in seconds; one that is a date is not worth its clock differences."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 7 else None


def _refusal(status: int, said: str, url: str, route: str, *, has_key: bool) -> str:
    if status < 400:
        return f"{url} sends us elsewhere ({said}): set ACESTEP_API_URL to the final address of acestep-api"
    if status == 401 and not has_key:
        return f"acestep-api at {url} wants a key ({said}): set ACESTEP_API_KEY to the one it was started with"
    if status in (401, 403):
        return f"acestep-api at {url} refuses access ({said}): set ACESTEP_API_KEY to the one it was started with"
    if status == 404 and route == AUDIO_ROUTE:
        return f"acestep-api at {url} no longer has the file ({said}): it has to be generated again"
    if status == 404:
        return f"{url} knows no {route} ({said}): is ACESTEP_API_URL the address of acestep-api?"
    return f"acestep-api at {url} refuses the request to {route} ({said}): check the settings that it names"


def nonsense(what: str, url: str, route: str, way: Route) -> ServerNonsense:
    """Return the error for a reply that acestep-api would not give; it may still have done what we asked."""
    if way.proxy:
        return ServerNonsense(f"{way.proxy_name} answers with {what} for {url}{route}: {way.way_out}")
    return ServerNonsense(f"{url}{route} answers with {what}: is ACESTEP_API_URL the address of acestep-api?")


def from_exception(error: Exception, url: str, route: str, way: Route, to_tls: Callable[[], bool]) -> ServerError:
    """Return the error for an exception of requests, urllib3 or the system.

    `to_tls` finds out whether the server wants TLS; it is asked where a reply breaks off.
    """
    if isinstance(error, requests.exceptions.SSLError) or isinstance(_cause(error), ssl.SSLError):
        return ServerBlocked(_tls(error, url, way))
    reason = _why_never_sent(error)
    if reason and way.proxy:
        return ServerBlocked(f"{way.proxy_name} does not lead to acestep-api at {url} ({reason}): {way.way_out}")
    if reason:
        return ServerUnreachable(
            f"cannot reach acestep-api at {url} ({reason}): start it with `acestep-api`, wait while it loads its"
            " models, or correct ACESTEP_API_URL"
        )
    through = f" through {way.proxy_name}" if way.proxy else ""
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return ServerSilent(
            f"acestep-api at {url}{through} does not answer {route} in time: it is busy, sends too slowly, or hangs"
        )
    if not way.proxy and to_tls():
        return ServerBlocked(f"{url} speaks TLS: set ACESTEP_API_URL to an address with https://")
    return ServerTrouble(f"acestep-api at {url}{through} broke off its answer to {route}: was it stopped?")


def _tls(error: Exception, url: str, way: Route) -> str:
    """Return what is wrong with TLS, and the remedy."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        trusted = f"does {way.bundle_variable} hold" if way.bundle else "name in REQUESTS_CA_BUNDLE"
        mark = "?" if way.bundle else ""
        return (
            f"the TLS certificate of {url} is not accepted ({plain_text(cause.verify_message, 100)}): {trusted} the"
            f" certificate of who signed it{mark}"
        )
    words = plain_text(str(getattr(cause, "reason", None) or cause), 100)
    if way.bundle and not is_bundle(way.bundle):
        return f"{way.bundle_variable} names {way.bundle!r}, which holds no certificate that can be read: correct it"
    if way.proxy:
        return f"{way.proxy_name} leads to no TLS at {url} ({words}): {way.way_out}"
    return f"{url} does not speak TLS as expected ({words}): set ACESTEP_API_URL to an address with http://"


def _cause(error: BaseException) -> BaseException:
    """Return the system's error at the bottom of one of requests and urllib3, which wrap several times."""
    for _ in range(8):
        inner = next((one for one in (*error.args, getattr(error, "reason", None)) if isinstance(one, Exception)), None)
        if inner is None or isinstance(error, ssl.SSLError):
            return error
        error = inner
    return error


def _why_never_sent(error: Exception) -> str:
    """Return why surely no byte of the request reached the server, or "" when some may have."""
    cause = _cause(error)
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, NO_ADDRESS):
        return "no usable address"
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "no such host"
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        fault = cause.__cause__
        return plain_text(fault.strerror).lower() if isinstance(fault, OSError) and fault.strerror else "no connection"
    return plain_text(str(cause), 100).lower() if isinstance(error, requests.exceptions.ProxyError) else ""
