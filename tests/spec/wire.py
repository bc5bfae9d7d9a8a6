"""Operations as a client of any binding asks for them: by name, with the JSON of the request, over a socket.

A binding is one more class here, and every test that takes `wire` runs over it.
"""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import httpx
import pytest

from codin import a2a
from codin.server import App

__all__ = ["WIRES", "Answer", "Events", "Refused", "Wire", "json_only", "message", "state_of", "texts_of"]

Headers = Mapping[str, "str | None"]
Events: TypeAlias = AsyncIterator[dict[str, Any]]
Open: TypeAlias = "Callable[[str, App], AbstractAsyncContextManager[Wire]]"

_PATIENCE = 20.0

json_only = pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"], indirect=True)
"""For what only JSON can say, such as a text where a number belongs."""


def message(text: str = "say hello", **fields: Any) -> dict[str, Any]:
    """A message of the user."""
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **fields}


def state_of(event: Mapping[str, Any]) -> str | None:
    """The state that an event or a task is about; None for an artifact."""
    holder = event.get("task") or event.get("statusUpdate") or event
    return holder["status"]["state"].removeprefix("TASK_STATE_") if "status" in holder else None


def texts_of(task: Mapping[str, Any]) -> list[str]:
    """The texts of a task's artifacts."""
    return [part["text"] for artifact in task.get("artifacts", ()) for part in artifact["parts"] if "text" in part]


@dataclass
class Refused(Exception):
    """What a server says instead of an answer.

    Args:
        code: as the binding has it: a number of JSON-RPC or HTTP, a name of gRPC.
    """

    code: int | str
    message: str
    details: Sequence[Mapping[str, Any]]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def _detail(self, name: str) -> Mapping[str, Any]:
        return next((each for each in self.details if each["@type"].endswith(f".{name}")), dict[str, Any]())

    @property
    def reason(self) -> str | None:
        return self._detail("ErrorInfo").get("reason")

    @property
    def domain(self) -> str | None:
        return self._detail("ErrorInfo").get("domain")

    @property
    def hint(self) -> str | None:
        return self._detail("ErrorInfo").get("metadata", {}).get("hint")

    @property
    def violations(self) -> dict[str, str]:
        """The fields that are wrong, and why."""
        return {each["field"]: each["description"] for each in self._detail("BadRequest").get("fieldViolations", ())}


@dataclass
class Answer:
    """The result of an operation, and the service parameters that came with it."""

    result: dict[str, Any]
    headers: Mapping[str, str]


