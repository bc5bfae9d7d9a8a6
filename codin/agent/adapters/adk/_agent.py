"""Serves a Google ADK agent, workflow, app or runner as an agent, unchanged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypedDict, Unpack, cast

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.invocation_context import LlmCallsLimitExceededError
from google.adk.agents.run_config import (
    StreamingMode,  # pyright: ignore[reportPrivateImportUsage] # where ADK's documentation imports it from
    ToolThreadPoolConfig,
)
from google.adk.apps import App, ResumabilityConfig
from google.adk.artifacts import BaseArtifactService, InMemoryArtifactService
from google.adk.memory import BaseMemoryService
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, InMemorySessionService
from google.adk.workflow import BaseNode
from google.genai import types
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from codin.agent.adapters._history import ASKED, SAID
from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters._questions import Unclear, answers, ask
from codin.agent.adapters.adk._parts import content_of
from codin.agent.adapters.adk._questions import Pending, question_of, response_of
from codin.agent.adapters.adk._sessions import TASK, Place, Sessions
from codin.agent.adapters.adk._stream import Relay
from codin.agent.adapters.adk._tools import nodes_of, tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Reject, Task

__all__ = ["AdkAgent", "AdkOptions", "adapt"]

_logger = logging.getLogger("codin.agent")
_THREADS = 40  # for tools that block
_GONE = (
    "The question is not open any more in the session. A session service that keeps its sessions in memory forgets "
    "them when the process ends."
)


class AdkOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the ADK object.

    The name is the app's by default, which is the agent's for a bare agent, and the description the root agent's.

    Args:
        session_service: where sessions are kept; by default in memory, the 1000 used last. A `Runner` has its own.
        artifact_service: where tools save files; by default in memory, with the sessions. A `Runner` has its own.
        memory_service: where `load_memory` looks, such as a `MemoryService`; none by default. A `Runner` has its own.
        run_config: of every run, or a function of the task that gives it. Text is streamed and blocking tools run in
            threads unless it says otherwise.
        user_id: ADK's user for a task; by default a hash of its tenant and caller.
        text_from: the agents and nodes whose text is the answer; by default all that say something.
    """

    session_service: BaseSessionService
    artifact_service: BaseArtifactService
    memory_service: BaseMemoryService
    run_config: RunConfig | Callable[[Task], RunConfig]
    user_id: Callable[[Task], str]
    text_from: Sequence[str]


class _Token(TypedDict):
    """What the log keeps with a question.

    Args:
        calls: the ids of the calls that wait, all of them.
        given: the answers so far, when not all were given at once.
    """

    user: str
    session: str
    calls: list[str]
    given: dict[str, Any]


def adapt(obj: object, **options: Unpack[AdkOptions]) -> AdkAgent:
    """An ADK object as an agent: an `LlmAgent` or other agent, a `Workflow` or other node, an `App`, or a `Runner`.

    The object is not changed. `AdkOptions` lists the options.

    Raises:
        ConfigError: this is nothing that runs, or services are given for a runner, which has its own.
    """
    runner = _runner_of(obj, options)
    return AdkAgent(runner, bounded=runner is not obj and "session_service" not in options, **options)


