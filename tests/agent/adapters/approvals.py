"""What frameworks do whose tools wait for approval: `scenarios` parametrises a test by all of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codin.agent import Agent
from codin.task import open_store
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.desk import Desk, Turn

__all__ = ["WIPE", "Approving", "Scenario", "scenarios"]

WIPE = 'call wipe {"path": "/x"}'


@dataclass(frozen=True)
class Approving:
    """An agent of a framework with the tools `wipe(path)`, which needs approval, and `add(a, b)`, which does not.

    Args:
        make: the agent as codin serves it; `wipe` appends its path to the list and gives "wiped PATH".
        denied: what the framework tells the model of a no without a reason.
    """

    make: Callable[[list[str]], Agent]
    model: ModelServer
    folder: Path
    denied: str


Scenario = Callable[[Approving], Coroutine[Any, Any, None]]


async def a_call_is_a_readable_question(case: Approving) -> None:
    turn = await Desk(case.make([])).send(WIPE)
    (question,) = turn.questions
    assert (turn.state, turn.said) == ("INPUT_REQUIRED", 'Approve wipe(path="/x")?')
    assert question["value"] == {"tool": "wipe", "args": {"path": "/x"}}
    assert question["schema"]["anyOf"][0] == {"type": "boolean"}


async def a_yes_runs_the_tool(case: Approving) -> None:
    for answer in ("yes", "OK.", True, {"approved": True}):
        wiped: list[str] = []
        desk = Desk(case.make(wiped))
        asked = await desk.send(WIPE)
        assert wiped == []
        done = await desk.send(answer, task=asked.task)
        assert (done.state, done.text, wiped) == ("COMPLETED", "The tool said wiped /x", ["/x"]), answer


async def a_no_tells_the_model_why(case: Approving) -> None:
    denials = ("no", case.denied), (False, case.denied)
    reasons = ("no, not today", "not today"), ({"approved": False, "message": "not today"}, "not today")
    for answer, reason in (*denials, *reasons):
        wiped: list[str] = []
        desk = Desk(case.make(wiped))
        asked = await desk.send(WIPE)
        done = await desk.send(answer, task=asked.task)
        assert (done.state, done.text, wiped) == ("COMPLETED", f"The tool said {reason}", []), answer


async def what_is_neither_yes_nor_no_is_asked_again(case: Approving) -> None:
    wiped: list[str] = []
    desk = Desk(case.make(wiped))
    asked = await desk.send(WIPE)
    again = await desk.send("whatever", task=asked.task)
    assert again.state == "INPUT_REQUIRED"
    assert again.said.endswith('\nApprove wipe(path="/x")?')
    assert (await desk.send("yes", task=again.task)).state == "COMPLETED"
    assert wiped == ["/x"]


async def several_questions_are_answered_by_their_ids(case: Approving) -> None:
    case.model.answer = _busy
    wiped: list[str] = []
    desk = Desk(case.make(wiped))
    asked = await desk.send("go")
    first, second = _ids(asked)
    assert f'- {first}: Approve wipe(path="/x")?' in asked.said
    unclear = await desk.send("yes", task=asked.task)
    assert unclear.said.startswith("It is not clear which question this answers.")
    half = await desk.send({first: True}, task=asked.task)
    assert (half.state, half.said.splitlines()[0]) == ("INPUT_REQUIRED", "Please answer all of them at once.")
    done = await desk.send({first: "yes", second: "no, keep it"}, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "2 | wiped /x | keep it", ["/x"])


async def a_question_after_a_question_goes_on_with_the_same_task(case: Approving) -> None:
    case.model.answer = _twice
    desk = Desk(case.make([]))
    turn = await desk.send("go", context="k")
    for _ in range(2):
        assert turn.state == "INPUT_REQUIRED"
        turn = await desk.send("yes", task=turn.task)
    assert turn.text == "wiped /0 | wiped /1"
    rounds = ["user", *["assistant", "tool"] * 2]
    assert _roles(case.model) == rounds
    await desk.send("and now?", context="k")
    assert _roles(case.model) == [*rounds, "assistant", "user"]


async def an_answer_after_a_restart_finds_its_question(case: Approving) -> None:
    case.model.answer = _busy
    wiped: list[str] = []
    store = open_store(f"sqlite:///{case.folder}/tasks.db")
    desk = Desk(case.make(wiped), store)
    asked = await desk.send("go")
    await desk.close()
    await store.close()
    store = open_store(f"sqlite:///{case.folder}/tasks.db")
    desk = Desk(case.make(wiped), store)
    done = await desk.send(dict.fromkeys(_ids(asked), True), task=asked.task)
    await desk.close()
    await store.close()
    assert (done.state, done.text, sorted(wiped)) == ("COMPLETED", "2 | wiped /x | wiped /y", ["/x", "/y"])


async def the_usage_of_an_answer_is_that_of_its_run(case: Approving) -> None:
    desk = Desk(case.make([]))
    asked = await desk.send(WIPE)
    done = await desk.send("yes", task=asked.task)
    assert (asked.usage["input_tokens"], done.usage["input_tokens"]) == (10, 30)


async def a_canceled_question_is_forgotten(case: Approving) -> None:
    desk = Desk(case.make([]))
    asked = await desk.send(WIPE, context="k")
    await desk.cancel(asked.task)
    await desk.send("hello", context="k")
    assert [message["content"] for message in case.model.requests[-1]["messages"]] == ["hello"]


_ALL: Sequence[Scenario] = (
    a_call_is_a_readable_question,
    a_yes_runs_the_tool,
    a_no_tells_the_model_why,
    what_is_neither_yes_nor_no_is_asked_again,
    several_questions_are_answered_by_their_ids,
    a_question_after_a_question_goes_on_with_the_same_task,
    an_answer_after_a_restart_finds_its_question,
    the_usage_of_an_answer_is_that_of_its_run,
    a_canceled_question_is_forgotten,
)

scenarios = pytest.mark.parametrize("scenario", _ALL, ids=lambda scenario: scenario.__name__)


def _busy(body: Body) -> ModelAnswer:
    """Calls two tools that wait and one that does not, and then tells all results."""
    results = _results(body)
    calls = [("add", {"a": 1, "b": 1}), ("wipe", {"path": "/x"}), ("wipe", {"path": "/y"})]
    return ModelAnswer(" | ".join(results)) if results else ModelAnswer("", calls)


def _twice(body: Body) -> ModelAnswer:
    """Calls a tool that waits, and once more, and then tells both results."""
    results = _results(body)
    if len(results) == 2:
        return ModelAnswer(" | ".join(results))
    return ModelAnswer(calls=[("wipe", {"path": f"/{len(results)}"})])


def _results(body: Body) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]


def _roles(model: ModelServer) -> list[str]:
    return [message["role"] for message in model.requests[-1]["messages"]]


def _ids(turn: Turn) -> list[str]:
    return [question["id"] for question in turn.questions]
