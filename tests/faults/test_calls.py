"""A plain call ends with its caller, also when that is killed with SIGKILL."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from codin import a2a, connect
from codin.agent import agent
from codin.server import App
from codin.task import Task
from tests.server.process import running
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PROGRAM = "tests.faults.calling"


class Called:
    """An agent that does not answer the first message of each caller.

    Attributes:
        working: a message has come, by its text.
        stopped: its task was canceled.
    """

    def __init__(self) -> None:
        self.working = {"steady": asyncio.Event(), "again": asyncio.Event()}
        self.stopped = {"steady": asyncio.Event(), "again": asyncio.Event()}
        self.app = App(agent(self.answer))

    async def answer(self, text: str, task: Task) -> str:
        """Work for ever, the first time."""
        if self.working[text].is_set():
            return "done"
        self.working[text].set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped[text].set()
        raise AssertionError


async def test_what_a_killed_process_was_waiting_for_is_canceled_after_the_restart(tmp_path: Path) -> None:
    called, store = Called(), f"sqlite:///{tmp_path / 'tasks.db'}"
    async with asyncio.timeout(60), listening(called.app) as there, connect(there.url) as child:
        async with running(PROGRAM, store=store) as process:
            begun: dict[str, str] = {}
            for name in called.working:
                async with connect(f"{process.url}/{name}") as peer:
                    begun[name] = (await peer.send(there.url, wait=False)).task_id or ""
            await asyncio.gather(*(each.wait() for each in called.working.values()))
            process.send(signal.SIGKILL)
            assert await process.ended() == -signal.SIGKILL
        assert not any(each.is_set() for each in called.stopped.values())
        async with running(PROGRAM, store=store) as process:
            await asyncio.gather(*(each.wait() for each in called.stopped.values()))
            async with connect(f"{process.url}/steady") as peer:
                assert (await peer.get(begun["steady"])).status.state is a2a.TaskState.FAILED
            async with connect(f"{process.url}/again") as peer:
                # What it called has stopped; that it calls again, and ends, comes behind that.
                async for _ in peer.subscribe(begun["again"]):
                    pass
                assert (await peer.get(begun["again"])).status.state is a2a.TaskState.COMPLETED
        while "WORKING" in (states := sorted([task.status.state.name async for task in child.list()])):
            pass
        assert states == ["CANCELED", "CANCELED", "COMPLETED"]