class AdkAgent(Profile):
    """A runner as an agent.

    Args:
        bounded: codin made its session service, in memory, and forgets the oldest sessions.

    Attributes:
        runner: what runs.
    """

    def __init__(self, runner: Runner, *, bounded: bool = False, **options: Unpack[AdkOptions]) -> None:
        root = runner.agent
        self._structured = frozenset(
            node.name for node in nodes_of(root) if isinstance(node, LlmAgent) and node.output_schema is not None
        )
        data = bool(self._structured) or root.output_schema is not None
        super().__init__(
            options,
            name=runner.app_name,
            description=root.description or f"The ADK agent {root.name!r}.",
            framework="google-adk",
            tools=tools_of(root),
            input_modes=["text/plain", "application/json", "text/*", "image/*", "audio/*", "application/pdf"],
            output_modes=["text/plain", "application/json"] if data else ["text/plain"],
            input_schema=_json_schema(root.input_schema),
            output_schema=_json_schema(root.output_schema),
        )
        self.runner = runner
        self._options = options
        self._sessions = Sessions(
            runner,
            self.id,
            user_id=options.get("user_id"),
            bounded=bounded,
            own_files="artifact_service" not in options,
        )
        self._input = _adapter_of(root.input_schema)
        config = options.get("run_config") or RunConfig()
        self._config = config if callable(config) else _filled(config)

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        in_memory = isinstance(self.runner.session_service, InMemorySessionService)
        return (
            f"{ASKED}, and {SAID}; give adapt(…, session_service=…), or the Runner, a durable one" if in_memory else ""
        )

    @property
    def needs_memory(self) -> bool:
        """Whether its memory service is in the memory of the server."""
        return getattr(self.runner.memory_service, "of_server", False)

    async def handle(self, task: Task) -> AgentResponse:
        """Run the agent for a new task, or go on with one that has asked."""
        try:
            return await (self._begin(task) if task.resume is None else self._resume(task, task.resume))
        except LlmCallsLimitExceededError:
            return AgentResponse.failed("The agent called its models more often than its run config allows.")

    async def _begin(self, task: Task) -> AgentResponse:
        content = content_of(task.message)
        self._check(content)
        return await self._run(task, await self._sessions.begin(task), [content])

    def _check(self, content: types.Content) -> None:
        """Reject what ADK would raise for."""
        if self._input is None:
            return
        try:
            self._input.validate_json("".join(part.text or "" for part in content.parts or []))
        except ValidationError as error:
            first = error.errors()[0]
            problem = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise Reject(
                f"{problem}. {self.name} takes JSON that fits its input schema, as a data part or as text."
            ) from None

    async def _resume(self, task: Task, token: _Token) -> AgentResponse:
        place = Place(token["user"], token["session"])
        waiting = await self._sessions.pending(place, token["calls"])
        if waiting is None:
            return AgentResponse.failed(_GONE)
        calls = {pending.id: pending for pending in waiting}
        questions = [question_of(pending) for pending in waiting if pending.id not in token["given"]]
        try:
            values = answers(questions, Answer(task.message))
            given = token["given"] | {key: response_of(calls[key], value) for key, value in values.items()}
            rest = [question for question in questions if question.id not in given]
            if rest and any(question.auth for question in questions):
                raise Unclear("A credential is not kept until the rest is answered: answer all at once.")
        except Unclear as problem:
            return ask(questions, token, str(problem))
        if rest:
            return ask(rest, {**token, "given": given})
        return await self._run(task, place, _responses(waiting, given))

    async def _run(self, task: Task, place: Place, messages: Sequence[types.Content]) -> AgentResponse:
        relay = Relay(
            task,
            structured=self._structured,
            speaking=self._options.get("text_from"),
            load=self._loader(place),
            tools=self._options.get("tool_activity", False),
        )
        config = _filled(self._config(task)) if callable(self._config) else self._config
        self._sessions.enter(place)
        try:
            for message in messages:
                relay.answered(message)
                await self._stream(task, place, message, config, relay)
            await relay.finish()
        finally:
            task.usage(**relay.usage())
            await self._sessions.rest(place)
        waiting = [*relay.pending.values(), *await self._sessions.ask(place, relay.dropped)]
        if waiting:
            calls = [pending.id for pending in waiting]
            token = _Token(user=place.user, session=place.session, calls=calls, given={})
            return ask([question_of(pending) for pending in waiting], token)
        if relay.error is not None:
            _logger.error("task %s: %r ended with %s", task.id, self.name, relay.error)
            return AgentResponse.failed(f"The agent ended with {relay.error}.")
        return AgentResponse.completed(data=relay.data)

    async def _stream(self, task: Task, place: Place, message: types.Content, config: RunConfig, relay: Relay) -> None:
        metadata = config.custom_metadata
        marked = config.model_copy(update={"custom_metadata": {**(metadata or {}), TASK: task.id}})
        events = self.runner.run_async(
            user_id=place.user, session_id=place.session, new_message=message, run_config=marked
        )
        async with aclosing(events) as stream:
            first = await anext(stream, None)
            marked.custom_metadata = metadata  # ADK adds it to each event, and the message has the mark by now
            if first is not None:
                await relay.take(first)
            async for event in stream:
                await relay.take(event)

    def _loader(self, place: Place) -> Any:
        service = self.runner.artifact_service
        if service is None:
            return None

        async def load(name: str, version: int) -> types.Part | None:
            return await service.load_artifact(
                app_name=self.runner.app_name,
                user_id=place.user,
                session_id=place.session,
                filename=name,
                version=version,
            )

        return load


