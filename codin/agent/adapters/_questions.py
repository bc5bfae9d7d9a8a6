"""A framework's questions as questions to the caller, and the answers as the values the framework goes on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import from_json, to_json, to_jsonable_python

from codin.task import AgentResponse, Answer

__all__ = [
    "Question",
    "Unclear",
    "answers",
    "approval",
    "ask",
    "json_value",
    "object_of",
    "parse_json",
    "readable",
    "relayed",
]

_READABLE = ("question", "message", "prompt", "text", "description", "hint", "title", "query")
_YES = frozenset({"yes", "y", "ok", "okay", "true", "approve", "approved", "accept", "confirm"})
_NO = frozenset({"no", "n", "false", "reject", "rejected", "deny", "denied", "decline"})


class Unclear(Exception):
    """An answer that does not say what the framework needs to know; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing a framework waits for.

    Args:
        id: what the framework calls it; unique among the questions asked together.
        text: what a person reads.
        value: what the framework asked with, as JSON.
        schema: JSON Schema of the answer, when the framework gave one.
        auth: a credential is asked for.
        read: plain text to the value of the answer, where the schema does not say it; raises `Unclear`.
        data: what a remote agent, whose question it is, has sent with it.
    """

    id: str
    text: str
    value: Any = None
    schema: Mapping[str, Any] | None = None
    auth: bool = False
    read: Callable[[str], Any] | None = None
    data: Any = None

    def to_json(self) -> dict[str, Any]:
        """What a program reads."""
        shown: dict[str, Any] = {"id": self.id, "question": self.text, "value": self.value}
        more = {"schema": self.schema, "data": self.data}
        return {**shown, **{name: value for name, value in more.items() if value is not None}}


def relayed(id: str, text: str, data: Any, *, auth: bool = False) -> Question:
    """A remote agent's question as one's own: the schema of its answer is found in the data that goes with it."""
    sent = object_of(data)
    listed = sent.get("questions")
    if isinstance(listed, list) and len(several := cast("list[Any]", listed)) == 1:
        asked = object_of(several[0])
        schema = object_of(asked.get("schema")) or None
        return Question(id, text, asked.get("value"), schema, auth, data=asked.get("data"))
    schema = object_of(sent.get("schema"))
    if schema and sent.keys() <= {"schema", "data"}:  # of `task.ask`
        return Question(id, text, None, schema, auth, data=sent.get("data"))
    return Question(id, text, auth=auth, data=data)


def ask(questions: Sequence[Question], token: Any, problem: str = "") -> AgentResponse:
    """The response that puts these questions to the caller.

    An answer to several may hold a credential as soon as one asks for it, so all of them are asked as such: what is
    answered to AUTH_REQUIRED is never stored.

    Args:
        token: a JSON value that `task.resume` gives back with the answer.
        problem: what was wrong with the answer before.
    """
    if len(questions) == 1:
        text = questions[0].text
    else:
        listed = "\n".join(f"- {question.id}: {question.text}" for question in questions)
        text = (
            f"There are {len(questions)} questions. Answer with a data part that maps each id to its answer.\n{listed}"
        )
    text = f"{problem}\n{text}" if problem else text
    outcome = "auth_required" if any(question.auth for question in questions) else "input_required"
    data = {"questions": [question.to_json() for question in questions]}
    return AgentResponse(outcome, text, data, token=token)


def answers(questions: Sequence[Question], answer: Answer) -> dict[str, Any]:
    """The value for each question that is answered, by id.

    Raises:
        Unclear: a lone text for several questions, an id that is not asked, or nothing at all.
    """
    asked = {question.id: question for question in questions}
    data = answer.data
    if data is None and len(questions) > 1:
        data = parse_json(answer.text)
    keyed = object_of(data)
    if keyed.keys() & asked.keys():
        if unknown := keyed.keys() - asked.keys():
            raise Unclear(f"There is no question {', '.join(sorted(unknown))}.")
        texts = {key for key, value in keyed.items() if isinstance(value, str)}
        return {key: _from_text(asked[key], value) if key in texts else value for key, value in keyed.items()}
    if len(questions) > 1:
        raise Unclear("It is not clear which question this answers.")
    question = questions[0]
    if any(part.kind == "data" for part in answer.message.parts):
        return {question.id: answer.data}
    if not answer.text:
        raise Unclear("The answer is empty.")
    return {question.id: _from_text(question, answer.text)}


def _from_text(question: Question, text: str) -> Any:
    """A plain text as the value that was asked for."""
    if question.read is not None:
        return question.read(text)
    if question.schema is None or question.schema.get("type") == "string":
        return text
    word = text.strip().lower().rstrip(".!")
    if question.schema.get("type") == "boolean" and word in _YES | _NO:
        return word in _YES
    parsed = parse_json(text)
    if (field := _only_text(question.schema)) is not None:
        return object_of(parsed) or {field: text}
    return text if parsed is None else parsed


def _only_text(schema: Mapping[str, Any]) -> str | None:
    """The only field of an object, when it is a text."""
    fields = object_of(schema.get("properties"))
    return next(iter(fields)) if [object_of(field).get("type") for field in fields.values()] == ["string"] else None


def approval(text: str) -> tuple[bool, str]:
    """A plain yes or no, and what was said after it ("no, too expensive").

    Raises:
        Unclear: it is neither.
    """
    word, _, more = text.strip().partition(" ")
    word = word.lower().rstrip(",.:!")
    if word not in _YES | _NO:
        raise Unclear('Answer "yes" or "no", or send the decision as data.')
    return word in _YES, more.strip()


def readable(value: Any) -> str:
    """What a framework asked with, as text for a person: itself, its field that reads like a question, or its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(items := cast("list[Any]", value)) == 1:
        return readable(items[0])
    asked = object_of(value)
    text = next((asked[key] for key in _READABLE if isinstance(asked.get(key), str)), None)
    return to_json(value).decode() if text is None else text


def json_value(value: Any) -> Any:
    """Any value as JSON; what JSON does not know, as its text."""
    return to_jsonable_python(value, by_alias=True, fallback=str)


def object_of(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def parse_json(text: str) -> Any:
    """The value of a JSON text; None when it is none."""
    try:
        return from_json(text)
    except ValueError:
        return None
