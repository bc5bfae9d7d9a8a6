"""Addresses that somebody else names lead nowhere but where they may, whatever the DNS says a moment later."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from codin.errors import AddressRefused, ConfigError, ConnectError, DeadlineExceeded
from codin.net import AddressGuard, HttpxTransport, Transport, _guard, open_transport
from tests.net.wire import Exchange, serving

pytestmark = pytest.mark.anyio

PATIENT = 60.0
METADATA = "169.254.169.254"
Opener = Callable[[AddressGuard], Transport]


@pytest.fixture(params=["httpx", "asyncio"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param != "httpx":
        pytest.importorskip("httptools", reason="pip install 'codin[fast]'")
    return lambda guard: open_transport(request.param, guard=guard)


@pytest.fixture(autouse=True)
def nobody_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "_met", _guard._Met())  # pyright: ignore[reportPrivateUsage]


class Names:
    """A DNS that answers by list, the next list at every question, and the last one from then on."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name: [*each] for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers.get(host.partition(".")[0])
        if answers is None:
            raise OSError(f"nobody knows {host}")
        return answers.pop(0) if len(answers) > 1 else answers[0]


INTERNET = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
PRIVATE = [
    *["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fc00::1", "fd12::1"],
    *["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "::10.0.0.1", "fec0::1"],
]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
SPECIAL = [
    *[METADATA, "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"],
    *["224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "0.1.2.3", "192.0.2.1", "fe80::1", "fe80::1%1"],
    *["ff02::1", "2001:db8::1", "2001::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "4000::1"],
]


@pytest.mark.parametrize("address", [*INTERNET, *PRIVATE, *LOOPBACK, *SPECIAL])
async def test_what_an_address_is(address: str) -> None:
    names = Names(named=[[address]])
    written = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    for url in ("http://named.example/", written):
        for guard, allowed in [
            (AddressGuard(resolve=names), INTERNET),
            (AddressGuard(resolve=names, allow_private=True), INTERNET + PRIVATE),
            (AddressGuard(resolve=names, allow_loopback=True), INTERNET + LOOPBACK),
            (AddressGuard(resolve=names, allow_public=False, allow_loopback=True), LOOPBACK),
        ]:
            assert await is_allowed(guard, url) is (address in allowed)
        assert await is_allowed(AddressGuard(resolve=names, allowed_hosts=["named.example", address]), url)


async def is_allowed(guard: AddressGuard, url: str) -> bool:
    try:
        await guard.check(url)
    except AddressRefused:
        return False
    return True


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::1]"]
)
def test_an_address_in_disguise(host: str) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard().check_written(f"http://{host}/")
    AddressGuard(named_by="http://127.0.0.1:8000").check_written(f"http://{host}/")


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    guard = AddressGuard(resolve=Names(mixed=[["8.8.8.8", "10.0.0.1"]]))
    with pytest.raises(AddressRefused, match=r"'mixed\.example' leads to 10\.0\.0\.1, which is in a private network"):
        await guard.check("https://mixed.example/")


@pytest.mark.parametrize("url", ["ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8", "http://", "http://[::"])
async def test_only_http_is_called(url: str) -> None:
    with pytest.raises(AddressRefused):
        await AddressGuard().check(url)
    with pytest.raises(AddressRefused):
        AddressGuard().check_written(url)


async def test_a_name_without_an_address() -> None:
    for names in (Names(), Names(empty=[[]])):
        with pytest.raises(ConnectError) as caught:
            await AddressGuard(resolve=names).check("http://empty.example/")
        assert not isinstance(caught.value, AddressRefused)


@pytest.mark.parametrize(
    ("namer", "allowed"),
    [
        ("8.8.8.8", INTERNET),
        ("10.1.2.3", INTERNET + PRIVATE),
        ("127.0.0.1", INTERNET + PRIVATE + LOOPBACK),
        ("0.0.0.0", INTERNET + PRIVATE + LOOPBACK),
        (METADATA, INTERNET),
    ],
)
async def test_who_names_an_address_names_nothing_further_inside(namer: str, allowed: list[str]) -> None:
    for url in (f"http://{namer}:8000/a", "http://namer.example/"):
        for address in [*INTERNET, *PRIVATE, *LOOPBACK, *SPECIAL]:
            names = Names(namer=[[namer]], named=[[address]])
            guard = AddressGuard(named_by=url, resolve=names)
            assert await is_allowed(guard, "http://named.example/") is (address in allowed)
            assert await is_allowed(guard, url)  # whoever pointed there may go there


async def test_a_host_is_the_same_however_it_is_written() -> None:
    for written, host in [("http://Bücher.Example./", "xn--bcher-kva.example"), ("http://A.Example:9/", "a.example")]:
        names = Names(**{host.partition(".")[0]: [["10.0.0.1"]]})
        assert await AddressGuard(named_by=written, resolve=names).addresses(host, 80) == ["10.0.0.1"]
        assert await is_allowed(AddressGuard(allowed_hosts=[host], resolve=Names()), written)


async def test_a_party_does_not_move_further_inside() -> None:
    """Its name is in its own hands: once its card is here, the name may be made to lead to us."""
    names = Names(agent=[["8.8.8.8"], ["127.0.0.1"]])
    guard = AddressGuard(named_by="http://agent.example/", resolve=names)
    assert await guard.addresses("agent.example", 80) == ["8.8.8.8"]
    guard.connected("agent.example", "8.8.8.8")
    for later in (guard, AddressGuard(named_by="http://agent.example/", resolve=names)):  # whose card is still kept
        with pytest.raises(AddressRefused, match=r"was in the internet, and now leads to 127\.0\.0\.1"):
            await later.addresses("agent.example", 6379)
        for address in ("127.0.0.1", "10.0.0.1"):
            with pytest.raises(AddressRefused):
                await later.check(f"http://{address}/")
            with pytest.raises(AddressRefused):
                later.check_written(f"http://{address}/")


async def test_what_a_party_may_name_is_said_by_its_outermost_address() -> None:
    names = Names(agent=[["127.0.0.1", "8.8.8.8"]], named=[["127.0.0.1"]])
    guard = AddressGuard(named_by="http://agent.example/", resolve=names)
    assert not await is_allowed(guard, "http://named.example/")
    assert await guard.addresses("agent.example", 80) == ["127.0.0.1", "8.8.8.8"]
    guard.connected("agent.example", "8.8.8.8")
    assert await guard.addresses("agent.example", 80) == ["8.8.8.8"]
    guard.connected("agent.example", "127.0.0.1")
    assert await guard.addresses("agent.example", 80) == ["8.8.8.8"]


async def test_a_party_may_move_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_guard, "monotonic", lambda: now)
    guard = AddressGuard(named_by="http://agent.example/", resolve=Names(agent=[["10.0.0.1"]]))
    guard.connected("agent.example", "8.8.8.8")
    assert not await is_allowed(guard, "http://agent.example/")
    now = 3601.0
    assert await is_allowed(guard, "http://agent.example/")
    now = 0.0
    assert await is_allowed(
        AddressGuard(named_by="http://agent.example/", allow_private=True, resolve=Names(agent=[["10.0.0.1"]])),
        "http://agent.example/",
    )


