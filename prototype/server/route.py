"""The way from here to the server: through which proxy, and who vouches for its certificate.

Both come from the environment (NO_PROXY, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY; REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE,
SSL_CERT_FILE, SSL_CERT_DIR), as for other programs; but no proxy is used to where none can lead: this machine, the
networks that are not routed, and names without a domain.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from urllib3.util.ssl_ import create_urllib3_context

from base.errors import ServerBlocked
from base.texts import Said, said

BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: providers' own, and private networks over the internet (Tailscale)."""

HANDSHAKE_S: Final = 3.0


@dataclass(frozen=True)
class Route:
    """How to reach an address. `proxy` is "" for the direct way; `tls` checks certificates, where there are any.

    `proxy_variable` and `bundle_variable` ("" for those that come along) name where they are set, for a person.
    """

    host: str
    proxy: str = ""
    proxy_variable: Said | str = ""
    tls: ssl.SSLContext | None = None
    bundle_variable: str = ""

    @property
    def proxy_name(self) -> Said:
        """The proxy and where it is set, without its password."""
        shown = re.sub(r"^(\w+://)?[^/]*@", r"\1", self.proxy)
        return said("call.proxy", proxy=shown, variable=self.proxy_variable)

    @property
    def way_out(self) -> Said:
        """What a person can do about the proxy."""
        return said("call.way_out", variable=self.proxy_variable, host=self.host)


def route_to(url: str) -> Route:
    """Return the way to `url`. Raises ServerBlocked where a setting of this machine leads nowhere."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy, proxy_variable = ("", "") if is_private(host) else _proxy(url, parts.scheme)
    tls, bundle_variable = None, ""
    if "https" in (parts.scheme, proxy.partition(":")[0].lower()):
        _check_key_log()
        bundle_variable = next((name for name in BUNDLES if os.environ.get(name)), "")
        tls = _trusting(bundle_variable)
    route = Route(host, proxy, proxy_variable, tls, bundle_variable)
    if proxy and "://" in proxy and not proxy.lower().startswith(("http://", "https://")):
        raise ServerBlocked(said("call.not_for_http", proxy=route.proxy_name, way_out=route.way_out))
    return route


def is_private(host: str) -> bool:
    """Return whether a host is this machine or near it, by its address or its name."""
    address = _address(host)
    if address is None:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith((".localhost", ".local"))
    return address.is_private or (address.version == 4 and address in SHARED)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, seen from itself."""
    address = _address(host)
    if address is None:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def speaks_tls(host: str, port: int) -> bool:
    """Return whether what listens there answers to TLS; asks it, for a few seconds at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), HANDSHAKE_S) as sock,
            context.wrap_socket(sock, server_hostname=host or None),
        ):
            return True
    except (OSError, ValueError):
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is written as, also in the short forms (127.1); None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host)) if host[-1:].isdigit() else None
        except OSError:
            return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _proxy(url: str, scheme: str) -> tuple[str, Said | str]:
    """Return the proxy that is set for an address, and the name of the setting."""
    from requests.utils import get_environ_proxies, select_proxy  # slow to import, and not for a server nearby

    try:
        proxy = select_proxy(url, get_environ_proxies(url)) or ""
    except ValueError as error:
        raise ServerBlocked(said("call.proxy_settings", words=str(error))) from error
    names = [name for base in (scheme, "all") for name in (f"{base}_proxy", f"{base}_PROXY".upper())]
    return proxy, next((name for name in names if os.environ.get(name) == proxy), said("call.system_proxy"))


def _trusting(variable: str) -> ssl.SSLContext:
    """Return what checks certificates by those in the file or folder that a variable names."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # slow to import, and not for a server nearby

    path = Path(os.environ.get(variable) or DEFAULT_CA_BUNDLE_PATH)
    try:
        return _trust(path, path.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ServerBlocked(said("call.no_bundle", variable=variable, path=str(path))) from error
    except (OSError, ValueError) as error:
        raise ServerBlocked(said("call.empty_bundle", variable=variable, path=str(path))) from error


@functools.lru_cache(maxsize=1)
def _trust(path: Path, _changed_ns: int) -> ssl.SSLContext:
    """Read certificates, which takes longer than all else of a request."""
    context = create_urllib3_context()
    context.load_verify_locations(*((None, path) if path.is_dir() else (path,)))
    return context


def _check_key_log() -> None:
    """Raise ServerBlocked where TLS keys are to be logged and cannot be: OpenSSL gives no connection then."""
    path = os.path.expandvars(os.environ.get("SSLKEYLOGFILE", ""))
    if not path:
        return
    try:
        with Path(path).open("ab"):
            return
    except OSError as error:
        raise ServerBlocked(said("call.key_log", path=path, reason=error)) from error
