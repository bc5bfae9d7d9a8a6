"""Serves an agent of the OpenAI Agents SDK, unchanged."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack, cast

from agents import (
    Agent,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelRefusalError,
    ModelSettings,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    RunContextWrapper,
    Runner,
    RunResultStreaming,
    RunState,
    Session,
    StreamEvent,
    ToolApprovalItem,
    TResponseInputItem,
    Usage,
)
from codin.agent._quiet import quiet
from codin.agent.adapters._history import SAID
from codin.agent.adapters._profile import AdapterOptions, Profile, thread_id
from codin.agent.adapters._questions import Unclear, ask, json_value, object_of
from codin.agent.adapters.openai_agents._input import INPUT_MODES, input_of
from codin.agent.adapters.openai_agents._output import is_text, output_schema
from codin.agent.adapters.openai_agents._questions import decide, questions_of
from codin.agent.adapters.openai_agents._relay import Relay
from codin.agent.adapters.openai_agents._sessions import Sessions
from codin.agent.adapters.openai_agents._tools import tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task

__all__ = ["OpenAIAgent", "OpenAIAgentsOptions", "adapt"]

# The SDK reads it when the first run begins. It would send what is said to OpenAI as soon as there is an API key.
quiet()

_MAX_TURNS = 10


class OpenAIAgentsOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the agent.

    Args:
        context: of every run, or a function of the task that gives it.
        session: a function from a session id to the session that keeps a context's conversation. It is called whenever
            that is read or written, and what it gives is closed afterwards, if it can be. In memory by default.
        max_turns: of every run; 10 by default, None for no limit.
        run_config: of every run.
    """

    context: Any | Callable[[Task], Any]
    session: Callable[[str], Session]
    max_turns: int | None
    run_config: RunConfig


def adapt(agent: object, **options: Unpack[OpenAIAgentsOptions]) -> OpenAIAgent:
    """An agent of the OpenAI Agents SDK as an agent. `OpenAIAgentsOptions` lists the options; the agent is not changed.

    Raises:
        ConfigError: this is no agent of the SDK.
    """
    if not isinstance(agent, Agent):
        raise ConfigError(
            f"{type(agent).__name__} of the OpenAI Agents SDK is no agent", hint="serve the agents.Agent itself"
        )
    return OpenAIAgent(cast("Agent[Any]", agent), **options)


@dataclass
class _Turn:
    """A run and what it goes on from.

    Args:
        given: the input, or the state of a run that has asked.
        said: the items that the caller began the task with.
        spent: the usage up to there.
        context: what the tools see.
    """

    given: str | list[TResponseInputItem] | RunState[Any]
    said: Sequence[TResponseInputItem]
    spent: Mapping[str, int] = field(default_factory=dict[str, int])
    context: Any = None


