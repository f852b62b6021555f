"""What went wrong at acestep-api, as the error and the sentence for it: pure functions, no I/O.

Foreign errors (requests, urllib3, HTTP statuses, errors inside an HTTP 200) become ServerError here only.
"""

from __future__ import annotations

from typing import Final

import requests
import urllib3

from errors import ServerError, ServerNonsense, ServerRefused, ServerSilent, ServerTrouble, ServerUnreachable

SUBMIT_ROUTE: Final = "/release_task"
AUDIO_ROUTE: Final = "/v1/audio"
PASSING_STATUSES: Final = frozenset({408, 425})
QUEUE_FULL: Final = 429


def plain_text(value: object, limit: int = 200) -> str:
    """Return the server's words as one line without control characters: they end up on a terminal."""
    words = "".join(char if char.isprintable() else " " for char in value) if isinstance(value, str) else ""
    line = " ".join(words.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def from_status(status: int, detail: str, url: str, route: str, *, has_key: bool) -> ServerError:
    """Return the error for an HTTP status, or the `code` of a wrapped reply, that is no success."""
    said = f"HTTP {status}: {detail}" if detail else f"HTTP {status}"
    if status == QUEUE_FULL:
        return ServerTrouble(f"acestep-api at {url} has its queue full ({said}): it needs time", arrived=False)
    if status in PASSING_STATUSES or not 300 <= status < 500:
        hint = "; if it stays so, check LM_BACKEND and the server's log" if route == SUBMIT_ROUTE else ""
        return ServerTrouble(f"acestep-api at {url} failed at {route} ({said}){hint}")
    return ServerRefused(_refusal(status, said, url, route, has_key=has_key), status=status)


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


def nonsense(what: str, url: str, route: str) -> ServerNonsense:
    """Return the error for a reply that acestep-api would not give; it may still have done what we asked."""
    return ServerNonsense(f"{url}{route} answers with {what}: is ACESTEP_API_URL the address of acestep-api?")


def from_exception(error: Exception, url: str, route: str) -> ServerError:
    """Return the error for an exception of requests or urllib3."""
    reason = _why_never_sent(error)
    if reason:
        return ServerUnreachable(
            f"cannot reach acestep-api at {url} ({reason}): start it with `acestep-api`, wait while it loads its"
            " models, or correct ACESTEP_API_URL"
        )
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return ServerSilent(f"acestep-api at {url} does not answer {route} in time: it is busy or hangs")
    return ServerTrouble(f"acestep-api at {url} broke off its answer to {route}: was it stopped?")


def _why_never_sent(error: Exception) -> str:
    """Return why surely no byte of the request reached the server, or "" when some may have."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not let us through"
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate is not accepted"
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return "no usable address"
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, urllib3.exceptions.MaxRetryError) else None
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "no such host"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        fault = reason.__cause__
        return plain_text(fault.strerror).lower() if isinstance(fault, OSError) and fault.strerror else "no connection"
    return ""
