"""Files that tools save and models draw."""

from __future__ import annotations

from typing import Any

import pytest
from google.adk.artifacts import InMemoryArtifactService
from google.adk.models.llm_response import LlmResponse
from google.adk.tools import ToolContext
from google.genai import types

from codin.agent.adapters.adk import adapt
from tests.agent.adapters.adk.scripted import speaker
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG"


async def draw(name: str, tool_context: ToolContext) -> str:
    """Draw a picture."""
    await tool_context.save_artifact(name, types.Part(inline_data=types.Blob(mime_type="image/png", data=PNG)))
    return "drawn"


async def note(text: str, tool_context: ToolContext) -> str:
    """Write a note."""
    await tool_context.save_artifact("note.txt", types.Part(text=text))
    return "noted"


def files(turn: Turn) -> list[Any]:
    parts = [part for artifact in turn.task.artifacts for part in artifact.parts]
    return [(part.filename, part.media_type, part.raw) for part in parts if part.raw is not None]


async def test_what_a_tool_saves_is_a_file_of_the_answer() -> None:
    turn = await Desk(adapt(speaker("c", ("draw", {"name": "cat.png"}), "Here.", tools=[draw]))).send("go")
    assert files(turn) == [("cat.png", "image/png", PNG)]
    assert turn.text == "Here."


async def test_a_file_of_the_user_has_no_prefix_in_its_name() -> None:
    turn = await Desk(adapt(speaker("c", ("draw", {"name": "user:cat.png"}), tools=[draw]))).send("go")
    assert files(turn) == [("cat.png", "image/png", PNG)]


async def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    agent = speaker("c", ("note", {"text": "one"}), ("note", {"text": "two"}), "Noted.", tools=[note])
    turn = await Desk(adapt(agent)).send("go")
    assert files(turn) == [("note.txt", "text/plain", b"two")]


async def test_files_are_kept_in_the_service_that_is_given() -> None:
    service = InMemoryArtifactService()
    agent = adapt(speaker("c", ("draw", {"name": "cat.png"}), tools=[draw]), artifact_service=service)
    await Desk(agent).send("go")
    assert len(service.artifacts) == 1


async def test_what_a_model_draws_is_a_file_of_the_answer() -> None:
    blob = types.Blob(mime_type="image/png", data=PNG)
    content = types.Content(role="model", parts=[types.Part(text="Here."), types.Part(inline_data=blob)])
    turn = await Desk(adapt(speaker("c", LlmResponse(content=content)))).send("go")
    assert files(turn) == [(None, "image/png", PNG)]
    assert turn.text == "Here."
