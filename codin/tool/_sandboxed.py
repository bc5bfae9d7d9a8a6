"""Tools in a sandbox, through the one door of all runtimes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from codin.errors import (
    ConfigError,
    InvalidArguments,
    InvalidResult,
    NoRuntime,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    UnknownTool,
    WorkloadFailed,
    WorkloadTimeout,
)
from codin.tool._call import RunTool, ToolCall
from codin.tool._function import FunctionTool
from codin.tool._pieces import parts, whole
from codin.tool._protocol import Tool

if TYPE_CHECKING:
    from codin.runtime import Function, Raised, Runtime, RuntimeResult, Workload

__all__ = ["WorkloadTool", "in_runtime", "told_of"]

_LOGGED = 4000  # letters of what it wrote, in the log
_ENDED = {
    "files": "it made more files than it may",
    "memory": "it took more memory than it may",
    "output": "it wrote more than anybody reads",
    "killed": "it was killed",
}
_KINDS = (UnknownTool, InvalidArguments, InvalidResult, ToolRefused, ToolBusy, ToolTimeout, ToolFailed, ToolError)
_ERRORS: Mapping[str, type[ToolError]] = {kind.code: kind for kind in _KINDS}


@runtime_checkable
class WorkloadTool(Tool, Protocol):
    """A tool whose work is a workload of its own, such as a program. A runtime runs that, and not the tool; under the
    tool's policy, so that `off` runs it on the host.
    """

    def workload(self, *args: Any, **kwargs: Any) -> Workload:
        """What is to be run for these arguments."""
        ...

    def told(self, done: RuntimeResult, /, *args: Any, **kwargs: Any) -> Any:
        """The result for these arguments, of a workload that ended, well or not. Raises ToolError when it is none."""
        ...


def in_runtime(runtime: Runtime | None = None) -> RunTool:
    """What a `ToolExecutor` takes as `run=`: tools that ask for a sandbox run as workloads of a runtime.

    A function is sent there as code (`pip install 'codin[runtime]'`) with its arguments. It has no network, and none of
    this process's memory: what it changes there stays there.

    Args:
        runtime: where; an `OmniRuntime` of its own for each call when not given. It stays its owner's to close.
    """
    return _InRuntime(runtime)


class _InRuntime:
    """Runs tools as workloads, and gives their pieces as they come."""

    def __init__(self, runtime: Runtime | None) -> None:
        self._runtime = runtime

    async def __call__(self, call: ToolCall, /) -> Any:
        try:
            async with self._begun(call) as running:
                done = await running.wait()
        except WorkloadFailed as error:
            if error.result is None or isinstance(error, WorkloadTimeout) or not isinstance(call.tool, WorkloadTool):
                raise
            done = error.result
        if isinstance(call.tool, WorkloadTool):
            return call.tool.told(done, **call.given)
        return whole(done.items, call.spec) if call.spec.streams else done.value

    async def stream(self, call: ToolCall, /) -> AsyncGenerator[Any, None]:
        """The pieces of a tool that streams."""
        from codin.runtime import Item

        if isinstance(call.tool, WorkloadTool):
            for piece in parts(await self(call)):
                yield piece
            return
        async with self._begun(call) as running, aclosing(aiter(running)) as events:
            async for event in events:
                if isinstance(event, Item):
                    yield event.value

    @asynccontextmanager
    async def _begun(self, call: ToolCall) -> AsyncGenerator[RuntimeResult]:
        """The workload of a call, which has ended when this is left."""
        from codin.sandbox._to_its_end import to_its_end  # who has no tool for a sandbox loads none

        workload = _bounded(call, _workload_of(call))
        running = None
        async with _open(self._runtime) as place:
            try:
                running = await place.run(workload, stream=True)
                call.backend = running.runtime
                yield running
                call.backend = _where(running)
            except ConfigError as error:
                raise NoRuntime(error.message, hint=error.hint) from error
            except WorkloadFailed as error:
                if error.result is None:
                    raise
                call.backend = _where(error.result)
                if (own := _own_error(call, error.result.raised)) is not None:
                    raise own from error
                error.add_note(error.result.stderr.decode(errors="replace")[-_LOGGED:])  # its traceback, for the log
                raise
            finally:
                if running is not None:
                    await to_its_end(running.cancel)


@asynccontextmanager
async def _open(runtime: Runtime | None) -> AsyncGenerator[Runtime]:
    from codin.runtime import OmniRuntime  # who has no tool for a sandbox loads none

    if runtime is not None:
        yield runtime
        return
    async with OmniRuntime() as own:
        yield own


def _bounded(call: ToolCall, workload: Workload) -> Workload:
    """The workload under the tool's policy; it has no more time than the tool, and may say less."""
    time = min(call.timeout, workload.limits.time or call.timeout)
    return replace(workload, limits=replace(workload.limits, time=time), sandbox=call.spec.sandbox)


