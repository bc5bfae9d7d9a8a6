"""What travels between a program, its driver and the nodes: frames of JSON and bytes, and one job."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codin.errors import CodinError, FileRefused, NoRuntime, RuntimeUnavailable
from codin.net import AddressGuard
from codin.runtime._guest import plain
from codin.runtime._job import Call
from codin.runtime._protocol import Endpoint, Kind, Outcome, SandboxDemand
from codin.runtime._runtime import able
from codin.sandbox import Limits

__all__ = [
    "HEAD",
    "RayJob",
    "error_of",
    "framed",
    "frames_of",
    "item_frame",
    "json_of",
    "outcome_frame",
    "outcome_of",
    "refusal_frame",
]

HEAD = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class RayJob:
    """One attempt of a workload, as a node gets it. `call` or `endpoint` is what it does."""

    call: Call | None
    endpoint: Endpoint | None
    library: str
    limits: Limits
    network: Any
    env: Mapping[str, str]
    files: Mapping[str, bytes]
    artifacts: tuple[str, ...]
    demand: SandboxDemand
    sandboxes: tuple[str, ...]
    guard: AddressGuard | None


def framed(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A frame. Raises TypeError or ValueError when its head is no JSON."""
    told = json.dumps(head, allow_nan=False, separators=(",", ":")).encode()
    return HEAD.pack(len(told), len(body)) + told + body


def frames_of(data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The frames that lie one behind the other."""
    at = 0
    while at < len(data):
        told, body = HEAD.unpack_from(data, at)
        at += HEAD.size
        yield json.loads(data[at : at + told]), data[at + told : at + told + body]
        at += told + body


def json_of(value: Any, limit: int) -> bytes:
    """A result as JSON. Raises TypeError or ValueError when it is none, or longer than the limit."""
    text = json.dumps(value, default=plain, allow_nan=False).encode()
    if len(text) > limit:
        raise ValueError(f"a result of more than {limit} bytes; limits.output bounds it")
    return text


def item_frame(value: Any, limit: int) -> bytes:
    """One value that was yielded. Raises as `json_of`."""
    return framed({"item": 1}, json_of(value, limit))


def outcome_frame(outcome: Outcome, value: bytes) -> bytes:
    """How it ended, with its value as JSON and its artifacts behind that."""
    head = {
        "outcome": {
            "exit_code": outcome.exit_code,
            "error": outcome.error,
            "ended": outcome.ended,
            "sandbox": outcome.sandbox,
            "unenforced": sorted(outcome.unenforced),
        },
        "value": len(value),
        "artifacts": {path: len(content) for path, content in outcome.artifacts.items()},
    }
    return framed(head, b"".join([value, *outcome.artifacts.values()]))


def refusal_frame(error: CodinError) -> bytes:
    """Why a node did not do it."""
    path = error.path if isinstance(error, FileRefused) else None
    told = {"class": type(error).__name__, "message": error.message, "hint": error.hint, "path": path}
    return framed({"refused": told})


def outcome_of(head: Mapping[str, Any], body: bytes) -> Outcome:
    """What `outcome_frame` was given."""
    at = head["value"]
    artifacts: dict[str, bytes] = {}
    for path, size in head["artifacts"].items():
        artifacts[path], at = body[at : at + size], at + size
    told: dict[str, Any] = dict(head["outcome"])
    told["unenforced"] = frozenset[str](told["unenforced"])
    return Outcome(value=json.loads(body[: head["value"]]), artifacts=artifacts, **told)


def error_of(told: Mapping[str, Any], kind: Kind) -> CodinError:
    """What `refusal_frame` was given; the node's own words are of few kinds."""
    if told["class"] == "NoRuntime":
        return NoRuntime(told["message"], able=able(kind), hint=told["hint"])
    if told["class"] == "FileRefused":
        return FileRefused(told["message"], path=told["path"], hint=told["hint"])
    return RuntimeUnavailable(told["message"], hint=told["hint"])
