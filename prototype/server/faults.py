"""What went wrong at acestep-api, as the error and the sentence for it: pure functions, no I/O.

Foreign errors (urllib3, HTTP statuses, errors inside an HTTP 200) become ServerError here only.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from urllib3 import exceptions

from base import errors
from base.texts import Said, reason_of, said, uncommanding
from server.route import Route

SUBMIT_ROUTE: Final = "/release_task"
POLL_ROUTE: Final = "/query_result"
AUDIO_ROUTE: Final = "/v1/audio"
NEEDED_ROUTES: Final = (SUBMIT_ROUTE, POLL_ROUTE)
LACKING_STATUSES: Final = frozenset({404, 405, 501})
PASSING_STATUSES: Final = frozenset({408, 425, 429})
PROXY_WANTS_LOGIN: Final = 407
PROXY_REFUSES: Final = frozenset({401, 403})
GATEWAY_STATUSES: Final = frozenset({502, 503, 504})
INTERNAL_ERROR: Final = 500
BUSY_STATUSES: Final = frozenset({409, 423, 429})
REASON_FIELDS: Final = ("detail", "error", "message", "msg")
NO_ADDRESS: Final = (exceptions.LocationValueError, UnicodeError)
FULL: Final = re.compile(r"\b(queue|busy|full|capacity|overload|too many)", re.IGNORECASE)
NO_MODEL: Final = re.compile(r"\bmodel (is )?not (yet )?(initiali[sz]ed|loaded)", re.IGNORECASE)
"""What the Gradio app says before somebody has had it load its models."""


def plain_text(value: object, limit: int = 200) -> str:
    """Return the server's words as one line without control characters: they end up on a terminal."""
    text = uncommanding(value) if isinstance(value, str) else ""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class InternalError(errors.ServerTrouble):
    """An HTTP 500 of the server itself; `detail` is what it says of it, "" for nothing."""

    def __init__(self, message: Said, detail: str, retry_after_s: float | None) -> None:
        self.detail = detail
        super().__init__(message, retry_after_s=retry_after_s)


@dataclass(frozen=True)
class Call:
    """What was asked for: a route of the server at `url`, by which `way`, and whether with a key."""

    url: str
    route: str
    way: Route
    has_key: bool


def from_status(
    call: Call, status: int, detail: str, *, from_server: bool = True, retry_after: str = ""
) -> errors.ServerError:
    """Return the error for an HTTP status, or the `code` of a wrapped reply, that is no success.

    Where it is not `from_server` (its form is not acestep-api's), something in between may have said it: the proxy
    of our way, or a gateway in front of the server.
    """
    url, route, way = call.url, call.route, call.way
    answer = said("call.answer_says", status=status, words=detail) if detail else said("call.answer", status=status)
    wait_s = _seconds(retry_after)
    if status == PROXY_WANTS_LOGIN or (way.proxy and not from_server and status in PROXY_REFUSES):
        return _from_proxy(call, status, answer)
    if status in LACKING_STATUSES and route in NEEDED_ROUTES:
        return errors.ServerUnsupported(said("call.lacks_route", url=url, route=route, answer=answer), status=status)
    if status in GATEWAY_STATUSES and not from_server:
        who = way.proxy_name if way.proxy else said("call.gateway")
        return errors.ServerTrouble(said("call.in_its_place", who=who, url=url, answer=answer), retry_after_s=wait_s)
    is_full = status == 503 and from_server and FULL.search(detail)
    if route == SUBMIT_ROUTE and (status in BUSY_STATUSES or is_full):
        return errors.ServerBusy(said("call.queue_full", url=url, answer=answer), retry_after_s=wait_s)
    if status >= 500 and NO_MODEL.search(detail):
        return errors.ServerRefused(said("call.no_model", url=url, answer=answer), status=status)
    if status in PASSING_STATUSES or not 300 <= status < 500:
        words = said("call.failed", url=url, route=route, answer=answer)
        if route == SUBMIT_ROUTE:
            words = said("call.submit_failed", failure=words)
        if status != INTERNAL_ERROR:
            return errors.ServerTrouble(words, retry_after_s=wait_s)
        return InternalError(words, detail if from_server else "", wait_s)
    if status == 403 and not from_server:
        return errors.ServerRefused(said("call.no_access", url=url, answer=answer), status=status)
    kind = errors.KeyRefused if status == 401 or (status == 403 and route != AUDIO_ROUTE) else errors.ServerRefused
    return kind(_refusal(call, status, answer), status=status)


