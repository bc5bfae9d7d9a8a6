"""Who asked for what, without any tracing configured: correlation ids, trace context that goes through, log lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Peer
from codin.net import HttpxTransport
from codin.server import App, log_lines
from codin.task import Task
from codin.telemetry import TRAIL

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SEND = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "SendMessage",
    "params": {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}},
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines at INFO; how it was before is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    root.handlers = []
    log_lines("json", "info", stream)
    yield stream
    root.handlers, root.level = before, level


async def _post(app: App, headers: dict[str, str], body: dict[str, Any] = SEND) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.post("/", json=body, headers={"A2A-Version": "1.0", **headers})


async def test_everything_goes_on_to_the_callee() -> None:
    seen: list[dict[str, str]] = []

    @agent
    async def leaf(text: str) -> str:
        """Note what came along."""
        trail = TRAIL.get()
        assert trail is not None
        seen.append(trail.headers())
        return text

    @agent
    async def root(task: Task) -> str:
        """Ask the leaf."""
        return (await task.call("http://leaf", "x")).text

    leaves = App(leaf)
    roots = App(root, transport=HttpxTransport(httpx.ASGITransport(leaves)))
    given = {"x-correlation-id": "c-1", "traceparent": PARENT, "tracestate": "v=1", "baggage": "user=7"}
    async with leaves.lifespan(leaves), roots.lifespan(roots):
        response = await _post(roots, given)
        assert "TASK_STATE_COMPLETED" in response.text
        assert response.headers["x-correlation-id"] == "c-1"
        await _post(roots, {})
    assert {name.lower(): value for name, value in seen[0].items()} == given
    assert set(seen[1]) == {"X-Correlation-ID"}
    assert len(seen[1]["X-Correlation-ID"]) == 32


async def test_a_task_that_waits_for_its_turn_keeps_its_own_trail() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    @agent
    async def slow(text: str) -> str:
        """Wait."""
        trail = TRAIL.get()
        assert trail is not None
        begun.set()
        await go.wait()
        seen.append(f"{text} {trail.correlation_id}")
        return text

    app = App(slow)
    through = HttpxTransport(httpx.ASGITransport(app))

    def connect(text: str) -> Peer:
        return codin.connect("http://slow", transport=through, headers={"X-Correlation-ID": f"id-{text}"})

    async with app.lifespan(app), asyncio.timeout(10), connect("first") as one, connect("second") as two:
        first = asyncio.create_task(one.send("first", context_id="c"))
        await begun.wait()
        waiting = await two.send("second", context_id="c", wait=False)
        assert waiting.state is a2a.TaskState.SUBMITTED
        go.set()
        await first
        async for _ in two.subscribe(waiting.task_id or ""):
            pass
    assert seen == ["first id-first", "second id-second"]


async def test_errors_name_the_request() -> None:
    app = App(_echo)
    response = await _post(
        app, {"x-correlation-id": "bad\tid"}, {"jsonrpc": "2.0", "id": 1, "method": "No", "params": {}}
    )
    assert response.json()["error"]["code"] == -32601
    assert len(response.headers["x-correlation-id"]) == 32


async def test_log_lines_tell_the_request_and_the_task(lines: io.StringIO) -> None:
    @agent
    async def talkative(text: str) -> str:
        """Log."""
        logging.getLogger("mine").warning("at work")
        return text

    app = App(talkative)
    response = await _post(app, {"x-correlation-id": "c-2", "traceparent": PARENT})
    task = response.json()["result"]["task"]
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    (mine,) = [line for line in said if line["logger"] == "mine"]
    assert mine["message"] == "at work"
    assert (mine["correlation_id"], mine["task_id"], mine["context_id"]) == ("c-2", task["id"], task["contextId"])
    assert mine["trace_id"] == PARENT.split("-")[1]
    (request,) = [line for line in said if line["logger"] == "codin.server"]
    assert request["message"].startswith("SendMessage to talkative answered in ")
    assert request["correlation_id"] == "c-2"


async def test_a_method_that_nobody_knows_is_not_logged_by_its_name(lines: io.StringIO) -> None:
    await _post(App(_echo), {}, {"jsonrpc": "2.0", "id": 1, "method": "x\n\x1b[31m", "params": {}})
    (line,) = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["logger"] == "codin.server"]
    assert line["message"].startswith("other to ")
    assert "METHOD_NOT_FOUND" in line["message"]


@agent
async def _echo(text: str) -> str:
    """Say it again."""
    return text
