"""Messages as ADK's content, and ADK's parts as files."""

from __future__ import annotations

from google.genai import types
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._media import media_type_of

__all__ = ["content_of", "file_of"]


def content_of(message: a2a.Message) -> types.Content:
    """The message of a user: text, JSON as text, files as they are; text files as text, which every model reads."""
    return types.Content(role="user", parts=[_part(part) for part in message.parts])


def _part(part: a2a.Part) -> types.Part:
    if part.kind == "text":
        return types.Part(text=part.text)
    if part.kind == "data":
        return types.Part(text=to_json(part.data).decode())
    media_type = media_type_of(part)
    if part.raw is None:
        return types.Part(file_data=types.FileData(file_uri=part.url, mime_type=media_type))
    if media_type.startswith("text/"):
        return types.Part(text=part.raw.decode(errors="replace"))
    return types.Part(inline_data=types.Blob(data=part.raw, mime_type=media_type, display_name=part.filename))


def file_of(part: types.Part, name: str | None) -> a2a.Part | None:
    """A part that holds or names a file; None for any other."""
    if part.inline_data is not None and part.inline_data.data is not None:
        blob = part.inline_data
        return a2a.Part(raw=blob.data, media_type=blob.mime_type, filename=name or blob.display_name)
    if part.file_data is not None and part.file_data.file_uri:
        return a2a.Part(url=part.file_data.file_uri, media_type=part.file_data.mime_type, filename=name)
    if name is not None and part.text:
        return a2a.Part(raw=part.text.encode(), media_type="text/plain", filename=name)
    return None
