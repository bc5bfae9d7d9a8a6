"""What every framework does with a remote agent as its tool: `scenarios` parametrises a test by all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from codin.agent import Agent
from codin.client import Peer
from codin.task import MemoryStore
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.translator import Translator

__all__ = ["Outward", "Scenario", "a_refusal_is_the_result_in_words", "made_of", "scenarios"]

T = TypeVar("T")


async def made_of(target: Peer | str, make: Callable[[Any], T]) -> T:
    """What `make` makes of it. A URL's card is fetched at once, and the event loop that serves it must turn then."""
    return await asyncio.to_thread(make, target) if isinstance(target, str) else make(target)


@dataclass(frozen=True)
class Outward:
    """An agent of a framework that has the translator as its tool.

    Args:
        agent: as codin serves it.
        calls: what it has to be sent to call the tool with a request; by default what the local model understands.
        tells: what it says of the tool's result.
    """

    agent: Agent
    peer: Peer
    translator: Translator
    model: ModelServer
    calls: str = 'call translator {{"request": "{}"}}'
    tells: str = "The tool said {}"


Scenario = Callable[[Outward], Coroutine[Any, Any, None]]


async def its_answer_is_the_result(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        turn = await desk.send(case.calls.format("you"))
        assert (turn.state, turn.text) == ("COMPLETED", case.tells.format("bonjour you"))
        assert "".join(turn.chunks) == turn.text


async def a_refusal_is_the_result_in_words(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        turn = await desk.send(case.calls.format("refuse"))
        assert turn.text == case.tells.format("The agent did not finish (rejected): not today")


async def a_question_goes_up_and_the_answer_to_the_same_task(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        asked = await desk.send(case.calls.format("which"))
        assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
        assert asked.questions[0]["data"] == ["formal", "familiar"]
        done = await desk.send("formal", task=asked.task)
        assert (done.state, done.text) == ("COMPLETED", case.tells.format("formal: bonjour"))
    assert case.translator.heard == ["which"]
    assert [task.status.state.name async for task in case.peer.list()] == ["COMPLETED"]


async def two_questions_go_up_one_after_the_other(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        asked = await desk.send(case.calls.format("letter"))
        assert (asked.state, asked.said) == ("INPUT_REQUIRED", "Formal or familiar?")
        more = await desk.send("formal", task=asked.task)
        assert (more.state, more.said) == ("INPUT_REQUIRED", "How many lines?")
        assert more.questions[0]["schema"] == {"type": "integer"}
        done = await desk.send("2", task=asked.task)
        assert (done.state, done.text) == ("COMPLETED", case.tells.format("formal, 2 lines"))
    assert case.translator.heard == ["letter"]


async def a_credential_is_asked_for_that_no_model_and_no_log_sees(case: Outward) -> None:
    store = MemoryStore()
    async with Desk(case.agent, store) as desk:
        asked = await desk.send(case.calls.format("secret"))
        assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
        done = await desk.send("hunter2", task=asked.task)
        assert done.text == case.tells.format("7 letters")
        assert "hunter2" not in str(case.model.requests)
        assert "hunter2" not in str((await desk.get(asked.task)).to_dict())
        assert not any(b"hunter2" in entry.body for commit in await store.feed(0) for entry in commit.entries)


async def a_cancel_goes_down(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        async with asyncio.timeout(30):
            task = await desk.begin(case.calls.format("hang"))
            await case.translator.stuck.wait()
            assert (await desk.cancel(task)).status.state.name == "CANCELED"
            await case.translator.stopped.wait()
    assert [task.status.state.name async for task in case.peer.list()] == ["CANCELED"]


async def a_cancel_goes_down_to_an_agent_that_has_asked(case: Outward) -> None:
    async with Desk(case.agent) as desk:
        asked = await desk.send(case.calls.format("which"))
        (waiting,) = [task async for task in case.peer.list()]
        assert (asked.state, waiting.status.state.name) == ("INPUT_REQUIRED", "INPUT_REQUIRED")
        assert (await desk.cancel(asked.task)).status.state.name == "CANCELED"
    assert (await case.peer.get(waiting.id)).status.state.name == "CANCELED"


async def a_cancel_after_a_restart_goes_down_to_it(case: Outward) -> None:
    store = MemoryStore()
    async with Desk(case.agent, store) as desk:
        asked = await desk.send(case.calls.format("which"))
    assert [task.status.state.name async for task in case.peer.list()] == ["INPUT_REQUIRED"]
    async with Desk(case.agent, store) as desk:
        assert (await desk.cancel(asked.task)).status.state.name == "CANCELED"
    assert [task.status.state.name async for task in case.peer.list()] == ["CANCELED"]


_ALL: Sequence[Scenario] = (
    its_answer_is_the_result,
    a_refusal_is_the_result_in_words,
    a_question_goes_up_and_the_answer_to_the_same_task,
    two_questions_go_up_one_after_the_other,
    a_credential_is_asked_for_that_no_model_and_no_log_sees,
    a_cancel_goes_down,
    a_cancel_goes_down_to_an_agent_that_has_asked,
    a_cancel_after_a_restart_goes_down_to_it,
)


def scenarios(*, but: Sequence[Scenario] = ()) -> pytest.MarkDecorator:
    """Parametrises a test by `scenario`."""
    chosen = [scenario for scenario in _ALL if scenario not in but]
    return pytest.mark.parametrize("scenario", chosen, ids=lambda scenario: scenario.__name__)
