"""Tools that an agent shares with others, by A2A alone: who calls, may use what its scopes allow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Unpack, cast

from codin.agent.adapters._agent_tool import ended, tell
from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import Remote
from codin.client import Peer
from codin.errors import (
    ConfigError,
    InvalidArguments,
    InvalidResult,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    TransportError,
    UnknownTool,
)
from codin.task import AgentResponse, Task
from codin.tool import Tool, ToolExecutor, ToolRegistry, ToolSpec, in_runtime

__all__ = ["SharedTool", "ToolsAgent", "share_tools", "shared_tools"]

_MOST = 1000  # tools of one agent
_LONGEST = 64  # letters of a name
_SAID = 4000  # letters of what an agent says of a tool, or of a failure
_ERRORS = {error.code: error for error in (UnknownTool, InvalidResult, ToolRefused, ToolBusy, ToolTimeout, ToolFailed)}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "description": "The name of a tool. Without one, the answer is which there are."},
        "arguments": {"type": "object"},
    },
    "additionalProperties": False,
}


def share_tools(tools: ToolExecutor | ToolRegistry | Iterable[Tool], **options: Unpack[AdapterOptions]) -> ToolsAgent:
    """An agent that lets others use these tools: `codin.serve(share_tools(registry))`.

    Whoever calls sees and uses what its scopes allow, as they are on this side. Its card names none of the tools.
    """
    executor = tools if isinstance(tools, ToolExecutor) else ToolExecutor(tools, run=in_runtime())
    return ToolsAgent(executor, **options)


class ToolsAgent(Profile):
    """An agent whose tasks are calls of tools: `{"tool": …, "arguments": {…}}`, or `{}` for which there are."""

    def __init__(self, executor: ToolExecutor, **options: Unpack[AdapterOptions]) -> None:
        self._executor = executor
        super().__init__(
            options,
            name="tools",
            description="Lets you use its tools. Send {} to see which there are for you.",
            framework="tools",
            input_modes=["application/json"],
            output_modes=["application/json"],
            input_schema=_SCHEMA,
        )

    async def handle(self, task: Task) -> AgentResponse:
        """Use the tool that the message names, for its caller."""
        given: list[Any] = [part.data for part in task.message.parts if part.kind == "data"]
        asked = object_of(given[0]) if len(given) == 1 else {}
        if len(given) != 1 or not asked.keys() <= {"tool", "arguments"}:
            return AgentResponse.rejected('Send one data part {"tool": name, "arguments": {…}}.')
        name = asked.get("tool")
        if not isinstance(name, str):
            return AgentResponse.completed(data={"tools": self._told(task)})
        try:
            result = await self._executor.call(name, object_of(asked.get("arguments")), task=task)
        except ToolError as error:
            told = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
            field = {"field": error.field} if isinstance(error, InvalidArguments) else {}
            return AgentResponse.completed(data={"error": {**told, **field}})
        return AgentResponse.completed(data={"result": result})

    def _told(self, task: Task) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "name": tool.name,
                "description": tool.spec.description,
                "inputSchema": tool.spec.input_schema,
                "outputSchema": tool.spec.output_schema,
                "version": tool.spec.version,
                "tags": list(tool.spec.tags),
                "secrets": sorted(tool.spec.secrets),
                "idempotent": tool.spec.idempotent,
            }
            for tool in self._executor.registry.list(task.caller)
        ]


async def shared_tools(
    peer: Peer, *, only: Collection[str] | None = None, scopes: Collection[str] = (), timeout: float | None = None
) -> Sequence[SharedTool]:
    """The tools that an agent shares with this caller, which it made by `share_tools`.

    In a task they are used by `task.call`, so that limits and guards hold and the task's caller is known there, where
    the mesh passes that on. What needs approval there, is asked here.

    Args:
        only: their names.
        scopes: what a caller needs here, beside what the agent wants.
        timeout: seconds for one call; the executor's by default.

    Raises:
        ConfigError: the agent shares no tools.
    """
    remote = Remote(peer)
    reply = await remote.call({})
    told = object_of(reply.data).get("tools")
    if not isinstance(told, list):
        raise ConfigError(f"the agent {remote.name!r} shares no tools", hint="it has to be made by share_tools")
    found = [SharedTool(remote, object_of(each), scopes, timeout) for each in cast("list[Any]", told)[:_MOST]]
    return [tool for tool in found if only is None or tool.name in only]


class SharedTool:
    """A tool of another agent."""

    def __init__(self, remote: Remote, told: Mapping[str, Any], scopes: Collection[str], timeout: float | None) -> None:
        self._remote = remote
        self.name: str = str(told.get("name"))[:_LONGEST]
        output = told.get("outputSchema")
        self.spec: ToolSpec = ToolSpec(
            str(told.get("description", ""))[:_SAID],
            object_of(told.get("inputSchema")) or {"type": "object"},
            object_of(output) if isinstance(output, dict) else None,
            version=str(told.get("version", "1.0.0"))[:_LONGEST],
            tags=_words(told.get("tags")),
            secrets=_words(told.get("secrets")),
            idempotent=told.get("idempotent") is True,
            scopes=scopes,
            timeout=timeout,
        )

    async def invoke(self, /, **arguments: Any) -> Any:
        """Have the agent use it.

        Raises:
            ToolError: what went wrong there, or on the way.
        """
        try:
            reply = await self._remote.invoke({"tool": self.name, "arguments": arguments}, on_event=tell)
        except TransportError as error:
            raise ToolFailed(f"{self.name!r} failed: {error.message}", tool=self.name, retryable=True) from None
        ended(reply, self.name, hint="use it in a task, whose caller is asked")
        data = object_of(reply.data)
        if "result" in data:
            return data["result"]
        raise self._error(object_of(data.get("error")))

    def _error(self, told: Mapping[str, Any]) -> ToolError:
        message = str(told.get("message", "the agent gave no result"))[:_SAID]
        hint = str(told["hint"])[:_SAID] if told.get("hint") else None
        if told.get("code") == InvalidArguments.code:
            return InvalidArguments(message, tool=self.name, field=str(told.get("field", ""))[:_LONGEST], hint=hint)
        kind = _ERRORS.get(str(told.get("code")), ToolFailed)
        return kind(message, tool=self.name, retryable=told.get("retryable") is True, hint=hint)


def _words(told: Any) -> Sequence[str]:
    return [str(each)[:_LONGEST] for each in cast("list[Any]", told)] if isinstance(told, list) else []
