"""A session with an MCP server, which calls of many tasks share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from mcp import ClientSession, McpError, types
from mcp.shared.message import SessionMessage

from codin.agent.adapters.mcp._connect import Connect, innermost, meanwhile
from codin.agent.adapters.mcp._secrets import Secrets
from codin.errors import AddressRefused, CodinError, ConfigError

__all__ = ["Call", "Listed", "Listing", "Session", "Unreachable", "listing_of"]

_logger = logging.getLogger("codin.mcp")

_START = 30.0  # seconds in which a server has to be there
_PING = 15.0  # seconds after which a call looks whether its server still lives
_ANSWER = 3.0  # seconds in which one that does not hang answers
_GRACE = 1.0  # seconds to tell a server that nobody waits for it any more
_TERMINATED = 32600  # how the SDK says that the server does not know the session any more

_CHANGED = "notifications/tools/list_changed"
_MOST = 1000  # tools of one server

_UNREACHED = "The MCP server cannot be reached."
_WENT = "The MCP server went away before it answered."

Listed = Callable[[Sequence[types.Tool]], None]
Elicit = Callable[[types.ElicitRequestParams], Awaitable[types.ElicitResult]]
Tell = Callable[[float, float | None, str | None], Awaitable[None]]


class Unreachable(Exception):
    """There is no MCP server to call, or it went away before it answered."""


@dataclass(frozen=True)
class Listing:
    """What a server says of itself."""

    name: str
    instructions: str
    tools: Sequence[types.Tool]


@dataclass(eq=False)
class Call:
    """One call of a tool.

    Args:
        elicit: answers what the server asks while it works on the call.
        tell: is told of its progress: how much, of how much, in which words. Not while a question is open.

    Attributes:
        id: of the request, once it has been sent.
        asking: a question of it is open.
        turn: held while one of its questions is put.
        broken: set to the error with which a question could not be put.
    """

    elicit: Elicit
    tell: Tell | None = None
    id: types.RequestId | None = None
    asking: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    broken: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    questions: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """The server tells how far it is."""
        if self.tell is not None and not self.asking:
            await self.tell(progress, total, message)


_CALL: ContextVar[Call | None] = ContextVar("codin_mcp_call", default=None)


class Session:
    """One session, begun with the first call, and begun anew when the server has gone or hangs.

    Args:
        secrets: what no log, no error and no failed result tells.
        listed: is told the server's tools whenever a session begins, and when they change.
    """

    def __init__(self, connect: Connect, secrets: Secrets, listed: Listed | None = None) -> None:
        self._connect = connect
        self._secrets = secrets
        self._listed = listed
        self._link: _Link | None = None
        self._links: set[_Link] = set()  # also those that hang, and have calls under way

    async def begin(self, named: str) -> None:
        """Begin it now, and not with the first call.

        Raises:
            ConfigError: the server, which is named so, cannot be asked; why, and what to do.
        """
        try:
            await self._linked()
        except Unreachable as error:
            raise _unasked(named, error.__cause__ or error, self._secrets) from None

    async def call(self, name: str, arguments: Mapping[str, Any], call: Call) -> types.CallToolResult:
        """Call a tool. When that is canceled, the server is told.

        Raises:
            Unreachable: there is no server, or it went away meanwhile.
            McpError: the server refused the request.
        """
        try:
            result = await self._called(name, arguments, call)
        except McpError as error:
            cleaned = error.error.model_copy(update={"message": self._secrets.clean(error.error.message)})
            raise McpError(cleaned) from None
        if result.isError:
            for block in result.content:
                if isinstance(block, types.TextContent):
                    block.text = self._secrets.clean(block.text)
        return result

    async def _called(self, name: str, arguments: Mapping[str, Any], call: Call) -> types.CallToolResult:
        try:
            return await (await self._linked()).call(name, arguments, call)
        except McpError as error:
            if error.error.code != _TERMINATED:
                raise
        await self.close()  # the server has forgotten the session, and has not seen the call
        return await (await self._linked()).call(name, arguments, call)

    async def _linked(self) -> _Link:
        if self._link is not None:
            await self._link.looked()
        link = self._link
        if link is None or not link.lives():
            link = self._link = _Link(self._connect, self._listed, self._secrets)
            self._links = {each for each in self._links if not each.ended()} | {link}
        await asyncio.shield(link.opened)
        return link

    async def close(self) -> None:
        """End the session; the next call begins another."""
        links, self._link, self._links = self._links, None, set()
        for link in links:
            await link.close()


class _Link:
    """One life of a session. The SDK wants it opened and closed by one asyncio task."""

    def __init__(self, connect: Connect, listed: Listed | None, secrets: Secrets) -> None:
        self._listed = listed
        self._secrets = secrets
        self._loop = asyncio.get_running_loop()
        self._connect = connect
        self._calls: dict[str, Call] = {}
        self._gone = asyncio.Event()
        self._hangs = False
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._session: Any = None
        self._writer: Any = None
        self._listing = asyncio.Lock()  # of two lists that are asked for at once, the older may come last
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._keeper = self._loop.create_task(self._keep())

    def lives(self) -> bool:
        """Whether calls can be made here."""
        return not self._gone.is_set() and not self._hangs and self._here()

    def ended(self) -> bool:
        """Whether there is nothing left to close."""
        return self._keeper.done() or not self._here()

    def _here(self) -> bool:
        return self._loop is asyncio.get_running_loop()

    async def _keep(self) -> None:
        try:
            async with self._connect(self.changed) as (read, write):
                self._writer = _Writer(write, self._calls)
                streams: tuple[Any, Any] = (_Reader(read, self), self._writer)
                # The callback only makes it known that there is one: the reader takes the questions out before it.
                async with ClientSession(*streams, elicitation_callback=_unused) as session:
                    async with _in_time():
                        await session.initialize()
                        self._session = session  # what changes while the first list is on its way is followed, too
                        await self._list(session)  # it checks results against their schemas
                    self.opened.set_result(None)
                    await self._gone.wait()
        except AddressRefused as refused:  # before there is a session
            self._failed(self._secrets.clean(refused.message), refused)
        except Exception as error:  # what went wrong inside the SDK ends here, as a group of whatever it was
            if self.opened.done():
                _logger.info("the session with an MCP server ended: %s", self._secrets.clean(repr(error)))
            else:
                _logger.warning("an MCP server cannot be reached: %s", self._secrets.clean(repr(error)))
                self._failed(_UNREACHED, error)
        finally:
            self.end()
            for task in self._tasks:
                task.cancel()
            if not self.opened.done():
                self._failed(_UNREACHED, None)

    def _failed(self, said: str, cause: Exception | None) -> None:
        """There will be no session, and this is why."""
        unreachable = Unreachable(said)
        unreachable.__cause__ = cause
        self.opened.set_exception(unreachable)
        self.opened.exception()  # nobody may be waiting

    async def _list(self, session: ClientSession) -> None:
        async with self._listing, _in_time():
            tools = await _all_tools(session)
            if self._listed is not None:
                self._listed(tools)

    def changed(self) -> None:
        """The server has other tools now, or may have."""
        if self._session is not None:
            self._start(self._list(self._session))

    def end(self) -> None:
        """Nothing more comes from the server."""
        self._gone.set()

    async def close(self) -> None:
        """Say goodbye, or stop waiting for the server to be there."""
        if not self.ended():
            self.end()
            if not self.opened.done():
                self._keeper.cancel()
            await asyncio.wait({self._keeper})

    async def looked(self) -> None:
        """Wait until it is known whether the server hangs, where that is in doubt."""
        if self._looking is not None and self.lives():
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        """Ask for a sign of life. Without one no call is made here any more; those under way have all their time."""
        try:
            async with asyncio.timeout(_ANSWER):
                await self._session.send_ping()
        except TimeoutError:
            _logger.warning("an MCP server does not answer; the next call begins another session")
            self._hangs = True
            self._leave()

    def _leave(self) -> None:
        if self._hangs and not self._calls:
            self.end()

    # -- calls ---------------------------------------------------------------------------------------------------------

    async def call(self, name: str, arguments: Mapping[str, Any], call: Call) -> types.CallToolResult:
        token = _CALL.set(call)
        progress = None if call.tell is None else call.progress
        params = types.CallToolRequestParams(name=name, arguments=dict(arguments))
        request = types.ClientRequest(types.CallToolRequest(params=params))
        # not `call_tool`, which checks the result by the server's own schema, and may be busy with that for ever
        sending = self._session.send_request(request, types.CallToolResult, progress_callback=progress)
        work = asyncio.create_task(sending)
        _CALL.reset(token)
        gone = asyncio.create_task(self._gone.wait())
        try:
            while not (await _first(work, gone, call.broken))[0]:
                self._start(self._session.send_ping())  # when it does not arrive, the session ends
            if work.done():
                return work.result()
            if call.broken.done():
                call.broken.result()
            raise Unreachable(_WENT)
        except McpError as error:
            if not _is_closed(error):
                raise
            raise Unreachable(_WENT) from None
        finally:
            try:
                if not work.done() and not self._gone.is_set():
                    self._looking = self._start(self._look())
                    await self._cancel(call)
            finally:
                for task in (work, gone, *call.questions):
                    task.cancel()
                self._calls.pop(str(call.id), None)
                self._leave()

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something for which nobody waits; that it cannot be done is seen by those who do."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.debug("an MCP server could not be told something: %s", self._secrets.clean(repr(error)))

    async def _cancel(self, call: Call) -> None:
        if call.id is None:
            return
        told = types.CancelledNotification(params=types.CancelledNotificationParams(requestId=call.id))
        with suppress(Exception):  # it is gone already, or does not listen
            async with asyncio.timeout(_GRACE):
                await self._session.send_notification(types.ClientNotification(told))

    # -- questions -----------------------------------------------------------------------------------------------------

    def asked(self, message: SessionMessage) -> None:
        """The server asks. It is answered beside the stream, which brings the results of other calls meanwhile."""
        request = cast("types.JSONRPCRequest", message.message.root)
        call = self._asking(message)
        if call is None:
            problem = "It is not clear which of several calls asks; only one of them can ask at a time."
            error = types.ErrorData(code=types.INVALID_REQUEST, message=problem)
            self._start(self._respond(types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)))
            return
        call.asking = True
        task = self._start(self._answer(call, request))
        call.questions.add(task)
        task.add_done_callback(call.questions.discard)

    def _asking(self, message: SessionMessage) -> Call | None:
        """The call a question belongs to. MCP does not say, unless the server is in this process."""
        related = getattr(message.metadata, "related_request_id", None)
        if related is not None:
            return self._calls.get(str(related))
        waiting = [call for call in self._calls.values() if not call.asking]
        return waiting[0] if len(waiting) == 1 else None

    async def _answer(self, call: Call, request: types.JSONRPCRequest) -> None:
        try:
            params = types.ElicitRequest.model_validate({"method": request.method, "params": request.params}).params
            async with call.turn:
                result = await call.elicit(params)
        except Exception as error:  # it is the task's, and not the server's
            if not call.broken.done():
                call.broken.set_exception(error)
                call.broken.exception()  # the call may have ended
            return
        call.asking = len(call.questions) > 1
        fields = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        await self._respond(types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result=fields))

    async def _respond(self, answer: types.JSONRPCResponse | types.JSONRPCError) -> None:
        await self._writer.send(SessionMessage(types.JSONRPCMessage(answer)))


@asynccontextmanager
async def _in_time() -> AsyncGenerator[None]:
    """Raise TimeoutError, which says so, where a server is not there in time."""
    try:
        async with asyncio.timeout(_START):
            yield
    except TimeoutError:
        raise TimeoutError(f"it has not answered within {_START:g} s") from None


async def _first(*waiting: asyncio.Future[Any]) -> tuple[set[asyncio.Future[Any]], set[asyncio.Future[Any]]]:
    return await asyncio.wait(waiting, timeout=_PING, return_when=asyncio.FIRST_COMPLETED)


async def _unused(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="cancel")


class _Stream:
    """An end of a transport, as the SDK uses it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aenter__(self) -> _Stream:
        return self

    async def __aexit__(self, *exception: object) -> None:
        close = getattr(self._inner, "aclose", None)
        if close is not None:
            await close()


