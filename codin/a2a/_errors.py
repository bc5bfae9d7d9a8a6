"""The protocol's errors and their one mapping table.

Each class line is a row: JSON-RPC code, HTTP status, gRPC status, codin's own code. The `reason` of `ErrorInfo` is the
class name in capitals. `error_table()` gives the same rows to documentation and tests.

Source: A2A v1.0.1 sections 3.3.2, 5.4, 9.5, 10.6, 11.6; JSON-RPC 2.0 section 5.1; google.rpc error details.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self, cast

from codin.errors import CodinError

__all__ = [
    "A2AError",
    "ContentTypeNotSupported",
    "ErrorRow",
    "ExtendedAgentCardNotConfigured",
    "ExtensionSupportRequired",
    "FieldViolation",
    "IdempotencyConflict",
    "InternalError",
    "InvalidAgentResponse",
    "InvalidParams",
    "InvalidRequest",
    "MethodNotFound",
    "Overloaded",
    "ParseError",
    "PayloadTooLarge",
    "PermissionDenied",
    "PushNotificationNotSupported",
    "TaskNotCancelable",
    "TaskNotFound",
    "Unauthenticated",
    "UnsupportedOperation",
    "VersionNotSupported",
    "error_table",
    "from_rpc_error",
    "from_status",
    "to_rpc_error",
    "to_status",
]

ERROR_DOMAIN = "a2a-protocol.org"
_TYPES = "type.googleapis.com/google.rpc."
_ERROR_INFO, _BAD_REQUEST, _RETRY_INFO = _TYPES + "ErrorInfo", _TYPES + "BadRequest", _TYPES + "RetryInfo"

# Filled as the classes below are made. User subclasses without a row of their own are not in it.
_ROWS: list[type[A2AError]] = []


class FieldViolation(NamedTuple):
    """A wrong field: its camelCase JSON path, such as `message.parts[0].text` (empty: the whole object), and why."""

    field: str
    description: str


class ErrorRow(NamedTuple):
    """One row of the mapping table."""

    error: type[A2AError]
    rpc_code: int
    http_status: int
    grpc_status: str
    reason: str
    code: str


class A2AError(CodinError):
    """An error that travels between agents.

    Args:
        message: for the peer to read; without one, the class name in words.
        hint: what the peer can do next; travels as `metadata["hint"]` of the ErrorInfo.
        reason: narrows the class's reason, for example `TASK_BUSY` for an UnsupportedOperation.
        violations: the wrong fields, for InvalidParams and InvalidRequest.
        metadata: further strings for the ErrorInfo.
        retry_after: seconds after which a retry makes sense.
    """

    code: str = "CODIN-2000"
    rpc_code: int = -32603
    http_status: int = 500
    grpc_status: str = "UNKNOWN"
    reason: str = "A2A_ERROR"
    _words: str = "Protocol error"

    def __init_subclass__(
        cls, rpc: int | None = None, http: int = 500, grpc: str = "UNKNOWN", code: str = "", **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if rpc is None:
            return
        cls.rpc_code, cls.http_status, cls.grpc_status, cls.code = rpc, http, grpc, code
        words = re.findall(r"[A-Z][a-z]+", cls.__name__)
        cls.reason = "_".join(words).upper()
        cls._words = " ".join(words).capitalize()
        _ROWS.append(cls)

    def __init__(
        self,
        message: str = "",
        *,
        hint: str | None = None,
        reason: str | None = None,
        violations: Iterable[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message or self._words, hint=hint)
        self.reason = reason or type(self).reason
        self.violations: list[FieldViolation] = list(violations)
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after = retry_after


# fmt: off
class TaskNotFound(A2AError, rpc=-32001, http=404, grpc="NOT_FOUND", code="CODIN-2001"):
    """No such task, or not one this caller may see."""


class TaskNotCancelable(A2AError, rpc=-32002, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2002"):
    """The task has already ended."""


class PushNotificationNotSupported(A2AError, rpc=-32003, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2003"):
    """This agent does not push."""


class UnsupportedOperation(A2AError, rpc=-32004, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2004"):
    """Not possible with this agent, or not in the task's state."""


