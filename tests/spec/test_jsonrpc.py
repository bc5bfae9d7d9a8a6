"""What JSON-RPC adds to the operations. Spec 9."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from codin.server import App
from codin.task import MemoryStore
from tests.spec.clerk import Clerk
from tests.spec.wire import message

pytestmark = pytest.mark.anyio

HEADERS = {"Content-Type": "application/json", "A2A-Version": "1.0"}


class Broken(MemoryStore):
    """A store that fails when it is asked for a list."""

    async def list(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the secret detail")


@pytest.fixture
async def http(clerk: Clerk) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(App(clerk, store=Broken()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def call(http: httpx.AsyncClient, method: str, **fields: Any) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": "call-1", "method": method, **fields}
    return await http.post("/", json=body, headers=HEADERS)


@pytest.mark.requirement("RPC-MEDIA-TYPE", "RPC-ENVELOPE")
async def test_answers_are_json(http: httpx.AsyncClient) -> None:
    asked: list[dict[str, Any]] = [{"message": message()}, {"message": {}}]
    for params in asked:
        response = await call(http, "SendMessage", params=params)
        assert response.headers["content-type"] == "application/json"
        assert (response.json()["jsonrpc"], response.json()["id"]) == ("2.0", "call-1")
        assert len(response.json()) == 3


@pytest.mark.requirement("RPC-STREAM")
async def test_every_event_is_a_whole_answer(http: httpx.AsyncClient) -> None:
    response = await call(http, "SendStreamingMessage", params={"message": message("say hello")})
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert len(lines) == response.text.count("\n\n") > 2
    for line in lines:
        envelope = json.loads(line)
        assert (envelope["jsonrpc"], envelope["id"], len(envelope["result"])) == ("2.0", "call-1", 1)


@pytest.mark.requirement("EXTENDED-NO-PARAMS", "EXTENDED-UNDECLARED")
async def test_the_extended_card_needs_no_parameters(http: httpx.AsyncClient) -> None:
    asked: list[dict[str, Any]] = [{}, {"params": {}}, {"params": None}]
    for fields in asked:
        error = (await call(http, "GetExtendedAgentCard", **fields)).json()["error"]
        assert error["code"] == -32004


@pytest.mark.requirement("RPC-INTERNAL", "ERROR-DISCREET", "ERROR-LOGGED", "RPC-ERROR-DATA", "RPC-ERROR-INFO")
async def test_a_failure_of_the_server_says_nothing_of_why(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await call(http, "ListTasks")
    error = response.json()["error"]
    assert error["code"] == -32603
    assert [detail["@type"] for detail in error["data"]] == ["type.googleapis.com/google.rpc.ErrorInfo"]
    assert "secret" not in response.text
    assert "the secret detail" in caplog.text


@pytest.mark.requirement("RPC-METHODS", "RPC-METHOD-NOT-FOUND")
@pytest.mark.parametrize("method", ["sendMessage", "Sendmessage", "SetTaskPushNotificationConfig", "GetAgentCard"])
async def test_no_other_name_is_a_method(http: httpx.AsyncClient, method: str) -> None:
    assert (await call(http, method)).json()["error"]["code"] == -32601
