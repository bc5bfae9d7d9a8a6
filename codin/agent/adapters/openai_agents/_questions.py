"""Tool calls that need approval, as questions to the caller, and the answers as decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents import RunState, ToolApprovalItem
from codin.agent.adapters._approvals import DECISION, all_answers, call_text, decision_of
from codin.agent.adapters._questions import Question, object_of, parse_json
from codin.task import Answer

__all__ = ["decide", "questions_of"]


def questions_of(items: Sequence[ToolApprovalItem]) -> list[Question]:
    """One question for each call."""
    return [_question(item) for item in items]


def _question(item: ToolApprovalItem) -> Question:
    name = item.name or "tool"
    arguments = object_of(parse_json(item.arguments or ""))
    text = f"Approve {call_text(name, arguments)}?"
    return Question(item.call_id or name, text, {"tool": name, "args": arguments}, DECISION)


def decide(state: RunState[Any], answer: Answer) -> None:
    """Take the answer into the state that a run goes on with.

    Raises:
        Unclear: it does not say yes or no to every call. The state must not be used then.
    """
    items = state.get_interruptions()
    questions = questions_of(items)
    values = all_answers(questions, answer)
    for item, question in zip(items, questions, strict=True):
        approved, reason = decision_of(values[question.id])
        if approved:
            state.approve(item)
        else:
            state.reject(item, rejection_message=reason or None)
