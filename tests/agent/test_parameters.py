"""What a message fills: parameters by their type hints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, NewType, Optional, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict as ExtensionsTypedDict

from codin import a2a
from codin.agent import Agent, Media, NeedInput, Task, agent
from tests.agent.driver import Driver, answer, data, file, reason, text

pytestmark = pytest.mark.anyio

REJECTED = a2a.TaskState.REJECTED


class Order(BaseModel):
    item: str
    quantity: int = Field(gt=0)


@dataclass
class Point:
    x: int
    y: int = 0


class Inner(TypedDict):
    name: str


class Row(TypedDict, total=False):
    inner: Inner
    tags: list[Inner]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


UserId = NewType("UserId", str)


@agent
async def shout(text: str) -> str:
    return text.upper()


@agent
async def order(order: Order) -> str:
    return f"{order.quantity} x {order.item}"


# -- text --------------------------------------------------------------------------------------------------------------


async def test_text_is_the_text_parts_joined() -> None:
    assert answer(await Driver(shout).send(text("one "), data({}), text("two"))) == "ONE TWO"
    assert answer(await Driver(shout).send(text("one"))) == "ONE"


async def test_text_that_looks_like_json_stays_text() -> None:
    assert answer(await Driver(shout).send(text('{"text": "x"}'))) == '{"TEXT": "X"}'


async def test_text_may_come_by_name_in_a_data_part() -> None:
    assert answer(await Driver(shout).send(data({"text": "one"}))) == "ONE"
    assert answer(await Driver(shout).send(data("one"))) == "ONE"


@pytest.mark.parametrize(("part", "named"), [(data({"other": 1}), "text: Field required"), (file(b"x"), "text: ")])
async def test_a_message_without_text_is_rejected(part: a2a.Part, named: str) -> None:
    task = await Driver(shout).send(part)
    assert task.status.state is REJECTED
    assert named in reason(task)


async def test_optional_text_may_be_absent() -> None:
    @agent
    async def default(text: str = "nothing") -> str:
        return text

    @agent
    async def nullable(text: Optional[str]) -> str:  # noqa: UP045 - both spellings
        return str(text)

    assert answer(await Driver(default).send(data({}))) == "nothing"
    assert answer(await Driver(nullable).send(data({}))) == "None"
    assert answer(await Driver(nullable).send(text("x"))) == "x"


async def test_constraints_on_text_hold() -> None:
    @agent
    async def short(text: Annotated[str, Field(max_length=3)]) -> str:
        return text

    assert answer(await Driver(short).send(text("abc"))) == "abc"
    task = await Driver(short).send(text("abcd"))
    assert (task.status.state, "text: " in reason(task)) == (REJECTED, True)


async def test_aliases_of_str_are_text() -> None:
    @agent
    async def who(user: UserId) -> str:
        return user

    assert answer(await Driver(who).send(text("7"))) == "7"


# -- one object --------------------------------------------------------------------------------------------------------


async def test_a_model_is_filled_from_the_data_part() -> None:
    assert answer(await Driver(order).send(data({"item": "tea", "quantity": 2}))) == "2 x tea"
    assert answer(await Driver(order).send(text("please"), data({"item": "tea", "quantity": 2}))) == "2 x tea"


async def test_a_model_is_filled_from_text_that_is_json() -> None:
    assert answer(await Driver(order).send(text('{"item": "tea", "quantity": 2}'))) == "2 x tea"


@pytest.mark.parametrize(
    ("part", "reasons"),
    [
        (data({"item": "tea", "quantity": 0}), ["quantity: Input should be greater than 0"]),
        (data({"quantity": "many"}), ["item: Field required", "quantity: Input should be a valid integer"]),
        (text("two teas"), ["not JSON"]),
        (file(b"x"), ["order: the message has no data part"]),
        (data([1]), ["should be an object"]),
    ],
)
async def test_what_does_not_fit_is_rejected_with_the_field(part: a2a.Part, reasons: list[str]) -> None:
    task = await Driver(order).send(part)
    assert task.status.state is REJECTED
    for expected in reasons:
        assert expected in reason(task)


async def test_a_reason_never_repeats_the_value() -> None:
    task = await Driver(order).send(data({"item": "tea", "quantity": "hunter2"}))
    assert "hunter2" not in reason(task)


async def test_a_long_reason_is_cut() -> None:
    class Wide(BaseModel):
        a: int
        b: int
        c: int
        d: int
        e: int

    @agent
    async def wide(wide: Wide) -> str:
        return ""

    assert "and 2 more" in reason(await Driver(wide).send(data({})))


async def test_strict_models_are_checked_by_the_rules_of_json() -> None:
    class Day(BaseModel):
        model_config = ConfigDict(strict=True)
        when: date

    @agent
    async def weekday(day: Day) -> str:
        return day.when.isoformat()

    assert answer(await Driver(weekday).send(data({"when": "2026-01-31"}))) == "2026-01-31"


async def test_dataclasses_and_typed_dicts() -> None:
    @agent
    async def length(point: Point) -> int:
        return point.x + point.y

    @agent
    async def row(row: Row) -> Any:
        return row

    assert answer(await Driver(length).send(data({"x": 3}))) == 3
    assert answer(await Driver(row).send(data({"tags": [{"name": "a"}]}))) == {"tags": [{"name": "a"}]}
    task = await Driver(row).send(data({"inner": {"name": 1}}))
    assert "inner.name: " in reason(task)


async def test_dicts() -> None:
    @agent
    async def keys(values: dict[str, int]) -> list[str]:
        return sorted(values)

    assert answer(await Driver(keys).send(data({"b": 1, "a": 2}))) == ["a", "b"]
    assert "b: " in reason(await Driver(keys).send(data({"b": "x"})))


async def test_a_union_of_models_is_one_object() -> None:
    @agent
    async def kind(value: Order | Point) -> str:
        return type(value).__name__

    assert answer(await Driver(kind).send(data({"x": 1}))) == "Point"
    assert answer(await Driver(kind).send(data({"item": "tea", "quantity": 1}))) == "Order"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    item: str


class Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")
    item: str


class Renamed(BaseModel):
    item: str = Field(alias="itemName")


class Old(BaseModel):
    item: str

    @model_validator(mode="before")
    @classmethod
    def _from_thing(cls, given: Any) -> Any:
        return {"item": given["thing"]}


class Item(ExtensionsTypedDict, total=False):
    item: str


@dataclass
class Counted:
    made: ClassVar[int] = 0
    x: int


@pydantic_dataclass
class Named:
    item: str = Field(alias="itemName")


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        (Order, {"item": "tea", "quantity": 1}),
        (Renamed, {"itemName": "tea"}),
        (Named, {"itemName": "tea"}),
        (Point, {"x": 1}),
        (Row, {"tags": []}),
        (Item, {"item": "tea"}),
        (Order | Point, {"x": 1}),
    ],
)
async def test_a_field_that_an_object_does_not_have_is_refused(kind: Any, good: dict[str, Any]) -> None:
    async def take(value: Any) -> None: ...

    take.__annotations__["value"] = kind
    driver = Driver(agent(take))
    assert (await driver.send(data(good))).status.state is a2a.TaskState.COMPLETED
    for part in (data({**good, "colour": "red"}), text(json.dumps({**good, "colour": "red"}))):
        task = await driver.send(part)
        assert (task.status.state, "colour: this agent has no such field" in reason(task)) == (REJECTED, True)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Open, {"item": "tea", "colour": "red"}),
        (Lenient, {"item": "tea", "colour": "red"}),
        (Old, {"thing": "tea"}),
        (RootModel[dict[str, str]], {"colour": "red"}),
        (dict[str, str], {"colour": "red"}),
        (Counted, {"x": 1}),
    ],
)
async def test_an_object_that_takes_more_gets_it(kind: Any, given: dict[str, Any]) -> None:
    async def take(value: Any) -> None: ...

    take.__annotations__["value"] = kind
    assert (await Driver(agent(take)).send(data(given))).status.state is a2a.TaskState.COMPLETED


async def test_text_and_an_object_share_the_message() -> None:
    @agent
    async def note(text: str, order: Order | None) -> str:
        return f"{text}: {order.item if order else 'nothing'}"

    assert answer(await Driver(note).send(text("hi"), data({"item": "tea", "quantity": 1}))) == "hi: tea"
    assert answer(await Driver(note).send(text("hi"))) == "hi: nothing"


# -- fields ------------------------------------------------------------------------------------------------------------


@agent
async def search(query: str, limit: int = 10, colour: Colour | None = None) -> str:
    return f"{query} {limit} {colour.value if colour else '-'}"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([data({"query": "cats", "limit": 3})], "cats 3 -"),
        ([data({"query": "cats", "colour": "red"})], "cats 10 red"),
        ([text("cats")], "cats 10 -"),
        ([text('{"query": "cats", "limit": 2}')], "cats 2 -"),
        ([text('{"other": 1}')], '{"other": 1} 10 -'),
        ([text("cats"), data({"limit": 2})], "cats 2 -"),
        ([text("please"), data({"query": "cats"})], "cats 10 -"),
    ],
)
async def test_several_parameters_are_the_fields_of_one_object(parts: list[a2a.Part], expected: str) -> None:
    assert answer(await Driver(search).send(*parts)) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (data({"limit": 3}), "query: Field required"),
        (data({"query": "x", "limit": "few"}), "limit: "),
        (data({"query": "x", "colour": "green"}), "colour: "),
        (data({"query": "x", "limmit": 3}), "limmit: this agent has no such field"),
        (data(["cats"]), "should be an object"),
        (file(b"x"), "query: Field required"),
    ],
)
async def test_a_wrong_field_is_named(part: a2a.Part, expected: str) -> None:
    task = await Driver(search).send(part)
    assert task.status.state is REJECTED
    assert expected in reason(task)


async def test_text_beside_data_fills_what_the_data_lacks() -> None:
    @agent
    async def paint(colour: Colour, thing: str, coats: int) -> str:
        return f"{thing} {colour.value} {coats}"

    driver = Driver(paint)
    given = {"colour": "red", "thing": "a door", "coats": 2}
    for lacking, said in (("thing", "a door"), ("coats", "2"), ("colour", "red")):
        rest = {name: value for name, value in given.items() if name != lacking}
        assert answer(await driver.send(text(said), data(rest))) == "a door red 2"
    task = await driver.send(text("many"), data({"colour": "red", "thing": "a door"}))
    assert (task.status.state, "coats: " in reason(task)) == (REJECTED, True)


async def test_text_alone_is_not_enough_for_two_required_fields() -> None:
    @agent
    async def add(left: int, right: int) -> int:
        return left + right

    assert answer(await Driver(add).send(data({"left": 1, "right": 2}))) == 3
    assert answer(await Driver(add).send(text('{"left": 1, "right": 2}'))) == 3
    assert "'left', 'right'" in reason(await Driver(add).send(text("1")))


@pytest.mark.parametrize(
    ("hint", "part", "expected"),
    [
        (int, text("3"), 3),
        (int, data(3), 3),
        (int, data({"value": 3}), 3),
        (bool, text("true"), True),
        (float, text("1.5"), 1.5),
        (date, text("2026-01-31"), "2026-01-31"),
        (Colour, text("blue"), "blue"),
        (Literal["1", "2"], text("1"), "1"),
        (list[int], text("[1, 2]"), [1, 2]),
        (list[Order], data([{"item": "tea", "quantity": 1}]), [{"item": "tea", "quantity": 1}]),
        (dict[str, int] | list[int], data({"a": 1}), {"a": 1}),
    ],
)
async def test_one_value_of_another_type(hint: Any, part: a2a.Part, expected: Any) -> None:
    async def give(value: Any) -> Any:
        return value

    give.__annotations__["value"] = hint
    task = await Driver(agent(give)).send(part)
    assert answer(task) == expected


async def test_no_hint_gives_the_data_part_or_the_text() -> None:
    async def show(anything: Any) -> str:
        return repr(anything)

    del show.__annotations__["anything"]
    driver = Driver(agent(show))
    assert answer(await driver.send(text("hello"))) == "'hello'"
    assert answer(await driver.send(text("hello"), data({"a": 1}))) == "{'a': 1}"
    assert (await driver.send(file(b"x"))).status.state is REJECTED


async def test_parameters_whose_names_pydantic_would_not_take() -> None:
    @agent
    async def odd(_private: str, schema: int = 1, model_config: int = 2) -> str:
        return f"{_private} {schema} {model_config}"

    assert answer(await Driver(odd).send(data({"_private": "a", "schema": 5}))) == "a 5 2"


# -- files, the message, the task --------------------------------------------------------------------------------------


async def test_files_go_to_parameters_in_order() -> None:
    @agent
    async def diff(old: bytes, new: a2a.Part, rest: list[bytes] | None = None) -> str:
        assert new.raw is not None
        return f"{old.decode()} {new.raw.decode()} {len(rest or [])}"

    driver = Driver(diff)
    assert answer(await driver.send(text("look"), file(b"a"), file(b"b"))) == "a b 0"
    assert answer(await driver.send(file(b"a"), file(b"b"), file(b"c"), file(b"d"))) == "a b 2"
    assert "new: a file is missing" in reason(await driver.send(file(b"a")))


@agent
async def measure(picture: bytes) -> int:
    return len(picture)


@pytest.mark.parametrize(
    ("one", "parts", "said"),
    [
        (shout, [text("a"), file(b"x")], "takes no files, and the message has 1"),
        (search, [data({"query": "cats"}), a2a.Part(url="https://example.com/x")], "takes no files"),
        (
            order,
            [data({"item": "tea", "quantity": 2}), file(b"x"), file(b"y")],
            "takes no files, and the message has 2",
        ),
        (measure, [file(b"x"), file(b"y")], "takes 1 file, and the message has 2"),
    ],
)
async def test_a_file_that_nobody_takes_is_refused(one: Agent, parts: list[a2a.Part], said: str) -> None:
    task = await Driver(one).send(*parts)
    assert (task.status.state, said in reason(task)) == (REJECTED, True)


async def test_who_has_the_task_can_look_for_files() -> None:
    @agent
    async def weigh(text: str, task: Task) -> str:
        return f"{text} {len(task.files)}"

    assert answer(await Driver(weigh).send(text("how many?"), file(b"x"))) == "how many? 1"


async def test_a_url_is_a_part_and_not_bytes() -> None:
    @agent
    async def size(content: bytes) -> int:
        return len(content)

    @agent
    async def where(files: list[a2a.Part]) -> list[str | None]:
        return [part.url for part in files]

    link = a2a.Part(url="https://example.com/x")
    assert "content: " in reason(await Driver(size).send(link))
    assert answer(await Driver(where).send(link, link)) == ["https://example.com/x"] * 2


async def test_media_types_are_held_to() -> None:
    @agent
    async def size(picture: Annotated[bytes, Media("image/*")]) -> int:
        return len(picture)

    assert answer(await Driver(size).send(file(b"xx", "image/png"))) == 2
    assert answer(await Driver(size).send(file(b"xx"))) == 2
    task = await Driver(size).send(file(b"xx", "text/html"))
    assert (task.status.state, reason(task)) == (
        REJECTED,
        "Invalid input: picture: takes image/*, and the file is text/html",
    )


async def test_the_task_and_the_message_as_they_are() -> None:
    @agent
    async def look(text: str, task: Task, message: a2a.Message) -> str:
        assert task.message is message
        return f"{text} {len(message.parts)} {task.text}"

    assert answer(await Driver(look).send(text("a"), data(1))) == "a 2 a"


async def test_no_parameters() -> None:
    @agent
    async def ping() -> str:
        return "pong"

    assert answer(await Driver(ping).send(text("hello?"))) == "pong"


# -- answers to questions ----------------------------------------------------------------------------------------------


async def test_an_answer_that_does_not_fit_is_asked_for_again() -> None:
    @agent
    async def book(seats: int, task: Task) -> str:
        if task.resume is None:
            raise NeedInput("How many now?", token={"first": seats})
        return f"{task.resume['first']} then {seats}"

    driver = Driver(book)
    first = await driver.send(text("1"))
    again = await driver.send(text("many"), task_id=first.id)
    assert again.status.state is a2a.TaskState.INPUT_REQUIRED
    assert "seats: " in reason(again)
    assert answer(await driver.send(text("2"), task_id=first.id)) == "1 then 2"


async def test_an_answer_without_a_token_is_asked_for_again_too() -> None:
    asked: list[int] = []

    @agent
    async def count(number: int) -> int:
        if not asked:
            asked.append(number)
            raise NeedInput("Another?")
        return asked[0] + number

    driver = Driver(count)
    first = await driver.send(text("1"))
    assert (await driver.send(text("x"), task_id=first.id)).status.state is a2a.TaskState.INPUT_REQUIRED
    assert answer(await driver.send(text("2"), task_id=first.id)) == 3


async def test_bare_containers() -> None:
    async def keys(values: Any) -> int:
        return len(values)

    keys.__annotations__["values"] = dict
    driver = Driver(agent(keys))
    assert answer(await driver.send(data({"a": 1}))) == 1
    assert (await driver.send(data([1]))).status.state is REJECTED
