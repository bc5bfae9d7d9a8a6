"""What an agent asks: the questions in a message, as a person reads and answers them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from codin import a2a
from codin.cli._schema import fields_of, kind_of, mapping

__all__ = ["Question", "keyed_answers", "preface", "questions_of", "told", "words_of"]

_CHOICES = ("options", "choices", "enum", "allowed_decisions")  # how agents call what may be answered
_OFFER = "one of: "  # as in `kind_of`
_YES, _NO = frozenset({"yes", "y", "true"}), frozenset({"no", "n", "false"})


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: under which its answer is expected; "" for one that is answered by the message as a whole.
        value: what the agent asks with, beside the text.
        schema: the JSON Schema of the answer; empty when any will do.
    """

    id: str
    text: str
    value: Any
    schema: dict[str, Any]

    @property
    def form(self) -> list[str]:
        """What there is to know beyond the words: what goes with the question, and the kind of answer it wants."""
        lines = sorted(_said(self.value, self.text), key=_offers)  # the choices last, where they are looked for
        if _decides(self.schema):
            return [*lines, '"yes" or "no", with a reason if there is one: "no, because …"']
        if fields := fields_of(self.schema):
            if self._one_text:
                return [*lines, f"an answer in plain text: {fields[0].name}"]
            names = ", ".join(f"{each.name} ({each.kind}{'' if each.required else ', optional'})" for each in fields)
            return [*lines, f"an answer in JSON, with {names}"]
        kind = kind_of(self.schema)
        if _offers(kind):
            return [*(line for line in lines if not _offers(line)), kind]
        if kind.startswith(("list", "object")):
            return [*lines, f"an answer in JSON: {kind}"]
        return lines if kind in {"anything", "string"} else [*lines, f"an answer of type {kind}"]

    @property
    def _one_text(self) -> bool:
        """Whether plain text is enough for an object: it has one field, a text."""
        return [field.kind for field in fields_of(self.schema)] == ["string"]

    def read(self, text: str) -> Any:
        """What was typed, as the value that is wanted."""
        kind = kind_of(self.schema)
        if self._one_text:
            return text
        if kind in {"anything", "string"} or text in _listed(self.schema.get("enum")):
            return text
        if kind == "boolean" and text.lower() in _YES | _NO:
            return text.lower() in _YES
        try:
            return json.loads(text)
        except ValueError:
            return text


def questions_of(message: a2a.Message | None) -> list[Question]:
    """The questions in a message, one at least: those that its data lists, else the one that its words are."""
    words = words_of(message)
    data = [] if message is None else [part.data for part in message.parts if part.kind == "data"]
    asked = [mapping(each) for value in data for each in _listed(mapping(value).get("questions"))]
    ids = {each["id"] for each in asked if isinstance(each.get("id"), str)}
    if len(asked) > 1 and len(ids) == len(asked):
        return [
            Question(each["id"], str(each.get("question", "")), _value(each), mapping(each.get("schema")))
            for each in asked
        ]
    if len(asked) == 1:
        return [Question("", words, _value(asked[0]), mapping(asked[0].get("schema")))]
    value = data[0] if data else None
    schema = mapping(mapping(value).get("schema"))
    if schema and mapping(value).keys() <= {"schema", "data"}:  # of `task.ask`
        value = mapping(value).get("data")
    return [Question("", words, value, schema)]


def _value(asked: dict[str, Any]) -> Any:
    """What is asked with; `data` is that of a remote agent whose question is passed on."""
    return asked.get("data") if asked.get("value") is None else asked["value"]


def preface(message: a2a.Message | None, questions: Sequence[Question]) -> str:
    """The words in front of several questions. How a program answers them, which codin's agents say next, is cut."""
    return words_of(message).partition(f"There are {len(questions)} questions.")[0].strip()


def told(message: a2a.Message | None) -> list[tuple[str, list[str]]]:
    """What an agent says or asks: each piece in words, with the lines that go with it."""
    questions = questions_of(message)
    if len(questions) == 1:
        return [(questions[0].text, questions[0].form)]
    before = preface(message, questions)
    return [*([(before, [])] if before else []), *((f"{each.id}: {each.text}", each.form) for each in questions)]


def keyed_answers(questions: Sequence[Question], given: Sequence[Any]) -> a2a.Part:
    """The answers to several questions: one data part, by id."""
    return a2a.Part(data={question.id: value for question, value in zip(questions, given, strict=True)})


def words_of(message: a2a.Message | None) -> str:
    """The text of a message."""
    return "" if message is None else a2a.text_of(message.parts)


def _decides(schema: dict[str, Any]) -> bool:
    """Whether codin's adapters for frameworks ask for a decision, which they also take in words."""
    forms = [mapping(each) for each in _listed(schema.get("anyOf"))]
    fields = [mapping(each.get("properties")).keys() for each in forms if each.get("type") != "boolean"]
    if len(forms) == 2 and len(fields) == 1:
        return fields[0] == {"approved", "message"}
    return mapping(schema.get("properties")).keys() == {"confirmed", "payload"}


def _said(value: Any, words: str, name: str = "") -> Iterator[str]:
    """What a value says that the words do not, as lines."""
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            if key not in {"id", "auth"}:
                yield from _said(each, words, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        if any(isinstance(each, (dict, list)) for each in items):
            for number, each in enumerate(items, 1):
                yield from _said(each, words, f"{name}.{number}" if name else str(number))
        elif items:
            listed = ", ".join(map(_plainly, items))
            yield f"{_OFFER}{listed}" if name.rpartition(".")[2] in _CHOICES else _named(name, listed)
    elif value is not None and not _contains(words, text := _plainly(value)):
        yield _named(name, text)


def _offers(line: str) -> bool:
    return line.startswith(_OFFER)


def _named(name: str, text: str) -> str:
    return f"{name}: {text}" if name else text


def _plainly(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _contains(words: str, text: str) -> bool:
    """Whether the words say this already, as words of their own."""
    return not text or re.search(rf"(?<!\w){re.escape(text)}(?!\w)", words) is not None


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
