"""The tools of an MCP server as tools of codin."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp import McpError, types

from codin.agent.adapters._backing import running_loop
from codin.agent.adapters.mcp._connect import Connect, http, program
from codin.agent.adapters.mcp._questions import call_within
from codin.agent.adapters.mcp._secrets import Secrets
from codin.agent.adapters.mcp._session import Session, Unreachable, listing_of
from codin.errors import ConfigError, ToolFailed, UnknownTool
from codin.net import AddressGuard
from codin.net._wording import shown
from codin.sandbox import Policy
from codin.task import current_task
from codin.tool import Sandboxing, ToolRegistry, ToolSpec

__all__ = ["McpServerTool", "McpTools", "mcp_tools"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 64  # letters of a name, as models take it
_DESCRIBED = 4000  # letters of what a server says of a tool
_FAILED = 2000  # letters of what it says of a failure


def mcp_tools(
    command: str | Sequence[str] | None = None,
    *,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    guard: AddressGuard | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    sandbox: Sandboxing = "required",
    policy: Policy | None = None,
    kind: str = "local",
    only: Collection[str] | None = None,
    prefix: str = "",
    scopes: Collection[str] = (),
    timeout: float | None = None,
    registry: ToolRegistry | None = None,
) -> McpTools:
    """The tools of an MCP server: of a program that speaks it over stdio, or of one at a URL (streamable HTTP).

    In a coroutine, `async with` asks the server for its tools, in the session that their calls use then. Elsewhere, and
    for a registry, the server is asked now, while the caller waits, and the session begins with the first call. It
    begins anew when the server has gone or hangs.

    Args:
        command: the program. It runs in a sandbox without a network, unless something else is said.
        url: the address, in place of a command.
        headers: of every request to it. No error and no log has their values.
        guard: which addresses may be called. By default the host of `url` wherever it is, but not further inside than
            it was before.
        env: for the program. No error and no log has the value of what is called a key, a token or the like, or is a
            URL with a password.
        cwd: the folder that it runs in, where it runs without a sandbox.
        sandbox: `required`, `preferred` where there is one, or `off` for a program that is trusted.
        policy: of the sandbox, e.g. `Policy(network="full")`. The bound on time does not count.
        kind: of the sandbox.
        only: names of tools, as the server has them.
        prefix: of the names here.
        scopes: what a caller needs for these tools.
        timeout: seconds for one call; the executor's by default.
        registry: is given the tools, and kept as they are while the server changes them.

    Raises:
        ConfigError: there is no such server, or it does not answer.

    Example:
        async with mcp_tools(["uvx", "mcp-server-time"], policy=Policy(network="full")) as tools:
            executor = ToolExecutor(tools)
    """
    if (command is None) == (url is None):
        raise ConfigError("an MCP server is a command or a url=")
    secrets = Secrets(url, headers, env, policy.env if policy is not None else None)
    if url is not None:
        connect, place = http(url, headers, guard), shown(url)
    else:
        words = shlex.split(command) if isinstance(command, str) else list(command or ())
        connect = program(words, env=env, cwd=cwd, sandbox=sandbox, policy=policy, kind=kind, secrets=secrets)
        place = words[0]
    tools = McpTools(connect, place, only, prefix, ToolSpec("", scopes=scopes, timeout=timeout), registry, secrets)
    if registry is not None or running_loop() is None:
        tools.ask()
    return tools


def _check_wanted(only: Collection[str] | None, told: Sequence[types.Tool]) -> None:
    """Raise ConfigError for a name in `only=` that the server does not have."""
    names = {tool.name for tool in told}
    if unknown := [name for name in only or () if name not in names]:
        there = f"there are {', '.join(sorted(names))}" if names else "it has none"
        raise ConfigError(
            f"only= names {', '.join(map(repr, unknown))}, which the MCP server does not have", hint=there
        )


class McpTools:
    """The tools of one server, as it has them now. To iterate over; `async with` ends the session with the server.

    Whoever looks at the tools before the server was asked for them waits for it, with all that runs beside.
    """

    def __init__(
        self,
        connect: Connect,
        place: str,
        only: Collection[str] | None,
        prefix: str,
        given: ToolSpec,
        registry: ToolRegistry | None,
        secrets: Secrets,
    ) -> None:
        self._session = Session(connect, secrets, self._hear)
        self._connect = connect
        self._place = place
        self._secrets = secrets
        self._only = only
        self._prefix = prefix
        self._given = given
        self._registry = registry
        self._told: Sequence[types.Tool] = ()
        self._tools: dict[str, McpServerTool] | None = None  # until the server was asked

    def __iter__(self) -> Iterator[McpServerTool]:
        return iter(list(self._known().values()))

    def __len__(self) -> int:
        return len(self._known())

    async def __aenter__(self) -> Self:
        if self._tools is None:
            try:
                await self._session.begin(self._place)
                self._take_first(self._told)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session with the server; the next call begins another."""
        await self._session.close()

    def ask(self) -> None:
        """Ask the server for its tools, while the caller waits. Raises ConfigError when it does not answer."""
        self._take_first(listing_of(self._connect, self._place, self._secrets).tools)

    def _known(self) -> dict[str, McpServerTool]:
        if self._tools is None:
            self.ask()
        return self._tools or {}

    def _hear(self, told: Sequence[types.Tool]) -> None:
        """What the server says of its tools in a session. The first time, who has asked looks at it first."""
        self._told = told
        if self._tools is not None:
            self._take(told)

    def _take_first(self, told: Sequence[types.Tool]) -> None:
        _check_wanted(self._only, told)
        self._take(told)

    def _take(self, told: Sequence[types.Tool]) -> None:
        """These are the server's tools from now on."""
        known = self._tools or {}
        found: dict[str, McpServerTool] = {}
        for tool in told:
            if self._only is not None and tool.name not in self._only:
                continue
            made = McpServerTool(tool, self._name(tool.name), self._session, self._given)
            if made.name in found:
                raise ConfigError(f"the MCP server has two tools that would be called {made.name!r}")
            before = known.get(made.name)
            found[made.name] = before if before is not None and before.spec == made.spec else made
        gone = [tool for name, tool in known.items() if found.get(name) is not tool]
        new = [tool for name, tool in found.items() if known.get(name) is not tool]
        self._tools = found
        if self._registry is not None:
            for tool in gone:
                try:
                    self._registry.remove(f"{tool.name}@{tool.spec.version}")
                except UnknownTool:
                    continue  # somebody else took it out
            self._registry.add(*new)

    def _name(self, name: str) -> str:
        return (_NOT_IN_NAMES.sub("_", f"{self._prefix}{name}").strip("_") or "tool")[:_LONGEST]


