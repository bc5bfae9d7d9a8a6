"""Choosing a transport."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from codin.errors import ConfigError, ConnectError
from codin.net import AsyncioTransport, HttpxTransport, is_loopback, open_transport
from tests.net.wire import Exchange, serving

pytestmark = pytest.mark.anyio


async def test_httpx_is_the_default_and_the_environment_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODIN_TRANSPORT", raising=False)
    assert isinstance(open_transport(), HttpxTransport)
    monkeypatch.setenv("CODIN_TRANSPORT", "asyncio")
    assert isinstance(open_transport(), AsyncioTransport)
    assert isinstance(open_transport("httpx"), HttpxTransport)
    assert isinstance(open_transport("asyncio"), AsyncioTransport)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ConfigError, match="'carrier pigeon'"):
        open_transport("carrier pigeon")


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("asyncio", "codin.net._connection", "httptools")],
)
def test_without_its_package_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, package: str
) -> None:
    monkeypatch.delitem(sys.modules, f"codin.net._{name}", raising=False)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"codin\[fast\]"):
        open_transport(name)


async def test_a_client_that_was_handed_in_counts_and_stays_open() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=request.headers["x-mine"].encode())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), headers={"X-Mine": "kept"}) as client:
        transport = HttpxTransport(client)
        for _ in range(2):
            response = await transport.request("GET", "http://peer.test/", headers={}, timeout=1)
            assert response.body == b"kept"
            await transport.aclose()
        assert not client.is_closed


async def test_what_comes_unasked_with_an_answer_is_not_the_next_one() -> None:
    async def talkative(exchange: Exchange) -> None:
        asked = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked"
        await exchange.raw(asked + b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked")

    transport = AsyncioTransport()
    async with serving(talkative) as url:
        for _ in range(2):
            assert (await transport.request("GET", url, headers={}, timeout=5)).body == b"asked"
    await transport.aclose()


async def test_a_header_cannot_become_two() -> None:
    transport = AsyncioTransport()
    for headers in ({"X": "a\r\nY: b"}, {"X": "a\nY: b"}, {"X\r\nY": "b"}, {"X": "\0"}):
        with pytest.raises(ConfigError):
            await transport.request("GET", "http://127.0.0.1:9/", headers=headers, timeout=5)


@pytest.mark.requirement("AUTH-CLIENT-TLS")
async def test_tls_is_checked(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"private")

    ours, theirs = tls
    async with serving(answer, ours) as url:
        for name in ("httpx", "asyncio"):
            stranger = open_transport(name)
            with pytest.raises(ConnectError, match=r"(?i)certificate"):
                await stranger.request("GET", url, headers={}, timeout=5)
            await stranger.aclose()
        friend = AsyncioTransport(tls=theirs)
        for _ in range(2):
            assert (await friend.request("GET", url, headers={}, timeout=5)).body == b"private"
        await friend.aclose()


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shows that signed itself, and what a client needs that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    today = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = Encoding.PEM
    (tmp_path / "key").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "certificate").write_bytes(certificate.public_bytes(pem))
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    return ours, ssl.create_default_context(cafile=tmp_path / "certificate")


def name_proxy(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nproxy")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        name_proxy(monkeypatch, f"http://127.0.0.1:{port}")
        for transport in map(open_transport, ("httpx", "asyncio")):
            headers = {"Authorization": "Bearer secret"}
            response = await transport.request("GET", "http://agents.example/", headers=headers, timeout=5)
            await transport.aclose()
            assert response.body == b"proxy"
    assert [line.split(b"\r\n")[0] for line in asked] == [b"GET http://agents.example/ HTTP/1.1"] * 2


@pytest.mark.parametrize("name", ["httpx", "asyncio"])
async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"here")

    name_proxy(monkeypatch, "http://proxy.invalid:3128")
    transport = open_transport(name)
    async with serving(answer) as url:
        for host in ("127.0.0.1", "localhost"):
            at = url.replace("127.0.0.1", host)
            assert (await transport.request("GET", at, headers={}, timeout=5)).body == b"here"
            async with transport.stream("GET", at, headers={}, timeout=5) as response:
                assert await response.read() == b"here"
    await transport.aclose()


@pytest.mark.parametrize("name", ["httpx", "asyncio"])
async def test_a_proxy_that_is_not_there_is_named_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with socket.socket() as taken:  # and not listened on, as long as nobody else has it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        name_proxy(monkeypatch, f"http://ada:hunter2@127.0.0.1:{port}/")
        transport = open_transport(name)
        with pytest.raises(ConnectError, match=f"through the proxy 127.0.0.1:{port}: ") as caught:
            await transport.request("GET", "http://agents.example/", headers={}, timeout=5)
        assert "hunter2" not in str(caught.value)
        with pytest.raises(ConnectError, match="through the proxy"):
            async with transport.stream("GET", "http://agents.example/", headers={}, timeout=5):
                pass
        await transport.aclose()


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_what_this_machine_is_called(host: str, here: bool) -> None:
    assert is_loopback(host) is here
