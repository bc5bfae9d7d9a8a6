"""JSON and bytes made from the schema of the protocol: as it should be, and as nobody should write it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

import codin.a2a._proto as proto

__all__ = ["IDS", "encoded", "hostile", "spoiled", "texts", "valid", "written"]

IDS = [f"cafe{number}" + "feed" * 6 + "bad" for number in range(3)]
"""Stand for the ids of tasks there are. They are as long, so that they can be exchanged in any bytes."""

# What the schema of Protocol Buffers does not say; everything else may be absent.
_REQUIRED: Mapping[str, frozenset[str]] = {
    "SendMessageRequest": frozenset({"message"}),
    "Message": frozenset({"message_id", "role", "parts"}),
    "Artifact": frozenset({"artifact_id", "parts"}),
    "TaskPushNotificationConfig": frozenset({"url"}),
    "AuthenticationInfo": frozenset({"scheme"}),
    "Task": frozenset({"id", "status"}),
    "TaskStatus": frozenset({"state"}),
    "TaskStatusUpdateEvent": frozenset({"task_id", "context_id", "status"}),
    "TaskArtifactUpdateEvent": frozenset({"task_id", "context_id", "artifact"}),
    "ListTasksResponse": frozenset({"tasks", "next_page_token", "page_size", "total_size"}),
    "AgentCard": frozenset({"name", "description", "supported_interfaces", "version", "capabilities", "skills"}),
    "AgentInterface": frozenset({"url", "protocol_binding", "protocol_version"}),
    "AgentSkill": frozenset({"id", "name", "description", "tags"}),
}
_REQUEST_IDS = frozenset({"id", "task_id"})

texts = st.sampled_from(
    [
        "",
        "hello",
        "ask",
        "write",
        "\0",
        "é\u2028\u202e",
        "\U0001f600",
        "x" * 3000,
        "{}",
        "null",
        "%00",
        "../..",
        "a\r\nb",
    ]
)
_ids = st.sampled_from([*IDS, *IDS, "nobody", "", "a/b", "x:cancel", "..", "é", "%2F", "0" * 500])
_BY_NAME: Mapping[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("id", "task_id", "context_id", "reference_task_ids"), _ids),
    "url": st.sampled_from(
        ["https://hook.example/", "http://127.0.0.1:1/", "ftp://x", "", "//", "http://[", "x" * 3000]
    ),
    "media_type": st.sampled_from(["text/plain", "image/png", "", "*/*", "a;b=\0"]),
    "accepted_output_modes": st.sampled_from(["text/plain", "application/json", "*/*", "image/png", ""]),
    "page_token": st.sampled_from(["", "nowhere", "AAAA", "é", "eyJ9", "x" * 500]),
    "protocol_binding": st.sampled_from(["JSONRPC", "HTTP+JSON", "GRPC", ""]),
    "protocol_version": st.sampled_from(["1.0", "0.3", "", "9"]),
}
_numbers = st.sampled_from([0, 1, 2, 50, 100, 101, -1, 2**31 - 1, -(2**31)])
_times = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _numbers | st.sampled_from([0.5, 1e300, 2**53]) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@cache
def valid(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """The JSON of a message of the schema, with what is required."""
    return _message(proto.message_class(name).DESCRIPTOR)


def _message(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    match descriptor.full_name:
        case "google.protobuf.Struct":
            return st.dictionaries(texts, _json, max_size=3)
        case "google.protobuf.Value":
            return _json
        case "google.protobuf.Timestamp":
            return _times
        case _:
            pass
    required = _required(descriptor)
    always: dict[str, Any] = {}
    perhaps: dict[str, Any] = {}
    for field in descriptor.fields:
        if field.containing_oneof is None or len(field.containing_oneof.fields) == 1:
            (always if field.name in required else perhaps)[field.json_name] = st.deferred(_later(field))
    made = st.fixed_dictionaries(always, optional=perhaps)
    for group in descriptor.oneofs:
        if len(group.fields) > 1:
            one = st.one_of(
                [st.fixed_dictionaries({each.json_name: st.deferred(_later(each))}) for each in group.fields]
            )
            made = st.builds(_merged, made, one)
    return made


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, **other}


def _later(field: FieldDescriptor) -> Callable[[], st.SearchStrategy[Any]]:
    return lambda: _field(field)


def _required(descriptor: Descriptor) -> frozenset[str]:
    asks = descriptor.name.endswith("Request") and descriptor.name != "SendMessageRequest"
    return _REQUEST_IDS if asks else _REQUIRED.get(descriptor.name, frozenset())


def _field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        return st.dictionaries(texts, _one(entry.fields_by_name["value"]), max_size=2)
    one = _one(field)
    if not field.is_repeated:
        return one
    holder = field.containing_type
    needed = holder is not None and field.name in _required(holder)
    return st.lists(one, min_size=1 if needed else 0, max_size=3)


def _one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        # The first one means that nothing was said.
        return st.sampled_from([each for value in field.enum_type.values[1:] for each in (value.name, value.number)])
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=8).map(lambda raw: base64.b64encode(raw).decode()) | st.sampled_from(
                ["-_8", "AA"]
            )
        case FieldDescriptor.TYPE_INT32:
            return _numbers
        case _:
            return _BY_NAME.get(field.name, texts)


# -- spoiling ----------------------------------------------------------------------------------------------------------


class _Again(str):
    """A key that may be in an object beside the same key."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def _nested(levels: int, opening: str = "list") -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if opening == "list" else {"a": value}
    return value


