"""The official clients against every adapter: what they hear is what was said."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

import pytest

from benchmarks.ours.words import TEXT
from codin import a2a
from codin.agent import as_agent
from codin.server import App
from codin.testing import serving
from tests.cli.command import ROOT, Running
from tests.interop.official_client import OfficialClient

pytestmark = pytest.mark.anyio

CREWAI = ROOT / ".frameworks" / "crewai" / "bin" / "python"
FRAMEWORKS = ["adk", "agno", "langchain", "langgraph", "openai_agents", "pydantic_ai"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_framework_is_heard_word_for_word(framework: str, official_client: OfficialClient) -> None:
    made = importlib.import_module(f"benchmarks.ours.{framework}")
    async with serving(App(as_agent(made.build()))) as url:
        await _hears(official_client.to(url))


async def test_so_is_one_in_an_environment_of_its_own(tmp_path: Path, official_client: OfficialClient) -> None:
    if not CREWAI.exists() and "CI" not in os.environ:
        pytest.skip("no .frameworks/crewai: make frameworks")
    (tmp_path / "crew.py").write_text("from benchmarks.ours.crewai import build\n\ncrew = build()\n")
    with Running("serve", "crew.py:crew", "--python", str(CREWAI), "--port", "0", cwd=tmp_path) as served:
        await _hears(official_client.to(served.serving(r"serves A2A at (http://127\.0\.0\.1:\d+/)\n")))


async def _hears(official: OfficialClient) -> None:
    async with asyncio.timeout(60):
        assert (await official.card()).skills
        task = await official.send("go")
        assert isinstance(task, a2a.Task)
        assert task.status.state is a2a.TaskState.COMPLETED
        assert a2a.text_of(task.artifacts[0].parts) == TEXT
        updates = [event.artifact_update async for event in official.stream("go") if event.artifact_update is not None]
        pieces, closing = updates[:-1], updates[-1]
        assert len(pieces) > 10
        assert [update.append for update in pieces] == [False, *[True] * (len(pieces) - 1)]
        assert "".join(a2a.text_of(update.artifact.parts) for update in pieces) == TEXT
        assert closing.last_chunk
        assert not closing.append
        assert a2a.text_of(closing.artifact.parts) == TEXT
