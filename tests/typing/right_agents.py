"""Functions and classes that are agents."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, assert_type

import codin
from codin import a2a
from codin.agent import Agent, AgentResponse, Describes, FunctionAgent, Media, Task, agent, as_agent
from codin.tool import Tool, ToolSpec


@agent
async def shout(text: str, times: int = 1) -> str:
    """Say it louder."""
    return text.upper() * times


@agent(
    id="count",
    description="How many words a text has.",
    tags=["text"],
    examples=("how many words?",),
    reply="message",
    rerunnable=True,
    closing_update=False,
    max_threads=2,
)
def count(text: str) -> int:
    return len(text.split())


@agent(skills=[a2a.AgentSkill(id="spell", name="Spell", description="Letter by letter.", tags=["text"])])
async def spell(text: str) -> AsyncIterator[str | dict[str, int]]:
    for letter in text:
        yield letter
    yield {"letters": len(text)}


@agent
def lines(text: str, task: Task) -> Iterator[str]:
    yield from f"{task.id}\n{text}".splitlines()


@agent(output_modes=["image/png"])
async def turn(picture: Annotated[bytes, Media("image/*")]) -> Annotated[bytes, Media("image/png", filename="a.png")]:
    return picture[::-1]


async def functions_stay_what_they_were() -> None:
    assert_type(await shout("hello", times=2), str)
    assert_type(await turn(b"picture"), bytes)
    assert_type(count(text="two words"), int)
    assert_type(spell("ab"), AsyncIterator[str | dict[str, int]])
    async for item in spell("ab"):
        assert_type(item, str | dict[str, int])


def takes_a_function(function: Callable[[str, Task], Iterator[str]]) -> FunctionAgent[[str, Task], Iterator[str]]:
    return agent(function)


def functions_tell_about_themselves() -> None:
    assert_type(shout.id, str)
    assert_type(shout.description, str)
    assert_type(shout.reply, Literal["task", "message"])
    assert_type(shout.skills, Sequence[a2a.AgentSkill])
    assert_type(shout.input_schema, Mapping[str, Any] | None)


class Greeter:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def greet(self, name: str) -> str:
        return f"{self.greeting}, {name}"

    def __call__(self, name: str) -> bytes:
        return name.encode()


async def search(words: str, greeter: Greeter) -> list[str]:
    return [greeter.greeting, words]


async def what_is_called_like_a_function_is_an_agent() -> None:
    assert_type(await agent(Greeter("Hello").greet)(name="Ada"), str)
    assert_type(agent(Greeter("Hello"))("Ada"), bytes)
    assert_type(await agent(functools.partial(search, greeter=Greeter("Hello")))("books"), list[str])


class Echo:
    """An agent by plain attributes."""

    id = "echo"
    name = "Echo"
    description = "Says it again."
    tools = ()

    async def handle(self, task: Task) -> AgentResponse:
        await task.write(task.text)
        return AgentResponse.completed()


class Search:
    name = "search"
    spec = ToolSpec("Finds books.")

    async def invoke(self, words: str) -> list[str]:
        return [words]


class Librarian:
    """An agent made with a list of tools, which is a list of one kind of tool."""

    def __init__(self, name: str, tools: list[Search]) -> None:
        self.id = "librarian"
        self.name = name
        self.description = "Finds books."
        self.tools = tools

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(data=await self.tools[0].invoke(task.text))


@dataclass(frozen=True)
class Doorkeeper:
    """An agent whose members cannot be written."""

    id: str
    name: str
    description: str = ""
    tools: list[Tool] = field(default_factory=list[Tool])

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.rejected(f"{task.caller.id} may not.")


class Terse:
    """What it calls its parameter is its own business."""

    id = "terse"
    name = "Terse"
    description = "Says little."
    tools = ()

    async def handle(self, t: Task) -> AgentResponse:
        return AgentResponse.completed(t.text[:1])


class Computed:
    """An agent by properties, with what a server looks for beside the promise."""

    version = "2.0.0"
    rerunnable = True

    @property
    def id(self) -> str:
        return "computed"

    @property
    def name(self) -> str:
        return self.id.title()

    @property
    def description(self) -> str:
        return "Made up on the spot."

    @property
    def tools(self) -> Sequence[Tool]:
        return [Search()]

    async def handle(self, task: codin.Task) -> codin.AgentResponse:
        return codin.AgentResponse.message(task.text)


AGENTS: list[Agent] = [
    shout,
    count,
    spell,
    lines,
    turn,
    Echo(),
    Librarian("Librarian", [Search()]),
    Doorkeeper("doorkeeper", "Doorkeeper"),
    Computed(),
    Terse(),
]
"""Both kinds, side by side."""

DESCRIBED: list[Describes] = [shout, count]


def functions_are_passed_on(task: Task) -> None:
    assert_type(takes_a_function(lines)("a", task), Iterator[str])


def any_object(thing: object) -> Agent:
    assert_type(as_agent(thing, name="Thing"), Agent)
    return thing if isinstance(thing, Agent) else as_agent(thing)