_ODD: Sequence[Any] = [
    *(None, True, False, 0, -1, 1, 7, 1.5, -0.0, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, 10**400, 1e308),
    *(float("inf"), float("nan"), "", "7", "true", "\0", "\ud800", "a\udc00b", "x" * 20_000, "é" * 50),
    *("TASK_STATE_DONE", "task_state_working", "ROLE_UNSPECIFIED", "user", "now", "2026-02-30T00:00:00Z", "_-8="),
    *([], {}, [[]], [None], [{}], {"": {}}, {"a": 1}, [1, "a"], {"text": "x"}, {"kind": "text", "text": "x"}),
    *(_nested(40), _nested(95), _nested(150), _nested(40, "dict"), _nested(120, "dict")),
]
_SMALL = 2000
_odd = st.sampled_from(_ODD).map(deepcopy)
_keys = st.sampled_from(
    ["", "kind", "text", "data", "raw", "__class__", "self", "\0", "\ud800", "messageId", "x" * 300]
)

_Place = tuple[Any, Any]


def _places(value: Any, found: list[_Place]) -> list[_Place]:
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        pairs = enumerate(cast("list[Any]", value))
    for key, item in pairs:
        found.append((cast("Any", value), key))
        _places(item, found)
    return found


@st.composite
def spoiled(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """A document with up to three things wrong with it."""
    whole = {"": deepcopy(draw(documents))}
    for _ in range(draw(st.integers(1, 3))):
        places = _places(whole, [])
        if not places:
            break
        # Small documents are spoiled anywhere, and large ones not only in their depths.
        holder, key = places[draw(st.integers(0, min(len(places) - 1, draw(st.sampled_from([3, 12, 100])))))]
        _spoil(draw, holder, key)
    return whole.get("")


def _spoil(draw: st.DrawFn, holder: Any, key: Any) -> None:
    ways = ["odd", "gone", "wrapped", "often"]
    if isinstance(key, str) and key:
        ways += ["snake", "upper", "again", "extra"]
    match draw(st.sampled_from(ways)):
        case "odd":
            holder[key] = draw(_odd)
        case "gone":
            del holder[key]
        case "wrapped":
            holder[key] = [holder[key]]
        case "often":
            # Only what is small, or three of these on one another would fill the memory.
            times = draw(st.sampled_from([0, 2, 70, 300]))
            holder[key] = [deepcopy(holder[key])] * (times if len(repr(holder[key])) < _SMALL else min(times, 2))
        case "snake":
            holder[re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower()] = holder.pop(key)
        case "upper":
            holder[key.upper()] = holder.pop(key)
        case "again":
            holder[_Again(key)] = draw(_odd)
        case _:
            holder[draw(_keys)] = draw(_odd)


def hostile(name: str) -> st.SearchStrategy[Any]:
    """The JSON of a message of the schema, right or wrong."""
    return valid(name) | spoiled(valid(name)) | spoiled(valid(name))


@st.composite
def written(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> bytes:
    """A document as bytes, now and then with what is no JSON in it."""
    body = _text(draw(documents), ascii_only=draw(st.booleans()))
    if draw(st.integers(0, 9)):
        return body
    place = draw(st.integers(0, len(body)))
    some = draw(st.sampled_from([b"", b"\0", b"\xff", b'"', b"}", b"[", b"\\u12", b"\xef\xbb\xbf", b"1e999", b"/**/"]))
    return body[:place] + some + body[place + draw(st.sampled_from([0, 1, 1000])) :]


def _text(document: Any, *, ascii_only: bool) -> bytes:
    return json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


# -- Protocol Buffers --------------------------------------------------------------------------------------------------


@st.composite
def encoded(draw: st.DrawFn, name: str) -> bytes:
    """A message as bytes, right or wrong."""
    document = draw(valid(name))
    message = json_format.ParseDict(document, proto.message_class(name)(), ignore_unknown_fields=True)
    body: bytes = message.SerializeToString()
    match draw(st.integers(0, 5)):
        case 0:
            return draw(st.binary(max_size=40))
        case 1:
            place = draw(st.integers(0, len(body)))
            return body[:place] + draw(st.binary(max_size=8)) + body[place + draw(st.sampled_from([0, 1, 8])) :]
        case 2:  # fields that nobody knows, among them groups and the numbers of other fields
            return body + draw(
                st.sampled_from([b"\xfa\x07\x01a", b"\x98\x06\x01", b"\x0b\x0c", b"\x0a\x00", b"\x22\x00"])
            )
        case _:
            return body
