"""What the tests of this folder have found, each as its smallest example."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codin import a2a
from codin.client import connect
from codin.errors import BadResponse, DeadlineExceeded
from codin.net import MemoryTransport
from tests.fuzz.siege import Asked, Siege, new_app
from tests.fuzz.test_client import Hostile, Said, card, some

pytestmark = pytest.mark.anyio

JSON = (b"content-type", b"application/json")
NOW, OLD = [JSON, (b"a2a-version", b"1.0")], [JSON]


async def asked(asked: Asked) -> tuple[int, dict[str, Any]]:
    siege = Siege(new_app())
    await siege.begin()
    answer = await siege.ask(asked)
    await siege.end()
    await siege.app.close()
    return answer.status, json.loads(answer.body)


async def test_a_length_with_thousands_of_digits_is_too_large() -> None:
    headers = [*NOW, (b"content-length", b"9" * 5000)]
    status, document = await asked(Asked("POST", b"/", b"", headers, b"{}"))
    assert (status, document["error"]["code"]) == (413, a2a.PayloadTooLarge.rpc_code)


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_body_that_is_too_large_and_complete_is_refused_at_once(pieces: int) -> None:
    async with asyncio.timeout(4.5):  # for the rest of a body it would wait for five
        status, _ = await asked(Asked("POST", b"/", b"", NOW, b" " * 1_100_000, pieces=pieces))
    assert status == 413


@pytest.mark.parametrize("query", [b"contextId=%C3%A9&A2A-Version=1.0", b"contextId=\xc3\xa9&A2A-Version=1.0"])
async def test_a_query_that_names_the_version_may_hold_other_letters(query: bytes) -> None:
    status, document = await asked(Asked("GET", b"/tasks", query, OLD, b""))
    assert (status, document["tasks"]) == (200, [])


@pytest.mark.parametrize("schemes", [{"a": 1}, 7, [[]], [None, "Bearer"]])
async def test_schemes_of_0_3_may_be_no_list_of_names(schemes: object) -> None:
    push = {"url": "https://hook.example/", "authentication": {"schemes": schemes, "credentials": "x"}}
    params = {"taskId": "nobody", "pushNotificationConfig": push}
    body = a2a.call_bytes(b"1", "tasks/pushNotificationConfig/set", json.dumps(params).encode())
    _, document = await asked(Asked("POST", b"/", b"", OLD, body))
    assert document["error"]["code"] == a2a.InvalidParams.rpc_code
    path = b"/v1/tasks/nobody/pushNotificationConfigs"
    body = json.dumps({"config": {"pushNotificationConfig": push}}).encode()
    assert (await asked(Asked("POST", path, b"", OLD, body)))[0] == 400


@pytest.mark.parametrize("dialect", ["JSONRPC", "HTTP+JSON", "0.3"])
async def test_a_peer_that_refuses_a_stream_byte_by_byte_is_not_waited_for(dialect: str) -> None:
    transport = MemoryTransport({"test": Hostile([Said(400, OLD, [b" "], "for ever")])})
    async with connect(card(dialect, resumable=False), transport=transport, timeout=0.05) as peer:
        with pytest.raises(DeadlineExceeded):
            await some(peer.stream("x"))
    await transport.aclose()


async def test_pages_without_end_and_without_anything_in_them_are_not_turned_for_ever() -> None:
    pages = [
        a2a.result_bytes(b"1", json.dumps({"tasks": [], "configs": [], "nextPageToken": f"{number}"}).encode())
        for number in range(300)
    ]
    transport = MemoryTransport({"test": Hostile([Said(200, OLD, [page]) for page in pages])})
    async with connect(card("JSONRPC", resumable=False), transport=transport) as peer:
        for listed in (peer.list(), peer.list_push_configs("t")):
            with pytest.raises(BadResponse, match="empty"):
                await some(listed)
    await transport.aclose()


async def test_an_extended_card_that_is_none_is_a_bad_response() -> None:
    transport = MemoryTransport({"test": Hostile([Said(200, OLD, [a2a.result_bytes(b"1", b'{"name":7}')])])})
    async with connect(card("JSONRPC", resumable=False), transport=transport) as peer:
        with pytest.raises(BadResponse, match="card"):
            await peer.extended_card()
    await transport.aclose()
