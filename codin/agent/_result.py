"""What a function returns or yields, as what a task takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydantic_core import to_jsonable_python

from codin import a2a
from codin.task import AgentResponse, Task
from codin.tool._hints import Media

__all__ = ["Unsendable", "message_of", "response_of", "stream_item"]

_FILE = Media("application/octet-stream")


class Unsendable(Exception):
    """A value that is neither JSON nor a part; the text says why."""


def response_of(value: Any, media: Media | None) -> AgentResponse:
    """The outcome that a returned value means. Raises Unsendable."""
    if type(value) is str:
        return AgentResponse.completed(value)
    if isinstance(value, AgentResponse):
        return value
    if value is None:
        return AgentResponse.completed()
    artifacts = _artifacts_of(value, media)
    if artifacts is None:
        data = _jsonable(value)
        return AgentResponse.completed(data) if isinstance(data, str) else AgentResponse.completed(data=data)
    made = [
        content if isinstance(content, a2a.Artifact) else a2a.Artifact(artifact_id=f"result-{number}", parts=content)
        for number, content in enumerate(artifacts, 1)
    ]
    return AgentResponse.completed(artifacts=made)


def message_of(value: Any, media: Media | None) -> AgentResponse:
    """The same for an agent that answers with a message. Raises Unsendable."""
    if isinstance(value, AgentResponse):
        return value
    if isinstance(value, a2a.Message):
        return AgentResponse.message(value.parts)
    if isinstance(value, str):
        return AgentResponse.message(value)
    artifacts = _artifacts_of(value, media)
    if artifacts is None:
        return AgentResponse.message([a2a.Part(data=_jsonable(value))])
    return AgentResponse.message(
        [part for content in artifacts for part in (content.parts if isinstance(content, a2a.Artifact) else content)]
    )


async def stream_item(task: Task, item: Any, media: Media | None) -> AgentResponse | None:
    """Put a yielded value into the task; a yielded response is given back, because it ends the run.

    Raises:
        Unsendable: the value cannot be sent.
    """
    if isinstance(item, str):
        await task.write(item)
    elif isinstance(item, AgentResponse):
        return item
    elif item is not None:
        artifacts = _artifacts_of(item, media)
        if artifacts is None:
            await task.artifact([a2a.Part(data=_jsonable(item))])
        for content in artifacts or ():
            await _send(task, content)
    return None


async def _send(task: Task, content: a2a.Artifact | list[a2a.Part]) -> None:
    if not isinstance(content, a2a.Artifact):
        await task.artifact(content)
        return
    await task.artifact(
        content.parts,
        name=content.name,
        description=content.description,
        metadata=content.metadata,
        artifact_id=content.artifact_id,
    )


def _artifacts_of(value: Any, media: Media | None) -> Sequence[a2a.Artifact | list[a2a.Part]] | None:
    """Files, parts and artifacts as the artifacts they make; None for a plain value.

    In a list, artifacts stay artifacts, and everything beside them is the parts of one.
    """
    if isinstance(value, a2a.Artifact):
        return [value]
    if isinstance(value, _PIECES):
        return [[_part_of(cast("object", value), media)]]
    if not isinstance(value, (list, tuple)):
        return None
    items = cast("Sequence[object]", value)
    if not any(isinstance(item, (*_PIECES, a2a.Artifact)) for item in items):
        return None
    parts = [_part_of(item, media) for item in items if not isinstance(item, a2a.Artifact)]
    kept = [item for item in items if isinstance(item, a2a.Artifact)]
    return [parts, *kept] if parts else kept


_BYTES = (bytes, bytearray, memoryview)
_PIECES = (*_BYTES, a2a.Part)


def _part_of(value: Any, media: Media | None) -> a2a.Part:
    if isinstance(value, a2a.Part):
        return value
    if isinstance(value, _BYTES):
        file = media or _FILE
        return a2a.Part(raw=bytes(cast("bytes", value)), media_type=file.type, filename=file.filename)
    if isinstance(value, str):
        return a2a.Part(text=value)
    return a2a.Part(data=_jsonable(value))


def _jsonable(value: Any) -> Any:
    if isinstance(value, (a2a.Message, a2a.Task)):
        hint = "a message needs reply='message'" if isinstance(value, a2a.Message) else "return its parts"
        raise Unsendable(f"the agent returned an a2a.{type(value).__name__}; {hint}")
    try:
        return to_jsonable_python(value, by_alias=True)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise Unsendable(f"the agent returned {type(value).__name__!r}, which is not JSON: {reason}") from None
