"""Tools in a sandbox, through the one door of all runtimes."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from codin.errors import ConfigError, NoRuntime, WorkloadFailed, WorkloadTimeout
from codin.tool._call import RunTool, ToolCall
from codin.tool._function import FunctionTool
from codin.tool._pieces import whole
from codin.tool._protocol import Tool

if TYPE_CHECKING:
    from codin.runtime import Function, Runtime, RuntimeResult, Workload

__all__ = ["WorkloadTool", "in_runtime"]


@runtime_checkable
class WorkloadTool(Tool, Protocol):
    """A tool whose work is a workload of its own, such as a program. A runtime runs that, and not the tool; under the
    tool's policy, so that `off` runs it on the host.
    """

    def workload(self, *args: Any, **kwargs: Any) -> Workload:
        """What is to be run for these arguments."""
        ...

    def told(self, done: RuntimeResult, /) -> Any:
        """The result of the tool, of a workload that has ended, well or not. Raises ToolError when it is none."""
        ...


def in_runtime(runtime: Runtime | None = None) -> RunTool:
    """What a `ToolExecutor` takes as `run=`: tools that ask for a sandbox run as workloads of a runtime.

    A function is sent there as code (`pip install 'codin[runtime]'`) with its arguments. It has no network, and none of
    this process's memory: what it changes there stays there.

    Args:
        runtime: where; an `OmniRuntime` of its own for each call when not given. It stays its owner's to close.
    """

    async def run(call: ToolCall) -> Any:
        workload = _bounded(call, _workload_of(call))
        async with _open(runtime) as place:
            try:
                done = await place.run(workload)
            except ConfigError as error:
                raise NoRuntime(error.message, hint=error.hint) from error
            except WorkloadFailed as error:
                if error.result is None:
                    raise
                call.backend = _where(error.result)
                if isinstance(error, WorkloadTimeout) or not isinstance(call.tool, WorkloadTool):
                    raise
                done = error.result
        call.backend = _where(done)
        if isinstance(call.tool, WorkloadTool):
            return call.tool.told(done)
        return whole(done.items, call.spec) if call.spec.streams else done.value

    return run


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
        return _sent(tool.invoke, call)
    if tool.works_in_task:
        raise NoRuntime(f"{call.name!r} asks for the task, which no sandbox has")
    return _sent(tool.function, call)


def _sent(function: Callable[..., Any], call: ToolCall) -> Function:
    """The call as a workload. What the file of the function has goes along as code: it need not be imported there, and
    the file of a workspace's tool is on no path there. A method takes its instance along, whose class may need codin.
    """
    from codin.runtime import Function
    from codin.runtime._sources import sources_of

    if find_spec("cloudpickle") is None:
        raise NoRuntime(
            "a function is sent with the package cloudpickle, which is not installed",
            hint="pip install 'codin[runtime]'",
        )
    library = sources_of("codin" if inspect.ismethod(function) else None)  # nothing where it is installed
    files = {f".codin/lib/{path}": file for path, file in library.items()}
    return Function(function, kwargs=call.given, by_value=True, files=files)


def _where(done: RuntimeResult) -> str:
    """For the log: the runtime, the sandbox, and what that did not keep."""
    missing = f" without {', '.join(sorted(done.unenforced))}" if done.unenforced else ""
    return f"{done.runtime}: {done.sandbox or 'no sandbox'}{missing}"
