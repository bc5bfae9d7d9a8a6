"""Crews and agents at work: text in, streamed text or data out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from crewai import BaseLLM, Process
from crewai.events import crewai_event_bus
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters.crewai import adapt
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.crewai.crews import Add, Crew, Task, crew_of, helper
from tests.agent.adapters.crewai.words import by_task, last_text
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.keeping import warned

pytestmark = pytest.mark.anyio


class City(BaseModel):
    name: str
    people: int


def short(output: Any):  # what it returns, CrewAI wants to see as a type or not at all
    return (True, output.raw) if len(output.raw) < 10 else (False, "too long")


class Silent(BaseLLM):
    """A model of the user's own, which does not stream and cannot be called asynchronously."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return "from my own model"

    def get_context_window_size(self) -> int:
        return 100_000


async def test_a_crew_streams_the_words_of_its_model(llm: Any) -> None:
    turn = await Desk(adapt(crew_of(llm))).send("hello big world")
    assert turn.state == "COMPLETED"
    assert turn.chunks == ["You ", "said ", "hello ", "big ", "world"]
    assert turn.text == "".join(turn.chunks) == "You said hello big world"


async def test_an_agent_alone_streams_too(model: ModelServer, llm: Any) -> None:
    turn = await Desk(adapt(helper(llm))).send([a2a.Part(text="hello"), a2a.Part(data={"a": 1})])
    assert turn.text == "".join(turn.chunks) == 'You said hello\n\n{"a":1}'
    assert len(turn.chunks) > 1
    assert turn.usage == {"input_tokens": 20, "output_tokens": 4, "total_tokens": 24}


async def test_a_context_is_a_conversation_with_an_agent(model: ModelServer, llm: Any) -> None:
    kept: dict[str, list[Any]] = {}

    class Kept:
        async def load(self, thread: str) -> list[Any]:
            return kept.get(thread, [])

        async def append(self, thread: str, messages: Any) -> None:
            kept.setdefault(thread, []).extend(messages)

    for text in ("one", "two"):  # the second agent is another process that has the same history
        await Desk(adapt(helper(llm), history=Kept())).send(text, context="c")
    said = [(message["role"], message["content"]) for message in model.requests[1]["messages"][1:-1]]
    assert said == [("user", "one"), ("assistant", "You said one")]
    assert len(kept) == 1


