"""Calls carry their limits, over sockets: no circle, no endless chain, no time and no budget spent twice."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from pydantic_core import to_json

from codin import a2a
from codin.client import Reply, connect
from codin.errors import CodinError
from codin.net import MemoryTransport
from codin.server import App
from codin.task import USAGE_KEY, AgentResponse, Limits, MemoryStore, Owner, Task
from codin.trust import Budget, CallLimits
from tests.server.actors import Act, Actor, on_sockets
from tests.server.clock import still
from tests.server.rpc import HEADERS, Rpc, message

pytestmark = pytest.mark.anyio

NEVER = 253402300799000


class Net:
    """Agents on sockets that call each other, and what they saw."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.seen: dict[str, list[CallLimits]] = {}
        self.errors: dict[str, list[CodinError]] = {}

    def passes_on(self, name: str, to: Callable[[Task], str | None], **options: Any) -> Act:
        """An act that has the text answered by another agent."""

        async def act(task: Task) -> str:
            self.seen.setdefault(name, []).append(task.limits)
            following = to(task)
            if following is None:
                return f"{name}!"
            try:
                reply = await task.call(self.urls[following], task.text, **options)
            except CodinError as error:
                self.errors.setdefault(name, []).append(error)
                raise
            return f"{name} {reply.text}"

        return act

    @asynccontextmanager
    async def of(self, acts: dict[str, Act], **options: Any) -> AsyncGenerator[None]:
        async with on_sockets(acts, **options) as urls:
            self.urls = urls
            yield

    async def send(self, name: str, text: str = "hi", **options: Any) -> Reply:
        async with asyncio.timeout(20), connect(self.urls[name]) as peer:
            return await peer.send(text, **options)

    @property
    def reasons(self) -> dict[str, list[str]]:
        return {name: [getattr(error, "reason", "") for error in errors] for name, errors in self.errors.items()}


def always(name: str | None) -> Callable[[Task], str | None]:
    return lambda task: name


def ids(limits: CallLimits) -> list[str]:
    return [identity.partition("@")[0] for identity in limits.path]


def header(claim: object) -> str:
    return urlsafe_b64encode(to_json(claim)).decode().rstrip("=")


def soon(seconds: float = 30) -> int:
    return int((time.time() + seconds) * 1000)


# -- the path ----------------------------------------------------------------------------------------------------------


async def test_a_call_carries_the_path_it_came() -> None:
    net = Net()
    acts = {
        "a": net.passes_on("a", always("b")),
        "b": net.passes_on("b", always("c")),
        "c": net.passes_on("c", always(None)),
    }
    async with net.of(acts):
        assert (await net.send("a")).text == "a b c!"
    assert [ids(net.seen[name][0]) for name in "abc"] == [[], ["a"], ["a", "b"]]


@pytest.mark.parametrize("circle", ["ab", "abc", "abcd"])
async def test_a_circle_is_refused_before_it_closes(circle: str) -> None:
    net = Net()
    acts = {name: net.passes_on(name, always(circle[(at + 1) % len(circle)])) for at, name in enumerate(circle)}
    async with net.of(acts):
        assert "CALL_CYCLE" in (await net.send("a")).text
    assert net.reasons[circle[-1]] == ["CALL_CYCLE"]
    assert all(len(seen) == 1 for seen in net.seen.values())  # nobody was reached twice
    refused = net.errors[circle[-1]][0]
    assert " -> ".join([*circle, "a"]) in str(refused)
    assert "answer with what is known" in str(refused)


async def test_an_agent_that_calls_itself_is_a_circle() -> None:
    net = Net()
    async with net.of({"a": net.passes_on("a", always("a"))}):
        assert (await net.send("a")).state is a2a.TaskState.FAILED
    assert net.reasons == {"a": ["CALL_CYCLE"]}


async def test_the_callee_refuses_a_circle_that_its_caller_does_not_see(net_app: App) -> None:
    identity = net_app.endpoints[0].identity
    error = await Rpc(net_app).error(
        "SendMessage", {"message": message()}, Codin_Call=header({"path": ["x@12345678", identity, "y@12345678"]})
    )
    assert (error["code"], error["reason"]) == (-32004, "CALL_CYCLE")
    assert await tasks_of(net_app) == []


async def test_a_chain_ends_at_the_limit_whoever_it_meets() -> None:
    net = Net()
    names = [f"n{number}" for number in range(8)]
    acts = {name: net.passes_on(name, always(f"n{number + 1}")) for number, name in enumerate(names)}
    async with net.of(acts, limits=Limits(max_hops=4, drain=0.1)):
        assert "CALL_TOO_DEEP" in (await net.send("n0")).text
    assert net.reasons["n4"] == ["CALL_TOO_DEEP"]
    assert sorted(net.seen) == ["n0", "n1", "n2", "n3", "n4"]
    assert ids(net.seen["n4"][0]) == ["n0", "n1", "n2", "n3"]


# -- callers that lie --------------------------------------------------------------------------------------------------


