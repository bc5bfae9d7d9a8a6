"""Typed state graphs: data in, data out, and a readable refusal of anything else."""

from __future__ import annotations

import operator
import typing
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from codin import a2a
from codin.agent.adapters.langgraph import adapt
from codin.errors import ConfigError
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import Node, build, flow, nothing

pytestmark = pytest.mark.anyio


class Order(TypedDict, total=False):
    """Counts what is ordered."""

    item: str
    count: int
    lines: Annotated[list[str], operator.add]


def bill(state: Order) -> dict[str, Any]:
    return {"lines": [f"{state.get('count', 1)} x {state.get('item')}"]}


def graph_of(state: type, node: Node, **schemas: Any) -> Any:
    return build(state, **schemas).add_node("node", node).add_edge(START, "node").compile(name="billing")


ORDERS = graph_of(Order, bill)


class Poem(TypedDict):
    topic: str
    style: str
    poem: str


POEMS = graph_of(Poem, lambda state: {"poem": f"{state.get('style')} {state['topic']}"})


async def test_data_is_the_state_and_the_output_is_data() -> None:
    turn = await Desk(adapt(ORDERS)).send({"item": "cup", "count": 2})
    assert turn.data == {"item": "cup", "count": 2, "lines": ["2 x cup"]}
    assert turn.text == ""


async def test_integers_stay_integers() -> None:
    turn = await Desk(adapt(ORDERS)).send({"item": "cup", "count": 2})
    assert type(turn.data["count"]) is int


async def test_text_that_is_json_is_the_state() -> None:
    turn = await Desk(adapt(POEMS)).send('{"topic": "sea", "style": "short"}')
    assert turn.data["poem"] == "short sea"


async def test_plain_text_goes_to_the_only_field_that_is_text() -> None:
    turn = await Desk(adapt(ORDERS)).send("cup")
    assert turn.data["lines"] == ["1 x cup"]


async def test_a_text_file_is_plain_text() -> None:
    turn = await Desk(adapt(ORDERS)).send(a2a.Part(raw=b"cup", media_type="text/plain"))
    assert turn.data["lines"] == ["1 x cup"]


async def test_text_and_data_together_fill_the_state() -> None:
    turn = await Desk(adapt(ORDERS)).send([a2a.Part(text="cup"), a2a.Part(data={"count": 3})])
    assert turn.data["lines"] == ["3 x cup"]


async def test_plain_text_goes_to_the_first_of_two_fields_that_are_text() -> None:
    turn = await Desk(adapt(POEMS)).send("sea")
    assert turn.data["poem"] == "None sea"
    turn = await Desk(adapt(POEMS)).send([a2a.Part(text="sea"), a2a.Part(data={"style": "short"})])
    assert turn.data["poem"] == "short sea"


class Sum(TypedDict, total=False):
    left: int
    right: int


async def test_plain_text_for_no_field_is_rejected_with_what_is_expected() -> None:
    turn = await Desk(adapt(graph_of(Sum, nothing))).send("one and one")
    assert turn.state == "REJECTED"
    for told in ("left (integer)", "right (integer)", "data part", "JSON", '"properties"'):
        assert told in turn.said


async def test_a_rejection_says_where_plain_text_would_go() -> None:
    assert "Plain text is the field 'topic'." in (await Desk(adapt(POEMS)).send({"subject": "sea"})).said
    assert "Plain text is the field 'style'." in (await Desk(adapt(POEMS, text_field="style")).send([1])).said


async def test_text_field_says_where_plain_text_goes() -> None:
    turn = await Desk(adapt(POEMS, text_field="style")).send([a2a.Part(text="long"), a2a.Part(data={"topic": "sea"})])
    assert turn.data["poem"] == "long sea"
    with pytest.raises(ConfigError, match="topci"):
        adapt(POEMS, text_field="topci")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"item": "cup", "colour": "red"}, "'colour'"),
        ([1, 2], "JSON object"),
        ({}, "JSON object"),
        (a2a.Part(raw=b"\x00", media_type="image/png"), "files"),
        ([a2a.Part(data={"item": "a"}), a2a.Part(data={"item": "b"})], "one data part"),
    ],
    ids=["unknown field", "no object", "nothing", "a picture", "two data parts"],
)
async def test_what_is_no_state_is_rejected_with_a_reason(content: Any, told: str) -> None:
    turn = await Desk(adapt(ORDERS)).send(content)
    assert turn.state == "REJECTED"
    assert told in turn.said


class Booking(BaseModel):
    nights: int = Field(gt=0, description="how many nights")
    guest: str = "nobody"
    total: int = 0


async def test_a_pydantic_state_is_validated_before_the_graph_runs() -> None:
    ran: list[int] = []

    def node(state: Booking) -> dict[str, Any]:
        ran.append(state.nights)
        return {"total": state.nights * 80}

    desk = Desk(adapt(graph_of(Booking, node)))
    wrong = await desk.send({"nights": 0})
    assert (wrong.state, ran) == ("REJECTED", [])
    assert "nights" in wrong.said
    assert (await desk.send({"nights": 2})).data == {"nights": 2, "total": 160}


class Size(BaseModel):
    width: int


class Inner(typing.TypedDict):
    name: str


def first_word(old: list[str] | None, said: str) -> list[str]:
    return [*(old or []), said.partition(" ")[0]]


