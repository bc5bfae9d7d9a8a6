"""Values as A2A parts and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydantic_core import from_json, to_json, to_jsonable_python

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import ArtifactEntry

__all__ = ["artifact_entry", "data_of", "data_part", "files_of", "parts_of", "question_parts"]


def data_of(message: a2a.Message) -> Any:
    """The value of the first data part; None when there is none."""
    return next((part.data for part in message.parts if part.kind == "data"), None)


def files_of(message: a2a.Message) -> Sequence[a2a.Part]:
    """The parts with bytes or a URL."""
    return [part for part in message.parts if part.kind in {"raw", "url"}]


def data_part(value: Any) -> a2a.Part:
    """A JSON value, pydantic model or dataclass as a data part."""
    return a2a.Part(data=to_jsonable_python(value, by_alias=True))


def question_parts(question: str, data: Any) -> list[a2a.Part]:
    """A readable text part, and a data part for programs when there is data."""
    parts = [a2a.Part(text=question)]
    if data is not None:
        parts.append(data_part(data))
    return parts


def parts_of(content: Any, *, media_type: str | None = None, filename: str | None = None) -> list[a2a.Part]:
    """The parts that a value is sent as: text, bytes as a file, parts as they are, anything else as data."""
    if isinstance(content, str):
        return [a2a.Part(text=content, media_type=media_type, filename=filename)]
    if isinstance(content, (bytes, bytearray)):
        return [a2a.Part(raw=bytes(content), media_type=media_type, filename=filename)]
    if isinstance(content, a2a.Part):
        return [content]
    if isinstance(content, (list, tuple)):
        items = cast("Sequence[object]", content)
        parts = [item for item in items if isinstance(item, a2a.Part)]
        if items and len(parts) == len(items):
            return parts
    return [a2a.Part(data=to_jsonable_python(content, by_alias=True), media_type=media_type, filename=filename)]


def artifact_entry(ids: bytes, artifact: a2a.Artifact, *, append: bool = False, last: bool = True) -> ArtifactEntry:
    """The entry that adds (or with `append` continues) an artifact."""
    fields = from_json(artifact.to_json())
    parts = [to_json(part) for part in fields.pop("parts")]
    return ArtifactEntry(ids, artifact.artifact_id, to_json(fields)[:-1], parts, now_ms(), append=append, last=last)
