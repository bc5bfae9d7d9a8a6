"""A question of an agent as the form that MCP shows to users, and the form as the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from codin import a2a
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import question_data
from codin.client import Reply

__all__ = ["Form"]

_PRIMITIVE = frozenset({"string", "number", "integer", "boolean"})
_SHOWN = frozenset({"type", "title", "description", "enum", "default", "format", "minimum", "maximum", "minLength"})
_ALONE = "answer"


class Form:
    """The form for what a reply asks.

    Attributes:
        schema: flat and of primitive fields, as MCP wants it.
    """

    def __init__(self, reply: Reply) -> None:
        asked = object_of(question_data(reply))
        found: Any = asked.get("questions")
        questions = [object_of(each) for each in cast("list[Any]", found if isinstance(found, list) else [])]
        self._ids = [str(question.get("id")) for question in questions]
        self._whole = False
        if len(questions) > 1:
            fields = {
                str(question["id"]): {**_field(question.get("schema")), "description": str(question.get("question"))}
                for question in questions
            }
        else:
            wanted = object_of(questions[0].get("schema") if questions else asked.get("schema"))
            properties = object_of(wanted.get("properties"))
            self._whole = bool(properties) and all(_is_primitive(field) for field in properties.values())
            fields = {name: _field(field) for name, field in properties.items()}
            fields = fields if self._whole else {_ALONE: _field(wanted)}
            if self._whole:
                required: Sequence[str] = wanted.get("required", ())
                self.schema: dict[str, Any] = {"type": "object", "properties": fields, "required": list(required)}
                return
        self.schema = {"type": "object", "properties": fields, "required": list(fields)}

    def answer(self, content: Mapping[str, Any]) -> Sequence[a2a.Part]:
        """The filled form as the parts of a message."""
        if len(self._ids) > 1:
            return [a2a.Part(data=dict(content))]
        value: Any = dict(content) if self._whole else content.get(_ALONE)
        if isinstance(value, str):
            return [a2a.Part(text=value)]
        return [a2a.Part(data={self._ids[0]: value} if self._ids else value)]


def _is_primitive(schema: Any) -> bool:
    return object_of(schema).get("type") in _PRIMITIVE


def _field(schema: Any) -> dict[str, Any]:
    """A field of the form: of several types the first that a form has, and else a text."""
    fields = object_of(schema)
    options = cast("list[Any]", fields.get("anyOf", [fields]))
    found = next((object_of(option) for option in options if _is_primitive(option)), {"type": "string"})
    return {key: value for key, value in found.items() if key in _SHOWN}
