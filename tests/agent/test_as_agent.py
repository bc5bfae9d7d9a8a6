"""Anything as an agent, or a word about why not."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import pytest

from codin.agent import AgentResponse, FunctionAgent, Task, agent, as_agent
from codin.errors import ConfigError
from codin.server import App
from tests.agent.driver import Driver, answer, text

pytestmark = pytest.mark.anyio


class Echo:
    id = "echo"
    name = "echo"
    description = "Say it again."
    tools = ()

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed(task.text)


class Graph:
    """An object of a framework."""


class SubGraph(Graph):
    pass


Graph.__module__ = "fancyflow.graph.state"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with an adapter for `fancyflow`, and one whose adapter cannot be imported."""
    module = ModuleType("fancyflow_adapter")

    def adapt(obj: Any, **options: Any) -> Any:
        made = Echo()
        made.name = f"{type(obj).__name__} {sorted(options.items())}"
        return made

    module.adapt = adapt  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "fancyflow_adapter", module)
    points = EntryPoints(
        [
            EntryPoint("fancyflow", "fancyflow_adapter:adapt", "codin.adapters"),
            EntryPoint("broken", "no_such_module:adapt", "codin.adapters"),
        ]
    )

    def select(*, group: str) -> EntryPoints:
        return points.select(group=group)

    monkeypatch.setattr("importlib.metadata.entry_points", select)


async def test_an_agent_stays_itself() -> None:
    echo = Echo()
    assert as_agent(echo) is echo
    assert answer(await Driver(as_agent(echo)).send(text("a"))) == "a"

    @agent
    async def shout(text: str) -> str:
        return text.upper()

    assert as_agent(shout) is shout
    with pytest.raises(ConfigError, match="already"):
        as_agent(echo, name="other")


async def test_a_function_becomes_one() -> None:
    def twice(text: str) -> str:
        return text * 2

    made = as_agent(twice, name="Double", description="Doubles.")
    assert (made.name, made.description) == ("Double", "Doubles.")
    assert answer(await Driver(made).send(text("a"))) == "aa"
    assert isinstance(made, FunctionAgent)


@pytest.mark.usefixtures("installed")
def test_a_framework_object_goes_to_its_adapter() -> None:
    assert as_agent(SubGraph(), name="n", extra=1).name == "SubGraph [('extra', 1), ('name', 'n')]"


@pytest.mark.usefixtures("installed")
def test_an_agent_of_a_framework_class_is_taken_as_it_is() -> None:
    class Both(Echo, Graph):
        pass

    both = Both()
    assert as_agent(both) is both


@pytest.mark.usefixtures("installed")
def test_an_adapter_that_cannot_be_imported() -> None:
    class Thing:
        pass

    Thing.__module__ = "broken.things"
    with pytest.raises(ConfigError, match=r"no_such_module.*the adapter is 'no_such_module:adapt'"):
        as_agent(Thing())


@pytest.mark.usefixtures("installed")
def test_nothing_fits_and_the_hint_says_what_is_known() -> None:
    class Crew:
        pass

    Crew.__module__ = "otherflow.crew"
    with pytest.raises(ConfigError) as caught:
        as_agent(Crew())
    assert "otherflow.crew" in caught.value.message
    assert caught.value.hint is not None
    assert "known frameworks: broken, fancyflow" in caught.value.hint
    assert "an adapter named 'otherflow'" in caught.value.hint
    with pytest.raises(ConfigError, match="known frameworks"):
        as_agent("http://127.0.0.1:8000")


def test_what_an_agent_lacks_is_named() -> None:
    class Nameless:
        id = "x"
        tools = ()

        async def handle(self, task: Task) -> AgentResponse:
            raise NotImplementedError

    class Idle:
        id = name = "x"
        description = ""
        tools = ()

    with pytest.raises(ConfigError, match="has no 'name', 'description'"):
        as_agent(Nameless())
    with pytest.raises(ConfigError, match="has no 'handle'"):
        as_agent(Idle())


def test_what_an_agent_has_must_be_right() -> None:
    class Empty(Echo):
        name = ""

    class Streams(Echo):
        async def handle(self, task: Task) -> AsyncIterator[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
            yield "x"

    with pytest.raises(ConfigError, match="'name'"):
        as_agent(Empty())
    with pytest.raises(ConfigError, match="no coroutine function"):
        as_agent(Streams())
    with pytest.raises(ConfigError, match="is a class"):
        as_agent(Echo)


async def _shout(text: str) -> str:
    return text.upper()


def test_an_application_is_no_agent() -> None:
    with pytest.raises(ConfigError, match="is an ASGI application, and no agent"):
        as_agent(App(_shout))
