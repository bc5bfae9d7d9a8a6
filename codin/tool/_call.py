"""One call of a tool on its way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from codin.task import Task
from codin.tool._protocol import Tool, ToolSpec

__all__ = ["INLINE", "RunStream", "RunTool", "ToolCall"]

INLINE = "inline"


@dataclass(slots=True, eq=False)
class ToolCall:
    """What whoever runs a tool has to know.

    Attributes:
        name: of the tool.
        arguments: checked, as JSON has them.
        timeout: seconds it may take.
        task: in which it is called, if in one.
        backend: where it runs, for the log; set by whoever runs it.
        max_result: bytes that its result may have, as JSON.
        given: the arguments as the tool takes them in this process.
    """

    name: str
    spec: ToolSpec
    tool: Tool
    arguments: Mapping[str, Any] = field(repr=False)
    timeout: float
    task: Task | None = None
    backend: str = INLINE
    given: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    max_result: int = 1024 * 1024


RunTool: TypeAlias = Callable[[ToolCall], Awaitable[Any]]
"""Runs a call in a sandbox and gives the result, as JSON has it; canceled, it ends the tool and waits for that.

It raises `NoRuntime` when nothing here can run it; then a tool that only prefers a sandbox runs in this process. One
that is a `RunStream` too gives the pieces of a tool that streams as they come.
"""


@runtime_checkable
class RunStream(Protocol):
    """What a `RunTool` is that has pieces of a result before all of it is there."""

    def stream(self, call: ToolCall, /) -> AsyncGenerator[Any, None]:
        """The pieces of a call, each as JSON has it; closed, it ends the tool and waits for that."""
        ...
