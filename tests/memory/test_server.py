"""With a memory, a server writes down what is said in its tasks, and an agent reads it by `task.use(Memory)`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

import codin
from codin.agent import Task, agent
from codin.errors import ConfigError, MemoryUnavailable
from codin.memory import Memories, Memory, MemoryBackend, Scope, Utterance, open_memory
from codin.memory.backends import InProcess
from codin.server import App
from codin.task import AgentResponse, MemoryStore, open_store
from codin.testing import serving
from codin.trust import BearerTokens

pytestmark = pytest.mark.anyio

SCOPE = Scope("", "clerk", "anonymous")


def spoken(said: Sequence[Utterance]) -> list[tuple[str, str]]:
    return [(one.role, one.text) for one in said]


@agent(id="clerk")
async def clerk(text: str, task: Task) -> str:
    """Answers with what was said so far."""
    window = await task.use(Memory).history.window()
    return " | ".join(f"{one.role}: {one.text}" for one in window.utterances if one.role != "state")


async def test_an_agent_reads_what_was_said_before() -> None:
    async with serving(App(clerk, memory="memory://")) as url, codin.connect(url) as peer:
        first = await peer.send("hello")
        assert first.text == "user: hello"
        second = await peer.send("again", context_id=first.task.context_id if first.task else None)
        assert second.text == "user: hello | agent: user: hello | user: again"
        other = await peer.send("a new conversation")
        assert other.text == "user: a new conversation"


async def test_what_is_said_is_written_down_with_its_parts_and_its_end(backend: MemoryBackend) -> None:
    @agent(id="clerk")
    async def order(text: str, task: Task) -> AgentResponse:
        await task.write("I have ")
        await task.write("three. ")
        answer = await task.ask("How many?")
        await task.write(f"Then {answer.text}.")
        await task.artifact({"count": int(answer.text)}, name="order")
        return AgentResponse.completed()

    memories = Memories(backend)
    async with serving(App(order, memory=memories)) as url, codin.connect(url) as peer:
        asked = await peer.send("Apples")
        assert asked.task is not None
        context_id = asked.task.context_id or ""
        await peer.send("2", task_id=asked.task.id)
        await memories.caught_up()
        said = await backend.window(SCOPE, context_id, limit=99)
    assert spoken(said) == [
        ("user", "Apples"),
        ("agent", "I have three. "),
        ("agent", "How many?"),
        ("user", "2"),
        ("agent", "Then 2."),
        ("agent", ""),
        ("state", "TASK_STATE_COMPLETED"),
    ]
    assert [dict(part) for part in said[5].parts] == [{"data": {"count": 2}}]
    assert said[5].metadata["name"] == "order"
    assert {one.task_id for one in said} == {asked.task.id}


async def test_callers_do_not_hear_each_other(tmp_path: Path) -> None:
    @agent(id="clerk")
    async def keeper(text: str, task: Task) -> str:
        memory = task.use(Memory)
        for hit in await memory.records.search(text):
            await task.write(f"{hit.text};")
        for note in await memory.notes.list():
            await task.write(f"{note.key};")
        await memory.records.add(f"{task.caller.id} said {text}")
        await memory.notes.set(task.caller.id, 1)
        return ""

    tokens = BearerTokens({"t-ada": "ada", "t-bob": "bob"})
    async with serving(App(keeper, memory="memory://", authenticator=tokens)) as url:
        said: dict[str, str] = {}
        for caller in ("ada", "bob", "ada"):
            async with codin.connect(url, token=f"t-{caller}") as peer:
                said[caller] = (await peer.send("the walrus", context_id="shared")).text
    assert said == {"ada": "ada said the walrus;ada;", "bob": ""}


async def test_without_a_memory_the_error_says_how_to_have_one() -> None:
    @agent
    async def forgetful(text: str, task: Task) -> str:
        with pytest.raises(ConfigError, match=r"no Memory.*memory="):
            task.use(Memory)
        return "done"

    async with serving(forgetful) as url, codin.connect(url) as peer:
        assert (await peer.send("x")).text == "done"


async def spoken_in(memory: MemoryBackend) -> list[tuple[str, str]]:
    await memory.open()
    said = await memory.window(SCOPE, "c", limit=99)
    await memory.close()
    return [one for one in spoken(said) if one[0] != "state"]


async def test_after_a_restart_what_was_missed_is_written_down_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/tasks.db"
    remembered = open_memory("memory://")

    @agent(id="clerk")
    async def echo(text: str) -> str:
        return text.upper()

    async with serving(App(echo, store=store)) as url, codin.connect(url) as peer:
        await peer.send("before there was a memory", context_id="c")
    wanted = [("user", "before there was a memory"), ("agent", "BEFORE THERE WAS A MEMORY")]
    for text in ("with it", "and again"):
        memories = Memories(remembered)
        async with serving(App(echo, store=store, memory=memories)) as url, codin.connect(url) as peer:
            await peer.send(text, context_id="c")
        wanted += [("user", text), ("agent", text.upper())]
        assert await spoken_in(remembered) == wanted
    # A cursor that is lost, or a process that died before it was stored: all comes again, and nothing twice.
    opened = open_store(store)
    await opened.open()
    await opened.forget("memory")
    await opened.close()
    async with serving(App(echo, store=store, memory=Memories(remembered))):
        pass
    assert await spoken_in(remembered) == wanted


class Flaky(InProcess):
    """A memory whose database is away for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.tried = asyncio.Event()

    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        self.tried.set()
        if self.away:
            raise MemoryUnavailable("the database has gone")
        return await super().append(scope, context_id, utterances)


async def test_a_name_that_is_longer_than_metadata_may_be_is_left_out(backend: MemoryBackend) -> None:
    @agent(id="clerk")
    async def name(text: str, task: Task) -> AgentResponse:
        await task.artifact("short", name="x" * 20_000)
        return AgentResponse.completed()

    memories = Memories(backend)
    async with serving(App(name, memory=memories)) as url, codin.connect(url) as peer:
        await peer.send("go", context_id="c")
        await memories.caught_up()
        said = await backend.window(SCOPE, "c", limit=9)
    (made,) = [one for one in said if one.role == "agent"]
    assert made.text == "short"
    assert made.metadata["metadataLeftOut"] > 20_000


async def test_tasks_go_on_while_the_memory_is_away_and_it_catches_up() -> None:
    @agent(id="clerk")
    async def echo(text: str) -> str:
        return text.upper()

    flaky = Flaky()
    memories = Memories(flaky)
    async with asyncio.timeout(30), serving(App(echo, memory=memories)) as url, codin.connect(url) as peer:
        flaky.away = True
        assert (await peer.send("one", context_id="c")).text == "ONE"
        await flaky.tried.wait()
        flaky.away = False
        assert (await peer.send("two", context_id="c")).text == "TWO"
        await memories.caught_up()
        said = await flaky.window(SCOPE, "c", limit=9)
    assert [one.text for one in said if one.role != "state"] == ["one", "ONE", "two", "TWO"]


class Closed(MemoryStore):
    """Counts how often it was closed."""

    times = 0

    async def close(self) -> None:
        self.times += 1
        await super().close()


async def test_a_server_without_its_memory_does_not_start() -> None:
    @agent
    async def echo(text: str) -> str:
        return text

    store = Closed()
    app = App(echo, store=store, memory="redis://127.0.0.1:9/0")
    with pytest.raises(MemoryUnavailable):
        await app.start()
    assert store.times == 1
    await app.close()
    assert store.times == 1
