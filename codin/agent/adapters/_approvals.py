"""Tool calls that wait for somebody's yes or no, or for what they shall give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from codin.agent.adapters._questions import Question, Unclear, answers, approval, object_of
from codin.task import Answer

__all__ = ["DECISION", "all_answers", "call_text", "decision_of"]

DECISION: Mapping[str, Any] = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {
                "approved": {"type": "boolean"},
                "message": {"type": "string", "description": "why not, for the model"},
            },
            "required": ["approved"],
        },
    ]
}
"""JSON Schema of a decision that is sent as data."""


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as a person reads it."""
    return f"{name}({', '.join(f'{key}={to_json(value).decode()}' for key, value in arguments.items())})"


def all_answers(questions: Sequence[Question], answer: Answer) -> dict[str, Any]:
    """The value for each question, by id: for frameworks that go on only when they know all of them.

    Raises:
        Unclear: one is not answered.
    """
    values = answers(questions, answer)
    if len(values) < len(questions):
        raise Unclear("Please answer all of them at once.")
    return values


def decision_of(value: Any) -> tuple[bool, str]:
    """An answer as a decision, and what was said with it: "no, too expensive", a boolean, or what `DECISION` says.

    Raises:
        Unclear: it is none.
    """
    if isinstance(value, str):
        return approval(value)
    if isinstance(value, bool):
        return value, ""
    fields = object_of(value)
    if not isinstance(fields.get("approved"), bool):
        raise Unclear('Answer "yes" or "no", or send the decision as data.')
    return fields["approved"], str(fields.get("message") or "")
