"""Law 9: the same requests, made in the same order, have the same answers in every binding."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.agent import agent
from codin.net import MemoryTransport
from codin.server import App
from codin.task import Task
from tests.laws.conftest import law
from tests.laws.loop import run

Request = tuple[str, dict[str, Any], dict[str, str]]

_MADE = re.compile(r"\b[0-9a-f]{32}\b")
_IDS = frozenset({"id", "taskId", "contextId"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


@agent
async def obedient(text: str, task: Task) -> str:
    """Do as it is told."""
    match text:
        case "ask":
            return (await task.ask("what?")).text
        case "fail":
            raise ValueError(text)
        case "write":
            await task.write("a piece, ")
            return "a piece, and another"
        case _:
            return text.upper()


# -- what is asked -----------------------------------------------------------------------------------------------------

# The number of a task stands for the id it will have got; a text that is no id is one that nobody has.
_ids = st.integers(0, 2) | st.sampled_from(["nobody", "a/b", "a b?c=d&e#f", "x:cancel", ":subscribe", "%2F", "..", "é"])
# A query knows only texts, so what is wrong is a text in both.
_counts = st.sampled_from([0, 1, 50, 100, -1, 101, "many", "1.5", 2**40])
_words = st.sampled_from(
    ["", "TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED", "DONE", "2020-01-01T00:00:00Z", "now"]
)
_flags = st.booleans() | st.sampled_from(["maybe", "TRUE"])
_filters = st.fixed_dictionaries(
    {},
    optional={
        "historyLength": _counts,
        "pageSize": st.sampled_from([50, 100, 0, 101, "many"]),
        "pageToken": st.sampled_from(["", "nowhere"]),
        "status": _words,
        "statusTimestampAfter": _words,
        "includeArtifacts": _flags,
        "contextId": _ids,
        "tenant": st.just("acme"),
    },
)
_parts = st.lists(
    st.sampled_from([{"text": "hi"}, {"text": 1}, {}, {"data": {"a": [1]}}, {"raw": "AA==", "mediaType": "image/png"}]),
    max_size=2,
) | st.sampled_from([[{"text": text}] for text in ("ask", "fail", "write", "é\u2028")])
_messages = st.fixed_dictionaries(
    {"messageId": st.sampled_from(["m", ""]), "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT", 1]), "parts": _parts},
    optional={"taskId": _ids, "contextId": _ids, "metadata": st.just({"k": None})},
)
_wrong: list[dict[str, Any]] = [{}, {"message": None}, {"message": []}, {"message": {}, "configuration": 7}]
_sends: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"message": _messages}, optional={"configuration": st.fixed_dictionaries({"historyLength": _counts})}
) | st.sampled_from(_wrong)
_push = st.fixed_dictionaries({"taskId": _ids}, optional={"id": st.just("c"), "url": st.just("https://e.example/")})
_headers = st.fixed_dictionaries(
    {"A2A-Version": st.sampled_from(["1.0"] * 9 + ["9.0"])},
    optional={"Last-Event-ID": st.sampled_from(["0", "999", "x"])},
)


def _by_id(**others: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"id": _ids}, optional=others)


_PARAMS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "SendMessage": _sends,
    "SendStreamingMessage": _sends,
    "GetTask": _by_id(historyLength=_counts, tenant=st.just("acme")),
    "ListTasks": _filters,
    "CancelTask": _by_id(metadata=st.just({"why": "late"})),
    "SubscribeToTask": _by_id(),
    "CreateTaskPushNotificationConfig": _push,
    "GetTaskPushNotificationConfig": _push.map(lambda params: {"id": "c", **params}),
    "ListTaskPushNotificationConfigs": _push,
    "DeleteTaskPushNotificationConfig": _push.map(lambda params: {"id": "c", **params}),
    "GetExtendedAgentCard": st.just({}),
}


_ASK: Request = ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "ask"}]}}, {})


def _requests() -> st.SearchStrategy[Sequence[Request]]:
    one = st.one_of([st.tuples(st.just(method), params, _headers) for method, params in _PARAMS.items()])
    return st.lists(one, min_size=1, max_size=6).map(lambda rest: [_ASK, *rest])


# -- how it is asked ---------------------------------------------------------------------------------------------------


class Side:
    """An app that is asked in one binding only; gives answers in which what is made at random has a number."""

    def __init__(self, binding: Binding) -> None:
        self.app = App(obedient, push=False)
        self.transport = MemoryTransport({"test": self.app})
        self._binding = binding
        self._made: dict[str, str] = {}
        self._tasks: list[str] = []

    async def answer(self, method: str, params: dict[str, Any], headers: dict[str, str]) -> Any:
        told = self._real(params)
        if isinstance(message := params.get("message"), dict):
            told["message"] = self._real(cast("dict[str, Any]", message))
        verb, path, body = self._binding.ask(method, told)
        fields = {"A2A-Version": "1.0", "Content-Type": "application/json", **headers}
        opening = self.transport.stream(verb, f"http://test{path}", headers=fields, content=body, timeout=None)
        async with opening as response:
            if not response.headers["content-type"].startswith("text/event-stream"):
                return self._numbered(self._binding.read(json.loads(await response.read())))
            # A subscription goes on as long as its task does, so its beginning has to do.
            whole = await response.read() if method != "SubscribeToTask" else await anext(response.chunks)
        events = a2a.SSEDecoder().feed(whole)
        return [(event.id, self._numbered(self._binding.read(json.loads(event.data)))) for event in events]

    def _real(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters, with the ids of tasks where their numbers are."""
        return {name: self._tasks[value % len(self._tasks)] if name in _IDS and isinstance(value, int) else value
                for name, value in params.items()}  # fmt: skip

    def _numbered(self, result: dict[str, Any]) -> Any:
        if "tasks" in result:  # of one millisecond, the order is by chance
            result["tasks"] = sorted(result["tasks"], key=self._place)
        text = json.dumps(result, sort_keys=True)
        for made in _MADE.findall(text):
            self._made.setdefault(made, f"made-{len(self._made)}")
        if "task" in result and result["task"]["id"] not in self._tasks:
            self._tasks.append(result["task"]["id"])
        return json.loads(_TIME.sub("then", _MADE.sub(lambda match: self._made[match[0]], text)))

    def _place(self, task: Mapping[str, Any]) -> int:
        return self._tasks.index(task["id"])


