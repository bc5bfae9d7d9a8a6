"""Protocol objects as lines of JSON, in the form in which a stream carries them."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from codin import a2a

__all__ = ["Value", "line_of", "numbered_line"]

Value: TypeAlias = a2a.Task | a2a.Message | a2a.TaskStatusUpdateEvent | a2a.TaskArtifactUpdateEvent

_KEYS: dict[type[Value], str] = {
    a2a.Task: "task",
    a2a.Message: "message",
    a2a.TaskStatusUpdateEvent: "statusUpdate",
    a2a.TaskArtifactUpdateEvent: "artifactUpdate",
}


def line_of(value: Value) -> str:
    """One object as a `StreamResponse`, which is also how the answer to a send looks."""
    return json.dumps(_wrapped(value), ensure_ascii=False)


def numbered_line(value: Value, number: int | None) -> str:
    """The same with the number of the event, which the protocol carries beside the object."""
    return json.dumps({"number": number, **_wrapped(value)}, ensure_ascii=False)


def _wrapped(value: Value) -> dict[str, Any]:
    return {_KEYS[type(value)]: value.to_dict()}
