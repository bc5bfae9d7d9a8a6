"""`@agent`: the three-line agent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Literal, ParamSpec, TypeVar, overload

from codin import a2a
from codin.agent._function import FunctionAgent, check_options
from codin.tool import Tool

__all__ = ["agent"]

P = ParamSpec("P")
R = TypeVar("R")


@overload
def agent(function: Callable[P, R], /) -> FunctionAgent[P, R]: ...
@overload
def agent(
    *,
    id: str | None = None,
    name: str | None = None,
    description: str | None = None,
    skills: Sequence[a2a.AgentSkill] | None = None,
    tags: Sequence[str] = ("function",),
    examples: Sequence[str] = (),
    input_modes: Sequence[str] | None = None,
    output_modes: Sequence[str] | None = None,
    tools: Sequence[Tool] = (),
    extensions: Sequence[a2a.AgentExtension | str] = (),
    version: str = "1.0.0",
    reply: Literal["task", "message"] = "task",
    rerunnable: bool = False,
    closing_update: bool | None = None,
    closing_message: bool = False,
    max_threads: int | None = None,
) -> Callable[[Callable[P, R]], FunctionAgent[P, R]]: ...
def agent(
    function: Callable[..., Any] | None = None, /, **options: Any
) -> FunctionAgent[..., Any] | Callable[[Callable[..., Any]], FunctionAgent[..., Any]]:
    """Make a function an agent; it stays callable as before. The options are those of `FunctionAgent`.

    Example:
        @agent
        async def shout(text: str) -> str:
            \"\"\"Say it louder.\"\"\"
            return text.upper()

    Raises:
        ConfigError: there is no such option, or the function cannot be an agent.
    """
    check_options(options)
    if function is not None:
        return FunctionAgent(function, local=_locals_of(inspect.currentframe()), **options)

    def decorate(function: Callable[..., Any]) -> FunctionAgent[..., Any]:
        return FunctionAgent(function, local=_locals_of(inspect.currentframe()), **options)

    return decorate


def _locals_of(frame: FrameType | None) -> Mapping[str, Any]:
    """The names where the decorator stands: a hint that is text may name a class of the enclosing function."""
    return frame.f_back.f_locals if frame is not None and frame.f_back is not None else {}
