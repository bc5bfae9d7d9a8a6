"""What a message may be: data for every input, text for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import start
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters.crewai import adapt
from codin.testing import ModelServer
from tests.agent.adapters.crewai.crews import crew_of, helper
from tests.agent.adapters.crewai.words import last_text
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


class Wish(BaseModel):
    topic: str = "tea"
    tone: str = "plain"
    pages: int = 1


class Essay(Flow[Wish]):
    @start()
    def work(self) -> dict[str, Any]:
        return self.state.model_dump(exclude={"id"})


class Open(Flow[dict[str, Any]]):
    @start()
    def work(self) -> dict[str, Any]:
        return {name: value for name, value in self.state.items() if name != "id"}


async def told(model: ModelServer, agent: Any, content: Any) -> str:
    turn = await Desk(agent).send(content)
    assert turn.state == "COMPLETED", turn.said
    return last_text(model.requests[-1])


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ({"topic": "tea", "tone": "warm"}, {}),
        ('{"topic": "tea", "tone": "warm"}', {}),
        ("tea", {"defaults": {"tone": "warm"}}),
        ("tea", {"text_field": "topic", "defaults": {"tone": "warm", "topic": "never"}}),
        ([a2a.Part(text="tea"), a2a.Part(data={"tone": "warm"})], {"text_field": "topic"}),
        (a2a.Part(raw=b"tea", filename="topic.txt"), {"defaults": {"tone": "warm"}}),
    ],
)
async def test_a_crew_gets_its_variables(model: ModelServer, llm: Any, content: Any, options: Any) -> None:
    assert await told(model, adapt(crew_of(llm, "{topic} in {tone}"), **options), content) == "tea in warm"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("tea", "fields tone (string), topic (string)"),
        ({"topic": "tea"}, "needs 'tone'"),
        ({"topic": "tea", "tone": "warm", "crew_chat_messages": "[]"}, "no input 'crew_chat_messages'"),
        ([1, 2], "JSON object"),
        (a2a.Part(url="https://example.com/cat.jpg"), "no files"),
        (a2a.Part(raw=b"\x89PNG", media_type="image/png"), "no files"),
    ],
)
async def test_what_does_not_fit_is_rejected_with_what_would(llm: Any, content: Any, reason: str) -> None:
    turn = await Desk(adapt(crew_of(llm, "{topic} in {tone}"))).send(content)
    assert turn.state == "REJECTED"
    assert reason in turn.said


async def test_a_crew_without_variables_is_started_by_any_text(model: ModelServer, llm: Any) -> None:
    agent = adapt(crew_of(llm, "write the report"))
    assert await told(model, agent, "go") == "write the report"
    assert await told(model, agent, {}) == "write the report"
    assert (await Desk(agent).send({"topic": "tea"})).state == "REJECTED"


def shout(inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**(inputs or {}), "loud": str((inputs or {}).get("topic", "nothing")).upper()}


async def test_a_crew_that_makes_inputs_of_inputs_takes_any(model: ModelServer, llm: Any) -> None:
    agent = adapt(crew_of(llm, "{loud}", crew={"before_kickoff_callbacks": [shout]}), text_field="topic")
    assert await told(model, agent, {"topic": "tea", "more": 1}) == "TEA"
    assert await told(model, agent, "coffee") == "COFFEE"
    two = adapt(crew_of(llm, "{loud} {topic}", crew={"before_kickoff_callbacks": [shout]}))
    assert (await Desk(two).send("coffee")).state == "REJECTED"


async def test_a_flow_gets_its_state() -> None:
    desk = Desk(adapt(Essay(), text_field="topic", defaults={"tone": "warm"}))
    assert (await desk.send("coffee")).data == {"topic": "coffee", "tone": "warm", "pages": 1}
    assert (await desk.send({"pages": 7})).data == {"topic": "tea", "tone": "warm", "pages": 7}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("coffee", "fields topic (string), tone (string), pages (integer)"),
        ({"pages": "many"}, "pages: "),
        ({"size": 1}, "no input 'size'"),
    ],
)
async def test_a_flow_rejects_what_its_state_does(content: Any, reason: str) -> None:
    turn = await Desk(adapt(Essay())).send(content)
    assert turn.state == "REJECTED"
    assert reason in turn.said


async def test_a_state_that_is_a_dict_takes_anything() -> None:
    desk = Desk(adapt(Open()))
    assert (await desk.send("coffee")).data == {"message": "coffee"}
    assert (await desk.send({"a": 1})).data == {"a": 1}
    assert (await Desk(adapt(Open(), text_field="topic")).send("coffee")).data == {"topic": "coffee"}


async def test_an_agent_needs_something_to_read(llm: Any) -> None:
    assert (await Desk(adapt(helper(llm))).send("")).state == "REJECTED"
