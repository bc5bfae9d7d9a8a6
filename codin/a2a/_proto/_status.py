"""Errors as `google.rpc.Status`, which travels in the trailers of a call. Spec 10.6."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from codin.a2a._errors import A2AError, from_status, to_status
from codin.a2a._proto._messages import message_class

__all__ = ["STATUS_KEY", "error_of", "status_of", "words_of"]

STATUS_KEY = "grpc-status-details-bin"
# Trailers of 8 KiB pass everywhere; of those that are larger, gRPC refuses some by chance.
_MOST = 4096  # bytes of a Status, which are written in base64
_MOST_WORDS, _MOST_LETTERS = 1800, 1000  # bytes of a message as they are written, and its letters


def words_of(error: A2AError) -> str:
    """As much of an error's message as travels: it is written twice, once with three bytes for one of no ASCII."""
    room = _MOST_WORDS
    for place, letter in enumerate(error.message[:_MOST_LETTERS]):
        room -= 1 if " " <= letter <= "~" and letter != "%" else 3 * len(letter.encode(errors="replace"))
        if room < 0:
            return error.message[:place]
    return error.message[:_MOST_LETTERS]


def status_of(error: A2AError, code: int) -> bytes:
    """The bytes of an error's Status, with as many details as trailers hold.

    Args:
        code: the number of the gRPC status.
    """
    details: list[dict[str, Any]] = to_status(error)["details"]
    words = words_of(error)
    while True:
        status = message_class("Status")(code=code, message=words)
        for detail in details:
            kind = detail["@type"].rpartition(".")[2]
            packed = {key: value for key, value in detail.items() if key != "@type"}
            made = json_format.ParseDict(packed, message_class(kind)())
            status.details.add(type_url=detail["@type"], value=made.SerializeToString())
        body: bytes = status.SerializeToString()
        if len(body) <= _MOST:
            return body
        if len(details) > 1:
            details.pop()
        elif details[0]["metadata"]:
            details[0] = {**details[0], "metadata": {}}
        else:
            return body


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
