"""A process with a crew: nothing on stdout, no signal handlers, no calls to anybody, nothing in the user's home."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import start
from crewai.memory.storage.kickoff_task_outputs_storage import KickoffTaskOutputsSQLiteStorage

from codin.agent.adapters.crewai import adapt
from codin.testing import ModelServer
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("first", ["crewai", "codin.agent.adapters.crewai"])
async def test_nothing_leaves_the_process(tmp_path: Path, model: ModelServer, llm: Any, first: str) -> None:
    set_by_user = {name: value for name, value in os.environ.items() if not name.startswith(("CREWAI_", "OTEL_"))}
    environment = {**set_by_user, "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.agent.adapters.crewai.alone", model.url, first]
    ran = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(150):
        out, error = await ran.communicate()
    assert ran.returncode == 0, error.decode()
    assert out == b""


def wordy(llm: Any) -> Any:
    return crew_of(llm, crew={"verbose": True})


def loud(llm: Any) -> Any:
    class Loud(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return wordy(llm).kickoff({"q": "hello"})

    return Loud()


@pytest.mark.parametrize("make", [wordy, loud], ids=["crew", "flow"])
async def test_boxes_are_printed_only_when_wanted(capfd: pytest.CaptureFixture[str], llm: Any, make: Any) -> None:
    obj = make(llm)
    capfd.readouterr()
    assert (await Desk(adapt(obj)).send("hello")).text == "You said hello"
    assert capfd.readouterr().out == ""
    await Desk(adapt(obj, console=True)).send("hello")
    assert "hello" in capfd.readouterr().out


async def test_what_callers_say_is_in_no_file_of_crewai_s(llm: Any) -> None:
    await Desk(adapt(crew_of(llm))).send("my secret")
    assert "my secret" not in str(KickoffTaskOutputsSQLiteStorage().load())


async def test_an_agent_that_talks_a_lot_is_silent_too(capfd: pytest.CaptureFixture[str], llm: Any) -> None:
    agent = helper(llm, verbose=True)
    capfd.readouterr()
    await Desk(adapt(agent)).send("hello")
    assert capfd.readouterr().out == ""
