"""Cancel: the model's connection is closed, nothing starts any more, and no other run notices."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from crewai import BaseLLM, Flow
from crewai.events import LLMStreamChunkEvent
from crewai.events.stream_context import add_stream_sink
from crewai.flow import listen, start
from crewai.tools import BaseTool
from pydantic import Field

from codin import a2a
from codin.agent.adapters.crewai import adapt
from codin.task import Limits
from codin.testing import ModelServer
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.desk import Desk
from tests.server.clock import pass_time

pytestmark = pytest.mark.anyio


class Gate(BaseTool):
    """A tool that blocks until it is let go."""

    name: str = "gate"
    description: str = "Wait."
    entered: Any = None
    opened: Any = None

    def _run(self, n: int) -> str:
        self.entered.set()
        assert self.opened.wait(60)
        return "open"


class Stubborn(BaseLLM):
    """A model of the user's own that blocks, and knows nothing of async."""

    entered: Any = None
    opened: Any = None
    calls: list[Any] = Field(default_factory=list)

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self.calls.append(messages)
        self.entered.set()
        assert self.opened.wait(60)
        return "late"

    def get_context_window_size(self) -> int:
        return 100_000


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 60)


def in_a_flow(make: Callable[[], Any]) -> Any:
    class Nested(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return make()

        @listen(work)
        def never(self, result: Any) -> str:
            raise AssertionError("the next step began")

    return Nested()


KINDS: dict[str, Callable[[Any], Any]] = {
    "crew": lambda llm: crew_of(llm, "hang on", "never"),
    "agent": helper,
    "crew in a flow": lambda llm: in_a_flow(lambda: crew_of(llm, "hang on", "never").kickoff()),
    "agent in a flow": lambda llm: in_a_flow(lambda: helper(llm).kickoff("hang on")),
    "tasks at once": lambda llm: crew_of(llm, "hang on", async_execution=True),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_call_of_the_model_is_dropped_and_nothing_follows(model: ModelServer, llm: Any, kind: str) -> None:
    desk = Desk(adapt(KINDS[kind](llm)))
    task = await desk.begin("hang on")
    async with asyncio.timeout(60):
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert canceled.status.state is a2a.TaskState.CANCELED
    assert (await Desk(adapt(crew_of(llm))).send("after")).text == "You said after"
    assert (model.dropped, len(model.requests)) == (1, 2)


async def test_a_method_that_awaits_its_model_is_stopped_too(model: ModelServer, llm: Any) -> None:
    class Direct(Flow[dict[str, Any]]):
        @start()
        async def work(self) -> Any:
            return await llm.acall("hang on")

    llm.stream = True
    desk = Desk(adapt(Direct()))
    task = await desk.begin("go")
    async with asyncio.timeout(60):
        await model.stuck.wait()
        await desk.cancel(task)
        await model.drop.wait()
    assert model.dropped == 1


async def test_a_model_that_a_method_blocks_on_is_dropped_at_its_next_piece(model: ModelServer, llm: Any) -> None:
    heard, canceled = threading.Event(), threading.Event()
    pieces: list[str] = []

    def hear(source: Any, event: Any) -> None:
        """Called before the next piece is read."""
        if isinstance(event, LLMStreamChunkEvent):
            pieces.append(event.chunk)
            heard.set()
            assert canceled.wait(60)

    class Direct(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            add_stream_sink(hear)
            return llm.call("hang on")

    llm.stream = True
    desk = Desk(adapt(Direct()))
    task = await desk.begin("go")
    await happens(heard)
    await desk.cancel(task)
    canceled.set()
    async with asyncio.timeout(60):
        await model.drop.wait()
    assert (model.dropped, pieces) == (1, ["Let "])


async def test_another_run_of_the_same_crew_goes_on(model: ModelServer, llm: Any) -> None:
    gate = Gate(entered=threading.Event(), opened=threading.Event())
    desk = Desk(adapt(crew_of(llm, tools=[gate])))
    other = asyncio.create_task(desk.send('call gate {"n": 1}'))
    await happens(gate.entered)
    task = await desk.begin("hang on")
    async with asyncio.timeout(60):
        await model.stuck.wait()
        await desk.cancel(task)
        await model.drop.wait()
    gate.opened.set()
    assert (await other).text == "The tool said open"
    assert model.dropped == 1


async def test_a_tool_runs_to_its_end_and_the_model_is_not_called_again(model: ModelServer, llm: Any) -> None:
    gate = Gate(entered=threading.Event(), opened=threading.Event())
    desk = Desk(adapt(crew_of(llm, tools=[gate])))
    task = await desk.begin('call gate {"n": 1}')
    await happens(gate.entered)
    canceled = await desk.cancel(task)
    assert canceled.status.state is a2a.TaskState.CANCELED
    gate.opened.set()
    await desk.send("after")
    assert [request["messages"][-1]["role"] for request in model.requests] == ["user", "user"]


async def test_a_model_of_the_user_s_own_ends_by_itself_and_nothing_follows() -> None:
    slow = Stubborn(model="mine", entered=threading.Event(), opened=threading.Event())
    desk = Desk(adapt(crew_of(slow, "one", "two")))
    task = await desk.begin("go")
    await happens(slow.entered)
    canceled = await desk.cancel(task)
    assert canceled.status.state is a2a.TaskState.CANCELED
    slow.opened.set()
    await Desk(adapt(crew_of(Stubborn(model="mine", entered=threading.Event(), opened=slow.opened)))).send("after")
    assert len(slow.calls) == 1


async def test_the_end_of_its_time_stops_a_run_like_a_cancel(model: ModelServer, llm: Any) -> None:
    desk = Desk(adapt(crew_of(llm, "hang on", "never")), limits=Limits(run_timeout=40.0))
    sent = asyncio.create_task(desk.send("go"))
    async with asyncio.timeout(120):
        await model.stuck.wait()
        pass_time(40.0)
        turn = await sent
        await model.drop.wait()
    assert turn.state == "FAILED"
    assert len(model.requests) == 1
