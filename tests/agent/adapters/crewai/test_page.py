"""The guide's code runs. Here, because the environment of the other pages has no CrewAI."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.anyio


async def test_the_code_of_the_guide_runs(tmp_path: Path) -> None:
    page = ROOT / "docs" / "crewai.md"
    places = {"CREWAI_STORAGE_DIR": str(tmp_path), "CODIN_RUNTIME": str(tmp_path / "runtime")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **places}
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.docs.play", str(page), cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(150):
        output, _ = await ran.communicate()
    assert ran.returncode == 0, output.decode()
