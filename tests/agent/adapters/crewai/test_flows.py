"""Flows: state in, what they return out, and what they ask in between."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from crewai import Flow
from crewai.flow import listen, persist, start
from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.conversational import ConversationConfig, ConversationState
from crewai.flow.flow_config import flow_config
from crewai.flow.human_feedback import human_feedback
from crewai.flow.persistence import SQLiteFlowPersistence
from pydantic import BaseModel, PrivateAttr

from codin import a2a
from codin.agent.adapters.crewai import adapt
from codin.task.stores.sqlite import SQLiteStore
from codin.testing import ModelAnswer, ModelServer
from codin.trust import Caller
from tests.agent.adapters.crewai.crews import crew_of
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio


class Topic(BaseModel):
    topic: str = ""
    pages: int = 1
    turns: list[str] = []


class Essay(Flow[Topic]):
    """Writes an essay."""

    @start()
    def outline(self) -> str:
        return f"outline of {self.state.topic}"

    @listen(outline)
    async def write(self, outline: str) -> dict[str, Any]:
        return {"text": f"{outline}, {self.state.pages} pages"}


class Review(Flow[Topic]):
    @start()
    def note(self) -> None:
        self.state.turns.append("noted")

    @listen(note)
    @human_feedback(message="Publish it?")
    def write(self) -> str:
        return f"draft about {self.state.topic}"

    @listen(write)
    def publish(self, result: Any) -> str:
        return f"{result.output}: {result.feedback}, {self.state.turns}"


@pytest.fixture(autouse=True)
def closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


def returning(value: Any) -> Any:
    class Returns(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return value

    return Returns()


async def test_a_flow_takes_its_state_and_gives_what_it_returns() -> None:
    turn = await Desk(adapt(Essay())).send({"topic": "tea", "pages": 3})
    assert (turn.state, turn.data) == ("COMPLETED", {"text": "outline of tea, 3 pages"})


async def test_plain_text_is_the_only_field_that_is_text() -> None:
    turn = await Desk(adapt(Essay())).send("tea")
    assert turn.data == {"text": "outline of tea, 1 pages"}


@pytest.mark.parametrize(
    ("value", "text", "data"),
    [
        ("words", "words", None),
        (Topic(topic="x"), "", {"topic": "x", "pages": 1, "turns": []}),
        ([1, 2], "", [1, 2]),
        (7, "", 7),
        (None, "", None),
    ],
    ids=repr,
)
async def test_what_a_flow_returns_is_text_or_data(value: Any, text: str, data: Any) -> None:
    turn = await Desk(adapt(returning(value))).send("go")
    assert (turn.state, turn.text, turn.data) == ("COMPLETED", text, data)


async def test_what_a_crew_in_a_flow_says_is_the_answer(llm: Any) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return crew_of(llm).kickoff(inputs={"q": self.state["message"]})

    turn = await Desk(adapt(Outer())).send("hello")
    assert turn.chunks == ["You said hello"]
    assert turn.usage == {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23}


async def test_text_from_streams_the_words_of_the_methods_it_names(model: ModelServer, llm: Any) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        def think(self) -> Any:
            return crew_of(llm, "think").kickoff()

        @listen(think)
        def speak(self) -> Any:
            return crew_of(llm, "speak").kickoff()

    for flow in (Outer(), Outer(suppress_flow_events=True)):
        turn = await Desk(adapt(flow, text_from=["speak"])).send("go")
        assert turn.text == "".join(turn.chunks) == "You said speak"
        assert len(turn.chunks) == 3


async def test_methods_that_speak_at_once_do_not_mix_their_words(model: ModelServer, llm: Any) -> None:
    model.answer = lambda body: ModelAnswer(f"{'red' if 'red' in str(body) else 'blue'} " * 20)

    class Two(Flow[dict[str, Any]]):
        @start()
        def red(self) -> Any:
            return crew_of(llm, "red").kickoff().raw

        @start()
        def blue(self) -> Any:
            return crew_of(llm, "blue").kickoff().raw

    turn = await Desk(adapt(Two(), text_from=["red", "blue"])).send("go")
    halves = {half.strip() for half in turn.text.split("\n\n")}
    assert halves == {" ".join(["red"] * 20), " ".join(["blue"] * 20)}
    assert turn.text == "".join(turn.chunks)


async def test_a_hundred_runs_of_one_flow_do_not_mix() -> None:
    desk = Desk(adapt(Essay()))
    turns = await asyncio.gather(*(desk.send(f"topic {n}") for n in range(100)))
    assert [turn.data for turn in turns] == [{"text": f"outline of topic {n}, 1 pages"} for n in range(100)]


async def test_what_the_user_has_put_on_the_flow_is_there_and_stays() -> None:
    class Own(Flow[Topic]):
        _secret: str = PrivateAttr(default="none")

        def __init__(self, client: str) -> None:
            super().__init__()
            self.client = client
            self._secret = f"{client}'s"
            self.state.turns.append("set")

        @start()
        def work(self) -> str:
            self.state.turns.append(self.state.topic)
            return f"{self.client} {self._secret} {self.state.turns}"

    flow = Own("mine")
    desk = Desk(adapt(flow))
    assert (await desk.send("a")).text == "mine mine's ['set', 'a']"
    assert (await desk.send("b")).text == "mine mine's ['set', 'b']"
    assert (flow.state.turns, flow.state.topic, flow.method_outputs) == (["set"], "", [])


async def test_a_flow_that_is_declared_and_not_written_is_served() -> None:
    methods = {
        "first": {"start": True, "do": {"call": "expression", "expr": "state.n"}},
        "second": {"listen": "first", "do": {"call": "expression", "expr": "outputs.first + 1"}},
    }
    flow: Any = Flow
    agent = adapt(flow.from_declaration(contents={"name": "adder", "state": {"type": "dict"}, "methods": methods}))
    assert agent.name == "adder"
    assert (await Desk(agent).send({"n": 5})).data == 6


# -- questions ---------------------------------------------------------------------------------------------------------


async def test_feedback_is_a_question_and_the_flow_goes_on_with_the_answer() -> None:
    desk = Desk(adapt(Review()))
    asked = await desk.send("tea")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "draft about tea\n\nPublish it?")
    assert asked.questions[0]["id"] == "write"
    assert asked.questions[0]["value"] == {"output": "draft about tea", "outcomes": None}
    done = await desk.send("go ahead", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "draft about tea: go ahead, ['noted']")


@pytest.mark.parametrize(("answer", "heard"), [({"write": "good"}, "good"), ({"ok": True}, '{"ok":true}')], ids=repr)
async def test_feedback_may_be_data(answer: Any, heard: str) -> None:
    desk = Desk(adapt(Review()))
    asked = await desk.send("tea")
    done = await desk.send(answer, task=asked.task)
    assert done.text == f"draft about tea: {heard}, ['noted']"


async def test_an_empty_answer_is_asked_again() -> None:
    desk = Desk(adapt(Review()))
    asked = await desk.send("tea")
    again = await desk.send("", task=asked.task)
    assert again.said == "The answer is empty.\ndraft about tea\n\nPublish it?"


@pytest.mark.parametrize("kept", [False, True], ids=["no persistence", "persistence"])
async def test_feedback_may_come_after_a_restart(tmp_path: Path, kept: bool) -> None:
    def flow() -> Any:
        return Review(persistence=SQLiteFlowPersistence(str(tmp_path / "flows.db"))) if kept else Review()

    async def life(text: str, task: a2a.Task | None = None) -> Turn:
        """One process: a server that starts, takes a message and ends."""
        store = SQLiteStore(tmp_path / "tasks.db")
        desk = Desk(adapt(flow()), store)
        turn = await desk.send(text, task=task)
        await desk.close()
        await store.close()
        return turn

    asked = await life("tea")
    done = await life("fine", asked.task)
    assert (done.state, done.text) == ("COMPLETED", "draft about tea: fine, ['noted']")


async def test_an_outcome_is_routed_by_a_model_that_keeps_its_key(model: ModelServer, llm: Any) -> None:
    class Routed(Flow[Topic]):
        @start()
        @human_feedback(message="Well?", emit=["approved", "revise"], llm=llm)
        def write(self) -> str:
            return "draft"

        @listen("approved")
        def done(self) -> str:
            return "published"

        @listen("revise")
        @human_feedback(message="And now?", emit=["approved", "revise"], llm=llm)
        def rewrite(self) -> str:
            return "second draft"

    def answer(body: Any) -> ModelAnswer:
        return ModelAnswer('{"outcome": "revise"}' if "better" in str(body["messages"]) else '{"outcome": "approved"}')

    model.answer = answer
    desk = Desk(adapt(Routed()))
    first = await desk.send("go")
    assert first.said == "draft\n\nWell?\nPossible outcomes: approved, revise"
    second = await desk.send("make it better", task=first.task)
    assert second.said == "second draft\n\nAnd now?\nPossible outcomes: approved, revise"
    assert (await desk.send("fine", task=second.task)).text == "published"


async def test_a_provider_of_the_user_s_own_may_pause_too() -> None:
    class Ticket:
        def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
            raise HumanFeedbackPending(context, callback_info={"ticket": 1})

    class Paused(Flow[Topic]):
        @start()
        @human_feedback(message="Well?", provider=Ticket())
        def write(self) -> str:
            return "draft"

    desk = Desk(adapt(Paused()))
    asked = await desk.send("go")
    assert asked.said == "draft\n\nWell?"
    assert (await desk.send("fine", task=asked.task)).text == "draft"


async def test_a_flow_that_asks_waits_for_its_answer() -> None:
    class Asks(Flow[dict[str, Any]]):
        @start()
        def work(self) -> str:
            return f"{self.ask('Which colour?')} {self.ask('Which size?', metadata={'sizes': ['big']})}"

    desk = Desk(adapt(Asks()))
    first = await desk.send("cup")
    assert (first.state, first.said) == ("INPUT_REQUIRED", "Which colour?")
    assert first.questions == [{"id": "input", "question": "Which colour?", "value": None}]
    second = await desk.send({"input": "red"}, task=first.task)
    assert second.said == "Which size?"
    assert second.questions[0]["value"] == {"sizes": ["big"]}
    assert (await desk.send("big", task=second.task)).text == "red big"


class Inner(Flow[Topic]):
    @start()
    @human_feedback(message="Publish it?")
    def write(self) -> str:
        return f"{self.ask('Which colour?')} draft"


class Outer(Flow[dict[str, Any]]):
    @start()
    def work(self) -> str:
        inner: Any = Inner()
        return inner.kickoff().feedback


class AsyncOuter(Flow[dict[str, Any]]):
    @start()
    async def work(self) -> str:
        inner: Any = Inner()
        return (await inner.kickoff_async()).feedback


@pytest.mark.parametrize("outer", [Outer, AsyncOuter])
async def test_a_flow_inside_a_flow_asks_the_caller_too(outer: type[Flow[Any]]) -> None:
    desk = Desk(adapt(outer()))
    first = await desk.send("go")
    assert (first.state, first.said) == ("INPUT_REQUIRED", "Which colour?")
    second = await desk.send("red", task=first.task)
    assert (second.state, second.said) == ("INPUT_REQUIRED", "red draft\n\nPublish it?")
    assert second.questions[0]["value"] == {"output": "red draft", "outcomes": None}
    again = await desk.send("", task=first.task)
    assert again.said == "The answer is empty.\nred draft\n\nPublish it?"
    done = await desk.send({"write": "go ahead"}, task=first.task)
    assert (done.state, done.text) == ("COMPLETED", "go ahead")


async def test_a_canceled_task_does_not_leave_the_inner_flow_waiting() -> None:
    desk = Desk(adapt(Outer()))
    asked = await desk.send("go")
    assert (await desk.cancel(asked.task)).status.state.name == "CANCELED"
    assert (await desk.send("go")).said == "Which colour?"


async def test_outside_codin_a_flow_reads_stdin_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await Desk(adapt(Outer())).send("go")).said == "Which colour?"
    monkeypatch.setattr(sys, "stdin", io.StringIO("red\ngo ahead\n"))
    inner: Any = Inner()
    assert (await inner.kickoff_async()).feedback == "go ahead"


@pytest.mark.parametrize("kind", ["input_provider", "hitl_provider"])
async def test_whom_the_user_has_chosen_is_asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        def request_input(self, message: str, flow: Any, metadata: Any = None) -> str:
            return "mine"

        def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
            return "mine"

    monkeypatch.setattr(flow_config, kind, Mine())
    desk = Desk(adapt(Outer()))
    asked = await desk.send("go")
    if kind == "input_provider":
        assert asked.said == "mine draft\n\nPublish it?"
    else:
        assert (await desk.send("red", task=asked.task)).text == "mine"


# -- memory ------------------------------------------------------------------------------------------------------------


def remembering(path: Path) -> Any:
    @persist()
    class Remembers(Flow[Topic]):
        @start()
        def work(self) -> str:
            self.state.turns.append(self.state.topic)
            return "+".join(self.state.turns)

    return Remembers(persistence=SQLiteFlowPersistence(str(path / "flows.db")))


async def test_a_context_is_the_state_of_a_flow_that_persists_it(tmp_path: Path) -> None:
    assert (await Desk(adapt(remembering(tmp_path))).send("one", context="c")).text == "one"
    desk = Desk(adapt(remembering(tmp_path)))
    turns = await asyncio.gather(desk.send("two", context="c"), desk.send("three", context="c"))
    assert [turn.text for turn in turns] == ["one+two", "one+two+three"]
    assert (await desk.send("four", context="other")).text == "four"


async def test_a_caller_cannot_name_the_state_of_another(tmp_path: Path) -> None:
    desk = Desk(adapt(remembering(tmp_path)))
    await desk.send("mine", context="c", caller=Caller("ann"))
    assert (await desk.send("yours", context="c", caller=Caller("bob"))).text == "yours"
    assert (await desk.send({"topic": "x", "id": "c"})).state == "REJECTED"


async def test_a_flow_that_converses_is_told_what_is_said(tmp_path: Path, model: ModelServer, llm: Any) -> None:
    path = str(tmp_path / "flows.db")

    def chat() -> Any:
        @persist()
        @ConversationConfig(llm=llm)
        class Chat(Flow[ConversationState]):
            pass

        return adapt(Chat(persistence=SQLiteFlowPersistence(path)))

    assert (await Desk(chat()).send("one", context="c")).text == "You said one"
    assert (await Desk(chat()).send("two", context="c")).text == "You said two"
    await Desk(chat()).send("three", context="other")
    asked = [[message["content"] for message in request["messages"][1:]] for request in model.requests]
    assert asked == [["one"], ["one", "You said one", "two"], ["three"]]


async def test_a_flow_that_persists_nothing_remembers_nothing() -> None:
    class Forgets(Flow[Topic]):
        @start()
        def work(self) -> str:
            self.state.turns.append(self.state.topic)
            return "+".join(self.state.turns)

    desk = Desk(adapt(Forgets()))
    await desk.send("one", context="c")
    assert (await desk.send("two", context="c")).text == "two"
