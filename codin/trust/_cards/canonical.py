"""JSON in the one form that can be signed. Source: RFC 8785; ECMA-262 section 6.1.6.1.20 for numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import TypeAlias, cast

__all__ = ["canonical_json"]

_Write: TypeAlias = Callable[[str], None]
_WORDS = {None: "null", True: "true", False: "false"}
_SAFE = 2**53 - 1  # beyond it a double has no room for every integer


def canonical_json(value: object, *, max_depth: int = 64) -> bytes:
    """The canonical bytes of a JSON value.

    Args:
        value: None, booleans, numbers, text, and mappings and sequences of these.
        max_depth: objects and arrays in one another.

    Raises:
        ValueError: it has no canonical form: nested too deeply, NaN or infinity, an integer that is no double, text
            that is no Unicode, or something that is not JSON.
    """
    pieces: list[str] = []
    _write(value, pieces.append, max_depth)
    try:
        return "".join(pieces).encode()
    except UnicodeEncodeError:
        raise ValueError("text with half a surrogate pair is no Unicode") from None


def _write(value: object, write: _Write, depth: int) -> None:
    match value:
        case str():
            write(encode_basestring(value))  # which escapes exactly what RFC 8785 section 3.2.2.2 lists
        case None | bool():
            write(_WORDS[value])
        case int():
            write(_integer(value))
        case float():
            write(_number(value))
        case Mapping() | Sequence() if depth == 0:
            raise ValueError("nested too deeply")
        case Mapping():
            _write_object(cast("Mapping[object, object]", value), write, depth - 1)
        case Sequence() if not isinstance(value, bytes | bytearray):
            _write_array(cast("Sequence[object]", value), write, depth - 1)
        case _:
            raise ValueError(f"a {type(value).__name__} is not JSON")


def _write_object(members: Mapping[object, object], write: _Write, depth: int) -> None:
    between = "{"
    for name in _sorted(members):
        write(between)
        write(encode_basestring(name))
        write(":")
        _write(members[name], write, depth)
        between = ","
    write("}" if members else "{}")


def _write_array(items: Sequence[object], write: _Write, depth: int) -> None:
    between = "["
    for item in items:
        write(between)
        _write(item, write, depth)
        between = ","
    write("]" if items else "[]")


def _sorted(members: Mapping[object, object]) -> list[str]:
    """The names by their UTF-16 code units, which beyond U+FFFF is another order than Python's. RFC 8785 3.2.3."""
    names: list[str] = []
    for name in members:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r} is no text")
        names.append(name)
    if all(map(str.isascii, names)):
        return sorted(names)
    return sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _integer(value: int) -> str:
    """Every JSON number is a double, so an integer that is none would be another one for the next reader."""
    if -_SAFE <= value <= _SAFE:
        return str(int(value))
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    text = _number(double)
    if double != value and text != str(value):
        raise ValueError("an integer beyond 2^53 that is no double; write it as text")
    return text


def _number(value: float) -> str:
    """As ECMAScript writes it. Python finds the same shortest digits and only lays them out differently."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    if value == 0:
        return "0"  # also for the negative one
    _, found, exponent = Decimal(repr(abs(value))).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, found))
    point = len(digits) + exponent  # where the decimal point stands, counted from before the first digit
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return f"{sign}{digits.ljust(point, '0')}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
