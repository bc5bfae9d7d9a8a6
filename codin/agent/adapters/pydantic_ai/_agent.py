"""Serves a Pydantic AI agent, unchanged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Unpack, cast

from pydantic_ai import (
    AgentRunResult,
    BinaryContent,
    DeferredToolRequests,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    UsageLimitExceeded,
)
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.usage import RunUsage, UsageLimits

from codin.agent._quiet import quiet
from codin.agent.adapters._history import SAID, History, MemoryHistory
from codin.agent.adapters._profile import AdapterOptions, Profile, thread_id
from codin.agent.adapters._questions import Unclear, ask, json_value, object_of
from codin.agent.adapters.pydantic_ai._output import Output
from codin.agent.adapters.pydantic_ai._prompt import INPUT_MODES, prompt_of
from codin.agent.adapters.pydantic_ai._questions import REQUESTS, questions_of, results_of
from codin.agent.adapters.pydantic_ai._relay import Relay
from codin.agent.adapters.pydantic_ai._remote import TASK
from codin.agent.adapters.pydantic_ai._tools import tools_of
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task

__all__ = ["PydanticAIAgent", "PydanticAIOptions", "adapt"]

quiet()


class PydanticAIOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the agent.

    Args:
        deps: the dependencies of every run, or a function of the task that gives them.
        history: keeps the conversation of each context; in memory by default.
        stream: False for a model that cannot stream: its answer is written when it is there.
        usage_limits: of every run.
    """

    deps: Any | Callable[[Task], Any]
    history: History[ModelMessage]
    stream: bool
    usage_limits: UsageLimits


def adapt(agent: object, **options: Unpack[PydanticAIOptions]) -> PydanticAIAgent:
    """A Pydantic AI agent as an agent. `PydanticAIOptions` lists the options; the agent is not changed.

    Raises:
        ConfigError: this is no agent of Pydantic AI, or its `deps` are missing.
    """
    if not isinstance(agent, AbstractAgent):
        raise ConfigError(
            f"{type(agent).__name__} of Pydantic AI is no agent", hint="serve the pydantic_ai.Agent itself"
        )
    return PydanticAIAgent(cast("AbstractAgent[Any, Any]", agent), **options)


class PydanticAIAgent(Profile):
    """A Pydantic AI agent as an agent.

    Attributes:
        agent: the agent that is run.
    """

    def __init__(self, agent: AbstractAgent[Any, Any], **options: Unpack[PydanticAIOptions]) -> None:
        name = options.get("name") or agent.name or "agent"
        self._output = Output(agent)
        super().__init__(
            options,
            name=name,
            description=agent.description or f"The Pydantic AI agent {name!r}.",
            framework="pydantic-ai",
            tools=tools_of(agent),
            input_modes=INPUT_MODES,
            output_modes=self._output.modes,
            output_schema=self._output.schema,
        )
        if "deps" not in options and inspect.isclass(agent.deps_type) and agent.deps_type not in (object, NoneType):
            raise ConfigError(
                f"the agent {name!r} needs dependencies of type {agent.deps_type.__name__!r}",
                hint="adapt(agent, deps=...), or deps=None when it runs without",
            )
        self.agent = agent
        self._deps = options.get("deps")
        self._history: History[ModelMessage] = options.get("history") or MemoryHistory()
        self._streams = options.get("stream", True)
        self._limits = options.get("usage_limits")
        self._tool_activity = options.get("tool_activity", False)

    @property
    def forgets(self) -> str:
        """What is gone with the process, and what would keep it."""
        return f"{SAID}; give adapt(…, history=SqliteHistory(…))" if isinstance(self._history, MemoryHistory) else ""

    async def handle(self, task: Task) -> AgentResponse:
        """Run the agent for a new task, or go on with one that has asked."""
        try:
            return await (self._begin(task) if task.resume is None else self._resume(task))
        except UsageLimitExceeded:
            return AgentResponse.failed("The agent needed more requests or tokens than its limits allow.")

    async def _begin(self, task: Task) -> AgentResponse:
        return await self._run(task, [], user_prompt=prompt_of(task.message))

    async def _resume(self, task: Task) -> AgentResponse:
        token = object_of(task.resume)
        requests = REQUESTS.validate_python(token["requests"])
        try:
            results = results_of(requests, Answer(task.message))
        except Unclear as problem:
            return ask(questions_of(requests), token, str(problem))
        said = ModelMessagesTypeAdapter.validate_python(token["messages"])
        return await self._run(task, said, deferred_tool_results=results)

    async def _run(self, task: Task, said: Sequence[ModelMessage], **given: Any) -> AgentResponse:
        """Run once.

        A question takes the messages of its own task with it. Those of the tasks before are looked up again when the
        answer comes, for others may have completed meanwhile.

        Args:
            said: the messages of this task so far, which end with the calls that waited.
        """
        thread = thread_id(self.id, task)
        relay = Relay(task, spoken=self._output.spoken and self._streams, tools=self._tool_activity)
        history = [*await self._history.load(thread), *said]
        result = await self._result(task, relay, message_history=history, **given)
        said = [*said, *result.new_messages()]
        output = result.output
        if isinstance(output, DeferredToolRequests):
            messages = ModelMessagesTypeAdapter.dump_python(said, mode="json")
            token = {"messages": messages, "requests": REQUESTS.dump_python(output, mode="json")}
            return ask(questions_of(output), token)
        if isinstance(output, str):
            await relay.finish(output)
        await _send_files(task, result)
        await self._history.append(thread, said)
        whole = output is None or isinstance(output, str | BinaryContent)
        return AgentResponse.completed(data=None if whole else json_value(output))

    async def _result(self, task: Task, relay: Relay, **given: Any) -> AgentRunResult[Any]:
        given |= {
            "deps": self._deps(task) if callable(self._deps) else self._deps,
            "output_type": self._output.run_type,
            "usage_limits": self._limits,
            "metadata": {TASK: task.id} if self._output.may_ask else None,
            "infer_name": False,  # which would name the user's agent after a variable of ours
        }
        usage = RunUsage()
        try:
            # `run_stream_events` is this with another asyncio task, which hands over every event: a fourth more CPU.
            return await self.agent.run(
                usage=usage, event_stream_handler=relay.hear if self._streams else None, **given
            )
        finally:
            if usage.requests:
                counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
                task.usage(**counts, total_tokens=usage.total_tokens)


async def _send_files(task: Task, result: AgentRunResult[Any]) -> None:
    """Send the files that models made, and the output when it is one."""
    responses = [message for message in result.new_messages() if isinstance(message, ModelResponse)]
    files = [file for response in responses for file in response.files]
    if isinstance(result.output, BinaryContent) and result.output not in files:
        files.append(result.output)
    for file in files:
        await task.artifact(file.data, media_type=file.media_type)
