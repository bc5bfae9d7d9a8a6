"""Law 9 for gRPC, which needs real sockets: the same requests, in the same order, have the answers of JSON-RPC."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, TypeAlias

import grpc.aio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from codin.agent import agent
from codin.net import MemoryTransport
from codin.server import RESUME, App
from codin.task import AgentResponse, Task
from tests.laws.conftest import law
from tests.server.rpc import lifted

Request: TypeAlias = tuple[str, dict[str, Any], dict[str, str]]
_Stream: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
_Unary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

_MADE = re.compile(r"\b[0-9a-f]{32}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
_RESULTS: Mapping[str, type[a2a.Model]] = {
    "SendMessage": a2a.SendMessageResponse,
    "SendStreamingMessage": a2a.StreamResponse,
    "GetTask": a2a.Task,
    "ListTasks": a2a.ListTasksResponse,
    "CancelTask": a2a.Task,
    "SubscribeToTask": a2a.StreamResponse,
}


@agent
async def obedient(task: Task) -> AgentResponse:
    """Do as it is told."""
    match task.text:
        case "ask":
            return AgentResponse.completed((await task.ask("what?")).text)
        case "fail":
            return AgentResponse.failed("no")
        case "write":
            await task.write("a piece, ")
            return AgentResponse.completed("a piece, and another")
        case _:
            return AgentResponse.completed(data={"heard": task.text, "with": task.data})


# -- what is asked, as far as both can say it --------------------------------------------------------------------------

_ids = st.sampled_from([0, 1, "nobody", "é"])  # the number of a task stands for its id
_floats = st.floats(allow_nan=False, allow_infinity=False)
_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _floats | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_parts = st.one_of(
    st.sampled_from([[{"text": text}] for text in ("ask", "fail", "write", "é\u2028")]),
    _data.map(lambda data: [{"text": "see"}, {"data": data}]),
    st.sampled_from(
        [[], [{}], [{"raw": "AAE=", "mediaType": "image/png"}], [{"url": "https://e.org/", "filename": "p"}]]
    ),
)
_messages = st.fixed_dictionaries(
    {"messageId": st.sampled_from(["m", ""]), "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT"]), "parts": _parts},
    optional={"taskId": _ids, "contextId": _ids, "metadata": st.just({"k": None}), "extensions": st.just(["urn:x"])},
)
_configurations = st.fixed_dictionaries({}, optional={"historyLength": st.sampled_from([0, 1, -1])})
_sends = st.fixed_dictionaries({}, optional={"message": _messages, "configuration": _configurations})
_filters = st.fixed_dictionaries(
    {},
    optional={
        "pageSize": st.sampled_from([0, 1, 50, 101, -1]),
        "pageToken": st.just("nowhere"),
        "historyLength": st.sampled_from([0, 1, -1]),
        "status": st.sampled_from(["TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED"]),
        "statusTimestampAfter": st.just("2020-01-01T00:00:00Z"),
        "includeArtifacts": st.booleans(),
        "contextId": _ids,
    },
)
_by_id = st.fixed_dictionaries({}, optional={"id": _ids, "metadata": st.just({"why": "late"})})
_push = st.fixed_dictionaries({}, optional={"taskId": _ids, "id": st.just("c")})
_PARAMS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "SendMessage": _sends,
    "SendStreamingMessage": _sends,
    "GetTask": st.fixed_dictionaries({}, optional={"id": _ids, "historyLength": st.sampled_from([0, 1, -1])}),
    "ListTasks": _filters,
    "CancelTask": _by_id,
    "SubscribeToTask": st.fixed_dictionaries({}, optional={"id": _ids}),
    "CreateTaskPushNotificationConfig": _push,
    "GetTaskPushNotificationConfig": _push,
    "ListTaskPushNotificationConfigs": _push,
    "DeleteTaskPushNotificationConfig": _push,
    "GetExtendedAgentCard": st.just({}),
}
_headers = st.fixed_dictionaries(
    {"A2A-Version": st.sampled_from(["1.0"] * 9 + ["9.0"])},
    optional={"Last-Event-ID": st.sampled_from(["0", "999", "x"])},
)
_one = st.one_of([st.tuples(st.just(method), params, _headers) for method, params in _PARAMS.items()])
_ASK: Request = ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "ask"}]}}, {})


# -- how it is asked ---------------------------------------------------------------------------------------------------


def most(method: str) -> int | None:
    """Of a subscription only the first event is looked at: it goes on for as long as its task does."""
    return 1 if method == "SubscribeToTask" else None


class Side:
    """An app that is asked in one binding only; gives answers in which what is made at random has a number."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._made: dict[str, str] = {}
        self._tasks: list[str] = []

    async def ask(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> list[Any]:
        """Each object of the answer, with the number of its event."""
        raise NotImplementedError

    async def answer(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> Any:
        told = self._real(params)
        if "message" in params:
            told["message"] = self._real(params["message"])
        return [self._numbered(method, each) for each in await self.ask(method, told, headers)]

    def _real(self, params: Mapping[str, Any]) -> dict[str, Any]:
        ids = {name: self._tasks[value % len(self._tasks)] for name, value in params.items() if type(value) is int
               and name in {"id", "taskId", "contextId"}}  # fmt: skip
        return {**params, **ids}

    def _numbered(self, method: str, answer: dict[str, Any]) -> Any:
        if "reason" in answer:
            return json.loads(_MADE.sub("made", json.dumps(answer)))
        result = _RESULTS[method].from_dict(answer["result"]).to_dict()
        if "task" in result and result["task"]["id"] not in self._tasks:
            self._tasks.append(result["task"]["id"])
        if result.get("nextPageToken"):  # it holds an id and a time
            result["nextPageToken"] = "more"
        text = json.dumps([answer.get("number"), result], sort_keys=True)
        for made in _MADE.findall(text):
            self._made.setdefault(made, f"made-{len(self._made)}")
        return json.loads(_TIME.sub("then", _MADE.sub(lambda match: self._made[match[0]], text)))


def told(error: dict[str, Any], violated: Sequence[str]) -> list[Any]:
    """An error. Its words may differ where a field is empty: that is a field that is missing here."""
    return [{"reason": error["reason"], "fields": sorted(violated), "words": "" if violated else error["message"]}]


class OverRpc(Side):
    async def ask(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> list[Any]:
        transport = MemoryTransport({"test": self.app})
        body = a2a.call_bytes(b"1", method, json.dumps(params).encode())
        fields = {"A2A-Version": "1.0", "Content-Type": "application/json", **headers}
        opening = transport.stream("POST", "http://test/", headers=fields, content=body, timeout=None)
        async with opening as response:
            if response.headers["content-type"].startswith("text/event-stream"):
                whole = await anext(response.chunks) if method == "SubscribeToTask" else await response.read()
                events = [(event.id, json.loads(event.data)["result"]) for event in a2a.SSEDecoder().feed(whole)]
                return [{"number": int(number or 0), "result": result} for number, result in events][: most(method)]
            answer = json.loads(await response.read())
        if "error" in answer:
            wrong = lifted(answer["error"])
            return told(wrong, wrong["fields"])
        return [{"result": answer["result"]}]


class OverGrpc(Side):
    async def ask(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> list[Any]:
        assert self.app.grpc is not None
        rpc = proto.RPCS[method]
        body = proto.from_json(rpc.request, json.dumps(params).encode()).SerializeToString()
        metadata = [(name.lower(), value) for name, value in {"A2A-Version": "1.0", **headers}.items()]
        metadata.append(("a2a-extensions", RESUME))
        async with grpc.aio.insecure_channel(self.app.grpc.address) as channel:
            try:
                if rpc.streams:
                    streaming: _Stream = channel.unary_stream(f"/{proto.SERVICE}/{method}")
                    events: list[Any] = []
                    async for each in streaming(body, metadata=metadata):
                        events.append(self._event(each))
                        if len(events) == most(method):
                            break
                    return events
                unary: _Unary = channel.unary_unary(f"/{proto.SERVICE}/{method}")
                answer = await unary(body, metadata=metadata)
                return [{"result": proto.to_json(proto.parsed(rpc.response, answer))}]
            except grpc.aio.AioRpcError as error:
                (status,) = [value for key, value in error.trailing_metadata() or () if key == proto.STATUS_KEY]
                assert isinstance(status, bytes)
                wrong = proto.error_of(status, error.code().name, "")
                assert wrong is not None
                fields = [violation.field for violation in wrong.violations]
                return told({"reason": wrong.reason, "message": wrong.message}, fields)

    def _event(self, body: bytes) -> dict[str, Any]:
        event = proto.to_json(proto.parsed("StreamResponse", body))
        (value,) = event.values()
        number = int(value["metadata"].pop(RESUME))
        if not value["metadata"]:
            del value["metadata"]
        return {"number": number, "result": event}


_SAID = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "fail"}]}


@law
@given(requests=st.lists(_one, min_size=1, max_size=6).map(lambda rest: [_ASK, *rest]))
@example(requests=[_ASK, ("SendMessage", {"message": _SAID}, {}), ("ListTasks", {"pageSize": 1}, {})])
@pytest.mark.requirement("BINDING-RESULTS", "BINDING-ERRORS")
def test_grpc_answers_as_json_rpc_does(requests: Sequence[Request]) -> None:
    async def example() -> None:
        one, other = OverRpc(App(obedient, push=False)), OverGrpc(App(obedient, push=False, grpc_port=0))
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(one.app.start(), other.app.start())
                for method, params, headers in requests:
                    assert await one.answer(method, params, headers) == await other.answer(method, params, headers)
        finally:
            await asyncio.gather(one.app.close(), other.app.close())

    ticks = count(int(time.time() * 1000), 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: next(ticks) / 1000)  # of one millisecond, the order is by chance
        asyncio.run(example())
