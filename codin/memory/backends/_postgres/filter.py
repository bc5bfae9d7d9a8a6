"""Filters in PostgreSQL's words, every value and every name bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codin.memory._filter import Condition
from codin.memory.backends._json import json_of

__all__ = ["compiled"]

_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compiled(where: Sequence[Condition], values: list[Any]) -> str:
    """The conditions as what may follow a WHERE, on `record.metadata`; their values are added to `values`."""
    return "".join(f" AND {_compiled(condition, values)}" for condition in where)


def _compiled(condition: Condition, values: list[Any]) -> str:
    key, operator, wanted = condition
    if operator == "exists":
        there = f"coalesce(record.metadata -> {_bound(key, values)}::text, 'null') <> 'null'"
        return there if wanted else f"NOT ({there})"
    if operator in _ORDER:
        return _ordered(key, _ORDER[operator], wanted, values)
    each = wanted if isinstance(wanted, tuple) else (wanted,)
    # As a value of its own, or as a member of a list: containment, which keeps types apart and has an index.
    either = [json_of({key: form}).decode() for value in each for form in (value, [value])]
    equal = f"record.metadata @> ANY({_bound(either, values)}::jsonb[])"
    return f"NOT ({equal})" if operator == "ne" else equal


def _ordered(key: str, sign: str, wanted: Any, values: list[Any]) -> str:
    name = f"{_bound(key, values)}::text"
    if isinstance(wanted, str):
        kind, form, value = "string", 'COLLATE "C"', f"{_bound(wanted, values)}::text"
    else:
        kind, form, value = "number", "::float8", f"{_bound(float(wanted), values)}::float8"
    # CASE, because AND may look at its sides in either order, and not every text is a number.
    compared = f"(record.metadata ->> {name}) {form} {sign} {value}"
    return f"CASE WHEN jsonb_typeof(record.metadata -> {name}) = '{kind}' THEN {compared} ELSE false END"


def _bound(value: Any, values: list[Any]) -> str:
    values.append(value)
    return f"${len(values)}"
