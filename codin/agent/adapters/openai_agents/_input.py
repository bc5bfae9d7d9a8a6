"""A message becomes the input of a run."""

from __future__ import annotations

import base64
from typing import Any

from pydantic_core import to_json

from agents import TResponseInputItem
from codin import a2a
from codin.agent.adapters._media import media_type_of

__all__ = ["INPUT_MODES", "input_of"]

INPUT_MODES = ("text/plain", "application/json", "text/*", "image/*", "audio/*", "application/pdf")


def input_of(message: a2a.Message) -> TResponseInputItem:
    """A message of the user: text where text is all there is, else content parts. Data is JSON text to a model."""
    blocks = [_block(part) for part in message.parts]
    texts = [block["text"] for block in blocks if block["type"] == "input_text"]
    content: Any = "\n\n".join(texts) if len(texts) == len(blocks) else blocks
    return {"role": "user", "content": content}


def _block(part: a2a.Part) -> dict[str, Any]:
    if part.text is not None:
        return {"type": "input_text", "text": part.text}
    if part.kind == "data":
        return {"type": "input_text", "text": to_json(part.data).decode()}
    media_type = media_type_of(part)
    kind, _, subtype = media_type.partition("/")
    if part.raw is None:
        if kind == "image":
            return {"type": "input_image", "image_url": part.url, "detail": "auto"}
        return {"type": "input_file", "file_url": part.url}
    if kind == "text":
        return {"type": "input_text", "text": part.raw.decode(errors="replace")}
    encoded = base64.b64encode(part.raw).decode()
    if kind == "image":
        return {"type": "input_image", "image_url": f"data:{media_type};base64,{encoded}", "detail": "auto"}
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": subtype.removeprefix("x-")}}
    return {
        "type": "input_file",
        "file_data": f"data:{media_type};base64,{encoded}",
        "filename": part.filename or f"file.{subtype}",
    }
