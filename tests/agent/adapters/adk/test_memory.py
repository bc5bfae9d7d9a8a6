"""ADK's memory service on codin's memory: what was said in sessions is found again, by whoever said it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pytest
from google.adk.agents.callback_context import CallbackContext
from google.adk.events import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.runners import InMemoryRunner
from google.adk.sessions import Session
from google.adk.tools.load_memory_tool import load_memory_tool
from google.genai import types

from codin.agent.adapters.adk import MemoryService, adapt
from codin.errors import ConfigError
from codin.memory import Memories
from codin.trust import Caller
from tests.agent.adapters.adk.scripted import Scripted, event, speaker
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


class Whose(TypedDict):
    app_name: str
    user_id: str


ADA = Whose(app_name="clerk", user_id="ada")


@pytest.fixture(params=["memory", "sqlite"])
async def memories(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Memories]:
    async with Memories("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/memory.db") as memories:
        yield memories


@pytest.fixture
def service(memories: Memories) -> MemoryService:
    return MemoryService(memories)


def session(*events: Event, user: str = "ada", name: str = "monday") -> Session:
    return Session(id=name, app_name="clerk", user_id=user, events=list(events))


def content(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


async def found(service: MemoryService, query: str, *, app: str = "clerk", user: str = "ada") -> list[str]:
    response = await service.search_memory(app_name=app, user_id=user, query=query)
    return [text(entry) for entry in response.memories]


def text(entry: MemoryEntry) -> str:
    return "".join(part.text or "" for part in entry.content.parts or ())


async def count(memories: Memories) -> int:
    return (await memories.backend.stats("")).records


async def test_what_was_said_is_found_by_its_words(service: MemoryService) -> None:
    tea = event("Ada takes her tea without milk.", author="clerk", timestamp=1_700_000_000.0)
    await service.add_session_to_memory(session(tea, event("The sea is calm.", author="ada")))
    response = await service.search_memory(**ADA, query="milk in her tea?")
    first = response.memories[0]
    assert (text(first), first.author, first.content.role) == ("Ada takes her tea without milk.", "clerk", "model")
    assert first.timestamp == "2023-11-14T22:13:20+00:00"
    assert first.id


async def test_a_session_is_added_as_often_as_one_likes(memories: Memories, service: MemoryService) -> None:
    said = [event("Tea, please."), event("Here it is.")]
    await service.add_session_to_memory(session(*said))
    await service.add_session_to_memory(session(*said, event("Thank you.")))
    assert await count(memories) == 3
    await service.add_session_to_memory(session(*said, name="tuesday"))
    assert await count(memories) == 5


async def test_a_long_session_is_added_whole(memories: Memories, service: MemoryService) -> None:
    said = [event(f"Sentence {number}.") for number in range(250)]
    await service.add_session_to_memory(session(*said))
    assert await count(memories) == 250


async def test_what_is_no_text_is_left_out_and_no_text_is_too_long(memories: Memories, service: MemoryService) -> None:
    thought = types.Content(role="model", parts=[types.Part(text="hm", thought=True)])
    call = types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(name="look", args={}))])
    await service.add_session_to_memory(session(Event(), Event(content=thought), Event(content=call), event("  ")))
    assert await count(memories) == 0
    await service.add_session_to_memory(session(event("walrus " * 30_000)))
    assert len((await found(service, "walrus"))[0]) == 100_000


async def test_events_are_added_by_themselves(service: MemoryService) -> None:
    await service.add_events_to_memory(**ADA, events=[event("tea")], custom_metadata={"mood": {"good": True}})
    response = await service.search_memory(**ADA, query="tea")
    assert [entry.custom_metadata for entry in response.memories] == [{"mood": {"good": True}}]


async def test_entries_are_added_and_replaced(service: MemoryService) -> None:
    entry = MemoryEntry(content=content("Ada likes tea."), id="likes", author="ada", timestamp="2026-01-02T03:04:05Z")
    entry.custom_metadata = {"sure": 0.5}
    await service.add_memory(**ADA, memories=[entry], custom_metadata={"by": "hand", "sure": 1})
    (kept,) = (await service.search_memory(**ADA, query="tea")).memories
    assert (kept.author, kept.timestamp) == ("ada", "2026-01-02T03:04:05+00:00")
    assert kept.custom_metadata == {"by": "hand", "sure": 0.5}
    await service.add_memory(**ADA, memories=[MemoryEntry(content=content("Ada likes green tea."), id="likes")])
    assert await found(service, "tea") == ["Ada likes green tea."]
    again = MemoryEntry(content=content("Ada likes no tea."), id=kept.id)
    await service.add_memory(**ADA, memories=[again])
    assert await found(service, "tea") == ["Ada likes no tea."]


async def test_what_is_deleted_does_not_come_back_with_its_session(service: MemoryService) -> None:
    said = session(event("The walrus is secret."), event("The otter is not."))
    await service.add_session_to_memory(said)
    entry = (await service.search_memory(**ADA, query="walrus")).memories[0]
    await service.delete_memory(app_name="clerk", user_id="bob", memory_id=entry.id)
    assert len(await found(service, "walrus otter")) == 2
    await service.delete_memory(**ADA, memory_id=entry.id)
    await service.delete_memory(**ADA, memory_id=None)
    await service.add_session_to_memory(said)
    assert await found(service, "walrus otter") == ["The otter is not."]


async def test_a_search_gives_so_many_and_an_empty_one_none(memories: Memories) -> None:
    service = MemoryService(memories, results=2)
    await service.add_session_to_memory(session(*(event(f"tea {number}") for number in range(5))))
    assert len(await found(service, "tea")) == 2
    assert await found(service, " ") == []


async def test_users_and_apps_are_apart(service: MemoryService) -> None:
    await service.add_session_to_memory(session(event("Ada's tea.")))
    await service.add_session_to_memory(session(event("Bob's tea."), user="bob"))
    assert await found(service, "tea") == ["Ada's tea."]
    assert await found(service, "tea", user="bob") == ["Bob's tea."]
    assert await found(service, "tea", app="cook") == []


async def test_it_outlives_the_process_in_a_file(tmp_path: Path) -> None:
    for known in ([], ["Ada's tea."]):
        async with Memories(f"sqlite:///{tmp_path}/memory.db") as memories:
            service = MemoryService(memories)
            assert await found(service, "tea") == known
            await service.add_session_to_memory(session(event("Ada's tea.", id="e", timestamp=1.0)))


# -- in tasks ----------------------------------------------------------------------------------------------------------


async def remember(callback_context: CallbackContext) -> None:
    await callback_context.add_session_to_memory()


def heard(agent: Any) -> Sequence[str]:
    """What the model was shown the last time."""
    model: Scripted = agent.model
    shown = [part for each in model.heard[-1] for part in each.parts or ()]
    return [str(part.function_response.response) for part in shown if part.function_response is not None]


async def test_in_a_task_it_is_the_caller_s_whatever_the_user_is_called(memories: Memories) -> None:
    look = ("load_memory", {"query": "walrus"})
    agent = speaker("clerk", "noted", look, "a", look, "b", tools=[load_memory_tool], after_agent_callback=remember)
    desk = Desk(adapt(agent, memory_service=MemoryService(memories), user_id=lambda task: "everybody"))
    await desk.send("The walrus is secret.", caller=Caller("ada"), context="1")
    await desk.send("What is secret?", caller=Caller("bob"), context="2")
    assert "walrus is secret" not in heard(agent)[-1]
    await desk.send("What is secret?", caller=Caller("ada"), context="3")
    assert "The walrus is secret." in heard(agent)[-1]
    await desk.close()
    assert (await memories.backend.stats("", "clerk", "ada")).records > 0
    assert (await memories.backend.stats("", "clerk", "everybody")).records == 0


def test_a_runner_has_a_memory_of_its_own() -> None:
    service = MemoryService(Memories("memory://"))
    with pytest.raises(ConfigError, match="memory_service"):
        adapt(InMemoryRunner(agent=speaker("clerk")), memory_service=service)
