"""Serves the tools of an MCP server as an agent."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack, cast

from mcp import McpError, types
from mcp.server.fastmcp import FastMCP
from mcp.server.lowlevel import Server

from codin import a2a
from codin.agent.adapters._activity import ToolActivity
from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters.mcp._connect import Connect, http, in_thread, meanwhile, program
from codin.agent.adapters.mcp._input import Tools
from codin.agent.adapters.mcp._output import respond
from codin.agent.adapters.mcp._questions import call_within, elicit
from codin.agent.adapters.mcp._secrets import Secrets
from codin.agent.adapters.mcp._session import Listing, Session, Unreachable, listing_of
from codin.errors import ConfigError
from codin.net._wording import shown
from codin.sandbox import Policy
from codin.task import AgentResponse, Task
from codin.tool import Sandboxing, ToolSpec

__all__ = ["McpAgent", "McpOptions", "adapt", "server"]


class McpOptions(AdapterOptions, total=False):
    """What `adapt` and `server` take beside the server.

    Name and description are those of the server by default; its tools are the skills.

    Args:
        text_tool: the tool that plain text goes to, when more than one takes one text.
    """

    text_tool: str


def adapt(mcp_server: object, **options: Unpack[McpOptions]) -> McpAgent:
    """A server object of MCP's SDK, `FastMCP` or the low-level `Server`, as an agent.

    It runs in this process, in a thread, because it calls tools that block as they are.

    Raises:
        ConfigError: this is no server, or it has no tools.
    """
    if isinstance(mcp_server, FastMCP):
        low: Any = cast("Any", mcp_server)._mcp_server  # the SDK's own in-memory transport reads it there
    elif isinstance(mcp_server, Server):
        low = cast("Any", mcp_server)
    else:
        raise ConfigError(f"{type(mcp_server).__name__} is no MCP server", hint="give a FastMCP object")
    return McpAgent(in_thread(low), meanwhile(_listing(low)), **options)


def server(
    target: str | Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    headers: Mapping[str, str] | None = None,
    sandbox: Sandboxing = "off",
    policy: Policy | None = None,
    kind: str = "local",
    **options: Unpack[McpOptions],
) -> McpAgent:
    """An MCP server elsewhere as an agent: `server("uvx mcp-server-time")`, `server("https://example.com/mcp")`.

    It is asked for its tools now, because the card tells them, and connected again with the first call.

    Args:
        target: a command that speaks MCP over stdio, or the URL of a server that speaks streamable HTTP.
        env: for the command, beside the few variables that the SDK passes on.
        cwd: the folder the command runs in, where it runs without a sandbox.
        headers: of every request, e.g. an authorization.
        sandbox: `required`, or `preferred` where there is one; `off` starts the command as this process does everything
            else, and so within the sandbox that the agent has itself.
        policy: of the sandbox, e.g. `Policy(network="full")`. The bound on time does not count.
        kind: of the sandbox.

    Raises:
        ConfigError: there is no such server, it does not answer, or it has no tools.
    """
    url = target if isinstance(target, str) and target.startswith(("http://", "https://")) else None
    secrets = Secrets(url, headers, env, policy.env if policy is not None else None)
    if url is not None:
        named, connect = shown(url), http(url, headers)
    else:
        words = shlex.split(target) if isinstance(target, str) else list(target)
        named = secrets.clean(shlex.join(words))
        connect = program(words, env=env, cwd=cwd, sandbox=sandbox, policy=policy, kind=kind, secrets=secrets)
    return McpAgent(connect, listing_of(connect, named, secrets), secrets, **options)


async def _listing(low: Server[Any, Any]) -> Listing:
    """What a server object says, without running it: its lifespan may be dear."""
    handler = low.request_handlers.get(types.ListToolsRequest)
    told: Any = await handler(types.ListToolsRequest()) if handler is not None else None
    return Listing(low.name, low.instructions or "", told.root.tools if told is not None else ())


class McpTool:
    """A tool of an MCP server by the names codin gives things."""

    def __init__(self, tool: types.Tool, session: Session) -> None:
        self.name = tool.name
        self.spec = ToolSpec(tool.description or "", tool.inputSchema, tool.outputSchema)
        self._session = session

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: with its arguments by name, or with one dict of them. Nobody answers what it asks."""
        result = await self._session.call(self.name, args[0] if args else kwargs, call_within(None))
        texts = "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))
        if result.isError:
            raise RuntimeError(texts or f"the tool {self.name!r} failed")
        return texts if result.structuredContent is None else result.structuredContent


class McpAgent(Profile):
    """An MCP server as an agent: a message calls one tool, and its result is the answer."""

    def __init__(
        self, connect: Connect, listing: Listing, secrets: Secrets | None = None, /, **options: Unpack[McpOptions]
    ) -> None:
        if not listing.tools:
            raise ConfigError(f"the MCP server {listing.name!r} has no tools")
        text_tool = options.get("text_tool")
        self._choice = Tools(listing.tools, text_tool)
        if text_tool is not None and self._choice.text_tool is None:
            raise ConfigError(f"text_tool {text_tool!r} is no tool that takes one text")
        self._session = Session(connect, secrets or Secrets())
        tags, examples = list(options.get("tags", ["mcp"])), list(options.get("examples", []))
        super().__init__(
            {**options, "expose_tools": False},  # they are the skills already
            name=listing.name,
            description=listing.instructions or f"The tools of the MCP server {listing.name!r}.",
            framework="mcp",
            skills=[_skill(tool, tags, examples) for tool in listing.tools],
            tools=[McpTool(tool, self._session) for tool in listing.tools],
            input_modes=["text/plain", "application/json"]
            if self._choice.text_tool
            else ["application/json", "text/plain"],
            output_modes=["text/plain", "application/json"],
            input_schema=self._choice.schema,
            output_schema=listing.tools[0].outputSchema if len(listing.tools) == 1 else None,
        )
        self._activity = options.get("tool_activity", False)

    async def handle(self, task: Task) -> AgentResponse:
        """Call the tool that the message asks for."""
        name, arguments = self._choice.call_of(task.message)
        activity = ToolActivity(task, enabled=self._activity)
        await activity.started(task.id, name, arguments)
        try:
            result = await self._called(task, name, arguments)
        except Unreachable as error:
            return AgentResponse.failed(str(error))
        except McpError as error:
            return AgentResponse.failed(error.error.message)
        if problem := self._choice.misfit(name, result):
            return AgentResponse.failed(f"The tool {name!r} answered what does not fit its schema: {problem}.")
        await activity.finished(task.id, name, result.structuredContent or [block.type for block in result.content])
        return await respond(task, result)

    async def _called(self, task: Task, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        while True:
            try:
                return await self._session.call(name, arguments, call_within(task))
            except McpError as error:
                if error.error.code != types.URL_ELICITATION_REQUIRED:
                    raise
                await _visit_all(task, error)

    async def close(self) -> None:
        """End the session with the server; the next call begins another."""
        await self._session.close()


def _skill(tool: types.Tool, tags: Sequence[str], examples: Sequence[str]) -> a2a.AgentSkill:
    return a2a.AgentSkill(
        id=tool.name,
        name=tool.title or tool.name,
        description=tool.description or f"The tool {tool.name!r}.",
        tags=list(tags),
        examples=list(examples),
    )


async def _visit_all(task: Task, error: McpError) -> None:
    """The server wants something done at a URL before the call can be made again."""
    told = cast("dict[str, Any]", error.error.data or {})
    for each in told.get("elicitations", ()):
        result = await elicit(task, types.ElicitRequestURLParams.model_validate(each))
        if result.action != "accept":
            raise error
