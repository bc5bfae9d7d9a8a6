"""Conversations in Agno's databases, over a restart: another agent, another database object, the same file."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from agno import tools
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.db.json import JsonDb
from agno.db.sqlite import AsyncSqliteDb, SqliteDb
from agno.models.openai.like import OpenAILike

from codin.agent.adapters.agno import adapt
from codin.task import MemoryStore
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.keeping import warned

pytestmark = [
    pytest.mark.anyio,
    # A run that is canceled while it waits for the asynchronous database leaves a connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*Connection.__del__:pytest.PytestUnraisableExceptionWarning"),
]

tool: Any = cast("Any", tools).tool

Reopen = Callable[[], Any]


@tool(requires_confirmation=True)
def wipe(path: str) -> str:
    """Delete a file."""
    return f"wiped {path}"


@pytest.fixture(params=["json", "sqlite", "async sqlite"])
async def reopen(anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the same database anew."""
    opened: list[Any] = []

    def again() -> Any:
        file = str(tmp_path / "agno.db")
        kinds = {"json": lambda: JsonDb(db_path=str(tmp_path)), "sqlite": lambda: SqliteDb(db_file=file)}
        opened.append(kinds.get(request.param, lambda: AsyncSqliteDb(db_file=file))())
        return opened[-1]

    yield again
    for db in opened:
        if isinstance(db, AsyncSqliteDb):
            await db.close()
        elif isinstance(db, SqliteDb):
            db.close()
    gc.collect()  # here, and not in somebody else's test


def desk_of(chat: OpenAILike, db: Any, store: MemoryStore | None = None) -> Desk:
    return Desk(adapt(Agent(model=chat, db=db, add_history_to_context=True, tools=[wipe])), store)


def said(model: ModelServer) -> list[str]:
    """What the model was told last by people, and what it has told them."""
    return [
        message["content"] for message in model.requests[-1]["messages"] if message["role"] in {"user", "assistant"}
    ]


async def test_a_conversation_goes_on(model: ModelServer, chat: OpenAILike, reopen: Reopen) -> None:
    for text, caller in (("one", "ann"), ("two", "ann"), ("three", "bob")):
        await desk_of(chat, reopen()).send(text, context="c", caller=Caller(caller))
        if caller == "ann":
            assert said(model)[-1] == text
    assert said(model) == ["three"]
    await desk_of(chat, reopen()).send("four", context="c", caller=Caller("ann"))
    assert said(model) == ["one", "You said one", "two", "You said two", "four"]


async def test_what_was_canceled_is_not_remembered(model: ModelServer, chat: OpenAILike, reopen: Reopen) -> None:
    desk = desk_of(chat, reopen())
    async with asyncio.timeout(30):
        task = await desk.begin("hang on", context="c")
        await model.stuck.wait()
        await desk.cancel(task)
    await desk_of(chat, reopen()).send("hello", context="c")
    assert said(model) == ["hello"]


async def test_a_question_is_answered_and_the_conversation_goes_on(
    model: ModelServer, chat: OpenAILike, reopen: Reopen
) -> None:
    store = MemoryStore()
    before = desk_of(chat, reopen(), store)
    asked = await before.send('call wipe {"path": "/x"}', context="c")
    assert asked.state == "INPUT_REQUIRED"
    await before.close()
    done = await desk_of(chat, reopen(), store).send("yes", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "The tool said wiped /x")
    await desk_of(chat, reopen(), store).send("and now?", context="c")
    assert said(model)[-2:] == ["The tool said wiped /x", "and now?"]


def test_a_database_in_memory_behind_a_durable_store_is_warned_about(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert "durable db" in warned(caplog, tmp_path, adapt(Agent(name="a", db=InMemoryDb())))
    assert not warned(caplog, tmp_path, adapt(Agent(name="a", db=JsonDb(db_path=str(tmp_path)))))
    assert not warned(caplog, tmp_path, adapt(Agent(name="a")))  # it remembers nothing in any case
