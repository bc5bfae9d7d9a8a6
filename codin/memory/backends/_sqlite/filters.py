"""Conditions on metadata in SQLite's language: the keys and values of a filter are bound, never written into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from codin.memory._filter import Condition, Scalar

__all__ = ["Fitting", "condition_sql", "fitting_sql"]

_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def condition_sql(where: Sequence[Condition]) -> tuple[str, list[str | int]]:
    """What follows `WHERE …` on records as `r`, and what is bound in it."""
    sql: list[str] = []
    values: list[str | int] = []
    for condition in where:
        text, bound = _condition(condition)
        sql.append(f" AND {text}")
        values += bound
    return "".join(sql), values


def _condition(condition: Condition) -> tuple[str, list[str | int]]:
    operator, wanted = condition.operator, condition.value
    path = f'$."{condition.key}"'  # a key is letters, digits, _ . and -
    if operator == "exists":
        return f"ifnull(json_type(r.metadata, ?), 'null') {'<>' if wanted else '='} 'null'", [path]
    if operator in ("eq", "ne", "in"):
        each = [_equals(value) for value in (wanted if isinstance(wanted, tuple) else (wanted,))]
        any_of = " OR ".join(sql for sql, _ in each)
        # Of what is no list, json_each gives the one value.
        sql = f"EXISTS (SELECT 1 FROM json_each(r.metadata, ?) AS m WHERE {any_of})"
        return f"NOT {sql}" if operator == "ne" else sql, [path, *(value for _, bound in each for value in bound)]
    assert not isinstance(wanted, tuple)
    types, place, bound = _typed(wanted)
    sql = f"json_type(r.metadata, ?) IN {types} AND json_extract(r.metadata, ?) {_ORDER[operator]} {place}"
    return f"({sql})", [path, path, *bound]


def _equals(value: Scalar) -> tuple[str, list[str | int]]:
    if isinstance(value, bool):
        return f"m.type = '{str(value).lower()}'", []
    types, place, bound = _typed(value)
    return f"(m.type IN {types} AND m.value = {place})", bound


def _typed(value: Scalar) -> tuple[str, str, list[str | int]]:
    if isinstance(value, str):
        return "('text')", "?", [value]
    types = "('integer', 'real')"
    if isinstance(value, int):
        return types, "?", [value]
    # SQLite does not read every decimal as Python does. Both sides are read by it, so that equals are equal.
    return types, "CAST(? AS REAL)", [repr(value).replace("inf", "9e999")]


class Fitting(NamedTuple):
    """A query for the numbers of the records of a scope that fit a condition, or of those that do not."""

    sql: str
    bound: list[str | int]
    fits: bool


def fitting_sql(scope: int, where: Sequence[Condition]) -> list[Fitting]:
    """For each condition what fits it, or what does not, by the index of metadata."""
    return [_fitting(scope, condition) for condition in where]


def _fitting(scope: int, condition: Condition) -> Fitting:
    operator, wanted = condition.operator, condition.value
    if operator == "exists":
        sql, bound, fits = "member = 0", [], bool(wanted)
    elif operator in ("eq", "ne", "in"):
        each = [_has(value) for value in (wanted if isinstance(wanted, tuple) else (wanted,))]
        sql, bound = " OR ".join(sql for sql, _ in each), [value for _, bound in each for value in bound]
        fits = operator != "ne"
    else:
        assert not isinstance(wanted, tuple)
        sql, bound = _has(wanted, _ORDER[operator])
        sql, fits = f"{sql} AND member = 0", True
    return Fitting(
        f"SELECT record FROM fields WHERE scope = ? AND key = ? AND ({sql})", [scope, condition.key, *bound], fits
    )


def _has(value: Scalar, operator: str = "=") -> tuple[str, list[str | int]]:
    if isinstance(value, bool):
        return f"kind = '{str(value).lower()}'", []
    _, place, bound = _typed(value)
    kind = "text" if isinstance(value, str) else "number"
    return f"kind = '{kind}' AND value {operator} {place}", bound
