"""What an agent remembers of a context, and for how long."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel

from codin import a2a
from codin.agent.adapters import History
from codin.agent.adapters.pydantic_ai import SqliteHistory, adapt
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.keeping import warned

pytestmark = pytest.mark.anyio


def seen(model: ModelServer) -> list[Any]:
    """What the model was sent last, without what never changes."""
    return [message["content"] for message in model.requests[-1]["messages"] if message["role"] != "system"]


async def test_turns_of_one_context_remember_each_other(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat, system_prompt="Be brief.")))
    await desk.send("one", context="k")
    await desk.send("two", context="k")
    assert seen(model) == ["one", "You said one", "two"]
    assert [message["role"] for message in model.requests[-1]["messages"]].count("system") == 1


async def test_contexts_and_callers_are_apart(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat)))
    await desk.send("one", context="k", caller=Caller("ada"))
    await desk.send("two", context="other", caller=Caller("ada"))
    assert seen(model) == ["two"]
    await desk.send("three", context="k", caller=Caller("bob"))
    assert seen(model) == ["three"]


async def test_turns_of_one_context_run_in_order(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat)))
    await asyncio.gather(*(desk.send(str(number), context="k") for number in range(5)))
    assert seen(model)[::2] == ["0", "1", "2", "3", "4"]


async def test_a_task_that_does_not_complete_leaves_no_trace(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(Agent(chat)))
    await desk.send("one", context="k")
    task = await desk.begin("hang on", context="k")
    async with asyncio.timeout(30):
        await model.stuck.wait()
    await desk.cancel(task)
    await desk.send("two", context="k")
    assert seen(model) == ["one", "You said one", "two"]


async def test_a_durable_history_outlives_the_process(
    model: ModelServer, chat: OpenAIChatModel, tmp_path: Path
) -> None:
    file = tmp_path / "chats.db"
    picture = a2a.Part(raw=b"\x89PNG", media_type="image/png")
    await Desk(adapt(Agent(chat, name="a"), history=SqliteHistory(file))).send(
        [a2a.Part(text="one"), picture], context="k"
    )
    await Desk(adapt(Agent(chat, name="a"), history=SqliteHistory(file))).send("two", context="k")
    first, _, last = seen(model)
    assert (first[1]["image_url"]["url"], last) == ("data:image/png;base64,iVBORw==", "two")
    await Desk(adapt(Agent(chat, name="other"), history=SqliteHistory(file))).send("three", context="k")
    assert seen(model) == ["three"]


async def test_a_durable_history_gives_back_what_was_added(tmp_path: Path) -> None:
    history: History[ModelMessage] = SqliteHistory(tmp_path / "chats.db")
    first, second = (ModelRequest(parts=[UserPromptPart(text)]) for text in ("one", "two"))
    await history.append("a", [first])
    await history.append("b", [second])
    await history.append("a", [second])
    assert [list(await history.load(thread)) for thread in ("a", "b", "c")] == [[first, second], [second], []]


def test_a_history_in_memory_behind_a_durable_store_is_warned_about(
    chat: OpenAIChatModel, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert "SqliteHistory" in warned(caplog, tmp_path, adapt(Agent(chat)))
    assert not warned(caplog, tmp_path, adapt(Agent(chat), history=SqliteHistory(tmp_path / "said.db")))
