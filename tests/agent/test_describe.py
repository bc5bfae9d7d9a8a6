"""What a function tells about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from codin import a2a
from codin.agent import AgentResponse, Describes, Media, Task, agent


class Order(BaseModel):
    item: str
    quantity: int = 1


class Total(BaseModel):
    total: float = Field(serialization_alias="sum")


class Opaque:
    """A type pydantic can check and JSON Schema cannot say."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: value)


async def search(query: str, limit: int = 10, task: Task | None = None) -> str:
    """Find what was written
    about something.

    Newest first.

    Args:
        query: what to look for,
            in plain words.
        limit (int): how many at most.

    Returns:
        Titles.
    """
    return query


def test_one_skill_from_name_and_docstring() -> None:
    found = agent(search)
    assert isinstance(found, Describes)
    assert found.description == "Find what was written about something."
    assert found.skills == [
        a2a.AgentSkill(id="search", name="search", description=found.description, tags=["function"])
    ]


def test_options_win() -> None:
    skill = a2a.AgentSkill(id="s", name="s", description="d", tags=[])
    found = agent(
        name="Library Search",
        description="Books.",
        tags=["books"],
        examples=["dragons"],
        version="2.1.0",
        input_modes=["text/markdown"],
        output_modes=["text/html"],
        rerunnable=True,
        closing_update=False,
        reply="message",
    )(search)
    assert (found.id, found.name, found.description, found.version) == (
        "library-search",
        "Library Search",
        "Books.",
        "2.1.0",
    )
    assert (found.skills[0].tags, found.skills[0].examples) == (["books"], ["dragons"])
    assert (found.input_modes, found.output_modes) == (["text/markdown"], ["text/html"])
    assert (found.rerunnable, found.closing_update, found.reply) == (True, False, "message")
    assert agent(id="lib", skills=[skill])(search).skills == [skill]
    assert agent(id="lib")(search).id == "lib"


def test_the_schema_of_fields_has_their_descriptions_and_defaults() -> None:
    assert agent(search).input_schema == {
        "title": "search",
        "type": "object",
        "properties": {
            "query": {"title": "Query", "type": "string", "description": "what to look for, in plain words."},
            "limit": {"title": "Limit", "type": "integer", "description": "how many at most.", "default": 10},
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_the_schema_of_a_model_is_its_own() -> None:
    @agent
    async def total(order: Order) -> Total:
        return Total(total=0)

    assert total.input_schema == Order.model_json_schema()
    assert total.output_schema == Total.model_json_schema(mode="serialization")
    assert (total.input_modes, total.output_modes) == (["application/json"], ["application/json"])


def test_an_impossible_schema_costs_nothing_but_the_schema() -> None:
    @agent
    async def odd(value: Opaque, other: int = 0) -> Opaque:
        return value

    assert odd.input_schema is None
    assert odd.output_schema is None
    assert odd.skills


def test_a_default_that_is_no_json_is_left_out() -> None:
    @agent
    async def odd(value: int = object()) -> str:  # pyright: ignore[reportArgumentType]
        return str(value)

    assert odd.input_schema is not None
    assert "default" not in odd.input_schema["properties"]["value"]


async def nothing() -> None: ...
async def words(text: str) -> str: ...  # pyright: ignore[reportReturnType]
async def both(text: str, order: Order) -> str | Order: ...  # pyright: ignore[reportReturnType]
async def anything(value: Any): ...
async def number(value: int) -> list[int]: ...  # pyright: ignore[reportReturnType]
async def picture(file: Annotated[bytes, Media("image/png"), Media("image/jpeg")]) -> bytes: ...  # pyright: ignore[reportReturnType]
async def stream(text: str, file: bytes) -> AsyncIterator[str | dict[str, int]]:
    yield text


async def outcome(task: Task) -> AgentResponse: ...  # pyright: ignore[reportReturnType]
async def unknown(text: str) -> str: ...  # pyright: ignore[reportReturnType]


unknown.__annotations__["return"] = "Nowhere"


T, J, B = "text/plain", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("function", "reads", "answers"),
    [
        (nothing, [T], [T]),
        (words, [T], [T]),
        (search, [J, T], [T]),
        (both, [T, J], [T, J]),
        (anything, [J, T], [T, J]),
        (number, [J, T], [J]),
        (picture, ["image/png", "image/jpeg"], [B]),
        (stream, [T, B], [T, J]),
        (outcome, [T], [T, J]),
        (unknown, [T], [T, J]),
    ],
)
def test_media_types_from_the_hints(function: Callable[..., Any], reads: list[str], answers: list[str]) -> None:
    found = agent(function)
    assert (list(found.input_modes), list(found.output_modes)) == (reads, answers)


def test_objects_and_partials_are_described_by_what_they_call() -> None:
    import functools

    class Greeter:
        """Greets."""

        def __call__(self, text: str) -> str:
            return text

    assert (agent(Greeter()).name, agent(Greeter()).description) == ("Greeter", "Greets.")
    assert agent(functools.partial(search, limit=3)).name == "search"
