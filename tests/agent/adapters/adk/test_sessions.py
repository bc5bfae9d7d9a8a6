"""Sessions: whose they are, what they remember, restarts, cancel, and what is taken back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, InMemorySessionService
from google.adk.tools import ToolContext

from codin.agent.adapters.adk import adapt
from codin.errors import ConfigError
from codin.task import Limits, MemoryStore, open_store
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.adk.scripted import Scripted, ask_human, speaker
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.keeping import warned
from tests.server.clock import pass_time

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[4]
Reopen = Callable[[], BaseSessionService]
QUESTION = ("ask_human", {"question": "What colour?"})


def chatter(llm: OpenAILlm, **options: Any) -> LlmAgent:
    return LlmAgent(name="c", model=llm, **options)


def roles(model: ModelServer) -> list[str]:
    """What the model was last asked, without the instructions that ADK adds."""
    messages = [message for message in model.requests[-1]["messages"] if message["role"] != "system"]
    return [f"{message['role']}:{message.get('content')}" for message in messages]


def painter() -> LlmAgent:
    return speaker("painter", QUESTION, "Painted.", tools=[ask_human])


def after_a_restart() -> LlmAgent:
    """The same agent; its model has asked already."""
    return speaker("painter", "Painted.", tools=[ask_human])


# -- memory ----------------------------------------------------------------------------------------------------------


async def test_a_context_is_remembered_and_another_is_not(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm)))
    await desk.send("one", context="k")
    await desk.send("two", context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]
    await desk.send("three", context="other")
    assert roles(model) == ["user:three"]


async def test_no_caller_can_name_another_s_session(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm)))
    await desk.send("mine", context="k", caller=Caller("alice"))
    await desk.send("yours", context="k", caller=Caller("bob"))
    assert roles(model) == ["user:yours"]


async def test_turns_of_one_context_come_one_after_the_other(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm)))
    await asyncio.gather(*(desk.send(str(number), context="k") for number in range(5)))
    assert roles(model) == [
        line for number in range(4) for line in (f"user:{number}", f"assistant:You said {number}")
    ] + ["user:4"]


def users(context: ToolContext) -> tuple[str, str]:
    return context.user_id, context.session.id


async def test_user_and_session_are_hashes_unless_told_otherwise() -> None:
    seen: list[tuple[str, str]] = []

    def look(tool_context: ToolContext) -> str:
        seen.append(users(tool_context))
        return "seen"

    alice = Caller("alice", tenant="acme")
    agent = speaker("c", ("look", {}), "1", ("look", {}), "2", ("look", {}), tools=[look])
    desk = Desk(adapt(agent))
    await desk.send("go", context="k", caller=alice)
    await desk.send("go", context="l", caller=alice)
    await Desk(adapt(agent, user_id=lambda task: task.caller.id)).send("go", context="k", caller=alice)
    (first, one), (second, two), (third, _) = seen
    assert (first == second, one == two) == (True, False)
    assert "alice" not in first + one
    assert third == "alice"


async def test_a_runner_keeps_its_services(model: ModelServer, llm: OpenAILlm) -> None:
    sessions = InMemorySessionService()
    runner = Runner(app_name="mine", agent=chatter(llm), session_service=sessions)
    desk = Desk(adapt(runner))
    assert (await desk.send("hi")).text == "You said hi"
    assert len((await sessions.list_sessions(app_name="mine")).sessions) == 1
    with pytest.raises(ConfigError, match="services of its own"):
        adapt(runner, session_service=sessions)


async def test_sessions_that_codin_keeps_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.agent.adapters.adk._sessions._KEPT", 2)
    agent = adapt(painter())
    desk = Desk(agent)
    asked = await desk.send("cup", context="0")
    for number in (1, 2):
        await desk.send("hi", context=str(number))
    found = await agent.runner.session_service.list_sessions(app_name="painter")
    assert len(found.sessions) == 2
    late = await desk.send("red", task=asked.task)
    assert (late.state, "memory" in late.said) == ("FAILED", True)


# -- cancel and repair -----------------------------------------------------------------------------------------------


async def test_cancel_drops_the_call_to_the_model(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm)))
    async with asyncio.timeout(30):
        task = await desk.begin("hang on")
        await model.stuck.wait()
        canceled = await desk.cancel(task)
        await model.drop.wait()
    assert canceled.status.state.name == "CANCELED"
    assert model.dropped == 1


async def test_the_deadline_drops_the_call_to_the_model(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm)), limits=Limits(run_timeout=40.0))
    sent = asyncio.create_task(desk.send("hang on"))
    async with asyncio.timeout(120):
        await model.stuck.wait()
        pass_time(40.0)
        turn = await sent
        await model.drop.wait()
    assert turn.state == "FAILED"


async def test_after_a_cancel_the_next_turn_does_not_see_the_message_nobody_answered(
    model: ModelServer, llm: OpenAILlm
) -> None:
    desk = Desk(adapt(chatter(llm)))
    await desk.send("one", context="k")
    async with asyncio.timeout(30):
        task = await desk.begin("hang on", context="k")
        await model.stuck.wait()
        await desk.cancel(task)
    turn = await desk.send("two", context="k")
    assert turn.text == "You said two"
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]
    await desk.send("three", context="k")
    assert roles(model)[2:] == ["user:two", "assistant:You said two", "user:three"]


async def test_a_tool_call_without_a_result_is_not_left_in_the_session(model: ModelServer, llm: OpenAILlm) -> None:
    started = asyncio.Event()

    async def wait(word: str) -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()
        return word

    desk = Desk(adapt(chatter(llm, tools=[wait])))
    await desk.send("one", context="k")
    async with asyncio.timeout(30):
        task = await desk.begin('call wait {"word": "x"}', context="k")
        await started.wait()
        await desk.cancel(task)
    assert (await desk.send("two", context="k")).text == "You said two"
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]


async def test_a_canceled_question_is_not_left_in_the_session(model: ModelServer, llm: OpenAILlm) -> None:
    desk = Desk(adapt(chatter(llm, tools=[ask_human])))
    await desk.send("one", context="k")
    asked = await desk.send('call ask_human {"question": "What colour?"}', context="k")
    assert asked.state == "INPUT_REQUIRED"
    await desk.cancel(asked.task)
    assert (await desk.send("two", context="k")).text == "You said two"
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]  # a model refuses a call without a result


async def test_a_failed_turn_leaves_no_trace_and_takes_its_state_back(model: ModelServer, llm: OpenAILlm) -> None:
    def note(text: str, tool_context: ToolContext) -> str:
        tool_context.state["note"] = text
        if text == "bad":
            raise ValueError("broken")
        return "noted"

    agent = adapt(chatter(llm, tools=[note]))
    desk = Desk(agent)
    await desk.send('call note {"text": "good"}', context="k")
    for _ in range(2):
        assert (await desk.send('call note {"text": "bad"}', context="k")).state == "FAILED"
    await desk.send("two", context="k")
    assert [line.partition(":")[0] for line in roles(model)] == ["user", "assistant", "tool", "assistant", "user"]
    (listed,) = (await agent.runner.session_service.list_sessions(app_name="c")).sessions
    assert listed.state["note"] == "good"


# -- open questions --------------------------------------------------------------------------------------------------


async def test_a_new_task_is_rejected_while_another_task_s_question_is_open_in_its_session() -> None:
    desk = Desk(adapt(painter()))
    asked = await desk.send("cup", context="k")
    refused = await desk.send("plate", context="k")
    assert refused.state == "REJECTED"
    assert asked.task.id in refused.said
    done = await desk.send("red", task=asked.task)
    assert done.text == "Painted."
    assert (await desk.send("plate", context="k")).state == "COMPLETED"


async def test_events_that_adk_adds_behind_a_question_do_not_hide_it() -> None:
    agent = adapt(painter())
    desk = Desk(agent)
    asked = await desk.send("cup", context="k")
    service = agent.runner.session_service
    (listed,) = (await service.list_sessions(app_name="painter")).sessions
    session = await service.get_session(app_name="painter", user_id=listed.user_id, session_id=listed.id)
    assert session is not None
    await service.append_event(session, Event(author="painter", invocation_id="compaction"))
    refused = await desk.send("plate", context="k")
    assert (refused.state, asked.task.id in refused.said) == ("REJECTED", True)


async def test_a_question_does_not_stand_in_the_way_of_another_context() -> None:
    desk = Desk(adapt(speaker("painter", QUESTION, "No question.", tools=[ask_human])))
    await desk.send("cup", context="k")
    assert (await desk.send("plate", context="other")).text == "No question."


# -- restart ---------------------------------------------------------------------------------------------------------


async def test_a_conversation_goes_on_after_a_restart(model: ModelServer, llm: OpenAILlm, sessions: Reopen) -> None:
    for text in ("one", "two", "three"):
        await Desk(adapt(chatter(llm), session_service=sessions())).send(text, context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two", "assistant:You said two", "user:three"]
    await Desk(adapt(chatter(llm), session_service=sessions())).send("four", context="k", caller=Caller("bob"))
    assert roles(model) == ["user:four"]


async def test_what_was_canceled_before_a_restart_is_taken_back_after_it(
    model: ModelServer, llm: OpenAILlm, sessions: Reopen
) -> None:
    desk = Desk(adapt(chatter(llm), session_service=sessions()))
    await desk.send("one", context="k")
    async with asyncio.timeout(30):
        task = await desk.begin("hang on", context="k")
        await model.stuck.wait()
        await desk.cancel(task)
    await Desk(adapt(chatter(llm), session_service=sessions())).send("two", context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]


async def test_plain_text_after_a_restart_reaches_the_tool(tmp_path: Path, sessions: Reopen) -> None:
    tasks = f"sqlite:///{tmp_path}/tasks.db"
    store = open_store(tasks)
    desk = Desk(adapt(painter(), session_service=sessions()), store)
    asked = await desk.send("cup", context="k")
    await desk.close()
    await store.close()

    agent = after_a_restart()
    store = open_store(tasks)
    desk = Desk(adapt(agent, session_service=sessions()), store)
    refused = await desk.send("plate", context="k")
    done = await desk.send("red", task=asked.task)
    await desk.close()
    await store.close()
    assert refused.state == "REJECTED"
    assert (done.state, done.text) == ("COMPLETED", "Painted.")
    assert isinstance(agent.model, Scripted)
    responses = [part.function_response for part in agent.model.heard[0][-1].parts or []]
    assert [response and response.response for response in responses] == [{"result": "red"}]


async def test_several_questions_half_answered_before_a_restart(sessions: Reopen) -> None:
    store = MemoryStore()
    questions: Any = [QUESTION, ("ask_human", {"question": "What size?"})]
    first = speaker("painter", questions, tools=[ask_human])
    desk = Desk(adapt(first, session_service=sessions()), store)
    asked = await desk.send("cup")
    ids = {question["question"]: question["id"] for question in asked.questions}
    rest = await desk.send({ids["What size?"]: "big"}, task=asked.task)
    assert rest.said == "What colour?"
    await desk.close()
    desk = Desk(adapt(after_a_restart(), session_service=sessions()), store)
    assert (await desk.send("red", task=asked.task)).text == "Painted."


async def test_an_answer_after_a_restart_that_forgot_the_question_fails_with_a_reason() -> None:
    store = MemoryStore()
    desk = Desk(adapt(painter()), store)
    asked = await desk.send("cup")
    await desk.close()
    late = await Desk(adapt(after_a_restart()), store).send("red", task=asked.task)
    assert (late.state, "memory" in late.said) == ("FAILED", True)


async def test_a_process_that_dies_in_a_turn_leaves_a_session_that_works(
    model: ModelServer, llm: OpenAILlm, tmp_path: Path, service: str, sessions: Reopen
) -> None:
    command = [sys.executable, "-m", "tests.agent.adapters.adk.doomed", service, str(tmp_path), model.url]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        async with asyncio.timeout(150):  # an interpreter begins in it, and imports a lot
            await model.stuck.wait()
    finally:
        process.kill()
        await process.wait()
    await Desk(adapt(chatter(llm), session_service=sessions())).send("two", context="k")
    assert roles(model) == ["user:one", "assistant:You said one", "user:two"]


async def test_an_app_is_served_with_its_plugins_and_stays_as_it_is(llm: OpenAILlm) -> None:
    app = App(name="shop", root_agent=chatter(llm))
    agent = adapt(app)
    assert (agent.name, app.resumability_config) == ("shop", None)
    assert (await Desk(agent).send("hi")).text == "You said hi"


async def test_sessions_in_memory_behind_a_durable_store_are_warned_about(
    sessions: Reopen, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    own = Runner(app_name="painter", agent=painter(), session_service=InMemorySessionService())
    for agent in (painter(), adapt(painter()), own):
        assert warned(caplog, tmp_path, agent).startswith("what it has asked cannot be answered after a restart, and")
    assert not warned(caplog, tmp_path, adapt(painter(), session_service=sessions()))
