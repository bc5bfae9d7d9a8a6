"""What an MCP server asks and tells while it works on a call, put to the caller of the task."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from mcp import types

from codin.agent.adapters._activity import ACTIVITY_KEY
from codin.agent.adapters._questions import Question, Unclear, answers, approval, object_of, parse_json
from codin.agent.adapters.mcp._input import mismatch
from codin.agent.adapters.mcp._session import Call
from codin.task import Task

__all__ = ["call_within", "elicit"]

_REFUSALS = frozenset({"decline", "cancel"})


def call_within(task: Task | None) -> Call:
    """A call whose questions the caller of a task is asked, and whose progress is told there.

    Outside of a task nobody answers, and nobody is told.
    """
    return Call(_declined) if task is None else Call(partial(elicit, task), partial(_tell, task))


async def _declined(params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="decline")


async def _tell(task: Task, progress: float, total: float | None, message: str | None) -> None:
    text = message or (f"{progress:g}" if total is None else f"{progress:g} of {total:g}")
    event = {"progress": progress, "total": total, "message": message}
    await task.status(text, metadata={ACTIVITY_KEY: {"event": event}})


async def elicit(task: Task, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Ask the caller what a server wants to know; a URL that somebody has to visit is asked for like a credential."""
    if isinstance(params, types.ElicitRequestURLParams):
        return await _visit(task, params)
    schema = params.requestedSchema
    question = Question("answer", params.message, None, schema, read=partial(_read, schema))
    problem = ""
    while True:
        answer = await task.ask(f"{problem}{params.message}", data={"questions": [question.to_json()]})
        try:
            return _result(schema, answers([question], answer)[question.id])
        except Unclear as unclear:
            problem = f"{unclear}\n"


async def _visit(task: Task, params: types.ElicitRequestURLParams) -> types.ElicitResult:
    text = f"{params.message}\nPlease open {params.url} and answer when you are done."
    question = Question("answer", text, {"url": params.url}, auth=True)
    answer = await task.authorize(text, data={"questions": [question.to_json()]})
    word = answer.text.strip().lower() or str(object_of(answer.data).get("action", "accept"))
    if word in {"decline", "no"}:
        return types.ElicitResult(action="decline")
    return types.ElicitResult(action="cancel" if word == "cancel" else "accept")


def _read(schema: Mapping[str, Any], text: str) -> Any:
    """Plain text: the value of the only field, all fields as JSON, or a refusal."""
    word = text.strip().lower()
    if word in _REFUSALS:
        return {"action": word}
    properties = object_of(schema.get("properties"))
    if object_of(parsed := parse_json(text)):
        return parsed
    if not properties:
        return {"action": "accept" if approval(text)[0] else "decline"}
    if len(properties) > 1:
        raise Unclear(f"Send a data part with {', '.join(properties)}, or decline.")
    ((name, field),) = properties.items()
    return {name: _value(object_of(field), text)}


def _value(field: Mapping[str, Any], text: str) -> Any:
    kind = field.get("type")
    if kind == "boolean":
        return approval(text)[0]
    if kind == "array":
        return [part.strip() for part in text.split(",")]
    if kind in {"integer", "number"}:
        parsed = parse_json(text)
        return text if parsed is None else parsed
    return text


def _result(schema: Mapping[str, Any], value: Any) -> types.ElicitResult:
    fields = object_of(value)
    if fields.keys() == {"action"} and "action" not in object_of(schema.get("properties")):
        action = fields["action"]
        if action not in {"accept", *_REFUSALS}:
            raise Unclear('The action is "accept", "decline" or "cancel".')
        return types.ElicitResult(action=action, content={} if action == "accept" else None)
    properties = object_of(schema.get("properties"))
    if not isinstance(value, dict) and len(properties) == 1:
        fields = {next(iter(properties)): value}
    if problem := mismatch(fields, schema):
        raise Unclear(f"That does not fit: {problem}.")
    return types.ElicitResult(action="accept", content=fields)
