"""base64url and JSON, as strict as signatures need them: one text for one value. RFC 7515 section 2, RFC 7493."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from typing import Any, NoReturn, cast

__all__ = ["from_base64url", "read_object", "to_base64url"]

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")  # what is not of base64url is of no base64 afterwards


def to_base64url(data: bytes) -> str:
    """Without padding."""
    return b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def from_base64url(text: str | bytes) -> bytes:
    """The bytes of a text that `to_base64url` writes.

    Raises:
        ValueError: it is not that very text: other characters, padding, or bits that belong to no byte.
    """
    ascii_text = text if isinstance(text, bytes) else text.encode("ascii")
    encoded = ascii_text.translate(_FROM_URL) + b"=" * (-len(text) % 4)
    data = a2b_base64(encoded)
    if b2a_base64(data, newline=False) != encoded:
        raise ValueError("not base64url")
    return data


def read_object(document: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is none, is not UTF-8, names a member twice, holds NaN or infinity, or is nested without end.
    """
    try:
        value = json.loads(document.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return cast("dict[str, Any]", value)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        # Readers differ in which one they take, so one of them would see what was not verified.
        raise ValueError("a name stands twice in one object")
    return members


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
