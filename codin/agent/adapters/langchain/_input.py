"""A message becomes the input of a runnable, or is rejected with a reason a person can read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import ValidationError

from codin import a2a
from codin.agent.adapters._expected import expected, problem
from codin.agent.adapters._questions import object_of, parse_json
from codin.agent.adapters.langchain._content import content_of, text_and_data
from codin.agent.adapters.langchain._shape import MESSAGES, Taken
from codin.task import Reject

__all__ = ["runnable_input"]

_SPEAKERS: dict[str, type[BaseMessage]] = {
    "user": HumanMessage,
    "human": HumanMessage,
    "assistant": AIMessage,
    "ai": AIMessage,
}


def runnable_input(taken: Taken, name: str, message: a2a.Message) -> Any:
    """What the runnable is run with.

    Raises:
        Reject: the message does not fit; the reason names what is expected.
    """
    if taken.chat:
        said = _spoken(name, message, MESSAGES, {MESSAGES}).get(MESSAGES, [])
        if not said:
            raise Reject(f"{name} takes text, and got none.")
        alone = said[0].content if len(said) == 1 else None
        return alone if taken.plain and isinstance(alone, str) else said
    if taken.text_field is not None and taken.speaks:
        return _fit(taken, name, _spoken(name, message, taken.text_field, set(taken.fields)))
    text, data = text_and_data(name, message.parts)
    given = (_fields if taken.fields or taken.text_field else _value)(taken, name, text, data)
    return _fit(taken, name, given)


def _spoken(name: str, message: a2a.Message, field: str, fields: Collection[str]) -> dict[str, Any]:
    """The fields that are given as data, and everything else as what the user says."""
    given: dict[str, Any] = {}
    spoken: list[a2a.Part] = []
    for part in message.parts:
        data = object_of(part.data)
        if data and data.keys() <= set(fields):
            given |= data
        else:
            spoken.append(part)
    said = _messages(name, given.pop(field, []))
    if spoken:
        said.append(HumanMessage(content_of(spoken)))
    return {**given, field: said} if said else given


def _fields(taken: Taken, name: str, text: str | None, data: Any) -> Any:
    if text is None:
        return data
    if data is None:
        data = parse_json(text)
        if isinstance(data, dict) or taken.text_field is None:
            return cast("Any", data)
        return {taken.text_field: text}
    if taken.text_field is None or not isinstance(data, dict) or taken.text_field in data:
        raise Reject(f"{name} takes data or text, and got both. {_expected(taken, name)}")
    return {**cast("dict[str, Any]", data), taken.text_field: text}


def _value(taken: Taken, name: str, text: str | None, data: Any) -> Any:
    if text is None:
        return data
    if data is not None:
        raise Reject(f"{name} takes data or text, and got both.")
    return text if taken.takes_text else parse_json(text)


def _fit(taken: Taken, name: str, given: Any) -> Any:
    for field in taken.message_fields & object_of(given).keys():
        if not isinstance(given[field], str):
            given = {**given, field: _messages(name, given[field])}
    try:
        return taken.fit(given)
    except ValidationError as error:
        raise Reject(f"{problem(error)}. {_expected(taken, name)}") from None


def _expected(taken: Taken, name: str) -> str:
    return expected(name, taken.schema, taken.fields)


def _messages(name: str, given: Any) -> list[BaseMessage]:
    """A conversation that the caller tells. It may not speak as the system or as a tool."""
    said: list[BaseMessage] = []
    for entry in cast("list[Any]", given if isinstance(given, list) else [given]):
        if isinstance(entry, BaseMessage):
            said.append(entry)
            continue
        fields = object_of(entry)
        speaker, content = _SPEAKERS.get(str(fields.get("role", fields.get("type")))), fields.get("content")
        if speaker is None or not isinstance(content, str):
            raise Reject(
                f'{name} takes messages of the form {{"role": "user", "content": "text"}}, from "user" or "assistant".'
            )
        said.append(speaker(content=content))
    return said
