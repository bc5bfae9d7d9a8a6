"""Filters on the metadata of records: a small language that every back-end says in its own, with values bound."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, Literal, NamedTuple, cast

from codin.errors import FilterRefused
from codin.memory._storable import storable

__all__ = ["Condition", "Filter", "Operator", "check_key", "conditions_of", "fits"]

Scalar = str | int | float | bool
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "exists"]
Filter = Mapping[str, Any]
"""`{"source": "guide.md", "page": {"gte": 3, "lt": 9}, "tag": {"in": ["a", "b"]}}`: all of it has to hold."""

_OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "exists")
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MOST = 16
_LONGEST = 1000


class Condition(NamedTuple):
    """One condition on one field of the metadata.

    A list in the metadata fits `eq` and `in` when one of its members does. A field that is not there fits `ne`, and
    `exists` with False, and nothing else. Values of different types are never equal, and never in an order.

    Args:
        value: a scalar; for `in` a tuple of them, for `exists` a boolean.
    """

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


def conditions_of(where: Filter | None) -> tuple[Condition, ...]:
    """A filter as conditions. Raises FilterRefused, which names the field."""
    if where is None:
        return ()
    if not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # it may come from a model
        raise FilterRefused("a filter is a mapping of fields to values")
    conditions: list[Condition] = []
    for key, wanted in where.items():
        check_key(key)
        if isinstance(wanted, Mapping):
            pairs = cast(Mapping[str, Any], wanted).items()
            if not pairs:
                raise FilterRefused(f"there is no condition on the field {key!r}")
        elif isinstance(wanted, list | tuple):
            pairs = [("in", cast(Sequence[Any], wanted))]
        else:
            pairs = [("eq", wanted)]
        conditions += (Condition(key, _operator(key, name), _value(key, name, value)) for name, value in pairs)
    if len(conditions) > _MOST:
        raise FilterRefused(f"a filter of {len(conditions)} conditions is too long", hint=f"{_MOST} are allowed")
    return tuple(conditions)


def check_key(key: object) -> str:
    """A name that a field of metadata may have. Raises FilterRefused."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise FilterRefused(
            f"{str(key)[:80]!r} is no name of a field of metadata",
            hint="a letter or _, then letters, digits, _ . and -, 64 at most",
        )
    return key


def fits(conditions: Sequence[Condition], metadata: Mapping[str, Any]) -> bool:
    """Whether metadata fits: for back-ends that look at each record themselves, and the rule for the others."""
    return all(_fits(condition, metadata.get(condition.key)) for condition in conditions)


def _fits(condition: Condition, value: Any) -> bool:
    operator, wanted = condition.operator, condition.value
    if operator == "exists":
        return (value is not None) is wanted
    if operator == "ne":
        return not _equals(value, wanted)
    if operator in ("eq", "in"):
        return any(_equals(value, each) for each in (wanted if isinstance(wanted, tuple) else (wanted,)))
    return _kind(value) == _kind(wanted) in ("number", "str") and _ORDER[operator](value, wanted)


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_equals(member, wanted) for member in cast(list[Any], value))
    return _kind(value) == _kind(wanted) and value == wanted


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _operator(key: str, name: Any) -> Operator:
    if name not in _OPERATORS:
        raise FilterRefused(
            f"there is no operator {str(name)[:80]!r} (field {key!r})", hint=f"one of {', '.join(_OPERATORS)}"
        )
    return name


def _value(key: str, operator: str, value: Any) -> Scalar | tuple[Scalar, ...]:
    if operator == "in":
        if not isinstance(value, list | tuple) or not 0 < len(cast(Sequence[Any], value)) <= 100:
            raise FilterRefused(f"'in' wants a list of 1 to 100 values (field {key!r})")
        return tuple(_scalar(key, each) for each in cast(Sequence[Any], value))
    if operator == "exists" and not isinstance(value, bool):
        raise FilterRefused(f"'exists' wants true or false (field {key!r})")
    if operator in _ORDER and isinstance(value, bool):
        raise FilterRefused(f"{operator!r} wants a number or a text (field {key!r})")
    return _scalar(key, value)


def _scalar(key: str, value: Any) -> Scalar:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise FilterRefused(f"a filter compares with a text, a number or a boolean (field {key!r})")
    if isinstance(value, str) and (len(value) > _LONGEST or value != storable(value)):
        raise FilterRefused(f"a text of a filter is Unicode of {_LONGEST} letters at most, without NUL (field {key!r})")
    if isinstance(value, int) and not -(2**53) <= value <= 2**53:
        raise FilterRefused(f"a number of a filter is within ±2^53 (field {key!r})")
    return value
