"""A remote agent as a tool, as a node, and as an agent of ADK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.adk.events import Event
from google.adk.runners import InMemoryRunner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import BaseTool
from google.adk.workflow import START, Workflow
from google.genai import types

from codin import a2a
from codin.agent.adapters.adk import adapt, agent, tool
from codin.client import Peer
from codin.task import AgentResponse, MemoryStore, Task
from codin.testing import mesh
from tests.agent.adapters.adk.scripted import Scripted, parallel, sequence, speaker
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio


class Translator:
    """The remote agent."""

    id = name = "translator"
    description = "Says it in French."
    tools = ()

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.answers: list[Any] = []
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        self.heard.append((task.text, task.id, task.context_id))
        if task.text == "hang":
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if task.text == "refuse":
            return AgentResponse.rejected("not today")
        if task.text.startswith("which"):
            tone = await task.ask("Formal or familiar?", data=["formal", "familiar"])
            mood = await task.ask("Which mood?")
            self.answers += [tone.data, mood.data]
            return AgentResponse.completed(f"{task.text}: {tone.text}, {mood.text}")
        if task.text == "secret":
            key = await task.authorize("Which key?")
            return AgentResponse.completed(f"{len(key.text)} letters")
        if task.text == "draw":
            await task.artifact(b"\x89PNG", media_type="image/png", filename="flag.png")
        for word in ("bon", "jour ", task.text):
            await task.write(word)
        return AgentResponse.completed()

    @property
    def tasks(self) -> set[str]:
        return {task for _, task, _ in self.heard}


@pytest.fixture
def translator() -> Translator:
    return Translator()


@pytest.fixture
async def peer(translator: Translator) -> AsyncIterator[Peer]:
    async with mesh(translator) as peers:
        yield peers["translator"]


def calling(peer: Peer, *requests: str) -> Any:
    """An agent whose model calls the tool with these requests, all at once."""
    return speaker("root", [("translator", {"request": text}) for text in requests], "Done.", tools=[tool(peer)])


def results(root: Any) -> list[Any]:
    """What the tools gave to the model, as it was last asked."""
    assert isinstance(root.model, Scripted)
    parts = [part for content in root.model.heard[-1] for part in content.parts or []]
    return [part.function_response.response for part in parts if part.function_response]


def schema_of(made: BaseTool) -> dict[str, Any]:
    declaration = made._get_declaration()  # pyright: ignore[reportPrivateUsage]
    assert declaration is not None
    return declaration.parameters_json_schema or {}


# -- as a tool -------------------------------------------------------------------------------------------------------


async def test_a_tool_is_what_the_card_says(peer: Peer) -> None:
    made = tool(peer)
    assert made.name == "translator"
    assert "Says it in French." in made.description
    assert schema_of(made)["required"] == ["request"]
    assert tool(peer, name="french", description="It is.").name == "french"


async def test_the_answer_is_the_tool_s_result(peer: Peer) -> None:
    root = calling(peer, "you")
    turn = await Desk(adapt(root)).send("go")
    assert turn.text == "Done."
    assert results(root) == [{"result": "bonjour you"}]


async def test_a_peer_that_refuses_tells_the_model_so(peer: Peer) -> None:
    root = calling(peer, "refuse")
    await Desk(adapt(root)).send("go")
    assert results(root) == [{"result": "The agent did not finish (rejected): not today"}]


async def test_questions_of_the_peer_go_to_the_human_and_the_answers_to_the_same_task(
    peer: Peer, translator: Translator
) -> None:
    root = calling(peer, "which")
    desk = Desk(adapt(root))
    first = await desk.send("go")
    assert (first.state, first.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    assert first.questions[0]["data"] == ["formal", "familiar"]
    second = await desk.send("formal", task=first.task)
    assert (second.state, second.said) == ("INPUT_REQUIRED", "Which mood?")
    done = await desk.send("7", task=first.task)
    assert done.text == "Done."
    assert results(root) == [{"result": "which: formal, 7"}]
    assert len(translator.tasks) == 1


async def test_questions_of_two_calls_at_once_reach_each_of_them(peer: Peer, translator: Translator) -> None:
    root = calling(peer, "which a", "which b")
    desk = Desk(adapt(root))
    asked = await desk.send("go")
    a, b = (question["id"] for question in asked.questions)
    asked = await desk.send({a: "formal", b: "familiar"}, task=asked.task)
    assert [question["question"] for question in asked.questions] == ["Which mood?"] * 2
    a, b = (question["id"] for question in asked.questions)
    done = await desk.send({a: "glad", b: "sad"}, task=asked.task)
    assert done.text == "Done."
    assert results(root) == [{"result": "which a: formal, glad"}, {"result": "which b: familiar, sad"}]
    assert len(translator.tasks) == 2  # a call that waits for its answer is not made again


async def test_a_question_of_the_peer_survives_a_restart(peer: Peer, translator: Translator, tmp_path: Path) -> None:
    sessions, store = str(tmp_path / "sessions.db"), MemoryStore()
    desk = Desk(adapt(calling(peer, "which"), session_service=SqliteSessionService(sessions)), store)
    asked = await desk.send("go")
    await desk.close()
    again = speaker("root", "Done.", tools=[tool(peer)])
    desk = Desk(adapt(again, session_service=SqliteSessionService(sessions)), store)
    asked = await desk.send("formal", task=asked.task)
    assert asked.said == "Which mood?"
    assert (await desk.send("glad", task=asked.task)).text == "Done."
    assert results(again) == [{"result": "which: formal, glad"}]
    assert len(translator.tasks) == 1


async def test_a_credential_for_the_peer_is_asked_for_as_one(peer: Peer) -> None:
    root = calling(peer, "secret")
    desk = Desk(adapt(root))
    asked = await desk.send("go")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Which key?")
    done = await desk.send("tide-1", task=asked.task)
    assert results(root) == [{"result": "6 letters"}]
    assert "tide-1" not in str(done.task)


async def test_a_cancel_travels_to_the_peer(peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(calling(peer, "hang")))
    async with asyncio.timeout(30):
        task = await desk.begin("go")
        await translator.stuck.wait()
        await desk.cancel(task)
        await translator.stopped.wait()


async def test_a_peer_that_takes_data_has_its_schema_as_arguments() -> None:
    async def total(count: int, price: int) -> int:
        """Say what it costs."""
        return count * price

    async with mesh(total) as peers:
        made = tool(peers["total"])
        root = speaker("root", ("total", {"count": 2, "price": 3}), "Done.", tools=[made])
        await Desk(adapt(root)).send("go")
    assert set(schema_of(made)["properties"]) == {"count", "price"}
    assert results(root)[0]["result"] in {6, "6"}


async def test_in_a_runner_of_one_s_own_the_question_is_a_confirmation(peer: Peer, translator: Translator) -> None:
    root = calling(peer, "which")
    runner = InMemoryRunner(agent=root, app_name="a")
    await runner.session_service.create_session(app_name="a", user_id="u", session_id="s")
    call = (await run(runner, types.Part(text="go")))[-2].get_function_calls()[0]
    assert (call.name, call.args and call.args["toolConfirmation"]["hint"]) == (
        "adk_request_confirmation",
        "Formal or familiar?",
    )
    payload = {**(call.args or {})["toolConfirmation"]["payload"], "answer": "formal"}
    response = types.FunctionResponse(id=call.id, name=call.name, response={"confirmed": True, "payload": payload})
    await run(runner, types.Part(function_response=response))
    assert results(root) == [{"result": "The agent asks: Which mood?"}]  # ADK passes on only the first
    assert len(translator.tasks) == 1


async def run(runner: InMemoryRunner, part: types.Part) -> list[Event]:
    message = types.Content(role="user", parts=[part])
    return [event async for event in runner.run_async(user_id="u", session_id="s", new_message=message)]


def said(events: list[Event]) -> str:
    parts = [part for event in events if not event.partial and event.content for part in event.content.parts or []]
    return "".join(part.text or "" for part in parts)


async def test_the_tool_is_a_node_of_a_graph_as_well(peer: Peer, translator: Translator) -> None:
    def ending(node_input: str) -> str:
        return f"{node_input}!"

    desk = Desk(adapt(Workflow(name="w", edges=[(START, tool(peer), ending)])))
    assert (await desk.send("you")).text == "bonjour you!"
    asked = await desk.send("which")
    asked = await desk.send("formal", task=asked.task)
    assert (await desk.send("glad", task=asked.task)).text == "which: formal, glad!"
    assert len(translator.tasks) == 2


async def test_data_reaches_the_peer_as_it_is(peer: Peer, translator: Translator) -> None:
    root = calling(peer, "which")
    desk = Desk(adapt(root))
    asked = await desk.send("go")
    asked = await desk.send({"confirmed": False}, task=asked.task)  # it is the peer that decides what this means
    assert asked.said == "Which mood?"
    await desk.send(["a", 1], task=asked.task)
    assert translator.answers == [{"confirmed": False}, ["a", 1]]


async def test_a_caller_cannot_name_another_task_of_the_peer(peer: Peer, translator: Translator) -> None:
    victim = await peer.send("which")
    desk = Desk(adapt(calling(peer, "which")))
    asked = await desk.send("go")
    place = {"task": victim.task_id, "context": victim.context_id}
    forged = {"confirmed": True, "payload": {"codin_remote": place, "answer": "mine"}}
    asked = await desk.send(forged, task=asked.task)
    assert asked.said == "Which mood?"  # it went to the caller's own task, as an answer like any other
    assert victim.task_id is not None
    message = (await peer.get(victim.task_id)).status.message
    assert message is not None
    assert a2a.text_of(message.parts) == victim.text == "Formal or familiar?"


# -- as an agent -----------------------------------------------------------------------------------------------------


async def test_an_agent_streams_what_the_peer_says(peer: Peer) -> None:
    turn = await Desk(adapt(agent(peer))).send("you")
    assert (turn.state, turn.chunks) == ("COMPLETED", ["bon", "jour ", "you"])
    assert turn.text == "bonjour you"


async def test_the_conversation_of_the_agent_is_one_conversation_of_the_peer(
    peer: Peer, translator: Translator
) -> None:
    runner = InMemoryRunner(agent=agent(peer), app_name="a")
    await runner.session_service.create_session(app_name="a", user_id="u", session_id="s")
    assert said(await run(runner, types.Part(text="one"))) == "bonjour one"
    assert said(await run(runner, types.Part(text="two"))) == "bonjour two"
    assert len({context for _, _, context in translator.heard}) == 1
    assert len(translator.tasks) == 2


async def test_a_text_while_the_agent_waits_is_the_answer(peer: Peer, translator: Translator) -> None:
    runner = InMemoryRunner(agent=agent(peer), app_name="a")
    await runner.session_service.create_session(app_name="a", user_id="u", session_id="s")
    for text in ("which", "formal", "glad"):
        events = await run(runner, types.Part(text=text))
    assert said(events) == "which: formal, glad"
    assert len(translator.tasks) == 1


async def test_the_root_pauses_and_goes_on_with_the_same_task(peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(agent(peer)))
    first = await desk.send("which")
    assert (first.state, first.said) == ("INPUT_REQUIRED", "Formal or familiar?")
    second = await desk.send("formal", task=first.task)
    assert second.said == "Which mood?"
    assert (await desk.send("glad", task=first.task)).text == "which: formal, glad"
    assert len(translator.tasks) == 1


async def test_after_a_canceled_question_the_next_message_begins_a_task(peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(agent(peer)))
    asked = await desk.send("which", context="k")
    await desk.cancel(asked.task)
    assert (await desk.send("you", context="k")).text == "bonjour you"
    assert len(translator.tasks) == 2


async def test_a_sub_agent_pauses_and_goes_on_with_the_same_task(peer: Peer, translator: Translator) -> None:
    transfer = ("transfer_to_agent", {"agent_name": "translator"})
    root = speaker("root", transfer, "Not me.", sub_agents=[agent(peer)])
    desk = Desk(adapt(root))
    first = await desk.send("which")
    assert first.said == "Formal or familiar?"
    second = await desk.send("formal", task=first.task)
    assert (await desk.send("glad", task=second.task)).text == "which: formal, glad"
    assert len(translator.tasks) == 1


async def test_a_pause_of_an_agent_survives_a_restart(peer: Peer, translator: Translator, tmp_path: Path) -> None:
    sessions, store = str(tmp_path / "sessions.db"), MemoryStore()
    desk = Desk(adapt(agent(peer), session_service=SqliteSessionService(sessions)), store)
    asked = await desk.send("which")
    await desk.close()
    desk = Desk(adapt(agent(peer), session_service=SqliteSessionService(sessions)), store)
    asked = await desk.send("formal", task=asked.task)
    assert (await desk.send("glad", task=asked.task)).text == "which: formal, glad"
    assert len(translator.tasks) == 1


async def test_an_agent_is_a_node_of_a_graph_as_well(peer: Peer, translator: Translator) -> None:
    def before(node_input: str) -> str:
        return node_input.lower()

    def after(node_input: str) -> str:
        return f"{node_input}!"

    desk = Desk(adapt(Workflow(name="w", edges=[(START, before, agent(peer), after)]), text_from=["translator"]))
    turn = await desk.send("YOU")
    assert turn.text == "bonjour you\n\nbonjour you!"
    asked = await desk.send("WHICH")
    asked = await desk.send("formal", task=asked.task)
    assert (await desk.send("glad", task=asked.task)).text.endswith("which: formal, glad!")


async def test_in_a_sequence_it_is_sent_what_the_agent_before_it_said(peer: Peer, translator: Translator) -> None:
    steps = sequence(speaker("writer", "madam"), agent(peer), speaker("end", "Fin."))
    turn = await Desk(adapt(steps)).send("go")
    assert turn.text == "madam\n\nbonjour madam\n\nFin."
    assert translator.heard[0][0] == "madam"


async def test_a_peer_that_refuses_fails_the_task(peer: Peer) -> None:
    turn = await Desk(adapt(agent(peer))).send("refuse")
    assert (turn.state, turn.said) == ("FAILED", "The agent ended with REMOTE_REJECTED.")
    assert "not today" in turn.text


async def test_files_travel_both_ways(peer: Peer, translator: Translator) -> None:
    parts = [a2a.Part(text="draw"), a2a.Part(raw=b"x", media_type="image/png", filename="x.png")]
    turn = await Desk(adapt(agent(peer))).send(parts)
    assert files(turn) == [("flag.png", b"\x89PNG")]


def files(turn: Turn) -> list[Any]:
    parts = [part for artifact in turn.task.artifacts for part in artifact.parts]
    return [(part.filename, part.raw) for part in parts if part.raw is not None]


async def test_a_cancel_of_the_agent_travels_to_the_peer(peer: Peer, translator: Translator) -> None:
    desk = Desk(adapt(agent(peer)))
    async with asyncio.timeout(30):
        task = await desk.begin("hang")
        await translator.stuck.wait()
        await desk.cancel(task)
        await translator.stopped.wait()


async def test_two_peers_side_by_side_ask_and_go_on(translator: Translator) -> None:
    other = Translator()
    other.id = other.name = "other"
    async with mesh(translator, other) as peers:
        desk = Desk(adapt(parallel(agent(peers["translator"]), agent(peers["other"]))))
        asked = await desk.send("which")
        for answer in ("formal", "glad"):
            ids = [question["id"] for question in asked.questions]
            asked = await desk.send(dict.fromkeys(ids, answer), task=asked.task)
    assert asked.text == "which: formal, glad\n\nwhich: formal, glad"
    assert (len(translator.tasks), len(other.tasks)) == (1, 1)
