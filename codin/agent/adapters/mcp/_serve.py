"""Tools of codin as an MCP server, over stdio and over HTTP, for callers who see what their scopes allow."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from codin import __version__
from codin.errors import TokenRefused, ToolError
from codin.tool import Tool, ToolExecutor, ToolRegistry, ToolSpec, in_runtime
from codin.tool._pieces import whole
from codin.trust import ANONYMOUS, PEER_ADDRESS, Authenticator, Caller, challenge_of

__all__ = ["ToolServer"]

_logger = logging.getLogger("codin.mcp")
_CALLER = "codin.caller"


class ToolServer:
    """An MCP server of tools: `await ToolServer(registry).stdio()`, or mount `ToolServer(registry).app()`.

    Its callers see and use what their scopes allow, under the rules and bounds of an executor. Nobody can be asked for
    approval here, so tools that want it are refused.

    Args:
        tools: a registry or tools, of which those that ask for a sandbox have one; or an executor, which knows itself
            where its tools run.
        caller: who calls, where nobody is authenticated. Without scopes by default.
        name, instructions: what the server says of itself.
    """

    def __init__(
        self,
        tools: ToolExecutor | ToolRegistry | Iterable[Tool],
        *,
        caller: Caller = ANONYMOUS,
        name: str = "codin",
        instructions: str | None = None,
    ) -> None:
        self._executor = tools if isinstance(tools, ToolExecutor) else ToolExecutor(tools, run=in_runtime())
        self._caller = caller
        self._server: Server[Any, Any] = Server(name, __version__, instructions)
        self._server.request_handlers[types.ListToolsRequest] = self._list
        self._server.request_handlers[types.CallToolRequest] = self._call

    async def stdio(self) -> None:
        """Serve whoever started this process, until its input ends.

        What a tool prints, or a program that it starts, goes to the standard error; who reads finds no input.
        """
        with _apart() as (given, taken):
            async with stdio_server(given, taken) as (read, write):
                await self._server.run(read, write, self._server.create_initialization_options())

    def app(
        self, authenticator: Authenticator | None = None, *, path: str = "/mcp", hosts: Iterable[str] | None = None
    ) -> Starlette:
        """An ASGI application that speaks streamable HTTP. Mounted in another one, that one has to run its lifespan.

        Each request stands for itself: there are no sessions that somebody could take over.

        Args:
            authenticator: finds out who calls; without it, it is the server's `caller`.
            hosts: that browsers may name, against DNS rebinding; those of this machine by default. A `*` is any port.
        """
        own = ["127.0.0.1:*", "localhost:*", "[::1]:*"] if hosts is None else list(hosts)
        security = TransportSecuritySettings(
            allowed_hosts=own, allowed_origins=[f"{scheme}://{host}" for host in own for scheme in ("http", "https")]
        )
        manager = StreamableHTTPSessionManager(
            self._server, stateless=True, security_settings=security, session_idle_timeout=None
        )

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncGenerator[None]:
            async with manager.run():
                yield

        return Starlette(routes=[Route(path, _Admitted(manager, authenticator))], lifespan=lifespan)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _who(self) -> Caller:
        request: Any = self._server.request_context.request
        found = self._caller if request is None else request.scope.get(_CALLER)
        return self._caller if found is None else found

    async def _list(self, request: types.ListToolsRequest) -> types.ServerResult:
        tools = [_described(tool) for tool in self._executor.registry.list(self._who())]
        return types.ServerResult(types.ListToolsResult(tools=tools))

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        name, arguments = request.params.name, request.params.arguments or {}
        try:
            spec = self._executor.registry.get(name, self._who()).spec
            value = await self._value(name, arguments, spec)
            return types.ServerResult(_result(value, spec))
        except ToolError as error:
            failed: list[types.ContentBlock] = [types.TextContent(type="text", text=str(error))]
            return types.ServerResult(types.CallToolResult(content=failed, isError=True))

    async def _value(self, name: str, arguments: Mapping[str, Any], spec: ToolSpec) -> Any:
        context = self._server.request_context
        token = context.meta.progressToken if context.meta is not None else None
        if token is None or not spec.streams:
            return await self._executor.call(name, arguments, caller=self._who())
        pieces: list[Any] = []
        async with aclosing(self._executor.stream(name, arguments, caller=self._who())) as stream:
            async for piece in stream:
                pieces.append(piece)
                told = piece if isinstance(piece, str) else to_json(piece).decode()
                await context.session.send_progress_notification(
                    token, len(pieces), message=told, related_request_id=str(context.request_id)
                )
        return whole(pieces, spec)


@contextmanager
def _apart() -> Generator[tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]]:
    """The standard input and output for the protocol alone: a program that a tool starts inherits others."""
    sys.stdout.flush()
    with (
        os.fdopen(os.dup(0), encoding="utf-8", errors="replace") as given,
        os.fdopen(os.dup(1), "w", encoding="utf-8") as taken,
        Path(os.devnull).open("rb") as nothing,
    ):
        os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        try:
            with redirect_stdout(sys.stderr):
                yield anyio.wrap_file(given), anyio.wrap_file(taken)
        finally:
            sys.stdout.flush()
            os.dup2(given.fileno(), 0)
            os.dup2(taken.fileno(), 1)


class _Admitted:
    """Lets in who can say who they are."""

    def __init__(self, manager: StreamableHTTPSessionManager, authenticator: Authenticator | None) -> None:
        self._manager = manager
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._authenticator is not None:
            client = scope.get("client")
            headers = {**dict(scope["headers"]), PEER_ADDRESS: str(client[0]).encode() if client else b""}
            try:
                caller = await self._authenticator.authenticate(headers)
            except TokenRefused as refused:
                _logger.info("a caller of the tools was refused: %s", refused.message)
                caller = None
            if caller is None:
                challenge = {"WWW-Authenticate": challenge_of(self._authenticator)}
                await Response(status_code=401, headers=challenge)(scope, receive, send)
                return
            scope[_CALLER] = caller
        await self._manager.handle_request(scope, receive, send)


def _described(tool: Tool) -> types.Tool:
    spec = tool.spec
    schema = {"type": "object", **spec.input_schema}
    return types.Tool(
        name=tool.name,
        description=spec.description,
        inputSchema=schema,
        outputSchema=_wrapped(spec.output_schema),
        annotations=types.ToolAnnotations(idempotentHint=spec.idempotent),
    )


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"


def _wrapped(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """MCP has objects as results only: anything else is one with the field `result`."""
    if schema is None or _is_object(schema):
        return None if schema is None else dict(schema)
    inner = dict(schema)
    definitions = inner.pop("$defs", None)
    if '"#"' in json.dumps(inner):
        inner = {}  # it refers to itself as a whole, which it no longer is
    whole_schema = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    return {**whole_schema, "$defs": definitions} if definitions else whole_schema


def _result(value: Any, spec: ToolSpec) -> types.CallToolResult:
    text = value if isinstance(value, str) else to_json(value).decode()
    structured: Any = None
    if spec.output_schema is not None:
        structured = value if _is_object(spec.output_schema) else {"result": value}
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structuredContent=structured)