def _workload_of(call: ToolCall) -> Workload:
    if isinstance(call.tool, WorkloadTool):
        return call.tool.workload(**call.given)
    tool: Any = call.tool
    if not isinstance(tool, FunctionTool):
        return _sent(tool.stream if call.spec.streams else tool.invoke, call)
    if tool.works_in_task:
        raise NoRuntime(f"{call.name!r} asks for the task, which no sandbox has")
    return _sent(tool.function, call)


def _sent(function: Callable[..., Any], call: ToolCall) -> Function:
    """The call as a workload. What the file of the function has goes along as code: it need not be imported there, and
    the file of a workspace's tool is on no path there.
    """
    from codin.runtime import Function
    from codin.sandbox import Limits

    if find_spec("cloudpickle") is None:
        raise NoRuntime(
            "a function is sent with the package cloudpickle, which is not installed",
            hint="pip install 'codin[runtime]'",
        )
    # What it prints counts as well, and the JSON that comes from there is longer than the one that is measured here.
    limits = Limits(output=Limits().output + 4 * call.max_result)
    return Function(function, kwargs=call.given, by_value=True, limits=limits)


def _own_error(call: ToolCall, raised: Raised | None) -> ToolError | None:
    """The `ToolError` that a tool raised, as far as the word of a sandbox goes: one of ours, with bounded text."""
    kind = None if raised is None else _ERRORS.get(raised.code)
    if raised is None or kind is None:
        return None
    if not raised.kind:
        reason = f"the result of {call.name!r} has more than {call.max_result} bytes"
        return InvalidResult(reason, tool=call.name, hint="ask for less of it")
    if raised.kind == "NoJson":
        return InvalidResult(f"the result of {call.name!r} is not JSON", tool=call.name)
    if kind is InvalidArguments:
        return InvalidArguments(raised.message, tool=call.name, field=raised.field, hint=raised.hint)
    return kind(raised.message, tool=call.name, retryable=raised.retryable, hint=raised.hint)


def told_of(error: BaseException) -> tuple[str, str]:
    """What a tool failed by: the kind of an exception, or nothing, and words. Of a workload it is what that said: the
    rest of its error is for whoever runs it.
    """
    if not isinstance(error, WorkloadFailed) or error.result is None:
        try:
            return type(error).__name__, str(error)
        except Exception:  # an exception of somebody's own may raise when it is asked for its words
            return type(error).__name__, ""
    done = error.result
    if done.raised is not None:
        return done.raised.kind, done.raised.message
    ended = "killed" if done.ended == "exited" and done.exit_code < 0 else done.ended  # by a signal
    return "", _ENDED.get(ended, done.error)


def _where(done: RuntimeResult) -> str:
    """For the log: the runtime, the sandbox, and what that did not keep."""
    missing = f" without {', '.join(sorted(done.unenforced))}" if done.unenforced else ""
    return f"{done.runtime}: {done.sandbox or 'no sandbox'}{missing}"
