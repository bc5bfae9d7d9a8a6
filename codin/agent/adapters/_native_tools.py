"""Tools of codin as tools of a framework, and the other way."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic_core import to_json

from codin.agent._adapt import adapters, packages_of
from codin.agent.adapters._questions import json_value
from codin.errors import ConfigError
from codin.task import Task, current_task
from codin.task._task import run_of
from codin.tool import Tool, ToolRegistry, ToolSpec
from codin.tool._agent_tools import Executors
from codin.tool._protocol import kind_of

__all__ = ["NativeTool", "Offered", "lent", "offered", "tool_of", "unknown", "usable"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 64  # letters of a name, as models take it

Kind = TypeVar("Kind", bound="Offered")


# -- from codin to a framework -----------------------------------------------------------------------------------------


class Offered:
    """A tool of codin as a framework calls it.

    Attributes:
        tool: the tool itself.
        input_schema: of its arguments, for the framework to keep.
    """

    def __init__(self, tool: Tool, executors: Executors) -> None:
        self.tool = tool
        self.name: str = tool.name
        self.description: str = tool.spec.description
        self.input_schema: dict[str, Any] = dict(tool.spec.input_schema)
        self._executors = executors

    async def value(self, /, **arguments: Any) -> Any:
        """Use the tool, and give its result as JSON has it. In a task it is used as `task.tool` would.

        Raises:
            ToolError: it was not used, or not to an end; the text is for the model.
        """
        task = current_task()
        worker = None if task is None else run_of(task).worker
        if worker is None or worker.get_loop() is asyncio.get_running_loop():
            return await self._use(arguments, task)
        # The framework is on an event loop of its own, and a task is written to on the one of its run.
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._use(arguments, task), worker.get_loop())
        )

    async def text(self, /, **arguments: Any) -> str:
        """The same as text, for a framework whose tools give text to the model."""
        value = await self.value(**arguments)
        return value if isinstance(value, str) else to_json(value).decode()

    async def _use(self, arguments: Mapping[str, Any], task: Task | None) -> Any:
        executor = self._executors.find(self.tool, task)
        if task is None or not task.id:  # an agent that answers with messages has no log to write to
            return await executor.call(self.name, arguments, caller=None if task is None else task.caller)
        return await executor.call(self.name, arguments, task=task)


def offered(tools: Sequence[Tool | ToolRegistry], kind: Callable[[Tool, Executors], Kind]) -> Sequence[Kind]:
    """Each tool as the framework's kind of `Offered`, in this order; of a registry the newest version of each.

    Raises:
        ConfigError: one of them is no tool, or two have one name and version.
    """
    loose = ToolRegistry([each for each in tools if not isinstance(each, ToolRegistry)])
    alone = Executors(loose)
    found: list[Kind] = []
    for each in tools:
        if isinstance(each, ToolRegistry):
            executors = Executors(each)
            found += [kind(tool, executors) for tool in each.list()]
        else:
            found.append(kind(each, alone))
    return found


def lent(function: object) -> Tool | None:
    """The tool of codin that a framework calls by this method of `Offered`; None for any other function."""
    owner = getattr(function, "__self__", None)
    return owner.tool if isinstance(owner, Offered) else None


# -- from a framework to codin -----------------------------------------------------------------------------------------


class NativeTool(ABC):
    """A framework's tool by the names codin gives things.

    Args:
        name: the framework's; what models do not take in a name is a `_` here.
    """

    def __init__(self, name: str) -> None:
        self.name: str = (_NOT_IN_NAMES.sub("_", name).strip("_") or "tool")[:_LONGEST]

    @property
    @abstractmethod
    def spec(self) -> ToolSpec:
        """What the model knows of it. Whether it has to be approved is known here too."""

    @property
    def needs(self) -> str:
        """What it takes that there is in a run of its framework only; empty if it can be used anywhere."""
        return ""

    async def invoke(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it outside a run of its framework: with its arguments by name, or with one dict of them.

        Raises:
            ConfigError: it needs such a run.
        """
        if self.needs:
            raise ConfigError(f"the tool {self.name!r} takes {self.needs}", hint="run its agent")
        return json_value(await self.call(args[0] if args else kwargs))

    @abstractmethod
    async def call(self, arguments: dict[str, Any]) -> Any:
        """What it gives. It may raise anything; an executor makes a `ToolFailed` of that."""


def usable(tool: NativeTool) -> NativeTool:
    """The same. Raises ConfigError if it cannot be used outside a run of its framework."""
    if tool.needs:
        raise ConfigError(
            f"the tool {tool.name!r} takes {tool.needs}, and is no tool of codin for that",
            hint="serve its agent, or wrap what it does in a function with @tool",
        )
    return tool


def tool_of(native: object) -> Tool:
    """A tool of a framework as a tool of codin: `@agent(tools=[tool_of(search)])`.

    The framework is found as for an agent: by the package of the object's class. What `native_tools` made comes back as
    the tool it was made of, and a tool of codin stays itself.

    Args:
        native: a tool object of LangChain, LangGraph, CrewAI, Google ADK, Pydantic AI, the OpenAI Agents SDK or Agno,
            or of a framework whose adapter has a `tool_of` beside its `adapt`.

    Raises:
        ConfigError: it is no tool object that is known here, or takes what there is in a run of its framework only.
    """
    if isinstance(native, Tool) and not inspect.isclass(native):
        return native
    known = adapters()
    for package in packages_of(native):
        if package not in known:
            continue
        make: Callable[[object], Tool] | None = getattr(importlib.import_module(known[package].module), "tool_of", None)
        if make is not None:
            return make(native)
    hint = "decorate it with @tool" if callable(native) else "it takes a tool object of a framework that codin knows"
    raise ConfigError(f"{kind_of(native)} is no tool of a framework", hint=hint)


def unknown(native: object, wanted: str) -> ConfigError:
    """What is said of an object that is of the framework, but no tool that is a function."""
    return ConfigError(f"{kind_of(native)} is no tool that can be called", hint=f"it has to be {wanted}")