class McpServerTool:
    """One tool of an MCP server.

    In a task, what it tells of its progress is told there, and what the server asks, the caller is asked. Elsewhere
    nobody answers. Whoever cancels a call has the server told.
    """

    def __init__(self, tool: types.Tool, name: str, session: Session, given: ToolSpec) -> None:
        self.name: str = name
        self.spec: ToolSpec = replace(
            given,
            description=(tool.description or tool.title or name)[:_DESCRIBED],
            input_schema=tool.inputSchema,
            output_schema=tool.outputSchema,
            idempotent=_is_idempotent(tool.annotations),
        )
        self._named = tool.name
        self._session = session

    async def invoke(self, /, **arguments: Any) -> Any:
        """Call it: structured content as it is, text as text, and anything else as MCP has it.

        Raises:
            ToolFailed: the server refuses it, says that it failed, or is not there.
        """
        call = call_within(current_task())
        try:
            result = await self._session.call(self._named, arguments, call)
        except Unreachable as error:
            raise self._failed(str(error), retryable=call.id is None or self.spec.idempotent) from None
        except McpError as error:
            raise self._failed(error.error.message) from None
        texts = [block.text for block in result.content if isinstance(block, types.TextContent)]
        if result.isError:
            said = " ".join(texts).removeprefix(f"{self._named!r} failed: ")  # a server of codin says it already
            raise self._failed(said)
        if result.structuredContent is not None:
            return result.structuredContent
        if len(texts) == len(result.content):
            return "\n".join(texts)
        return [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content]

    def _failed(self, said: str, *, retryable: bool = False) -> ToolFailed:
        return ToolFailed(f"{self.name!r} failed: {said[:_FAILED]}", tool=self.name, retryable=retryable)


def _is_idempotent(hints: types.ToolAnnotations | None) -> bool:
    return hints is not None and bool(hints.readOnlyHint or hints.idempotentHint)
