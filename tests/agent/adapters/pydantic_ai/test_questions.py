"""Tool calls that wait for somebody: what is asked, and what an answer makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, DeferredToolRequests, ExternalToolset, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.tools import ToolDefinition

from codin.agent.adapters.pydantic_ai import adapt
from codin.task import MemoryStore, open_store
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio


def wiper(chat: OpenAIChatModel, wiped: list[str], **options: Any) -> Agent[None, Any]:
    """An agent with a tool that needs approval."""
    agent = Agent(chat, name="wiper", **options)

    @agent.tool_plain(requires_approval=True)
    def wipe(path: str) -> str:
        wiped.append(path)
        return f"wiped {path}"

    return agent


WIPE = 'call wipe {"path": "/x"}'


async def test_a_call_that_needs_approval_is_a_readable_question(chat: OpenAIChatModel) -> None:
    turn = await Desk(adapt(wiper(chat, []))).send(WIPE)
    (question,) = turn.questions
    assert (turn.state, turn.said) == ("INPUT_REQUIRED", 'Approve wipe(path="/x")?')
    assert question["value"] == {"tool": "wipe", "args": {"path": "/x"}}
    assert question["schema"]["anyOf"][0] == {"type": "boolean"}


@pytest.mark.parametrize("answer", ["yes", "OK.", True, {"approved": True}])
async def test_a_yes_runs_the_tool(chat: OpenAIChatModel, answer: Any) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    assert wiped == []
    done = await desk.send(answer, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "The tool said wiped /x", ["/x"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("no", "The tool call was denied."),
        ("no, not today", "not today"),
        (False, "The tool call was denied."),
        ({"approved": False, "message": "not today"}, "not today"),
    ],
)
async def test_a_no_tells_the_model_why(chat: OpenAIChatModel, answer: Any, reason: str) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    done = await desk.send(answer, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", f"The tool said {reason}", [])


async def test_an_approval_may_change_the_arguments(chat: OpenAIChatModel) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    await desk.send({"approved": True, "override_args": {"path": "/y"}}, task=asked.task)
    assert wiped == ["/y"]


async def test_what_is_neither_yes_nor_no_is_asked_again(chat: OpenAIChatModel) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    again = await desk.send("whatever", task=asked.task)
    assert again.state == "INPUT_REQUIRED"
    assert again.said.endswith('\nApprove wipe(path="/x")?')
    assert (await desk.send("yes", task=again.task)).state == "COMPLETED"
    assert wiped == ["/x"]


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


# -- several at once ---------------------------------------------------------------------------------------------------


def busy(body: Body) -> Answer:
    """Calls two tools that wait and one that does not, and then tells all results."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if results:
        return Answer(" | ".join(results))
    return Answer("", [("add", {"a": 1, "b": 1}), ("wipe", {"path": "/x"}), ("wipe", {"path": "/y"})])


def both(chat: OpenAIChatModel, wiped: list[str]) -> Agent[None, Any]:
    agent = wiper(chat, wiped)

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    return agent


def ids(turn: Turn) -> list[str]:
    return [question["id"] for question in turn.questions]


async def test_several_questions_are_answered_by_their_ids(model: ModelServer, chat: OpenAIChatModel) -> None:
    model.answer = busy
    wiped: list[str] = []
    desk = Desk(adapt(both(chat, wiped)))
    asked = await desk.send("go")
    first, second = ids(asked)
    assert f'- {first}: Approve wipe(path="/x")?' in asked.said
    unclear = await desk.send("yes", task=asked.task)
    assert unclear.said.startswith("It is not clear which question this answers.")
    half = await desk.send({first: True}, task=asked.task)
    assert (half.state, half.said.splitlines()[0]) == ("INPUT_REQUIRED", "Please answer all of them at once.")
    done = await desk.send({first: "yes", second: "no, keep it"}, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "2 | wiped /x | keep it", ["/x"])


async def test_a_question_after_a_question_goes_on_with_the_same_task(
    model: ModelServer, chat: OpenAIChatModel
) -> None:
    def twice(body: Body) -> Answer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return (
            Answer(" | ".join(results)) if len(results) == 2 else Answer("", [("wipe", {"path": f"/{len(results)}"})])
        )

    model.answer = twice
    desk = Desk(adapt(wiper(chat, [])))
    turn = await desk.send("go", context="k")
    for _ in range(2):
        assert turn.state == "INPUT_REQUIRED"
        turn = await desk.send("yes", task=turn.task)
    assert turn.text == "wiped /0 | wiped /1"
    assert [message["role"] for message in model.requests[-1]["messages"]] == ["user", *["assistant", "tool"] * 2]


# -- restart, other tasks, cancel --------------------------------------------------------------------------------------


async def test_an_answer_after_a_restart_finds_its_question(
    model: ModelServer, chat: OpenAIChatModel, tmp_path: Any
) -> None:
    model.answer = busy
    wiped: list[str] = []
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(both(chat, wiped)), store)
    asked = await desk.send("go")
    await desk.close()
    await store.close()
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(both(chat, wiped)), store)
    done = await desk.send(dict.fromkeys(ids(asked), True), task=asked.task)
    await desk.close()
    await store.close()
    assert (done.state, done.text, wiped) == ("COMPLETED", "2 | wiped /x | wiped /y", ["/x", "/y"])


async def test_the_usage_of_an_answer_is_that_of_its_run(chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE)
    done = await desk.send("yes", task=asked.task)
    assert (asked.usage["input_tokens"], done.usage["input_tokens"]) == (10, 30)


async def test_a_question_does_not_stand_in_the_way_of_another_task(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE, context="k")
    assert (await desk.send("hello", context="k")).text == "You said hello"
    assert (await desk.send("yes", task=asked.task)).text == "The tool said wiped /x"
    said = [(message["role"], message.get("content")) for message in model.requests[-1]["messages"]]
    assert said[:3] == [("user", "hello"), ("assistant", "You said hello"), ("user", WIPE)]


async def test_a_canceled_question_is_forgotten(model: ModelServer, chat: OpenAIChatModel) -> None:
    desk = Desk(adapt(wiper(chat, [])), MemoryStore())
    asked = await desk.send(WIPE, context="k")
    await desk.cancel(asked.task)
    await desk.send("hello", context="k")
    assert [message["content"] for message in model.requests[-1]["messages"]] == ["hello"]
