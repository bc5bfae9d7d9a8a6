"""What a paused run waits for, as questions to the caller, and the answers as what Agno goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

from agno.run.agent import RunOutput
from agno.run.requirement import RunRequirement
from agno.run.team import TeamRunOutput
from pydantic_core import to_json

from codin.agent.adapters._approvals import DECISION, call_text, decision_of
from codin.agent.adapters._questions import Question, Unclear, answers, json_value, object_of, parse_json
from codin.task import Answer

__all__ = ["questions_of", "resolve", "unresolved"]

Asked: TypeAlias = tuple[Question, RunRequirement]

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def unresolved(paused: RunOutput | TeamRunOutput) -> list[RunRequirement]:
    """What is still open."""
    return [requirement for requirement in paused.requirements or () if not requirement.is_resolved()]


def questions_of(paused: RunOutput | TeamRunOutput) -> list[Asked]:
    """One question for each thing that is open, with what it is asked for."""
    return [(_question(requirement), requirement) for requirement in unresolved(paused)]


def _question(requirement: RunRequirement) -> Question:
    tool = requirement.tool_execution
    name = (tool.tool_name if tool is not None else None) or "tool"
    arguments = object_of(json_value(tool.tool_args if tool is not None else None))
    call = call_text(name, arguments)
    value: dict[str, Any] = {"kind": requirement.pause_type, "tool": name, "args": arguments}
    if requirement.member_agent_name:
        value["agent"] = requirement.member_agent_name
    if requirement.needs_user_feedback:
        return Question(str(requirement.id), _choices(requirement), value, _choice_schema(requirement))
    if requirement.needs_external_execution:
        return Question(str(requirement.id), f"Please do {call} and send the result.", value)
    if requirement.needs_user_input:
        schema = _field_schema(requirement)
        text = f"{name} needs {', '.join(_described(field) for field in _open_fields(requirement))}."
        return Question(str(requirement.id), text, value, schema, read=partial(_read_fields, requirement))
    return Question(str(requirement.id), f"Approve {call}?", value, DECISION)


# -- answers -----------------------------------------------------------------------------------------------------------


def resolve(paused: RunOutput | TeamRunOutput, asked: Sequence[Asked], answer: Answer) -> None:
    """Take an answer to all or some of what is asked into the run.

    Raises:
        Unclear: it does not say what Agno needs to know. The run must not be used then.
    """
    values = answers([question for question, _ in asked], answer)
    for question, requirement in asked:
        if question.id in values:
            _settle(requirement, values[question.id])
    decided = {tool.tool_call_id: tool for _, each in asked if (tool := each.tool_execution) is not None}
    if paused.tools:  # a run that was stored has two copies of each call, and goes on with this one
        paused.tools = [decided.get(tool.tool_call_id, tool) for tool in paused.tools]


def _settle(requirement: RunRequirement, value: Any) -> None:
    if requirement.needs_user_feedback:
        requirement.provide_user_feedback(_chosen(requirement, value))
    elif requirement.needs_external_execution:
        requirement.set_external_execution_result(value if isinstance(value, str) else to_json(value).decode())
    elif requirement.needs_user_input:
        _fill(requirement, value)
    else:
        approved, note = decision_of(value)
        if approved:
            requirement.confirm()
        else:
            requirement.reject(note or None)


# -- fields ------------------------------------------------------------------------------------------------------------


def _open_fields(requirement: RunRequirement) -> Sequence[Any]:
    """What the model has not filled in; when it has filled in everything, all of it is open to the person."""
    fields = requirement.user_input_schema or []
    return [field for field in fields if field.value is None] or fields


def _described(field: Any) -> str:
    return f"{field.name} ({field.description})" if field.description else str(field.name)


def _field_schema(requirement: RunRequirement) -> Mapping[str, Any]:
    properties: dict[str, Any] = {}
    for field in _open_fields(requirement):
        kind = _TYPES.get(field.field_type)
        described = {"description": field.description} if field.description else {}
        properties[field.name] = {**({"type": kind} if kind else {}), **described}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _read_fields(requirement: RunRequirement, text: str) -> Any:
    """Plain text is the value of the only field; of several it is their JSON."""
    parsed = parse_json(text)
    fields = _open_fields(requirement)
    if object_of(parsed) or len(fields) != 1:
        return parsed
    return {fields[0].name: text if fields[0].field_type is str or parsed is None else parsed}


def _fill(requirement: RunRequirement, value: Any) -> None:
    fields = _open_fields(requirement)
    given = object_of(value)
    if not given and len(fields) == 1:
        given = {fields[0].name: value}
    if missing := [field.name for field in fields if given.get(field.name, field.value) is None]:
        raise Unclear(f"{', '.join(missing)} is missing." if given else "Send a data part with the fields.")
    values = {field.name: given.get(field.name, field.value) for field in requirement.user_input_schema or ()}
    requirement.provide_user_input(values)


# -- choices -----------------------------------------------------------------------------------------------------------


def _choices(requirement: RunRequirement) -> str:
    lines: list[str] = []
    for question in requirement.user_feedback_schema or ():
        lines.append(question.question)
        lines += [
            f"- {option.label}: {option.description}" if option.description else f"- {option.label}"
            for option in question.options or ()
        ]
    return "\n".join(lines)


def _choice_schema(requirement: RunRequirement) -> Mapping[str, Any]:
    properties: dict[str, Any] = {}
    for question in requirement.user_feedback_schema or ():
        one = {"enum": [option.label for option in question.options or ()]} if question.options else {"type": "string"}
        properties[question.question] = {"type": "array", "items": one} if question.multi_select else one
    return {"type": "object", "properties": properties, "required": list(properties)}


def _chosen(requirement: RunRequirement, value: Any) -> dict[str, list[str]]:
    questions = requirement.user_feedback_schema or []
    given = object_of(value)
    if not given and len(questions) == 1:
        given = {questions[0].question: value}
    chosen: dict[str, list[str]] = {}
    for question in questions:
        labels = {option.label.lower(): option.label for option in question.options or ()}
        said: Any = given.get(question.question) or []
        if isinstance(said, str):
            said = said.split(",") if question.multi_select else [said]
        picked = [str(each).strip() for each in cast("list[Any]", said if isinstance(said, list) else [said])]
        if not picked or any(labels and each.lower() not in labels for each in picked):
            raise Unclear(f"Choose one of: {', '.join(labels.values())}." if labels else "Please answer all of it.")
        chosen[question.question] = [labels.get(each.lower(), each) for each in picked]
    return chosen