class _Reader(_Stream):
    """Takes out what the server asks, and sees when it has gone."""

    def __init__(self, inner: Any, link: _Link) -> None:
        super().__init__(inner)
        self._link = link

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> Any:
        try:
            while True:
                message = await self._inner.__anext__()
                root = message.message.root if isinstance(message, SessionMessage) else None
                if isinstance(root, types.JSONRPCNotification) and root.method == _CHANGED:
                    self._link.changed()
                if not isinstance(root, types.JSONRPCRequest) or root.method != "elicitation/create":
                    return message
                self._link.asked(message)
        except BaseException:
            self._link.end()
            raise


class _Writer(_Stream):
    """Remembers which request is which call."""

    def __init__(self, inner: Any, calls: dict[str, Call]) -> None:
        super().__init__(inner)
        self._calls = calls

    async def send(self, message: SessionMessage) -> None:
        root = message.message.root
        call = _CALL.get()
        if call is not None and isinstance(root, types.JSONRPCRequest) and root.method == "tools/call":
            call.id = root.id
            self._calls[str(root.id)] = call
        await self._inner.send(message)


def _unheard() -> None:
    """Who goes again at once does not ask twice."""


def listing_of(connect: Connect, named: str, secrets: Secrets) -> Listing:
    """Ask a server who it is and what it can do, and go again.

    Raises:
        ConfigError: it cannot be asked; why, and what to do.
    """
    try:
        return meanwhile(_listing(connect))
    except Exception as error:  # which has the URL in it, and what a program has said
        raise _unasked(named, error, secrets) from None


