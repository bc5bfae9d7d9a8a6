"""Files of an answer."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path
from typing import Any

from codin import a2a

__all__ = ["artifacts_of"]

_KINDS = {"images": "image", "videos": "video", "audio": "audio", "files": "application"}


async def artifacts_of(event: Any) -> list[a2a.Artifact]:
    """The images, videos, sounds and files of a run that is completed, each as an artifact."""
    found = [(kind, item) for name, kind in _KINDS.items() for item in getattr(event, name, None) or ()]
    if event.response_audio is not None:
        found.append(("audio", event.response_audio))
    parts = [part for kind, item in found if (part := await _part(kind, item)) is not None]
    return [
        a2a.Artifact(artifact_id=f"file-{number}", name=part.filename, parts=[part])
        for number, part in enumerate(parts, 1)
    ]


async def _part(kind: str, item: Any) -> a2a.Part | None:
    """The bytes where they are at hand, else the URL: nothing is fetched. None when there is neither."""
    path = Path(item.filepath) if getattr(item, "filepath", None) else None
    content = item.content
    if content is None and path is not None:
        content = await asyncio.to_thread(path.read_bytes)
    raw = content.encode() if isinstance(content, str) else content
    if not isinstance(raw, bytes) and not item.url:
        return None
    filename = getattr(item, "filename", None) or getattr(item, "name", None) or (path.name if path else None)
    media_type = item.mime_type or mimetypes.guess_type(filename or item.url or "")[0]
    if media_type is None and item.format:
        media_type = mimetypes.guess_type(f"x.{item.format}")[0] or f"{kind}/{item.format}"
    if isinstance(raw, bytes):
        return a2a.Part(raw=raw, media_type=media_type, filename=filename)
    return a2a.Part(url=item.url, media_type=media_type, filename=filename)
