"""Law 5: an unknown id and another owner's id answer alike, in every method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.agent import agent
from codin.errors import CodinError
from codin.server import App
from codin.task import Limits, Task, TaskManager
from codin.trust import Access, AnyOf, ApiKeys, BearerTokens, Caller, Rule, SigningKey, TrustStore, identity_of, mint
from tests.laws.conftest import Stores, law
from tests.laws.loop import run
from tests.laws.program import Program, programs
from tests.laws.world import ALICE, Plan, World, request

STRANGERS = [Caller("bob"), Caller("alice", tenant="acme"), Caller("bob", tenant="acme")]
METHODS = [
    "get",
    "cancel",
    "subscribe",
    "subscribe after",
    "subscribe beyond",
    "send",
    "send elsewhere",
    "stream",
    "once",
]

_actions = st.one_of(
    st.tuples(st.just("turns"), st.integers(1, 20)),
    st.tuples(st.just("watch"), st.just(0), st.none()),
    st.tuples(st.just("answer"), st.just(0), st.just("7")),
    st.tuples(st.just("cancel"), st.just(0)),
    st.just(("restart",)),
)


def _plan(program: Program, script: list[tuple[object, ...]], park_timeout: float) -> Plan:
    script = [("send", 0, "c", None), ("turns", 12), *script, ("turns", 12)]
    return Plan([program], script, limits=Limits(park_timeout=program.park_timeout(park_timeout)))


async def _answer(work: Awaitable[object], task_id: str) -> Mapping[str, object]:
    """Everything an error says, with the id that was asked for taken out."""
    with pytest.raises(CodinError) as caught:
        await work
    error = caught.value
    assert isinstance(error, a2a.A2AError)
    said = a2a.to_rpc_error(error)
    return {"type": type(error), "said": repr(said).replace(task_id, "<id>"), "after": error.retry_after}


def _ask(manager: TaskManager, stranger: Caller, method: str, task_id: str, key: str) -> Awaitable[object]:
    match method:
        case "get":
            return manager.get(stranger, a2a.GetTaskRequest(id=task_id))
        case "cancel":
            return manager.cancel(stranger, a2a.CancelTaskRequest(id=task_id))
        case "subscribe":
            return manager.subscribe(stranger, a2a.SubscribeToTaskRequest(id=task_id))
        case "subscribe after":
            return manager.subscribe(stranger, a2a.SubscribeToTaskRequest(id=task_id), 1)
        case "subscribe beyond":
            return manager.subscribe(stranger, a2a.SubscribeToTaskRequest(id=task_id), 10_000)
        case "send":
            return manager.submit(stranger, request("0", task_id=task_id))
        case "send elsewhere":
            return manager.submit(stranger, request("0", task_id=task_id, context_id="elsewhere"))
        case "stream":
            return manager.submit(stranger, request("0", task_id=task_id), streaming=True)
        case _:
            return manager.submit(stranger, request("0", task_id=task_id), key=key)


@pytest.mark.requirement("AUTH-NOT-REVEALED", "AUTH-SCOPED")
@law
@given(
    program=programs(),
    script=st.lists(_actions, max_size=4),
    park_timeout=st.sampled_from([0.0, 300.0]),
    stranger=st.sampled_from(STRANGERS),
    method=st.sampled_from(METHODS),
    other_agent=st.booleans(),
)
def test_law_5_another_owners_task_is_an_unknown_one(
    stores: Stores,
    program: Program,
    script: list[tuple[object, ...]],
    park_timeout: float,
    stranger: Caller,
    method: str,
    other_agent: bool,
) -> None:
    async def example() -> None:
        store = stores.new()
        world = World(stores.kind, store, _plan(program, script, park_timeout))
        await world.manager.start()
        await world.act()
        (task_id,) = world.tasks
        manager, caller = world.manager, stranger
        if other_agent:
            manager, caller = TaskManager(world.handle, world.process, agent="other"), ALICE
        theirs = await _answer(_ask(manager, caller, method, task_id, "key 1"), task_id)
        nobodys = await _answer(_ask(manager, caller, method, "id-0", "key 2"), "id-0")
        assert theirs == nobodys
        assert theirs["type"] is a2a.TaskNotFound
        listed = a2a.ListTasksResponse.from_json(await manager.list(caller, a2a.ListTasksRequest(context_id="c")))
        assert (listed.tasks, listed.total_size, listed.next_page_token) == ([], 0, "")
        await world.finish(task_id)
        assert len([entry for entry in await world.log(task_id) if entry.body.find(b"elsewhere") >= 0]) == 0
        await store.close()
        await store.close()

    run(example, stores.kind.patience)


def test_the_owner_gets_an_answer_in_every_method(stores: Stores) -> None:
    """What the law compares must be able to differ."""

    async def example() -> None:
        store = stores.new()
        world = World(stores.kind, store, _plan(Program((("ask", "q"), ("ask", "r")), "nothing"), [], 300.0))
        await world.manager.start()
        await world.act()
        (task_id,) = world.tasks
        for method in ("get", "subscribe", "subscribe after", "once", "cancel"):
            await _ask(world.manager, ALICE, method, task_id, "key")
        await store.close()

    run(example, stores.kind.patience)


# -- over HTTP, with authenticators ------------------------------------------------------------------------------------

OURS, FRIEND, EVIL = (SigningKey.generate() for _ in range(3))
OWNER = {"Authorization": "Bearer token-of-alice"}
_VARYING = {"content-length": "", "x-correlation-id": ""}  # the id that was asked for; the request's own name


@agent
async def oracle(task: Task) -> str:
    """Ask back."""
    return (await task.ask("what?")).text


def _stranger(kind: str) -> dict[str, str]:
    """The credential of somebody else, made anew: some count once."""
    match kind:
        case "token":
            return {"Authorization": "Bearer token-of-bob"}
        case "key":
            return {"X-API-Key": "key-of-bob"}
        case "agent":
            return {"Authorization": f"Bearer {mint(FRIEND, 'alice', identity_of('oracle', OURS.kid))}"}
        case "agent of our own":
            return {"Authorization": f"Bearer {mint(OURS, 'alice', identity_of('oracle', OURS.kid))}"}
        case "unknown agent":
            return {"Authorization": f"Bearer {mint(EVIL, 'alice', identity_of('oracle', OURS.kid))}"}
        case _:
            return {}


KNOWN = ["token", "key", "agent", "agent of our own"]
UNKNOWN = ["unknown agent", "nobody"]


def _server(access: Access | None = None) -> App:
    store = TrustStore()
    store.name("bob", FRIEND.public)
    ways = AnyOf(BearerTokens({"token-of-alice": "alice", "token-of-bob": "bob"}), ApiKeys({"key-of-bob": "bob"}))
    return App(oracle, authenticator=ways, keys=OURS, trust=store, access=access)


Ask = Callable[[App, Mapping[str, str], str, Mapping[str, Any]], Awaitable[httpx.Response]]


async def _post(app: App, headers: Mapping[str, str], method: str, params: Mapping[str, Any]) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        return await http.post("/", json=body, headers={"A2A-Version": "1.0", **headers})


async def _request(app: App, headers: Mapping[str, str], method: str, params: Mapping[str, Any]) -> httpx.Response:
    """The same over HTTP+JSON."""
    verb, path = a2a.ROUTES[method]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        return await http.request(
            verb,
            path.replace("{id}", params.get("id", "")),
            json=params if verb == "POST" else None,
            headers={"A2A-Version": "1.0", **headers},
        )


def _said(text: str, task_id: str | None = None) -> dict[str, Any]:
    named = {} if task_id is None else {"taskId": task_id}
    return {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **named}}


def _over_http(method: str, task_id: str) -> dict[str, Any]:
    return _said("x", task_id) if method.startswith("Send") else {"id": task_id}


@pytest.mark.requirement("AUTH-NOT-REVEALED")
@pytest.mark.anyio
@pytest.mark.parametrize("kind", KNOWN + UNKNOWN)
@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "SubscribeToTask", "SendMessage", "SendStreamingMessage"])
@pytest.mark.parametrize(("ask", "refused"), [(_post, 200), (_request, 404)], ids=["JSONRPC", "HTTP+JSON"])
async def test_whoever_asks_learns_nothing_of_a_task_that_is_not_theirs(
    kind: str, method: str, ask: Ask, refused: int
) -> None:
    """An agent that calls itself by the owner's name is one of them."""
    app = _server()
    task = (await _post(app, OWNER, "SendMessage", _said("x"))).json()["result"]["task"]
    answers: list[tuple[int, str, dict[str, str]]] = []
    for task_id in (task["id"], "nobodys-task"):
        response = await ask(app, _stranger(kind), method, _over_http(method, task_id))
        body = response.text.replace(task_id, "<id>")
        answers.append((response.status_code, body, {**response.headers, **_VARYING}))
    assert answers[0] == answers[1]
    assert answers[0][0] == (refused if kind in KNOWN else 401)
    assert ("TASK_NOT_FOUND" if kind in KNOWN else "UNAUTHENTICATED") in answers[0][1]
    listed = await ask(app, _stranger(kind), "ListTasks", {})
    assert task["id"] not in listed.text
    assert (await _post(app, OWNER, "GetTask", {"id": task["id"]})).json()["result"]["id"] == task["id"]
    await app.close()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KNOWN + UNKNOWN)
async def test_a_hidden_agent_tells_nothing_either(kind: str) -> None:
    app = _server(Access({"oracle": Rule(scopes="see", hidden=True)}, grants={"alice": "see"}))
    task = (await _post(app, OWNER, "SendMessage", _said("x"))).json()["result"]["task"]
    for method in ("GetTask", "CancelTask", "ListTasks", "SendMessage", "NoSuchMethod"):
        response = await _post(app, _stranger(kind), method, _over_http(method, task["id"]))
        assert (response.status_code, response.headers.get("www-authenticate")) == (404, None)
        assert response.json()["error"]["message"] == "nothing is here"
    await app.close()