class Binding(Protocol):
    """How an operation goes out, and what comes back, as every binding would tell it."""

    def ask(self, method: str, params: dict[str, Any]) -> tuple[str, str, bytes]: ...

    def read(self, document: dict[str, Any]) -> dict[str, Any]: ...


class OverRpc:
    def ask(self, method: str, params: dict[str, Any]) -> tuple[str, str, bytes]:
        return "POST", "/", a2a.call_bytes(b"1", method, json.dumps(params).encode())

    def read(self, document: dict[str, Any]) -> dict[str, Any]:
        error = document.get("error")
        return {"error": error["message"], "details": error["data"]} if error else document["result"]


class OverRest:
    def ask(self, method: str, params: dict[str, Any]) -> tuple[str, str, bytes]:
        verb, path = a2a.ROUTES[method]
        told = dict(params)
        path = re.sub(r"\{(\w+)\}", lambda field: quote(told.pop(field[1]), safe=""), path)
        if verb == "POST":
            return verb, path, json.dumps(told).encode()
        words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in told.items()}
        return verb, f"{path}?{urlencode(words)}", b""

    def read(self, document: dict[str, Any]) -> dict[str, Any]:
        error = document.get("error")
        return {"error": error["message"], "details": error["details"]} if error else document


@law
@given(requests=_requests())
@pytest.mark.requirement("BINDING-RESULTS", "BINDING-ERRORS")
def test_both_bindings_answer_alike(requests: Sequence[Request]) -> None:
    async def example() -> None:
        one, other = Side(OverRpc()), Side(OverRest())
        for method, params, headers in requests:
            assert await one.answer(method, params, headers) == await other.answer(method, params, headers)
        for side in (one, other):
            await side.transport.aclose()
            await side.app.close()

    run(example, patience=10.0)
