"""AI Catalogs: published by an app, crawled by a client that believes nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from codin.agent import agent
from codin.errors import AddressRefused, BadResponse, TransportError
from codin.mesh import CATALOG_TYPE, Catalog, WellKnown
from codin.net import HttpxTransport
from codin.server import App
from tests.mesh.publishing import Web, card, place

pytestmark = pytest.mark.anyio

HOST = "http://host.test"
CATALOG = f"{HOST}/.well-known/ai-catalog.json"
A2A = "application/a2a-agent-card+json"


def _catalog(*entries: Any, **more: Any) -> dict[str, Any]:
    return {"specVersion": "1.0", "entries": list(entries), **more}


def _entry(name: str, **more: Any) -> dict[str, Any]:
    return {"identifier": f"urn:x:{name}", "type": A2A, "url": place(name), **more}


async def _ids(web: Web, url: str = HOST) -> list[str]:
    return [found.id for found in await Catalog(url, transport=web).find()]


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it softly."""
    return text.lower()


async def test_what_an_app_publishes_a_client_finds() -> None:
    for agents in ([shout], [shout, whisper]):
        app = App(*agents)
        transport = HttpxTransport(httpx.ASGITransport(app=app))
        answer = await transport.request("GET", CATALOG, headers={}, timeout=9)
        document = json.loads(answer.body)
        assert answer.headers["content-type"] == CATALOG_TYPE
        assert document["specVersion"] == "1.0"
        assert document["host"]["displayName"] == "host.test"
        for entry in document["entries"]:
            assert entry.keys() == {"identifier", "type", "url"}
        assert len({entry["identifier"] for entry in document["entries"]}) == len(agents)
        found = await WellKnown(HOST, transport=transport).find()
        assert sorted(each.id for each in found) == sorted(each.id for each in agents)
        (loud,) = await Catalog(HOST, transport=transport).find(text="louder")
        assert loud.id == "shout"
        await app.close()


async def test_entries_by_address_inline_nested_and_of_other_kinds() -> None:
    web = Web(
        {
            CATALOG: _catalog(
                _entry("one"),
                {"identifier": "two", "type": A2A, "data": card("two").to_dict()},
                {"identifier": "three", "mediaType": A2A, "url": place("three")},  # as before version 1.0
                {"identifier": "four", "type": A2A, "url": "/four"},
                {"identifier": "deep", "type": CATALOG_TYPE, "url": "deep.json"},
                {"identifier": "inner", "type": CATALOG_TYPE, "data": _catalog(_entry("six"))},
                {"identifier": "tool", "type": "application/mcp-server-card+json", "url": "http://tool.test"},
                {"identifier": "odd"}, 7, None, {"type": A2A, "data": "x"}, {"type": A2A, "url": "file:///etc/passwd"},
            ),
            f"{HOST}/four": card("four", HOST).to_dict(),
            f"{HOST}/.well-known/deep.json": _catalog(_entry("five"), _entry("absent")),
            **{place(name): card(name).to_dict() for name in ("one", "three", "five", "six")},
        }
    )  # fmt: skip
    assert sorted(await _ids(web)) == ["five", "four", "one", "six", "three", "two"]
    assert not [url for url in web.asked if "tool" in url or "passwd" in url]


async def test_catalogs_in_a_circle_end() -> None:
    nested = [{"identifier": str(number), "type": CATALOG_TYPE, "url": f"{HOST}/{number}.json"} for number in range(99)]
    pages: dict[str, Any] = {f"{HOST}/{number}.json": _catalog(*nested, _entry("one")) for number in range(99)}
    web = Web({CATALOG: _catalog(*nested), place("one"): card("one").to_dict(), **pages})
    assert await _ids(web) == ["one"]
    assert len(web.asked) < 100


async def test_a_catalog_in_itself_is_not_followed_for_ever() -> None:
    inner: Any = _catalog(_entry("bottom"))
    for _ in range(10):
        inner = _catalog({"identifier": "x", "type": CATALOG_TYPE, "data": inner})
    assert await _ids(Web({CATALOG: inner, place("bottom"): card("bottom").to_dict()})) == []


@pytest.mark.parametrize(
    "page",
    [
        b"<html>", b"[]", {"entries": []}, {"specVersion": "2.0", "entries": []}, {"specVersion": "1.0"},
        {"specVersion": "1.0", "entries": {}}, 500, 302, 404,
    ],
)  # fmt: skip
async def test_what_is_no_catalog_is_said_to_be_none(page: Any) -> None:
    with pytest.raises(BadResponse):
        await _ids(Web({CATALOG: page}))


async def test_one_bad_part_does_not_spoil_the_rest() -> None:
    bad = {"identifier": "x", "type": CATALOG_TYPE, "url": f"{HOST}/broken.json"}
    web = Web({CATALOG: _catalog(bad, _entry("one")), f"{HOST}/broken.json": b"{", place("one"): card("one").to_dict()})
    assert await _ids(web) == ["one"]


async def test_a_catalog_that_was_read_counts_while_its_host_is_down() -> None:
    web = Web({CATALOG: _catalog(_entry("one")), place("one"): card("one").to_dict()})
    catalog = Catalog(HOST, transport=web, fresh=0)
    await catalog.find()
    web.down = True
    (found,) = await catalog.find()
    assert (found.id, found.health) == ("one", "suspect")
    with pytest.raises(TransportError):
        await Catalog(HOST, transport=web).find()


async def test_a_catalog_in_the_internet_leads_nobody_inside() -> None:
    # Its transport is the one that the catalog makes for itself.
    catalog = Catalog("http://203.0.113.9", transport="httpx")
    try:
        with pytest.raises(AddressRefused):
            await catalog._reader.get("http://169.254.169.254/latest/meta-data", limit=1000)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(AddressRefused):
            await catalog._reader.get("http://127.0.0.1:9/", limit=1000)  # pyright: ignore[reportPrivateUsage]
    finally:
        await catalog.aclose()
