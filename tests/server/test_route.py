"""The way to the server: which party is to blame when nothing comes back, and that all errors are ServerError."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ace_client import AceClient, AudioFile, Timeouts
from base.errors import (
    ConfigError,
    KeyRefused,
    ServerBlocked,
    ServerError,
    ServerNonsense,
    ServerRefused,
    ServerSilent,
    ServerTrouble,
    ServerUnreachable,
)
from doubles.fake_acestep import FakeAcestep
from doubles.fake_http import PEM, answering
from doubles.simulated_time import FakeClock
from server.route import BUNDLES, is_private, route_to

QUICK = Timeouts(connect_s=1.0, read_s=0.5, reply_s=0.8, file_s=0.8, submit_s=0.8)
FAR = "http://music.example.com:8001"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
OF_ENVIRONMENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *BUNDLES, "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of the way."""
    for name in OF_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def page(status: str) -> bytes:
    """Return a web page, as proxies and gateways answer."""
    return f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>".encode()


def fault(url: str, kind: type[ServerError], said: str) -> ServerError:
    """Return the error in which a call ends."""
    with pytest.raises(kind, match=said) as caught:
        AceClient(url, timeouts=QUICK).stats()
    assert type(caught.value) is kind or kind is ServerTrouble
    return caught.value


@pytest.mark.parametrize("status", ["401 Who", "403 No", "407 Login"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, status: str, scheme: str
) -> None:
    """Its refusal is not the server's: no key helps, a person has to change the proxy, and nothing arrived."""
    with answering(page(status)) as port:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:secret@127.0.0.1:{port}")
        said = rf"the proxy http://127.0.0.1:{port} \({scheme}_proxy\).*{status[:3]}.*NO_PROXY"
        error = fault(FAR.replace("http", scheme, 1), ServerBlocked, said)
    assert not error.arrived
    assert "secret" not in str(error)
    assert "ACESTEP_API_KEY" not in str(error)


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Unavailable", "504 Timeout"])
def test_a_proxy_or_gateway_that_does_not_get_through_is_named(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """It passes, and may have passed the request on."""
    with answering(page(status)) as port:
        assert fault(f"http://127.0.0.1:{port}", ServerTrouble, "a gateway in front of").arrived
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{port}")
        fault(FAR, ServerTrouble, rf"the proxy 127.0.0.1:{port} \(ALL_PROXY\) in front of")
        fault(FAR.replace("http", "https"), ServerBlocked, f"127.0.0.1:{port}.*{status[:3]}")


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("", None),
        ("me@", "me:"),
        ("me:a%40b%3Ac@", "me:a@b:c"),
        ("me:%E9%9F%B3@", "me:音"),
        (":pass@", ":pass"),
        ("me:@", "me:"),
    ],
)
def test_a_proxy_is_told_who_asks_and_nothing_of_the_key(
    monkeypatch: pytest.MonkeyPatch, login: str, told: str | None
) -> None:
    """Its login (RFC 7617) is for it alone; the key is the server's, which it passes on."""
    with FakeAcestep() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{login}127.0.0.1:{proxy.port}")
        AceClient(FAR, "s3cret").stats()
    [request] = proxy.requests
    assert request.headers.get("authorization") == "Bearer s3cret"
    basic = request.headers.get("proxy-authorization", "").removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == (told or "")


def test_a_page_through_a_proxy_may_be_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login page with status 200."""
    with answering(page("200 OK")) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        fault(FAR, ServerNonsense, "the proxy .* answers with a web page")


def test_what_the_server_says_through_a_proxy_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own form (JSON) tells them apart."""
    with answering(b'HTTP/1.1 401 No\r\nContent-Length: 15\r\n\r\n{"detail": "k"}') as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        fault(FAR, KeyRefused, "ACESTEP_API_KEY")