async def test_without_the_dns_what_is_written_is_looked_at() -> None:
    guard = AddressGuard(named_by="http://agent.example/", resolve=Names())
    guard.check_written("http://other.example/")
    guard.check_written("http://agent.example:9/")
    for host in (METADATA, "127.0.0.1", "10.0.0.1"):
        with pytest.raises(AddressRefused):
            guard.check_written(f"http://{host}/")
    here = AddressGuard(named_by="http://localhost:8000", resolve=Names())
    here.check_written("http://127.0.0.1:9/")
    with pytest.raises(AddressRefused):
        here.check_written(f"http://{METADATA}/latest/meta-data/")


# Connections.


async def test_a_second_answer_of_the_dns_moves_no_connection(opener: Opener) -> None:
    """Each connection goes where its own check looked, and the next one is looked at again."""
    seen: list[Exchange] = []

    async def note(exchange: Exchange) -> None:
        seen.append(exchange)
        await exchange.answer(headers={"Connection": "close"})

    names = Names(agent=[["127.0.0.1"], [METADATA]])
    guarded = opener(AddressGuard(allow_loopback=True, resolve=names))
    async with serving(note) as served:
        url = f"http://agent.example:{urlsplit(served).port}/"
        assert (await guarded.request("GET", url, headers={}, timeout=PATIENT)).status == 200
        assert names.asked == ["agent.example"]
        with pytest.raises(AddressRefused):
            await guarded.request("GET", url, headers={}, timeout=PATIENT)
        with pytest.raises(AddressRefused):
            async with guarded.stream("GET", url, headers={}, timeout=PATIENT):
                pass
    await guarded.aclose()
    assert [one.headers["host"] for one in seen] == [urlsplit(url).netloc]


