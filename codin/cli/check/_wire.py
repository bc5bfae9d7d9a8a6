"""What every binding's wire can do, and what the two over HTTP share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio

from codin import a2a
from codin.cli.check._answer import Answer, Refusal, shortened
from codin.cli.check._json import Json, is_list, is_object
from codin.errors import CodinError
from codin.net import Response, StreamingResponse, Transport

__all__ = ["STREAMS", "Caller", "Enough", "HttpWire", "Params", "Wire", "at_rest", "refusal_in", "state_in"]

Params: TypeAlias = Mapping[str, Any]
Enough: TypeAlias = Callable[[Json], bool]

STREAMS = frozenset({"SendStreamingMessage", "SubscribeToTask"})
VERSION = "A2A-Version"
_RESTING = frozenset({"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"})


def state_in(event: Mapping[str, Any]) -> str | None:
    """The state that a task or an event is about."""
    for holder in (event.get("task"), event.get("statusUpdate"), event):
        if is_object(holder) and is_object(status := holder.get("status")):
            state = status.get("state")
            return state if isinstance(state, str) else None
    return None


def at_rest(event: Json) -> bool:
    """Behind it the client may have to act, so nothing more need come."""
    return state_in(event) in _RESTING


@dataclass(frozen=True)
class Caller:
    """Who asks: the headers that say so, and those that go with every request.

    Attributes:
        secret: headers with a credential; they are shown nowhere.
    """

    secret: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    plain: Mapping[str, str] = field(default_factory=dict[str, str])

    def nobody(self) -> Caller:
        """The same without a credential."""
        return Caller({}, self.plain)


class Wire(ABC):
    """Asks one interface, and hides nothing of what comes back.

    Args:
        tenant: of the interface; it goes into every request.
        timeout: seconds for an answer, and between two events.
    """

    binding: str

    def __init__(self, url: str, tenant: str, caller: Caller, timeout: float) -> None:
        self.url = url
        self.tenant = tenant
        self.caller = caller
        self.timeout = timeout

    async def ask(
        self,
        method: str,
        params: Params | None = None,
        *,
        version: str | None = "1.0",
        headers: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        enough: Enough = at_rest,
        begun: anyio.Event | None = None,
        tenant: str | None = None,
    ) -> Answer:
        """Run an operation; of a stream, read until it ends or an event is enough.

        Args:
            version: None sends none.
            headers: more service parameters.
            begun: set at the first event of a stream, and at its end.
        """
        fields = {**self.caller.plain, **({VERSION: version} if version is not None else {}), **(headers or {})}
        tenant = self.tenant if tenant is None else tenant
        params = {**params} if params else {}
        who = self.caller if caller is None else caller
        try:
            return await self._ask(method, params, tenant, who, fields, enough, begun)
        finally:
            if begun is not None:
                begun.set()

    @abstractmethod
    def code_of(self, row: a2a.ErrorRow) -> int | str:
        """What this binding calls an error."""

    @abstractmethod
    async def _ask(
        self,
        method: str,
        params: Json,
        tenant: str,
        caller: Caller,
        fields: Mapping[str, str],
        enough: Enough,
        begun: anyio.Event | None,
    ) -> Answer: ...

    async def aclose(self) -> None:  # noqa: B027  most have nothing of their own
        """Close what is open."""


class HttpWire(Wire):
    """What the bindings over HTTP share."""

    def __init__(self, url: str, tenant: str, caller: Caller, timeout: float, transport: Transport) -> None:
        super().__init__(url, tenant, caller, timeout)
        self._transport = transport

    async def request(
        self, verb: str, url: str, body: bytes, fields: Mapping[str, str], caller: Caller | None = None
    ) -> Answer:
        """One request as it is given, and what its answer is in this binding."""
        caller = self.caller if caller is None else caller
        answer = Answer(_sent(verb, url, body, fields))
        try:
            response = await self._transport.request(
                verb, url, headers={**fields, **caller.secret}, content=body, timeout=self.timeout
            )
        except CodinError as error:
            answer.fault = error.message
            return answer
        self._take(answer, response)
        return answer

    async def opened(
        self,
        verb: str,
        url: str,
        body: bytes,
        fields: Mapping[str, str],
        caller: Caller,
        enough: Enough,
        begun: anyio.Event | None,
    ) -> Answer:
        """The same for a stream."""
        answer = Answer(_sent(verb, url, body, fields))
        try:
            async with self._transport.stream(
                verb, url, headers={**fields, **caller.secret}, content=body, timeout=self.timeout
            ) as response:
                if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
                    await self._read_events(answer, response, enough, begun)
                else:
                    self._take(answer, Response(response.status, response.headers, await response.read()))
        except CodinError as error:
            answer.fault = error.message
        return answer

    async def _read_events(
        self, answer: Answer, response: StreamingResponse, enough: Enough, begun: anyio.Event | None
    ) -> None:
        answer.status, answer.headers, answer.streamed = response.status, response.headers, True
        decoder = a2a.SSEDecoder()
        async for event in _events(response, decoder):
            answer.raw_events.append(raw := _document(event))
            read = Answer(answer.sent, status=200)
            self.read(read, raw)
            answer.fault = answer.fault or read.fault
            if read.refusal is not None:
                answer.refusal, answer.body = read.refusal, event
            if is_object(read.result):
                answer.events.append(read.result)
                if begun is not None:
                    begun.set()
                if enough(read.result):
                    return
        answer.ended = True

    def _take(self, answer: Answer, response: Response) -> None:
        answer.status, answer.headers, answer.body = response
        self.read(answer, _document(response.body))

    @abstractmethod
    def read(self, answer: Answer, document: Any) -> None:
        """Put into the answer what a JSON document is in this binding."""


async def _events(response: StreamingResponse, decoder: a2a.SSEDecoder) -> AsyncIterator[bytes]:
    async for chunk in response.chunks:
        for event in decoder.feed(chunk):
            yield event.data


def _document(body: bytes) -> Any:
    """The JSON in a body; None for what is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _sent(verb: str, url: str, body: bytes, fields: Mapping[str, str]) -> str:
    named = ", ".join(f"{name}: {value}" for name, value in fields.items() if name != "Accept")
    return shortened(f"{verb} {url} [{named}] {body.decode('utf-8', 'replace')}".rstrip())


def refusal_in(error: Json, details: str) -> Refusal:
    """The error in its JSON."""
    listed = error.get(details)
    return Refusal(error.get("code", 0), str(error.get("message", "")), listed if is_list(listed) else None)
