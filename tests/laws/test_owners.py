"""Law 5: an unknown id and another owner's id answer alike, in every method."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.errors import CodinError
from codin.task import Limits, TaskManager
from codin.trust import Caller
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
