"""A tool does the same wherever it runs: what it gives, in which pieces, and what it fails by."""

from __future__ import annotations

import asyncio
import math
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from codin.errors import (
    ConfigError,
    InvalidArguments,
    InvalidResult,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    UnknownTool,
)
from codin.tool import Sandboxing, ToolExecutor, ToolLimits, ToolSpec, in_runtime, tool

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]


@dataclass
class Book:
    title: str
    pages: int = 1


class Cup(BaseModel):
    holds: float = Field(serialization_alias="millilitres", validation_alias="millilitres")


class Colour(Enum):
    GREEN = "green"


# -- what it gives -----------------------------------------------------------------------------------------------------


@tool
def book(title: str) -> Book:
    """Find it."""
    return Book(title)


@tool
def cup() -> Cup:
    """Fill it."""
    return Cup.model_validate({"millilitres": 250})


@tool
async def values() -> dict[str, Any]:
    """All that a result may hold."""
    return {
        "day": date(2030, 1, 2),
        "time": time(3, 4, 5),
        "price": Decimal("1.50"),
        "id": UUID(int=7),
        "colour": Colour.GREEN,
        "bytes": b"tea",
        "path": Path("a/b"),
        "tuple": (1, 2),
        "set": {3},
        "nan": [math.nan, -math.inf],
        "keys": {1: "one"},
        "books": [Book("tea", 2)],
    }


@tool
def moments() -> list[tuple[datetime, timedelta, bytes, Colour]]:
    """Such as only a hint tells from text."""
    return [(datetime(2030, 1, 2, tzinfo=UTC), timedelta(days=-1, seconds=90), b"tea", Colour.GREEN)]


@tool
def nothing() -> None:
    """Give nothing."""


@tool
def loud() -> str:
    """Print more than the result may have, and give one."""
    print("x" * 2_000_000)
    return "done"


@tool
def large(size: int) -> str:
    """Give much, which is longer in ASCII."""
    return "ö" * size


@tool
def wrong() -> int:
    """Give what was not promised."""
    return "many"  # pyright: ignore[reportReturnType]


@tool
def means(rows: list[list[float]]) -> list[dict[str, float]]:
    """Give what has no word in JSON for those that are empty."""
    return [{"mean": sum(row) / len(row) if row else math.nan} for row in rows]


@tool
def maybe() -> list[float | None]:
    """Give it where there may be nothing."""
    return [math.inf]


@tool
def thing() -> Any:
    """Give what is no JSON."""
    return object()


# -- in pieces ---------------------------------------------------------------------------------------------------------


@tool
def numbers(to: int) -> Iterator[int]:
    """Count."""
    yield from range(to)


@tool
async def books(titles: list[str]) -> AsyncIterator[Book]:
    """Find them."""
    for title in titles:
        yield Book(title)


@tool
async def letters(text: str) -> AsyncIterator[str]:
    """Spell."""
    for letter in text:
        yield letter


@tool
def mixed() -> Iterator[Any]:
    """Of all kinds."""
    yield from ("a", 1, None, ["b"])


@tool
def words() -> Any:
    """Text, without a hint."""
    yield "tea "
    yield "time"


@tool
def none() -> Iterator[int]:
    """Give none."""
    yield from ()


@tool
def breaks() -> Iterator[int]:
    """Fail after two."""
    yield 1
    yield 2
    raise ValueError("no three")


@tool
def leaves() -> Iterator[int]:
    """End the program after one."""
    yield 1
    sys.exit()


@tool
async def quits() -> None:
    """End the program, where nothing is a result too."""
    sys.exit(0)


@tool
def lies() -> Iterator[int]:
    """Give what was not promised after one."""
    yield 1
    yield "two"  # pyright: ignore[reportReturnType]


@tool
def ratios() -> Iterator[float]:
    """Give what has no word in JSON after one."""
    yield 0.5
    yield math.nan


@tool
def endless() -> Iterator[str]:
    """Never end."""
    while True:
        yield "x" * 1000


@tool(timeout=4)
def drips() -> Iterator[int]:
    """Give one, and hang."""
    yield 1
    Event().wait()


class Steps:
    """A streaming tool of anybody's."""

    name = "steps"
    spec = ToolSpec("Counts.", output_schema={"type": "array"}, streams=True)

    async def invoke(self) -> list[int]:
        raise AssertionError

    async def stream(self, number: int = 2) -> AsyncIterator[int]:
        for each in range(number):
            yield each


# -- what it fails by --------------------------------------------------------------------------------------------------


class Odd(Exception):
    def __str__(self) -> str:
        return "first line\nsecond line"


class Own(ToolRefused):
    pass


def _of(kind: type[ToolError], message: str, **more: Any) -> ToolError:
    return kind(message, tool="refuses", **more)


