"""Calls that wait for a person, and INPUT_REQUIRED: readable questions, answered in plain text or data."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk.agents.context import Context
from google.adk.events import RequestInput
from google.adk.tools import FunctionTool, LongRunningFunctionTool, ToolContext
from google.adk.tools import request_input as ask_by_model
from google.adk.workflow import START, JoinNode, Workflow, node
from pydantic import BaseModel

from codin.agent.adapters.adk import adapt
from tests.agent.adapters.adk.scripted import Scripted, ask_human, event, parallel, request, sequence, speaker
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio

QUESTION = ("ask_human", {"question": "What colour?"})


def heard(agent: Any) -> list[Any]:
    """What tools gave to the model of an agent, as it was last asked."""
    assert isinstance(agent.model, Scripted)
    parts = [part for content in agent.model.heard[-1] for part in content.parts or []]
    return [part.function_response.response for part in parts if part.function_response]


def wipe(path: str) -> str:
    """Delete a path."""
    return f"wiped {path}"


careful = FunctionTool(wipe, require_confirmation=True)


async def test_a_long_running_tool_asks_and_plain_text_is_its_result() -> None:
    agent = speaker("c", QUESTION, "Painted.", tools=[ask_human])
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "What colour?")
    (question,) = asked.questions
    assert question["value"] == {"tool": "ask_human", "args": {"question": "What colour?"}}
    done = await desk.send("red", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "Painted.")
    assert heard(agent) == [{"result": "red"}]  # the tool got it; no new turn was made of it


async def test_data_is_the_result_as_it_is() -> None:
    agent = speaker("c", QUESTION, tools=[ask_human])
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    await desk.send({"red": 1, "blue": 2}, task=asked.task)
    assert heard(agent) == [{"red": 1, "blue": 2}]


async def test_what_adk_s_own_a2a_client_waits_for_is_readable() -> None:
    def mock_function_call_for_required_user_input(input_required: str) -> None:
        """What `RemoteA2aAgent` makes of a question."""

    tool = LongRunningFunctionTool(mock_function_call_for_required_user_input)
    agent = speaker("c", (tool.name, {"input_required": "Which cup?"}), tools=[tool])
    assert (await Desk(adapt(agent)).send("go")).said == "Which cup?"


async def test_a_long_running_tool_without_a_question_is_shown_as_the_call() -> None:
    def approve(amount: int) -> None:
        """Have it approved."""

    agent = speaker("c", ("approve", {"amount": 5}), tools=[LongRunningFunctionTool(approve)])
    assert (await Desk(adapt(agent)).send("go")).said == 'approve({"amount":5})'


async def test_a_long_running_tool_that_says_something_itself_asks_nobody() -> None:
    def ticket() -> dict[str, str]:
        """Open a ticket."""
        return {"status": "open"}

    agent = speaker("c", ("ticket", {}), "It is open.", tools=[LongRunningFunctionTool(ticket)])
    turn = await Desk(adapt(agent)).send("go")
    assert (turn.state, turn.text) == ("COMPLETED", "It is open.")


async def test_two_questions_one_after_the_other() -> None:
    agent = speaker("c", QUESTION, ("ask_human", {"question": "What size?"}), "Done.", tools=[ask_human])
    desk = Desk(adapt(agent))
    first = await desk.send("cup")
    second = await desk.send("red", task=first.task)
    assert (first.said, second.said) == ("What colour?", "What size?")
    assert (await desk.send("big", task=first.task)).text == "Done."


# -- several at once -------------------------------------------------------------------------------------------------


def two() -> Any:
    return speaker("c", [QUESTION, ("ask_human", {"question": "What size?"})], "Done.", tools=[ask_human])


async def test_several_questions_at_once_are_answered_by_id() -> None:
    agent = two()
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    assert set(ids) == {"What colour?", "What size?"}
    done = await desk.send({ids["What colour?"]: "red", ids["What size?"]: "big"}, task=asked.task)
    assert done.text == "Done."
    assert heard(agent) == [{"result": "red"}, {"result": "big"}]


async def test_a_lone_text_for_several_questions_is_asked_again_and_not_guessed() -> None:
    desk = Desk(adapt(two()))
    asked = await desk.send("cup")
    again = await desk.send("red", task=asked.task)
    assert (again.state, "not clear which" in again.said) == ("INPUT_REQUIRED", True)
    assert again.questions == asked.questions


async def test_some_of_several_questions_may_be_answered_first_and_adk_gets_all_at_once() -> None:
    agent = two()
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    rest = await desk.send({ids["What size?"]: "big"}, task=asked.task)
    assert (rest.state, rest.said) == ("INPUT_REQUIRED", "What colour?")
    done = await desk.send("red", task=asked.task)
    assert done.text == "Done."
    assert heard(agent) == [{"result": "red"}, {"result": "big"}]


async def test_a_tool_that_answers_beside_one_that_asks_is_not_lost() -> None:
    agent = speaker("c", [QUESTION, ("wipe", {"path": "/x"})], "Done.", tools=[ask_human, wipe])
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    assert (asked.state, asked.text) == ("INPUT_REQUIRED", "")
    await desk.send("red", task=asked.task)
    assert heard(agent) == [{"result": "wiped /x"}, {"result": "red"}]


# -- confirmations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("yes", {"result": "wiped /x"}),
        ("No, never.", {"error": "This tool call is rejected."}),
        ({"confirmed": True}, {"result": "wiped /x"}),
        ({"confirmed": False}, {"error": "This tool call is rejected."}),
    ],
    ids=str,
)
async def test_a_confirmation_is_readable_and_yes_or_no_answers_it(answer: Any, result: Any) -> None:
    agent = speaker("c", ("wipe", {"path": "/x"}), "Done.", tools=[careful])
    desk = Desk(adapt(agent))
    asked = await desk.send("go")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", 'May wipe({"path":"/x"}) be called?')
    assert asked.questions[0]["value"] == {"tool": "wipe", "args": {"path": "/x"}}
    assert asked.questions[0]["schema"]["required"] == ["confirmed"]
    assert (await desk.send(answer, task=asked.task)).text == "Done."
    assert heard(agent) == [result]


@pytest.mark.parametrize("answer", ["perhaps", {"approved": True}], ids=str)
async def test_neither_yes_nor_no_is_asked_again(answer: Any) -> None:
    desk = Desk(adapt(speaker("c", ("wipe", {"path": "/x"}), tools=[careful])))
    asked = await desk.send("go")
    again = await desk.send(answer, task=asked.task)
    assert (again.state, '"yes"' in again.said) == ("INPUT_REQUIRED", True)
    assert again.questions == asked.questions


def vacation(days: int, tool_context: ToolContext) -> Any:
    """Take days off."""
    decision = tool_context.tool_confirmation
    if decision is None:
        tool_context.request_confirmation(hint=f"{days} days off?", payload={"days": days})
        return {"status": "asked"}
    payload: dict[str, Any] = decision.payload or {}
    return {"confirmed": decision.confirmed, **payload}


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("yes", {"confirmed": True, "days": 9}),
        ({"days": 4}, {"confirmed": True, "days": 4}),
        ({"confirmed": True, "payload": {"days": 5}}, {"confirmed": True, "days": 5}),
    ],
    ids=str,
)
async def test_a_confirmation_may_carry_data(answer: Any, result: Any) -> None:
    agent = speaker("c", ("vacation", {"days": 9}), "Done.", tools=[vacation])
    desk = Desk(adapt(agent))
    asked = await desk.send("go")
    assert asked.said == "9 days off?"
    assert asked.questions[0]["value"]["payload"] == {"days": 9}
    assert (await desk.send(answer, task=asked.task)).text == "Done."
    assert heard(agent) == [result]


def insistent(tool_context: ToolContext) -> Any:
    """Ask, and ask again."""
    decision = tool_context.tool_confirmation
    times: int = 0 if decision is None else decision.payload or 0
    if times < 3:
        tool_context.request_confirmation(hint=f"Sure? ({times})", payload=times + 1)
        tool_context.actions.skip_summarization = True
        return {"status": "asked"}
    return times


async def test_a_tool_may_ask_again_after_it_was_answered_which_adk_alone_drops() -> None:
    agent = speaker("c", [("insistent", {}), ("insistent", {})], "Done.", tools=[insistent])
    desk = Desk(adapt(agent))
    asked = await desk.send("go")
    for number in range(3):
        assert [question["question"] for question in asked.questions] == [f"Sure? ({number})"] * 2
        asked = await desk.send({question["id"]: True for question in asked.questions}, task=asked.task)
    assert (asked.state, asked.text) == ("COMPLETED", "Done.")
    assert heard(agent) == [{"result": 3}, {"result": 3}]


# -- requests for input ----------------------------------------------------------------------------------------------


class Size(BaseModel):
    width: int
    unit: str


def form(schema: Any = None) -> Workflow:
    async def ask(node_input: str) -> AsyncGenerator[RequestInput, None]:
        yield request("How big?", payload={"of": node_input}, schema=schema)

    def finish(node_input: Any) -> str:
        return f"got {node_input!r}"

    return Workflow(name="form", edges=[(START, ask, finish)])


@pytest.mark.parametrize(
    ("schema", "answer", "value"),
    [
        (None, "huge", "huge"),
        (None, "7", "7"),
        (None, {"w": 1}, {"w": 1}),
        (str, "7", "7"),
        (int, "7", 7),
        (bool, "yes", True),
        (Size, {"width": 7, "unit": "cm"}, {"width": 7, "unit": "cm"}),
        (Size, '{"width": 7, "unit": "cm"}', {"width": 7, "unit": "cm"}),
    ],
    ids=repr,
)
async def test_a_request_for_input_takes_the_type_that_is_asked_for(schema: Any, answer: Any, value: Any) -> None:
    desk = Desk(adapt(form(schema)))
    asked = await desk.send("cup")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "How big?")
    assert asked.questions[0]["value"] == {"of": "cup"}
    assert ("schema" in asked.questions[0]) == (schema is not None)
    assert (await desk.send(answer, task=asked.task)).text == f"got {value!r}"


@pytest.mark.parametrize(
    ("schema", "answer"),
    [(int, "big"), (Size, "big"), (Size, {"width": 7}), (Size, {"width": "wide", "unit": "cm"}), (int, True)],
    ids=repr,
)
async def test_an_answer_that_does_not_fit_is_asked_again(schema: Any, answer: Any) -> None:
    desk = Desk(adapt(form(schema)))
    asked = await desk.send("cup")
    again = await desk.send(answer, task=asked.task)
    assert (again.state, "must" in again.said) == ("INPUT_REQUIRED", True)
    assert again.questions == asked.questions


async def test_a_model_may_ask_for_input() -> None:
    args = {"message": "Which city?", "response_schema": {"type": "string"}}
    agent = speaker("c", ("adk_request_input", args), "Done.", tools=[ask_by_model])
    desk = Desk(adapt(agent))
    asked = await desk.send("go")
    assert (asked.said, asked.questions[0]["schema"]) == ("Which city?", {"type": "string"})
    await desk.send("Bonn", task=asked.task)
    assert heard(agent) == [{"result": "Bonn"}]


@pytest.mark.parametrize(("answer", "output"), [("yes", "CUP"), ("no", None)])
async def test_a_node_that_must_be_confirmed_takes_yes_or_no(answer: str, output: str | None) -> None:
    def shout(node_input: str) -> str:
        return node_input.upper()

    desk = Desk(adapt(Workflow(name="w", edges=[(START, node(shout, require_confirmation=True))])))
    asked = await desk.send("cup")
    assert "shout" in asked.said
    done = await desk.send(answer, task=asked.task)
    assert done.state == "COMPLETED"
    assert done.text == (output or "")
    assert bool(done.data) == (output is None)  # {"error": "This tool call is rejected."}


# -- where ADK by itself loses the thread ----------------------------------------------------------------------------


async def test_a_sequence_goes_on_after_the_agent_that_asked() -> None:
    first = speaker("one", QUESTION, "First.", tools=[ask_human])
    desk = Desk(adapt(sequence(first, speaker("two", "Second."))))
    asked = await desk.send("go")
    assert (await desk.send("red", task=asked.task)).text == "First.\n\nSecond."


async def test_questions_of_agents_side_by_side_reach_each_of_them() -> None:
    one = speaker("one", QUESTION, "One.", tools=[ask_human])
    other = speaker("two", ("wipe", {"path": "/x"}), "Two.", tools=[careful])
    desk = Desk(adapt(parallel(one, other)))
    asked = await desk.send("go")
    assert [question["question"] for question in asked.questions] == [
        "What colour?",
        'May wipe({"path":"/x"}) be called?',
    ]
    first, second = (question["id"] for question in asked.questions)
    done = await desk.send({first: "red", second: True}, task=asked.task)
    assert done.text == "One.\n\nTwo."
    assert (heard(one), heard(other)[-1:]) == ([{"result": "red"}], [{"result": "wiped /x"}])


async def test_questions_of_nodes_side_by_side_reach_each_of_them() -> None:
    def asker(name: str) -> Any:
        async def ask(node_input: str) -> AsyncGenerator[RequestInput, None]:
            yield request(f"{name}?")

        return node(ask, name=name)

    join, colour, size = JoinNode(name="join"), asker("colour"), asker("size")
    desk = Desk(adapt(Workflow(name="w", edges=[(START, colour, join), (START, size, join)])))
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    done = await desk.send({ids["colour?"]: "red", ids["size?"]: "big"}, task=asked.task)
    assert done.data == {"colour": "red", "size": "big"}


async def test_nodes_as_tools_that_are_run_again_while_they_wait_are_not_asked_for_twice() -> None:
    async def choose(ctx: Context, item: str) -> AsyncGenerator[Any, None]:
        """Let a person choose."""
        if item in ctx.resume_inputs:
            yield ctx.resume_inputs[item]
        else:
            yield RequestInput(interrupt_id=item, message=f"{item}?", response_schema=None)

    calls: Any = [("choose", {"item": "colour"}), ("choose", {"item": "size"})]
    agent = speaker("c", calls, "Done.", tools=[node(choose, rerun_on_resume=True)])
    desk = Desk(adapt(agent))
    asked = await desk.send("cup")
    done = await desk.send({"colour": "red", "size": "big"}, task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "Done.")
    assert heard(agent) == [{"result": "red"}, {"result": "big"}]


async def test_a_sub_agent_asks_and_gets_its_answer() -> None:
    sub = speaker("sub", QUESTION, "Painted.", tools=[ask_human], description="Paints.")
    root = speaker("root", ("transfer_to_agent", {"agent_name": "sub"}), "No.", sub_agents=[sub])
    desk = Desk(adapt(root))
    asked = await desk.send("cup")
    assert asked.said == "What colour?"
    assert (await desk.send("red", task=asked.task)).text == "Painted."


async def test_text_before_and_after_a_question_belongs_to_its_own_turn() -> None:
    async def ask(node_input: str) -> AsyncGenerator[Any, None]:
        yield event("before")
        yield request("?")

    def finish(node_input: str) -> str:
        return f"after {node_input}"

    desk = Desk(adapt(Workflow(name="w", edges=[(START, ask, finish)])))
    asked = await desk.send("go")
    done = await desk.send("x", task=asked.task)
    assert (asked.text, done.text) == ("before", "after x")
