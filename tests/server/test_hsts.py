"""Who comes by HTTPS is asked to come by nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from codin.agent import agent
from codin.server import App
from tests.server.rpc import HEADERS, message

pytestmark = pytest.mark.anyio

YEAR = "max-age=31536000"
CARD = "/.well-known/agent-card.json"


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def said(url: str, headers: dict[str, str] | None = None, path: str = CARD, **options: Any) -> str | None:
    transport = httpx.ASGITransport(App(shout, **options), client=("10.0.0.2", 1))
    async with httpx.AsyncClient(transport=transport, base_url=url) as http:
        return (await http.get(path, headers=headers)).headers.get("strict-transport-security")


PROXY = {"trusted_proxies": ["10.0.0.2"]}
HTTPS, HTTP = {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "http"}


@pytest.mark.requirement("AUTH-HSTS")
@pytest.mark.parametrize(
    ("url", "headers", "options", "expected"),
    [
        ("https://agent", {}, {}, YEAR),
        ("http://agent", {}, {}, None),
        ("http://agent", {}, {"public_url": "https://agents.example.com"}, YEAR),
        ("https://agent", {}, {"public_url": "http://agents.example.com"}, None),
        ("http://agent", HTTPS, PROXY, YEAR),
        ("https://agent", HTTP, PROXY, None),
        ("http://agent", {}, PROXY, None),
        ("http://agent", HTTPS, {}, None),
        ("https://agent", {}, {"hsts": 60}, "max-age=60"),
        ("https://agent", {}, {"hsts": 0}, None),
        ("http://agent", {}, {"hsts": 0, "public_url": "https://agents.example.com"}, None),
    ],
)
async def test_what_is_said(url: str, headers: dict[str, str], options: dict[str, Any], expected: str | None) -> None:
    assert await said(url, headers, **options) == expected


@pytest.mark.requirement("AUTH-HSTS")
@pytest.mark.parametrize("path", ["/", "/nothing/here", "/tasks/nobody", "/healthz"])
async def test_it_is_said_whatever_the_answer_is(path: str) -> None:
    assert await said("https://agent", path=path) == YEAR


@pytest.mark.requirement("AUTH-HSTS")
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage", "Nothing"])
async def test_calls_and_streams_say_it_too(method: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message()}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(App(shout)), base_url="https://agent") as http:
        answer = await http.post("/", json=body, headers=HEADERS)
    assert answer.headers["strict-transport-security"] == YEAR
