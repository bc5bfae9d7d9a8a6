"""The result of a tool, put into the task."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from mcp import types

from codin import a2a
from codin.agent.adapters._questions import json_value
from codin.task import AgentResponse, Task

__all__ = ["respond"]


async def respond(task: Task, result: types.CallToolResult) -> AgentResponse:
    """Text is the answer, structured content its data, everything else a file; an error fails the task."""
    texts = [block.text for block in result.content if isinstance(block, types.TextContent)]
    if result.isError:
        return AgentResponse.failed("\n".join(texts) or "The tool failed.")
    for number, text in enumerate(texts):
        await task.write(f"\n\n{text}" if number else text)
    parts = [part for block in result.content if (part := _part(block)) is not None]
    return AgentResponse.completed(data=json_value(result.structuredContent), artifacts=_artifacts(parts))


def _artifacts(parts: Sequence[a2a.Part]) -> list[a2a.Artifact]:
    return [
        a2a.Artifact(artifact_id=f"file-{number}", name=part.filename, parts=[part])
        for number, part in enumerate(parts, 1)
    ]


def _part(block: types.ContentBlock) -> a2a.Part | None:
    if isinstance(block, (types.ImageContent, types.AudioContent)):
        return a2a.Part(raw=base64.b64decode(block.data), media_type=block.mimeType)
    if isinstance(block, types.ResourceLink):
        return a2a.Part(url=str(block.uri), media_type=block.mimeType, filename=block.name)
    if isinstance(block, types.EmbeddedResource):
        return _embedded(block.resource)
    return None


def _embedded(resource: Any) -> a2a.Part:
    filename = urlsplit(str(resource.uri)).path.rpartition("/")[2] or None
    if isinstance(resource, types.BlobResourceContents):
        raw = base64.b64decode(resource.blob)
    else:
        raw = str(resource.text).encode()
    media_type = resource.mimeType or ("text/plain" if isinstance(resource, types.TextResourceContents) else None)
    return a2a.Part(raw=raw, media_type=media_type, filename=filename)
