"""`interrupt()` as a question to the caller, and the caller's answer as the values the graph goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langgraph.types import Interrupt
from pydantic_core import from_json, to_json, to_jsonable_python

from codin.agent.adapters._langgraph_shape import object_of
from codin.task import AgentResponse, Answer

__all__ = ["Question", "Unclear", "answers", "ask", "json_value"]

_READABLE = ("question", "message", "prompt", "text", "description", "title", "query")
_YES = frozenset({"yes", "y", "ok", "okay", "true", "approve", "approved", "accept"})
_NO = frozenset({"no", "n", "false", "reject", "rejected", "deny", "denied"})


class Unclear(Exception):
    """An answer that does not say what the graph needs to know; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """A pending interrupt.

    Args:
        value: what the graph passed to `interrupt()`, as JSON.
        schema: JSON Schema of the answer, when the graph gave one.
    """

    id: str
    value: Any
    schema: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, interrupt: Interrupt[Any]) -> Question:
        """The question in an interrupt. LangGraph before 1.2 knows no `response_schema`."""
        schema = object_of(getattr(interrupt, "response_schema", None))
        return cls(interrupt.id, json_value(interrupt.value), schema or None)

    @property
    def text(self) -> str:
        """What a person reads."""
        return _readable(self.value)

    @property
    def auth(self) -> bool:
        """Whether a credential is asked for: `interrupt({"question": ..., "auth": True})`."""
        return object_of(self.value).get("auth") is True

    def to_json(self) -> dict[str, Any]:
        """What a program reads."""
        shown: dict[str, Any] = {"id": self.id, "question": self.text, "value": self.value}
        return shown if self.schema is None else {**shown, "schema": self.schema}


def json_value(value: Any) -> Any:
    """Any value as JSON; what JSON does not know, as its text."""
    return to_jsonable_python(value, by_alias=True, fallback=str)


def ask(questions: Sequence[Question], token: Any, problem: str = "") -> AgentResponse:
    """The response that puts these questions to the caller.

    An answer to several may hold a credential as soon as one asks for it, so all of them are asked as such: what is
    answered to AUTH_REQUIRED is never stored.
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
    ids = {question.id for question in questions}
    data = answer.data
    if data is None and len(questions) > 1:
        data = _json(answer.text)
    keyed = object_of(data)
    if keyed.keys() & ids:
        if unknown := keyed.keys() - ids:
            raise Unclear(f"There is no question {', '.join(sorted(unknown))}.")
        return keyed
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
    decisions = _decisions(question.value, text)
    if decisions is not None:
        return decisions
    if question.schema is None or question.schema.get("type") == "string":
        return text
    word = text.strip().lower().rstrip(".!")
    if question.schema.get("type") == "boolean" and word in _YES | _NO:
        return word in _YES
    parsed = _json(text)
    return text if parsed is None else parsed


def _decisions(value: Any, text: str) -> Any:
    """Yes or no to the tool approvals of LangChain's human-in-the-loop middleware, in the form it expects.

    Source: langchain.agents.middleware.human_in_the_loop, modes `batched` and `per_call`.
    """
    asked = object_of(value)
    requests = asked.get("action_requests")
    if not isinstance(requests, list) and asked.get("type") != "tool_approval":
        return None
    if parsed := object_of(_json(text)):
        return parsed
    word, _, reason = text.strip().partition(" ")
    word = word.lower().rstrip(",.:!")
    decision: dict[str, str] = {"type": "approve" if word in _YES else "reject"}
    if word in _NO and reason.strip():
        decision["message"] = reason.strip()
    elif word not in _YES | _NO:
        raise Unclear('Answer "yes" or "no", or send the decision as data.')
    return decision if requests is None else {"decisions": [decision] * len(cast("list[Any]", requests))}


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None


def _readable(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(items := cast("list[Any]", value)) == 1:
        return _readable(items[0])
    asked = object_of(value)
    text = next((asked[key] for key in _READABLE if isinstance(asked.get(key), str)), None)
    if text is not None:
        return text
    if isinstance(requests := asked.get("action_requests"), list):
        return "\n".join(_action(request) for request in cast("list[Any]", requests))
    return to_json(value).decode()


def _action(request: Any) -> str:
    action = object_of(request)
    described = action.get("description")
    return described if isinstance(described, str) else f"{action.get('name')}({to_json(action.get('args')).decode()})"
