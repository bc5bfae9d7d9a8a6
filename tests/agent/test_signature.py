"""Signatures that no message can fill are refused when they are decorated, and the parameter is named."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from codin import a2a
from codin.agent import AgentResponse, Task, agent
from codin.errors import ConfigError
from tests.agent.driver import Driver, answer, data, reason, text

if TYPE_CHECKING:
    from decimal import Decimal

pytestmark = pytest.mark.anyio


class Client:
    """Not something a message holds."""


async def many(*words: str) -> str: ...  # pyright: ignore[reportReturnType]
async def named(**words: str) -> str: ...  # pyright: ignore[reportReturnType]
async def by_place(word: str, /) -> str: ...  # pyright: ignore[reportReturnType]
async def two_tasks(task: Task, other: Task) -> str: ...  # pyright: ignore[reportReturnType]
async def two_messages(message: a2a.Message, other: a2a.Message) -> str: ...  # pyright: ignore[reportReturnType]
async def client(text: str, client: Client) -> str: ...  # pyright: ignore[reportReturnType]
async def wire(task: a2a.Task) -> str: ...  # pyright: ignore[reportReturnType]
async def artifact(thing: a2a.Artifact) -> str: ...  # pyright: ignore[reportReturnType]
async def response(thing: AgentResponse) -> str: ...  # pyright: ignore[reportReturnType]
async def hidden(price: Decimal) -> str: ...  # pyright: ignore[reportReturnType]
async def late(files: list[bytes], cover: bytes) -> str: ...  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("function", "parameter", "said"),
    [
        (many, "words", "any number"),
        (named, "words", "any names"),
        (by_place, "word", "positional-only"),
        (two_tasks, "other", "'task' already does"),
        (two_messages, "other", "'message' already does"),
        (client, "client", "no JSON can fill"),
        (wire, "task", "codin.task.Task"),
        (artifact, "thing", "codin.a2a.Part"),
        (response, "thing", "returns"),
        (hidden, "price", "TYPE_CHECKING"),
        (late, "cover", "takes them all"),
        (len, "obj", "positional-only"),
    ],
)
def test_the_parameter_is_named(function: Callable[..., Any], parameter: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agent(function)
    assert repr(parameter) in str(caught.value)
    assert said in str(caught.value)
    assert repr(function.__name__) in str(caught.value)


async def test_a_partial_binds_what_a_message_must_not() -> None:
    async def ask(text: str, client: Client, limit: int = 1) -> str:
        return f"{text} {type(client).__name__} {limit}"

    driver = Driver(agent(functools.partial(ask, client=Client(), limit=5)))
    assert answer(await driver.send(text("hi"))) == "hi Client 5"
    assert "limit: " in reason(await driver.send(data({"text": "hi", "limit": 9})))


def test_a_method_has_to_be_bound() -> None:
    with pytest.raises(ConfigError, match=r"'self'.*bound first"):

        class Greeter:  # pyright: ignore[reportUnusedClass]
            @agent
            async def greet(self, text: str) -> str:
                return text


async def test_bound_methods_and_callable_objects() -> None:
    class Greeter:
        def __init__(self, word: str) -> None:
            self.word = word

        async def greet(self, text: str) -> str:
            return f"{self.word} {text}"

    class Counter:
        async def __call__(self, text: str) -> AsyncIterator[str]:
            for letter in text:
                yield letter

    assert answer(await Driver(agent(Greeter("Hello").greet)).send(text("you"))) == "Hello you"
    assert answer(await Driver(agent(Counter())).send(text("you"))) == "you"


async def test_hints_may_name_a_class_of_the_enclosing_function() -> None:
    from pydantic import BaseModel

    class Local(BaseModel):
        x: int

    @agent
    async def plain(local: Local) -> int:
        return local.x

    @agent(name="with options")
    async def optioned(local: Local) -> int:
        return local.x

    for each in (plain, optioned):
        assert answer(await Driver(each).send(data({"x": 3}))) == 3


def test_names_and_ids() -> None:
    with pytest.raises(ConfigError, match="a lambda has no name"):
        agent(lambda: "x")
    assert agent(name="One Two/3")(lambda: "x").id == "one-two-3"
    with pytest.raises(ConfigError, match="cannot be the id"):
        agent(id="a/b")(lambda_named)
    with pytest.raises(ConfigError, match="cannot be the id"):
        agent(name="日本")(lambda_named)


def lambda_named() -> str:
    return "x"


def test_replies_have_to_fit() -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "x"

    async def message() -> a2a.Message:
        return a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[a2a.Part(text="x")])

    with pytest.raises(ConfigError, match="cannot be streamed"):
        agent(reply="message")(chunks)
    with pytest.raises(ConfigError, match="reply='message'"):
        agent(message)


@pytest.mark.parametrize("value", [3, "text", Client])
def test_what_is_no_function(value: Any) -> None:
    with pytest.raises(ConfigError):
        agent(value)