def test_a_history_in_memory_behind_a_durable_store_is_warned_about(
    llm: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert "history=" in warned(caplog, tmp_path, adapt(helper(llm)))
    assert not warned(caplog, tmp_path, adapt(crew_of(llm)))


async def test_only_the_last_task_is_the_answer(model: ModelServer, llm: Any) -> None:
    turn = await Desk(adapt(crew_of(llm, "think of {q}", "speak of {q}"))).send("tea")
    assert turn.text == "".join(turn.chunks) == "You said speak of tea"
    assert "You said think of tea" in str(model.requests[1]["messages"])


async def test_a_model_of_the_user_s_own_is_heard_once() -> None:
    turn = await Desk(adapt(crew_of(Silent(model="mine")))).send("hello")
    assert turn.chunks == ["from my own model"]


async def test_reasoning_in_words_is_no_answer(model: ModelServer, llm: Any) -> None:
    model.answer = lambda body: ModelAnswer("Thought: I now can give a great answer\nFinal Answer: It is five.")
    turn = await Desk(adapt(crew_of(llm))).send("2 + 3")
    assert turn.text == "".join(turn.chunks) == "It is five."
    assert len(turn.chunks) > 1


async def test_tools_are_used_and_their_calls_are_no_text(llm: Any) -> None:
    turn = await Desk(adapt(crew_of(llm, tools=[Add()]))).send('call add {"a": 2, "b": 3}')
    assert turn.text == "The tool said 5"
    assert turn.news == []


async def test_words_before_a_tool_call_and_after_it_are_set_apart(model: ModelServer, llm: Any) -> None:
    def answer(body: Body) -> ModelAnswer:
        if body["messages"][-1]["role"] == "tool":
            return ModelAnswer("It is five.")
        return ModelAnswer("Let me add.", [("add", {"a": 2, "b": 3})])

    model.answer = answer
    turn = await Desk(adapt(crew_of(llm, tools=[Add()]))).send("2 + 3?")
    assert turn.text == "".join(turn.chunks) == "Let me add.\n\nIt is five."


async def test_tool_activity_is_told_when_asked_for(llm: Any) -> None:
    crew = crew_of(llm, tools=[Add()])
    turn = await Desk(adapt(crew, tool_activity=True)).send('call add {"a": 2, "b": 3}')
    tools = [metadata["urn:codin:a2a:activity:v1"]["tool"] for _, metadata in turn.news]
    assert [text for text, _ in turn.news] == ["add: started", "add: finished"]
    assert tools[0]["args"] == {"a": 2, "b": 3}
    assert tools[0]["id"] == tools[1]["id"]
    assert tools[1]["result"] == "5"


async def test_usage_is_of_this_run_though_the_model_counts_all_of_them(llm: Any) -> None:
    crew = crew_of(llm, tools=[Add()])
    desk = Desk(adapt(crew))
    first = await desk.send('call add {"a": 2, "b": 3}')
    second = await desk.send("bye")
    assert first.usage == {"input_tokens": 20 + 40, "output_tokens": 1 + 4, "total_tokens": 65}
    assert second.usage == {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23}
    assert llm.get_token_usage_summary().total_tokens == 65 + 23


@pytest.mark.parametrize("options", [{"output_pydantic": City}, {"output_json": City}], ids=list)
async def test_a_structured_answer_is_data(model: ModelServer, llm: Any, options: Any) -> None:
    model.answer = lambda body: ModelAnswer('{"name": "Bonn", "people": 330000}')
    agent = adapt(crew_of(llm, **options))
    assert agent.output_schema is not None
    assert set(agent.output_schema["properties"]) == {"name", "people"}
    turn = await Desk(agent).send("where?")
    assert (turn.data, turn.text, turn.chunks) == ({"name": "Bonn", "people": 330_000}, "", [])
    assert model.requests[0]["response_format"]["type"] == "json_schema"


async def test_an_agent_alone_answers_as_the_model_it_is_given(model: ModelServer, llm: Any) -> None:
    model.answer = lambda body: ModelAnswer('{"name": "Bonn", "people": 330000}')
    turn = await Desk(adapt(helper(llm), output=City)).send("where?")
    assert turn.data == {"name": "Bonn", "people": 330_000}


async def test_what_a_guardrail_refuses_is_never_streamed(model: ModelServer, llm: Any) -> None:
    def answer(body: Body) -> ModelAnswer:
        return ModelAnswer("brief" if "too long" in str(body["messages"]) else "very long indeed")

    model.answer = answer
    turn = await Desk(adapt(crew_of(llm, guardrail=short))).send("say")
    assert turn.chunks == ["brief"]


def _looks(crew: Any) -> Any:
    agent, task = crew.agents[0], crew.tasks[0]
    return dict(agent.llm.__dict__), agent.agent_executor, agent.role, task.description, task.output, crew.usage_metrics


async def test_the_object_of_the_user_stays_as_it_was(llm: Any) -> None:
    crew = crew_of(llm)
    crew.stream = True
    before = _looks(crew)
    turn = await Desk(adapt(crew)).send("hello")
    assert turn.text == "You said hello"
    assert crew.stream
    assert _looks(crew) == before
    assert crew.agents[0].llm is llm


async def test_the_async_client_of_the_user_s_model_is_not_used(llm: Any) -> None:
    class Elsewhere:
        """Belongs to another event loop."""

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"used: {name}")

    llm._async_client = Elsewhere()
    assert (await Desk(adapt(crew_of(llm))).send("hello")).text == "You said hello"


async def test_a_hundred_runs_of_one_crew_do_not_mix(llm: Any) -> None:
    desk = Desk(adapt(crew_of(llm)))
    turns = await asyncio.gather(*(desk.send(f"number {n}") for n in range(100)))
    assert [turn.text for turn in turns] == [f"You said number {n}" for n in range(100)]
    assert {turn.usage["output_tokens"] for turn in turns} == {4}


