"""What can be run, and what comes of it: plain data, the same for every back-end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, cast, get_args
from urllib.parse import urlsplit

from codin.errors import ConfigError, FileRefused
from codin.net._wording import shown
from codin.sandbox import Code, ExecResult, Limits, Output, Stream
from codin.sandbox._checks import check_env, check_word
from codin.sandbox._sandbox import inside

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
    "terms_of",
]

Kind = Literal["function", "module", "command", "container", "endpoint"]

Network = Literal["none", "full"]

SandboxDemand = Literal["required", "preferred", "off"]
"""required: in a sandbox or not at all. preferred: in a sandbox where there is one. off: on the host, as oneself."""


_USUAL = Limits()
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_FRAMING = ("content-length", "transfer-encoding")


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
        if self.on is not None:
            _check_name("on", self.on)
        if not _is_list(self.artifacts, str):
            raise ConfigError(f"artifacts={self.artifacts!r} are no list of patterns", hint='artifacts=["*.png"]')
        for pattern in self.artifacts:
            _check_path("artifacts", pattern)
        _check_mapping("files", self.files)
        for path, content in self.files.items():
            if not _is_a(content, bytes):
                raise ConfigError(f"files: {path!r} is no bytes", hint='files={"in.txt": b"text"}')
            _check_path("files", path)

    @property
    def demand(self) -> SandboxDemand:
        """What it asks of a sandbox, defaults applied."""
        return self.sandbox or "preferred"


def terms_of(workload: Workload) -> dict[str, Any]:
    """What all workloads have, for another that is run in its place."""
    return {each.name: getattr(workload, each.name) for each in fields(Workload)}


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
        _check_arguments(self.args, self.kwargs)


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
        _check_name("target", self.target)
        _check_arguments(self.args, self.kwargs)
        _check_names("init", self.init)
        if self.method != "":
            _check_name("method", self.method)


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
        if not isinstance(self.command, Code):
            _check_words(self.command)
        if not self.command:
            raise ConfigError(f"command={self.command!r} names no program", hint='Command(["ls", "-l"])')
        _check_bytes("stdin", self.stdin)

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

    def __post_init__(self) -> None:
        Workload.__post_init__(self)
        _check_name("image", self.image)
        _check_words(self.command)
        _check_bytes("stdin", self.stdin)


@dataclass(frozen=True, slots=True)
class Endpoint(Workload):
    """A call of an HTTP endpoint. The value is the body, read as JSON if it says so, else as text; events are its
    pieces as they come. A status other than 2xx is a failure.

    Args:
        body: bytes as they are, everything else as JSON.
        headers: in printable ASCII; none of the body's length, which is set.
    """

    kind: ClassVar[Kind] = "endpoint"
    url: str
    method: str = "POST"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        Workload.__post_init__(self)
        if not _is_a(self.url, str):
            raise ConfigError(f"url={self.url!r} is no text")
        if not self.url.isprintable():
            raise ConfigError("the URL holds a character that no URL has")
        if not _is_http(self.url):
            hint = 'url="https://api.example.com/v1/sum"'
            raise ConfigError(f"url={shown(self.url)!r} is not an http(s) URL, and nothing else is called", hint=hint)
        if not _is_token(self.method):
            raise ConfigError(f"method={self.method!r} is none", hint='method="GET"')
        _check_mapping("headers", self.headers)
        for name, value in self.headers.items():
            if not _is_token(name):
                raise ConfigError(f"headers: {name!r} is no name of a header")
            if name.lower() in _FRAMING:
                raise ConfigError(f"headers: {name!r} is not for you to set: it is what the body makes it")
            # The value may be a secret.
            if not _is_a(value, str) or not (value.isascii() and value.isprintable() and value.strip() == value):
                hint = "printable ASCII, and no blank or line feed at either end"
                raise ConfigError(f"headers: what {name!r} has is no value of a header", hint=hint)


def _is_a(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds)


def _is_list(value: object, of: type = object) -> bool:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    return all(isinstance(item, of) for item in cast("Sequence[object]", value))


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number, or none of a port
        return False


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _check_name(field: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{field}={name!r} is no name")


def _check_path(field: str, path: object) -> None:
    try:
        inside(cast("str", path))
    except (FileRefused, TypeError):
        hint = "give a path relative to it, without `..`"
        raise ConfigError(f"{field}: {path!r} is no path inside the working folder", hint=hint) from None


def _check_bytes(field: str, content: object) -> None:
    if not isinstance(content, bytes):
        raise ConfigError(f"{field} is no bytes but a {type(content).__name__}", hint=f'{field}=b"text"')


def _check_words(command: object) -> None:
    if not _is_list(command, str):
        raise ConfigError(f"command={command!r} is no list of words", hint='["ls", "-l"]')


def _check_mapping(field: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{field} are no mapping but a {type(value).__name__}", hint=f'{field}={{"name": value}}')


def _check_names(field: str, values: object) -> None:
    _check_mapping(field, values)
    for name in cast("Mapping[object, object]", values):
        if not isinstance(name, str):
            raise ConfigError(f"{field}: {name!r} is no name of an argument")


def _check_arguments(args: object, kwargs: object) -> None:
    if not _is_list(args):
        raise ConfigError(f"args are no list but a {type(args).__name__}", hint="args=[value]")
    _check_names("kwargs", kwargs)


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
        last: as in `ExecResult`, of a command.
    """

    value: Any = None
    exit_code: int = 0
    error: str = ""
    raised: Raised | None = None
    ended: Literal["exited", "files", "killed", "memory", "output", "time"] = "exited"
    artifacts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    sandbox: str | None = None
    unenforced: frozenset[str] = frozenset()
    last: Mapping[Stream, bytes] = field(default_factory=dict[Stream, bytes])

    @classmethod
    def of(cls, done: ExecResult, **more: Any) -> Outcome:
        """The outcome of a command."""
        reason = "it was stopped" if done.ended == "time" else f"exit code {done.exit_code}"
        error = "" if done.ok else done.said or reason
        return cls(exit_code=done.exit_code, error=error, ended=done.ended, **more)
