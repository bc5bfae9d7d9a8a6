"""`interrupt()` and INPUT_REQUIRED: questions a person can read, and answers in plain text or data."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from codin.agent.adapters.langgraph import adapt
from codin.testing import ModelServer
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import build, flow

pytestmark = pytest.mark.anyio


class Form(TypedDict, total=False):
    topic: str
    answers: Annotated[list[Any], operator.add]
    done: Any


def asking(*questions: Any, **options: Any) -> Any:
    """A graph that asks these one after the other, in one node, and then sums up in another."""

    def ask(state: Form) -> dict[str, Any]:
        return {"answers": [interrupt(question) for question in questions]}

    def finish(state: Form) -> dict[str, Any]:
        return {"done": "+".join(map(str, state.get("answers", [])))}

    builder = build(Form).add_node("ask", ask).add_node("finish", finish)
    return builder.add_edge(START, "ask").add_edge("ask", "finish").compile(name="form", **options)


def side_by_side(*questions: Any, **options: Any) -> Any:
    """A graph with a node for each question, all of them in one step."""

    def asker(question: Any) -> Any:
        def node(state: Form) -> dict[str, Any]:
            return {"answers": [f"{question}={interrupt(question)}"]}

        return node

    builder = build(Form)
    for number, question in enumerate(questions):
        builder.add_node(f"ask{number}", asker(question)).add_edge(START, f"ask{number}")
    return builder.compile(name="panel", **options)


SAVERS = pytest.mark.parametrize("options", [{}, {"checkpointer": InMemorySaver()}], ids=["no memory", "memory"])


@SAVERS
async def test_an_interrupt_is_a_question_and_plain_text_answers_it(options: dict[str, Any]) -> None:
    desk = Desk(adapt(asking("What colour?", **options)))
    asked = await desk.send("cup")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "What colour?")
    (question,) = asked.questions
    assert question["question"] == question["value"] == "What colour?"
    done = await desk.send("red", task=asked.task)
    assert (done.state, done.data["done"]) == ("COMPLETED", "red")
    assert done.data["topic"] == "cup"  # the graph went on; it did not begin again with the answer as its input


@SAVERS
async def test_two_questions_of_one_node_are_asked_one_after_the_other(options: dict[str, Any]) -> None:
    desk = Desk(adapt(asking({"question": "What colour?"}, {"question": "What size?"}, **options)))
    first = await desk.send("cup")
    second = await desk.send("red", task=first.task)
    assert (first.said, second.said) == ("What colour?", "What size?")
    assert (await desk.send("big", task=second.task)).data["done"] == "red+big"


async def test_data_answers_as_it_is() -> None:
    desk = Desk(adapt(asking("Where?")))
    asked = await desk.send("cup")
    done = await desk.send({"city": "Bonn", "zip": 53111}, task=asked.task)
    assert done.data["answers"] == [{"city": "Bonn", "zip": 53111}]


async def test_data_keyed_by_the_question_s_id_answers_too() -> None:
    desk = Desk(adapt(asking("Where?")))
    asked = await desk.send("cup")
    done = await desk.send({asked.questions[0]["id"]: "Bonn"}, task=asked.task)
    assert done.data["answers"] == ["Bonn"]


@pytest.mark.parametrize("value", [False, 0, "", None], ids=repr)
async def test_an_answer_may_be_false_or_nothing(value: Any) -> None:
    desk = Desk(adapt(asking("Sure?")))
    asked = await desk.send("cup")
    done = await desk.send({asked.questions[0]["id"]: value}, task=asked.task)
    assert done.data["answers"] == [value]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"question": "Go on?", "options": ["yes", "no"]}, "Go on?"),
        ({"message": "Look at this"}, "Look at this"),
        ([{"description": "One thing"}], "One thing"),
        ({"a": 1}, '{"a":1}'),
        (42, "42"),
    ],
    ids=repr,
)
async def test_the_question_is_readable_and_the_value_is_data(value: Any, text: str) -> None:
    asked = await Desk(adapt(asking(value))).send("cup")
    assert asked.said == text
    assert asked.questions[0]["value"] == value


@SAVERS
async def test_several_questions_at_once_are_answered_by_id(options: dict[str, Any]) -> None:
    desk = Desk(adapt(side_by_side("colour", "size", **options)))
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    assert set(ids) == {"colour", "size"}
    assert all(text in asked.said for text in ("colour", "size", *ids.values()))
    done = await desk.send({ids["colour"]: "red", ids["size"]: "big"}, task=asked.task)
    assert sorted(done.data["answers"]) == ["colour=red", "size=big"]


async def test_a_lone_text_for_several_questions_is_asked_again_and_not_guessed() -> None:
    desk = Desk(adapt(side_by_side("colour", "size")))
    asked = await desk.send("cup")
    again = await desk.send("red", task=asked.task)
    assert again.state == "INPUT_REQUIRED"
    assert "not clear which" in again.said
    assert again.questions == asked.questions
    ids = {question["question"]: question["id"] for question in again.questions}
    typed = f'{{"{ids["colour"]}": "red", "{ids["size"]}": "big"}}'  # JSON typed by a person
    assert sorted((await desk.send(typed, task=asked.task)).data["answers"]) == ["colour=red", "size=big"]


async def test_questions_keep_their_order_when_they_are_asked_again() -> None:
    asked_for_size = asyncio.Event()

    async def colour(state: Form) -> dict[str, Any]:
        await asked_for_size.wait()
        return {"answers": [interrupt("colour")]}

    async def size(state: Form) -> dict[str, Any]:
        asked_for_size.set()
        return {"answers": [interrupt("size")]}

    builder = build(Form).add_node("colour", colour).add_node("size", size)
    desk = Desk(adapt(builder.add_edge(START, "colour").add_edge(START, "size").compile()))
    asked = await desk.send("cup")
    assert [question["question"] for question in asked.questions] == ["size", "colour"]
    assert (await desk.send("red", task=asked.task)).questions == asked.questions


async def test_an_id_nobody_asked_for_is_named() -> None:
    desk = Desk(adapt(side_by_side("colour", "size")))
    asked = await desk.send("cup")
    again = await desk.send({asked.questions[0]["id"]: "red", "f00": 1}, task=asked.task)
    assert (again.state, "f00" in again.said) == ("INPUT_REQUIRED", True)


@SAVERS
async def test_some_of_several_questions_may_be_answered_first(options: dict[str, Any]) -> None:
    desk = Desk(adapt(side_by_side("colour", "size", **options)))
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    rest = await desk.send({ids["size"]: "big"}, task=asked.task)
    assert (rest.state, rest.said) == ("INPUT_REQUIRED", "colour")
    done = await desk.send("red", task=asked.task)
    assert sorted(done.data["answers"]) == ["colour=red", "size=big"]


async def test_a_question_marked_auth_asks_for_a_credential_that_the_log_does_not_keep() -> None:
    desk = Desk(adapt(asking({"question": "Your key?", "auth": True})))
    asked = await desk.send("cup")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Your key?")
    done = await desk.send("hunter2", task=asked.task)
    assert done.state == "COMPLETED"
    assert done.data["done"] == "hunter2"  # the graph gets it
    assert "hunter2" not in str(done.task.history)


class Decision(BaseModel):
    approved: bool
    reason: str = ""


def deciding(schema: Any) -> Any:
    def node(state: Form) -> dict[str, Any]:
        return {"done": repr(interrupt("Approve?", response_schema=schema))}

    return build(Form).add_node("node", node).add_edge(START, "node").compile()


async def test_a_response_schema_goes_with_the_question_and_an_answer_that_does_not_fit_is_asked_again() -> None:
    desk = Desk(adapt(deciding(Decision)))
    asked = await desk.send("cup")
    assert asked.questions[0]["schema"]["properties"]["approved"]["type"] == "boolean"
    wrong = await desk.send("perhaps", task=asked.task)
    assert (wrong.state, "does not fit" in wrong.said) == ("INPUT_REQUIRED", True)
    assert wrong.questions == asked.questions
    done = await desk.send('{"approved": true}', task=asked.task)
    assert done.data["done"] == "Decision(approved=True, reason='')"


@pytest.mark.parametrize(
    ("schema", "text", "value"), [("boolean", "Yes.", True), ("integer", "7", 7), ("string", "7", "7")]
)
async def test_plain_text_becomes_the_type_that_is_asked_for(schema: str, text: str, value: Any) -> None:
    desk = Desk(adapt(deciding({"type": schema})))
    asked = await desk.send("cup")
    assert (await desk.send(text, task=asked.task)).data["done"] == repr(value)


# The value LangChain's human-in-the-loop middleware interrupts with.
APPROVAL: dict[str, Any] = {
    "action_requests": [
        {"name": "delete", "args": {"path": "/tmp/x"}},
        {"name": "mail", "args": {}, "description": "Mail?"},
    ],
    "review_configs": [],
}


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("yes", {"type": "approve"}),
        ("No", {"type": "reject"}),
        ("no, too risky", {"type": "reject", "message": "too risky"}),
    ],
)
async def test_tool_approvals_are_readable_and_answered_by_yes_and_no(text: str, decision: Any) -> None:
    desk = Desk(adapt(asking(APPROVAL)))
    asked = await desk.send("cup")
    assert asked.said == 'delete({"path":"/tmp/x"})\nMail?'
    unclear = await desk.send("hm", task=asked.task)
    assert (unclear.state, '"yes" or "no"' in unclear.said) == ("INPUT_REQUIRED", True)
    assert (await desk.send(text, task=asked.task)).data["answers"] == [{"decisions": [decision, decision]}]


async def test_a_tool_that_asks_gets_its_answer(model: ModelServer, chat: Any) -> None:
    @tool
    def book(seat: str) -> str:
        """Book a seat."""
        return f"{seat}: {interrupt(f'Really {seat}?')}"

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.bind_tools([book]).ainvoke(state["messages"])]}

    builder = build(MessagesState).add_node("agent", agent).add_node("tools", ToolNode([book]))
    builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    desk = Desk(adapt(builder.compile()))
    asked = await desk.send('call book {"seat": "4a"}')
    assert asked.said == "Really 4a?"
    done = await desk.send("sure", task=asked.task)
    assert done.text == "The tool said 4a: sure"
    assert len(model.requests) == 2


async def test_a_question_inside_a_subgraph_is_a_question() -> None:
    graph = build(Form).add_node("inner", asking("Deep?")).add_edge(START, "inner").compile()
    for subgraphs in (False, True):
        desk = Desk(adapt(graph, subgraphs=subgraphs))
        asked = await desk.send("cup")
        assert asked.said == "Deep?"
        assert (await desk.send("yes", task=asked.task)).data["done"] == "yes"


async def test_an_entrypoint_asks() -> None:
    async def confirm(text: str) -> str:
        return f"{text}: {interrupt('Sure?')}"

    graph = flow(confirm)
    desk = Desk(adapt(graph))
    asked = await desk.send("go")
    assert (await desk.send("yes", task=asked.task)).text == "go: yes"


async def test_a_breakpoint_pauses_and_any_answer_goes_on() -> None:
    def node(state: Form) -> dict[str, Any]:
        return {"done": "yes"}

    graph = build(Form).add_node("danger", node).add_edge(START, "danger").compile(interrupt_before=["danger"])
    desk = Desk(adapt(graph))
    asked = await desk.send("cup")
    assert (asked.state, "danger" in asked.said) == ("INPUT_REQUIRED", True)
    assert (await desk.send("go on", task=asked.task)).data["done"] == "yes"


async def test_text_before_and_after_a_question_belongs_to_its_own_turn() -> None:
    def before(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("before")]}

    def ask(state: MessagesState) -> dict[str, Any]:
        get_stream_writer()("asking")
        return {"messages": [AIMessage(f"after {interrupt('?')}")]}

    builder = build(MessagesState).add_node("before", before).add_node("ask", ask)
    desk = Desk(adapt(builder.add_edge(START, "before").add_edge("before", "ask").compile()))
    asked = await desk.send("go")
    done = await desk.send("x", task=asked.task)
    assert (asked.text, done.text) == ("before", "after x")
