"""Serves a LangGraph graph as an agent: any compiled graph, unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Unpack, cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph import errors
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphRecursionError
from langgraph.pregel import Pregel
from langgraph.types import Command, StateSnapshot
from pydantic import ValidationError

from codin import a2a
from codin.agent.adapters._history import ASKED
from codin.agent.adapters._profile import AdapterOptions, slug
from codin.agent.adapters._questions import Question, Unclear, answers, ask, json_value, object_of
from codin.agent.adapters.langchain._calls import Calls
from codin.agent.adapters.langgraph._input import graph_input
from codin.agent.adapters.langgraph._questions import question_of
from codin.agent.adapters.langgraph._shape import Graph, Shape, entrypoint_of
from codin.agent.adapters.langgraph._stream import Relay
from codin.agent.adapters.langgraph._threads import Place, SyncCheckpointer, Threads, with_checkpointer
from codin.agent.adapters.langgraph._tools import tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task
from codin.tool import Tool

__all__ = ["GraphOptions", "LangGraphAgent", "adapt"]

_STREAM = ["messages", "updates", "custom", "values"]
_UNNAMED = "LangGraph"  # what LangGraph calls a graph that was compiled without a name

_GONE = (
    "The question is not open any more on the graph's side. A checkpointer that keeps its state in memory forgets it "
    "when the process ends."
)


class GraphOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the graph.

    The name is the graph's own by default (`compile(name=...)`), and the description the docstring of the state or of
    the entrypoint.

    Args:
        checkpointer: used instead of the graph's own, on a copy of the graph.
        text_field: the field of a typed state that takes plain text; by default the first that is a str.
        text_from: the nodes whose text is the answer. By default all nodes of a chat graph, and none of another graph.
        events: send what nodes write with `get_stream_writer()` as status updates; on by default.
        subgraphs: stream the text of models inside subgraphs piece by piece, and their events.
        config: merged into the config of every run (`recursion_limit`, `callbacks`, `tags`, …), or a function of the
            task that gives it. The thread id is always codin's.
        context: the graph's runtime context, or a function of the task that gives it.
    """

    checkpointer: BaseCheckpointSaver[Any]
    text_field: str
    text_from: Sequence[str]
    events: bool
    subgraphs: bool
    config: RunnableConfig | Callable[[Task], RunnableConfig]
    context: Any


def adapt(graph: object, **options: Unpack[GraphOptions]) -> LangGraphAgent:
    """A compiled graph as an agent: what `StateGraph.compile()`, `create_agent()` or `@entrypoint` gives.

    The graph is not changed. `GraphOptions` lists the options.

    Raises:
        ConfigError: this is no compiled graph, or `text_field` is none of its fields.
    """
    if not isinstance(graph, Pregel):
        raise ConfigError(
            f"{type(graph).__name__} is no compiled graph", hint="give what StateGraph(...).compile() returns"
        )
    return LangGraphAgent(graph, **options)


