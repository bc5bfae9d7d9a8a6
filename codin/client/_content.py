"""What a caller may say, made into the parts of a message."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

import anyio
from pydantic import BaseModel, JsonValue

from codin import a2a

__all__ = ["Content", "FileContent", "message_of"]

Piece: TypeAlias = str | a2a.Part | Mapping[str, Any] | BaseModel
Content: TypeAlias = Piece | a2a.Message | Sequence[Piece]
FileContent: TypeAlias = str | os.PathLike[str] | a2a.Part


async def message_of(
    content: Content,
    *,
    data: JsonValue | BaseModel = None,
    files: Iterable[FileContent] = (),
    context_id: str | None = None,
    task_id: str | None = None,
    metadata: Mapping[str, JsonValue] | None = None,
) -> a2a.Message:
    """Make the message to send.

    Args:
        content: text, a part, a dict or a pydantic model (both become a data part), several of these, or a finished
            message, to which the rest is added.
        data: one more data part.
        files: files to attach: paths, which are read, or parts.
    """
    parts = [] if isinstance(content, a2a.Message) else _parts(content)
    if data is not None:
        parts.append(_data_part(data))
    for file in files:
        parts.append(file if isinstance(file, a2a.Part) else await _file_part(file))
    if isinstance(content, a2a.Message):
        return _extended(content, parts, context_id, task_id, metadata)
    return a2a.Message(
        message_id=uuid4().hex,
        role=a2a.Role.USER,
        parts=parts,
        context_id=context_id,
        task_id=task_id,
        metadata=dict(metadata) if metadata else None,
    )


def _extended(
    message: a2a.Message,
    parts: list[a2a.Part],
    context_id: str | None,
    task_id: str | None,
    metadata: Mapping[str, JsonValue] | None,
) -> a2a.Message:
    update: dict[str, object] = {}
    if parts:
        update["parts"] = [*message.parts, *parts]
    if context_id is not None:
        update["context_id"] = context_id
    if task_id is not None:
        update["task_id"] = task_id
    if metadata:
        update["metadata"] = {**(message.metadata or {}), **metadata}
    return message.model_copy(update=update) if update else message


def _parts(content: Piece | Sequence[Piece]) -> list[a2a.Part]:
    if isinstance(content, str):
        return [a2a.Part(text=content)]
    if isinstance(content, (Mapping, BaseModel)):
        return [_part(content)]
    return [_part(piece) for piece in content]


def _part(piece: Piece) -> a2a.Part:
    if isinstance(piece, str):
        return a2a.Part(text=piece)
    return piece if isinstance(piece, a2a.Part) else _data_part(piece)


def _data_part(value: JsonValue | Mapping[str, Any] | BaseModel) -> a2a.Part:
    if isinstance(value, BaseModel):
        return a2a.Part(data=value.model_dump(mode="json", by_alias=True))
    return a2a.Part(data=dict(value) if isinstance(value, Mapping) else value)


async def _file_part(path: str | os.PathLike[str]) -> a2a.Part:
    media_type, _ = mimetypes.guess_type(path)
    return a2a.Part(
        raw=await anyio.Path(path).read_bytes(),
        filename=anyio.Path(path).name,
        media_type=media_type or "application/octet-stream",
    )
