"""Message classes, made from the schema when the first one is needed, and the way between their bytes and JSON.

They live in a pool of their own: another package that brings the same messages does not get in the way.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.message import DecodeError, EncodeError
from pydantic_core import from_json as read_json

from codin.a2a._errors import InvalidAgentResponse, InvalidParams, ParseError
from codin.a2a._model import too_deep
from codin.a2a._proto._schema import (
    ENUMS,
    MESSAGES,
    PACKAGE,
    RPCS,
    SERVICE,
    STATUS_MESSAGES,
    STATUS_PACKAGE,
)

__all__ = ["POOL", "from_json", "message_class", "parsed", "to_json"]

_Field = descriptor_pb2.FieldDescriptorProto
_OF_PROTOCOL = (empty_pb2, struct_pb2, timestamp_pb2)
_OF_STATUS = (any_pb2, duration_pb2)
_SCALARS: Mapping[str, Any] = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "string": _Field.TYPE_STRING,
}
_FIELD = re.compile(r"(?P<number>\d+) (?P<name>\w+) (?P<mark>\*|\?|\{\})?(?P<type>\w+)(?:\|(?P<group>\w+))?")
_EXACT = 2**53
_LARGEST = sys.float_info.max


def _file(
    name: str, package: str, messages: Mapping[str, str], imports: Sequence[Any]
) -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    made.dependency.extend(known.DESCRIPTOR.name for known in imports)
    for message, fields in messages.items():
        described = made.message_type.add(name=message)
        for spelled in fields.split(", "):
            _add_field(described, package, spelled)
    return made


def _add_field(message: descriptor_pb2.DescriptorProto, package: str, spelled: str) -> None:
    found = _FIELD.fullmatch(spelled)
    assert found is not None, spelled
    mark, kind, name = found["mark"], found["type"], found["name"]
    field = message.field.add(name=name, number=int(found["number"]), json_name=_camel(name))
    field.label = _Field.LABEL_REPEATED if mark in {"*", "{}"} else _Field.LABEL_OPTIONAL
    if mark == "{}":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, package, "1 key string")
        _add_field(entry, package, f"2 value {kind}")
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{message.name}.{entry.name}"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in ENUMS else _Field.TYPE_MESSAGE
        field.type_name = f".{_home(kind, package)}.{kind}"
    group = f"_{name}" if mark == "?" else found["group"]
    if group is not None:
        names = [each.name for each in message.oneof_decl]
        if group not in names:
            message.oneof_decl.add(name=group)
            names.append(group)
        field.oneof_index = names.index(group)
        field.proto3_optional = mark == "?"


def _home(kind: str, package: str) -> str:
    return package if kind in MESSAGES or kind in STATUS_MESSAGES or kind in ENUMS else "google.protobuf"


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _protocol() -> descriptor_pb2.FileDescriptorProto:
    made = _file("a2a.proto", PACKAGE, MESSAGES, _OF_PROTOCOL)
    for name, values in ENUMS.items():
        enum = made.enum_type.add(name=name)
        prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        for number, value in enumerate(values.split()):
            enum.value.add(name=f"{prefix}_{value}", number=number)
    service = made.service.add(name=SERVICE.rpartition(".")[2])
    for name, rpc in RPCS.items():
        service.method.add(
            name=name,
            input_type=f".{PACKAGE}.{rpc.request}",
            output_type=f".{_home(rpc.response, PACKAGE)}.{rpc.response}",
            server_streaming=rpc.streams,
        )
    return made


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for known in (*_OF_PROTOCOL, *_OF_STATUS):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for made in (_protocol(), _file("google/rpc/status.proto", STATUS_PACKAGE, STATUS_MESSAGES, _OF_STATUS)):
        pool.AddSerializedFile(made.SerializeToString())
    return pool


POOL = _pool()
"""What reflection tells."""


@cache
def message_class(name: str) -> type[Any]:
    """The class of a message, by its name in the schema."""
    package = STATUS_PACKAGE if name in STATUS_MESSAGES else _home(name, PACKAGE)
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}"))


def parsed(name: str, body: bytes) -> Any:
    """The message in these bytes.

    Raises:
        ParseError: there is none.
    """
    try:
        return message_class(name).FromString(body)
    except DecodeError as error:
        raise ParseError(f"Not a {PACKAGE}.{name}: {error}", hint="Protocol Buffers nest 100 levels at most.") from None


def to_json(message: Any, max_depth: int = 100) -> dict[str, Any]:
    """The JSON of a message, as plain values.

    Raises:
        InvalidParams: it holds a number or a time that JSON does not have.
        ParseError: it is nested deeper than `max_depth`.
    """
    try:
        return _plain(json_format.MessageToDict(message), max_depth)
    except (ValueError, json_format.Error) as error:
        raise InvalidParams(f"Invalid params: {error}") from None


def _plain(value: Any, depth: int) -> Any:
    """Whole numbers without a fraction, as JSON has them: here, all of a Struct's are floats."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise too_deep()
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in cast("list[Any]", value)]
    return {key: _plain(item, depth - 1) for key, item in cast("dict[str, Any]", value).items()}


def _rounded(value: Any) -> Any:
    """Whole numbers that no double holds as the nearest that one does: here, all of a Struct's are doubles."""
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else _LARGEST if value > 0 else -_LARGEST
    if isinstance(value, list):
        return [_rounded(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def from_json(name: str, text: bytes) -> Any:
    """The message that a JSON text describes; fields that the schema does not have are left out.

    Raises:
        InvalidAgentResponse: it does not fit into a message.
    """
    document = read_json(text)
    try:
        try:
            return json_format.ParseDict(document, message_class(name)(), ignore_unknown_fields=True)
        except OverflowError:
            return json_format.ParseDict(_rounded(document), message_class(name)(), ignore_unknown_fields=True)
    except (ValueError, json_format.Error, EncodeError) as error:
        raise InvalidAgentResponse(f"not a {PACKAGE}.{name}: {error}") from None