def _from_proxy(call: Call, status: int, answer: Said) -> errors.ServerError:
    way = call.way
    if not way.proxy:
        return errors.ServerBlocked(said("call.is_proxy", url=call.url, answer=answer))
    words = said("call.proxy_refuses", proxy=way.proxy_name, url=call.url, answer=answer, way_out=way.way_out)
    return errors.ServerBlocked(said("call.proxy_login", refusal=words) if status == PROXY_WANTS_LOGIN else words)


def _seconds(retry_after: str) -> float | None:
    """Return a Retry-After in seconds; one that is a date is not worth its clock differences."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 7 else None


def _refusal(call: Call, status: int, answer: Said) -> Said:
    is_file = call.route == AUDIO_ROUTE
    words = {
        401: "refuses_key" if call.has_key else "wants_key",
        403: "no_file" if is_file else "refuses_key",
        404: "file_gone" if is_file else "no_route",
    }
    word = "elsewhere" if status < 400 else words.get(status, "refuses")
    return said(f"call.{word}", url=call.url, route=call.route, answer=answer)


def nonsense(call: Call, what: Said) -> errors.ServerNonsense:
    """Return the error for a reply that acestep-api would not give; it may still have done what we asked."""
    url, way = call.url + call.route, call.way
    words = said("call.nonsense", url=url, what=what)
    if way.proxy:
        words = said("call.proxy_answers", proxy=way.proxy_name, what=what, url=url, way_out=way.way_out)
    return errors.ServerNonsense(words)


def from_exception(call: Call, error: Exception, to_tls: Callable[[], bool]) -> errors.ServerError:
    """Return the error for an exception of urllib3 or the system.

    `to_tls` finds out whether the server wants TLS; it is asked where a reply breaks off.
    """
    url, route, way = call.url, call.route, call.way
    cause = _cause(error)
    if isinstance(error, exceptions.SSLError) or isinstance(cause, ssl.SSLError):
        return errors.ServerBlocked(_tls(cause, url, way))
    reason = _why_never_sent(error, cause)
    if reason and way.proxy:
        words = said("call.proxy_leads_nowhere", proxy=way.proxy_name, url=url, reason=reason, way_out=way.way_out)
        return errors.ServerBlocked(words)
    if reason:
        return errors.ServerUnreachable(said("call.unreachable", url=url, reason=reason))
    server = said("call.through", url=url, proxy=way.proxy_name) if way.proxy else url
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        return errors.ServerSilent(said("call.silent", url=server, route=route))
    if not way.proxy and to_tls():
        return errors.ServerBlocked(said("call.speaks_tls", url=url))
    if _is_no_http(cause):
        return nonsense(call, said("call.no_http"))
    return errors.ServerTrouble(said("call.broke_off", url=server, route=route))


def _tls(cause: BaseException, url: str, way: Route) -> Said:
    """Return what is wrong with TLS, and the remedy."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = plain_text(cause.verify_message, 100)
        if way.bundle_variable:
            return said("call.not_in_bundle", url=url, words=words, variable=way.bundle_variable)
        return said("call.certificate", url=url, words=words)
    words = plain_text(str(getattr(cause, "reason", None) or cause), 100)
    if way.proxy:
        return said("call.proxy_without_tls", proxy=way.proxy_name, url=url, words=words, way_out=way.way_out)
    return said("call.no_tls", url=url, words=words)


def _cause(error: BaseException) -> BaseException:
    """Return the system's error at the bottom of one of urllib3, which wraps several times."""
    for _ in range(8):
        inner = next((one for one in (*error.args, getattr(error, "reason", None)) if isinstance(one, Exception)), None)
        if inner is None or isinstance(error, ssl.SSLError):
            return error
        error = inner
    return error


def _is_no_http(cause: BaseException) -> bool:
    """Return whether another kind of server said something, rather than nothing or the beginning of a reply."""
    if isinstance(cause, ConnectionError) or not isinstance(cause, http.client.BadStatusLine):
        return False
    return not "HTTP/".startswith(str(cause)[:5])


def _why_never_sent(error: Exception, cause: BaseException) -> Said | None:
    """Return why surely no byte of the request reached the server, None when some may have."""
    if isinstance(error, NO_ADDRESS):
        return said("call.no_address")
    if isinstance(cause, exceptions.NameResolutionError):
        return said("call.no_host")
    if isinstance(cause, exceptions.NewConnectionError):
        fault = cause.__cause__
        return reason_of(fault) if isinstance(fault, OSError) and fault.strerror else said("call.no_connection")
    if isinstance(error, exceptions.ConnectTimeoutError):
        return said("call.no_connection_in_time")
    if isinstance(error, exceptions.ProxyError):
        return said("quote", words=plain_text(str(cause), 100).lower())
    return None
