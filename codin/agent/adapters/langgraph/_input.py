"""A message becomes the input of a graph, or is rejected with a reason a person can read."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._questions import object_of, parse_json
from codin.agent.adapters.langgraph._shape import MESSAGES, Shape
from codin.task import Reject

__all__ = ["graph_input", "media_type_of"]

_SHOWN_SCHEMA = 1000  # characters of a JSON Schema that still help a reader


def graph_input(shape: Shape, name: str, message: a2a.Message) -> Any:
    """What the graph is run with.

    Raises:
        Reject: the message does not fit; the reason names what is expected.
    """
    if shape.chat_in:
        return _conversation(shape, name, message)
    text, data = _text_and_data(name, message.parts)
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
            state |= {key: value for key, value in fields.items() if key != MESSAGES}
        else:
            spoken.append(part)
    if spoken:
        said.append(HumanMessage(_content([_block(part) for part in spoken])))
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


def _content(blocks: list[dict[str, Any]]) -> str | list[str | dict[Any, Any]]:
    """Plain text where text is all there is: many nodes read `content` as a string."""
    if all(block["type"] == "text" for block in blocks):
        return "\n\n".join(block["text"] for block in blocks)
    return list[str | dict[Any, Any]](blocks)


def _block(part: a2a.Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "data":
        return {"type": "text", "text": to_json(part.data).decode()}
    media_type = media_type_of(part)
    if part.raw is not None and media_type.startswith("text/"):
        return {"type": "text", "text": part.raw.decode(errors="replace")}
    encoded = None if part.raw is None else base64.b64encode(part.raw).decode()
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": part.url or f"data:{media_type};base64,{encoded}"}}
    kind = "audio" if media_type.startswith("audio/") else "file"
    block = {"type": kind, "mime_type": media_type, **({"url": part.url} if encoded is None else {"base64": encoded})}
    return {**block, "filename": part.filename} if part.filename else block


def media_type_of(part: a2a.Part) -> str:
    """The media type of a file, guessed from its name when it is not given."""
    guessed = mimetypes.guess_type(part.filename or part.url or "")[0]
    return (part.media_type or guessed or "application/octet-stream").partition(";")[0].strip().lower()


# -- states and values -----------------------------------------------------------------------------------------------


def _text_and_data(name: str, parts: Sequence[a2a.Part]) -> tuple[str | None, Any]:
    """The text, files with text included, and the data; None for each that is not there."""
    texts: list[str] = []
    data = [part.data for part in parts if part.kind == "data"]
    for part in parts:
        if part.text is not None:
            texts.append(part.text)
        elif part.raw is not None and media_type_of(part).startswith("text/"):
            texts.append(part.raw.decode(errors="replace"))
        elif part.kind != "data":
            raise Reject(f"{name} takes no files, and got {part.filename or media_type_of(part)!r}.")
    if len(data) > 1:
        raise Reject(f"{name} takes one data part, and got {len(data)}.")
    return "\n\n".join(texts) or None, data[0] if data else None


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
    if shape.model is not None:
        try:
            shape.model.model_validate(fields)
        except ValidationError as error:
            raise Reject(f"{_problem(error)}. {_expected(shape, name)}") from None
    return fields


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
        raise Reject(f"{_problem(error)}. {_expected(shape, name)}") from None
    return value if isinstance(value, BaseModel) or shape.value is not Any else data


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _expected(shape: Shape, name: str) -> str:
    schema = shape.input_schema or {}
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    if shape.fields:
        named = ", ".join(f"{field} ({_kind(properties.get(field, {}))})" for field in shape.fields)
        wanted = f"a JSON object with the fields {named}"
    else:
        wanted = "a JSON value"
    shown = to_json(schema).decode()
    tail = f" Its schema: {shown}" if len(shown) <= _SHOWN_SCHEMA else ""
    return f"{name} takes {wanted}: send it as a data part, or as JSON text.{tail}"


def _kind(schema: Mapping[str, Any]) -> str:
    if "type" in schema:
        return str(schema["type"])
    options = cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", ()))
    return " or ".join(_kind(option) for option in options) or "object" if options or "$ref" in schema else "any"
