"""`human_input=True`: drafts that the caller reviews."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from crewai import Flow, Process
from crewai.flow import start
from crewai.tasks.conditional_task import ConditionalTask
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters.crewai import adapt
from codin.task.stores.sqlite import SQLiteStore
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.crewai.crews import Add, Crew, Task, crew_of, helper
from tests.agent.adapters.crewai.words import last_text
from tests.agent.adapters.desk import Desk, Turn

pytestmark = pytest.mark.anyio

HINT = 'Answer "ok" to accept this, or say what to change.'


@pytest.fixture(autouse=True)
def closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # who reads it gets nothing, and fails


class City(BaseModel):
    name: str


async def test_a_draft_is_a_question_and_ok_accepts_it(model: ModelServer, llm: Any) -> None:
    desk = Desk(adapt(crew_of(llm, human_input=True, name="write")))
    asked = await desk.send("a poem")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", f"You said a poem\n\n{HINT}")
    assert asked.questions[0]["value"] == {"task": "write", "draft": "You said a poem"}
    assert asked.questions[0]["id"] == "write"
    done = await desk.send("ok", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "You said a poem")
    assert len(model.requests) == 1


async def test_what_is_to_change_makes_another_draft(model: ModelServer, llm: Any) -> None:
    desk = Desk(adapt(crew_of(llm, human_input=True)))
    asked = await desk.send("a poem")
    again = await desk.send("shorter", task=asked.task)
    assert (again.state, again.said) == ("INPUT_REQUIRED", f"You said shorter\n\n{HINT}")
    texts = [str(message["content"]) for message in model.requests[1]["messages"]]
    assert "a poem" in texts[1]
    done = await desk.send("yes", task=again.task)
    assert done.text == "You said shorter"
    assert again.usage["output_tokens"] == 3
    assert done.usage == {}


def _answer_texts(turn: Turn) -> list[str]:
    return [a2a.text_of(artifact.parts) for artifact in turn.task.artifacts]


async def test_the_answer_is_the_accepted_draft_once(model: ModelServer, llm: Any) -> None:
    drafts = iter(("Draft one.", "Draft two."))
    model.answer = lambda body: ModelAnswer(next(drafts))
    desk = Desk(adapt(crew_of(llm, human_input=True)))
    first = await desk.send("a poem")
    assert (first.said, _answer_texts(first), first.chunks) == (f"Draft one.\n\n{HINT}", [], [])
    second = await desk.send("more", task=first.task)
    assert (second.said, _answer_texts(second)) == (f"Draft two.\n\n{HINT}", [])
    done = await desk.send("ok", task=second.task)
    assert (done.state, _answer_texts(done)) == ("COMPLETED", ["Draft two."])


@pytest.mark.parametrize(
    ("answer", "change"),
    [
        ("yes, but shorter", "but shorter"),
        ("no, it is too long", "no, it is too long"),
        ("Make it rhyme.", "Make it rhyme."),
        ({"feedback": "blue"}, "blue"),
    ],
)
async def test_feedback_comes_in_many_forms(model: ModelServer, llm: Any, answer: Any, change: str) -> None:
    desk = Desk(adapt(crew_of(llm, human_input=True)))
    asked = await desk.send("a poem")
    again = await desk.send(answer, task=asked.task)
    assert again.said.startswith(f"You said {change}")


@pytest.mark.parametrize("answer", ["OK!", True, {"feedback": ""}, {"task 1": True}])
async def test_acceptance_too(llm: Any, answer: Any) -> None:
    desk = Desk(adapt(crew_of(llm, human_input=True)))
    asked = await desk.send("a poem")
    assert (await desk.send(answer, task=asked.task)).text == "You said a poem"


@pytest.mark.parametrize("answer", ["no", {"mood": 1}, 7])
async def test_an_answer_that_does_not_say_what_to_change_is_asked_again(llm: Any, answer: Any) -> None:
    desk = Desk(adapt(crew_of(llm, human_input=True)))
    asked = await desk.send("a poem")
    again = await desk.send(answer, task=asked.task)
    assert (again.state, again.questions) == ("INPUT_REQUIRED", asked.questions)
    assert again.said != asked.said
    assert (await desk.send("ok", task=again.task)).text == "You said a poem"


async def test_tasks_before_the_review_are_not_done_again(model: ModelServer, llm: Any) -> None:
    desk = Desk(adapt(crew_of(llm, "one {q}", "two", human_input=True)))
    asked = await desk.send("x")
    assert (asked.said, len(model.requests)) == (f"You said two\n\n{HINT}", 2)
    again = await desk.send("better", task=asked.task)
    assert len(model.requests) == 3
    assert "You said one x" in str(model.requests[2]["messages"])  # what the first task said is still its context
    assert (await desk.send("ok", task=again.task)).text == "You said better"


async def test_a_draft_in_the_middle_is_reviewed_before_the_crew_goes_on(model: ModelServer, llm: Any) -> None:
    agent = helper(llm)
    tasks = [
        Task(description="first {q}", expected_output="text", agent=agent, human_input=True),
        Task(description="second {q}", expected_output="text", agent=agent, human_input=True),
    ]
    desk = Desk(adapt(Crew(agents=[agent], tasks=tasks)))
    first = await desk.send("x")
    assert (first.said, first.chunks) == (f"You said first x\n\n{HINT}", [])
    second = await desk.send("ok", task=first.task)
    assert second.said == f"You said second x\n\n{HINT}"
    assert "You said first x" in str(model.requests[1]["messages"])
    assert (await desk.send("ok", task=second.task)).text == "You said second x"
    assert len(model.requests) == 2


async def test_a_review_may_come_after_a_restart(tmp_path: Path, model: ModelServer, llm: Any) -> None:
    async def life(text: str, task: a2a.Task | None = None) -> Turn:
        """One process: a server that starts, takes a message and ends."""
        store = SQLiteStore(tmp_path / "tasks.db")
        desk = Desk(adapt(crew_of(llm, "one {q}", "two {q}", human_input=True)), store)
        turn = await desk.send(text, task=task)
        await desk.close()
        await store.close()
        return turn

    asked = await life("x")
    again = await life("shorter", asked.task)
    done = await life("ok", again.task)
    assert (again.state, done.text) == ("INPUT_REQUIRED", "You said shorter")
    assert len(model.requests) == 3


async def test_a_structured_draft_keeps_its_type(model: ModelServer, llm: Any) -> None:
    model.answer = lambda body: ModelAnswer('{"name": "Bonn"}')
    agent = helper(llm)
    kinds: list[Any] = []

    def note(output: Any) -> None:
        kinds.append(output.pydantic)

    tasks = [
        Task(
            description="where", expected_output="text", agent=agent, human_input=True, output_pydantic=City,
            callback=note,
        ),
        Task(description="and then", expected_output="text", agent=agent, human_input=True, output_pydantic=City),
    ]  # fmt: skip
    desk = Desk(adapt(Crew(agents=[agent], tasks=tasks)))
    asked = await desk.send("go")
    again = await desk.send("ok", task=asked.task)
    done = await desk.send("ok", task=again.task)
    assert done.data == {"name": "Bonn"}
    assert kinds == [City(name="Bonn")]


async def test_a_draft_in_words_is_given_its_structure_when_it_is_accepted(model: ModelServer, llm: Any) -> None:
    def answer(body: Body) -> ModelAnswer:
        return ModelAnswer('{"name": "Bonn"}' if "response_format" in body else "It is Bonn.")

    model.answer = answer
    desk = Desk(adapt(crew_of(llm, tools=[Add()], human_input=True, output_pydantic=City)))  # tools: no schema
    asked = await desk.send("where")
    assert asked.said == f"It is Bonn.\n\n{HINT}"
    assert (await desk.send("ok", task=asked.task)).data == {"name": "Bonn"}


async def test_a_skipped_task_stays_skipped(model: ModelServer, llm: Any) -> None:
    agent = helper(llm)
    tasks = [
        Task(description="one", expected_output="text", agent=agent),
        ConditionalTask(description="never", expected_output="text", agent=agent, condition=lambda output: False),
        Task(description="two", expected_output="text", agent=agent, human_input=True),
    ]
    desk = Desk(adapt(Crew(agents=[agent], tasks=tasks)))
    asked = await desk.send("go")
    done = await desk.send("ok", task=asked.task)
    assert done.text == "You said two"
    assert [last_text(request) for request in model.requests] == ["one", "two"]


async def test_a_task_beside_others_may_be_reviewed(llm: Any) -> None:
    agents = [helper(llm, role) for role in ("A", "B")]
    tasks = [
        Task(description="aside", expected_output="text", agent=agents[0], async_execution=True, human_input=True),
        Task(description="main", expected_output="text", agent=agents[1]),
    ]
    desk = Desk(adapt(Crew(agents=agents, tasks=tasks)))
    asked = await desk.send("go")
    assert asked.said == f"You said aside\n\n{HINT}"
    assert (await desk.send("ok", task=asked.task)).text == "You said main"


async def test_a_manager_s_draft_is_reviewed_too(llm: Any) -> None:
    crew = crew_of(llm, agent=None, human_input=True, crew={"process": Process.hierarchical, "manager_llm": llm})
    desk = Desk(adapt(crew))
    asked = await desk.send("go")
    assert asked.said == f"You said go\n\n{HINT}"
    assert (await desk.send("ok", task=asked.task)).text == "You said go"


async def _reviewed(desk: Desk, asked: Turn) -> Turn:
    assert asked.said == f"You said inside\n\n{HINT}"
    assert asked.questions[0]["value"]["draft"] == "You said inside"
    again = await desk.send("shorter", task=asked.task)
    assert again.said == f"You said shorter\n\n{HINT}"
    unclear = await desk.send("no", task=again.task)
    assert unclear.said.startswith("Say what to change.")
    return await desk.send("ok", task=unclear.task)


async def test_a_crew_inside_a_flow_asks_where_it_is(llm: Any) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return crew_of(llm, "inside", human_input=True).kickoff()

    desk = Desk(adapt(Outer()))
    done = await _reviewed(desk, await desk.send("go"))
    assert (done.state, done.text) == ("COMPLETED", "You said shorter")


async def test_a_crew_that_a_flow_awaits_asks_too(llm: Any) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        async def work(self) -> Any:
            return await crew_of(llm, "inside", human_input=True).akickoff()

    desk = Desk(adapt(Outer()))
    done = await _reviewed(desk, await desk.send("go"))
    assert (done.state, done.text) == ("COMPLETED", "You said shorter")


async def test_a_draft_in_a_method_whose_text_is_the_answer_is_no_answer_yet(llm: Any) -> None:
    class Outer(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            return crew_of(llm, "inside", human_input=True).kickoff()

    desk = Desk(adapt(Outer(), text_from=["work"]))
    done = await _reviewed(desk, await desk.send("go"))
    assert _answer_texts(done) == ["You said shorter"]


async def test_a_question_that_is_canceled_ends_its_thread(llm: Any) -> None:
    after: list[str] = []

    class Outer(Flow[dict[str, Any]]):
        @start()
        def work(self) -> Any:
            crew_of(llm, "inside", human_input=True).kickoff()
            after.append("went on")

    desk = Desk(adapt(Outer()))
    asked = await desk.send("go")
    await desk.cancel(asked.task)
    assert (await desk.send("again")).state == "INPUT_REQUIRED"
    assert after == []
