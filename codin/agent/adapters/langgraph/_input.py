"""A message becomes the input of a graph, or is rejected with a reason a person can read."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from codin import a2a
from codin.agent.adapters._expected import expected, problem
from codin.agent.adapters._questions import object_of, parse_json
from codin.agent.adapters.langchain._content import content_of, text_and_data
from codin.agent.adapters.langgraph._shape import MESSAGES, Shape
from codin.task import Reject

__all__ = ["graph_input"]


def graph_input(shape: Shape, name: str, message: a2a.Message) -> Any:
    """What the graph is run with.

    Raises:
        Reject: the message does not fit; the reason names what is expected.
    """
    if shape.chat_in:
        return _conversation(shape, name, message)
    text, data = text_and_data(name, message.parts)
    return _state(shape, name, text, data) if shape.fields else _value(shape, name, text, data)


# -- conversations ---------------------------------------------------------------------------------------------------


def _conversation(shape: Shape, name: str, message: a2a.Message) -> Any:
    state: dict[str, Any] = {}
    spoken: list[a2a.Part] = []
    said: list[HumanMessage] = []
    for part in message.parts:
        fields = object_of(part.data)
        if fields and fields.keys() <= shape.open_fields | {MESSAGES}:
            said += _users(name, fields.get(MESSAGES, []))
            state |= _checked(shape, name, {key: value for key, value in fields.items() if key != MESSAGES})
        else:
            spoken.append(part)
    if spoken:
        said.append(HumanMessage(content_of(spoken)))
    if not shape.fields:
        return said
    return {**state, MESSAGES: said} if said else state


def _users(name: str, messages: Any) -> list[HumanMessage]:
    """The messages a caller may put in: only its own. Others would let it speak as the system or the model."""
    said: list[HumanMessage] = []
    for entry in cast("list[Any]", messages if isinstance(messages, list) else [messages]):
        item = object_of(entry)
        if item.get("role", item.get("type")) not in {"user", "human"} or not isinstance(item.get("content"), str):
            raise Reject(f'{name} takes messages of the form {{"role": "user", "content": "text"}} only.')
        said.append(HumanMessage(cast("str", item["content"])))
    return said


# -- states and values -----------------------------------------------------------------------------------------------


def _state(shape: Shape, name: str, text: str | None, data: Any) -> dict[str, Any]:
    state = data
    if text is not None:
        if data is None:
            state = parse_json(text)
        if not isinstance(state, dict) and shape.text_field is not None:
            state = {shape.text_field: text}
        elif data is not None and shape.text_field is not None and shape.text_field not in data:
            state = {**cast("dict[str, Any]", data), shape.text_field: text}
    if not isinstance(state, dict):
        raise Reject(_expected(shape, name))
    fields = cast("dict[str, Any]", state)
    if unknown := sorted(fields.keys() - shape.fields.keys()):
        raise Reject(f"{name} has no field {', '.join(map(repr, unknown))}. {_expected(shape, name)}")
    if not fields:
        raise Reject(_expected(shape, name))
    if shape.model is None:
        return _checked(shape, name, fields)
    try:
        shape.model.model_validate(fields)
    except ValidationError as error:
        raise Reject(f"{problem(error)}. {_expected(shape, name)}") from None
    return fields


def _checked(shape: Shape, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the types that the state declares. LangGraph itself checks a pydantic state only."""
    state = dict(fields)
    for field in fields.keys() & shape.checks.keys():
        try:
            state[field] = shape.checks[field].validate_python(fields[field])
        except ValidationError as error:
            inside = "." if error.errors()[0]["loc"] else ": "
            raise Reject(f"{field}{inside}{problem(error)}. {_expected(shape, name)}") from None
    return state


def _value(shape: Shape, name: str, text: str | None, data: Any) -> Any:
    """The one value of a graph without fields: the data, the text, or the text as JSON."""
    if data is None and text is not None:
        data = text
        if shape.value not in {str, Any}:
            data = parse_json(text)
    try:
        adapter = TypeAdapter[Any](shape.value)
    except PydanticUserError:
        return data
    try:
        value = adapter.validate_python(data)
    except ValidationError as error:
        raise Reject(f"{problem(error)}. {_expected(shape, name)}") from None
    return value if isinstance(value, BaseModel) or shape.value is not Any else data


def _expected(shape: Shape, name: str) -> str:
    wanted = expected(name, shape.input_schema, shape.fields)
    return wanted if shape.text_field is None else f"{wanted} Plain text is the field {shape.text_field!r}."
