"""Uses tools: finds them, checks what goes in and comes out, asks who has to be asked, keeps the bounds, records it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any, NoReturn, cast
from weakref import WeakKeyDictionary

from pydantic import SecretBytes, SecretStr
from pydantic_core import to_json

from codin.errors import (
    InvalidArguments,
    InvalidResult,
    NoRuntime,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    WorkloadTimeout,
)
from codin.task import Task
from codin.task._asking import asking
from codin.task._tool_use import ToolUse
from codin.tool._call import INLINE, RunStream, RunTool, ToolCall
from codin.tool._door import OF_THE_RUN, Door
from codin.tool._given import read, written
from codin.tool._limits import ToolLimits
from codin.tool._pieces import parts, whole
from codin.tool._protocol import Sandboxing, StreamingTool, Tool, check_sandboxing
from codin.tool._registry import Listed, ToolRegistry
from codin.tool._result import value_of
from codin.tool._sandboxed import WorkloadTool, told_of
from codin.tool._stopping import stoppable
from codin.tool._stopwatch import Stopwatch
from codin.trust import ANONYMOUS, Caller

__all__ = ["ToolExecutor"]

_logger = logging.getLogger("codin.tool")
_IN_A_ROW = 64  # pieces of a stream, until others have their turn
_ASKED = 2000  # letters of the arguments in a question


class ToolExecutor:
    """Uses the tools of a registry.

    A caller without a tool's scopes gets the answer that it gets for a tool that does not exist. Every failure is a
    `ToolError` whose text is for the model that called.

    Args:
        tools: a registry, or the tools themselves.
        agent: who uses them; a tool has to be open to it as well as to the caller.
        run: runs the tools whose spec asks for a sandbox. Without it those that prefer one run in this process, and
            those that require one are refused. `in_runtime()` is one.
        sandbox: what takes the place of the word of a tool's spec, by the name of the tool.
        limits: the bounds.

    Raises:
        ConfigError: `sandbox` says what is none of the three.
    """

    def __init__(
        self,
        tools: ToolRegistry | Iterable[Tool] = (),
        *,
        agent: Caller | None = None,
        run: RunTool | None = None,
        sandbox: Mapping[str, Sandboxing] | None = None,
        limits: ToolLimits | None = None,
    ) -> None:
        self.registry: ToolRegistry = tools if isinstance(tools, ToolRegistry) else ToolRegistry(tools)
        self.limits: ToolLimits = limits or ToolLimits()
        self._agent = agent
        self._sandboxed = run
        self._sandbox = check_sandboxing(sandbox or {})
        self._doors: WeakKeyDictionary[Listed, Door] = WeakKeyDictionary()

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        task: Task | None = None,
        caller: Caller | None = None,
    ) -> Any:
        """Use a tool and give its result, as JSON has it.

        Args:
            name: of the tool; `name@version` for another version than the newest.
            arguments: as JSON has them.
            task: in which it is used: its caller has to have the scopes, its guards are asked, its caller may be asked
                for approval, and its log has the record.
            caller: who has to have the scopes, beside the task's; nobody in particular when there is neither.

        Raises:
            UnknownTool: there is none of that name for this caller.
            InvalidArguments: they do not fit.
            ToolRefused: a guard or a person said no, or it needs a task or a sandbox, and there is none.
            ToolBusy: it is used as often as it may be, or there is no thread for it; it has not begun.
            ToolTimeout: it took longer than it may.
            ToolFailed: it raised something. A `ToolError` that it raises comes as it is.
            InvalidResult: the result does not fit, or is too large.
        """
        async with self._using(name, arguments, task, caller) as (call, door):
            failed, tried = None, 0
            while True:
                watch = Stopwatch(call.timeout)
                try:
                    return await self._once(call, door, watch)
                except ToolError as error:
                    if watch.has_run or not isinstance(error, ToolBusy):
                        failed = error
                    if not error.retryable or tried == call.spec.retries:
                        if failed is None or failed is error:
                            raise
                        raise failed from failed.__cause__  # that there was no room for another try is its context
                await asyncio.sleep(self.limits.backoff.pause(tried))
                tried += 1

    async def stream(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        task: Task | None = None,
        caller: Caller | None = None,
    ) -> AsyncGenerator[Any, None]:
        """The same in pieces, as they come; a tool that does not stream gives its result as the only one.

        A stream is not tried again. Whoever leaves it early closes it (`contextlib.aclosing`), and the tool is stopped.
        """
        async with self._using(name, arguments, task, caller) as (call, door):
            watch = Stopwatch(call.timeout)
            if not call.spec.streams:
                yield await self._once(call, door, watch)
                return
            if not self._streams(call):
                for piece in parts(await self._once(call, door, watch)):
                    yield piece
                return
            await door.gate.turn()
            async with aclosing(self._pieces(call, door, watch)) as pieces:
                async for _, body in pieces:
                    yield value_of(body, call.name)

    # -- before it runs ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _using(
        self, name: str, arguments: Mapping[str, Any] | None, task: Task | None, caller: Caller | None
    ) -> AsyncGenerator[tuple[ToolCall, Door]]:
        """Everything around the tool's own work, and the record of how it ended."""
        use = None if task is None else ToolUse(task, name)
        call = None
        try:
            door = self._door(name, task, caller)
            call = self._checked(door, arguments or {}, task)
            if call.spec.sandbox == "required" and self._sandboxed is None:
                raise self._no_sandbox(call)
            async with nullcontext() if task is None else asking(task):
                if task is not None:
                    await self._permitted(call, task)
                if call.spec.approval:
                    await self._approved(call, door)
            async with door.gate:
                if use is not None and task is not None:
                    async with asking(task):
                        pass  # what was begun beside it may be asking, and then nothing can be written
                    await use.begin(call.spec.version, door.redaction.shown(call.arguments))
                yield call, door
        except BaseException as error:
            if use is not None:
                use.failed(error, call.backend if call is not None else "")
            raise
        if use is not None:
            use.end("done", call.backend)

    def _door(self, name: str, task: Task | None, caller: Caller | None) -> Door:
        named = [task.caller if task is not None else None, caller]
        callers = [each for each in named if each is not None] or [ANONYMOUS]
        listed = self.registry.find(str(name), *callers, *([self._agent] if self._agent is not None else []))
        door = self._doors.get(listed)
        if door is None:
            door = self._doors[listed] = Door(listed, self.limits.wait, self._sandbox_of(listed))
        return door

    def _sandbox_of(self, listed: Listed) -> Sandboxing | None:
        """The word of whoever runs the agent; else the tool's own, which counts for less if somebody else wrote it."""
        said = self._sandbox.get(listed.name)
        return "required" if said is None and listed.foreign else said

    def _checked(self, door: Door, arguments: Any, task: Task | None) -> ToolCall:
        if not isinstance(arguments, Mapping):  # models send a text, too
            raise InvalidArguments(
                f"the arguments of {door.name!r} are no object", tool=door.name, hint="give them by their names"
            )
        given = cast("Mapping[Any, Any]", arguments)
        body = written(door.name, {name: _bare(value) for name, value in given.items()})
        if len(body) > self.limits.max_arguments:
            raise InvalidArguments(
                f"the arguments of {door.name!r} have {len(body)} bytes; {self.limits.max_arguments} are allowed",
                tool=door.name,
            )
        plain = read(door.name, body)
        bound = door.bind(plain, body)
        timeout = door.spec.timeout or self.limits.timeout
        size = self.limits.max_result
        return ToolCall(door.name, door.spec, door.tool, plain, timeout, task, given=bound, max_result=size)

    async def _permitted(self, call: ToolCall, task: Task) -> None:
        refused = await task.permit(call.name, call.arguments)
        if refused is not None:
            reason = refused.reason or "a guard refused it"
            raise ToolRefused(f"{call.name!r} may not be called: {reason}", tool=call.name)

    async def _approved(self, call: ToolCall, door: Door) -> None:
        """Ask whoever called the task, by a question that is durable by its position."""
        wanted = await self._wanted(call, door)
        if wanted is False or wanted is None:  # whatever else it says, an empty question too, lets nothing run unasked
            return
        if call.task is None:
            raise ToolRefused(
                f"{call.name!r} has to be approved, and nobody can be asked: there is no task to ask in", tool=call.name
            )
        shown = door.redaction.shown(call.arguments)
        text = to_json(shown).decode()
        text = text if len(text) <= _ASKED else f"{text[:_ASKED]}…"
        question = wanted if isinstance(wanted, str) and wanted.strip() else f"May {call.name} be called with {text}?"
        if not await call.task.ask(question, schema=bool, data={"tool": call.name, "arguments": shown}):
            raise ToolRefused(f"the call of {call.name!r} was not approved", tool=call.name)

    async def _wanted(self, call: ToolCall, door: Door) -> object:
        approval = call.spec.approval
        if isinstance(approval, bool):
            return approval
        try:
            wanted = approval(call.arguments)
            return await wanted if inspect.isawaitable(wanted) else wanted
        except Exception as error:
            trace, reason = door.trace(error), door.reason(error, call.arguments)
            _logger.error("whether %s has to be approved cannot be told: %s", call.name, reason, exc_info=trace)
            reason = "nobody can tell whether it has to be approved"
            raise ToolRefused(f"{call.name!r} is not called: {reason}", tool=call.name) from trace

    # -- while it runs -------------------------------------------------------------------------------------------------

    async def _once(self, call: ToolCall, door: Door, watch: Stopwatch) -> Any:
        """One try."""
        await door.gate.turn()
        if call.spec.streams and self._streams(call):
            async with aclosing(self._pieces(call, door, watch)) as pieces:
                value = whole([piece async for piece, _ in pieces], call.spec)
        else:
            value = await self._ran(call, door, watch)
        body = door.encode(value, call.arguments)
        self._bound(call, len(body))
        return value_of(body, call.name)

    async def _ran(self, call: ToolCall, door: Door, watch: Stopwatch) -> Any:
        try:
            if self._sandboxed is not None and self._goes_out(call):
                try:
                    call.backend = ""  # it says so itself
                    async with watch:
                        return await self._sandboxed(call)
                except NoRuntime as error:
                    self._stay_here(call, error)
            if door.function is not None:
                work = await door.function.begin(call.given, call.task, self.limits.wait)
            else:
                work = _coroutine(call.tool.invoke(**call.given))
            async with watch:
                return await stoppable(work, call.name, self.limits.grace, door.gate.keep)
        except BaseException as error:
            self._fail(call, door, error, expired=watch.expired)

    async def _pieces(self, call: ToolCall, door: Door, watch: Stopwatch) -> AsyncGenerator[tuple[Any, bytes], None]:
        """What a streaming tool gives, each piece with its JSON. It has the time for all of them."""
        late, number, size = False, 0, 0
        async with aclosing(self._begun(call, door, watch)) as pieces:
            while True:
                try:
                    piece = await anext(pieces)
                    number += 1
                    if number % _IN_A_ROW == 0:
                        await asyncio.sleep(0)  # one that never waits would let nobody else go on
                    late = watch.left <= 0
                    if late:
                        raise TimeoutError
                except StopAsyncIteration:
                    return
                except BaseException as error:
                    self._fail(call, door, error, expired=late or watch.expired)
                body = door.encode_piece(piece, call.arguments)
                size += len(body)
                self._bound(call, size)
                yield piece, body

    def _goes_out(self, call: ToolCall) -> bool:
        """Whether something else runs it: what is a workload anyhow is one without a sandbox too."""
        asks = call.spec.sandbox != "off" or isinstance(call.tool, WorkloadTool)
        return asks and self._sandboxed is not None

    def _streams(self, call: ToolCall) -> bool:
        """Whether the pieces of a tool that streams can be had as they come."""
        return not self._goes_out(call) or isinstance(self._sandboxed, RunStream)

    def _begun(self, call: ToolCall, door: Door, watch: Stopwatch) -> AsyncGenerator[Any, None]:
        if self._goes_out(call) and isinstance(self._sandboxed, RunStream):
            return self._sent(self._sandboxed, call, door, watch)
        return self._here(call, door, watch)

    async def _here(self, call: ToolCall, door: Door, watch: Stopwatch) -> AsyncGenerator[Any, None]:
        """The pieces from this process, whatever the tool does when it is told to stop."""
        if door.function is not None:
            begun = await door.function.begin_pieces(call.given, call.task, self.limits.wait)
        else:
            begun = cast("StreamingTool", call.tool).stream(**call.given)
        async with _closing(begun) as pieces:
            while True:
                try:
                    async with watch:
                        piece = await stoppable(_coroutine(anext(pieces)), call.name, self.limits.grace, door.gate.keep)
                except StopAsyncIteration:
                    return
                yield piece

    async def _sent(self, run: RunStream, call: ToolCall, door: Door, watch: Stopwatch) -> AsyncGenerator[Any, None]:
        """The pieces from elsewhere; from here if they cannot be had there."""
        call.backend = ""  # it says so itself
        try:
            async with aclosing(run.stream(call)) as pieces:
                while True:
                    async with watch:
                        piece = await anext(pieces)
                    yield piece
        except StopAsyncIteration:
            return
        except NoRuntime as error:  # which comes before the first piece
            self._stay_here(call, error)
        async with aclosing(self._here(call, door, watch)) as pieces:
            async for piece in pieces:
                yield piece

    def _stay_here(self, call: ToolCall, error: NoRuntime) -> None:
        """Run it in this process, as nothing else can. Raises ToolRefused where that may not be."""
        if call.spec.sandbox == "required":
            raise self._no_sandbox(call, f": {error.message}", error.hint) from error
        call.backend = INLINE

    def _no_sandbox(self, call: ToolCall, why: str = "", hint: str | None = None) -> ToolRefused:
        return ToolRefused(
            f"{call.name!r} runs in a sandbox only, and there is none here{why}", tool=call.name, hint=hint
        )

    def _bound(self, call: ToolCall, size: int) -> None:
        if size > self.limits.max_result:
            raise InvalidResult(
                f"the result of {call.name!r} has more than {self.limits.max_result} bytes",
                tool=call.name,
                hint="ask for less of it",
            )

    # -- how it ended --------------------------------------------------------------------------------------------------

    def _fail(self, call: ToolCall, door: Door, error: BaseException, *, expired: bool) -> NoReturn:
        """Raise what stands for what a tool raised."""
        error = _lone(error)
        current = asyncio.current_task()
        stopped = isinstance(error, asyncio.CancelledError)
        if isinstance(error, (KeyboardInterrupt, GeneratorExit)) or (stopped and current and current.cancelling()):
            raise error
        if expired or isinstance(error, WorkloadTimeout):
            goes_on = door.gate.is_stuck or (call.backend == INLINE and door.is_blocking)
            told = f"{call.name!r} took longer than {call.timeout:g} s, and {'may go on' if goes_on else 'was stopped'}"
            # One that goes on all the same would be there twice.
            retryable = call.spec.idempotent and not door.gate.is_stuck
            raise ToolTimeout(told, tool=call.name, retryable=retryable) from None
        if isinstance(error, ToolError):
            error.tool = error.tool or call.name
            raise door.cleaned(error, call.arguments)
        if isinstance(error, OF_THE_RUN):
            raise error
        if stopped or told_of(error)[0] == "CancelledError":
            raise ToolFailed(f"{call.name!r} stopped itself", tool=call.name) from None
        reason, trace = door.reason(error, call.arguments), door.trace(error)
        _logger.warning("tool %s failed: %s", call.name, reason, exc_info=trace)
        raise ToolFailed(f"{call.name!r} failed: {reason}", tool=call.name, retryable=call.spec.idempotent) from trace


def _coroutine(work: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    return cast("Coroutine[Any, Any, Any]", work) if isinstance(work, Coroutine) else _awaited(work)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


@asynccontextmanager
async def _closing(pieces: AsyncGenerator[Any, None]) -> AsyncGenerator[AsyncGenerator[Any, None]]:
    try:
        yield pieces
    finally:
        if not getattr(pieces, "ag_running", False):  # as one that nothing ends is, which closes itself when it ends
            await pieces.aclose()


def _lone(error: BaseException) -> BaseException:
    """What a task group raised, where that is one exception in a group."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group if len(group.exceptions) > 1 else _lone(next(iter(group.exceptions)))


def _bare(value: Any) -> Any:
    """The value of a secret that a program passes: as JSON it would be asterisks."""
    return value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else value
