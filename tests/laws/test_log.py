"""Laws 1, 2, 3, 4 and 7: what a log is, whoever reads it and whenever."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.client._fold import Fold as ClientFold
from codin.task import Limits
from tests.laws.accumulate import accumulate, comparable, text_updates
from tests.laws.conftest import Stores, law
from tests.laws.loop import run
from tests.laws.program import Program, programs, texts
from tests.laws.world import ALICE, Plan, World

_some = st.integers(0, 5)
_cuts = st.none() | st.integers(0, 4)
_actions = st.one_of(
    st.tuples(st.just("turns"), st.integers(1, 12)),
    st.tuples(st.just("turns"), st.integers(1, 12)),
    st.tuples(st.just("send"), _some, st.sampled_from([None, "c", "c"]), _cuts),
    st.tuples(st.just("watch"), _some, _cuts),
    st.tuples(st.just("cut"), _some),
    st.tuples(st.just("resume"), _some, _cuts),
    st.tuples(st.just("answer"), _some, texts),
    st.tuples(st.just("cancel"), _some),
    st.just(("restart",)),
)
_beginning = st.tuples(st.just("send"), _some, st.just("c"), _cuts)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    agents = draw(st.lists(programs(), min_size=1, max_size=3))
    park_timeout = draw(st.sampled_from([0.0, 300.0]))
    return Plan(
        agents,
        [draw(_beginning), *draw(st.lists(_actions, max_size=12))],
        rhythm=draw(st.lists(st.integers(0, 3), max_size=4)),
        rerunnable=draw(st.booleans()),
        closing_update=draw(st.booleans()),
        limits=Limits(
            park_timeout=max(agent.park_timeout(park_timeout) for agent in agents),
            max_uncommitted=draw(st.sampled_from([0, 2, 1024])),
        ),
    )


Check = Callable[[World], Awaitable[None]]


def _hold(stores: Stores, plan: Plan, check: Check) -> None:
    async def example() -> None:
        store = stores.new()
        world = World(stores.kind, store, plan)
        await world.live()
        await check(world)
        await store.close()

    run(example, stores.kind.patience)


@law
@given(plan=plans())
def test_law_1_the_folded_log_is_what_a_live_subscriber_accumulated(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for watcher in filter(lambda each: each.seen, world.watchers):
            task = await world.get(watcher.task_id)
            assert comparable(accumulate(watcher.bodies)) == comparable(dict(task))

    _hold(stores, plan, check)


@law
@given(plan=plans())
def test_law_1_holds_for_our_own_client(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for watcher in filter(lambda each: each.seen, world.watchers):
            fold = ClientFold()
            for body in watcher.bodies:
                fold.apply(a2a.StreamResponse.from_json(body).value)
            assert fold.snapshot is not None
            task = json.dumps(await world.get(watcher.task_id))
            assert comparable(fold.snapshot.build().to_dict()) == comparable(a2a.Task.from_json(task).to_dict())

    _hold(stores, plan, check)


@law
@given(plan=plans())
def test_law_2_the_streamed_text_is_the_final_text(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for task_id in world.tasks:
            task = await world.get(task_id)
            bodies = [body for _, body in await world.public(task_id)]
            for artifact in task.get("artifacts", ()):
                if not artifact["artifactId"].startswith("text-"):
                    continue
                final = "".join(part["text"] for part in artifact["parts"])
                streamed, closing = text_updates(bodies, artifact["artifactId"])
                assert streamed in {final, ""}
                assert closing in {final, None}
                assert streamed or closing is not None

    _hold(stores, plan, check)


@pytest.mark.requirement("STREAM-ORDER")
@law
@given(plan=plans())
def test_law_3_a_stream_cut_anywhere_and_resumed_is_the_stream_that_was_not_cut(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for watcher in filter(lambda each: each.seen, world.watchers):
            whole = await world.public(watcher.task_id)
            begun = watcher.seen[0][0]
            assert watcher.events == [event for event in whole if event[0] > begun]
        for task_id in world.tasks:
            whole = await world.public(task_id)
            for cut in range(whole[-1][0] + 1):
                request = a2a.SubscribeToTaskRequest(id=task_id)
                subscription = await world.manager.subscribe(ALICE, request, cut)
                assert subscription.first is None
                rest = [(entry.number, entry.body) for entry in subscription.reader.take()]
                assert rest == [event for event in whole if event[0] > cut]
                assert subscription.reader.ended

    _hold(stores, plan, check)


@pytest.mark.requirement("STREAM-SAME-FOR-ALL", "STREAM-BROADCAST")
@law
@given(plan=plans())
def test_law_4_all_subscribers_see_the_same_entries_in_the_same_order(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for task_id in world.tasks:
            log = await world.log(task_id)
            assert [entry.number for entry in log] == list(range(1, len(log) + 1))
            whole = await world.public(task_id)
            for watcher in world.watchers:
                if watcher.task_id == task_id and watcher.events:
                    assert list(watcher.events) == whole[whole.index(watcher.events[0]) :]

    _hold(stores, plan, check)


@pytest.mark.requirement("STATE-NO-RETURN")
@law
@given(plan=plans())
def test_law_7_there_is_one_terminal_entry_and_nothing_public_after_it(stores: Stores, plan: Plan) -> None:
    async def check(world: World) -> None:
        for task_id in world.tasks:
            states = [
                json.loads(body).get("statusUpdate", {}).get("status", {}).get("state")
                for _, body in await world.public(task_id)
            ]
            terminal = [state is not None and a2a.TaskState(state).terminal for state in states]
            assert terminal.count(True) == 1
            assert terminal[-1]

    _hold(stores, plan, check)


@law
@given(plan=plans(), limit=st.integers(1, 5))
def test_the_feed_has_every_entry_once_and_in_the_order_of_the_commits(stores: Stores, plan: Plan, limit: int) -> None:
    async def check(world: World) -> None:
        seen: dict[str, list[int]] = {}
        positions: list[int] = []
        while commits := await world.store.feed(await world.store.cursor("push"), limit):
            for commit in commits:
                positions.append(commit.position)
                seen.setdefault(commit.task_id, []).extend(entry.number for entry in commit.entries)
            await world.store.advance("push", positions[-1])
        assert positions == sorted(set(positions))
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())
        for task_id in world.tasks:
            assert len(seen[task_id]) == len(await world.log(task_id))

    _hold(stores, plan, check)


@pytest.mark.parametrize("park_timeout", [0.0, 300.0])
def test_the_laws_see_something(stores: Stores, park_timeout: float) -> None:
    """The world is able to watch, ask, cancel and restart: a law about nothing would always hold."""
    steps = (("write", "a"), ("ask", "q"), ("write", "b"), ("breathe", 3))
    script = [("send", 0, "c", 1), ("send", 0, "c", None), ("turns", 30), ("watch", 0, None), ("restart",)]
    script.append(("resume", 0, None))
    plan = Plan([Program(steps, "nothing")], script, limits=Limits(park_timeout=park_timeout))

    async def check(world: World) -> None:
        assert len(world.tasks) == 2
        for task_id in world.tasks:
            task = await world.get(task_id)
            assert task["status"]["state"] == "TASK_STATE_COMPLETED"
            assert task["artifacts"][0]["parts"] == [{"text": "a[re q]b"}]
        assert len(world.watchers[0].events) >= 4

    _hold(stores, plan, check)