def test_a_gateways_refusal_is_no_matter_of_the_key() -> None:
    """A page with 403 in front of the server."""
    with answering(page("403 No")) as port:
        error = fault(f"http://127.0.0.1:{port}", ServerRefused, "something in front of")
    assert not isinstance(error, KeyRefused)


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://127.0.0.1:9", "refused"),
        ("http://no.such.proxy.invalid:3128", "no such host"),
        ("socks://127.0.0.1:1080", "not one for HTTP"),
        ("socks5h://127.0.0.1:1080", "not one for HTTP"),
        ("http://[::1", "no usable address"),
        ("::::", "no usable address"),
    ],
)
def test_a_proxy_that_leads_nowhere_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str, said: str) -> None:
    """And what is wrong with it; not the server's address."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    fault(FAR, ServerBlocked, rf"the proxy .*\(ALL_PROXY\).*{said}.*NO_PROXY")


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True), ("127.1", True), ("localhost", True), ("localhost.", True), ("a.localhost", True),
        ("::1", True), ("0.0.0.0", True), ("10.1.2.3", True), ("172.16.0.9", True), ("172.32.0.9", False),
        ("192.168.1.20", True), ("169.254.7.7", True), ("100.100.1.2", True), ("::ffff:192.168.1.1", True),
        ("fd12:3456::1", True), ("fe80::1%eth0", True), ("2606:4700::1", False), ("8.8.8.8", False),
        ("gpubox", True), ("gpubox.local", True), ("GPUBOX.LOCAL.", True), ("music.example.com", False),
        ("local.example.com", False), ("1.2.3.example.com", False),
    ],
)  # fmt: skip
def test_a_host_is_private_by_its_address_or_its_name(host: str, private: bool) -> None:
    """Where no proxy can lead; a name with a domain may be anywhere."""
    assert is_private(host) is private


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_every_address_of_a_private_network_is_reached_directly(address: object) -> None:
    """All of them."""
    assert is_private(str(address))


def test_private_and_excepted_hosts_are_reached_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """And NO_PROXY is honoured."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with FakeAcestep() as server:
        for host in ("127.0.0.1", "localhost", "127.1"):
            AceClient(f"http://{host}:{server.port}").health()
    assert not route_to("http://gpubox:8001").proxy
    assert route_to(FAR).proxy
    monkeypatch.setenv("no_proxy", "example.com")
    assert not route_to(FAR).proxy


def test_the_other_protocol_is_told_from_a_certificate_and_from_a_stopped_server() -> None:
    """TLS where plain HTTP is spoken, and plain HTTP where TLS is."""
    with answering(GOOD) as port:
        fault(f"https://127.0.0.1:{port}", ServerBlocked, "does not speak TLS.*http://")
    with answering(GOOD, tls=True) as port:
        fault(f"http://127.0.0.1:{port}", ServerBlocked, "speaks TLS.*https://")
    with answering() as port:
        fault(f"http://127.0.0.1:{port}", ServerTrouble, "broke off")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", bytes(range(128, 228)), b"hi"])
def test_another_kind_of_server_is_not_taken_for_one_that_was_stopped(greeting: bytes) -> None:
    """The address is wrong; nothing broke off."""
    with answering(greeting) as port:
        fault(f"http://127.0.0.1:{port}", ServerNonsense, "what is no HTTP: is ACESTEP_API_URL the address")
    for cut in (b"HTT", b"HTTP/1.1"):
        with answering(cut) as port:
            fault(f"http://127.0.0.1:{port}", ServerTrouble, "broke off")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_of_ones_own_hold_on_loopback_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Each of the usual variables; what is wrong with its file is one sentence that names it."""
    with answering(GOOD, tls=True) as port:
        url = f"https://127.0.0.1:{port}"
        fault(url, ServerBlocked, "certificate.*not accepted.*self-signed.*REQUESTS_CA_BUNDLE")
        monkeypatch.setenv(variable, str(PEM))
        AceClient(url).stats()
        AceClient(url.replace("https", "HTTPS")).stats()
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        fault(url, ServerBlocked, f"{variable} names '/.*none', which is not there")
        (tmp_path / "none").write_text("no certificate")
        fault(url, ServerBlocked, f"{variable} names '/.*none', which holds no certificate")
    with answering(GOOD) as port:
        AceClient(f"http://127.0.0.1:{port}").stats()


def test_a_proxy_that_speaks_tls_is_checked_by_the_same_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on the way to a server that does not."""
    with answering(GOOD, tls=True) as port:
        monkeypatch.setenv("http_proxy", f"https://127.0.0.1:{port}")
        fault(FAR, ServerBlocked, "certificate.*not accepted.*self-signed")
        monkeypatch.setenv("CURL_CA_BUNDLE", str(PEM))
        AceClient(FAR).stats()


