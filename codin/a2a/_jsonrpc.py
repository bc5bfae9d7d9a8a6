"""The JSON-RPC 2.0 envelope.

| part of the envelope        | rule                                                                             |
|-----------------------------|----------------------------------------------------------------------------------|
| body                        | one JSON document in UTF-8, at most `max_depth` levels and `max_values` values;  |
|                             | NaN and Infinity refused                                                         |
| `jsonrpc`                   | exactly `"2.0"`                                                                  |
| `method`                    | a string                                                                         |
| `id` string or integer      | a request; echoed as it came                                                     |
| `id: null`                  | a request; answered with `id: null`                                              |
| `id` absent                 | a notification; not answered                                                     |
| `id` anything else          | InvalidRequest; also 1.0, true and [1]                                           |
| `params` object             | the method's parameters                                                          |
| `params` absent or null     | no parameters                                                                    |
| `params` array              | InvalidParams: the protocol's methods have named parameters only                 |
| other keys                  | ignored                                                                          |
| array of envelopes          | a batch; each entry by the same rules; an empty one is InvalidRequest            |

`parse_call` takes the call that follows every rule and leaves the rest to the caller, who has `check_envelope` for it.

Source: JSON-RPC 2.0 sections 4 to 6; A2A v1.0.1 section 9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from codin.a2a._errors import (
    A2AError,
    FieldViolation,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
    to_rpc_error,
)
from codin.a2a._model import Model, encode, too_deep, unreadable, wrong_fields
from codin.a2a._requests import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
)
from codin.a2a._values import check_values

__all__ = [
    "METHODS",
    "Call",
    "call_bytes",
    "check_envelope",
    "error_bytes",
    "params_of",
    "parse_call",
    "parse_json",
    "result_bytes",
]

MAX_DEPTH = 100
MAX_VALUES = 250_000

METHODS: Mapping[str, type[Model]] = {
    "SendMessage": SendMessageRequest,
    "SendStreamingMessage": SendMessageRequest,
    "GetTask": GetTaskRequest,
    "ListTasks": ListTasksRequest,
    "CancelTask": CancelTaskRequest,
    "SubscribeToTask": SubscribeToTaskRequest,
    "CreateTaskPushNotificationConfig": TaskPushNotificationConfig,
    "GetTaskPushNotificationConfig": GetTaskPushNotificationConfigRequest,
    "ListTaskPushNotificationConfigs": ListTaskPushNotificationConfigsRequest,
    "DeleteTaskPushNotificationConfig": DeleteTaskPushNotificationConfigRequest,
    "GetExtendedAgentCard": GetExtendedAgentCardRequest,
}


class Call(NamedTuple):
    """A well-formed request; `id_json` is its id as it goes into the answer."""

    id: str | int | None
    id_json: bytes
    method: str
    params: dict[str, Any]


def parse_call(body: bytes, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> Call | None:
    """The call in a request body, or None for what needs the long way: batch, notification, malformed envelope.

    Raises:
        ParseError, InvalidParams: as `parse_json` does.
    """
    envelope = parse_json(body, max_depth, max_values)
    # `type() is`, here and below: a bool is an int to isinstance.
    if type(envelope) is not dict:
        return None
    get = cast("dict[str, Any]", envelope).get
    method, request_id, params = get("method"), get("id", _NO_ID), get("params")
    if params is None:
        params = cast("dict[str, Any]", {})
    if get("jsonrpc") != "2.0" or type(method) is not str or type(params) is not dict:
        return None
    if type(request_id) is str or type(request_id) is int or request_id is None:
        return Call(request_id, to_json(request_id), method, cast("dict[str, Any]", params))
    return None


_NO_ID: Any = object()


def parse_json(body: bytes, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> Any:
    """JSON text within bounds.

    Args:
        max_values: objects, arrays, texts, numbers and so on: an object of three bytes is one of a hundred in memory.

    Raises:
        ParseError: not JSON, or nested deeper than `max_depth`.
        InvalidParams: more than `max_values`; it names the field where they are.
    """
    if len(body) > max_values:
        check_values(body, max_values)
    try:
        # Caching keys only: values are ids and texts, seldom seen twice.
        document = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise unreadable(str(error)) from None
    # A document with fewer brackets than levels cannot be too deep.
    if body.count(b"{") + body.count(b"[") > max_depth and _levels(body) > max_depth:
        raise too_deep()
    return document


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # up and down, as signed bytes


def _levels(body: bytes) -> int:
    """How deep valid JSON text goes: brackets outside texts, summed at the speed of C."""
    steps = _STRING.sub(b"", body).translate(_STEPS, _NO_BRACKET)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def check_envelope(envelope: object) -> None:
    """Refuse what is not a request or notification by the table above.

    Raises:
        InvalidRequest: with the wrong members as violations.
        InvalidParams: parameters by position.
    """
    if not isinstance(envelope, dict):
        raise InvalidRequest("Invalid request: not an object", hint="Send one JSON-RPC 2.0 request object.")
    fields = cast("dict[str, object]", envelope)
    found: list[FieldViolation] = []
    if fields.get("jsonrpc") != "2.0":
        found.append(FieldViolation("jsonrpc", 'Input should be "2.0"'))
    if not isinstance(fields.get("method"), str):
        found.append(FieldViolation("method", "Input should be a string"))
    if isinstance(fields.get("id"), bool) or not isinstance(fields.get("id"), str | int | None):
        found.append(FieldViolation("id", "Input should be a string, an integer or null"))
    params = fields.get("params")
    if not isinstance(params, dict | list | None):
        found.append(FieldViolation("params", "Input should be an object"))
    if found:
        raise InvalidRequest(f"Invalid request: {found[0].field}: {found[0].description}", violations=found)
    if isinstance(params, list):
        raise InvalidParams.of("params", "Input should be an object", hint="Name the parameters.")


def params_of(method: str, params: Mapping[str, Any]) -> Model:
    """The typed parameters of a call.

    Raises:
        MethodNotFound: no such method.
        InvalidParams: a field is missing or wrong; `violations` names it.
    """
    cls = METHODS.get(method)
    if cls is None:
        raise MethodNotFound(f"No method {method[:100]!r}", hint=f"This agent speaks {', '.join(METHODS)}.")
    try:
        return cls.__pydantic_validator__.validate_python(params)
    except ValidationError as error:
        raise wrong_fields(error) from None


def result_bytes(id_json: bytes, payload: bytes) -> bytes:
    """The response with a result that is already encoded."""
    return b'{"jsonrpc":"2.0","id":' + id_json + b',"result":' + payload + b"}"


def error_bytes(id_json: bytes, error: A2AError) -> bytes:
    """The response with an error."""
    return b'{"jsonrpc":"2.0","id":' + id_json + b',"error":' + encode(to_rpc_error(error)) + b"}"


def call_bytes(id_json: bytes, method: str, params: bytes) -> bytes:
    """The request with parameters that are already encoded."""
    return b'{"jsonrpc":"2.0","id":%b,"method":"%b","params":%b}' % (id_json, method.encode(), params)
