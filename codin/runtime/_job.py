"""What a workload needs where it runs, as a command and files, and how to read what it tells."""

from __future__ import annotations

import fnmatch
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from secrets import token_hex
from typing import Any, ClassVar, cast

from codin.errors import ConfigError, InvalidResult, NoRuntime
from codin.runtime._pickled import pickled
from codin.runtime._protocol import Command, Endpoint, Event, Function, Item, Kind, Module, Raised, Workload
from codin.runtime._sources import importable, sources_of
from codin.sandbox import Code, Output, Stream

__all__ = ["Call", "Frames", "Job", "Sent", "body_of", "call_of", "guest_job", "job_of", "raised_of", "wanted"]

_FOLDER = ".codin"
_MARK = b"\x1e"
_SAID = 4000  # letters of what a guest says of a failure
_NAMED = 200  # letters of a name in it


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
        NoRuntime: it is a container or an endpoint, which have no command of their own.
    """
    if isinstance(workload, Command):
        return Job(workload.command, workload.files, workload.stdin)
    if isinstance(workload, Sent):
        return guest_job(workload.call, workload.library, workload.files)
    if not isinstance(workload, Function | Module):
        raise NoRuntime(f"a {workload.kind} is not run as a command", able=())
    call = call_of(workload)
    return guest_job(call, sources_of(call.module), workload.files)


@dataclass(frozen=True, slots=True)
class Call:
    """What a guest is told to call, for back-ends that send it in their own way.

    Args:
        told: plain JSON.
        pickle: the function and its arguments, if it is not named.
        module: whose source goes along, if the place where it runs does not have it.
    """

    kind: Kind
    told: Mapping[str, Any]
    pickle: bytes | None = None
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Sent(Workload):
    """A call that came from elsewhere, with the sources that came along."""

    kind: ClassVar[Kind] = "function"
    call: Call
    library: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def call_of(workload: Function | Module) -> Call:
    """What the guest is to call. Raises ConfigError when a function or its arguments cannot be sent."""
    if isinstance(workload, Function):
        told = {"python": sys.version_info[:2]}
        module: str = getattr(workload.function, "__module__", None) or "__main__"
        if module != "__main__" and importable(module) and not workload.by_value:
            return Call("function", told, pickled(workload), module)
        code = pickled(workload, by_value_from=module)
        # Whoever writes a function for codin imports codin in it, such as an error to raise.
        return Call("function", told, code, "codin" if b"codin" in code else None)
    return Call("module", _named(workload), module=workload.target.partition(":")[0])


def guest_job(call: Call, library: Mapping[str, bytes], files: Mapping[str, bytes]) -> Job:
    """A job whose guest does the call. Raises ConfigError when what it is told is no JSON."""
    nonce = token_hex(8)
    try:
        told = json.dumps({"kind": call.kind, "nonce": nonce, **call.told}).encode()
    except TypeError as error:
        name = call.told.get("target", call.kind)
        raise ConfigError(f"the arguments of {call.kind} {name!r} are not JSON: {error}") from error
    more = {f"{_FOLDER}/job.json": told}
    if call.pickle is not None:
        more[f"{_FOLDER}/call.pickle"] = call.pickle
        library = {**sources_of("cloudpickle", always=True), **library}
    if library:
        more[f"{_FOLDER}/lib.zip"] = _zipped(library)
    guest = (package_files("codin.runtime") / "_guest.py").read_text(encoding="utf-8")
    return Job(Code(guest), {**files, **more}, nonce=nonce)


class Frames:
    """Parts a stream of output into what the workload wrote and what its guest tells.

    A frame that is cut, because the guest was killed or has reached the bound on output, is nobody's: it is no part of
    what the workload wrote. Nor does what the workload wrote take the room of the frames.

    Args:
        nonce: begins the frames; empty when there are none.
        limit: bytes of each stream that are told, and bytes of all frames together.
    """

    def __init__(self, nonce: str, limit: int) -> None:
        self.value: Any = None
        self.error: str = ""
        self.raised: Raised | None = None
        self.ended: bool = False
        """The guest has told how it ended."""
        self._head = _MARK + nonce.encode() + b" "
        self._limit = limit
        self._room: dict[Stream, int] = {"stdout": limit, "stderr": limit}
        self._left = limit  # bytes of frames that may still come
        self._held = bytearray()
        self._needed = 0  # bytes of a frame that has begun
        self._left_out = 0  # bytes that are still to come of one that is too large
        self._seen = 0

    def feed(self, output: Output) -> Iterator[Event]:
        """What a piece of output, together with those before it, tells."""
        return filter(None, map(self._bounded, self._parted(output)))

    def _parted(self, output: Output) -> Iterator[Event]:
        if output.stream == "stderr" or self._head == _MARK + b" ":
            yield output
            return
        self._seen += len(output.data)
        self._held += output.data
        self._leave_out()
        while self._held and len(self._held) >= self._needed:
            if start := self._start():
                yield self._take(start)
            if not self._held.startswith(self._head) or (frame := self._frame()) is None:
                return
            if "item" in frame:
                yield Item(frame["item"])
            else:
                self.value, self.error, self.ended = frame.get("value"), _text(frame.get("error")), True
                self.raised = raised_of(frame.get("raised"))

    def rest(self) -> Iterator[Event]:
        """What is left of the workload's own when the output has ended."""
        # A guest writes a head at once or not at all, so that part of one is its own only at the bound on output.
        is_cut = self._seen >= self._limit and not self.ended
        if self._held and not is_cut and not self._held.startswith(self._head):
            yield from filter(None, [self._bounded(self._take(len(self._held)))])

    def _bounded(self, event: Event) -> Event | None:
        """The event, with what there is room for of what the workload wrote; None when there is none."""
        if isinstance(event, Item):
            return event
        piece = event.data[: self._room[event.stream]]
        self._room[event.stream] -= len(piece)
        return Output(event.stream, piece) if piece else None

    def _start(self) -> int:
        """How many bytes stand before the next frame, or before what may become one."""
        if (start := self._held.find(self._head)) >= 0:
            return start
        start = self._held.rfind(_MARK)
        may_begin_one = start >= 0 and self._head.startswith(self._held[start : start + len(self._head)])
        return start if may_begin_one else len(self._held)

    def _take(self, size: int) -> Output:
        data = bytes(self._held[:size])
        del self._held[:size]
        return Output("stdout", data)

    def _leave_out(self) -> None:
        size = min(self._left_out, len(self._held))
        del self._held[:size]
        self._left_out -= size

    def _frame(self) -> dict[str, Any] | None:
        """The frame that begins what is held, if all of it is there."""
        begin = self._held.find(b"\n", len(self._head)) + 1
        if not begin:
            return None
        head = self._held[len(self._head) : begin - 1]
        size = int(head) if head.isdigit() and len(head) < 12 else 0
        if not 0 < size <= self._left:
            self._left_out = begin + size + (size > 0)
            self._leave_out()
            self._left = 0  # what comes behind would be taken for all of it
            message = f"results of more than {self._limit} bytes; limits.output bounds them"
            return {"error": message, "raised": Raised("", message, InvalidResult.code)}
        self._needed = begin + size + 1
        if len(self._held) < self._needed:
            return None
        body = self._take(self._needed).data[begin:-1]
        self._needed = 0
        self._left -= size
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {"error": "a result that cannot be read"}


