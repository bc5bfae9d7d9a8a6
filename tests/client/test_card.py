"""Finding, keeping and trusting a card."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codin import a2a
from codin.client import Peer, connect
from codin.client._card import CardCache, check_same_party
from codin.errors import BadResponse, ConfigError, ConnectError, ResponseTooLarge
from codin.net import open_transport
from tests.client.scripted import PATIENT, Script, card
from tests.net.wire import Exchange, serving

pytestmark = pytest.mark.anyio

WELL_KNOWN = "/.well-known/agent-card.json"


class CardServer:
    """Serves a card at some paths, and remembers who asked."""

    def __init__(self, *paths: str, **headers: str) -> None:
        self.paths = paths
        self.answer_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.fields: dict[str, Any] = {}
        self.asked: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.append(exchange)
        etag = self.answer_headers.get("ETag")
        if exchange.path not in self.paths:
            await exchange.answer(status=404)
        elif etag is not None and exchange.headers.get("if-none-match") == etag:
            await exchange.answer(status=304, headers=self.answer_headers)
        else:
            body = card(f"http://{exchange.headers['host']}/", **self.fields).to_json()
            await exchange.answer(body, headers=self.answer_headers)

    @property
    def asked_paths(self) -> list[str]:
        return [exchange.path for exchange in self.asked]


async def test_the_card_is_looked_for_below_the_path_and_then_at_the_origin() -> None:
    for path, paths in [
        ("", [WELL_KNOWN]),
        ("/", [WELL_KNOWN]),
        ("/agents/one", ["/agents/one" + WELL_KNOWN, WELL_KNOWN]),
        ("/agents/one/", ["/agents/one" + WELL_KNOWN, WELL_KNOWN]),
        (WELL_KNOWN, [WELL_KNOWN]),
    ]:
        server = CardServer(WELL_KNOWN)
        async with serving(server) as url, connect(url + path) as peer:
            assert peer.card.name == "scripted"
        assert server.asked_paths == paths
    server = CardServer("/agents/one" + WELL_KNOWN, WELL_KNOWN)
    async with serving(server) as url, connect(f"{url}/agents/one"):
        pass
    assert server.asked_paths == ["/agents/one" + WELL_KNOWN]


async def test_without_a_card_the_error_names_both_places() -> None:
    async with serving(CardServer()) as url:
        with pytest.raises(BadResponse) as caught:
            await enter(connect(f"{url}/a"))
    assert f"{url}/a{WELL_KNOWN}" in str(caught.value)
    assert f"{url}{WELL_KNOWN}" in str(caught.value)


async def test_without_a_card_the_error_names_the_agents_that_a_server_lists() -> None:
    async def answer(exchange: Exchange) -> None:
        here = f"http://{exchange.headers['host']}"
        cards = [f"{here}/a{WELL_KNOWN}", f"{here}/b{WELL_KNOWN}", f"http://evil.example/c{WELL_KNOWN}"]
        body = json.dumps({"agents": [{"card": place} for place in cards]}).encode()
        await exchange.answer(body, status=200 if exchange.path == "/" else 404)

    async with serving(answer) as url:
        for path, words in (("", ""), ("/", ""), ("/nosuch", f"There is no agent at {url}/nosuch. ")):
            with pytest.raises(BadResponse) as caught:
                await enter(connect(url + path))
            assert caught.value.message == f"{words}There are 2 agents at {url}."
            assert caught.value.hint == f"take one: {url}/a, {url}/b"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"{}", b"[]", b'{"agents": [1]}', b"\xff"], ids=["deep", "none", "list", "number", "bytes"]
)
async def test_whatever_stands_at_the_root_there_is_no_card(body: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, status=200 if exchange.path == "/" else 404)

    async with serving(answer) as url:
        with pytest.raises(BadResponse, match="There is no agent card at"):
            await enter(connect(url))


async def enter(peer: Peer) -> None:
    async with peer:
        pass


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", BadResponse),
        (200, b"[]", BadResponse),
        (200, b"{}", BadResponse),
        (302, b"", BadResponse),
        (401, b"", a2a.Unauthenticated),
        (503, b"", a2a.Overloaded),
        (200, b" " * 1024 * 1024 + b"{}", ResponseTooLarge),
    ],
    ids=["html", "list", "empty", "redirect", "401", "503", "huge"],
)
async def test_what_is_no_card_is_refused(status: int, body: bytes, error: type[Exception]) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, status=status, headers={"Location": "/elsewhere"})

    async with serving(answer) as url:
        with pytest.raises(error):
            await enter(connect(url, timeout=PATIENT))


async def test_nobody_there() -> None:
    async with serving(CardServer()) as url:
        pass
    with pytest.raises(ConnectError):
        await enter(connect(url))


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8000", "ftp://e.example/", "file:///etc/passwd", "http://", "http://u:p@e.example/", "http://a:b/"],
)
def test_what_is_no_web_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError):
        connect(url)


@pytest.mark.parametrize("secret", ["a\r\nX-Evil: 1", "a\nb", "a\0"])
def test_a_token_cannot_carry_headers(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect("http://e.example/", token=secret)
    assert secret not in str(caught.value)
    with pytest.raises(ConfigError):
        connect("http://e.example/", headers={"X": secret})
    with pytest.raises(ConfigError):
        connect("http://e.example/", headers={secret: "x"})


async def test_a_peer_must_be_entered() -> None:
    peer = connect("http://127.0.0.1:9/")
    with pytest.raises(ConfigError, match="async with"):
        await peer.send("hi")
    with pytest.raises(ConfigError, match="async with"):
        _ = peer.card


# The interface.


def interface(url: str, binding: str = "JSONRPC", version: str = "1.0") -> dict[str, str]:
    return {"url": url, "protocolBinding": binding, "protocolVersion": version}


@pytest.mark.requirement("CARD-CLIENT-FIRST", "CARD-CLIENT-URL", "CARD-CLIENT-OTHERS", "VERSION-CHOICE")
async def test_the_first_interface_we_speak_is_called() -> None:
    script = Script()
    async with serving(script) as url:
        interfaces = [
            interface("https://e.example/", "https://e.example/bindings/pigeon"),
            interface("https://e.example/", version="2.0"),
            interface("ftp://e.example/"),
            interface("e.example:443", "HTTP+JSON"),
            interface("e.example:443"),
            interface(f"{url}/first"),
            interface(f"{url}/second"),
        ]
        async with connect(card(url, supportedInterfaces=interfaces)) as peer:
            with pytest.raises(a2a.InternalError):
                await peer.send("hi")
    assert [call.exchange.path for call in script.calls] == ["/first"]


@pytest.mark.requirement("VERSION-CHOICE")
async def test_a_card_without_such_an_interface_says_what_it_has() -> None:
    interfaces = [interface("pigeon.example:443", "urn:pigeon"), interface("file:///etc/passwd")]
    with pytest.raises(BadResponse, match=r"urn:pigeon 1\.0 at 'pigeon\.example:443'"):
        await enter(connect(card("", supportedInterfaces=interfaces)))


@pytest.mark.requirement("AUTH-CLIENT-HOST")
async def test_credentials_stay_with_the_host_they_were_given_for() -> None:
    server = CardServer(WELL_KNOWN)
    async with serving(server) as url:
        server.fields["supportedInterfaces"] = [interface("https://evil.example/")]
        with pytest.raises(ConfigError, match=r"evil\.example"):
            await enter(connect(url, token="secret"))
        with pytest.raises(ConfigError, match=r"evil\.example"):
            await enter(connect(url, headers={"X-Api-Key": "secret"}))
        await enter(connect(url))
        # Another name of this machine is not another host; and whoever passes the card trusts it.
        server.fields["supportedInterfaces"] = [interface(url.replace("127.0.0.1", "localhost"))]
        await enter(connect(url, token="secret"))
    await enter(connect(card("https://elsewhere.example/"), token="secret"))


@pytest.mark.requirement("AUTH-CLIENT-HOST")
def test_credentials_do_not_leave_tls() -> None:
    with pytest.raises(ConfigError):
        check_same_party("https://e.example/", "http://e.example/")
    check_same_party("http://e.example/", "https://e.example:8443/a")


@pytest.mark.requirement("AUTH-CLIENT")
async def test_token_and_headers_are_sent_with_everything() -> None:
    async def answer(exchange: Exchange) -> None:
        seen.append(exchange)
        if exchange.method == "GET":
            await exchange.answer(card(f"http://{exchange.headers['host']}/").to_json())
        else:
            await exchange.answer(b'{"result":{"task":{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}}}')

    seen: list[Exchange] = []
    async with serving(answer) as url, connect(url, token="secret", headers={"X-Mine": "1"}) as peer:
        await peer.send("hi")
    assert [(one.headers["authorization"], one.headers["x-mine"]) for one in seen] == [("Bearer secret", "1")] * 2


# Keeping it.


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def ask(cards: CardCache, url: str, **headers: str) -> a2a.AgentCard:
    transport = open_transport("httpx")
    try:
        return (await cards.resolve(transport, url, headers, PATIENT)).card
    finally:
        await transport.aclose()


@pytest.mark.requirement("CARD-CLIENT-KEPT", "CARD-CLIENT-ASKS")
async def test_a_fresh_card_is_not_asked_for_again_and_a_stale_one_only_whether_it_changed() -> None:
    clock = Clock()
    cards = CardCache(clock)
    server = CardServer(WELL_KNOWN, ETag='"1"', Cache_Control="public, max-age=60")
    async with serving(server) as url:
        first = await ask(cards, url)
        clock.now = 59
        assert await ask(cards, url) is first
        assert len(server.asked) == 1
        clock.now = 61
        assert await ask(cards, url) is first
        assert server.asked[1].headers["if-none-match"] == '"1"'
        clock.now = 100
        assert await ask(cards, url) is first
        assert len(server.asked) == 2
        server.answer_headers["ETag"] = '"2"'
        server.fields["version"] = "2"
        clock.now = 200
        assert (await ask(cards, url)).version == "2"


@pytest.mark.requirement("CARD-CLIENT-KEPT")
async def test_a_card_that_may_not_be_kept_is_not() -> None:
    cards = CardCache()
    for headers in ({}, {"Cache_Control": "no-store, max-age=60", "ETag": '"1"'}):
        server = CardServer(WELL_KNOWN, **headers)
        async with serving(server) as url:
            for _ in range(2):
                await ask(cards, url)
        assert ["if-none-match" in one.headers for one in server.asked] == [False, False]


@pytest.mark.requirement("CARD-CLIENT-ASKS")
async def test_an_etag_alone_means_asking_every_time() -> None:
    cards = CardCache()
    server = CardServer(WELL_KNOWN, ETag='"1"')
    async with serving(server) as url:
        first = await ask(cards, url)
        assert await ask(cards, url) is first
    assert len(server.asked) == 2


@pytest.mark.requirement("CARD-CLIENT-KEPT")
async def test_the_age_of_an_answer_counts() -> None:
    clock = Clock()
    cards = CardCache(clock)
    server = CardServer(WELL_KNOWN, Cache_Control="max-age=60", Age="50")
    async with serving(server) as url:
        await ask(cards, url)
        clock.now = 11
        await ask(cards, url)
    assert len(server.asked) == 2


async def test_what_one_caller_sees_is_not_shown_to_another() -> None:
    cards = CardCache()
    server = CardServer(WELL_KNOWN, Cache_Control="max-age=60")
    async with serving(server) as url:
        await ask(cards, url, Authorization="Bearer a")
        await ask(cards, url, Authorization="Bearer b")
        await ask(cards, url, Authorization="Bearer a")
    assert [one.headers["authorization"] for one in server.asked] == ["Bearer a", "Bearer b"]


async def test_peers_of_one_process_share_the_cards_but_not_those_of_a_transport_of_their_own() -> None:
    server = CardServer(WELL_KNOWN, Cache_Control="max-age=60")
    async with serving(server) as url:
        for _ in range(3):
            await enter(connect(url))
        assert len(server.asked) == 1
        mine = open_transport("httpx")
        for _ in range(3):
            await enter(connect(url, transport=mine))
        await mine.aclose()
    assert len(server.asked) == 2