@pytest.fixture
async def net_app() -> AsyncGenerator[App]:
    async def act(task: Task) -> str:
        limits = task.limits
        left = task.deadline - asyncio.get_running_loop().time()
        return f"{limits.budget.tokens} {left <= 600} {len(limits.path)}"

    app = App(Actor("act", act))
    yield app
    await app.close()


async def tasks_of(app: App) -> list[Any]:
    return (await Rpc(app).result("ListTasks"))["tasks"]


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({"deadline": 1}, "CALL_EXPIRED"),
        ({"budget": {"tokens": 0}}, "CALL_BUDGET_SPENT"),
        ({"budget": {"tokens": 5, "money": 0}}, "CALL_BUDGET_SPENT"),
        ({"path": [f"a{number}@12345678" for number in range(17)]}, "CALL_TOO_DEEP"),
        ({"path": ["a@1"] * 1000}, "CALL_TOO_DEEP"),
        ({"budget": {"tokens": -5}}, "CALL_INVALID"),
        ({"deadline": NEVER * 10}, "CALL_INVALID"),
        ({"path": [{"junk": 1}]}, "CALL_INVALID"),
        ({"path": ["a\r\nx: y"]}, "CALL_INVALID"),
        ([], "CALL_INVALID"),
    ],
)
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_a_call_without_right_limits_makes_no_task(net_app: App, method: str, claim: object, reason: str) -> None:
    error = await Rpc(net_app).error(method, {"message": message()}, Codin_Call=header(claim))
    assert error["reason"] == reason
    assert error["hint"]
    assert await tasks_of(net_app) == []


