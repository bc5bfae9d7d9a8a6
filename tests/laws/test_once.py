"""Law 6: an `Idempotency-Key` and a body make one turn; a repeat gets its answer or stream; another body is refused."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.task import Limits, TaskManager, Turn
from codin.trust import Caller
from tests.laws.conftest import Stores, law
from tests.laws.loop import run
from tests.laws.program import Program, programs
from tests.laws.world import ALICE, Plan, Watcher, World, request

BOB = Caller("bob")


@dataclass(frozen=True)
class Send:
    """One request. Two of them are the same when key, body and caller are."""

    key: str
    body: str
    caller: Caller = ALICE
    streaming: bool = False

    async def submit(self, manager: TaskManager, task_id: str | None = None) -> Turn:
        sent = request(self.body, task_id=task_id)
        return await manager.submit(self.caller, sent, streaming=self.streaming, key=self.key)


@dataclass(frozen=True)
class Answered:
    """What a request got: the turn's place, its beginning, its outcome and its events."""

    task_id: str
    number: int
    outcome: Mapping[str, Any]
    events: Sequence[tuple[int, bytes]] | None


async def _answered(turn: Turn, streaming: bool) -> Answered:
    watcher = Watcher(turn.log.task_id)
    outcome = json.loads(await turn.outcome())
    open_ended = outcome["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"  # the stream goes on, the turn has rested
    if streaming and not open_ended:
        await watcher.read(await turn.stream())
    return Answered(turn.log.task_id, turn.number, outcome, watcher.seen or None)


def _alike(answers: Sequence[Answered]) -> bool:
    """Whether all got the same answer, and those that streamed the same stream."""
    places = [(answer.task_id, answer.number, answer.outcome) for answer in answers]
    streams = [answer.events for answer in answers if answer.events is not None]
    return places.count(places[0]) == len(places) and all(events == streams[0] for events in streams)


sends = st.builds(
    Send, st.sampled_from(["k1", "k2"]), st.sampled_from(["0", "1"]), st.sampled_from([ALICE, BOB]), st.booleans()
)
_actions = st.one_of(sends, sends, st.integers(1, 10), st.just("restart"))


class Counter:
    """Where the requests are made, and what they got, by caller and key."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.taken: dict[tuple[str, str], dict[str, list[Answered]]] = defaultdict(lambda: defaultdict(list))
        self.refused: list[Send] = []
        self._requests: list[asyncio.Task[None]] = []

    async def act(self, action: Send | int | str) -> None:
        """Begin a request, let the world turn, or let the process die."""
        if isinstance(action, Send):
            self._requests.append(asyncio.create_task(self.one(action)))
        elif isinstance(action, int):
            for _ in range(action):
                await self.world.process.turn()
        else:
            await self.world.restart()  # whoever waited for an answer gets none
            self._requests.clear()

    async def one(self, send: Send) -> None:
        try:
            answer = await _answered(await send.submit(self.world.manager), send.streaming)
        except a2a.IdempotencyConflict:
            self.refused.append(send)
        else:
            self.taken[send.caller.id, send.key][send.body].append(answer)

    async def close(self) -> None:
        await asyncio.gather(*self._requests)


@pytest.mark.requirement("SEND-ONCE")
@law
@given(
    programs=st.lists(programs(max_steps=5), min_size=2, max_size=2),
    script=st.lists(_actions, min_size=2, max_size=10),
    rhythm=st.lists(st.integers(0, 3), max_size=4),
    park_timeout=st.sampled_from([0.0, 300.0]),
)
def test_law_6_a_key_makes_one_turn(
    stores: Stores, programs: list[Program], script: list[Send | int | str], rhythm: list[int], park_timeout: float
) -> None:
    async def example() -> None:
        store = stores.new()
        limits = Limits(park_timeout=max(program.park_timeout(park_timeout) for program in programs))
        world = World(stores.kind, store, Plan(programs, [("restart",)], rhythm, limits=limits))
        await world.manager.start()
        counter = Counter(world)
        for action in script:
            await counter.act(action)
        await counter.close()
        for send in filter(lambda action: isinstance(action, Send), script):
            assert isinstance(send, Send)
            await counter.one(send)  # and once more, now that it is over
        for bodies in counter.taken.values():
            ((_, answers),) = bodies.items()
            assert _alike(answers)
        assert all(send.body not in counter.taken[send.caller.id, send.key] for send in counter.refused)
        for caller in (ALICE, BOB):
            page = a2a.ListTasksResponse.from_json(await world.manager.list(caller, a2a.ListTasksRequest()))
            assert page.total_size == len([owner for owner, _ in counter.taken if owner == caller.id])
        await store.close()

    run(example, stores.kind.patience)


@law
@given(
    answers=st.lists(st.sampled_from(["yes", "no"]), min_size=1, max_size=3),
    rest=programs(max_steps=3),
    turns=st.lists(st.integers(0, 10), min_size=3, max_size=3),
    restart=st.booleans(),
    park_timeout=st.sampled_from([0.0, 300.0]),
    pause=st.booleans(),
)
def test_law_6_holds_for_answers(
    stores: Stores,
    answers: list[str],
    rest: Program,
    turns: list[int],
    restart: bool,
    park_timeout: float,
    pause: bool,
) -> None:
    """Answers that arrive at once and again with one key are one answer, while the task works and when it has ended."""
    question = ("pause" if pause else "ask", "q")
    program = Program((("write", "a"), question, *rest.steps), rest.ending)

    async def example() -> None:
        store = stores.new()
        plan = Plan([program], [("restart",)], limits=Limits(park_timeout=program.park_timeout(park_timeout)))
        world = World(stores.kind, store, plan)
        first = await Send("first", "0").submit(world.manager)
        task_id = first.log.task_id
        asked = await _answered(first, streaming=False)
        if restart:
            await world.restart()

        async def one(text: str, wait: int) -> tuple[str, Answered | None]:
            for _ in range(wait):
                await world.process.turn()
            try:
                turn = await Send("answer", text, streaming=True).submit(world.manager, task_id)
                return text, await _answered(turn, streaming=True)
            except a2a.IdempotencyConflict:
                return text, None

        got = await asyncio.gather(*map(one, answers, turns))
        accepted = {text for text, answer in got if answer is not None}
        assert len(accepted) == 1
        await world.finish(task_id)
        again = [await one(text, 0) for text in answers]
        results = [answer for _, answer in [*got, *again] if answer is not None]
        assert _alike(results)
        assert {text for text, answer in again if answer is not None} == accepted
        assert await _answered(await Send("first", "0").submit(world.manager), streaming=False) == asked
        said = [entry.body for entry in await world.log(task_id) if entry.kind == "input"]
        assert sum(b'"yes"' in body or b'"no"' in body for body in said) == 1
        await store.close()

    run(example, stores.kind.patience)
