"""Client certificates that a proxy passes on: from the proxy, and from nobody else."""

from __future__ import annotations

import base64
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from codin.agent import agent
from codin.errors import ConfigError, TokenRefused
from codin.server import App
from codin.task import Task
from codin.trust import PEER_ADDRESS, ForwardedCertificates
from tests.server.rpc import HEADERS, message

pytestmark = pytest.mark.anyio

PROXY = "10.0.0.1"
KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)


def certificate(uri: str | None = None, *, subject: bool = True, days: int = 1) -> x509.Certificate:
    fields = [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "ada")] if subject else []
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in fields])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=2))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if uri is not None:
        names = x509.SubjectAlternativeName([x509.DNSName("x"), x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(KEY, SHA256())


def as_rfc_9440(found: x509.Certificate) -> bytes:
    return b":" + base64.b64encode(found.public_bytes(Encoding.DER)) + b":"


def as_nginx(found: x509.Certificate) -> bytes:
    return quote(found.public_bytes(Encoding.PEM)).encode()


async def owner(said: bytes, peer: str = PROXY, **options: Any) -> str | None:
    proxies: Collection[str] = options.pop("proxies", [PROXY])
    found = ForwardedCertificates(proxies, **options)
    caller = await found.authenticate({b"client-cert": said, PEER_ADDRESS: peer.encode()})
    return caller and caller.id


@pytest.mark.parametrize("write", [as_rfc_9440, as_nginx])
async def test_the_caller_is_whom_the_certificate_names(write: Any) -> None:
    assert await owner(write(certificate())) == "CN=ada,O=Example"
    spiffe = "spiffe://example.com/agents/ada"
    assert await owner(write(certificate(spiffe))) == spiffe
    assert await owner(write(certificate(spiffe)), callers={spiffe: "ada"}) == "ada"


@pytest.mark.parametrize("peer", ["10.0.0.2", "127.0.0.1", "", "not an address", "10.0.0.1 "])
async def test_the_header_counts_from_the_proxy_only(peer: str) -> None:
    assert await owner(as_rfc_9440(certificate()), peer) is None


async def test_an_address_has_several_spellings() -> None:
    assert await owner(as_rfc_9440(certificate()), "fd00::1", proxies=["fd00:0::0:1"]) is not None


async def test_who_does_not_say_where_the_request_came_from_gets_nobody_in() -> None:
    """Another server that uses this authenticator and knows nothing of the address."""
    found = ForwardedCertificates([PROXY])
    assert await found.authenticate({b"client-cert": as_rfc_9440(certificate())}) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b":not base64:", "cannot be read"),
        (b"::", "cannot be read"),
        (b":AAAA:", "cannot be read"),
        (b"CN=ada", "cannot be read"),
        (b"-----BEGIN%20CERTIFICATE-----%0Ax", "cannot be read"),
        (b":" + b"A" * 20_000 + b":", "cannot be read"),
        (as_rfc_9440(certificate(days=-1)), "out of date"),
        (as_rfc_9440(certificate(subject=False)), "names nobody"),
    ],
)
async def test_a_certificate_that_is_none(said: bytes, why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        await owner(said)
    assert await owner(said, "10.0.0.2") is None


async def test_with_a_list_of_callers_nobody_else_comes_in() -> None:
    with pytest.raises(TokenRefused, match="not known"):
        await owner(as_rfc_9440(certificate()), callers={"CN=bob": "bob"})
    assert await owner(b"") is None


@pytest.mark.parametrize("proxies", [[], "10.0.0.1", ["proxy.example.com"], ["10.0.0.0/8"]])
def test_proxies_are_named_by_their_addresses(proxies: Any) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        ForwardedCertificates(proxies)


@agent
async def who(task: Task) -> str:
    """Tell who calls."""
    return task.caller.id


async def test_the_server_says_where_a_request_came_from_and_no_client_does() -> None:
    app = App(who, authenticator=ForwardedCertificates([PROXY]))
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}

    async def asked(address: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 7))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.post("/", json=body, headers={**HEADERS, **headers})

    said = as_rfc_9440(certificate()).decode()
    through = await asked(PROXY, **{"Client-Cert": said})
    assert "CN=ada,O=Example" in through.text
    for headers in ({}, {":peer": PROXY}, {"X-Forwarded-For": PROXY}):
        around = await asked("10.0.0.9", **{"Client-Cert": said}, **headers)
        assert (around.status_code, around.headers["www-authenticate"]) == (401, 'ClientCertificate realm="codin"')
