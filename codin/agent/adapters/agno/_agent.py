"""Serves an agent or a team of Agno."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias, Unpack, cast
from urllib.parse import quote

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.run.agent import RunOutput
from agno.run.team import TeamRunOutput
from agno.team import Team
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError

from codin.agent.adapters._history import SAID
from codin.agent.adapters._profile import AdapterOptions, Profile, thread_id
from codin.agent.adapters._questions import Unclear, ask, json_value, object_of
from codin.agent.adapters.agno._input import run_input
from codin.agent.adapters.agno._questions import questions_of, resolve, unresolved
from codin.agent.adapters.agno._stream import Relay
from codin.agent.adapters.agno._tools import tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task

__all__ = ["AgnoAgent", "AgnoOptions", "adapt"]

Runnable: TypeAlias = Agent | Team
Output: TypeAlias = RunOutput | TeamRunOutput

_MODES = ("text/plain", "application/json", "text/*", "image/*", "audio/*", "video/*", "application/pdf")
_CONTINUED = frozenset({"dependencies", "knowledge_filters", "metadata"})  # what a run that goes on takes again


class AgnoOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the agent.

    Name and description are Agno's own by default.

    Args:
        arguments: of every run (`dependencies`, `session_state`, `metadata`, `knowledge_filters`, …), or a function of
            the task that gives them. Session and user are always codin's.
        events: send custom events of tools as status updates; on by default.
        file_urls: let callers send files by URL. Agno, or the model, then fetches whatever they name; off by default.
    """

    arguments: Mapping[str, Any] | Callable[[Task], Mapping[str, Any]]
    events: bool
    file_urls: bool


def adapt(agent: object, **options: Unpack[AgnoOptions]) -> AgnoAgent:
    """An `agno.agent.Agent` or `agno.team.Team` as an agent. `AgnoOptions` lists the options.

    Raises:
        ConfigError: this is neither.
    """
    if not isinstance(agent, (Agent, Team)):
        raise ConfigError(
            f"{type(agent).__name__} is no agent", hint="give an agno.agent.Agent or an agno.team.Team; not a Workflow"
        )
    return AgnoAgent(agent, **options)


class AgnoAgent(Profile):
    """An agent or a team of Agno as an agent.

    Agno writes into the objects it runs, so a copy is run. Models, tools and databases are those of the original.
    """

    def __init__(self, agent: Runnable, **options: Unpack[AgnoOptions]) -> None:
        kind = "team" if isinstance(agent, Team) else "agent"
        name = agent.name or agent.id or kind
        data = _schema(agent.output_schema)
        super().__init__(
            options,
            name=name,
            description=agent.description or agent.role or f"The Agno {kind} {name!r}.",
            framework="agno",
            tools=tools_of(agent),
            input_modes=["application/json", "text/plain"] if agent.input_schema is not None else _MODES,
            output_modes=["text/plain"] if data is None else ["application/json"],
            input_schema=_schema(agent.input_schema),
            output_schema=data,
        )
        self._agent = _own(agent)
        self._options = options

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        return f"{SAID}; give the agent a durable db" if isinstance(self._agent.db, InMemoryDb) else ""

    async def handle(self, task: Task) -> AgentResponse:
        """Run the agent for a new task, or go on with one that has asked."""
        if task.resume is None:
            return await self._begin(task)
        kind = TeamRunOutput if isinstance(self._agent, Team) else RunOutput
        paused = kind.from_dict(copy.deepcopy(task.resume))  # which takes apart what it is given
        questions = questions_of(paused)
        try:
            resolve(paused, questions, Answer(task.message))
        except Unclear as problem:
            return ask([question for question, _ in questions], task.resume, str(problem))
        if unresolved(paused):
            return _asked(paused)
        return await self._resume(task, paused)

    async def _begin(self, task: Task) -> AgentResponse:
        given = run_input(self.name, self._agent.input_schema, task.message, urls=self._options.get("file_urls", False))
        arguments = {**self._arguments(task), **given, "session_id": thread_id(self.id, task), "user_id": _user(task)}
        return await self._run(task, lambda: self._agent.arun(**arguments, **_STREAMED))

    async def _resume(self, task: Task, paused: Output) -> AgentResponse:
        arguments = {key: value for key, value in self._arguments(task).items() if key in _CONTINUED}
        arguments |= {"session_id": paused.session_id, "user_id": _user(task)}
        run: Any = self._agent.acontinue_run
        return await self._run(task, lambda: run(paused, **arguments, **_STREAMED), paused)

    async def _run(
        self, task: Task, start: Callable[[], AsyncIterator[Any]], paused: Output | None = None
    ) -> AgentResponse:
        relay = Relay(
            task,
            events=self._options.get("events", True),
            tools=self._options.get("tool_activity", False),
            spent=None if paused is None else paused.metrics,
        )
        try:
            async with aclosing(cast("Any", start())) as events:
                async for event in events:
                    await relay.take(event)
        finally:
            task.usage(**relay.usage())
        if relay.output is not None and relay.output.is_paused:
            return _asked(relay.output)
        return await relay.response()

    def _arguments(self, task: Task) -> Mapping[str, Any]:
        arguments = self._options.get("arguments", {})
        return arguments(task) if callable(arguments) else arguments


_STREAMED: Mapping[str, Any] = {"stream": True, "stream_events": True, "yield_run_output": True}


def _asked(paused: Output) -> AgentResponse:
    """The questions of a run that waits. The run goes with them: Agno needs no database to go on with it."""
    return ask([question for question, _ in questions_of(paused)], json_value(paused.to_dict()))


def _user(task: Task) -> str | None:
    """Whose memories Agno reads and writes; None for a caller nobody knows."""
    caller = task.caller
    if not caller.authenticated:
        return None
    if not task.tenant and not caller.tenant:
        return caller.id
    return "/".join(quote(part, safe="") for part in (task.tenant, caller.tenant, caller.id))


def _own(agent: Any) -> Any:
    """A copy whose containers are its own; and the members of a team are copies, too."""
    own: Any = copy.copy(agent)
    attributes = cast("dict[str, Any]", own.__dict__)
    attributes |= {name: copy.copy(value) for name, value in attributes.items() if type(value) in {list, dict}}
    if isinstance(agent, Team):
        attributes["stream_member_events"] = True  # what members cost is told there
        members = attributes["members"]
        attributes["members"] = members if callable(members) else [_own(member) for member in members]
    return own


def _schema(kind: Any) -> Mapping[str, Any] | None:
    """The JSON Schema of a pydantic model or TypedDict; of one that is given as a provider wants it, its inside."""
    if kind is None or isinstance(kind, dict):
        given = object_of(kind)
        return object_of(object_of(given.get("json_schema", given)).get("schema")) or given or None
    try:
        return kind.model_json_schema() if issubclass(kind, BaseModel) else TypeAdapter(kind).json_schema()
    except (PydanticUserError, TypeError):
        return None
