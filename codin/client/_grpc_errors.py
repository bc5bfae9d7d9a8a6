"""What a gRPC status stands for."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import grpc.aio

import codin.a2a._proto as proto
from codin import a2a
from codin.errors import (
    BadResponse,
    CodinError,
    ConnectError,
    DeadlineExceeded,
    ResponseTooLarge,
    TransportError,
)

__all__ = ["problem_of"]

# Of peers that give no details. Several errors share a code; this is the one that it most likely is.
_BY_CODE: Mapping[grpc.StatusCode, type[a2a.A2AError]] = {
    grpc.StatusCode.NOT_FOUND: a2a.TaskNotFound,
    grpc.StatusCode.INVALID_ARGUMENT: a2a.InvalidParams,
    grpc.StatusCode.FAILED_PRECONDITION: a2a.UnsupportedOperation,
    grpc.StatusCode.UNIMPLEMENTED: a2a.MethodNotFound,
    grpc.StatusCode.UNAUTHENTICATED: a2a.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: a2a.PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: a2a.PayloadTooLarge,
}
_UNREACHED = ("failed to connect", "DNS resolution failed", "name resolution")
_OUR_BOUND = "CLIENT: Received message larger"


def problem_of(error: grpc.aio.AioRpcError, url: str, timeout: float | None) -> CodinError:
    """The error for a call that did not end well: the peer's own, told by its ErrorInfo, or what went wrong."""
    code, words = error.code(), error.details() or ""
    trailers = error.trailing_metadata() or ()
    status = next((value for key, value in trailers if key == proto.STATUS_KEY), None)
    told = proto.error_of(status if isinstance(status, bytes) else None, code.name, words)
    if told is not None:
        return told
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{url} did not answer within {timeout or 0:g} s.")
    if code is grpc.StatusCode.UNAVAILABLE:
        unreached = any(each in words for each in _UNREACHED)
        return (ConnectError if unreached else TransportError)(f"{url} could not be reached: {words}")
    if code is grpc.StatusCode.CANCELLED:
        return TransportError(f"{url} broke the call off: {words}")
    if _OUR_BOUND in words:
        return ResponseTooLarge(f"The answer of {url} is too large: {words}")
    if code in _BY_CODE:
        return _BY_CODE[code](words)
    return BadResponse(f"{url} answered {code.name}: {words}")