class LangGraphAgent:
    """A compiled graph as an agent.

    Attributes:
        graph: the graph that is run: the given one, or a copy when that has no checkpointer.
    """

    # `Any`: the graph's own type parameters say nothing to who serves it.
    def __init__(self, graph: Any, **options: Unpack[GraphOptions]) -> None:
        if (checkpointer := options.get("checkpointer")) is not None:
            graph = with_checkpointer(graph, checkpointer)
        self._shape = Shape(graph, options.get("text_field"))
        self.name: str = options.get("name") or _name_of(graph)
        self.id: str = slug(self.name) or "graph"
        described = options.get("description") or _description_of(graph)
        self.description: str = described or f"The LangGraph graph {self.name!r}."
        self.version: str = options.get("version", "1.0.0")
        self.extensions: Sequence[a2a.AgentExtension | str] = options.get("extensions", ())
        self.closing_update: bool = options.get("closing_update", True)
        self.closing_message: bool = options.get("closing_message", False)
        self._threads = Threads(graph, self.id)
        self.graph: Any = self._threads.graph
        self._nodes = _text_nodes(self._shape, options.get("text_from"))
        self._options = options

    @property
    def durable(self) -> bool:
        """Whether an open question outlives the process: the graph's checkpointer keeps it outside."""
        return self._threads.durable

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        return "" if self.durable else f"{ASKED}; give the graph a durable checkpointer"

    @property
    def needs_memory(self) -> bool:
        """Whether its checkpointer or its store is in the memory of the server."""
        return any(getattr(kept, "of_server", False) for kept in (self.graph.checkpointer, self.graph.store))

    # -- what the card tells -------------------------------------------------------------------------------------------

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools of the graph's tool nodes."""
        return tools_of(self.graph)

    @property
    def skills(self) -> Sequence[a2a.AgentSkill]:
        """One for the graph; its tools are nobody's business unless `expose_tools` says so."""
        tags = list(self._options.get("tags", ["langgraph"]))
        examples = list(self._options.get("examples", []))
        skills = [
            a2a.AgentSkill(id=self.id, name=self.name, description=self.description, tags=tags, examples=examples)
        ]
        if self._options.get("expose_tools"):
            skills += [
                a2a.AgentSkill(id=tool.name, name=tool.name, description=tool.spec.description, tags=["tool"])
                for tool in self.tools
            ]
        return skills

    @property
    def input_modes(self) -> Sequence[str]:
        """Media types it reads. Whether the model behind a conversation sees images or files is its own matter."""
        if self._shape.chat_in:
            return ["text/plain", "application/json", "text/*", "image/*", "audio/*", "application/pdf"]
        return ["application/json", "text/plain"]  # JSON as text is read by every graph

    @property
    def output_modes(self) -> Sequence[str]:
        """Media types it answers with."""
        text = self._shape.chat_out or self._shape.text_output is not None or bool(self._nodes)
        data = bool(self._shape.data_fields)
        if isinstance(self._shape.output, str):
            return ["text/plain", "application/json"]
        return [*(["text/plain"] if text else []), *(["application/json"] if data else [])]

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data part it reads; None for a conversation."""
        return self._shape.input_schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data part it answers with; None for a conversation."""
        return self._shape.output_schema

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def handle(self, task: Task) -> AgentResponse:
        """Run the graph for a new task, or go on with one that has asked."""
        try:
            return await (self._begin(task) if task.resume is None else self._resume(task))
        except GraphRecursionError:
            return AgentResponse.failed("The graph took more steps than its recursion limit allows.")
        except SyncCheckpointer as error:
            return AgentResponse.failed(str(error))

    async def _begin(self, task: Task) -> AgentResponse:
        given = graph_input(self._shape, self.name, task.message)
        return await self._run(task, given, await self._threads.begin(task))

    async def _resume(self, task: Task) -> AgentResponse:
        token = cast("Mapping[str, Any]", task.resume)
        found = await self._threads.resume(task, token["thread"])
        if found is None:
            return AgentResponse.failed(_GONE)
        place, state = found
        asked = cast("list[str]", token["interrupts"])
        if not asked:
            return await self._run(task, None, place)  # a breakpoint: any answer lets it go on
        # In older LangGraph the second question of a node has the id of the first, which is listed beside it.
        pending = {interrupt.id: question_of(interrupt) for interrupt in state.interrupts}
        questions = [pending[id] for id in asked if id in pending]  # of nodes side by side, either may ask first
        if not questions:
            return AgentResponse.failed(_GONE)
        try:
            values = answers(questions, Answer(task.message))
        except Unclear as problem:
            return await self._ask_again(place, questions, token, str(problem))
        try:
            return await self._run(task, Command(resume=values), place)
        except ValidationError as error:
            if not _invalid_answer(error):
                raise
            first = error.errors()[0]
            problem = ": ".join([*map(str, first["loc"]), first["msg"]])
            return await self._ask_again(place, questions, token, f"That does not fit: {problem}.")

    async def _ask_again(
        self, place: Place, questions: Sequence[Question], token: Mapping[str, Any], problem: str
    ) -> AgentResponse:
        await self._threads.rest(place.thread, paused=True)
        return ask(questions, dict(token), problem)

    async def _run(self, task: Task, given: Any, place: Place) -> AgentResponse:
        calls = Calls()
        relay = Relay(
            task,
            calls,
            nodes=self._nodes,
            events=self._options.get("events", True),
            tools=self._options.get("tool_activity", False),
        )
        paused = False
        try:
            await calls.guard(self._stream(task, given, place, calls, relay))
            response = await self._paused(place, relay) if relay.paused else self._completed(relay)
            paused = response.token is not None
            return response
        except ValidationError as error:
            paused = _invalid_answer(error)  # the question is still there
            raise
        finally:
            task.usage(**calls.usage())
            await self._threads.rest(place.thread, paused=paused)

    async def _stream(self, task: Task, given: Any, place: Place, calls: Calls, relay: Relay) -> None:
        subgraphs = self._options.get("subgraphs", False)
        config = self._options.get("config")
        config = config(task) if callable(config) else config
        context = self._options.get("context")
        context = context(task) if callable(context) else context
        config = merge_configs(config, place.config(task), {"callbacks": [calls]})
        events = self.graph.astream(
            given,
            config,
            context=context,
            stream_mode=_STREAM,
            durability=self._threads.durability,
            subgraphs=subgraphs,
        )
        async with aclosing(events) as stream:
            async for event in stream:
                namespace, mode, value = event if subgraphs else ((), *event)
                await relay.take(namespace, mode, value)
        await relay.finish()

    async def _paused(self, place: Place, relay: Relay) -> AgentResponse:
        token = {"thread": place.thread, "interrupts": list(relay.interrupts)}
        if relay.interrupts:
            return ask([question_of(interrupt) for interrupt in relay.interrupts.values()], token)
        state: StateSnapshot = await self._threads.state(place.thread)
        if not state.next:
            return self._completed(relay)
        question = f"The graph pauses before {', '.join(state.next)}. Answer to let it go on, or cancel the task."
        return AgentResponse.input_required(question, data={"questions": [], "next": list(state.next)}, token=token)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _completed(self, relay: Relay) -> AgentResponse:
        output = relay.output
        name = self._shape.output
        if isinstance(name, str):
            whole = isinstance(self.graph.stream_channels_asis, str)
            return _value_response(output if whole else object_of(output).get(name), relay)
        values = object_of(output)
        data = {field: json_value(values[field]) for field in self._shape.data_fields if field in values}
        if self._shape.chat_out:
            structured = data.pop("structured_response", None)
            if "structured_response" in relay.touched:
                data = {**data, "structured_response": structured} if data else structured
            return AgentResponse.completed(data=data or None)
        alone = self._shape.text_output
        return AgentResponse.completed(data.get(alone) if alone and not relay.wrote else None, data=data)


