"""Law 11: a handler that is run again with the recorded answers reaches the same outcome."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from codin import a2a
from codin.task import Limits
from tests.laws.accumulate import comparable
from tests.laws.conftest import Stores, law
from tests.laws.loop import run
from tests.laws.program import Program, programs
from tests.laws.world import ALICE, Plan, World, request

_NUMBER = re.compile(r"(?<=-)\d+")
_TIMES = re.compile(rb'"timestamp":"[^"]*"')


class Told:
    """How a task went: its outcome, and the public entries without their times."""

    def __init__(self, task: Mapping[str, Any], entries: Sequence[bytes]) -> None:
        self.entries = [_TIMES.sub(b'"timestamp":""', body) for body in entries]
        outcome = comparable(dict(task))
        message = outcome["status"].get("message", {})
        self.outcome = {
            "state": outcome["status"]["state"],
            "says": message.get("parts"),
            # An id that codin makes has the number of the turn's first entry, and a credential may be asked for twice.
            "artifacts": [{**each, "artifactId": _NUMBER.sub("", each["artifactId"])} for each in outcome["artifacts"]],
            "metadata": outcome["metadata"],
        }


async def _tell(stores: Stores, program: Program, restarts: Sequence[bool], limits: Limits) -> Told:
    """Let a task run, answer whatever it asks, and let the process die before answering as `restarts` says."""
    store = stores.new()
    world = World(stores.kind, store, Plan([program], [("restart",)], limits=limits))
    turn = await world.manager.submit(ALICE, request("0"))
    await turn.outcome()
    task_id = turn.log.task_id
    remaining = iter(restarts)
    while not a2a.TaskState((await world.get(task_id))["status"]["state"]).terminal:
        if next(remaining, False):
            await world.restart()
        await world.answer(task_id)
    told = Told(await world.get(task_id), [body for _, body in await world.public(task_id)])
    await store.close()
    return told


@law
@given(
    program=programs(max_steps=12),
    restarts=st.lists(st.booleans(), min_size=1, max_size=6).filter(any),
    max_uncommitted=st.sampled_from([0, 1024]),
)
def test_law_11_a_run_that_was_taken_up_again_ends_like_one_that_was_not(
    stores: Stores, program: Program, restarts: list[bool], max_uncommitted: int
) -> None:
    async def example() -> None:
        limits = Limits(max_uncommitted=max_uncommitted)
        calm = await _tell(stores, program, (), limits)
        stormy = await _tell(stores, program, restarts, limits)
        assert stormy.outcome == calm.outcome
        if not any(step[0] == "authorize" for step in program.steps):  # else the credential is asked for again
            assert stormy.entries == calm.entries
        event(f"asks: {sum(step[0] in {'ask', 'schema', 'authorize'} for step in program.steps)}")

    run(example, stores.kind.patience)


@law
@given(program=programs(max_steps=12), answers_late=st.integers(0, 3))
def test_law_11_holds_when_only_the_coroutine_is_let_go(stores: Stores, program: Program, answers_late: int) -> None:
    async def example() -> None:
        store = stores.new()
        world = World(stores.kind, store, Plan([program], limits=Limits(park_timeout=program.park_timeout(0.0))))
        turn = await world.manager.submit(ALICE, request("0"))
        await turn.outcome()
        while not a2a.TaskState((await world.get(turn.log.task_id))["status"]["state"]).terminal:
            for _ in range(answers_late):
                await world.process.turn()
            await world.answer(turn.log.task_id)
        told = Told(await world.get(turn.log.task_id), [])
        await store.close()
        assert told.outcome == (await _tell(stores, program, (), Limits())).outcome

    run(example, stores.kind.patience)


def test_restarts_happen_where_the_law_looks(stores: Stores) -> None:
    """Text before, between and behind questions is joined, and nothing is written twice."""
    steps = (
        ("write", "a"), ("artifact", None, "x", False), ("ask", "one"), ("write", "b"), ("schema", "two"),
        ("usage", 2), ("authorize", "three"), ("write", "c"), ("ask", "four"), ("write", "d"),
    )  # fmt: skip

    async def example() -> None:
        calm = await _tell(stores, Program(steps, "text"), (), Limits())
        stormy = await _tell(stores, Program(steps, "text"), [True] * 5, Limits())
        texts = [artifact for artifact in stormy.outcome["artifacts"] if artifact["artifactId"].startswith("text-")]
        assert texts[0]["parts"] == [{"text": "a[re one]b<7>{14}c[re four]d"}]
        assert stormy.outcome == calm.outcome
        asked = [json.loads(body).get("statusUpdate", {}) for body in stormy.entries]
        states = [update["status"]["state"] for update in asked if update]
        assert states.count("TASK_STATE_AUTH_REQUIRED") == 2  # asked for, forgotten, asked for again
        assert states[-1] == "TASK_STATE_COMPLETED"

    run(example, stores.kind.patience)
