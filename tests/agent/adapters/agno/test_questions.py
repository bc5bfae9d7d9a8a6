"""What Agno asks a person, the caller is asked; the answers go back, also after a restart."""

from __future__ import annotations

from typing import Any, cast

import pytest
from agno import tools
from agno.agent import Agent
from agno.models.openai.like import OpenAILike
from agno.team import Team
from agno.tools.user_feedback import UserFeedbackTools

from codin.agent.adapters.agno import adapt
from codin.task import MemoryStore, open_store
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio

tool: Any = cast("Any", tools).tool

wiped: list[str] = []


@pytest.fixture(autouse=True)
def nothing_is_wiped() -> None:
    wiped.clear()


@tool(requires_confirmation=True)
def wipe(path: str) -> str:
    """Delete a file."""
    wiped.append(path)
    return f"wiped {path}"


@tool(requires_user_input=True, user_input_fields=["to", "copies"])
def mail(subject: str, to: str, copies: int) -> str:
    """Send a mail.

    Args:
        to: whom it is for
    """
    return f"{subject} to {to}, {copies + 1} times"


@tool(requires_user_input=True, user_input_fields=["to"])
def write_to(subject: str, to: str) -> str:
    """Write to somebody."""
    return f"{subject} to {to}"


@tool(external_execution=True)
def shell(command: str) -> str:
    """Run a command."""
    raise AssertionError("somebody else runs it")


def calls(*asked: tuple[str, dict[str, Any]]) -> Any:
    def answer(body: Body) -> ModelAnswer:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return ModelAnswer(" and ".join(map(str, results))) if results else ModelAnswer(calls=asked)

    return answer


async def asked(desk: Desk) -> Turn:
    turn = await desk.send("go")
    assert turn.state == "INPUT_REQUIRED", turn.said
    return turn


