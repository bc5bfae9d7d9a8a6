"""What a function returns, and what a task becomes by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from codin import a2a
from codin.agent import AgentResponse, Media, NeedAuth, NeedInput, Reject, agent
from codin.task import Limits, converse
from codin.trust import ANONYMOUS
from tests.agent.driver import Driver, answer, reason, text

pytestmark = pytest.mark.anyio


class Total(BaseModel):
    sum_of_all: int = Field(serialization_alias="sumOfAll")


@dataclass
class Point:
    x: int


class Colour(Enum):
    RED = "red"


def returning(value: Any) -> Driver:
    @agent
    async def give() -> Any:
        return value

    return Driver(give)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (None, None),
        ({"a": [1, None]}, {"a": [1, None]}),
        ([], []),
        (["a", "b"], ["a", "b"]),
        ((1, 2), [1, 2]),
        (0, 0),
        (False, False),
        (1.5, 1.5),
        (Total(sum_of_all=3), {"sumOfAll": 3}),
        ([Total(sum_of_all=3)], [{"sumOfAll": 3}]),
        (Point(1), {"x": 1}),
        ({"day": date(2026, 1, 31)}, {"day": "2026-01-31"}),
        (Colour.RED, "red"),
    ],
)
async def test_a_plain_value_is_the_answer(value: Any, expected: Any) -> None:
    assert answer(await returning(value).send(text("go"))) == expected


async def test_bytes_are_a_file() -> None:
    task = await returning(b"\x00\xff").send(text("go"))
    (artifact,) = task.artifacts
    assert artifact.parts == [a2a.Part(raw=b"\x00\xff", media_type="application/octet-stream")]


async def test_the_hint_says_what_the_file_is() -> None:
    @agent
    async def draw() -> Annotated[bytes, Media("image/png", filename="plot.png")]:
        return b"png"

    (artifact,) = (await Driver(draw).send(text("go"))).artifacts
    assert artifact.parts == [a2a.Part(raw=b"png", media_type="image/png", filename="plot.png")]
    assert draw.output_modes == ["image/png"]


async def test_parts_and_artifacts() -> None:
    link = a2a.Part(url="https://example.com/x")
    named = a2a.Artifact(artifact_id="report", name="Report", parts=[a2a.Part(text="all good")])
    (artifact,) = (await returning(link).send(text("go"))).artifacts
    assert artifact.parts == [link]
    assert (await returning(named).send(text("go"))).artifacts == [named]
    (artifact,) = (await returning([link, link]).send(text("go"))).artifacts
    assert artifact.parts == [link, link]


async def test_a_mixed_list_is_one_artifact_beside_the_artifacts_in_it() -> None:
    named = a2a.Artifact(artifact_id="report", parts=[a2a.Part(text="all good")])
    task = await returning(["caption", named, b"x", {"a": 1}]).send(text("go"))
    assert [part.kind for part in task.artifacts[0].parts] == ["text", "raw", "data"]
    assert task.artifacts[1] == named


async def test_responses_and_exceptions_set_the_outcome() -> None:
    outcomes = {
        "input": AgentResponse.input_required("which?"),
        "failed": AgentResponse.failed("no disk"),
    }

    @agent
    async def choose(text: str) -> AgentResponse:
        if text == "reject":
            raise Reject("not me")
        if text == "auth":
            raise NeedAuth("log in")
        if text == "ask":
            raise NeedInput("which one?", data={"choices": [1]})
        return outcomes[text]

    driver = Driver(choose)
    states = {word: (await driver.send(text(word))).status for word in ("reject", "auth", "ask", "input", "failed")}
    assert {word: status.state.name for word, status in states.items()} == {
        "reject": "REJECTED",
        "auth": "AUTH_REQUIRED",
        "ask": "INPUT_REQUIRED",
        "input": "INPUT_REQUIRED",
        "failed": "FAILED",
    }
    assert states["ask"].message is not None
    assert states["ask"].message.parts[1].data == {"choices": [1]}


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (object, "'object', which is not JSON"),
        (lambda: {"a": {"b": object()}}, "'dict', which is not JSON"),
        (_circle, "'list', which is not JSON"),
        (lambda: {"a": b"\xff"}, "'dict', which is not JSON"),
        (lambda: a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[text("x")]), "reply='message'"),
    ],
)
async def test_what_cannot_be_sent_fails_the_task_and_says_why(make: Callable[[], Any], named: str) -> None:
    task = await returning(make()).send(text("go"))
    assert task.status.state is a2a.TaskState.FAILED
    assert reason(task).startswith("INVALID_AGENT_RESPONSE: the agent returned")
    assert named in reason(task)


async def test_an_exception_fails_the_task_without_its_text() -> None:
    @agent
    async def boom() -> str:
        raise ValueError("hunter2")

    task = await Driver(boom).send(text("go"))
    assert task.status.state is a2a.TaskState.FAILED
    assert "hunter2" not in reason(task)


# -- messages ----------------------------------------------------------------------------------------------------------


async def converse_with(value: Any) -> list[a2a.Part]:
    @agent(reply="message")
    async def give() -> Any:
        return value

    request = a2a.SendMessageRequest(message=a2a.Message(message_id="m", role=a2a.Role.USER, parts=[text("go")]))
    return (await converse(give.handle, ANONYMOUS, request, Limits())).parts


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("hi", [a2a.Part(text="hi")]),
        ({"a": 1}, [a2a.Part(data={"a": 1})]),
        (b"x", [a2a.Part(raw=b"x", media_type="application/octet-stream")]),
        ([a2a.Part(text="a"), a2a.Part(text="b")], [a2a.Part(text="a"), a2a.Part(text="b")]),
        (a2a.Message(message_id="m", role=a2a.Role.AGENT, parts=[text("x")]), [a2a.Part(text="x")]),
        (AgentResponse.message("as is"), [a2a.Part(text="as is")]),
    ],
)
async def test_a_message_agent_answers_with_parts(value: Any, parts: list[a2a.Part]) -> None:
    assert await converse_with(value) == parts


async def test_a_message_agent_cannot_answer_with_just_anything() -> None:
    with pytest.raises(a2a.InvalidAgentResponse):
        await converse_with(object())


async def test_a_message_agent_rejects_in_words() -> None:
    @agent(reply="message")
    async def add(left: int, right: int) -> int:
        return left + right

    request = a2a.SendMessageRequest(message=a2a.Message(message_id="m", role=a2a.Role.USER, parts=[text("1")]))
    message = await converse(add.handle, ANONYMOUS, request, Limits())
    assert "'left', 'right'" in a2a.text_of(message.parts)


# -- the guide ---------------------------------------------------------------------------------------------------------


def test_the_guide_lists_the_fields_of_a_response() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
    table = guide.partition("### AgentResponse")[2].partition("```")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [field.name for field in fields(AgentResponse)]
