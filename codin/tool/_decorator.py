"""`@tool`: a function as a tool."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from types import FrameType
from typing import Any, ParamSpec, TypeVar, overload

from codin.errors import ConfigError
from codin.tool._function import FunctionTool
from codin.tool._protocol import Approval, Sandboxing

__all__ = ["tool"]

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS = [
    each.name
    for each in inspect.signature(FunctionTool).parameters.values()
    if each.kind is each.KEYWORD_ONLY and each.name != "local"
]


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str = "1.0.0",
    tags: Collection[str] = (),
    scopes: Collection[str] = (),
    secrets: Collection[str] = (),
    sandbox: Sandboxing = "off",
    idempotent: bool = False,
    timeout: float | None = None,
    retries: int = 0,
    rate: tuple[int, float] | None = None,
    concurrency: int | None = None,
    approval: bool | Approval = False,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None, /, **options: Any
) -> FunctionTool[..., Any] | Callable[[Callable[..., Any]], FunctionTool[..., Any]]:
    """Make a function or a method a tool; it stays callable as before. The options are those of `FunctionTool`.

    Example:
        @tool
        async def shout(text: str) -> str:
            \"\"\"Say it louder.\"\"\"
            return text.upper()

    Raises:
        ConfigError: there is no such option, or the function cannot be a tool.
    """
    for name in options:
        if name not in _OPTIONS:
            nearest = difflib.get_close_matches(name, _OPTIONS, 1)
            meant = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ConfigError(f"@tool has no option {name!r}", hint=f"{meant}it has {', '.join(_OPTIONS)}")
    if function is not None:
        return FunctionTool(function, local=_locals_of(inspect.currentframe()), **options)

    def decorate(function: Callable[..., Any]) -> FunctionTool[..., Any]:
        return FunctionTool(function, local=_locals_of(inspect.currentframe()), **options)

    return decorate


def _locals_of(frame: FrameType | None) -> Mapping[str, Any]:
    """The names where the decorator stands: a hint that is text may name a class of the enclosing function."""
    return frame.f_back.f_locals if frame is not None and frame.f_back is not None else {}