# -- one question ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["yes", True, {"approved": True}])
async def test_a_tool_is_confirmed(model: ModelServer, chat: OpenAILike, answer: Any) -> None:
    model.answer = calls(("wipe", {"path": "/x"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    assert turn.said == 'Approve wipe(path="/x")?'
    (question,) = turn.questions
    assert question["value"] == {"kind": "confirmation", "tool": "wipe", "args": {"path": "/x"}}
    done = await desk.send(answer, task=turn.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "wiped /x", ["/x"])


async def test_a_tool_is_refused_and_the_model_told_why(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("wipe", {"path": "/x"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    done = await desk.send("no, it is mine", task=turn.task)
    assert (done.state, wiped) == ("COMPLETED", [])
    assert "it is mine" in done.text


async def test_an_unclear_answer_is_asked_again(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("wipe", {"path": "/x"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    again = await desk.send("hm", task=turn.task)
    assert (again.state, wiped) == ("INPUT_REQUIRED", [])
    assert "yes" in again.said
    assert 'wipe(path="/x")' in again.said
    assert (await desk.send("yes", task=turn.task)).state == "COMPLETED"


async def test_usage_before_and_after_the_answer_is_counted_once(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("wipe", {"path": "/x"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    first = dict(model.spent)
    done = await desk.send("yes", task=turn.task)
    for name, count in model.spent.items():
        assert (turn.usage[name], done.usage[name]) == (first[name], count - first[name])


async def test_the_only_field_is_answered_by_plain_text(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("write_to", {"subject": "tea"}))
    desk = Desk(adapt(Agent(model=chat, tools=[write_to])))
    turn = await asked(desk)
    assert turn.said == "write_to needs to."
    assert turn.questions[0]["schema"]["properties"] == {"to": {"type": "string"}}
    assert (await desk.send("42", task=turn.task)).text == "tea to 42"


async def test_several_fields_are_answered_by_data(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("mail", {"subject": "tea"}))
    desk = Desk(adapt(Agent(model=chat, tools=[mail])))
    turn = await asked(desk)
    schema = turn.questions[0]["schema"]
    assert {name: field["type"] for name, field in schema["properties"].items()} == {
        "to": "string",
        "copies": "integer",
    }
    assert "data part" in (await desk.send("bob, twice", task=turn.task)).said
    assert "copies is missing" in (await desk.send({"to": "bob"}, task=turn.task)).said
    assert (await desk.send({"to": "bob", "copies": 1}, task=turn.task)).text == "tea to bob, 2 times"


@pytest.mark.parametrize(("answer", "result"), [("two files", "two files"), ({"files": 2}, '{"files":2}')])
async def test_what_somebody_else_does_comes_back_as_the_result(
    model: ModelServer, chat: OpenAILike, answer: Any, result: str
) -> None:
    model.answer = calls(("shell", {"command": "ls"}))
    desk = Desk(adapt(Agent(model=chat, tools=[shell])))
    turn = await asked(desk)
    assert turn.said == 'Please do shell(command="ls") and send the result.'
    assert (await desk.send(answer, task=turn.task)).text == result


async def test_choices_are_shown_and_chosen(model: ModelServer, chat: OpenAILike) -> None:
    question = {
        "question": "Which tea?",
        "header": "Tea",
        "options": [{"label": "Green", "description": "mild"}, {"label": "Black", "description": "strong"}],
        "multi_select": False,
    }
    model.answer = calls(("ask_user", {"questions": [question]}))
    desk = Desk(adapt(Agent(model=chat, tools=[UserFeedbackTools()])))
    turn = await asked(desk)
    assert turn.said == "Which tea?\n- Green: mild\n- Black: strong"
    assert turn.questions[0]["schema"]["properties"] == {"Which tea?": {"enum": ["Green", "Black"]}}
    assert "Choose one of: Green, Black." in (await desk.send("red", task=turn.task)).said
    done = await desk.send("green", task=turn.task)
    assert (done.state, "Green" in done.text, "Black" in done.text) == ("COMPLETED", True, False)


# -- several -----------------------------------------------------------------------------------------------------------


async def test_several_are_asked_at_once_and_answered_by_id(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("wipe", {"path": "/x"}), ("wipe", {"path": "/y"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    first, second = (question["id"] for question in turn.questions)
    assert len((await desk.send("yes", task=turn.task)).questions) == 2  # it is not clear which
    done = await desk.send({first: False, second: True}, task=turn.task)
    assert (done.state, wiped) == ("COMPLETED", ["/y"])


async def test_some_may_be_answered_first(model: ModelServer, chat: OpenAILike) -> None:
    model.answer = calls(("wipe", {"path": "/x"}), ("wipe", {"path": "/y"}))
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    rest = await desk.send({turn.questions[0]["id"]: True}, task=turn.task)
    assert (rest.said, wiped) == ('Approve wipe(path="/y")?', [])
    assert (await desk.send("no", task=rest.task)).state == "COMPLETED"
    assert wiped == ["/x"]


async def test_a_run_may_ask_more_than_once(model: ModelServer, chat: OpenAILike) -> None:
    def answer(body: Body) -> ModelAnswer:
        done = sum(message["role"] == "tool" for message in body["messages"])
        return ModelAnswer("done") if done == 2 else ModelAnswer(calls=[("wipe", {"path": f"/{done}"})])

    model.answer = answer
    desk = Desk(adapt(Agent(model=chat, tools=[wipe])))
    turn = await asked(desk)
    second = await desk.send("yes", task=turn.task)
    assert second.said == 'Approve wipe(path="/1")?'
    assert (await desk.send("yes", task=turn.task)).text == "done"
    assert wiped == ["/0", "/1"]


# -- restarts and teams ------------------------------------------------------------------------------------------------


def crew(chat: OpenAILike, **options: Any) -> Any:
    return Team(name="crew", model=chat, members=[Agent(name="eraser", model=chat, tools=[wipe])], **options)


def leads(body: Body) -> ModelAnswer:
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    last = body["messages"][-1]
    if last["role"] == "tool":
        return ModelAnswer(f"Heard: {last['content']}")
    if "delegate_task_to_member" in tools:
        return ModelAnswer(calls=[("delegate_task_to_member", {"member_id": "eraser", "task": "clean up"})])
    return ModelAnswer(calls=[("wipe", {"path": "/x"})])


async def test_a_question_survives_a_restart_without_a_database_of_agno_s(
    model: ModelServer, chat: OpenAILike, tmp_path: Any
) -> None:
    model.answer = calls(("wipe", {"path": "/x"}))
    store = f"sqlite:///{tmp_path / 'tasks.db'}"
    before = Desk(adapt(Agent(model=chat, tools=[wipe])), open_store(store))
    turn = await asked(before)
    await before.close()
    await before.manager.close()
    after = Desk(adapt(Agent(model=chat, tools=[wipe])), open_store(store))
    done = await after.send("yes", task=turn.task)
    assert (done.state, done.text, wiped) == ("COMPLETED", "wiped /x", ["/x"])
    await after.manager.close()


@pytest.mark.parametrize("directly", [False, True])
async def test_a_member_of_a_team_asks_also_after_a_restart(
    model: ModelServer, chat: OpenAILike, directly: bool
) -> None:
    model.answer = leads
    store = MemoryStore()
    before = Desk(adapt(crew(chat, respond_directly=directly)), store)
    turn = await asked(before)
    assert turn.said == 'Approve wipe(path="/x")?'
    assert turn.questions[0]["value"]["agent"] == "eraser"
    assert turn.text == ""  # and not what Agno tells the leader
    await before.close()
    done = await Desk(adapt(crew(chat, respond_directly=directly)), store).send("yes", task=turn.task)
    assert (done.state, wiped) == ("COMPLETED", ["/x"])
    assert "wiped /x" in done.text
