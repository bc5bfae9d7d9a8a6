"""Runs: text piece by piece, tools at work, what it cost, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google.adk.agents import BaseAgent, InvocationContext, LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode  # pyright: ignore[reportPrivateImportUsage]
from google.adk.events import Event
from google.adk.integrations.openai import OpenAILlm
from google.adk.models.llm_response import LlmResponse
from google.adk.sessions import InMemorySessionService
from google.genai import types
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters import ACTIVITY_KEY
from codin.agent.adapters.adk import adapt
from codin.task import current_task
from codin.testing import ModelAnswer, ModelServer
from tests.agent.adapters.adk.scripted import Scripted, event, speaker
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


async def test_text_comes_in_pieces_and_the_whole_of_it_only_once(model: ModelServer, llm: OpenAILlm) -> None:
    turn = await Desk(adapt(LlmAgent(name="c", model=llm))).send("tell me more")
    assert turn.state == "COMPLETED"
    assert turn.text == "".join(turn.chunks) == "You said tell me more"
    assert len(turn.chunks) == 5
    assert model.requests[-1]["stream"] is True


async def test_a_model_that_does_not_stream_is_heard_once(model: ModelServer, llm: OpenAILlm) -> None:
    config = RunConfig(streaming_mode=StreamingMode.NONE)
    turn = await Desk(adapt(LlmAgent(name="c", model=llm), run_config=config)).send("hi")
    assert turn.chunks == ["You said hi"]
    assert not model.requests[-1].get("stream")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_half_made_calls_of_partial_events_are_no_calls(model: ModelServer, llm: OpenAILlm) -> None:
    agent = adapt(LlmAgent(name="c", model=llm, tools=[add]), tool_activity=True)
    turn = await Desk(agent).send('call add {"a": 2, "b": 3}')
    told = [metadata[ACTIVITY_KEY]["tool"] for _, metadata in turn.news if ACTIVITY_KEY in metadata]
    assert [(tool["name"], tool["phase"]) for tool in told] == [("add", "started"), ("add", "finished")]
    assert (told[0]["args"], told[1]["result"]) == ({"a": 2, "b": 3}, {"result": 5})
    assert turn.text == 'The tool said {"result": 5}'


async def test_tools_are_not_told_of_unless_asked_for(llm: OpenAILlm) -> None:
    turn = await Desk(adapt(LlmAgent(name="c", model=llm, tools=[add]))).send('call add {"a": 2, "b": 3}')
    assert turn.news == []


async def test_usage_is_that_of_the_run(llm: OpenAILlm) -> None:
    desk = Desk(adapt(LlmAgent(name="c", model=llm, tools=[add])))
    first = await desk.send('call add {"a": 2, "b": 3}', context="k")
    second = await desk.send("hi", context="k")
    assert first.usage == {"input_tokens": 20 + 40, "output_tokens": 1 + 5, "total_tokens": 66}
    assert second.usage == {"input_tokens": 60, "output_tokens": 3, "total_tokens": 63}


async def test_words_before_and_after_a_tool_call_are_set_apart() -> None:
    before = LlmResponse(
        content=types.Content(
            role="model",
            parts=[
                types.Part(text="Let me add. "),
                types.Part(text="Hm.", thought=True),
                types.Part(function_call=types.FunctionCall(name="add", args={"a": 1, "b": 1})),
            ],
        )
    )
    turn = await Desk(adapt(speaker("c", before, "It is 2", tools=[add]))).send("go")
    assert turn.text == "Let me add. \n\nIt is 2"


class Place(BaseModel):
    name: str
    people: int


async def test_an_output_schema_makes_data_and_no_text(model: ModelServer, llm: OpenAILlm) -> None:
    model.answer = lambda body: ModelAnswer(data={"name": "Bonn", "people": 330000})
    agent = adapt(LlmAgent(name="c", model=llm, output_schema=Place))
    assert agent.output_schema is not None
    assert set(agent.output_schema["properties"]) == {"name", "people"}
    turn = await Desk(agent).send("Bonn")
    assert (turn.data, turn.text, turn.chunks) == ({"name": "Bonn", "people": 330000}, "", [])


async def test_data_that_is_none_is_said_as_it_is() -> None:
    turn = await Desk(adapt(speaker("c", "I do not know", output_schema=Place))).send("Atlantis")
    assert (turn.data, turn.text) == (None, "I do not know")


async def test_fenced_data_is_data() -> None:
    turn = await Desk(adapt(speaker("c", '```json\n{"name": "Bonn", "people": 1}\n```', output_schema=Place))).send("x")
    assert turn.data == {"name": "Bonn", "people": 1}


class Shout(BaseAgent):
    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        text = "".join(part.text or "" for part in (ctx.user_content and ctx.user_content.parts) or [])
        yield event(text.upper(), author=self.name)


async def test_an_agent_of_one_s_own_is_served() -> None:
    assert (await Desk(adapt(Shout(name="shout"))).send("hello")).text == "HELLO"


class Rewritten(BaseAgent):
    """What was streamed may be changed at the end, e.g. by a callback."""

    final: str

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        yield event("Hello", author=self.name, partial=True)
        yield event(self.final, author=self.name)


@pytest.mark.parametrize(("final", "text"), [("Hello there", "Hello there"), ("Goodbye", "Hello"), ("", "Hello")])
async def test_what_was_streamed_stays_and_what_is_added_is_added(final: str, text: str) -> None:
    turn = await Desk(adapt(Rewritten(name="r", final=final))).send("go")
    assert (turn.text, "".join(turn.chunks)) == (text, text)


async def test_an_input_schema_is_checked_before_the_run() -> None:
    agent = speaker("c", "fine", input_schema=Place)
    desk = Desk(adapt(agent))
    wrong = await desk.send("Bonn")
    assert (wrong.state, "input schema" in wrong.said) == ("REJECTED", True)
    assert (await desk.send({"name": "Bonn", "people": 1})).text == "fine"


# -- what goes wrong -------------------------------------------------------------------------------------------------


async def test_an_error_of_the_model_is_reported_once_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    turn = await Desk(adapt(speaker("c", ValueError("key sk-123 is wrong")))).send("go")
    assert turn.state == "FAILED"
    assert "ValueError" in turn.said
    assert "sk-123" not in str(turn.events)
    assert [event.status_update.status.state.name for event in turn.events if event.status_update][-1:] == ["FAILED"]
    assert sum("the agent raised" in record.getMessage() for record in caplog.records) == 1


async def test_an_error_code_fails_the_task() -> None:
    turn = await Desk(adapt(speaker("c", LlmResponse(error_code="SAFETY", error_message="sk-123")))).send("go")
    assert (turn.state, turn.said) == ("FAILED", "The agent ended with SAFETY.")


async def test_an_http_error_of_the_model_fails_the_task(model: ModelServer, llm: OpenAILlm) -> None:
    model.answer = lambda body: ModelAnswer("no quota for sk-123", status=400)
    turn = await Desk(adapt(LlmAgent(name="c", model=llm))).send("go")
    assert (turn.state, "sk-123" in turn.said) == ("FAILED", False)


async def test_a_tool_that_raises_fails_the_task() -> None:
    def broken() -> None:
        raise RuntimeError("sk-123")

    turn = await Desk(adapt(speaker("c", ("broken", {}), tools=[broken]))).send("go")
    assert (turn.state, "sk-123" in turn.said) == ("FAILED", False)


async def test_too_many_calls_of_the_model_have_a_readable_reason() -> None:
    agent = speaker("c", *[("add", {"a": 1, "b": 1})] * 5, tools=[add])
    turn = await Desk(adapt(agent, run_config=RunConfig(max_llm_calls=2))).send("go")
    assert turn.state == "FAILED"
    assert "run config" in turn.said


async def test_loggers_stay_as_they_are(llm: OpenAILlm) -> None:
    before = (list(logging.root.handlers), logging.root.level, logging.getLogger("google_adk").level)
    await Desk(adapt(LlmAgent(name="c", model=llm))).send("hi")
    assert before == (list(logging.root.handlers), logging.root.level, logging.getLogger("google_adk").level)


# -- many at once ----------------------------------------------------------------------------------------------------


async def test_a_hundred_runs_of_one_agent_do_not_mix(llm: OpenAILlm) -> None:
    desk = Desk(adapt(LlmAgent(name="c", model=llm)))
    turns = await asyncio.gather(*(desk.send(f"number {number}") for number in range(100)))
    assert [turn.text for turn in turns] == [f"You said number {number}" for number in range(100)]


async def test_a_tool_that_blocks_is_called_in_a_thread_and_knows_its_task() -> None:
    seen: list[Any] = []

    def blocking() -> str:
        task = current_task()
        seen.append((threading.current_thread() is threading.main_thread(), task.text if task else None))
        return "ok"

    turn = await Desk(adapt(speaker("c", ("blocking", {}), "fine", tools=[blocking]))).send("go")
    assert turn.text == "fine"
    assert seen == [(False, "go")]


async def test_a_run_config_may_depend_on_the_task() -> None:
    seen: list[str] = []

    def config(task: Any) -> RunConfig:
        seen.append(task.text)
        return RunConfig(max_llm_calls=7, custom_metadata={"mine": 1})

    agent = speaker("c", "fine")
    assert (await Desk(adapt(agent, run_config=config)).send("go")).text == "fine"
    assert seen == ["go"]


async def test_the_metadata_of_a_run_config_is_on_every_event_that_is_kept() -> None:
    sessions = InMemorySessionService()
    config = RunConfig(custom_metadata={"mine": 1})
    desk = Desk(adapt(speaker("c", "one two three", "fine"), run_config=config, session_service=sessions))
    await desk.send("go", context="k")
    turn = await desk.send("go on", context="k")
    (listed,) = (await sessions.list_sessions(app_name="c")).sessions
    session = await sessions.get_session(app_name="c", user_id=listed.user_id, session_id=listed.id)
    assert session is not None
    assert [event.custom_metadata for event in session.events if event.author == "user"][-1] == {
        "mine": 1,
        "codin_task": turn.task.id,
    }
    assert [(event.custom_metadata or {}).get("mine") for event in session.events] == [1] * len(session.events)
    assert config.custom_metadata == {"mine": 1}


# -- files in --------------------------------------------------------------------------------------------------------


async def test_files_are_parts_of_the_message() -> None:
    agent = speaker("c", "fine")
    parts = [
        a2a.Part(text="look"),
        a2a.Part(raw=b"\x89PNG", media_type="image/png", filename="p.png"),
        a2a.Part(raw=b"plain words", filename="notes.txt"),
        a2a.Part(url="https://files.example/x.pdf", media_type="application/pdf"),
        a2a.Part(data={"n": 2}),
    ]
    await Desk(adapt(agent)).send(parts)
    assert isinstance(agent.model, Scripted)
    heard = agent.model.heard[0][-1].parts or []
    assert heard[1].inline_data == types.Blob(data=b"\x89PNG", mime_type="image/png", display_name="p.png")
    assert heard[2].text == "plain words"
    assert heard[3].file_data == types.FileData(file_uri="https://files.example/x.pdf", mime_type="application/pdf")
    assert heard[4].text == '{"n":2}'
