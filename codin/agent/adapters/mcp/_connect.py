"""Ways to an MCP server: over stdio, over HTTP, and to one in this process."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
from mcp import StdioServerParameters, stdio_client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage

from codin.agent.adapters.mcp._secrets import Secrets
from codin.errors import (
    AddressRefused,
    CodinError,
    ConfigError,
    ConnectError,
    PolicyNotEnforced,
    SandboxUnavailable,
)
from codin.net import AddressGuard
from codin.net._httpx import guarded_client
from codin.sandbox import Execution, Policy, Sandbox, sandbox_of
from codin.tool import Sandboxing, check_sandboxing

__all__ = ["Connect", "Heard", "http", "in_sandbox", "in_thread", "innermost", "meanwhile", "program", "stdio"]

T = TypeVar("T")

_SHOWN = 2000  # letters of what a program says beside its messages
_LINES = 5  # of them at most, in an error
_LONGEST = 16 * 1024 * 1024  # bytes of one message

_logger = logging.getLogger("codin.mcp")

Heard: TypeAlias = Callable[[], None]
"""Called when a server is heard again that could not be heard meanwhile: what it has said by itself is lost."""

Connect: TypeAlias = Callable[[Heard], AbstractAsyncContextManager[tuple[Any, Any]]]
"""Opens a connection: what messages are read from, and what they are written to."""

# Seconds to connect, read, write, and wait for a connection. A question may wait for its answer without a byte.
_TIMEOUT = (10.0, None, 10.0, 10.0)
_GOODBYE = 5.0  # seconds to read the answer to the end of a session


def stdio(command: Sequence[str], *, env: Mapping[str, str] | None, cwd: str | Path | None) -> Connect:
    """A program that speaks MCP over its standard input and output."""
    program, *arguments = command
    given = dict(env) if env is not None else None
    parameters = StdioServerParameters(command=program, args=arguments, env=given, cwd=cwd)
    return lambda heard: stdio_client(parameters)


def program(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: str | Path | None,
    sandbox: Sandboxing,
    policy: Policy | None,
    kind: str,
    secrets: Secrets,
) -> Connect:
    """A program that speaks MCP over its standard input and output, in a sandbox if that is wanted.

    Raises:
        ConfigError: there is no command, or `sandbox` is none of the three words.
    """
    check_sandboxing({"sandbox": sandbox})
    if not command:
        raise ConfigError("there is no command to run", hint='such as "uvx mcp-server-time"')
    if sandbox != "off":
        policy = policy or Policy()
        policy = replace(policy, limits=replace(policy.limits, time=None))
        make = partial(sandbox_of, kind, policy)
        if sandbox == "required" or meanwhile(_opens(make)):
            return in_sandbox(command, make, env, secrets)
    return stdio(command, env=env, cwd=cwd)


async def _opens(make: Callable[[], Sandbox]) -> bool:
    try:
        await make().check()
    except (SandboxUnavailable, PolicyNotEnforced):
        return False
    return True


def meanwhile(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def http(url: str, headers: Mapping[str, str] | None, guard: AddressGuard | None = None) -> Connect:
    """A server that speaks MCP over streamable HTTP.

    Args:
        guard: which addresses may be called; the host of the URL wherever it is, when not given.
    """
    guard = guard or AddressGuard(named_by=url)

    @asynccontextmanager
    async def connect(heard: Heard) -> AsyncGenerator[tuple[Any, Any]]:
        async def listening(response: Any) -> None:
            """The stream of what a server says by itself is opened later than the session, and anew when it ends."""
            if response.request.method == "GET" and response.is_success:
                heard()

        try:
            await guard.check(url)  # the SDK keeps to itself what a connection fails for
        except AddressRefused:
            raise
        except ConnectError:
            pass  # a proxy may know the name
        async with guarded_client(guard, headers or {}) as client:
            client.timeout = _TIMEOUT
            client.event_hooks = {"request": [_in_time], "response": [_at_home, listening]}
            async with streamable_http_client(url, http_client=client) as (read, write, _):
                yield read, write

    return connect


async def _in_time(request: Any) -> None:
    """Who closes a session waits for no server that hangs."""
    if request.method == "DELETE":
        request.extensions["timeout"]["read"] = _GOODBYE


async def _at_home(response: Any) -> None:
    """A redirect to somebody else would take the headers along, and lead to wherever it says."""
    following = response.next_request
    if following is not None and _origin(following.url) != _origin(response.request.url):
        raise ConnectError("the MCP server sends its client to another server")


def _origin(url: Any) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def in_sandbox(
    command: Sequence[str], make: Callable[[], Sandbox], env: Mapping[str, str] | None, secrets: Secrets
) -> Connect:
    """A program that speaks MCP over its standard input and output, in a sandbox of its own."""

    @asynccontextmanager
    async def connect(_: Heard) -> AsyncGenerator[tuple[Any, Any]]:
        heard, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
        write, said = anyio.create_memory_object_stream[SessionMessage]()
        aside = bytearray()
        try:
            with heard, read, write, said:
                async with (
                    make() as room,
                    room.start(command, stdin=_lines(said), env=env, keep=False) as running,
                    anyio.create_task_group() as group,
                ):
                    group.start_soon(_listen, running, heard, aside, secrets)
                    yield read, write
                    group.cancel_scope.cancel()
        except CodinError:
            raise
        except Exception as error:
            raise _ended(innermost(error), bytes(aside)) from error

    return connect


def _ended(error: BaseException, aside: bytes) -> ConnectError:
    """Why there is nothing more from a program in a sandbox, with the end of what it said beside its messages."""
    lines = aside.decode(errors="replace").strip()[-_SHOWN:].splitlines()[-_LINES:]
    said = f"; it said: {' | '.join(line.strip() for line in lines)}" if lines else ""
    hint = 'in its sandbox it sees what policy=Policy(mounts=…, network=…) says; sandbox="off" runs it without one'
    return ConnectError(f"{str(error) or repr(error)}{said}", hint=hint)


def innermost(error: BaseException) -> BaseException:
    """What was raised, out of the groups that it was raised in."""
    inside: Sequence[BaseException] = getattr(error, "exceptions", ())
    return innermost(inside[0]) if inside else error


async def _lines(messages: Any) -> AsyncGenerator[bytes]:
    async for message in messages:
        yield message.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"


async def _listen(running: Execution, heard: Any, aside: bytearray, secrets: Secrets) -> None:
    """Every line is a message; what the program says beside is for the log, and its end for an error."""
    begun = bytearray()
    with heard:
        async for output in running:
            if output.stream == "stderr":
                _logger.debug("an MCP server says: %s", secrets.clean(output.text)[:_SHOWN].rstrip())
                aside[:] = (aside + output.data)[-_SHOWN:]
                continue
            *lines, rest = (bytes(begun) + output.data).split(b"\n") if b"\n" in output.data else [output.data]
            if lines:
                begun.clear()
            begun += rest
            if len(begun) > _LONGEST:
                _logger.warning("an MCP server has sent a line of more than %d bytes", _LONGEST)
                return
            for line in lines:
                await heard.send(_message(line))


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(types.JSONRPCMessage.model_validate_json(line))
    except ValueError as error:
        return error


def in_thread(server: Server[Any, Any]) -> Connect:
    """A server object. It runs on an event loop of its own, because it calls tools that block as they are."""

    @asynccontextmanager
    async def connect(_: Heard) -> AsyncGenerator[tuple[Any, Any]]:
        loop = asyncio.get_running_loop()
        send, read = anyio.create_memory_object_stream[Any](math.inf)
        line = _Line(loop, send)
        thread = threading.Thread(target=asyncio.run, args=[line.serve(server)], name="codin-mcp", daemon=True)
        thread.start()
        try:
            yield read, await asyncio.wrap_future(line.begun)
        finally:
            line.hang_up()
            send.close()
            read.close()

    return connect


class _Line:
    """What two event loops in two threads say to each other. On the side of the client it is what is written to."""

    def __init__(self, client: asyncio.AbstractEventLoop, answers: Any) -> None:
        self._client = client
        self._answers = answers
        self._server: asyncio.AbstractEventLoop | None = None
        self._requests: Any = None
        self.begun: Future[_Line] = Future()

    async def serve(self, server: Server[Any, Any]) -> None:
        """Run the server until the client hangs up."""
        self._server = asyncio.get_running_loop()
        self._requests, requests = anyio.create_memory_object_stream[Any](math.inf)
        answers, answered = anyio.create_memory_object_stream[Any](math.inf)
        self.begun.set_result(self)
        try:
            async with self._requests, requests, answers, answered, anyio.create_task_group() as group:
                group.start_soon(self._forward, answered)
                await server.run(requests, answers, server.create_initialization_options())
                group.cancel_scope.cancel()
        except Exception:
            _logger.exception("the MCP server %r stopped", server.name)
        finally:
            _call(self._client, self._answers.close)

    async def _forward(self, answered: Any) -> None:
        async for message in answered:
            _call(self._client, partial(_put, self._answers, message))

    async def send(self, message: Any) -> None:
        """Hand a message to the server."""
        _call(self._server, partial(_put, self._requests, message))

    def hang_up(self) -> None:
        """End the server, as soon as no tool blocks it."""
        if self._requests is not None:
            _call(self._server, self._requests.close)


def _put(stream: Any, message: Any) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        stream.send_nowait(message)


def _call(loop: asyncio.AbstractEventLoop | None, work: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # that side is gone
        if loop is not None:
            loop.call_soon_threadsafe(work)
