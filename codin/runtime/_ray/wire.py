"""What travels between a program, its driver and the nodes: frames of JSON and bytes, and one job."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

from codin.errors import CodinError, FileRefused, NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.runtime._guest import plain
from codin.runtime._job import Call, raised_of
from codin.runtime._protocol import Endpoint, Kind, Outcome, SandboxDemand
from codin.runtime._runtime import able
from codin.sandbox import Guarantee, Limits

__all__ = [
    "LAST",
    "USUAL",
    "Channel",
    "Frame",
    "RayJob",
    "error_of",
    "framed",
    "frames_of",
    "head_of",
    "item_frame",
    "json_of",
    "letter",
    "outcome_frame",
    "outcome_of",
    "packed",
    "refusal_frame",
    "unpacked",
]

Frame = tuple[Mapping[str, Any], bytes]
USUAL = Outcome(unenforced=frozenset[Guarantee]({"files", "network", "processes", "syscalls", "memory", "cpu", "disk"}))
"""A workload that went well in the Ray worker itself."""

_HEAD = struct.Struct(">III")
_CHUNK = 256 * 1024
_told = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_value = json.JSONEncoder(allow_nan=False, default=plain).encode


class RayJob(NamedTuple):
    """One attempt of a workload, as a node gets it. `call` or `endpoint` is what it does."""

    call: Call | None = None
    endpoint: Endpoint | None = None
    library: str = ""
    limits: Limits = Limits()
    network: Any = "none"
    env: Mapping[str, str] = MappingProxyType({})
    files: Mapping[str, bytes] = MappingProxyType({})
    artifacts: tuple[str, ...] = ()
    demand: SandboxDemand = "off"
    sandboxes: tuple[str, ...] = ()
    guard: AddressGuard | None = None


def packed(job: RayJob) -> bytes:
    """A job for its way: what is not as usual, since a class takes longer to pickle than all that it holds."""
    usual = job._field_defaults
    told = {
        name: value
        for name, value in zip(job._fields, job, strict=True)
        if value is not usual[name] and value != usual[name]
    }
    if job.call is not None:
        told["call"] = (job.call.kind, job.call.told, job.call.pickle, job.call.module)
    return pickle.dumps(told)


def unpacked(data: bytes) -> RayJob:
    """What `packed` was given."""
    told = pickle.loads(data)
    if "call" in told:
        told["call"] = Call(*told["call"])
    return RayJob(**told)


def framed(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A frame. Raises TypeError or ValueError when its head is no JSON."""
    return _frame(_told(head), body)


def frames_of(data: bytes) -> list[Frame]:
    """The frames that lie one behind the other."""
    return [(json.loads(told), body) for _, told, body in _parted(data)[0]]


def letter(head: Mapping[str, Any]) -> bytes:
    """A head as a channel sends it: made once where it is said of many jobs, whose number stands outside of it."""
    return _told(head).encode()


@lru_cache(maxsize=1024)
def head_of(told: bytes) -> Mapping[str, Any]:
    """What `letter` was given; what was read before is not read again."""
    return json.loads(told)


def _frame(head: str, body: bytes = b"") -> bytes:
    return _numbered(0, head.encode(), body)


def _numbered(number: int, told: bytes, body: bytes) -> bytes:
    return _HEAD.pack(number, len(told), len(body)) + told + body


LAST = framed({"last": True})
"""Begins the last piece of a job that streams, so that nobody has to wait for Ray to say that none comes behind it."""


def _parted(data: bytes | bytearray) -> tuple[list[tuple[int, bytes, bytes]], int]:
    """The frames that are whole, each with its number, and where they end."""
    frames: list[tuple[int, bytes, bytes]] = []
    at, size = 0, len(data)
    while size - at >= _HEAD.size:
        number, told, body = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size + told
        if start + body > size:
            break
        frames.append((number, bytes(data[at + _HEAD.size : start]), bytes(data[start : start + body])))
        at = start + body
    return frames, at


