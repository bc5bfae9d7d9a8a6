"""Serves a LangChain runnable as an agent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Unpack, cast

from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs
from langchain_core.tools import BaseTool

from codin.agent.adapters._profile import AdapterOptions, Profile, thread_id
from codin.agent.adapters.langchain._input import runnable_input
from codin.agent.adapters.langchain._shape import Given, Taken, edge_of
from codin.agent.adapters.langchain._steps import light
from codin.agent.adapters.langchain._stream import Events, Relay
from codin.errors import ConfigError
from codin.task import AgentResponse, Task

__all__ = ["RunnableAgent", "RunnableOptions", "adapt"]

_SESSION = ("session_id", "thread_id", "conversation_id")  # what runnables with a memory look for in their config
_CHAT_MODES = ("text/plain", "application/json", "text/*", "image/*", "audio/*", "application/pdf")


class RunnableOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the runnable.

    The name is the runnable's own by default (`with_config(run_name=...)` or `name=`), and the description the
    docstring of its function.

    Args:
        text_field: the input field that takes plain text, when more than one can.
        text_key: the key of a dict answer whose text is streamed as the answer; the rest is data.
        events: send custom events (`adispatch_custom_event`) as status updates; on by default.
        config: merged into the config of every run, or a function of the task that gives it. Session and thread ids are
            always codin's.
    """

    text_field: str
    text_key: str
    events: bool
    config: RunnableConfig | Callable[[Task], RunnableConfig]


def adapt(runnable: object, **options: Unpack[RunnableOptions]) -> RunnableAgent:
    """A runnable as an agent: a chain, a model, a retriever, a tool, a `RunnableLambda`.

    The runnable is not changed. `RunnableOptions` lists the options.

    Raises:
        ConfigError: this is no runnable, it can only be run without asyncio, or `text_field` is none of its fields.
    """
    if not isinstance(runnable, Runnable):
        raise ConfigError(f"{type(runnable).__name__} is no runnable", hint="serve the chain it is part of")
    return RunnableAgent(cast("Any", runnable), **options)


class RunnableAgent(Profile):
    """A LangChain runnable as an agent."""

    def __init__(self, runnable: Runnable[Any, Any], **options: Unpack[RunnableOptions]) -> None:
        _refuse_sync(runnable)
        self._taken = Taken(runnable, options.get("text_field"))
        self._given = Given(runnable, options.get("text_key"))
        name = _name_of(runnable)
        data = ("text/plain", "application/json") if self._taken.takes_text else ("application/json", "text/plain")
        super().__init__(
            options,
            name=name,
            description=_description_of(runnable) or f"The LangChain runnable {name!r}.",
            framework="langchain",
            input_modes=_CHAT_MODES if self._taken.chat else data,
            output_modes=self._given.modes,
            input_schema=self._taken.schema,
            output_schema=self._given.schema,
        )
        self._runnable = light(runnable)
        self._options = options

    async def handle(self, task: Task) -> AgentResponse:
        """Run it, once for each message."""
        given = runnable_input(self._taken, self.name, task.message)
        options = self._options
        events = Events(task, events=options.get("events", True), tools=options.get("tool_activity", False))
        relay = Relay(task, options.get("text_key"))
        try:
            await events.guard(self._run(task, given, events, relay))
            return relay.response()
        finally:
            task.usage(**events.usage())

    async def _run(self, task: Task, given: Any, events: Events, relay: Relay) -> None:
        thread = thread_id(self.id, task)
        own: RunnableConfig = {"callbacks": [events], "configurable": dict.fromkeys(_SESSION, thread)}
        config = self._options.get("config")
        config = merge_configs(config(task) if callable(config) else config, own) if config else own
        if self._given.streams:
            async with aclosing(self._runnable.astream(given, config)) as pieces:
                async for piece in pieces:
                    await relay.take(piece)
        else:
            await relay.take(await self._runnable.ainvoke(given, config))
        await events.settle()


def _name_of(runnable: Runnable[Any, Any]) -> str:
    """The name it was given, or that of its function or model; LangChain's names of mere combinations say nothing."""
    config: RunnableConfig = cast("Any", runnable).config if isinstance(runnable, RunnableBindingBase) else {}
    name = config.get("run_name") or runnable.get_name()
    return "chain" if name.startswith("Runnable") else name


def _description_of(runnable: Runnable[Any, Any]) -> str:
    if isinstance(runnable, BaseTool):
        return runnable.description
    step = edge_of(runnable, "first")
    if step is not edge_of(runnable, "last") or not isinstance(step, (RunnableLambda, RunnableGenerator)):
        return ""
    return inspect.getdoc(_function_of(step)) or ""


def _function_of(step: Any) -> Any:
    """What a runnable calls."""
    names = ("func", "afunc", "_transform", "_atransform")
    return next((found for name in names if (found := getattr(step, name, None)) is not None), None)


def _refuse_sync(runnable: Runnable[Any, Any]) -> None:
    """A generator that blocks cannot be streamed on an event loop; LangChain would tell only when it runs."""
    for step in runnable.steps if isinstance(runnable, RunnableSequence) else [edge_of(runnable, "first")]:
        alone = not hasattr(step, "afunc" if isinstance(step, RunnableLambda) else "_atransform")
        if alone and inspect.isgeneratorfunction(_function_of(step)):
            raise ConfigError(
                f"{step.get_name()!r} is a generator without asyncio, which LangChain cannot stream on a server",
                hint="write it as an async generator: async def, with the same yields",
            )
