"""`interrupt()` as a question to the caller."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from langgraph.types import Interrupt
from pydantic_core import to_json

from codin.agent.adapters._questions import Question, approval, json_value, object_of, parse_json, readable, relayed

__all__ = ["question_of"]


def question_of(interrupt: Interrupt[Any]) -> Question:
    """The question in an interrupt. LangGraph before 1.2 knows no `response_schema`.

    A credential is asked for by `interrupt({"question": ..., "auth": True})`.
    """
    value = json_value(interrupt.value)
    asked = object_of(value)
    if asked.keys() == {"question", "data", "auth"}:  # a remote agent's, by `node` or `tool`
        return relayed(interrupt.id, _text(value), asked["data"], auth=asked["auth"] is True)
    return Question(
        interrupt.id,
        _text(value),
        value,
        schema=object_of(getattr(interrupt, "response_schema", None)) or None,
        auth=asked.get("auth") is True,
        read=partial(_decisions, asked) if _approves_tools(asked) else None,
    )


def _approves_tools(asked: dict[str, Any]) -> bool:
    """Whether LangChain's human-in-the-loop middleware asks.

    Source: langchain.agents.middleware.human_in_the_loop, modes `batched` and `per_call`.
    """
    return isinstance(asked.get("action_requests"), list) or asked.get("type") == "tool_approval"


def _decisions(asked: dict[str, Any], text: str) -> Any:
    """Yes or no to the tools, in the form the middleware expects."""
    if parsed := object_of(parse_json(text)):
        return parsed
    approved, reason = approval(text)
    decision = {"type": "approve" if approved else "reject"}
    if not approved and reason:
        decision["message"] = reason
    requests = asked.get("action_requests")
    return {"decisions": [decision] * len(cast("list[Any]", requests))} if isinstance(requests, list) else decision


def _text(value: Any) -> str:
    requests = object_of(value).get("action_requests")
    if isinstance(requests, list):
        return "\n".join(_action(request) for request in cast("list[Any]", requests))
    return readable(value)


def _action(request: Any) -> str:
    action = object_of(request)
    described = action.get("description")
    return described if isinstance(described, str) else f"{action.get('name')}({to_json(action.get('args')).decode()})"