class Channel:
    """One end of a socket. Frames go out from any thread, at once where there is room; those that come are told in
    the loop's, and at last that no more come.
    """

    def __init__(
        self, end: socket.socket, heard: Callable[[int, bytes, bytes], None], lost: Callable[[], None]
    ) -> None:
        self._end = end
        self._heard = heard
        self._lost = lost
        self._lock = Lock()
        self._unsent = bytearray()
        self._unread = bytearray()
        self._loop = asyncio.get_running_loop()
        end.setblocking(False)
        self._loop.add_reader(end, self._read)

    def write(self, number: int, told: bytes, body: bytes = b"") -> None:
        """Send what there is of a job, or keep it until the other end takes it. `told` is a letter."""
        frame = _numbered(number, told, body)
        with self._lock:
            if self._unsent:
                self._unsent += frame
            elif (sent := self._send(frame)) < len(frame):
                self._unsent += frame[sent:]
                self._loop.call_soon_threadsafe(self._wait)

    def close(self) -> None:
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()

    def _wait(self) -> None:
        if self._end.fileno() >= 0:
            self._loop.add_writer(self._end, self._flush)

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._end.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return len(data)  # nobody takes it any more, which reading tells

    def _flush(self) -> None:
        with self._lock:
            with memoryview(self._unsent) as rest:
                sent = self._send(rest)
            del self._unsent[:sent]
            if not self._unsent:
                self._loop.remove_writer(self._end)

    def _read(self) -> None:
        try:
            data = self._end.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._end)
            self._lost()
            return
        if self._unread:
            self._unread += data
            frames, at = _parted(self._unread)
            del self._unread[:at]
        else:
            frames, at = _parted(data)
            self._unread += data[at:]
        for frame in frames:
            self._heard(*frame)


def json_of(value: Any, limit: int) -> str:
    """A result as JSON. Raises TypeError or ValueError when it is none, or longer than the limit."""
    text = _value(value)
    if len(text) > limit:
        raise ValueError(f"a result of more than {limit} bytes; limits.output bounds it")
    return text


def item_frame(text: str) -> bytes:
    """One value that was yielded, as JSON."""
    return _frame(f'{{"item":{text}}}')


def outcome_frame(outcome: Outcome, text: str) -> bytes:
    """How it ended, with its value as JSON, and its artifacts behind that. What is as usual is not said."""
    if outcome is USUAL or outcome == USUAL:
        return _frame(f'{{"value":{text}}}')
    told = {
        "exit_code": outcome.exit_code,
        "error": outcome.error,
        "ended": outcome.ended,
        "sandbox": outcome.sandbox,
        "unenforced": sorted(outcome.unenforced),
        "raised": None if outcome.raised is None else asdict(outcome.raised),
        "artifacts": {path: len(content) for path, content in outcome.artifacts.items()},
    }
    return _frame(f'{{"value":{text},"outcome":{_told(told)}}}', b"".join(outcome.artifacts.values()))


def refusal_frame(error: CodinError) -> bytes:
    """Why a node did not do it."""
    path = error.path if isinstance(error, FileRefused) else None
    told = {"class": type(error).__name__, "message": error.message, "hint": error.hint, "path": path}
    return framed({"refused": told})


def outcome_of(head: Mapping[str, Any], body: bytes) -> Outcome:
    """What `outcome_frame` was given."""
    if "outcome" not in head:
        return Outcome(value=head["value"], unenforced=USUAL.unenforced)
    told: dict[str, Any] = {**head["outcome"], "unenforced": frozenset[str](head["outcome"]["unenforced"])}
    artifacts: dict[str, bytes] = {}
    at = 0
    for path, size in told["artifacts"].items():
        artifacts[path], at = body[at : at + size], at + size
    told |= {"value": head["value"], "artifacts": artifacts, "raised": raised_of(told["raised"])}
    return Outcome(**told)


def error_of(told: Mapping[str, Any], kind: Kind) -> CodinError:
    """What `refusal_frame` was given; the node's own words are of few kinds."""
    if told["class"] == "NoRuntime":
        return NoRuntime(told["message"], able=able(kind), hint=told["hint"])
    if told["class"] == "FileRefused":
        return FileRefused(told["message"], path=told["path"], hint=told["hint"])
    return RuntimeUnavailable(told["message"], hint=told["hint"])
