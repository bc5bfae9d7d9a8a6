"""Signed cards over HTTP, the keys beside them, and for whom a card is not signed. Spec 8.4."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.errors import CardNotTrusted
from codin.server import App
from codin.testing import serving
from codin.trust import KeyRing, SigningKey, read_jwks, verify_card

pytestmark = pytest.mark.anyio

CARD = "/.well-known/agent-card.json"
JWKS = "/.well-known/jwks.json"
KEY = SigningKey.generate()


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it more softly."""
    return text.lower()


def browser(app: App, base_url: str = "http://agents.test", **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, **options), base_url=base_url)


def header_of(card: a2a.AgentCard) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(card.signatures[0].protected + "=="))


@pytest.mark.requirement("SIGN-JKU")
async def test_the_card_is_signed_and_says_where_the_key_is() -> None:
    async with browser(App(shout, keys=KEY)) as http:
        response = await http.get(CARD)
        assert verify_card(response.content, [KEY.public]) == KEY.public
        jku = header_of(a2a.AgentCard.from_json(response.content))["jku"]
        assert jku == f"http://agents.test{JWKS}"
        assert verify_card(response.content, read_jwks((await http.get(jku)).content)) == KEY.public


async def test_each_of_several_agents_has_a_signed_card(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys", "EdDSA")
    async with browser(App(shout, whisper, keys=ring, public_url="https://a.example/x/")) as http:
        for name in ("shout", "whisper"):
            body = (await http.get(f"/{name}{CARD}")).content
            assert verify_card(body, ring.published) == ring.active.public
            card = a2a.AgentCard.from_json(body)
            assert card.supported_interfaces[0].url == f"https://a.example/x/{name}/"
            assert header_of(card)["jku"] == f"https://a.example/x{JWKS}"


async def test_the_keys_are_cached_as_cards_are() -> None:
    async with browser(App(shout, keys=KEY)) as http:
        response = await http.get(JWKS)
        assert response.headers["content-type"] == "application/jwk-set+json"
        assert response.headers["cache-control"] == "public, max-age=300"
        assert read_jwks(response.content) == [KEY.public]
        etag = response.headers["etag"]
        again = await http.get(JWKS, headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert (await http.head(JWKS)).status_code == 200
        assert (await http.post(JWKS)).status_code == 405


async def test_without_keys_nothing_is_signed_and_there_is_no_key_set() -> None:
    async with browser(App(shout)) as http:
        assert (await http.get(JWKS)).status_code == 404
        assert a2a.AgentCard.from_json((await http.get(CARD)).content).signatures == []


async def test_a_card_keeps_its_tag_on_every_replica() -> None:
    async with browser(App(shout, keys=KEY)) as http:
        first, second = await http.get(CARD), await http.get(CARD)
        assert first.content == second.content
        async with browser(App(shout, keys=KEY)) as replica:
            assert (await replica.get(CARD)).headers["etag"] == first.headers["etag"]
        assert (await http.get(CARD, headers={"If-None-Match": first.headers["etag"]})).status_code == 304


@pytest.mark.requirement("SIGN-ROTATION")
async def test_a_running_server_follows_rotation_and_revocation(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    old = ring.active.public
    async with browser(App(shout, keys=KeyRing.open(tmp_path / "keys"))) as http:
        first = await http.get(CARD)
        new = ring.rotate().public
        both = await http.get(CARD, headers={"If-None-Match": first.headers["etag"]})
        assert both.status_code == 200
        assert verify_card(both.content, [old]) == old
        assert verify_card(both.content, [new]) == new
        assert read_jwks((await http.get(JWKS)).content) == [new, old]
        ring.revoke(old.kid)
        last = (await http.get(CARD)).content
        assert verify_card(last, [new]) == new
        with pytest.raises(CardNotTrusted):
            verify_card(last, [old])
        assert read_jwks((await http.get(JWKS)).content) == [new]


@pytest.mark.parametrize(
    ("server", "host", "signed"),
    [
        (("127.0.0.1", 8000), "127.0.0.1:8000", True),
        (("127.0.0.1", 8000), "localhost:8000", True),
        (("::1", 8000), "[::1]:8000", True),
        (("192.0.2.7", 8000), "192.0.2.7:8000", True),
        (("192.0.2.7", 80), "192.0.2.7", True),
        (("192.0.2.7", 8000), "evil.example", False),
        (("192.0.2.7", 8000), "evil.example:8000", False),
        (("192.0.2.7", 8000), "192.0.2.8:8000", False),
        (("192.0.2.7", 8000), "192.0.2.7:8001", False),
        (("192.0.2.7", 8000), "localhost:8000", False),
        (("127.0.0.1", 8000), "evil.example:8000", False),
        (None, "127.0.0.1:8000", False),
    ],
)  # fmt: skip
async def test_a_card_is_not_signed_for_a_name_that_the_client_makes_up(
    server: tuple[str, int] | None, host: str, signed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Else anybody would get a card, signed by us, that leads to a server of their own."""
    card = await card_for(App(shout, keys=KEY), server, [(b"host", host.encode())])
    assert bool(card.signatures) == signed
    assert ("is not signed" in caplog.text) != signed


async def test_nor_for_one_that_a_proxy_hands_on(caplog: pytest.LogCaptureFixture) -> None:
    app = App(shout, keys=KEY, trusted_proxies=["127.0.0.1"])
    headers = [(b"host", b"127.0.0.1:8000"), (b"x-forwarded-host", b"evil.example")]
    card = await card_for(app, ("127.0.0.1", 8000), headers)
    assert card.supported_interfaces[0].url == "http://evil.example/"
    assert card.signatures == []
    behind = App(shout, keys=KEY, trusted_proxies=["127.0.0.1"], public_url="https://a.example")
    card = await card_for(behind, ("127.0.0.1", 8000), headers)
    assert card.supported_interfaces[0].url == "https://a.example/"
    assert verify_card(card, [KEY.public]) == KEY.public


async def card_for(app: App, server: tuple[str, int] | None, headers: list[tuple[bytes, bytes]]) -> a2a.AgentCard:
    """The card that a request gets which came in at an address of the server."""
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": CARD, "query_string": b"", "scheme": "http", "root_path": "",
        "headers": headers, "server": server, "client": ("127.0.0.1", 50000),
    }  # fmt: skip
    body: list[bytes] = []

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))

    async def receive() -> Any:
        return {"type": "http.request"}

    await app(scope, receive, send)
    return a2a.AgentCard.from_json(b"".join(body))


@pytest.mark.requirement("AUTH-SECRETS")
async def test_no_private_key_leaves_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ring = KeyRing.create(tmp_path / "keys", "RS256")
    secrets = ring.active.to_pem().decode().splitlines()[1:-1]
    async with serving(shout, keys=ring) as url, httpx.AsyncClient(base_url=url) as http:
        said = [(await http.get(path)).text for path in ("/", CARD, JWKS, f"/.codin/keys/{ring.active.kid}.pem", "/x")]
    for secret in secrets:
        assert secret not in "".join(said) + caplog.text