async def test_a_party_that_moved_inside_is_not_connected_to(opener: Opener) -> None:
    seen: list[Exchange] = []

    async def note(exchange: Exchange) -> None:
        seen.append(exchange)
        await exchange.answer()

    async with serving(note) as served:
        url = f"http://agent.example:{urlsplit(served).port}/"
        guard = AddressGuard(named_by=url, resolve=Names(agent=[["127.0.0.1"]]))
        first, second = opener(guard), opener(guard)
        await first.request("GET", url, headers={}, timeout=PATIENT)
        guard.connected("agent.example", "8.8.8.8")
        with pytest.raises(AddressRefused):
            await second.request("GET", url, headers={}, timeout=PATIENT)
        await first.aclose()
        await second.aclose()
    assert len(seen) == 1


async def test_a_connection_that_was_checked_is_kept(opener: Opener) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(str(exchange.connection).encode())

    names = Names(agent=[["127.0.0.1"]])
    guarded = opener(AddressGuard(allow_loopback=True, resolve=names))
    async with serving(answer) as served:
        url = f"http://agent.example:{urlsplit(served).port}/"
        assert [(await guarded.request("GET", url, headers={}, timeout=PATIENT)).body for _ in range(3)] == [b"1"] * 3
    await guarded.aclose()
    assert names.asked == ["agent.example"]


async def test_the_next_address_is_tried_when_one_takes_no_connection(opener: Opener) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"here")

    guarded = opener(AddressGuard(allow_loopback=True, resolve=Names(agent=[["::1", "127.0.0.1"]])))
    async with serving(answer) as served:
        url = f"http://agent.example:{urlsplit(served).port}/"
        assert (await guarded.request("GET", url, headers={}, timeout=PATIENT)).body == b"here"
    with pytest.raises(ConnectError):
        await guarded.request("GET", url.replace("agent", "nobody"), headers={}, timeout=PATIENT)
    await guarded.aclose()


async def test_a_host_that_is_allowed_is_connected_to_as_ever(opener: Opener) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"here")

    async with serving(answer) as url:
        guarded = opener(AddressGuard(named_by=url, resolve=Names()))
        assert (await guarded.request("GET", url, headers={}, timeout=PATIENT)).body == b"here"
        await guarded.aclose()


async def test_a_dns_that_says_nothing_meets_the_deadline(opener: Opener) -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    guarded = opener(AddressGuard(resolve=silent))
    with pytest.raises(DeadlineExceeded):
        await guarded.request("GET", "http://agent.example/", headers={}, timeout=0.05)
    with pytest.raises(DeadlineExceeded):
        async with guarded.stream("GET", "http://agent.example/", headers={}, timeout=0.05):
            pass
    await guarded.aclose()


async def test_a_proxy_is_not_asked_for_what_may_not_be_called(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """It resolves names by itself; what can be seen from here is looked at."""
    paths: list[str] = []

    async def proxy(exchange: Exchange) -> None:
        paths.append(exchange.path)
        await exchange.answer(b"by proxy")

    async with serving(proxy) as url:
        monkeypatch.setenv("http_proxy", url)
        guarded = opener(AddressGuard(resolve=Names(inside=[["10.0.0.1"]], outside=[["8.8.8.8"]])))
        for host in (METADATA, "inside.example"):
            with pytest.raises(AddressRefused):
                await guarded.request("GET", f"http://{host}/", headers={}, timeout=PATIENT)
        for host in ("outside.example", "known-to-the-proxy.example"):
            assert (await guarded.request("GET", f"http://{host}/", headers={}, timeout=PATIENT)).body == b"by proxy"
        await guarded.aclose()
    assert paths == ["http://outside.example/", "http://known-to-the-proxy.example/"]


def test_a_client_of_ones_own_has_connections_of_its_own() -> None:
    import httpx

    with pytest.raises(ConfigError):
        HttpxTransport(httpx.AsyncClient(), guard=AddressGuard())


# TLS.


async def test_tls_is_with_the_host_of_the_url(opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    server = server_tls(tmp_path, "agent.example")
    server.sni_callback = lambda _, name, __: asked.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(exchange.headers["host"].encode())

    guarded = opener(AddressGuard(allow_loopback=True, resolve=Names(agent=[["127.0.0.1"]], impostor=[["127.0.0.1"]])))
    async with serving(answer, server) as served:
        host = f"agent.example:{urlsplit(served).port}"
        response = await guarded.request("GET", f"https://{host}/", headers={}, timeout=PATIENT)
        assert (response.body, asked) == (host.encode(), ["agent.example"])
        # The open connection leads to the same address, and is not the impostor's.
        with pytest.raises(ConnectError, match="certificate"):
            await guarded.request("GET", f"https://{host.replace('agent', 'impostor')}/", headers={}, timeout=PATIENT)
    await guarded.aclose()


def server_tls(folder: Path, name: str) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own, which is left in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