class Dive(TypedDict, total=False):
    depth: int
    when: date
    size: Size
    notes: Annotated[list[str], operator.add]
    words: Annotated[list[str], first_word]
    inner: Inner
    seen: str


def look(state: Dive) -> dict[str, Any]:
    return {"seen": " ".join(f"{name}={type(value).__name__}" for name, value in sorted(state.items()))}


DIVES = graph_of(Dive, look)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"depth": "x"}, "depth: Input should be a valid integer"),
        ({"when": "soon"}, "when: "),
        ({"size": {"width": "wide"}}, "size.width: "),
        ({"notes": "a lone text"}, "notes: Input should be a valid list"),
    ],
)
async def test_a_typed_state_is_validated_before_the_graph_runs(given: Any, told: str) -> None:
    turn = await Desk(adapt(DIVES)).send(given)
    assert (turn.state, told in turn.said) == ("REJECTED", True)


async def test_a_typed_state_gets_the_types_that_it_declares() -> None:
    given = {"depth": "3", "when": "2026-01-31", "size": {"width": 1}, "notes": ["a"]}
    turn = await Desk(adapt(DIVES)).send(given)
    assert turn.data["seen"] == "depth=int notes=list size=Size when=date words=list"


async def test_what_a_reducer_takes_is_its_own_business() -> None:
    turn = await Desk(adapt(DIVES)).send({"words": "two words", "inner": {"name": "Ada"}})
    assert (turn.state, turn.data["words"]) == ("COMPLETED", ["two"])


class Chat(MessagesState):
    depth: int


async def test_the_fields_beside_a_conversation_are_validated_too() -> None:
    class Given(MessagesState, total=False):
        depth: int

    graph = graph_of(Chat, lambda state: {"messages": [("ai", f"{state['depth'] + 1}")]}, input_schema=Given)
    right = await Desk(adapt(graph)).send([a2a.Part(text="hi"), a2a.Part(data={"depth": 3})])
    assert right.text == "4"
    wrong = await Desk(adapt(graph)).send([a2a.Part(text="hi"), a2a.Part(data={"depth": "x"})])
    assert (wrong.state, "depth: " in wrong.said) == ("REJECTED", True)


@dataclass
class Point:
    x: int
    y: int = 0


async def test_a_dataclass_state_works() -> None:
    turn = await Desk(adapt(graph_of(Point, lambda state: {"y": state.x + 1}))).send({"x": 1})
    assert turn.data == {"x": 1, "y": 2}


class Question(TypedDict):
    text: str


class Reply(TypedDict):
    answer: str


class Work(Question, Reply):
    secret: str


async def test_private_channels_do_not_leave_the_graph() -> None:
    graph = graph_of(
        Work,
        lambda state: {"answer": state["text"].upper(), "secret": "s"},
        input_schema=Question,
        output_schema=Reply,
    )
    turn = await Desk(adapt(graph)).send("hi")
    assert turn.data == {"answer": "HI"}
    assert turn.text == "HI"  # the only output field is text
    refused = await Desk(adapt(graph)).send({"text": "hi", "secret": "mine"})
    assert (refused.state, "'secret'" in refused.said) == ("REJECTED", True)


async def test_what_a_typed_graph_s_models_say_is_not_the_answer_unless_asked_for(chat: ChatOpenAI) -> None:
    async def node(state: Poem) -> dict[str, Any]:
        return {"poem": str((await chat.ainvoke(state["topic"])).text)}

    graph = graph_of(Poem, node)
    silent = await Desk(adapt(graph)).send({"topic": "sea"})
    assert (silent.text, silent.data["poem"]) == ("", "You said sea")
    live = await Desk(adapt(graph, text_from=["node"])).send({"topic": "sea"})
    assert live.chunks == ["You ", "said ", "sea"]


class OldStyle(typing.TypedDict):
    topic: str
    count: int


async def test_typing_typeddict_below_python_3_12_still_has_a_schema() -> None:
    graph = graph_of(OldStyle, lambda state: {"count": len(state["topic"])})
    agent = adapt(graph)
    assert agent.input_schema is not None
    assert agent.input_schema["properties"]["count"]["type"] == "integer"
    assert agent.output_schema is not None
    assert (await Desk(agent).send("seas")).data == {"topic": "seas", "count": 4}


class Opaque:
    pass


class Holder(TypedDict, total=False):
    thing: Opaque
    topic: str


async def test_a_field_no_schema_can_describe_does_not_stop_the_graph() -> None:
    agent = adapt(graph_of(Holder, lambda state: {"thing": Opaque()}))
    assert agent.input_schema == {"type": "object", "properties": {"thing": {}, "topic": {"type": "string"}}}
    turn = await Desk(agent).send("sea")
    assert turn.state == "COMPLETED"
    assert turn.data["topic"] == "sea"


class Trip(BaseModel):
    days: int


async def test_an_entrypoint_takes_and_gives_one_value() -> None:
    async def double(trip: Trip) -> dict[str, int]:
        return {"days": trip.days * 2}

    graph = flow(double)
    desk = Desk(adapt(graph))
    assert (await desk.send({"days": 2})).data == {"days": 4}
    assert (await desk.send('{"days": 3}')).data == {"days": 6}
    wrong = await desk.send("many")
    assert wrong.state == "REJECTED"
    assert "days" in wrong.said
