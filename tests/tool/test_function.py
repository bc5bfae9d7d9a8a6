"""`@tool`: a function, a method, a generator as a tool."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, assert_type

import pytest
from pydantic import BaseModel, Field, SecretStr

from codin.errors import ConfigError, InvalidArguments, InvalidResult, ToolRefused
from codin.task import Task
from codin.tool import FunctionTool, StreamingTool, Tool, ToolExecutor, ToolSpec, tool

pytestmark = pytest.mark.anyio


class Tone(Enum):
    PLAIN = "plain"
    FRIENDLY = "friendly"


class Order(BaseModel):
    item: str
    quantity: Annotated[int, Field(gt=0)] = 1


@dataclass
class Bill:
    total: float
    due: date


@tool
async def shout(text: str) -> str:
    """Say it
    louder.

    Everybody hears it.

    Args:
        text: what is said.
    """
    return text.upper()


@tool(tags=["shop"], version="2.1.0")
def price(order: Order, tone: Tone = Tone.PLAIN, note: str | None = None) -> Bill:
    """What an order costs.

    Args:
        order: what is wanted,
            and how much of it.
        tone (Tone): how the bill sounds.
    """
    assert tone is Tone.PLAIN
    return Bill(1.5 * order.quantity, date(2030, 1, 2))


class Library:
    def __init__(self, *titles: str) -> None:
        self.titles = titles

    @tool
    async def find(self, words: str, limit: int = 10) -> list[str]:
        """Find books."""
        return [title for title in self.titles if words in title][:limit]


# -- what it says of itself --------------------------------------------------------------------------------------------


async def test_it_is_a_tool_and_still_the_function() -> None:
    as_tool: Tool = shout
    assert isinstance(as_tool, Tool)
    assert isinstance(shout, FunctionTool)
    assert assert_type(await shout("x"), str) == "X"
    assert shout.__doc__ is not None
    assert shout.__name__ == "shout"
    assert (shout.name, shout.spec.description) == ("shout", "Say it louder.")
    assert repr(shout) == f"<FunctionTool 'shout' of {__name__}.shout>"


def test_its_schemas_are_those_of_its_hints_and_words() -> None:
    schema = shout.spec.input_schema
    assert schema["properties"] == {"text": {"type": "string", "title": "Text", "description": "what is said."}}
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["text"], False)
    assert shout.spec.output_schema is None
    properties = price.spec.input_schema["properties"]
    assert properties["order"]["description"] == "what is wanted, and how much of it."
    assert (properties["tone"]["description"], properties["tone"]["default"]) == ("how the bill sounds.", "plain")
    assert price.spec.input_schema["required"] == ["order"]
    assert price.spec.output_schema is not None
    assert set(price.spec.output_schema["properties"]) == {"total", "due"}
    assert (price.spec.tags, price.spec.version) == (("shop",), "2.1.0")


def test_annotations_reach_the_schema_before_the_docstring() -> None:
    @tool
    async def seat(row: Annotated[int, Field(ge=1, le=40, description="from the front")] = 1) -> None:
        """Args:
        row: not this.
        """

    row = seat.spec.input_schema["properties"]["row"]
    assert (row["minimum"], row["maximum"], row["description"], row["default"]) == (1, 40, "from the front", 1)
    assert seat.spec.output_schema == {"type": "null"}


def test_a_function_of_nothing_takes_nothing() -> None:
    @tool
    async def now() -> str:
        return "noon"

    assert now.spec.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_spec_is_checked() -> None:
    assert ToolSpec("x", scopes="admin", tags="word").scopes == {"admin"}
    with pytest.raises(ConfigError, match="idempotent"):
        ToolSpec("x", retries=2)
    with pytest.raises(ConfigError, match="sandbox='always'"):
        ToolSpec("x", sandbox="always")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timeout", value) for value in (0, -1, math.inf, math.nan, "30")),
        *(("concurrency", value) for value in (0, 1.5, "2")),
        *(("rate", value) for value in ((0, 1), (1, -1), (1, 2, 3), 5, "10/s")),
        *(("retries", value) for value in (-1, 0.5, None)),
        *(("approval", value) for value in ("always", None, 1)),
    ],
)
def test_an_option_that_means_nothing_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name}={re.escape(repr(value))} of a tool is not "):
        ToolSpec("x", idempotent=True, **{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retires": 2}, "did you mean 'retries'"),
        ({"local": {}}, "no option 'local'"),
        ({"name": "no spaces"}, "cannot be the name"),
        ({"name": "x" * 65}, "cannot be the name"),
        ({"retries": 1}, "idempotent"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tool(**options)(shout)


def test_what_cannot_be_a_tool() -> None:
    async def many(*words: str) -> None: ...
    async def client(client: threading.Thread) -> None: ...
    async def by_field(x: int = Field(default=3)) -> None: ...
    async def with_task(task: Task) -> None: ...

    for function, said in ((many, "'words'"), (client, "'client'"), (by_field, "Annotated"), (3, "no.* function")):
        with pytest.raises(ConfigError, match=said):
            tool(function)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ConfigError, match="'task'"):
        tool(sandbox="required")(with_task)
    with pytest.raises(ConfigError, match="a lambda has no name"):
        tool(lambda: 1)


# -- what it does ------------------------------------------------------------------------------------------------------


async def test_arguments_and_results_are_as_json_has_them() -> None:
    assert await price.invoke(order={"item": "tea", "quantity": 2}) == {"total": 3.0, "due": "2030-01-02"}
    assert await shout.invoke(text="x") == "X"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "order"),
        ({"order": {"item": "tea", "quantity": 0}}, "order.quantity"),
        ({"order": {"item": "tea", "quantity": "2"}}, "order.quantity"),
        ({"order": {"item": 5}}, "order.item"),
        ({"order": {"item": "tea"}, "tone": "rude"}, "tone"),
        ({"order": {"item": "tea"}, "extra": 1}, "extra"),
    ],
)
async def test_wrong_arguments_are_named_and_never_repeated(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await price.invoke(**arguments)
    assert (caught.value.field, caught.value.tool) == (field, "price")
    assert f"{field}: " in caught.value.message
    assert "rude" not in str(caught.value)
    assert caught.value.hint == "it takes order, tone, note"


async def test_a_whole_number_is_an_integer() -> None:
    assert (await price.invoke(order={"item": "tea", "quantity": 2.0}))["total"] == 3.0


async def test_what_may_be_none_need_not_be_given() -> None:
    @tool
    async def greet(name: str | None) -> str:
        return f"Hello {name}"

    assert await greet.invoke() == "Hello None"


async def test_what_a_call_does_to_a_default_is_nothing_to_the_next() -> None:
    @tool
    def gather(word: str, words: list[str] = [], counts: dict[str, list[int]] = {"all": [0]}) -> tuple[list[str], int]:  # noqa: B006
        words.append(word)
        counts["all"][0] += 1
        return words, counts["all"][0]

    assert await gather.invoke(word="tea") == [["tea"], 1]
    assert await ToolExecutor([gather]).call("gather", {"word": "milk"}) == [["milk"], 1]
    assert await gather.invoke(word="milk", words=["tea"]) == [["tea", "milk"], 1]
    assert gather.spec.input_schema["properties"]["words"]["default"] == []


async def test_a_result_that_does_not_fit_its_hint() -> None:
    @tool
    async def count() -> int:
        return "many"  # pyright: ignore[reportReturnType]

    @tool
    async def positive() -> Annotated[int, Field(gt=0)]:
        return -1

    @tool
    async def anything() -> Any:
        return object()

    @tool
    async def text() -> str:
        return 5  # pyright: ignore[reportReturnType]

    for each in (count, positive, anything, text):
        with pytest.raises(InvalidResult):
            await each.invoke()


@pytest.mark.parametrize("value", [10**5000, object()], ids=["long", "no JSON"])
async def test_arguments_that_no_json_has_are_told(value: Any) -> None:
    @tool
    async def anything(value: Any) -> str:
        return "came"

    with pytest.raises(InvalidArguments):
        await anything.invoke(value=value)


async def test_a_method_is_a_tool_of_each_instance() -> None:
    assert assert_type(await Library("tea").find("tea", limit=3), list[str]) == ["tea"]
    small, large = Library("tea time"), Library("tea time", "tea and toast")
    assert await small.find("tea") == ["tea time"]
    assert await small.find.invoke(words="tea") == ["tea time"]
    assert await large.find.invoke(words="tea", limit=9) == ["tea time", "tea and toast"]
    assert list(small.find.spec.input_schema["properties"]) == ["words", "limit"]
    assert Library.find.unbound
    with pytest.raises(ConfigError, match="of an instance"):
        await Library.find.invoke(words="tea")


async def test_a_method_of_a_class_is_a_tool_when_there_is_the_class() -> None:
    class Shelf:
        books = ("tea", "toast")

        @classmethod
        async def count(cls, more: int) -> int:
            return len(cls.books) + more

        @staticmethod
        @tool
        async def half(number: float) -> float:
            return number / 2

    counts = tool(Shelf.count)
    assert (await counts.invoke(more=1), list(counts.spec.input_schema["properties"])) == (3, ["more"])
    assert await Shelf.half.invoke(number=3) == 1.5
    with pytest.raises(ConfigError, match="which is not made yet") as refused:

        class Wrong:  # pyright: ignore[reportUnusedClass]
            @classmethod
            @tool
            async def find(cls, words: str) -> str:
                return words

    assert refused.value.hint == "make it a tool behind the class: find = tool(Wrong.find)"

    @tool  # pyright: ignore[reportUnknownArgumentType]
    async def name(cls) -> str:  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return cls  # pyright: ignore[reportUnknownVariableType]

    assert await name.invoke(cls="first") == "first"


async def test_partials_objects_and_bound_methods() -> None:
    class Counter:
        """Counts."""

        async def __call__(self, text: str) -> int:
            return len(text)

        async def twice(self, text: str) -> int:
            return 2 * len(text)

    async def repeat(text: str, times: int) -> str:
        return text * times

    assert await tool(Counter()).invoke(text="abc") == 3
    assert await tool(Counter().twice).invoke(text="abc") == 6
    twice = tool(functools.partial(repeat, times=2))
    assert (await twice.invoke(text="ab"), list(twice.spec.input_schema["properties"])) == ("abab", ["text"])
    with pytest.raises(InvalidArguments):
        await twice.invoke(text="ab", times=9)


async def test_a_hint_may_name_a_class_of_the_enclosing_function() -> None:
    class Local(BaseModel):
        x: int

    @tool
    async def plain(local: Local) -> int:
        return local.x

    @tool(name="other")
    async def optioned(local: Local) -> int:
        return local.x

    assert [await each.invoke(local={"x": 3}) for each in (plain, optioned)] == [3, 3]


async def test_a_blocking_function_runs_in_a_thread_with_the_callers_context() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")

    @tool
    def where() -> list[str]:
        return [variable.get(), threading.current_thread().name]

    value, thread = await where.invoke()
    assert value == "set"
    assert thread.startswith("codin-where")


async def test_secrets_are_read_and_declared() -> None:
    @tool
    async def login(key: SecretStr, way: Literal["short", "long"] = "short") -> int:
        return len(key.get_secret_value())

    assert await login.invoke(key="12345") == 5
    assert login.spec.input_schema["properties"]["key"]["format"] == "password"


async def test_a_task_is_no_argument_and_is_needed() -> None:
    @tool
    async def needs(task: Task, text: str) -> str: ...  # pyright: ignore[reportReturnType]
    @tool
    async def may_have(text: str, task: Task | None = None) -> str:
        return f"{text} {task}"

    assert list(needs.spec.input_schema["properties"]) == ["text"]
    assert await may_have.invoke(text="no") == "no None"
    with pytest.raises(ToolRefused, match="in a task only"):
        await needs.invoke(text="x")
    with pytest.raises(InvalidArguments):
        await may_have.invoke(text="x", task="mine")


# -- generators --------------------------------------------------------------------------------------------------------


@tool
async def letters(text: str) -> AsyncIterator[str]:
    for letter in text:
        yield letter


@tool
async def squares(number: int) -> AsyncIterator[dict[str, int]]:
    for each in range(number):
        yield {"square": each * each}


@tool
def lines(text: str) -> Iterator[str]:
    yield from text.splitlines()


@tool
async def unhinted(text: str):  # pyright: ignore[reportUnknownParameterType]
    yield text
    yield 5


async def test_a_generator_streams_and_its_pieces_add_up() -> None:
    assert isinstance(letters, StreamingTool)
    assert letters.spec.streams
    assert [piece async for piece in letters.stream(text="abc")] == ["a", "b", "c"]
    assert await letters.invoke(text="abc") == "abc"
    assert await lines.invoke(text="one\ntwo") == "onetwo"
    assert [piece async for piece in squares.stream(number=3)] == [{"square": 0}, {"square": 1}, {"square": 4}]
    assert await squares.invoke(number=2) == [{"square": 0}, {"square": 1}]
    assert await unhinted.invoke(text="x") == ["x", 5]
    assert letters.spec.output_schema is None
    assert squares.spec.output_schema is not None
    assert squares.spec.output_schema["type"] == "array"


async def test_text_that_is_asked_for_as_a_list_is_one() -> None:
    @tool
    async def codes() -> AsyncIterator[Annotated[str, Field(max_length=2)]]:
        yield "ab"
        yield "cd"

    assert codes.spec.output_schema == {"type": "array", "items": {"type": "string", "maxLength": 2}}
    assert await codes.invoke() == ["ab", "cd"]


async def test_a_piece_that_does_not_fit() -> None:
    @tool
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield "two"  # pyright: ignore[reportReturnType]

    stream = numbers.stream()
    assert await anext(stream) == 1
    with pytest.raises(InvalidResult):
        await anext(stream)
    with pytest.raises(InvalidResult):
        await numbers.invoke()


async def test_a_stream_that_is_left_closes_its_generator() -> None:
    closed = asyncio.Event()

    @tool
    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    stream = endless.stream()
    assert await anext(stream) == 1
    await stream.aclose()
    assert closed.is_set()
