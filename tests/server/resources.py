"""An HTTP+JSON caller for tests: the app in memory."""

from __future__ import annotations

import json
from typing import Any

import httpx
from starlette.types import ASGIApp

from codin import a2a
from tests.server.rpc import message

HEADERS = {"A2A-Version": "1.0"}
A2A_JSON = "application/a2a+json"


class Rest:
    """Asks an app for resources below a path."""

    def __init__(self, app: ASGIApp, path: str = "", **headers: str) -> None:
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(
            transport=transport, base_url=f"http://test{path}", headers={**HEADERS, **headers}
        )

    async def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request; a body that is not bytes goes out as JSON of A2A."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body, fields = json.dumps(body).encode(), {"content-type": A2A_JSON, **fields}
        return await self.http.request(verb, path, content=body, headers=fields)

    async def send(self, text: str = "hello", **fields: Any) -> dict[str, Any]:
        """Send a text, give the task."""
        answer = await self.ask("POST", "/message:send", {"message": message(text, **fields)})
        assert answer.status_code == 200, answer.text
        return answer.json()["task"]


def events_of(answer: httpx.Response) -> list[tuple[int, dict[str, Any]]]:
    """The events of a whole stream: number and object."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    decoder = a2a.SSEDecoder()
    return [(int(event.id or 0), json.loads(event.data)) for event in decoder.feed(answer.content)]


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The error with `reason`, `hint` and the violated `fields` at its top; fails when it is no `google.rpc.Status`."""
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    info, *others = error["details"]
    assert (info["@type"], info["domain"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "a2a-protocol.org")
    bad = [other for other in others if other["@type"].endswith("BadRequest")]
    return {
        **error,
        "reason": info["reason"],
        "hint": info["metadata"].get("hint"),
        "fields": [each["field"] for other in bad for each in other["fieldViolations"]],
    }
