"""What every answer keeps to, whatever the request was."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from google.protobuf import json_format

import codin.a2a._proto as proto
from codin import a2a
from tests.fuzz.siege import SECRET, TOKEN, Answer

__all__ = [
    "Details",
    "Verdict",
    "check_error",
    "check_events",
    "check_result",
    "check_rpc",
    "check_status",
    "fields_of",
    "no_secrets",
    "read_json",
    "verdict",
]

ROWS = {row.rpc_code: row for row in a2a.error_table()}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
# What Python says of itself, outside of what the request said.
_INSIDE = re.compile(
    r"Traceback|object at 0x|<class|pydantic|NoneType|\w+Error\b|\w+Exception\b|codin\.|\.py\b|\bdict\b"
)
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
Details = list[dict[str, Any]]
Verdict = tuple[str, list[str]]


def fields_of(value: object) -> dict[str, Any] | None:
    """An object as what it is; None for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def no_secrets(answer: Answer) -> None:
    said = answer.body + repr(answer.headers).encode()
    assert SECRET.encode() not in said
    assert TOKEN.encode() not in said


def read_json(body: bytes) -> Any:
    """JSON as any strict reader takes it: UTF-8, and no constants that JSON does not have."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def check_error(message: Any, details: Any, request: Any = None) -> Details:
    """Words that a peer can use, an ErrorInfo first, and fields that are in the request.

    Args:
        request: what was sent, as far as it can be read; None when it cannot.
    """
    assert isinstance(message, str)
    assert message
    info, *others = cast("Details", details)
    assert info["@type"] == _INFO
    assert info["domain"] == "a2a-protocol.org"
    assert re.fullmatch(r"[A-Z][A-Z_0-9]+", info["reason"])
    words = [message, *info["metadata"].values()]
    for detail in others:
        if detail["@type"] == _BAD_REQUEST:
            for violation in detail["fieldViolations"]:
                words.append(violation["description"])
                assert request is None or names_a_field(violation["field"], request), (violation, request)
    said = [re.sub(r"'[^']*'|\"[^\"]*\"", "", word) for word in words]
    assert not any(_INSIDE.search(each) for each in said), words
    return cast("Details", details)


def names_a_field(path: str, request: Any) -> bool:
    """Whether the path leads through the request to a member of it, or to one that an object there lacks."""
    here = request
    for index, name in _STEP.findall(path):
        if index:
            if not isinstance(here, list) or int(index) >= len(cast("list[Any]", here)):
                return False
            here = cast("list[Any]", here)[int(index)]
            continue
        if not isinstance(here, dict):
            return False
        fields = cast("dict[str, Any]", here)
        spelled = [name, re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()]
        here = next((fields[each] for each in spelled if each in fields), None)
    return True


def check_result(method: str, result: Any) -> None:
    """A result of 1.0 is what the schema says, to a reader that takes nothing else."""
    with contextlib.suppress(OverflowError):  # JSON has numbers that no double holds
        json_format.ParseDict(result, proto.message_class(proto.RPCS[method].response)(), max_recursion_depth=1000)


def check_rpc(document: Any, request: Any = None) -> dict[str, Any]:
    """A response of JSON-RPC 2.0, with a code of the table."""
    assert isinstance(document, dict)
    answer = cast("dict[str, Any]", document)
    assert answer["jsonrpc"] == "2.0"
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    if "error" in answer:
        error = answer["error"]
        assert set(error) == {"code", "message", "data"}
        assert ROWS[error["code"]].http_status < 500 or error["code"] == a2a.Overloaded.rpc_code, error
        check_error(error["message"], error["data"], request)
    return answer


def check_status(answer: Answer, request: Any = None) -> dict[str, Any]:
    """A google.rpc.Status whose status is that of HTTP."""
    document = read_json(answer.body)
    assert set(document) == {"error"}
    error: dict[str, Any] = document["error"]
    assert error["code"] == answer.status
    assert 400 <= answer.status < 500 or error["status"] == "UNAVAILABLE", error
    assert error["status"] in {row.grpc_status for row in ROWS.values()}
    check_error(error["message"], error["details"], request)
    return error


def check_events(answer: Answer) -> list[Any]:
    """The JSON of each event. Numbers grow."""
    assert answer.status == 200
    assert answer.body.endswith(b"\n\n"), answer.body
    events = a2a.SSEDecoder().feed(answer.body)
    numbers = [int(event.id) for event in events if event.id is not None]
    assert numbers == sorted(set(numbers))
    return [read_json(event.data) for event in events]


def verdict(details: Details) -> Verdict:
    """The reason of an error, and the fields that are wrong: what all bindings have to agree upon."""
    by_type: Mapping[str, Any] = {detail["@type"]: detail for detail in details}
    violations = by_type.get(_BAD_REQUEST, {}).get("fieldViolations", [])
    return by_type[_INFO]["reason"], [violation["field"] for violation in violations]
