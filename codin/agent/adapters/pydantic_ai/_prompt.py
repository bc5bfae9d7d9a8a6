"""A message becomes the prompt of a run."""

from __future__ import annotations

from pydantic_ai import AudioUrl, BinaryContent, DocumentUrl, ImageUrl, UserContent, VideoUrl
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._media import media_type_of

__all__ = ["INPUT_MODES", "prompt_of"]

INPUT_MODES = ("text/plain", "application/json", "text/*", "image/*", "audio/*", "video/*", "application/pdf")

_URLS = {"image": ImageUrl, "audio": AudioUrl, "video": VideoUrl}


def prompt_of(message: a2a.Message) -> str | list[UserContent]:
    """The text of a message, or its parts when there are files among them. Data is JSON text to a model."""
    pieces = [_piece(part) for part in message.parts]
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "\n\n".join(texts) if len(texts) == len(pieces) else pieces


def _piece(part: a2a.Part) -> UserContent:
    if part.text is not None:
        return part.text
    if part.kind == "data":
        return to_json(part.data).decode()
    media_type = media_type_of(part)
    if part.raw is None:
        return _URLS.get(media_type.partition("/")[0], DocumentUrl)(part.url or "", media_type=media_type)
    if media_type.startswith("text/"):
        return part.raw.decode(errors="replace")
    return BinaryContent(part.raw, media_type=media_type)