def _responses(waiting: Sequence[Pending], given: Mapping[str, Any]) -> list[types.Content]:
    """The answers as messages. ADK shows a message to one branch only, so each branch gets one of its own."""
    branches: dict[str | None, list[types.Part]] = {}
    for pending in waiting:
        branches.setdefault(pending.branch, []).append(pending.answered(given[pending.id]))
    return [types.Content(role="user", parts=parts) for parts in branches.values()]


# -- runners -----------------------------------------------------------------------------------------------------------


def _runner_of(obj: object, options: AdkOptions) -> Runner:
    if isinstance(obj, Runner):
        if extra := options.keys() & {"session_service", "artifact_service", "memory_service"}:
            raise ConfigError(f"a Runner has services of its own, and got {', '.join(sorted(extra))}")
        return obj
    if isinstance(obj, BaseNode):
        # Without validation: an agent may have a name that ADK does not take for an app.
        app = App.model_construct(name=obj.name, root_agent=obj)
    elif isinstance(obj, App):
        app = obj
    else:
        raise ConfigError(
            f"{type(obj).__name__} is nothing that ADK runs", hint="give an agent, a Workflow, an App or a Runner"
        )
    if app.resumability_config is None:
        # Without it a sequence of agents ends where one of them asks. Its constructor warns that it is experimental.
        resumable = ResumabilityConfig.model_construct(is_resumable=True)
        app = app.model_copy(update={"resumability_config": resumable})
    return Runner(
        app=app,
        session_service=options.get("session_service") or InMemorySessionService(),
        artifact_service=options.get("artifact_service") or InMemoryArtifactService(),
        memory_service=options.get("memory_service"),
    )


def _filled(config: RunConfig) -> RunConfig:
    """The config, streaming its text and running tools that block in threads unless it says otherwise."""
    update: dict[str, Any] = {}
    if "streaming_mode" not in config.model_fields_set and config.service_tier is None:
        update["streaming_mode"] = StreamingMode.SSE
    if "tool_thread_pool_config" not in config.model_fields_set:
        update["tool_thread_pool_config"] = ToolThreadPoolConfig(max_workers=_THREADS)
    return config.model_copy(update=update)


# -- schemas -----------------------------------------------------------------------------------------------------------


def _json_schema(schema: Any) -> Mapping[str, Any] | None:
    if isinstance(schema, types.Schema):
        return schema.json_schema.model_dump(mode="json", exclude_none=True, by_alias=True)
    if isinstance(schema, dict):
        return cast("dict[str, Any]", schema)
    adapter = _adapter_of(schema)
    return None if adapter is None else adapter.json_schema()


def _adapter_of(schema: Any) -> TypeAdapter[Any] | None:
    """What checks values; None for a schema that ADK itself does not enforce."""
    if schema is None or schema is str or isinstance(schema, (dict, types.Schema)):
        return None
    try:
        return TypeAdapter(schema)
    except PydanticUserError:
        return None
