"""What a tool's schema accepts reaches the tool as it was said; what it refuses never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from pydantic import BaseModel, Field

from codin.errors import InvalidArguments
from codin.tool import FunctionTool, ToolExecutor, ToolSpec, tool


class Point(BaseModel):
    x: float
    y: int = 0


GOT: list[Any] = []


async def scalars(a: int, b: float = 0.5, c: bool = False, d: str = "") -> None:
    GOT.append((a, b, c, d))


async def bounded(n: Annotated[int, Field(ge=-2, lt=3)], word: Annotated[str, Field(max_length=2)] = "") -> None:
    GOT.append((n, word))


async def choices(a: Literal["x", "y", 1], b: int | str | None = None, c: list[int] | None = None) -> None:
    GOT.append((a, b, c))


async def models(a: Point, b: dict[str, int] | list[Point] = {}, c: tuple[int, str] = (0, "")) -> None:  # noqa: B006
    GOT.append((a, b, c))


# Beyond 64 bits a float is no longer the number that was written.
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
LEAVES = (
    st.none() | st.booleans() | NUMBERS | st.integers(-3, 3).map(float) | st.sampled_from(["", "x", "y", "1", "xyz"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3),
    max_leaves=5,
)


Fields = Mapping[str, st.SearchStrategy[Any]]


@st.composite
def arguments_of(draw: st.DrawFn, fields: Fields) -> dict[str, Any]:
    """Arguments that mostly fit, each left out now and then, and sometimes one of them, or one more, is anything."""
    arguments = {name: draw(values) for name, values in fields.items() if draw(st.integers(0, 9))}
    spoilt = draw(st.sampled_from([None, None, None, *fields, "unknown"]))
    return arguments if spoilt is None else {**arguments, spoilt: draw(VALUES)}


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether the validator by itself accepts a value."""
    validator: Any = validator_for(dict(schema), default=Draft202012Validator)
    return validator(dict(schema)).is_valid(value)


def reaches(executor: ToolExecutor, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a call reaches the tool; if not, it is for its arguments."""
    GOT.clear()
    try:
        asyncio.run(executor.call(name, arguments))
    except InvalidArguments:
        assert GOT == []
        return False
    assert len(GOT) == 1
    return True


WHOLE = st.integers(-4, 4) | st.integers(-4, 4).map(float)
TEXT = st.sampled_from(["", "x", "y", "xyz"])
POINT = st.fixed_dictionaries({"x": NUMBERS}, optional={"y": WHOLE, "other": VALUES})
FUNCTIONS: list[tuple[FunctionTool[..., Any], Fields]] = [
    (tool(scalars), {"a": WHOLE, "b": NUMBERS, "c": st.booleans(), "d": TEXT}),
    (tool(bounded), {"n": WHOLE, "word": TEXT}),
    (tool(choices), {"a": st.sampled_from(["x", "y", 1, 1.0]), "b": WHOLE | TEXT, "c": st.none() | st.lists(WHOLE)}),
    (
        tool(models),
        {"a": POINT, "b": st.lists(POINT) | st.dictionaries(TEXT, WHOLE), "c": st.tuples(WHOLE, TEXT).map(list)},
    ),
]


@pytest.mark.parametrize(("function", "fields"), FUNCTIONS, ids=lambda each: getattr(each, "name", ""))
@given(data=st.data())
@settings(max_examples=100)
def test_a_functions_schema_is_its_law(function: FunctionTool[..., Any], fields: Fields, data: st.DataObject) -> None:
    arguments = data.draw(arguments_of(fields))
    assert reaches(ToolExecutor([function]), function.name, arguments) is fits(function.spec.input_schema, arguments)


class Noting:
    """A tool of anybody's."""

    name = "noting"

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.spec = ToolSpec("Notes.", schema)

    async def invoke(self, **arguments: Any) -> None:
        GOT.append(arguments)


SCHEMAS: list[tuple[Mapping[str, Any], Fields]] = [
    (
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": [1, "x"]}}, "required": ["a"]},
        {"a": WHOLE, "b": st.sampled_from([1, "x", "y"])},
    ),
    (
        {"properties": {"a": {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "b": False}},
        {"a": NUMBERS},
    ),
    (
        {"properties": {"a": {"items": {"type": "string"}, "uniqueItems": True}}, "unevaluatedProperties": False},
        {"a": st.lists(TEXT)},
    ),
    (
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"items": [{"const": 1}]}}},
        {"a": st.lists(WHOLE)},
    ),
]


@pytest.mark.parametrize(("schema", "fields"), SCHEMAS, ids=range(4))
@given(data=st.data())
@settings(max_examples=100)
def test_anybodys_schema_is_its_law(schema: Mapping[str, Any], fields: Fields, data: st.DataObject) -> None:
    arguments = data.draw(arguments_of(fields))
    accepted = fits(schema, arguments)
    assert reaches(ToolExecutor([Noting(schema)]), "noting", arguments) is accepted
    if accepted:
        assert json.dumps(GOT[0], sort_keys=True) == json.dumps(arguments, sort_keys=True)
