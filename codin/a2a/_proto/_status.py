"""Errors as `google.rpc.Status`, which travels in the trailers of a call. Spec 10.6."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from codin.a2a._errors import A2AError, from_status, to_status
from codin.a2a._proto._messages import message_class

__all__ = ["MAX_MESSAGE", "STATUS_KEY", "error_of", "status_of"]

STATUS_KEY = "grpc-status-details-bin"
_MOST = 4096  # bytes: trailers of 8 KiB pass everywhere, and these are written in base64
MAX_MESSAGE = 1000
"""Characters of an error's message that travel: it is written twice, and not in ASCII it is three times as long."""


def status_of(error: A2AError, code: int) -> bytes:
    """The bytes of an error's Status, with as many details as trailers hold.

    Args:
        code: the number of the gRPC status.
    """
    details: list[dict[str, Any]] = to_status(error)["details"]
    while True:
        status = message_class("Status")(code=code, message=error.message[:MAX_MESSAGE])
        for detail in details:
            kind = detail["@type"].rpartition(".")[2]
            packed = {key: value for key, value in detail.items() if key != "@type"}
            made = json_format.ParseDict(packed, message_class(kind)())
            status.details.add(type_url=detail["@type"], value=made.SerializeToString())
        body: bytes = status.SerializeToString()
        if len(body) <= _MOST or len(details) == 1:
            return body
        details.pop()


def error_of(body: bytes | None, name: str, words: str) -> A2AError | None:
    """The error that a Status stands for; None when it does not say which.

    Args:
        name: of the call's own status.
        words: of that status, for a Status without any.
    """
    try:
        status = message_class("Status").FromString(body or b"")
    except (ValueError, DecodeError):
        return None
    details = [each for each in map(_detail, status.details) if each is not None]
    if not any("reason" in detail for detail in details):
        return None
    return from_status({"status": name, "message": status.message or words, "details": details})


def _detail(packed: Any) -> dict[str, Any] | None:
    """One detail; None for a kind that says nothing here, and for one that is wrong in itself."""
    kind = packed.type_url.rpartition(".")[2]
    if kind not in {"ErrorInfo", "BadRequest", "RetryInfo"}:
        return None
    try:
        message = message_class(kind).FromString(packed.value)
        return {"@type": packed.type_url, **json_format.MessageToDict(message)}
    except (ValueError, DecodeError, json_format.Error):  # such as a time that is none
        return None
