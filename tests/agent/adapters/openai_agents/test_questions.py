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
from codin.task import MemoryStore, open_store
from codin.testing import Body, ModelServer
from codin.testing import ModelAnswer as Answer
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio


@dataclass
class Person:
    name: str


WIPE = 'call wipe {"path": "/x"}'


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


async def test_a_call_that_needs_approval_is_a_readable_question(chat: OpenAIChatCompletionsModel) -> None:
    turn = await Desk(adapt(wiper(chat, []))).send(WIPE)
    (question,) = turn.questions
    assert (turn.state, turn.said) == ("INPUT_REQUIRED", 'Approve wipe(path="/x")?')
    assert question["value"] == {"tool": "wipe", "args": {"path": "/x"}}
    assert question["schema"]["anyOf"][0] == {"type": "boolean"}


@pytest.mark.parametrize("answer", ["yes", "OK.", True, {"approved": True}])
async def test_a_yes_runs_the_tool(chat: OpenAIChatCompletionsModel, answer: Any) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    assert wiped == []
    done = await desk.send(answer, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "The tool said wiped /x", ["/x"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("no", "Tool execution was not approved."),
        ("no, not today", "not today"),
        (False, "Tool execution was not approved."),
        ({"approved": False, "message": "not today"}, "not today"),
    ],
)
async def test_a_no_tells_the_model_why(chat: OpenAIChatCompletionsModel, answer: Any, reason: str) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    done = await desk.send(answer, task=asked.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", f"The tool said {reason}", [])


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


async def test_what_is_neither_yes_nor_no_is_asked_again(chat: OpenAIChatCompletionsModel) -> None:
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
    asked = await desk.send(WIPE)
    again = await desk.send("whatever", task=asked.task)
    assert again.state == "INPUT_REQUIRED"
    assert again.said.endswith('\nApprove wipe(path="/x")?')
    assert (await desk.send("yes", task=again.task)).state == "COMPLETED"
    assert wiped == ["/x"]


# -- several at once ---------------------------------------------------------------------------------------------------


def busy(body: Body) -> Answer:
    """Calls two tools that wait and one that does not, and then tells all results."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if results:
        return Answer(" | ".join(results))
    return Answer("", [("add", {"a": 1, "b": 1}), ("wipe", {"path": "/x"}), ("wipe", {"path": "/y"})])


def ids(turn: Turn) -> list[str]:
    return [question["id"] for question in turn.questions]


async def test_several_questions_are_answered_by_their_ids(
    model: ModelServer, chat: OpenAIChatCompletionsModel
) -> None:
    model.answer = busy
    wiped: list[str] = []
    desk = Desk(adapt(wiper(chat, wiped)))
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
    model: ModelServer, chat: OpenAIChatCompletionsModel
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
    await desk.send("and now?", context="k")
    roles = [message["role"] for message in model.requests[-1]["messages"]]
    assert roles == ["user", *["assistant", "tool"] * 2, "assistant", "user"]


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


# -- restart, other tasks, cancel --------------------------------------------------------------------------------------


async def test_an_answer_after_a_restart_finds_its_question(
    model: ModelServer, chat: OpenAIChatCompletionsModel, tmp_path: Path
) -> None:
    model.answer = busy
    wiped: list[str] = []
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(wiper(chat, wiped)), store)
    asked = await desk.send("go")
    await desk.close()
    await store.close()
    store = open_store(f"sqlite:///{tmp_path}/tasks.db")
    desk = Desk(adapt(wiper(chat, wiped)), store)
    done = await desk.send(dict.fromkeys(ids(asked), True), task=asked.task)
    await desk.close()
    await store.close()
    assert (done.state, done.text, sorted(wiped)) == ("COMPLETED", "2 | wiped /x | wiped /y", ["/x", "/y"])


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


async def test_the_usage_of_an_answer_is_that_of_its_run(chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE)
    done = await desk.send("yes", task=asked.task)
    assert (asked.usage["input_tokens"], done.usage["input_tokens"]) == (10, 30)


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


async def test_a_canceled_question_is_forgotten(model: ModelServer, chat: OpenAIChatCompletionsModel) -> None:
    desk = Desk(adapt(wiper(chat, [])))
    asked = await desk.send(WIPE, context="k")
    await desk.cancel(asked.task)
    await desk.send("hello", context="k")
    assert [message["content"] for message in model.requests[-1]["messages"]] == ["hello"]