class ContentTypeNotSupported(A2AError, rpc=-32005, http=400, grpc="INVALID_ARGUMENT", code="CODIN-2005"):
    """A media type the agent does not take or give."""


class InvalidAgentResponse(A2AError, rpc=-32006, http=500, grpc="INTERNAL", code="CODIN-2006"):
    """An agent answered something that is not a protocol object."""


class ExtendedAgentCardNotConfigured(A2AError, rpc=-32007, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2007"):
    """The agent declares an extended card and has none."""


class ExtensionSupportRequired(A2AError, rpc=-32008, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2008"):
    """The agent requires an extension that the request does not name."""


class VersionNotSupported(A2AError, rpc=-32009, http=400, grpc="FAILED_PRECONDITION", code="CODIN-2009"):
    """The agent does not speak the requested protocol version."""


class ParseError(A2AError, rpc=-32700, http=400, grpc="INVALID_ARGUMENT", code="CODIN-2700"):
    """The body is not JSON, or nested too deeply."""


class InvalidRequest(A2AError, rpc=-32600, http=400, grpc="INVALID_ARGUMENT", code="CODIN-2600"):
    """The body is JSON and not a request."""


class MethodNotFound(A2AError, rpc=-32601, http=404, grpc="UNIMPLEMENTED", code="CODIN-2601"):
    """No such method."""


class InvalidParams(A2AError, rpc=-32602, http=400, grpc="INVALID_ARGUMENT", code="CODIN-2602"):
    """The method's parameters are wrong; `violations` names them."""

    @classmethod
    def of(cls, field: str, description: str, *, hint: str | None = None, reason: str | None = None) -> Self:
        """One wrong field, by its JSON path."""
        violation = FieldViolation(field, description)
        return cls(f"Invalid params: {field}: {description}", hint=hint, reason=reason, violations=[violation])


class InternalError(A2AError, rpc=-32603, http=500, grpc="INTERNAL", code="CODIN-2603"):
    """The server failed; nothing about why leaves the server."""


# codin's own, in the range JSON-RPC leaves to implementations.
class Overloaded(A2AError, rpc=-32050, http=503, grpc="UNAVAILABLE", code="CODIN-2050"):
    """A bound is reached; `retry_after` says when to come back."""


class Unauthenticated(A2AError, rpc=-32051, http=401, grpc="UNAUTHENTICATED", code="CODIN-2051"):
    """No credential, or not a valid one."""


class PermissionDenied(A2AError, rpc=-32052, http=403, grpc="PERMISSION_DENIED", code="CODIN-2052"):
    """A valid credential that does not allow this."""


class IdempotencyConflict(A2AError, rpc=-32053, http=409, grpc="ALREADY_EXISTS", code="CODIN-2053"):
    """The same idempotency key came before with other parameters."""


class PayloadTooLarge(A2AError, rpc=-32054, http=413, grpc="RESOURCE_EXHAUSTED", code="CODIN-2054"):
    """The body is larger than the server takes."""
# fmt: on


_BY_CODE = {cls.rpc_code: cls for cls in _ROWS}
_BY_REASON = {cls.reason: cls for cls in _ROWS}
_BY_STATUS: dict[str, type[A2AError]] = {
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
    "UNAVAILABLE": Overloaded,
    "UNIMPLEMENTED": MethodNotFound,
    "INTERNAL": InternalError,
}
# A reason in the protocol's domain that is not in the table narrows one that is: most likely the status's widest.
_NARROWED: dict[str, type[A2AError]] = {"INVALID_ARGUMENT": InvalidParams, "FAILED_PRECONDITION": UnsupportedOperation}


def error_table() -> list[ErrorRow]:
    """Every protocol error with its mapping, in the order of the specification."""
    return [ErrorRow(cls, cls.rpc_code, cls.http_status, cls.grpc_status, cls.reason, cls.code) for cls in _ROWS]


def to_rpc_error(error: A2AError) -> dict[str, Any]:
    """The JSON-RPC error object."""
    return {"code": error.rpc_code, "message": error.message, "data": _details_of(error)}


def to_status(error: A2AError) -> dict[str, Any]:
    """The `google.rpc.Status` as HTTP+JSON carries it in the member `error`. Spec 11.6."""
    return {
        "code": error.http_status,
        "status": error.grpc_status,
        "message": error.message,
        "details": _details_of(error),
    }


def _details_of(error: A2AError) -> list[dict[str, Any]]:
    """ErrorInfo always first, then what else is known."""
    metadata = {**error.metadata, "hint": error.hint} if error.hint else error.metadata
    details: list[dict[str, Any]] = [
        {"@type": _ERROR_INFO, "reason": error.reason, "domain": ERROR_DOMAIN, "metadata": metadata}
    ]
    if error.violations:
        fields = [{"field": field, "description": text} for field, text in error.violations]
        details.append({"@type": _BAD_REQUEST, "fieldViolations": fields})
    if error.retry_after is not None:
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{error.retry_after:.9g}s"})
    return details


def from_rpc_error(error: Mapping[str, Any]) -> A2AError:
    """The exception a peer's JSON-RPC error object stands for.

    The class comes from the `reason`, then from the code, because several errors may share a code in other bindings;
    what is neither known comes as plain A2AError that keeps the peer's code. Never fails, whatever the peer sent.
    """
    code = error.get("code")
    made = _made(error, error.get("data"), _BY_CODE.get(code) if isinstance(code, int) else None)
    if type(made) is A2AError and isinstance(code, int):
        made.rpc_code = code
    return made


def from_status(status: Mapping[str, Any]) -> A2AError:
    """The exception a peer's `google.rpc.Status` stands for.

    Args:
        status: `status` is the name of the gRPC status; `code` the HTTP status, or the number of the gRPC one.

    The class comes from the `reason`, because six errors share one status; without one, from a status that only one
    error has. What is neither known comes as plain A2AError that keeps the peer's statuses. Never fails.
    """
    name, code = status.get("status"), status.get("code")
    known = str(name)
    made = _made(status, status.get("details"), _BY_STATUS.get(known), _NARROWED.get(known))
    if type(made) is A2AError:
        made.grpc_status = name if isinstance(name, str) else made.grpc_status
        made.http_status = code if isinstance(code, int) and 400 <= code < 600 else made.http_status
    return made


def _made(
    error: Mapping[str, Any], data: object, otherwise: type[A2AError] | None, narrowed: type[A2AError] | None = None
) -> A2AError:
    """The exception for what the details tell; its class is `otherwise` where they name no reason that is known, and
    without that `narrowed`, where they name any in the protocol's domain."""
    details = _details(data)
    info = details.get(_ERROR_INFO, {})
    reason, message = info.get("reason"), error.get("message")
    metadata = _strings(info.get("metadata"))
    found = None
    if isinstance(reason, str) and info.get("domain") == ERROR_DOMAIN:
        found = _BY_REASON.get(reason) or otherwise or narrowed
    return (found or otherwise or A2AError)(
        message if isinstance(message, str) else "",
        hint=metadata.pop("hint", None),
        reason=reason if isinstance(reason, str) and reason else None,
        violations=_violations(details.get(_BAD_REQUEST, {}).get("fieldViolations")),
        metadata=metadata,
        retry_after=_seconds(details.get(_RETRY_INFO, {}).get("retryDelay")),
    )


def _details(data: object) -> dict[str, dict[str, Any]]:
    """The detail objects by type; a single object instead of a list is taken too."""
    items = cast("Sequence[object]", data if isinstance(data, list) else [data])
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        if isinstance(item, dict):
            detail = cast("dict[str, Any]", item)
            found.setdefault(str(detail.get("@type")), detail)
    return found


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(k): v if isinstance(v, str) else str(v) for k, v in cast("dict[Any, Any]", value).items()}


def _violations(value: object) -> list[FieldViolation]:
    if not isinstance(value, list):
        return []
    found = (_strings(item) for item in cast("list[object]", value))
    return [FieldViolation(each.get("field", ""), each.get("description", "")) for each in found if each]


def _seconds(value: object) -> float | None:
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)s", value) if isinstance(value, str) else None
    return float(match[1]) if match else None
