"""What a caller may say, made into the message that goes out.

It is built as the JSON object it becomes: for a plain text, which is what is mostly said, making and checking typed
objects first would cost more than everything else the client does before the bytes leave.
"""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any, TypeAlias

import anyio
from pydantic import BaseModel, JsonValue

from codin import a2a
from codin.errors import ConfigError

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
    reference_task_ids: Iterable[str] = (),
    metadata: Mapping[str, JsonValue] | None = None,
) -> dict[str, Any]:
    """Make the JSON object of the message to send.

    Args:
        content: text, a part, a dict or a pydantic model (both become a data part), several of these, or a finished
            message, to which the rest is added.
        data: one more data part.
        files: files to attach: paths, which are read, or parts.

    Raises:
        ConfigError: there is nothing to send.
        TypeError: `files` is one file and no list, or `reference_task_ids` one id.
    """
    _check_lists(files, reference_task_ids)
    message: dict[str, Any]
    if isinstance(content, str):
        message = {"messageId": token_hex(16), "role": "ROLE_USER", "parts": [{"text": content}]}
    elif isinstance(content, a2a.Message):
        message = content.to_dict()
    else:
        message = {"messageId": token_hex(16), "role": "ROLE_USER", "parts": _parts(content)}
    if data is not None:
        message["parts"].append(_data_part(data))
    for file in files:
        message["parts"].append(file.to_dict() if isinstance(file, a2a.Part) else await _file_part(file))
    if not message["parts"]:
        raise ConfigError("There is nothing to send.", hint="Give content, data=… or files=[…].")
    named = {"contextId": context_id, "taskId": task_id, "referenceTaskIds": [*reference_task_ids] or None}
    message |= {name: value for name, value in named.items() if value is not None}
    if metadata:
        message["metadata"] = {**message.get("metadata", {}), **metadata}
    return message


def _check_lists(files: object, reference_task_ids: object) -> None:
    if isinstance(files, (str, bytes, os.PathLike, a2a.Part)):
        raise TypeError("files= takes a list: files=[…]")
    if isinstance(reference_task_ids, str):
        raise TypeError("reference_task_ids= takes a list: reference_task_ids=[…]")


def _parts(content: a2a.Part | Mapping[str, Any] | BaseModel | Sequence[Piece]) -> list[dict[str, Any]]:
    if isinstance(content, (Mapping, BaseModel)):
        return [_part(content)]
    return [_part(piece) for piece in content]


def _part(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"text": piece}
    return piece.to_dict() if isinstance(piece, a2a.Part) else _data_part(piece)


def _data_part(value: JsonValue | Mapping[str, Any] | BaseModel) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return {"data": value.model_dump(mode="json", by_alias=True)}
    return {"data": dict(value) if isinstance(value, Mapping) else value}


async def _file_part(path: str | os.PathLike[str]) -> dict[str, Any]:
    media_type, _ = mimetypes.guess_type(path)
    return {
        "raw": base64.b64encode(await anyio.Path(path).read_bytes()).decode(),
        "filename": anyio.Path(path).name,
        "mediaType": media_type or "application/octet-stream",
    }
