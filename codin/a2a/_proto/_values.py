"""How many values the bytes of a message hold, counted before any of them becomes an object.

Source: the encoding of Protocol Buffers.
"""

from __future__ import annotations

from typing import Any

from codin.a2a._proto._messages import message_class
from codin.a2a._values import too_many_values

__all__ = ["check_values"]

_MAX_LEVELS = 100
"""Of messages in messages. Protocol Buffers reads no more."""

_FIXED = {1: 8, 5: 4}
_VALUE = "google.protobuf.Value"


def check_values(name: str, body: bytes, most: int) -> None:
    """See that a message of this name holds at most so many values. What is malformed is left for others to refuse.

    Raises:
        InvalidParams: it does not; the field in which the bound is reached is named.
    """
    if len(body) > most:  # a value has a byte or more
        _Count(body, most).fields(message_class(name).DESCRIPTOR, 0, len(body), "", 0)


class _Count:
    def __init__(self, body: bytes, most: int) -> None:
        self._body = body
        self._most = most
        self._left = most
        self._fields_left = 4 * most  # the member of an object is four of them: entry, key, Value and what is in it

    def fields(self, kind: Any, at: int, end: int, path: str, level: int) -> None:
        """Count what stands in one message, and in those in it."""
        body = self._body
        # Of these, what is in them is the value that they themselves are.
        is_wrapper = kind.full_name == _VALUE or kind.GetOptions().map_entry
        while at < end:
            tag, at = _varint(body, at, end)
            self._fields_left -= 1
            self._left -= not is_wrapper
            if self._left < 0 or self._fields_left < 0:
                raise too_many_values(path, self._most)
            if tag & 7 != 2:
                at = at + _FIXED[tag & 7] if tag & 7 in _FIXED else _varint(body, at, end)[1] if tag & 7 == 0 else end
                continue
            size, at = _varint(body, at, end)
            field = kind.fields_by_number.get(tag >> 3)
            if field is not None and field.message_type is not None and level < _MAX_LEVELS:
                below = path if kind.file.package == "google.protobuf" else f"{path}.{field.json_name}".lstrip(".")
                self.fields(field.message_type, at, min(at + size, end), below, level + 1)
            at += size


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends; where there is none, the end of all."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            return 0, end
        value |= (body[at] & 0x7F) << shift
        at += 1
        if body[at - 1] < 0x80:
            return value, at
    return 0, end