@pytest.mark.parametrize("value", ["", "%%%", "e" * 20000, header("x") + "\x80"])
async def test_a_header_that_is_junk_makes_no_task(net_app: App, value: str) -> None:
    rpc = Rpc(net_app)
    body = to_json({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}})
    answer = await rpc.post(body, {**HEADERS, "Codin-Call": value.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.json()["error"]["data"][0]["reason"] == "CALL_INVALID"
    assert await tasks_of(net_app) == []


async def test_a_deadline_in_the_year_9999_gives_no_more_time_than_there_is(net_app: App) -> None:
    task = await Rpc(net_app).result(
        "SendMessage", {"message": message()}, Codin_Call=header({"deadline": NEVER, "budget": {"tokens": 10**15}})
    )
    assert task["task"]["artifacts"][0]["parts"][0]["text"] == f"{10**15} True 0"


async def test_limits_can_only_shrink_along_the_chain() -> None:
    net = Net()
    acts = {
        "a": net.passes_on("a", always("b"), budget=Budget(tokens=10**9), timeout=10**6),
        "b": net.passes_on("b", always("c"), budget=Budget(tokens=50, money=3.0), timeout=10**6),
        "c": net.passes_on("c", always("d"), budget=Budget(tokens=10**9, money=10**9)),
        "d": net.passes_on("d", always(None)),
    }
    given = CallLimits(("root@12345678",), soon(20), Budget(tokens=100))
    async with net.of(acts):
        assert (await net.send("a", limits=given)).text == "a b c d!"
    chain = [given, *(net.seen[name][0] for name in "abcd")]
    assert [limits.budget for limits in chain[1:]] == [
        Budget(tokens=100), Budget(tokens=100), Budget(50, 3.0), Budget(50, 3.0)
    ]  # fmt: skip
    for one, following in pairwise(chain):
        assert one.deadline is not None
        assert following.deadline is not None
        assert following.deadline <= one.deadline
        assert following.path[: len(one.path)] == one.path


async def test_limits_go_only_to_agents_that_declare_them() -> None:
    heard: list[dict[bytes, bytes]] = []

    async def act(task: Task) -> str:
        return "ok"

    app = App(Actor("b", act))
    card = a2a.AgentCard.from_json(app.endpoints[0].cards.render("http://b.test/").body)
    plain = card.model_copy(deep=True)
    plain.capabilities.extensions = []

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        heard.append(dict(scope["headers"]))
        await app(scope, receive, send)

    transport = MemoryTransport({"b.test": listen})
    for shown in (card, plain):
        async with connect(shown, transport=transport) as peer:
            await peer.send("hi", limits=CallLimits(("a@12345678",)))
    await app.close()
    declared, silent = heard
    assert CallLimits.from_header(declared[b"codin-call"]) == CallLimits(("a@12345678",))
    assert a2a.CALL_EXTENSION.encode() in declared[b"a2a-extensions"]
    assert b"codin-call" not in silent
    assert a2a.CALL_EXTENSION.encode() not in silent.get(b"a2a-extensions", b"")


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["task", "message"])
async def test_a_run_ends_with_its_callers_time(reply: str) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def act(task: Task) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    app = App(Actor("act", act, reply=reply))
    with still() as clock:
        called = Rpc(app).call("SendMessage", {"message": message()}, Codin_Call=header({"deadline": soon(20)}))
        calling = asyncio.ensure_future(called)
        await begun.wait()
        await clock.advance(19.9)
        assert not stopped.is_set()
        await clock.advance(1)
        answer = await calling
    assert stopped.is_set()
    if reply == "task":
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_FAILED"
    else:
        assert "error" in answer
    await app.close()


async def test_runs_with_less_time_do_not_hold_up_the_others() -> None:
    """One alarm serves those with the server's own time, in order; the early ones must not disturb that order."""
    begun: list[asyncio.Event] = [asyncio.Event() for _ in range(4)]

    async def act(task: Task) -> str:
        begun[int(task.context_id)].set()
        await asyncio.Event().wait()
        return "never"

    app = App(Actor("act", act), limits=Limits(run_timeout=100))
    rpc = Rpc(app)

    def send(number: int, seconds: float | None) -> asyncio.Task[Any]:
        fields = {} if seconds is None else {"Codin_Call": header({"deadline": soon(seconds)})}
        params = {"message": message(contextId=str(number))}
        return asyncio.create_task(rpc.result("SendMessage", params, **fields))

    with still() as clock:
        long, early, other, late = runs = [send(0, None), send(1, 10), send(2, None), send(3, 6000)]
        for each in begun:
            await each.wait()
        await clock.advance(11)
        assert early.done()
        assert not any(run.done() for run in (long, other, late))
        await clock.advance(90)
        assert all(run.done() for run in runs)
    await asyncio.gather(*runs)
    await app.close()


# -- cancel ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["send", "stream"])
async def test_cancel_of_the_root_ends_the_leaf_three_hops_down(how: str) -> None:
    net, hanging, stopped = Net(), asyncio.Event(), asyncio.Event()

    async def leaf(task: Task) -> str:
        task.usage(input_tokens=7)
        hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    async def ignore(event: object) -> None:
        """Only that it streams matters."""

    options: dict[str, Any] = {"on_event": ignore} if how == "stream" else {}
    acts: dict[str, Act] = {
        "a": net.passes_on("a", always("b"), **options),
        "b": net.passes_on("b", always("c"), **options),
        "c": net.passes_on("c", always("leaf"), **options),
        "leaf": leaf,
    }
    async with net.of(acts), connect(net.urls["a"]) as root, asyncio.timeout(30):
        task = (await root.send("go", wait=False)).task
        assert task is not None
        await hanging.wait()
        ended = await root.cancel(task.id)
        await stopped.wait()
        assert ended.status.state is a2a.TaskState.CANCELED
        assert (ended.metadata or {})[USAGE_KEY] == {"input_tokens": 7}  # what it has cost is told all the same
        for name in ("b", "c", "leaf"):
            async with connect(net.urls[name]) as peer:
                assert [each.status.state async for each in peer.list()] == [a2a.TaskState.CANCELED]


# -- what is told and kept ---------------------------------------------------------------------------------------------


async def test_limits_are_a_private_entry_beside_the_message(net_app: App) -> None:
    store = MemoryStore()
    app = App(net_app.endpoints[0].agent, store=store)
    claim = {"path": ["a@12345678"], "deadline": soon(), "budget": {"tokens": 5}}
    task = (await Rpc(app).result("SendMessage", {"message": message()}, Codin_Call=header(claim)))["task"]
    entries = await store.read(Owner("", "act", "anonymous"), task["id"])
    assert [entry.kind for entry in entries] == ["input", "limits", "status", "artifact", "status"]
    assert CallLimits.from_claim(json.loads(entries[1].body)) == CallLimits.from_claim(claim)
    assert "12345678" not in str(task)
    await app.close()


async def test_a_refused_call_is_told_by_its_reason_and_without_names() -> None:
    net = Net()
    acts = {"secret": net.passes_on("secret", always("other")), "other": net.passes_on("other", always("secret"))}
    async with net.of(acts):
        async with connect(net.urls["other"]) as peer:
            await peer.send("hi")
        reply = await net.send("secret")
    said = (net.errors["secret"][0], reply.text)
    assert "CALL_CYCLE" in str(net.reasons)
    assert "other" not in said[1].replace("Another", "").replace("another", "")


async def test_a_name_without_anybody_who_knows_it() -> None:
    net = Net()

    async def act(task: Task) -> str:
        try:
            await task.call("translator", "hi")
        except CodinError as error:
            return str(error)
        return "?"

    async with net.of({"a": act}):
        said = (await net.send("a")).text
    assert "'translator' is no URL" in said
    assert "resolver=" in said


async def test_a_name_is_resolved() -> None:
    net, asked = Net(), list[str]()

    async def act(task: Task) -> str:
        return (await task.call("translator", task.text)).text

    async def translate(task: Task) -> AgentResponse:
        return AgentResponse.completed(f"oui {len(task.limits.path)}")

    async with on_sockets({"b": translate}) as urls, connect(urls["b"]) as peer:

        class Names:
            async def resolve(self, name: str) -> Any:
                asked.append(name)
                return peer

        async with net.of({"a": act}, resolver=Names()):
            assert (await net.send("a")).text == "oui 1"
    assert asked == ["translator"]