async def test_agents_with_one_role_and_tasks_with_one_text_are_not_mixed_up(model: ModelServer, llm: Any) -> None:
    first, second = helper(llm, tools=[Add()]), helper(llm)
    one = Task(description="{q}", expected_output="text", agent=first)
    two = Task(description="{q}", expected_output="text", agent=second, context=[one])
    three = Task(description="{q}", expected_output="text", agent=helper(llm, "Outsider"), context=[two])
    turn = await Desk(adapt(Crew(agents=[first, second], tasks=[one, two, three]))).send("x")
    assert turn.state == "COMPLETED"
    assert ["tools" in request for request in model.requests] == [True, False, False]
    assert "You are Outsider" in str(model.requests[2]["messages"])


async def test_a_manager_s_words_are_the_answer_and_not_those_of_its_crew(model: ModelServer, llm: Any) -> None:
    def answer(body: Body) -> ModelAnswer:
        if body["messages"][-1]["role"] == "tool":
            return ModelAnswer("The manager's word.")
        tools = [tool["function"]["name"] for tool in body.get("tools", [])]
        if tools:
            return ModelAnswer(calls=[(tools[0], {"task": "do it", "context": "none", "coworker": "Helper"})])
        return ModelAnswer("The worker's word.")

    model.answer = answer
    crew = crew_of(llm, agent=None, crew={"process": Process.hierarchical, "manager_llm": llm})
    turn = await Desk(adapt(crew)).send("work")
    assert len(model.requests) == 3
    assert turn.text == "".join(turn.chunks) == "The manager's word."


async def test_tasks_that_run_at_once_end_before_the_last(model: ModelServer, llm: Any) -> None:
    agents = [helper(llm, role) for role in ("A", "B", "C")]
    tasks = [
        Task(description=f"{{q}} {agent.role}", expected_output="text", agent=agent, async_execution=agent.role != "C")
        for agent in agents
    ]
    turn = await Desk(adapt(Crew(agents=agents, tasks=tasks))).send("part")
    assert turn.text == "You said part C"
    assert {last_text(request)[:6] for request in model.requests} == {"part A", "part B", "part C"}


async def test_a_failure_is_told_without_its_secrets(llm: Any) -> None:
    def broken(output: Any) -> None:
        raise RuntimeError("password is hunter2")

    turn = await Desk(adapt(crew_of(llm, callback=broken))).send("go")
    assert turn.state == "FAILED"
    assert "hunter2" not in turn.said


async def test_handlers_of_the_user_hear_the_run_and_are_left_in_place(llm: Any) -> None:
    from crewai.events import CrewKickoffCompletedEvent

    heard: list[str] = []

    @crewai_event_bus.on(CrewKickoffCompletedEvent)
    def completed(source: Any, event: Any) -> None:
        heard.append(event.output.raw)

    try:
        await Desk(adapt(crew_of(llm))).send("hello")
        crewai_event_bus.flush()
    finally:
        crewai_event_bus.off(CrewKickoffCompletedEvent, completed)
    assert heard == ["You said hello"]


async def test_callbacks_of_the_crew_are_called(llm: Any) -> None:
    called: list[str] = []

    def done(output: Any) -> None:
        called.append(output.raw)

    crew = crew_of(llm, crew={"task_callback": done})
    await Desk(adapt(crew)).send("hello")
    assert called == ["You said hello"]


@pytest.mark.parametrize("home", ["crewai.llms.providers.bedrock.completion", "crewai.llm"], ids=["Bedrock", "LiteLLM"])
async def test_a_model_that_is_not_to_be_awaited_is_called_as_crewai_would(
    monkeypatch: pytest.MonkeyPatch, llm: Any, home: str
) -> None:
    async def acall(self: Any, *args: Any, **kwargs: Any) -> None:
        assert "providers" in home
        raise NotImplementedError

    acall.__module__ = home
    monkeypatch.setattr(cast("Any", type(llm)), "acall", acall)
    turn = await Desk(adapt(crew_of(llm))).send("hello")
    assert turn.chunks == ["You ", "said ", "hello"]


async def test_a_model_that_does_not_answer_is_tried_as_often_as_the_agent_says(model: ModelServer, llm: Any) -> None:
    model.answer = lambda body: ModelAnswer("") if "hello" in str(body) else by_task(body)
    turn = await Desk(adapt(crew_of(llm))).send("hello")
    assert turn.state == "FAILED"
    assert len(model.requests) == 3  # CrewAI's max_retry_limit is 2
