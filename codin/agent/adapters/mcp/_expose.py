"""Agents as the tools of an MCP server."""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.tools import Tool
from mcp.server.fastmcp.utilities.func_metadata import ArgModelBase, FuncMetadata
from pydantic import ConfigDict
from pydantic_core import to_json

from codin import a2a
from codin.agent._adapt import as_agent
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import Remote
from codin.agent.adapters.mcp._form import Form
from codin.agent.adapters.mcp._input import mismatch
from codin.agent.adapters.mcp._talk import Distant, Local, Party
from codin.client import Peer, Reply
from codin.errors import ConfigError

__all__ = ["expose"]


def expose(*agents: object, name: str = "codin", instructions: str | None = None, **settings: Any) -> FastMCP:
    """An MCP server whose tools are these agents: `expose(my_agent).run()`.

    What an agent streams is the progress of the call, what it says of its work a log message, and what it asks the user
    is asked, if the client can: as an elicitation. Calls of one MCP session belong to one context of each agent.

    Args:
        agents: what `codin.serve` takes, URLs and names of agents that are up, and connected peers. A connected peer
            belongs to an event loop: run the server inside `async with connect(...)`, e.g. with
            `await server.run_stdio_async()`.
        settings: of `FastMCP`, e.g. `host` and `port`.

    Raises:
        ConfigError: there is no agent, two have one name, or one that is elsewhere was not reached.
    """
    tools = [_Tool(agent).tool() for agent in agents]
    names = [tool.name for tool in tools]
    if not names or len(set(names)) < len(names):
        raise ConfigError("an MCP server needs tools with different names", hint=f"given: {', '.join(names) or 'none'}")
    with _root_logger_kept():
        return FastMCP(name, instructions, tools=tools, **settings)


@contextmanager
def _root_logger_kept() -> Any:
    """FastMCP configures the root logger when it is made. What is logged, and where, is the program's own matter."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class _Arguments(ArgModelBase):
    """Any arguments, under one name: a field may be called like a parameter here."""

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": dict(self.model_extra or {})}


class _Tool:
    """One agent as a tool."""

    def __init__(self, agent: object) -> None:
        self._party: Party = Distant(Remote(agent)) if isinstance(agent, Peer | str) else Local(as_agent(agent))
        self._contexts: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def tool(self) -> Tool:
        party = self._party
        return Tool(
            fn=self._call,
            name=party.name,
            title=None,
            description=party.description,
            parameters=dict(party.input_schema),
            fn_metadata=FuncMetadata(arg_model=_Arguments),
            is_async=True,
            context_kwarg="context",
            annotations=None,
        )

    async def _call(self, arguments: dict[str, Any], context: Context[Any, Any, Any]) -> types.CallToolResult:
        if problem := mismatch(arguments, self._party.input_schema):
            return _failed(f"The arguments do not fit: {problem}.")
        session = context.session
        place = self._contexts.setdefault(session, str(uuid.uuid4()))
        teller = _Teller(context)
        reply = await self._party.send(self._party.content(arguments), place, None, teller.text, teller.news)
        while reply.state is not None and reply.state.interrupted:
            answer = await _answer(reply, context)
            if answer is None:
                await self._party.cancel(reply)
                return _failed(
                    f"The agent asks: {reply.text}\nNobody can be asked here. Say it when you call it again."
                )
            reply = await self._party.send(answer, reply.context_id or place, reply.task_id, teller.text, teller.news)
        return _result(reply)


class _Teller:
    """Tells the client what comes of an agent while it works."""

    def __init__(self, context: Context[Any, Any, Any]) -> None:
        self._context = context
        self._pieces = 0

    async def text(self, piece: str) -> None:
        self._pieces += 1
        await self._context.report_progress(self._pieces, message=piece)

    async def news(self, text: str) -> None:
        await self._context.info(text)


async def _answer(reply: Reply, context: Context[Any, Any, Any]) -> Sequence[a2a.Part] | None:
    """What the user says to the agent's question; None when nobody can be asked, or the user will not say.

    A credential is never asked for: MCP forbids it in forms.
    """
    able = types.ClientCapabilities(elicitation=types.ElicitationCapability())
    if reply.state is a2a.TaskState.AUTH_REQUIRED or not context.session.check_client_capability(able):
        return None
    form = Form(reply)
    result = await context.session.elicit_form(reply.text, form.schema, related_request_id=context.request_id)
    return form.answer(result.content or {}) if result.action == "accept" else None


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], isError=True)


def _result(reply: Reply) -> types.CallToolResult:
    if reply.state not in {None, a2a.TaskState.COMPLETED}:
        state = reply.state.name.lower() if reply.state is not None else ""
        return _failed(reply.text or f"The agent ended as {state}.")
    data: Any = reply.data
    texts = [text for text in (reply.text, None if data is None else to_json(data).decode()) if text]
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text) for text in texts]
    content += [_block(number, part) for number, part in enumerate(reply.files, 1)]
    return types.CallToolResult(content=content, structuredContent=object_of(data) or None)


def _block(number: int, part: a2a.Part) -> types.ContentBlock:
    media_type, name = part.media_type or "application/octet-stream", part.filename or f"file-{number}"
    if part.raw is None:
        return types.ResourceLink.model_validate(
            {"type": "resource_link", "name": name, "uri": part.url, "mimeType": part.media_type}
        )
    encoded = base64.b64encode(part.raw).decode()
    if media_type.startswith("image/"):
        return types.ImageContent(type="image", data=encoded, mimeType=media_type)
    if media_type.startswith("audio/"):
        return types.AudioContent(type="audio", data=encoded, mimeType=media_type)
    resource: Mapping[str, Any] = {"uri": f"file:///{name}", "mimeType": media_type, "blob": encoded}
    return types.EmbeddedResource.model_validate({"type": "resource", "resource": resource})