HOW: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("x"),
    "bare": ValueError,
    "lines": Odd,
    "long": lambda: ValueError("x" * 10_000),
    "key": lambda: KeyError("k"),
    "exit": lambda: SystemExit(3),
    "well": lambda: SystemExit(0),
    "bare exit": SystemExit,
    "words": lambda: SystemExit("no more"),
    "group": lambda: ExceptionGroup("of a task group", [ValueError("inner")]),
    "groups": lambda: ExceptionGroup("of a task group", [ValueError("one"), OSError("two")]),
    "time": lambda: TimeoutError("of its own"),
    "stop": asyncio.CancelledError,
}
OWN: dict[str, Callable[[], BaseException]] = {
    "setting": lambda: ConfigError("no such thing", hint="take another"),
    "plain": lambda: _of(ToolError, "only on Tuesdays", hint="come back on Tuesday"),
    "refused": lambda: _of(ToolRefused, "not for you"),
    "own": lambda: _of(Own, "not for you either"),
    "busy": lambda: _of(ToolBusy, "later", retryable=True),
    "arguments": lambda: _of(InvalidArguments, "no such day", field="when.day", hint="it takes a day"),
    "result": lambda: _of(InvalidResult, "of no use"),
    "failed": lambda: _of(ToolFailed, "gone", retryable=True, hint="wait"),
    "late": lambda: _of(ToolTimeout, "it did not answer"),
    "unknown": lambda: _of(UnknownTool, "there is no such tool"),
}


@tool
def raises(how: str) -> str:
    """Raise it."""
    raise HOW[how]()


@tool
def refuses(how: str) -> str:
    """Raise an error of codin, which has to be there for it."""
    raise OWN[how]()


@tool(idempotent=True)
async def fails() -> str:
    """Fail, so that another call may do better."""
    raise OSError("gone")


@tool(secrets=["pin"])
def login(pin: int) -> str:
    """Say what nobody should."""
    raise ValueError(f"{pin} is wrong")


TOOLS: list[Any] = [
    *(book, cup, values, moments, nothing, loud, large, wrong, means, maybe, thing),
    *(numbers, books, letters, mixed, words, none, breaks, leaves, quits, lies, ratios, endless, drips, Steps()),
    *(raises, refuses, fails, login),
]


@pytest.fixture(params=["off", "required"])
def word(request: pytest.FixtureRequest) -> Sandboxing:
    return request.param


@pytest.fixture
def executor(word: Sandboxing) -> ToolExecutor:
    sandbox: dict[str, Sandboxing] = {each.name: word for each in TOOLS}
    return ToolExecutor(TOOLS, run=in_runtime(), sandbox=sandbox, limits=ToolLimits(max_result=500_000))


@pytest.mark.parametrize(
    ("name", "arguments", "given"),
    [
        ("book", {"title": "tea"}, {"title": "tea", "pages": 1}),
        ("cup", {}, {"millilitres": 250.0}),
        (
            "values",
            {},
            {
                "day": "2030-01-02",
                "time": "03:04:05",
                "price": "1.50",
                "id": "00000000-0000-0000-0000-000000000007",
                "colour": "green",
                "bytes": "tea",
                "path": "a/b",
                "tuple": [1, 2],
                "set": [3],
                "nan": [None, None],
                "keys": {"1": "one"},
                "books": [{"title": "tea", "pages": 2}],
            },
        ),
        ("moments", {}, [["2030-01-02T00:00:00Z", "-PT23H58M30S", "tea", "green"]]),
        ("nothing", {}, None),
        ("means", {"rows": [[1, 2]]}, [{"mean": 1.5}]),
        ("maybe", {}, [None]),
        ("loud", {}, "done"),
        ("large", {"size": 240_000}, "ö" * 240_000),
        ("numbers", {"to": 3}, [0, 1, 2]),
        ("books", {"titles": ["a", "b"]}, [{"title": "a", "pages": 1}, {"title": "b", "pages": 1}]),
        ("letters", {"text": "tea"}, "tea"),
        ("mixed", {}, ["a", 1, None, ["b"]]),
        ("words", {}, "tea time"),
        ("none", {}, []),
        ("steps", {"number": 3}, [0, 1, 2]),
    ],
)
async def test_what_it_gives(executor: ToolExecutor, name: str, arguments: dict[str, Any], given: Any) -> None:
    assert await executor.call(name, arguments) == given


@pytest.mark.parametrize(
    ("name", "arguments", "pieces"),
    [
        ("numbers", {"to": 3}, [0, 1, 2]),
        ("books", {"titles": ["a", "b"]}, [{"title": "a", "pages": 1}, {"title": "b", "pages": 1}]),
        ("letters", {"text": "tea"}, ["t", "e", "a"]),
        ("mixed", {}, ["a", 1, None, ["b"]]),
        ("words", {}, ["tea ", "time"]),
        ("none", {}, []),
        ("steps", {}, [0, 1]),
        ("book", {"title": "tea"}, [{"title": "tea", "pages": 1}]),
        ("breaks", {}, [1, 2, ToolFailed("'breaks' failed: ValueError: no three", tool="breaks")]),
        ("leaves", {}, [1, ToolFailed("'leaves' failed: SystemExit", tool="leaves")]),
        ("lies", {}, [1, InvalidResult]),
        ("ratios", {}, [0.5, InvalidResult]),
        ("endless", {}, [*["x" * 1000] * 499, InvalidResult]),
    ],
)
async def test_its_pieces(executor: ToolExecutor, name: str, arguments: dict[str, Any], pieces: list[Any]) -> None:
    came = await _came(executor, name, arguments, pieces)
    assert [_seen(piece) for piece in came] == [_seen(piece) for piece in pieces]


