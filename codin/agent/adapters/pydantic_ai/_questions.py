"""Tool calls that wait for somebody, as questions to the caller, and the answers as their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolCallPart, ToolDenied

from codin.agent.adapters._approvals import DECISION, all_answers, call_text, decision_of
from codin.agent.adapters._questions import Question, json_value, object_of, readable, relayed
from codin.agent.adapters.pydantic_ai._remote import ANSWER, place_of
from codin.task import Answer

__all__ = ["REQUESTS", "questions_of", "results_of"]

REQUESTS = TypeAdapter(DeferredToolRequests)
"""To JSON and back."""


def questions_of(requests: DeferredToolRequests) -> list[Question]:
    """One question for each call."""
    approvals = [_approval(call, requests.metadata.get(call.tool_call_id, {})) for call in requests.approvals]
    return approvals + [_result(call, requests) for call in requests.calls]


def _approval(call: ToolCallPart, metadata: Mapping[str, Any]) -> Question:
    if (place := place_of(metadata)) is not None:
        return relayed(call.tool_call_id, place.question, place.data, auth=place.auth)
    text = readable({**metadata, "query": f"Approve {_shown(call)}?"})
    if _wants_credential(metadata):
        return Question(call.tool_call_id, text, _value(call, metadata), auth=True)
    return Question(call.tool_call_id, text, _value(call, metadata), DECISION)


def _wants_credential(metadata: Mapping[str, Any]) -> bool:
    """Whether a tool has said so: `raise ApprovalRequired({"question": "Your key?", "auth": True})`."""
    return metadata.get("auth") is True


def _result(call: ToolCallPart, requests: DeferredToolRequests) -> Question:
    metadata = requests.metadata.get(call.tool_call_id, {})
    asked = call.args_as_dict() if requests.kind(call.tool_call_id) == "question" else {}
    text = readable({"query": f"What is the result of {_shown(call)}?", **asked, **metadata})
    return Question(call.tool_call_id, text, _value(call, metadata))


def _shown(call: ToolCallPart) -> str:
    return call_text(call.tool_name, call.args_as_dict())


def _value(call: ToolCallPart, metadata: Mapping[str, Any]) -> dict[str, Any]:
    value = {"tool": call.tool_name, "args": call.args_as_dict()}
    return {**value, "metadata": json_value(metadata)} if metadata else value


def results_of(requests: DeferredToolRequests, answer: Answer) -> DeferredToolResults:
    """What the run goes on with.

    Raises:
        Unclear: it does not answer every question, or does not say what is needed.
    """
    values = all_answers(questions_of(requests), answer)
    results = DeferredToolResults()
    for call in requests.approvals:
        key = call.tool_call_id
        metadata = requests.metadata.get(key, {})
        if place_of(metadata) is not None or _wants_credential(metadata):
            # The metadata is in no message, so a credential does not reach the model.
            results.approvals[key] = True
            results.metadata[key] = {**metadata, ANSWER: values[key]}
        else:
            results.approvals[key] = _decision(values[key])
            results.metadata[key] = dict(metadata)
    results.calls = {call.tool_call_id: values[call.tool_call_id] for call in requests.calls}
    return results


def _decision(value: Any) -> ToolApproved | ToolDenied:
    """A decision; as data it may name other arguments, in `override_args`."""
    approved, reason = decision_of(value)
    if approved:
        return ToolApproved(override_args=object_of(object_of(value).get("override_args")) or None)
    return ToolDenied(reason) if reason else ToolDenied()
