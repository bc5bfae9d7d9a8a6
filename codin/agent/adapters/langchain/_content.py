"""Parts of a message as content of a LangChain message."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._media import media_type_of
from codin.task import Reject

__all__ = ["content_of", "text_and_data"]


def content_of(parts: Sequence[a2a.Part]) -> str | list[str | dict[Any, Any]]:
    """Plain text where text is all there is, because much code reads `content` as a string; else content blocks."""
    blocks = [_block(part) for part in parts]
    if all(block["type"] == "text" for block in blocks):
        return "\n\n".join(block["text"] for block in blocks)
    return list[str | dict[Any, Any]](blocks)


def _block(part: a2a.Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "data":
        return {"type": "text", "text": to_json(part.data).decode()}
    media_type = media_type_of(part)
    if part.raw is not None and media_type.startswith("text/"):
        return {"type": "text", "text": part.raw.decode(errors="replace")}
    encoded = None if part.raw is None else base64.b64encode(part.raw).decode()
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": part.url or f"data:{media_type};base64,{encoded}"}}
    kind = "audio" if media_type.startswith("audio/") else "file"
    block = {"type": kind, "mime_type": media_type, **({"url": part.url} if encoded is None else {"base64": encoded})}
    return {**block, "filename": part.filename} if part.filename else block


def text_and_data(name: str, parts: Sequence[a2a.Part]) -> tuple[str | None, Any]:
    """The text, files with text included, and the data; None for each that is not there.

    Raises:
        Reject: another kind of file, or more than one data part; `name` is who says so.
    """
    texts: list[str] = []
    data = [part.data for part in parts if part.kind == "data"]
    for part in parts:
        if part.text is not None:
            texts.append(part.text)
        elif part.raw is not None and media_type_of(part).startswith("text/"):
            texts.append(part.raw.decode(errors="replace"))
        elif part.kind != "data":
            raise Reject(f"{name} takes no files, and got {part.filename or media_type_of(part)!r}.")
    if len(data) > 1:
        raise Reject(f"{name} takes one data part, and got {len(data)}.")
    return "\n\n".join(texts) or None, data[0] if data else None