def _name_of(graph: Graph) -> str:
    name = graph.get_name()
    if name != _UNNAMED:
        return name
    return getattr(entrypoint_of(graph), "__name__", "graph")


def _description_of(graph: Graph) -> str | None:
    """The docstring of an entrypoint, or of a state that has one of its own."""
    builder: Any = getattr(graph, "builder", None)
    if builder is None:
        function = entrypoint_of(graph)
        return None if function is None else inspect.getdoc(function)
    schema: Any = builder.state_schema
    text = vars(schema).get("__doc__") if inspect.isclass(schema) else None
    if not isinstance(text, str) or schema.__module__.startswith(("langgraph.", "langchain.")):
        return None
    return None if text.startswith(f"{schema.__name__}(") else inspect.cleandoc(text)  # a dataclass writes its own


def _text_nodes(shape: Shape, wanted: Sequence[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return None if shape.chat_out else frozenset()
    if isinstance(wanted, str):
        wanted = [wanted]
    return frozenset(wanted)


def _value_response(value: Any, relay: Relay) -> AgentResponse:
    """The answer of a graph that gives one value."""
    if isinstance(value, list) and value and isinstance(last := cast("list[Any]", value)[-1], AIMessage):
        value = last
    if isinstance(value, AIMessage):
        value = str(value.text)
    if isinstance(value, str):
        return AgentResponse.completed(None if relay.wrote else value)
    return AgentResponse.completed(data=json_value(value))


def _invalid_answer(error: ValidationError) -> bool:
    """Whether an answer does not fit the `response_schema` of its interrupt. LangGraph before 1.2 has none."""
    marked = getattr(errors, "is_invalid_resume", None)
    return marked is not None and marked(error)