async def test_the_pieces_of_one_that_hangs(executor: ToolExecutor, word: Sandboxing) -> None:
    how = "may go on" if word == "off" else "was stopped"  # a thread of this process cannot be
    pieces = [1, ToolTimeout(f"'drips' took longer than 4 s, and {how}", tool="drips")]
    came: list[Any] = []
    while len(came) < 2:  # until a busy machine brings it up in its time
        came = await _came(executor, "drips", {}, pieces)
    assert [_seen(piece) for piece in came] == [_seen(piece) for piece in pieces]


async def _came(executor: ToolExecutor, name: str, arguments: dict[str, Any], pieces: list[Any]) -> list[Any]:
    came: list[Any] = []
    try:
        async with aclosing(executor.stream(name, arguments)) as stream:
            async for piece in stream:
                came.append(piece)  # noqa: PERF401 - what came before an error counts
    except ToolError as error:
        came.append(type(error) if pieces[-1] is type(error) else error)
    return came


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("value", "ValueError: x"),
        ("bare", "ValueError"),
        ("lines", "Odd: first line"),
        ("long", f"ValueError: {'x' * 300}"),
        ("key", "KeyError: 'k'"),
        ("exit", "SystemExit: 3"),
        ("well", "SystemExit: 0"),
        ("bare exit", "SystemExit"),
        ("words", "SystemExit: no more"),
        ("group", "ValueError: inner"),
        ("groups", "ExceptionGroup: of a task group (2 sub-exceptions)"),
        ("time", "TimeoutError: of its own"),
    ],
)
async def test_what_it_fails_by(executor: ToolExecutor, how: str, said: str) -> None:
    with pytest.raises(ToolError) as caught:
        await executor.call("raises", {"how": how})
    assert _seen(caught.value) == _seen(ToolFailed(f"'raises' failed: {said}", tool="raises"))


async def test_one_that_stops_itself(executor: ToolExecutor) -> None:
    with pytest.raises(ToolFailed, match="'raises' stopped itself"):
        await executor.call("raises", {"how": "stop"})


@pytest.mark.parametrize("how", ["plain", "refused", "busy", "arguments", "result", "failed", "late", "unknown"])
async def test_an_error_for_a_model_comes_as_it_is(executor: ToolExecutor, how: str) -> None:
    with pytest.raises(ToolError) as caught:
        await executor.call("refuses", {"how": how})
    assert _seen(caught.value) == _seen(OWN[how]())


async def test_an_error_for_a_person_is_told_like_any_other(executor: ToolExecutor) -> None:
    with pytest.raises(ToolFailed, match=r"'refuses' failed: ConfigError: no such thing\. Hint: take another"):
        await executor.call("refuses", {"how": "setting"})


async def test_an_error_of_a_tools_own_class_is_the_nearest_one_of_codin_elsewhere(executor: ToolExecutor) -> None:
    with pytest.raises(ToolRefused, match="not for you either"):
        await executor.call("refuses", {"how": "own"})


@pytest.mark.parametrize(
    ("name", "arguments", "error", "said"),
    [
        ("fails", {}, ToolFailed, "'fails' failed: OSError: gone"),
        ("login", {"pin": 4711}, ToolFailed, "'login' failed: ValueError: *** is wrong"),
        ("quits", {}, ToolFailed, "'quits' failed: SystemExit: 0"),
        ("wrong", {}, InvalidResult, "does not fit its type"),
        ("means", {"rows": [[1, 2], []]}, InvalidResult, "the result of 'means' does not fit its type: 1.mean: "),
        ("thing", {}, InvalidResult, "not JSON"),
        ("large", {"size": 400_000}, InvalidResult, "the result of 'large' has more than 500000 bytes"),
        ("large", {"size": 2_000_000}, InvalidResult, "the result of 'large' has more than 500000 bytes"),
        ("endless", {}, InvalidResult, "the result of 'endless' has more than 500000 bytes"),
        ("breaks", {}, ToolFailed, "'breaks' failed: ValueError: no three"),
    ],
)
async def test_what_else_it_fails_by(
    executor: ToolExecutor, name: str, arguments: dict[str, Any], error: type[ToolError], said: str
) -> None:
    with pytest.raises(error) as caught:
        await executor.call(name, arguments)
    assert type(caught.value) is error
    assert said in caught.value.message
    assert caught.value.retryable == (name == "fails")


def _seen(one: Any) -> Any:
    """What a model sees of an error; any other value as it is."""
    if not isinstance(one, ToolError):
        return one
    return type(one), one.message, one.hint, one.tool, one.retryable, getattr(one, "field", None)