def test_a_bundle_that_is_changed_holds_from_then_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Certificates are read once, and again where their file is another."""
    bundle = tmp_path / "bundle"
    bundle.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with answering(GOOD, tls=True) as port:
        client = AceClient(f"https://127.0.0.1:{port}")
        for _ in range(2):
            with pytest.raises(ServerBlocked, match="does SSL_CERT_FILE hold"):
                client.stats()
        bundle.write_bytes(PEM.read_bytes())
        os.utime(bundle, (1, 1))
        client.stats()


def test_a_key_log_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where TLS is spoken; it does not matter elsewhere."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with answering(GOOD, tls=True) as port:
        fault(f"https://127.0.0.1:{port}", ServerBlocked, "SSLKEYLOGFILE names")
    with answering(GOOD) as port:
        AceClient(f"http://127.0.0.1:{port}").stats()


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n", *[b"X-Drop: 1\r\n"] * 90],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 90,
        [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 15,
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", *[b"X-Drop: 1\r\n"] * 90],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 90],
        [b"H", b"T", b"T", b"P", *[b"/"] * 90],
        [b"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n", *[b"x"] * 90],
    ],
)
def test_one_deadline_holds_for_every_part_of_a_reply(parts: list[bytes]) -> None:
    """Headers, interim replies, body, trailers, the words of an error: each a drop at a time."""
    with answering(*parts, pause_s=0.1) as port:
        fault(f"http://127.0.0.1:{port}", ServerTrouble, "in time|HTTP 500|broke off")


def test_the_words_of_an_error_are_not_waited_for_as_long_as_a_file(tmp_path: Path) -> None:
    """What a server says of a download that it refuses has a few seconds, however long a file may take."""
    clock = FakeClock(step_s=1.0)
    drops = [b"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n", *[b"x"] * 60]
    with answering(*drops, pause_s=0.01) as port, pytest.raises(ServerTrouble, match="HTTP 500"):
        AceClient(f"http://127.0.0.1:{port}", clock=clock).download(AudioFile("/v1/audio"), tmp_path / "a")
    assert clock.time_s < 20.0


def test_a_deadline_through_a_proxy_holds_for_its_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to CONNECT that drips."""
    with answering(b"HTTP/1.1 200 OK\r\n", *[b"X-Drop: 1\r\n"] * 90, pause_s=0.1) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises((ServerSilent, ServerBlocked), match=f"127.0.0.1:{port}"):
            AceClient(FAR.replace("http", "https"), timeouts=QUICK).stats()


def test_interim_replies_are_passed_over() -> None:
    """All kinds of them, before the one that counts."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n"
    with answering(interim + GOOD) as port:
        AceClient(f"http://127.0.0.1:{port}").stats()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_address_is_a_setting_or_a_server_error(host: str) -> None:
    """Nothing else leaves the client, whatever the address."""
    with contextlib.suppress(ConfigError, ServerError):
        AceClient(f"http://{host}.invalid", timeouts=Timeouts(connect_s=0.2)).stats()


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".com", ".example", "*"])
def test_an_address_that_no_request_can_have_is_unreachable(host: str) -> None:
    """With the reason."""
    fault(f"http://{host}", ServerUnreachable, "no usable address|no such host")
