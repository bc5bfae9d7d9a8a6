"""Tool calls that need approval: what is asked, and what an answer makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunContextWrapper, function_tool
from codin.agent.adapters.openai_agents import adapt
from codin.task import MemoryStore
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.approvals import WIPE, Approving, Scenario, scenarios
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


@dataclass
class Person:
    name: str


def wiper(chat: OpenAIChatCompletionsModel, wiped: list[str], **options: Any) -> Agent[Any]:
    """An agent with a tool that needs approval."""

    @function_tool(needs_approval=True)
    def wipe(path: str) -> str:
        wiped.append(path)
        return f"wiped {path}"

    @function_tool
    def add(a: int, b: int) -> int:
        return a + b

    return Agent("wiper", model=chat, tools=[wipe, add], **options)


@scenarios
async def test_a_tool_that_needs_approval(
    scenario: Scenario, model: ModelServer, chat: OpenAIChatCompletionsModel, tmp_path: Path
) -> None:
    case = Approving(
        lambda wiped: adapt(wiper(chat, wiped)), model, tmp_path, denied="Tool execution was not approved."
    )
    await scenario(case)


async def test_a_conversation_with_a_question_over_the_responses_api(model: ModelServer) -> None:
    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        responses: Any = OpenAIResponsesModel("local", openai_client=client)
        desk = Desk(adapt(wiper(responses, [])))
        turn = await desk.send("hello big world", context="k")
        assert turn.chunks == ["You ", "said ", "hello ", "big ", "world"]
        asked = await desk.send(WIPE, context="k")
        done = await desk.send("yes", task=asked.task)
        assert (done.text, done.usage["output_tokens"]) == ("The tool said wiped /x", 5)
        assert (await desk.send("bye", context="k")).text == "You said bye"


async def test_an_agent_inside_a_tool_asks_through_the_outer_one(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    @function_tool(needs_approval=True)
    def sign(ctx: RunContextWrapper[Any], paper: str) -> str:
        return f"{paper} signed by {ctx.context['name']}"

    def answer(body: Body) -> Answer:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return Answer(f"heard: {last['content']}")
        return Answer("", [("sign", {"paper": "will"}) if last["content"] == "inner" else ("aide", {"input": "inner"})])

    model.answer = answer
    store = MemoryStore()
    inner = Agent("inner", model=chat, tools=[sign])
    outer = Agent("outer", model=chat, tools=[inner.as_tool("aide", "Helps.")])
    context = {"name": "ada", "key": "hunter2"}
    desk = Desk(adapt(outer, context=context), store)
    asked = await desk.send("outer")
    assert asked.said == 'Approve sign(paper="will")?'
    await desk.close()
    done = await Desk(adapt(outer, context=context), store).send("yes", task=asked.task)
    assert done.text == "heard: heard: will signed by ada"
    assert not any(b"hunter2" in entry.body for commit in await store.feed(0) for entry in commit.entries)


@pytest.mark.parametrize("context", [{"name": "ada", "key": "hunter2"}, Person("ada")])
async def test_the_context_is_made_anew_for_the_answer_and_is_in_no_log(
    chat: OpenAIChatCompletionsModel, context: Mapping[str, str] | Person, caplog: pytest.LogCaptureFixture
) -> None:
    @function_tool(needs_approval=True)
    def who(ctx: RunContextWrapper[Any]) -> str:
        return getattr(ctx.context, "name", None) or ctx.context["name"]

    store = MemoryStore()
    desk = Desk(adapt(Agent("a", model=chat, tools=[who]), context=context), store)
    asked = await desk.send("call who {}")
    await desk.close()
    late = Desk(adapt(Agent("a", model=chat, tools=[who]), context=lambda task: context), store)
    assert (await late.send("yes", task=asked.task)).text == "The tool said ada"
    assert "context" not in caplog.text
    log = [entry.body for commit in await store.feed(0) for entry in commit.entries]
    assert any(b"call_id" in body for body in log)  # the run is there
    assert not any(b"hunter2" in body for body in log)


async def test_an_answer_to_an_agent_that_is_another_one_now_fails(chat: OpenAIChatCompletionsModel) -> None:
    store = MemoryStore()
    desk = Desk(adapt(wiper(chat, [])), store)
    asked = await desk.send(WIPE)
    await desk.close()
    late = Desk(adapt(Agent("other", model=chat), name="wiper"), store)
    assert (await late.send("yes", task=asked.task)).state == "FAILED"


async def test_a_question_does_not_stand_in_the_way_of_another_task(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE, context="k")
    assert (await desk.send("hello", context="k")).text == "You said hello"
    assert (await desk.send("yes", task=asked.task)).text == "The tool said wiped /x"
    await desk.send("next", context="k")
    said = [(message["role"], message.get("content")) for message in model.requests[-1]["messages"]]
    assert said[:3] == [("user", "hello"), ("assistant", "You said hello"), ("user", WIPE)]