class OpenAIAgent(Profile):
    """An agent of the OpenAI Agents SDK as an agent.

    Attributes:
        agent: the agent that every task begins with.
    """

    def __init__(self, agent: Agent[Any], **options: Unpack[OpenAIAgentsOptions]) -> None:
        schema = output_schema(agent)
        super().__init__(
            options,
            name=agent.name,
            description=agent.handoff_description or f"The agent {agent.name!r} of the OpenAI Agents SDK.",
            framework="openai-agents",
            tools=tools_of(agent),
            input_modes=INPUT_MODES,
            output_modes=("text/plain",) if is_text(agent) else ("application/json",),
            output_schema=schema,
        )
        self.agent = agent
        self._context = options.get("context")
        self._sessions = Sessions(options.get("session"))
        self._max_turns = options.get("max_turns", _MAX_TURNS)
        self._config = _with_usage(agent, options.get("run_config") or RunConfig())
        self._tool_activity = options.get("tool_activity", False)

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        return "" if self._sessions.lasting else f"{SAID}; give adapt(…, session=…)"

    async def handle(self, task: Task) -> AgentResponse:
        """Run the agent for a new task, or go on with one that has asked."""
        try:
            return await (self._begin(task) if task.resume is None else self._resume(task))
        except MaxTurnsExceeded:
            return AgentResponse.failed("The agent took more turns than it may.")
        except InputGuardrailTripwireTriggered:
            return AgentResponse.rejected("A guardrail of the agent refused the message.")
        except OutputGuardrailTripwireTriggered:
            return AgentResponse.failed("A guardrail of the agent held its answer back.")
        except ModelRefusalError as error:
            return AgentResponse.rejected(error.refusal)

    async def _begin(self, task: Task) -> AgentResponse:
        said = input_of(task.message)
        before = await self._sessions.load(thread_id(self.id, task))
        content = object_of(said)["content"]
        # A lone text is handed over as such: that is what guardrails and tracing are used to.
        given = content if not before and isinstance(content, str) else [*before, said]
        return await self._run(task, _Turn(given, [said], context=self._context_of(task)))

    async def _resume(self, task: Task) -> AgentResponse:
        token = object_of(task.resume)
        context = self._context_of(task)
        state = await RunState.from_json(
            self.agent,
            token["state"],
            context_override=RunContextWrapper(context),
            context_deserializer=lambda _: context,  # for the agents that are tools
        )
        try:
            decide(state, Answer(task.message))
        except Unclear as problem:
            return ask(questions_of(state.get_interruptions()), token, str(problem))
        return await self._run(task, _Turn(state, token["said"], token["spent"], context))

    def _context_of(self, task: Task) -> Any:
        return self._context(task) if callable(self._context) else self._context

    async def _run(self, task: Task, turn: _Turn) -> AgentResponse:
        relay = Relay(task, spoken=self._speaks, tools=self._tool_activity)
        result = await self._result(task, turn, relay)
        if result.interruptions:
            token = {"state": _saved(result), "said": turn.said, "spent": _counts(result.context_wrapper.usage)}
            return ask(questions_of(result.interruptions), token)
        output: Any = result.final_output
        if isinstance(output, str):
            await relay.finish(output)
        await _send_images(task, result)
        items = [item.to_input_item() for item in result.new_items if not isinstance(item, ToolApprovalItem)]
        await self._sessions.append(thread_id(self.id, task), [*turn.said, *items])
        return AgentResponse.completed(data=None if isinstance(output, str) else json_value(output))

    def _speaks(self, agent: Agent[Any]) -> bool:
        """A guardrail may hold back what the model has said, so nothing is said before."""
        return is_text(agent) and not agent.output_guardrails and not self._config.output_guardrails

    async def _result(self, task: Task, turn: _Turn, relay: Relay) -> RunResultStreaming:
        result = Runner.run_streamed(
            self.agent, turn.given, context=turn.context, max_turns=self._max_turns, run_config=self._config
        )
        events = cast("AsyncGenerator[StreamEvent]", result.stream_events())
        ended = False
        try:
            async for event in events:
                await relay.take(event)
            ended = True
        finally:
            if not ended:
                await _stop(result)
            await events.aclose()
            spent = _counts(result.context_wrapper.usage)
            if spent != turn.spent and any(spent.values()):
                task.usage(**{name: count - turn.spent.get(name, 0) for name, count in spent.items()})
        return result


async def _stop(result: RunResultStreaming) -> None:
    """End a run whose events nobody takes any more, and wait until it has let go of its model and its tools."""
    result.cancel()
    if result.run_loop_task is not None:
        await asyncio.wait({result.run_loop_task})


def _with_usage(agent: Agent[Any], config: RunConfig) -> RunConfig:
    """The configuration of runs with usage asked for: chat completions leave it out of a stream unless asked.

    Whoever says otherwise, on the agent or in the configuration, is heard.
    """
    settings = config.model_settings or ModelSettings()
    if agent.model_settings.include_usage is not None or settings.include_usage is not None:
        return config
    return replace(config, model_settings=replace(settings, include_usage=True))


def _saved(result: RunResultStreaming) -> dict[str, Any]:
    """The run as JSON, without the program's context, which is made anew for the answer."""
    state = result.to_state().to_json(context_serializer=lambda _: {})
    _forget_context(state)
    return state


def _forget_context(value: Any) -> None:
    """Leave the context out, also that of the agents which are tools; the SDK would keep every mapping."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            _forget_context(item)
        return
    fields = object_of(value)
    if "context_meta" in fields:
        fields["context"] = None
    for item in fields.values():
        _forget_context(item)


def _counts(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


async def _send_images(task: Task, result: RunResultStreaming) -> None:
    """Send the images that the hosted tool has made."""
    for item in result.new_items:
        raw: Any = getattr(item, "raw_item", None)
        if getattr(raw, "type", None) == "image_generation_call" and raw.result:
            kind = getattr(raw, "output_format", None) or "png"
            await task.artifact(base64.b64decode(raw.result), media_type=f"image/{kind}")
