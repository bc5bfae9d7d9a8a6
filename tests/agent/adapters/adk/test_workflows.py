"""Sequences, agents side by side, and graphs: who speaks when, and what the output is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk.agents import BaseAgent, InvocationContext
from google.adk.events import Event
from google.adk.workflow import START, Workflow
from pydantic import BaseModel

from codin.agent.adapters.adk import adapt
from tests.agent.adapters.adk.scripted import event, loop, parallel, sequence, speaker
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


async def test_agents_of_a_sequence_are_set_apart_by_a_blank_line() -> None:
    turn = await Desk(adapt(sequence(speaker("one", "First."), speaker("two", "Second.")))).send("go")
    assert (turn.text, "".join(turn.chunks)) == ("First.\n\nSecond.", "First.\n\nSecond.")


async def test_text_from_names_who_speaks() -> None:
    agent = adapt(sequence(speaker("one", "First."), speaker("two", "Second.")), text_from=["two"])
    assert (await Desk(agent).send("go")).text == "Second."


async def test_a_loop_says_each_round() -> None:
    agent = adapt(loop(speaker("one", "a", "b"), times=2))
    assert (await Desk(agent).send("go")).text == "a\n\nb"


class Duet(BaseAgent):
    """Says its pieces when it may."""

    pieces: list[str]
    mine: Any = None
    other: Any = None

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        for piece in self.pieces:
            await self.mine.wait()
            self.mine.clear()
            yield event(piece, author=self.name, branch=ctx.branch, partial=True)
            self.other.set()
        yield event("".join(self.pieces), author=self.name, branch=ctx.branch)
        self.other.set()


async def test_agents_that_stream_side_by_side_do_not_mix() -> None:
    left, right = asyncio.Event(), asyncio.Event()
    left.set()
    first = Duet(name="left", pieces=["a1 ", "a2 ", "a3"], mine=left, other=right)
    second = Duet(name="right", pieces=["b1 ", "b2 ", "b3"], mine=right, other=left)
    turn = await Desk(adapt(parallel(first, second))).send("go")
    assert turn.text == "a1 a2 a3\n\nb1 b2 b3"
    assert turn.chunks[0] == "a1 "  # the one whose turn it is streams


# -- graphs ----------------------------------------------------------------------------------------------------------


class Order(BaseModel):
    item: str
    count: int = 1


def upper(node_input: str) -> str:
    return node_input.upper()


def price(node_input: Order) -> dict[str, int]:
    return {"total": 3 * node_input.count}


async def test_the_output_of_a_graph_is_text_or_data() -> None:
    assert (await Desk(adapt(Workflow(name="w", edges=[(START, upper)]))).send("hi")).text == "HI"
    agent = adapt(Workflow(name="w", edges=[(START, price)], input_schema=Order))
    assert agent.input_schema is not None
    turn = await Desk(agent).send({"item": "cup", "count": 2})
    assert (turn.data, turn.text) == ({"total": 6}, "")


async def test_a_graph_says_why_an_input_does_not_fit() -> None:
    desk = Desk(adapt(Workflow(name="w", edges=[(START, price)], input_schema=Order)))
    for wrong in ("a cup", {"item": 1}):
        turn = await desk.send(wrong)
        assert (turn.state, "input schema" in turn.said) == ("REJECTED", True)


async def test_models_in_a_graph_stream_and_what_the_last_says_is_said_once() -> None:
    writer = speaker("writer", "One two.")
    turn = await Desk(adapt(Workflow(name="w", edges=[(START, upper, writer)]))).send("hi")
    assert turn.chunks == ["One ", "two."]


async def test_a_node_says_something_besides_its_output() -> None:
    async def tell(node_input: str) -> AsyncGenerator[Any, None]:
        yield event("Looking.")
        yield {"found": node_input}

    turn = await Desk(adapt(Workflow(name="w", edges=[(START, tell)]))).send("cup")
    assert (turn.text, turn.data) == ("Looking.", {"found": "cup"})


async def test_a_node_that_blocks_is_called_in_a_thread() -> None:
    def where(node_input: str) -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await Desk(adapt(Workflow(name="w", edges=[(START, where)]))).send("go")).data is False


async def test_outputs_inside_a_graph_are_not_its_output() -> None:
    inner = Workflow(name="inner", edges=[(START, upper)])

    def length(node_input: str) -> int:
        return len(node_input)

    turn = await Desk(adapt(Workflow(name="w", edges=[(START, inner, length)]))).send("abc")
    assert (turn.text, turn.data) == ("", 3)


async def test_a_structured_agent_at_the_end_gives_data() -> None:
    last = speaker("last", '{"item": "cup"}', output_schema=Order)
    turn = await Desk(adapt(Workflow(name="w", edges=[(START, upper, last)]))).send("hi")
    assert (turn.text, turn.data) == ("", {"item": "cup", "count": 1})


async def test_an_agent_in_task_mode_gives_what_it_finishes_with() -> None:
    agent = speaker("t", "Which item?", ("finish_task", {"item": "cup"}), mode="task", output_schema=Order)
    desk = Desk(adapt(agent))
    assert (await desk.send("order", context="k")).text == "Which item?"
    assert (await desk.send("a cup", context="k")).data == {"item": "cup", "count": 1}
