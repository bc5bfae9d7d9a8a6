"""What can be run, and what comes of it: plain data, the same for every back-end."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from codin.errors import ConfigError
from codin.sandbox import Code, ExecResult, Limits, Output
from codin.sandbox._checks import check_env, check_word

__all__ = [
    "Command",
    "Container",
    "Emit",
    "Endpoint",
    "Event",
    "Function",
    "Item",
    "Kind",
    "Module",
    "Outcome",
    "Raised",
    "SandboxDemand",
    "Workload",
]

Kind = Literal["function", "module", "command", "container", "endpoint"]

Network = Literal["none", "full"]

SandboxDemand = Literal["required", "preferred", "off"]
"""required: in a sandbox or not at all. preferred: in a sandbox where there is one. off: on the host, as oneself."""


_USUAL = Limits()


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What all workloads have; one of its subclasses is what is run.

    Args:
        limits: what it may use, `time` included: seconds of one attempt.
        network: `none`, or `full`.
        env: its environment; nothing of this process's is passed on to a sandbox.
        files: written into its working folder before it begins, by relative path.
        artifacts: patterns of files in its working folder that are given back, such as `*.png` or `out/**`.
        retries: how often it is tried again when it fails or its back-end is lost. It has to be idempotent then.
        sandbox: see `SandboxDemand`; None is `required` for `Code`, which a model may have written, and `preferred`
            for the rest.
        on: the name of the back-end, when it matters.

    Raises:
        ConfigError: a field has a value that it cannot have.
    """

    kind: ClassVar[Kind]
    limits: Limits = _USUAL
    network: Network = "none"
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    artifacts: Sequence[str] = ()
    retries: int = 0
    sandbox: SandboxDemand | None = None
    on: str | None = None

    def __post_init__(self) -> None:
        check_word("network", self.network, get_args(Network))
        if self.sandbox is not None:
            check_word("sandbox", self.sandbox, get_args(SandboxDemand))
        if not _is_a(self.limits, Limits):
            raise ConfigError(f"limits={self.limits!r} are none", hint="limits=Limits(time=10)")
        check_env(self.env)
        if not _is_a(self.retries, int) or self.retries < 0:
            raise ConfigError(f"retries={self.retries!r} is no number of times")
        for path, content in self.files.items():
            if not _is_a(content, bytes):
                raise ConfigError(f"files: {path!r} is no bytes", hint='files={"in.txt": b"text"}')

    @property
    def demand(self) -> SandboxDemand:
        """What it asks of a sandbox, defaults applied."""
        return self.sandbox or "preferred"


@dataclass(frozen=True, slots=True)
class Function(Workload):
    """A function, sent as code together with its arguments; the result comes back as JSON.

    A coroutine function is awaited. What a generator yields are the items of the result, as they come.

    Args:
        by_value: what else its module has goes along as code as well, and the module is not imported there: for one
            that is on no path, or imports what is not there.
    """

    kind: ClassVar[Kind] = "function"
    function: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=_nothing)
    by_value: bool = False

    def __post_init__(self) -> None:
        Workload.__post_init__(self)  # a class with slots is made anew, and super() would look for the old one
        if not callable(self.function):
            hint = "what has a name is a Module: Module('package.module:function')"
            raise ConfigError(f"function={self.function!r} cannot be called", hint=hint)


@dataclass(frozen=True, slots=True)
class Module(Workload):
    """Something of a module by name: `package.module` as a program, `package.module:function`, or a class's method.

    Args:
        target: the module, and after a colon what of it.
        args: the arguments, which are strings when a module is run as a program.
        kwargs: likewise.
        init: arguments of the class, when the target is one.
        method: the method of that class.
    """

    kind: ClassVar[Kind] = "module"
    target: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=_nothing)
    init: Mapping[str, Any] = field(default_factory=_nothing)
    method: str = ""

    def __post_init__(self) -> None:
        Workload.__post_init__(self)
        if not _is_a(self.init, Mapping):
            raise ConfigError(f"init={self.init!r} is no mapping", hint='init={"name": value}, by keyword')


@dataclass(frozen=True, slots=True)
class Command(Workload):
    """A program and its arguments, which no shell reads; or code.

    Args:
        stdin: what it can read.
        feed: what it can read behind that, as it comes; on Kubernetes it begins when it has all of it. It is read once,
            and so nothing is tried again.

    Raises:
        ConfigError: as of every workload; there is a `feed`, and `retries`.
    """

    kind: ClassVar[Kind] = "command"
    command: Sequence[str] | Code
    stdin: bytes = b""
    feed: AsyncIterable[bytes] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        Workload.__post_init__(self)
        if self.feed is not None and not _is_a(self.feed, AsyncIterable):
            raise ConfigError(f"feed={self.feed!r} does not come piece by piece", hint='stdin=b"text"')
        if self.feed is not None and self.retries:
            raise ConfigError("a feed is read once, and retries would read it again", hint="give all of it as stdin=")
        if not self.command or isinstance(self.command, str) or not _is_a(self.command, Code, Sequence):
            raise ConfigError(f"command={self.command!r} is no list of words", hint='Command(["ls", "-l"])')

    @property
    def demand(self) -> SandboxDemand:
        return self.sandbox or ("required" if isinstance(self.command, Code) else "preferred")


@dataclass(frozen=True, slots=True)
class Container(Workload):
    """An image that is run until it ends. `command` replaces what the image would run."""

    kind: ClassVar[Kind] = "container"
    image: str
    command: Sequence[str] = ()
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Endpoint(Workload):
    """A call of an HTTP endpoint. The value is the body, read as JSON if it says so, else as text; events are its
    pieces as they come. A status other than 2xx is a failure.
    """

    kind: ClassVar[Kind] = "endpoint"
    url: str
    method: str = "POST"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def _is_a(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds)


@dataclass(frozen=True, slots=True)
class Item:
    """One value that a generator yielded, or a piece of an endpoint's answer."""

    value: Any


Event = Output | Item
Emit = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Raised:
    """What a function or module raised, in words that code in a sandbox has chosen: bounded text, and nothing more.

    Args:
        kind: the name of its class.
        message: its text.
        code, hint, retryable, field: of an error of codin, what it says beside that.
    """

    kind: str
    message: str = ""
    code: str = ""
    hint: str | None = None
    retryable: bool = False
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a back-end tells of one attempt.

    Args:
        value: what a function gave: a JSON value.
        error: why it failed, one line; empty when it did not.
        raised: the exception, where it failed by one.
        ended: as in `ExecResult`.
        artifacts: the files that were asked for, by path.
        sandbox: the kind of sandbox that held it; None without one.
        unenforced: what that sandbox did not keep.
    """

    value: Any = None
    exit_code: int = 0
    error: str = ""
    raised: Raised | None = None
    ended: Literal["exited", "killed", "memory", "output", "time"] = "exited"
    artifacts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    sandbox: str | None = None
    unenforced: frozenset[str] = frozenset()

    @classmethod
    def of(cls, done: ExecResult, **more: Any) -> Outcome:
        """The outcome of a command."""
        said = done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1][:500]
        reason = "it was stopped" if done.ended == "time" else f"exit code {done.exit_code}"
        error = "" if done.ok else said or reason
        return cls(exit_code=done.exit_code, error=error, ended=done.ended, **more)
