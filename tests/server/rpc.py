"""A JSON-RPC caller for tests: the app in memory, bodies as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from codin.server import App

HEADERS = {"content-type": "application/json", "A2A-Version": "1.0"}


def message(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A message of the user."""
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


class Rpc:
    """Calls methods of an app at a path."""

    def __init__(self, app: App, path: str = "/") -> None:
        self.app = app
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        self._path = path

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Post raw bytes."""
        return await self.http.post(self._path, content=body, headers=HEADERS if headers is None else headers)

    async def call(self, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
        """The whole response envelope."""
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}).encode()
        response = await self.post(
            body, {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        )
        return response.json()

    async def result(self, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
        """The result; fails on an error."""
        answer = await self.call(method, params, **headers)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
        """The error; fails on a result. `reason` and `fields` are lifted out of the details."""
        answer = await self.call(method, params, **headers)
        assert "error" in answer, answer
        return lifted(answer["error"])

    async def send(self, text: str = "hello", **fields: Any) -> dict[str, Any]:
        """Send a text, give the task."""
        return (await self.result("SendMessage", {"message": message(text, **fields)}))["task"]

    async def stream(self, method: str, params: Any, **headers: str) -> list[tuple[int, dict[str, Any]]]:
        """All events of a stream: number and result."""
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
        fields = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = await self.post(body, fields)
        assert response.headers["content-type"].startswith("text/event-stream"), response.text
        events: list[tuple[int, dict[str, Any]]] = []
        for block in response.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                events.append((int(fields.get("id", 0)), json.loads(fields["data"])["result"]))
        return events


def lifted(error: dict[str, Any]) -> dict[str, Any]:
    """The error with `reason`, `hint` and the violated `fields` at its top."""
    details: list[dict[str, Any]] = error.get("data", [])
    info: dict[str, Any] = next((d for d in details if d["@type"].endswith("ErrorInfo")), dict[str, Any]())
    violations: list[dict[str, Any]] = next(
        (d["fieldViolations"] for d in details if d["@type"].endswith("BadRequest")), list[Any]()
    )
    return {
        **error,
        "reason": info.get("reason"),
        "hint": info.get("metadata", {}).get("hint"),
        "fields": [violation["field"] for violation in violations],
    }