def _unasked(named: str, error: BaseException, secrets: Secrets) -> ConfigError:
    reason, hint = _why(error)
    return ConfigError(f"the MCP server {named!r} cannot be asked for its tools: {secrets.clean(reason)}", hint=hint)


async def _listing(connect: Connect) -> Listing:
    async with _in_time(), connect(_unheard) as (read, write), ClientSession(read, write) as session:
        told = await session.initialize()
        tools = await _all_tools(session)
    return Listing(told.serverInfo.title or told.serverInfo.name, told.instructions or "", tools)


async def _all_tools(session: ClientSession) -> Sequence[types.Tool]:
    tools: list[types.Tool] = []
    page: types.ListToolsResult | None = None
    while page is None or (page.nextCursor and len(tools) < _MOST):
        cursor = types.PaginatedRequestParams(cursor=page.nextCursor if page else None)
        page = await session.list_tools(params=cursor)
        tools += page.tools
    return tools[:_MOST]


def _is_closed(error: BaseException) -> bool:
    return isinstance(error, McpError) and error.error.code == types.CONNECTION_CLOSED


def _why(error: BaseException) -> tuple[str, str | None]:
    error = innermost(error)
    if isinstance(error, CodinError):
        return error.message, error.hint
    if isinstance(error, McpError) and error.error.code == _TERMINATED:
        return "nothing at this path speaks MCP", "is it the address of its endpoint? Often that ends with /mcp"
    if isinstance(error, anyio.BrokenResourceError) or _is_closed(error):
        return "it ended before it answered", "what it wrote to the standard error may say why"
    status: int = getattr(getattr(error, "response", None), "status_code", 0)
    if status in {401, 403}:
        return f"it answers with {status}", 'headers={"Authorization": "Bearer …"} shows it who asks'
    return (f"it answers with {status}" if status else str(error) or repr(error)), None