def raised_of(told: Any) -> Raised | None:
    """What a guest says of an exception. It is a sandbox that speaks: what has not the form is left out."""
    if not isinstance(told, dict):
        return told if isinstance(told, Raised) else None
    words = cast("dict[str, Any]", told)
    return Raised(
        _text(words.get("kind"))[:_NAMED] or "Exception",
        _text(words.get("message")),
        _text(words.get("code"))[:_NAMED],
        _text(words.get("hint")) or None,
        words.get("retryable") is True,
        _text(words.get("field"))[:_NAMED],
    )


def _text(told: Any) -> str:
    return told[:_SAID].encode(errors="replace").decode() if isinstance(told, str) else ""


def wanted(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file is one of the artifacts."""
    return not path.startswith(f"{_FOLDER}/") and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _named(workload: Module) -> dict[str, Any]:
    return {
        "target": workload.target,
        "args": list(workload.args),
        "kwargs": dict(workload.kwargs),
        "init": dict(workload.init),
        "method": workload.method,
    }


def body_of(workload: Endpoint) -> tuple[bytes | None, dict[str, str]]:
    """The bytes of an endpoint's body, and its headers: bytes as they are, everything else as JSON.

    Raises:
        ConfigError: there is no JSON for it.
    """
    headers = {name.lower(): value for name, value in workload.headers.items()}
    if workload.body is None or isinstance(workload.body, bytes):
        return workload.body, headers
    try:
        body = json.dumps(workload.body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the body of the endpoint is no JSON: {error}", hint="bytes are sent as they are") from error
    return body, {"content-type": "application/json", **headers}


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """As one file: a package has hundreds, and each costs a way to where it is needed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()