class Wire(ABC):
    """Asks the agents of one server."""

    def __init__(self) -> None:
        self.agent = "clerk"
        self.headers: Headers = {"A2A-Version": "1.0"}

    def to(self, agent: str) -> Self:
        """The same wire to another agent."""
        other = copy(self)
        other.agent = agent
        return other

    def saying(self, **headers: str | None) -> Self:
        """The same wire with other service parameters; None leaves one out."""
        other = copy(self)
        other.headers = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return other

    @property
    def given(self) -> dict[str, str]:
        """The service parameters that there are."""
        return {name: value for name, value in self.headers.items() if value is not None}

    @abstractmethod
    async def ask(self, method: str, params: Mapping[str, Any]) -> Answer:
        """Run an operation that is answered at once, or one that is to be refused.

        Raises:
            Refused: it is.
        """

    @abstractmethod
    def stream(self, method: str, params: Mapping[str, Any]) -> AbstractAsyncContextManager[Events]:
        """Run an operation that streams. Leaving the context goes away. Raises as `ask` does."""

    @abstractmethod
    def code_of(self, row: a2a.ErrorRow) -> int | str:
        """What this binding calls an error."""

    async def result(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The result of an operation."""
        return (await self.ask(method, params or {})).result

    async def refused(self, method: str, params: Mapping[str, Any] | None = None) -> Refused:
        """Why an operation is refused; fails when it is not."""
        try:
            answer = await self.ask(method, params or {})
        except Refused as refused:
            return refused
        raise AssertionError(f"{method} was answered: {answer.result}")

    async def send(self, text: str = "say hello", **fields: Any) -> dict[str, Any]:
        """Send a text, give the task."""
        return (await self.result("SendMessage", {"message": message(text, **fields)}))["task"]

    async def begin(self, text: str, **fields: Any) -> dict[str, Any]:
        """Send a text, give the task as soon as there is one."""
        params = {"message": message(text, **fields), "configuration": {"returnImmediately": True}}
        return (await self.result("SendMessage", params))["task"]

    async def events(self, method: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All events of a stream."""
        async with self.stream(method, params) as events:
            return [event async for event in events]


class _HttpWire(Wire):
    """What both bindings over HTTP have in common: a request, and an answer or a stream of server-sent events.

    Args:
        http: its base is the server; the agents are below it.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    @abstractmethod
    def _request(self, method: str, params: Mapping[str, Any]) -> httpx.Request:
        """The request for an operation."""

    @abstractmethod
    def _read(self, response: httpx.Response, body: bytes) -> dict[str, Any]:
        """The result in a body, or in an event. Raises as `ask` does."""

    async def ask(self, method: str, params: Mapping[str, Any]) -> Answer:
        async with self._open(method, params) as response:
            assert not _streams(response), f"{method} was answered with a stream"
            return Answer(self._read(response, await response.aread()), response.headers)

    @asynccontextmanager
    async def stream(self, method: str, params: Mapping[str, Any]) -> AsyncGenerator[Events]:
        async with self._open(method, params) as response:
            if not _streams(response):
                answer = self._read(response, await response.aread())
                raise AssertionError(f"{method} was answered without a stream: {answer}")
            async with aclosing(self._events(response)) as events:
                yield events

    async def _events(self, response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
        decoder = a2a.SSEDecoder()
        async with asyncio.timeout(_PATIENCE):
            async for chunk in response.aiter_bytes():
                for event in decoder.feed(chunk):
                    yield self._read(response, event.data)

    @asynccontextmanager
    async def _open(self, method: str, params: Mapping[str, Any]) -> AsyncGenerator[httpx.Response]:
        response = await self._http.send(self._request(method, params), stream=True)
        async with aclosing(response):
            yield response


def _streams(response: httpx.Response) -> bool:
    return response.headers["content-type"].startswith("text/event-stream")


class JsonRpcWire(_HttpWire):
    """JSON-RPC. Spec 9."""

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.rpc_code

    def _request(self, method: str, params: Mapping[str, Any]) -> httpx.Request:
        call = {"jsonrpc": "2.0", "id": "call-1", "method": method, "params": params}
        return self._http.build_request("POST", f"/{self.agent}/", json=call, headers=self.given)

    def _read(self, response: httpx.Response, body: bytes) -> dict[str, Any]:
        envelope = json.loads(body)
        assert envelope["jsonrpc"] == "2.0"
        # Who is not let in is refused before the call is read, so its id is not known.
        assert envelope["id"] == "call-1"
        assert ("result" in envelope) is not ("error" in envelope)
        if "error" not in envelope:
            return envelope["result"]
        error = envelope["error"]
        raise Refused(error["code"], error["message"], error["data"], response.headers)


_RESOURCES = {
    "SendMessage": "POST /message:send",
    "SendStreamingMessage": "POST /message:stream",
    "GetTask": "GET /tasks/{id}",
    "ListTasks": "GET /tasks",
    "CancelTask": "POST /tasks/{id}:cancel",
    "SubscribeToTask": "POST /tasks/{id}:subscribe",
    "CreateTaskPushNotificationConfig": "POST /tasks/{taskId}/pushNotificationConfigs",
    "GetTaskPushNotificationConfig": "GET /tasks/{taskId}/pushNotificationConfigs/{id}",
    "ListTaskPushNotificationConfigs": "GET /tasks/{taskId}/pushNotificationConfigs",
    "DeleteTaskPushNotificationConfig": "DELETE /tasks/{taskId}/pushNotificationConfigs/{id}",
    "GetExtendedAgentCard": "GET /extendedAgentCard",
}


class RestWire(_HttpWire):
    """HTTP+JSON. Spec 11."""

    def code_of(self, row: a2a.ErrorRow) -> int | str:
        return row.http_status

    def _request(self, method: str, params: Mapping[str, Any]) -> httpx.Request:
        verb, path = _RESOURCES[method].split()
        named = re.findall(r"{(\w+)}", path)
        path = f"/{self.agent}{path.format(**{name: quote(params[name], safe='') for name in named})}"
        rest = {name: value for name, value in params.items() if name not in named}
        if verb == "POST":
            headers = {"Content-Type": "application/a2a+json", **self.given}
            return self._http.build_request(verb, path, content=json.dumps(rest), headers=headers)
        return self._http.build_request(verb, path, params=rest, headers=self.given)

    def _read(self, response: httpx.Response, body: bytes) -> dict[str, Any]:
        document = json.loads(body or b"{}")
        if response.status_code < 400:
            return document
        error = document["error"]
        assert error["code"] == response.status_code
        raise Refused(error["code"], error["message"], error["details"], response.headers)


def _over_http(wire: Callable[[httpx.AsyncClient], Wire]) -> Open:
    @asynccontextmanager
    async def opened(url: str, app: App) -> AsyncGenerator[Wire]:
        # There is no TLS here, and to load the authorities takes longer than most tests.
        async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE, verify=False) as http:
            yield wire(http)

    return opened


@asynccontextmanager
async def _over_grpc(url: str, app: App) -> AsyncGenerator[Wire]:
    grpc = pytest.importorskip("grpc", reason="pip install 'codin[grpc]'")
    from tests.spec.grpc_wire import GrpcWire

    assert app.grpc is not None
    async with grpc.aio.insecure_channel(app.grpc.address) as channel:
        yield GrpcWire(channel)


WIRES: Mapping[str, Open] = {
    "JSONRPC": _over_http(JsonRpcWire),
    "HTTP+JSON": _over_http(RestWire),
    "GRPC": _over_grpc,
}
"""How to reach a server, by its URL and its app, for each binding."""
