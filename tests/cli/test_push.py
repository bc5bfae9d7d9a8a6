"""`codin push` on the store of a server that has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from codin import a2a
from codin.task.stores import SQLiteStore
from tests.cli.conftest import Done
from tests.server.hook import hooked, patient
from tests.task.desk import ALICE, Desk
from tests.task.test_push import configured, dead, speak

Codin = Callable[..., Done]


async def fail(path: Path) -> None:
    """A task whose notifications nobody takes."""
    async with hooked() as hook:
        hook.answers = [(404, {})]
        desk = Desk(speak, SQLiteStore(path), push=patient())
        await (await desk.manager.submit(ALICE, configured(hook.url, id="c"))).outcome()
        await dead(desk)
        await desk.manager.close()


async def serve_again(path: Path, task_id: str) -> list[str]:
    """What comes when the server starts; the receiver has another port now."""
    async with hooked() as hook:
        desk = Desk(speak, SQLiteStore(path), push=patient())
        config = a2a.TaskPushNotificationConfig(url=hook.url, task_id=task_id, id="c")
        await desk.manager.push(ALICE, config)
        await hook.state("COMPLETED")
        await desk.manager.close()
        return hook.words


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a dead letter in it."""
    anyio.run(fail, tmp_path / "tasks.db")
    return tmp_path / "tasks.db"


def test_dead_letters_are_listed_and_revived(store: Path, codin: Codin) -> None:
    done = codin("push", "dead", str(store))
    task_id, config_id, number, url, why, _ = done.out.rstrip("\n").split("\t")
    assert (config_id, number, why) == ("c", "3", "HTTP 404")
    assert url.startswith("http://127.0.0.1:")
    letter = json.loads(codin("push", "dead", f"sqlite:///{store}", "--json").out)
    assert (letter["task_id"], letter["agent"], letter["caller"]) == (task_id, "agent", "alice")

    assert codin("push", "retry", str(store), "--task", "another").out == ""
    assert codin("push", "retry", str(store)).out == done.out
    assert codin("push", "dead", str(store)).out == ""
    assert anyio.run(serve_again, store, task_id) == ["WORKING", "hello", "COMPLETED"]


def test_a_store_that_is_not_there_or_in_use(store: Path, tmp_path: Path, codin: Codin) -> None:
    missing = codin("push", "dead", str(tmp_path / "no.db"))
    assert (missing.code, not (tmp_path / "no.db").exists()) == (2, True)

    async def hold() -> Done:
        held = SQLiteStore(store)
        await held.open()
        try:
            return await anyio.to_thread.run_sync(codin, "push", "retry", str(store))
        finally:
            await held.close()

    done = anyio.run(hold)
    assert done.code == 2
    assert "App.revive_dead_letters" in done.err
