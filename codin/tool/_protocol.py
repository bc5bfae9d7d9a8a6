"""The promise of a tool: a name, a description with schemas, and one coroutine."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

from codin.errors import ConfigError

__all__ = [
    "Approval",
    "Sandboxing",
    "StreamingTool",
    "Tool",
    "ToolSpec",
    "check_sandboxing",
    "checked_name",
    "checked_version",
    "kind_of",
]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VERSION = re.compile(r"v?\d[A-Za-z0-9.+-]{0,63}")

Sandboxing: TypeAlias = Literal["required", "preferred", "off"]
"""Whether a tool is run in a sandbox: always, where there is one, or never."""

Approval: TypeAlias = Callable[[Mapping[str, Any]], "bool | str | Awaitable[bool | str]"]
"""Gets the arguments of a call as one mapping, and says whether somebody has to be asked: no, yes, or yes with this
question. Only `False` or `None` is a no.
"""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model and a caller must know to use a tool, and what an executor must know to run it.

    Args:
        description: what it does and when to use it, for a model or a person to read.
        input_schema: JSON Schema of the arguments, always of type object; the default takes no argument.
        output_schema: JSON Schema of the result, or None when the result is free text.
        version: of the tool; the newest one is used by default.
        tags: words it is found by.
        scopes: what a caller needs; to those without, there is no such tool.
        secrets: names of arguments that are in no log, beside those whose schema says `"format": "password"`.
        streams: it gives its result in pieces as well, see `StreamingTool`.
        sandbox: whether it runs in a sandbox.
        idempotent: called twice it does no more than called once.
        timeout: seconds for one try; the executor's by default.
        retries: tries after the first one; only of what is idempotent.
        rate: how many calls may begin in how many seconds.
        concurrency: how many calls may be under way at once.
        approval: somebody is asked before it is called: always, or as the function says of the arguments, which it gets
            as one mapping.

    Raises:
        ConfigError: a bound that cannot be kept, or retries of what is not idempotent.
    """

    description: str
    input_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}}, hash=False)
    output_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    version: str = "1.0.0"
    tags: Collection[str] = ()
    scopes: Collection[str] = frozenset()
    secrets: Collection[str] = frozenset()
    streams: bool = False
    sandbox: Sandboxing = "off"
    idempotent: bool = False
    timeout: float | None = None
    retries: int = 0
    rate: tuple[int, float] | None = None
    concurrency: int | None = None
    approval: bool | Approval = False

    def __post_init__(self) -> None:
        for name, kind in (("tags", tuple), ("scopes", frozenset), ("secrets", frozenset)):
            value: Collection[str] = getattr(self, name)  # a lone word is a word, and not its letters
            object.__setattr__(self, name, kind([value] if isinstance(value, str) else value))
        check_sandboxing({"sandbox": self.sandbox})
        for name in ("timeout", "rate", "concurrency", "retries", "approval"):
            if not _understood(name, value := getattr(self, name)):
                raise ConfigError(f"{name}={value!r} of a tool is not {_MEANT[name]}")
        if self.retries and not self.idempotent:
            raise ConfigError(
                "a tool with retries has to be idempotent", hint="say idempotent=True if calling it twice does no harm"
            )


_MEANT = {
    "timeout": "a number of seconds above 0",
    "rate": "how many calls in how many seconds, such as (10, 60)",
    "concurrency": "a whole number above 0",
    "retries": "a whole number that is not below 0",
    "approval": "True, False, or a function that says so of the arguments",
}


def _understood(name: str, value: Any) -> bool:
    match name, value:
        case "approval", _:
            return isinstance(value, bool) or callable(value)
        case "retries", int():
            return value >= 0
        case "retries", _:
            return False
        case _, None:
            return True
        case "rate", (int(calls), int() | float() as seconds):
            return calls > 0 and 0 < seconds < math.inf
        case "timeout", int() | float():
            return 0 < value < math.inf
        case _:
            return name == "concurrency" and isinstance(value, int) and value > 0


def check_sandboxing(said: Mapping[str, Sandboxing]) -> Mapping[str, Sandboxing]:
    """The same, if each is one of the three words. Raises ConfigError."""
    for name, word in said.items():
        if word not in get_args(Sandboxing):
            raise ConfigError(f"{name}={word!r} is none of {', '.join(get_args(Sandboxing))}")
    return said


def kind_of(thing: object) -> str:
    """What something is, for a message: without what it holds, which may be a key."""
    return repr(thing) if inspect.isroutine(thing) or inspect.isclass(thing) else f"an object of {type(thing).__name__}"


def checked_name(name: Any) -> str:
    """The same, if it can be the name of a tool. Raises ConfigError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be the name of a tool", hint="it has 1 to 64 letters, digits, _ and -")
    return name


def checked_version(version: Any, tool: str) -> str:
    """The same, if it can be the version of a tool, to be put in order with others. Raises ConfigError."""
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ConfigError(
            f"version={version!r} of {tool} is no version", hint="it begins with a number, such as 1.2.0 or 2.0.0-rc.1"
        )
    return version


@runtime_checkable
class Tool(Protocol):
    """Anything with these three members; a plain class with two attributes and one coroutine fits.

    Example:
        class Shout:
            name = "shout"
            spec = ToolSpec("Say it louder.")

            async def invoke(self, text: str) -> str:
                return text.upper()
    """

    @property
    def name(self) -> str:
        """The name a model calls it by, unique among the tools of one agent."""
        ...

    @property
    def spec(self) -> ToolSpec: ...

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work and return the result: a JSON value, or what `spec.output_schema` says."""
        ...


@runtime_checkable
class StreamingTool(Tool, Protocol):
    """A tool whose spec says `streams`: it also gives its result in pieces.

    The pieces add up to the result: those of text, of a tool without an output schema, are joined; all others are
    the items of a list.
    """

    def stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """The pieces as they come, each a JSON value."""
        ...
