"""What an agent remembers of a context, and for how long."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents import Agent, OpenAIChatCompletionsModel, Session, SQLiteSession
from codin.agent.adapters.openai_agents import adapt
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.keeping import warned

pytestmark = pytest.mark.anyio


def seen(model: ModelServer) -> list[Any]:
    """What the model was sent last."""
    return [message["content"] for message in model.requests[-1]["messages"]]


async def test_turns_of_one_context_remember_each_other(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(Agent("a", model=chat)))
    await desk.send("one", context="k")
    await desk.send("two", context="k")
    assert seen(model) == ["one", "You said one", "two"]


async def test_contexts_and_callers_are_apart(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(Agent("a", model=chat)))
    await desk.send("one", context="k", caller=Caller("ada"))
    await desk.send("two", context="other", caller=Caller("ada"))
    assert seen(model) == ["two"]
    await desk.send("three", context="k", caller=Caller("bob"))
    assert seen(model) == ["three"]


async def test_turns_of_one_context_run_in_order(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(Agent("a", model=chat)))
    await asyncio.gather(*(desk.send(str(number), context="k") for number in range(5)))
    assert seen(model)[::2] == ["0", "1", "2", "3", "4"]


async def test_a_task_that_does_not_complete_leaves_no_trace(
    model: ModelServer, chat: OpenAIChatCompletionsModel, tmp_path: Path
) -> None:
    desk = Desk(adapt(Agent("a", model=chat), session=lambda thread: SQLiteSession(thread, tmp_path / "chats.db")))
    await desk.send("one", context="k")
    task = await desk.begin("hang on", context="k")
    async with asyncio.timeout(30):
        await model.stuck.wait()
    await desk.cancel(task)
    await desk.send("two", context="k")
    assert seen(model) == ["one", "You said one", "two"]


async def test_a_session_of_the_sdk_outlives_the_process(
    model: ModelServer, chat: OpenAIChatCompletionsModel, tmp_path: Path
) -> None:
    opened: list[SQLiteSession] = []

    def session(thread: str) -> Session:
        opened.append(SQLiteSession(thread, tmp_path / "chats.db"))
        return opened[-1]

    await Desk(adapt(Agent("a", model=chat), session=session)).send("one", context="k")
    await Desk(adapt(Agent("a", model=chat), session=session)).send("two", context="k")
    assert seen(model) == ["one", "You said one", "two"]
    await Desk(adapt(Agent("other", model=chat), session=session)).send("three", context="k")
    assert seen(model) == ["three"]
    with pytest.raises(RuntimeError, match="closed"):
        await opened[0].get_items()
    assert "k" not in {each.session_id for each in opened}  # no caller names a session


async def test_memory_lets_the_oldest_context_go(
    model: ModelServer, chat: OpenAIChatCompletionsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codin.agent.adapters.openai_agents._sessions._KEPT_IN_MEMORY", 2)
    desk = Desk(adapt(Agent("a", model=chat)))
    for context in ("a", "b", "a", "c"):
        await desk.send(f"to {context}", context=context)
    await desk.send("again", context="b")
    assert seen(model) == ["again"]
    await desk.send("again", context="c")
    assert seen(model) == ["to c", "You said to c", "again"]


def test_sessions_in_memory_behind_a_durable_store_are_warned_about(
    chat: OpenAIChatCompletionsModel, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    kept = adapt(Agent("a", model=chat), session=lambda thread: SQLiteSession(thread, tmp_path / "chats.db"))
    assert "session=" in warned(caplog, tmp_path, adapt(Agent("a", model=chat)))
    assert not warned(caplog, tmp_path, kept)
