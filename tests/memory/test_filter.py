"""Filters: what they mean, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from codin.errors import FilterRefused
from codin.memory import Condition, conditions_of, fits


@pytest.mark.parametrize(
    ("where", "conditions"),
    [
        (None, []),
        ({}, []),
        ({"a": 1}, [("a", "eq", 1)]),
        ({"a": ["x", "y"]}, [("a", "in", ("x", "y"))]),
        ({"a": {"gte": 1, "lt": 2}, "b": True}, [("a", "gte", 1), ("a", "lt", 2), ("b", "eq", True)]),
        ({"a": {"exists": False}}, [("a", "exists", False)]),
        ({"a.b-c_d": ""}, [("a.b-c_d", "eq", "")]),
    ],
)
def test_a_filter_is_these_conditions(where: Any, conditions: list[tuple[str, str, Any]]) -> None:
    assert list(conditions_of(where)) == [Condition(*one) for one in conditions]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ({"": 1}, "name of a field"),
        ({"a b": 1}, "'a b'"),
        ({"a'; DROP TABLE records; --": 1}, "DROP TABLE"),
        ({"$where": 1}, "'\\$where'"),
        ({"1a": 1}, "'1a'"),
        ({"ä": 1}, "'ä'"),
        ({"a" * 65: 1}, "name of a field"),
        ({"a\n": 1}, "name of a field"),
        ({1: 1}, "'1'"),
        ({"page": {"like": "x"}}, "'like'.*'page'"),
        ({"page": {"$gt": 1}}, "'\\$gt'.*'page'"),
        ({"page": {"in": "abc"}}, "'in'.*'page'"),
        ({"page": []}, "'in'.*'page'"),
        ({"page": {"in": list(range(101))}}, "'in'.*'page'"),
        ({"page": {"in": [1, None]}}, "'page'"),
        ({"page": {"exists": 1}}, "'exists'.*'page'"),
        ({"page": {"gt": True}}, "'gt'.*'page'"),
        ({"page": None}, "'page'"),
        ({"page": {"eq": {"a": 1}}}, "'page'"),
        ({"page": float("nan")}, "'page'"),
        ({"page": "x" * 1001}, "'page'"),
        ({"page": "a\x00b"}, "'page'"),
        ({"page": 2**53 + 1}, "'page'"),
        ({f"k{number}": 1 for number in range(17)}, "17 conditions"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_filter_is_refused_and_the_field_named(where: Any, named: str) -> None:
    with pytest.raises(FilterRefused, match=named):
        conditions_of(where)


def test_a_refusal_is_short_whatever_was_given() -> None:
    with pytest.raises(FilterRefused) as caught:
        conditions_of({"x" * 100_000: 1})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("where", "metadata", "is_met"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": "x"}, {"a": ["y", "x"]}, True),
        ({"a": ["x", 1]}, {"a": 1}, True),
        ({"a": {"ne": "x"}}, {}, True),
        ({"a": {"ne": "x"}}, {"a": ["x"]}, False),
        ({"a": {"gt": 1}}, {"a": "2"}, False),
        ({"a": {"gt": 1}}, {"a": True}, False),
        ({"a": {"gte": "b"}}, {"a": "b"}, True),
        ({"a": {"lt": 1}}, {}, False),
        ({"a": {"exists": True}}, {"a": []}, True),
        ({"a": {"exists": False}}, {"a": 0}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
    ],
)
def test_metadata_fits_or_not(where: dict[str, Any], metadata: dict[str, Any], is_met: bool) -> None:
    assert fits(conditions_of(where), metadata) is is_met
