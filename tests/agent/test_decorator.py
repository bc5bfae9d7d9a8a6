"""A decorated function is an agent and stays the function it was, for people, programs and type checkers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import pytest

from codin.agent import Agent, Describes, FunctionAgent, agent, as_agent
from codin.errors import ConfigError

pytestmark = pytest.mark.anyio


@agent
async def shout(text: str, times: int = 1) -> str:
    """Say it louder."""
    return text.upper() * times


@agent(name="Whisper")
def whisper(text: str) -> bytes:
    return text.lower().encode()


@agent
async def letters(text: str) -> AsyncIterator[str]:
    for letter in text:
        yield letter


@agent
def numbers(count: int) -> Iterator[int]:
    yield from range(count)


async def test_it_is_called_as_before() -> None:
    assert await shout("a", times=2) == "AA"
    assert whisper("A") == b"a"
    assert [letter async for letter in letters("ab")] == ["a", "b"]
    assert list(numbers(2)) == [0, 1]


async def test_its_types_are_kept() -> None:
    assert_type(await shout("a", 2), str)
    assert_type(whisper("A"), bytes)
    assert_type(letters("ab"), AsyncIterator[str])
    assert_type(numbers(count=1), Iterator[int])


def test_it_looks_like_the_function() -> None:
    assert shout.__name__ == "shout"
    assert shout.__doc__ == "Say it louder."
    assert list(inspect.signature(shout).parameters) == ["text", "times"]
    assert repr(whisper) == "<FunctionAgent 'whisper'>"


def test_it_is_an_agent() -> None:
    promised: Agent = shout  # pyright holds the protocol to it
    assert isinstance(promised, Agent)
    assert isinstance(shout, FunctionAgent)
    assert (shout.id, shout.name, tuple(shout.tools)) == ("shout", "shout", ())


def test_it_tells_about_itself() -> None:
    promised: Describes = shout
    assert isinstance(promised, Describes)
    assert promised.input_schema is shout.input_schema  # made once
    assert promised.output_schema is None


@pytest.mark.parametrize(
    ("option", "meant"), [("nmae", "did you mean 'name'?"), ("colour", "it has id, name, description")]
)
def test_an_option_that_there_is_not_names_those_there_are(option: str, meant: str) -> None:
    options: dict[str, Any] = {option: "x"}
    for make in (lambda: agent(**options), lambda: as_agent(len, **options)):
        with pytest.raises(ConfigError) as caught:
            make()
        assert f"no option {option!r}" in str(caught.value)
        assert meant in str(caught.value)
        assert "local" not in str(caught.value)
