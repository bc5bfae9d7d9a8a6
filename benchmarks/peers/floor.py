"""The floor: a bare Starlette endpoint that parses a call with json and answers a Task of a fixed shape.

No agent, no run, no store, no checks: what HTTP and JSON cost in Python. Its stream and card serve the client figures,
where all clients talk to this same server.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


def build(agent: str, store: str | None = None, port: int = 1) -> Starlette:
    """Make the app. The floor has one behaviour for every agent and keeps nothing."""
    card = _card(port)

    async def read_card(request: Request) -> Response:
        return JSONResponse(card)

    return Starlette(
        routes=[
            Route("/", _answer, methods=["POST"]),
            Route("/.well-known/agent-card.json", read_card, methods=["GET"]),
        ]
    )


async def _answer(request: Request) -> Response:
    call = json.loads(await request.body())
    message = call["params"]["message"]
    if call["method"] == "SendStreamingMessage":
        return _Stream(call["id"], message)
    return Response(
        _encode({"jsonrpc": "2.0", "id": call["id"], "result": {"task": _task(message)}}), media_type="application/json"
    )


def _task(message: dict[str, Any]) -> dict[str, Any]:
    task_id, context_id = str(uuid.uuid4()), message.get("contextId") or str(uuid.uuid4())
    artifact = {"artifactId": str(uuid.uuid4()), "name": "echo", "parts": [{"text": message["parts"][0]["text"]}]}
    return {
        "id": task_id,
        "contextId": context_id,
        "status": _status("COMPLETED"),
        "artifacts": [artifact],
        "history": [{**message, "taskId": task_id, "contextId": context_id}],
    }


class _Stream(Response):
    """As many chunks as the text says, each an event and a write of its own."""

    def __init__(self, call_id: object, message: dict[str, Any]) -> None:
        self._call_id = call_id
        self._chunks = int(message["parts"][0]["text"])
        self._task_id, self._context_id = str(uuid.uuid4()), str(uuid.uuid4())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        task = {"id": self._task_id, "contextId": self._context_id, "status": _status("WORKING")}
        await send(self._event({"task": task}))
        for number in range(self._chunks):
            await send(self._event({"artifactUpdate": self._chunk(number)}))
            await asyncio.sleep(0)
        await send(self._event({"statusUpdate": {**self._ids, "status": _status("COMPLETED")}}))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @property
    def _ids(self) -> dict[str, str]:
        return {"taskId": self._task_id, "contextId": self._context_id}

    def _chunk(self, number: int) -> dict[str, Any]:
        artifact = {"artifactId": "echo", "parts": [{"text": f"chunk {number} "}]}
        return {**self._ids, "artifact": artifact, "append": number > 0, "lastChunk": number == self._chunks - 1}

    def _event(self, result: dict[str, Any]) -> dict[str, Any]:
        data = _encode({"jsonrpc": "2.0", "id": self._call_id, "result": result})
        return {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True}


def _status(state: str) -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"state": f"TASK_STATE_{state}", "timestamp": now}


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _card(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/"
    return {
        "name": "floor",
        "description": "Answers at once.",
        "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": True},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "echo", "name": "echo", "description": "Echo.", "tags": ["echo"]}],
    }
