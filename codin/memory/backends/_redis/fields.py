"""Metadata as Redis can find it: each value an entry that sorts as the value does.

Values are told apart no better than their beginnings are, so that what is found has still to be held against the
condition; what fits is always among it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from codin.memory._filter import Condition

__all__ = ["Span", "entries_of", "spans_of"]

_LONGEST = 100
_SIGN = 1 << 63
_WHOLE = (1 << 64) - 1


class Span(NamedTuple):
    """Where entries of a field lie, as ZRANGEBYLEX takes it."""

    field: str
    least: bytes
    most: bytes


def entries_of(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """The entries of each field; a field that is there has one at least."""
    return {
        name: list(dict.fromkeys(_entries(value))) or ["e"] for name, value in metadata.items() if value is not None
    }


def spans_of(where: Sequence[Condition]) -> list[list[Span]]:
    """For each condition that makes few of many, the spans that hold all entries of what fits."""
    found: list[list[Span]] = []
    ordered: dict[str, Span] = {}
    for key, operator, wanted in where:
        if operator in ("eq", "in"):
            values = wanted if isinstance(wanted, tuple) else (wanted,)
            entries = dict.fromkeys(entry.encode() for value in values for entry in _entries(value))
            found.append([Span(key, b"[%b\0" % entry, b"(%b\1" % entry) for entry in entries])
        elif operator == "exists" and wanted:
            found.append([Span(key, b"-", b"+")])
        elif operator in ("gt", "gte", "lt", "lte"):
            # No list is in an order, so that one value has to fit all of them.
            one, other = _ordered(key, operator, wanted), ordered.get(key)
            both = one if other is None else Span(key, max(one.least, other.least), min(one.most, other.most))
            ordered[key] = both
    return [*found, *([span] for span in ordered.values())]


def _ordered(key: str, operator: str, wanted: Any) -> Span:
    (entry,) = (entry.encode() for entry in _entries(wanted))
    kind = entry[:1]
    if operator in ("gt", "gte"):
        return Span(key, b"[" + entry, b"(%c" % (kind[0] + 1))
    return Span(key, b"[" + kind, b"(%b\1" % entry)


def _entries(value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield f"b{value:d}"
    elif isinstance(value, int | float):
        yield f"n{_sortable(float(value)):016x}"
    elif isinstance(value, str):
        yield f"s{value[:_LONGEST]}"
    elif isinstance(value, list | tuple):
        for member in cast(Sequence[Any], value):
            yield from _entries(member)


def _sortable(number: float) -> int:
    """Bits that are in the order of the numbers that they stand for; -0 is 0."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return bits ^ (_WHOLE if bits & _SIGN else _SIGN)
