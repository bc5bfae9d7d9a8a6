"""What a workload needs where it runs, as a command and files, and how to read what it tells."""

from __future__ import annotations

import base64
import fnmatch
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from secrets import token_hex
from typing import Any, cast

from codin.errors import ConfigError, NoRuntime
from codin.runtime._protocol import Command, Endpoint, Event, Function, Item, Module, Workload
from codin.runtime._sources import sources_of
from codin.sandbox import Code, Output

__all__ = ["Frames", "Job", "job_of", "wanted"]

_FOLDER = ".codin"
_MARK = b"\x1e"


@dataclass(frozen=True, slots=True)
class Job:
    """A workload, ready to run in any working folder.

    Args:
        command: what is executed there.
        files: what the working folder holds before.
        nonce: begins the frames that the guest writes; empty when there are none.
    """

    command: Sequence[str] | Code
    files: Mapping[str, bytes]
    stdin: bytes = b""
    nonce: str = ""


def job_of(workload: Workload) -> Job:
    """How to run it.

    Raises:
        ConfigError: a function or its arguments cannot be sent.
        NoRuntime: a container has no command of its own.
    """
    if isinstance(workload, Command):
        return Job(workload.command, workload.files, workload.stdin)
    nonce = token_hex(8)
    if isinstance(workload, Function):
        told, more = {"python": sys.version_info[:2]}, _pickled(workload)
    elif isinstance(workload, Module):
        told, more = _named(workload), _library(sources_of(workload.target.partition(":")[0]))
    elif isinstance(workload, Endpoint):
        told, more = _request(workload), {}
    else:
        raise NoRuntime(f"a {workload.kind} is not run as a command", able=())
    told = {"kind": workload.kind, "nonce": nonce, **told}
    try:
        more[f"{_FOLDER}/job.json"] = json.dumps(told).encode()
    except TypeError as error:
        raise ConfigError(f"the arguments of {workload.kind} {_name(workload)!r} are not JSON: {error}") from error
    guest = (package_files("codin.runtime") / "_guest.py").read_text(encoding="utf-8")
    return Job(Code(guest), {**workload.files, **more}, nonce=nonce)


class Frames:
    """Parts a stream of output into what the workload wrote and what its guest tells."""

    def __init__(self, nonce: str, limit: int) -> None:
        self.value: Any = None
        self.error: str = ""
        self.ended: bool = False
        """The guest has told how it ended."""
        self._head = _MARK + nonce.encode() + b" "
        self._limit = limit
        self._held = b""

    def feed(self, output: Output) -> Iterator[Event]:
        """What a piece of output, together with those before it, tells."""
        if output.stream == "stderr" or self._head == _MARK + b" ":
            yield output
            return
        self._held += output.data
        while self._held:
            start = self._held.find(self._head)
            if start < 0:
                start = self._held.rfind(_MARK)
                start = start if start >= 0 and self._head.startswith(self._held[start:]) else len(self._held)
                if start:
                    yield self._take(start)
                return
            if start:
                yield self._take(start)
            if (frame := self._frame()) is None:
                return
            if "item" in frame:
                yield Item(frame["item"])
            else:
                self.value, self.error, self.ended = frame.get("value"), str(frame.get("error", "")), True

    def rest(self) -> Iterator[Event]:
        """What is left when the output has ended."""
        if self._held:
            yield self._take(len(self._held))

    def _take(self, size: int) -> Output:
        data, self._held = self._held[:size], self._held[size:]
        return Output("stdout", data)

    def _frame(self) -> dict[str, Any] | None:
        """The frame that begins what is held, if all of it is there."""
        head, line, body = self._held[len(self._head) :].partition(b"\n")
        if not line:
            return None
        size = int(head) if head.isdigit() and len(head) < 12 else 0
        if not 0 < size <= self._limit:
            self._held = body
            return {"error": f"a result of more than {self._limit} bytes; limits.output bounds it"}
        if len(body) <= size:
            return None
        self._held = body[size + 1 :]
        try:
            told = json.loads(body[:size])
        except ValueError:
            told = None
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {"error": "a result that cannot be read"}


def wanted(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file is one of the artifacts."""
    return not path.startswith(f"{_FOLDER}/") and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _pickled(workload: Function) -> dict[str, bytes]:
    try:
        import cloudpickle
    except ImportError as error:
        raise ConfigError(
            "a function is sent with the package cloudpickle, which is not installed",
            hint="pip install 'codin[runtime]'",
        ) from error
    try:
        call: bytes = cloudpickle.dumps((workload.function, tuple(workload.args), dict(workload.kwargs)))  # pyright: ignore[reportUnknownMemberType]
    except Exception as error:  # whatever its arguments' own reducers raise
        raise ConfigError(
            f"the function {_name(workload)!r} cannot be sent: {type(error).__name__}: {error}",
            hint="pass what it needs as plain arguments, or name it by its module",
        ) from error
    sources = {**sources_of("cloudpickle", always=True), **sources_of(workload.function.__module__)}
    return {f"{_FOLDER}/call.pickle": call, **_library(sources)}


def _named(workload: Module) -> dict[str, Any]:
    return {
        "target": workload.target,
        "args": list(workload.args),
        "kwargs": dict(workload.kwargs),
        "init": dict(workload.init),
        "method": workload.method,
    }


def _request(workload: Endpoint) -> dict[str, Any]:
    body, headers = body_of(workload)
    return {
        "url": workload.url,
        "method": workload.method,
        "headers": headers,
        "body": None if body is None else base64.b64encode(body).decode(),
    }


def body_of(workload: Endpoint) -> tuple[bytes | None, dict[str, str]]:
    """The bytes of an endpoint's body, and its headers: bytes as they are, everything else as JSON."""
    headers = {name.lower(): value for name, value in workload.headers.items()}
    if workload.body is None or isinstance(workload.body, bytes):
        return workload.body, headers
    return json.dumps(workload.body).encode(), {"content-type": "application/json", **headers}


def _library(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{_FOLDER}/lib/{path}": content for path, content in sources.items()}


def _name(workload: Workload) -> str:
    if isinstance(workload, Function):
        return getattr(workload.function, "__qualname__", repr(workload.function))
    return str(getattr(workload, "target", workload.kind))
