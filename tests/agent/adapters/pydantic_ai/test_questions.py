"""Tool calls that wait for somebody: what is asked, and what an answer makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, DeferredToolRequests, ExternalToolset, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.tools import ToolDefinition

from codin.agent.adapters.pydantic_ai import adapt
from codin.task import MemoryStore
from codin.testing import ModelServer
from tests.agent.adapters.approvals import WIPE, Approving, Scenario, scenarios
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


def wiper(chat: OpenAIChatModel, wiped: list[str], **options: Any) -> Agent[None, Any]:
    """An agent with a tool that needs approval, and one that does not."""
    agent = Agent(chat, name="wiper", **options)

    @agent.tool_plain(requires_approval=True)
    def wipe(path: str) -> str:
        wiped.append(path)
        return f"wiped {path}"

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    return agent


@scenarios
async def test_a_tool_that_needs_approval(
    scenario: Scenario, model: ModelServer, chat: OpenAIChatModel, tmp_path: Path
) -> None:
    await scenario(Approving(lambda wiped: adapt(wiper(chat, wiped)), model, tmp_path, "The tool call was denied."))


async def test_an_approval_may_change_the_arguments(chat: OpenAIChatModel) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    await desk.send({"approved": True, "override_args": {"path": "/y"}}, task=asked.task)
    assert wiped == ["/y"]


async def test_what_a_tool_says_of_its_approval_is_the_question(chat: OpenAIChatModel) -> None:
    agent = Agent(chat)

    @agent.tool
    def pay(ctx: RunContext, amount: int) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired({"question": f"Pay {amount} crowns?", "limit": 10})
        return f"paid {amount}, limit {ctx.tool_call_metadata['limit']}"

    desk = Desk(adapt(agent))
    asked = await desk.send('call pay {"amount": 27}')
    assert asked.said == "Pay 27 crowns?"
    assert asked.questions[0]["value"]["metadata"]["limit"] == 10
    assert (await desk.send("yes", task=asked.task)).text == "The tool said paid 27, limit 10"


async def test_a_tool_may_ask_for_a_credential_that_no_model_and_no_log_sees(
    model: ModelServer, chat: OpenAIChatModel
) -> None:
    agent = Agent(chat)

    @agent.tool
    def enter(ctx: RunContext) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired({"question": "Your key?", "auth": True})
        return f"{len(ctx.tool_call_metadata['answer'])} letters"

    store = MemoryStore()
    desk = Desk(adapt(agent), store)
    asked = await desk.send("call enter {}")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "Your key?")
    assert (await desk.send("hunter2", task=asked.task)).text == "The tool said 7 letters"
    assert "hunter2" not in str(model.requests)
    assert not any(b"hunter2" in entry.body for commit in await store.feed(0) for entry in commit.entries)


async def test_an_agent_that_names_deferred_calls_itself_asks_too(chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(wiper(chat, [], output_type=[str, DeferredToolRequests])))
    assert (await desk.send(WIPE)).state == "INPUT_REQUIRED"


async def test_an_agent_with_an_output_validator_asks_when_it_names_deferred_calls(chat: OpenAIChatModel) -> None:
    agent = wiper(chat, [], output_type=[str, DeferredToolRequests])

    @agent.output_validator
    def loud(output: Any) -> Any:
        return output.upper() if isinstance(output, str) else output

    desk = Desk(adapt(agent))
    asked = await desk.send(WIPE)
    assert (await desk.send("yes", task=asked.task)).text == "THE TOOL SAID WIPED /X"


# -- calls that somebody else runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "said"), [("21 degrees", "21 degrees"), ({"degrees": 21}, '{"degrees":21}')])
async def test_the_answer_to_an_external_call_is_its_result(chat: OpenAIChatModel, answer: Any, said: str) -> None:
    schema = {"type": "object", "properties": {"room": {"type": "string"}}}
    agent = Agent(chat, toolsets=[ExternalToolset([ToolDefinition(name="measure", parameters_json_schema=schema)])])
    desk = Desk(adapt(agent))
    asked = await desk.send('call measure {"room": "attic"}')
    assert asked.said == 'What is the result of measure(room="attic")?'
    assert asked.questions[0]["value"] == {"tool": "measure", "args": {"room": "attic"}}
    assert (await desk.send(answer, task=asked.task)).text == f"The tool said {said}"


async def test_a_question_of_the_model_is_asked_in_its_words(chat: OpenAIChatModel) -> None:
    agent = Agent(chat)

    @agent.tool_plain
    def ask_user(question: str) -> str:
        raise CallDeferred(kind="question")

    desk = Desk(adapt(agent))
    asked = await desk.send('call ask_user {"question": "Which colour?"}')
    assert asked.said == "Which colour?"
    assert (await desk.send("red", task=asked.task)).text == "The tool said red"


# -- other tasks -------------------------------------------------------------------------------------------------------


async def test_a_question_does_not_stand_in_the_way_of_another_task(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE, context="k")
    assert (await desk.send("hello", context="k")).text == "You said hello"
    assert (await desk.send("yes", task=asked.task)).text == "The tool said wiped /x"
    said = [(message["role"], message.get("content")) for message in model.requests[-1]["messages"]]
    assert said[:3] == [("user", "hello"), ("assistant", "You said hello"), ("user", WIPE)]
