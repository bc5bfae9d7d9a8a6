"""The laws of adapters: the template in examples/adapter keeps them, and each law finds the adapter that breaks it."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codin.agent import AgentResponse, Task
from codin.agent.adapters import Question, ToolActivity
from codin.errors import ConfigError
from codin.task import Answer
from codin.testing.adapter_laws import AdapterCase, laws, promise_table

pytestmark = pytest.mark.anyio

TEMPLATE = Path(__file__).resolve().parents[2] / "examples" / "adapter"


def installed(folder: Path) -> Path:
    """A folder for sys.path in which the template is installed: what its pyproject.toml says, as an installer does."""
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "parley_codin-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0.0\n", "utf-8")
    points = [f"{name} = {value}" for name, value in project["entry-points"]["codin.adapters"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[codin.adapters]", *points, ""]), encoding="utf-8")
    return folder


def test_the_template_is_short_and_keeps_the_laws(tmp_path: Path) -> None:
    assert len((TEMPLATE / "parley_codin.py").read_text(encoding="utf-8").splitlines()) < 100
    path = os.pathsep.join([str(installed(tmp_path)), str(TEMPLATE)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(TEMPLATE)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 passed" in done.stdout


# -- adapters that break a law -----------------------------------------------------------------------------------------


class Template:
    """The modules of the template, and its case with something broken in it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.parley: Any = importlib.import_module("parley")
        self.adapter: Any = importlib.import_module("parley_codin")
        self.case: AdapterCase = importlib.import_module("test_parley_codin").CASE

    def talks(self, name: str, method: Any) -> None:
        """Replace a method of the framework."""
        self.patch.setattr(self.parley.Talker, name, method)

    def handles(self, name: str, method: Any) -> None:
        """Replace a method of the adapter."""
        self.patch.setattr(self.adapter.ParleyAgent, name, method)

    def says(self, change: Callable[[Any], Any]) -> None:
        """Change the events of every run."""
        run = self.parley.Talker.run

        async def changed(talker: Any, *arguments: Any) -> AsyncGenerator[Any]:
            async for event in run(talker, *arguments):
                yield change(event)

        self.talks("run", changed)


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Template:
    monkeypatch.setattr(sys, "path", [str(TEMPLATE), str(installed(tmp_path)), *sys.path])
    return Template(monkeypatch)


def loses_spaces(template: Template) -> None:
    def change(event: Any) -> Any:
        return template.parley.Text(event.piece.strip()) if isinstance(event, template.parley.Text) else event

    template.says(change)


def waits_for_the_whole(template: Template) -> None:
    run = template.parley.Talker.run

    async def whole(talker: Any, *arguments: Any) -> AsyncGenerator[Any]:
        for event in [event async for event in run(talker, *arguments)]:
            yield event

    template.talks("run", whole)


def counts_everything_so_far(template: Template) -> None:
    spent = 0

    def change(event: Any) -> Any:
        nonlocal spent
        if isinstance(event, template.parley.Spent):
            spent += event.input_tokens
            return template.parley.Spent(spent, event.output_tokens)
        return event

    template.says(change)


def tells_of_tools_unasked(template: Template) -> None:
    def always(task: Task, *, enabled: bool) -> ToolActivity:
        return ToolActivity(task, enabled=True)

    template.patch.setattr(template.adapter, "ToolActivity", always)


def publishes_its_tools(template: Template) -> None:
    made = template.adapter.ParleyAgent.__init__

    def init(agent: Any, *arguments: Any, **options: Any) -> None:
        made(agent, *arguments, **{**options, "expose_tools": True})

    template.handles("__init__", init)


def answers_data_as_text(template: Template) -> None:
    run = template.adapter.ParleyAgent._run

    async def as_text(*arguments: Any) -> AgentResponse:
        response: AgentResponse = await run(*arguments)
        return AgentResponse.completed(str(response.data))

    template.handles("_run", as_text)


def gives_up_on_tools(template: Template) -> None:
    async def result(talker: Any, call: Any) -> str:
        return "no"

    template.talks("_result", result)


def asks_in_riddles(template: Template) -> None:
    def change(event: Any) -> Any:
        paused = isinstance(event, template.parley.Paused)
        return template.parley.Paused(dict.fromkeys(event.questions, "?")) if paused else event

    template.says(change)


def guesses_what_is_meant(template: Template) -> None:
    def guess(questions: Sequence[Question], answer: Answer) -> dict[str, str]:
        return {question.id: answer.text for question in questions}

    template.patch.setattr(template.adapter, "answers", guess)


def forgets_its_questions(template: Template) -> None:
    handle = template.adapter.ParleyAgent.handle
    known: set[tuple[Any, str]] = set()

    async def forgetful(agent: Any, task: Task) -> AgentResponse:
        if task.resume is not None and (agent, task.id) not in known:
            return AgentResponse.failed("Who are you?")
        known.add((agent, task.id))
        return await handle(agent, task)

    template.handles("handle", forgetful)


def leaves_the_model_alone_with_it(template: Template) -> None:
    run = template.parley.Talker.run
    running: set[Any] = set()

    async def apart(talker: Any, *arguments: Any) -> AsyncGenerator[Any]:
        events: asyncio.Queue[Any] = asyncio.Queue()

        async def work() -> None:
            async for event in run(talker, *arguments):
                events.put_nowait(event)
            events.put_nowait(None)

        running.add(asyncio.create_task(work()))
        while (event := await events.get()) is not None:
            yield event

    template.talks("run", apart)


def keeps_nothing(template: Template) -> None:
    def another(agent: str, task: Task) -> object:
        return object()

    template.patch.setattr(template.adapter, "thread_id", another)


def trusts_the_context(template: Template) -> None:
    def context(agent: str, task: Task) -> str:
        return task.context_id

    template.patch.setattr(template.adapter, "thread_id", context)


def keeps_the_run_on_the_object(template: Template) -> None:
    run = template.parley.Talker.run

    async def shared(talker: Any, conversation: Any, *more: Any) -> AsyncGenerator[Any]:
        talker.now = conversation
        await asyncio.sleep(0.01)
        async for event in run(talker, talker.now, *more):
            yield event

    template.talks("run", shared)


def says_what_went_wrong(template: Template) -> None:
    handle = template.adapter.ParleyAgent.handle

    async def open_hearted(agent: Any, task: Task) -> AgentResponse:
        try:
            return await handle(agent, task)
        except Exception as error:
            return AgentResponse.failed(f"{error!r} {getattr(error, 'response', '')}")

    template.handles("handle", open_hearted)


def swallows_failures(template: Template) -> None:
    handle = template.adapter.ParleyAgent.handle

    async def brave(agent: Any, task: Task) -> AgentResponse:
        try:
            return await handle(agent, task)
        except Exception:
            return AgentResponse.completed()

    template.handles("handle", brave)


def runs_tools_on_the_loop(template: Template) -> None:
    async def result(talker: Any, call: Any) -> Any:
        return talker.tools[call["function"]["name"]]("word")

    template.talks("_result", result)


BREAKS: list[tuple[str, Callable[[Template], None]]] = [
    ("text", loses_spaces),
    ("streams", waits_for_the_whole),
    ("tools", gives_up_on_tools),
    ("tool_activity", tells_of_tools_unasked),
    ("private_tools", publishes_its_tools),
    ("structured", answers_data_as_text),
    ("usage", counts_everything_so_far),
    ("question", asks_in_riddles),
    ("question_by_data", asks_in_riddles),
    ("several", guesses_what_is_meant),
    ("restart", forgets_its_questions),
    ("cancel", leaves_the_model_alone_with_it),
    ("memory", keeps_nothing),
    ("callers", trusts_the_context),
    ("parallel", keeps_the_run_on_the_object),
    ("failure", says_what_went_wrong),
    ("model_failure", swallows_failures),
    ("blocking_tool", runs_tools_on_the_loop),
]


@pytest.mark.parametrize(("law", "breaks"), BREAKS, ids=[f"{law}, {breaks.__name__}" for law, breaks in BREAKS])
@pytest.mark.filterwarnings("ignore")  # what is broken may leave something behind
async def test_a_law_finds_who_breaks_it(law: str, breaks: Callable[[Template], None], template: Template) -> None:
    found = next(each for each in laws(template.case) if each.name == law)
    breaks(template)
    with pytest.raises(AssertionError):
        await found.check(template.case, patience=3.0)


def test_every_law_of_the_template_is_broken_above(template: Template) -> None:
    assert {law for law, _ in BREAKS} == {law.name for law in laws(template.case)}


# -- cases -------------------------------------------------------------------------------------------------------------


def test_what_a_case_leaves_out_has_to_be_said() -> None:
    with pytest.raises(ConfigError, match="mine has nothing to test structured, file_out, question"):
        laws(AdapterCase("mine", chat=str))
    with pytest.raises(ConfigError, match="there is no law telepathy"):
        laws(AdapterCase("mine", cannot={"telepathy": "nobody can"}))


def test_what_a_framework_cannot_do_is_no_law_for_it(template: Template) -> None:
    names = [law.name for law in laws(template.case)]
    assert "file_in" not in names
    assert [law.name for law in laws(replace(template.case, cannot={**template.case.cannot, "text": "mute"}))] == names[
        1:
    ]


def test_the_table_has_a_row_for_each_promise_and_tells_the_reasons() -> None:
    lines = list(promise_table({"one": {}, "other": {"text": "it is mute", "streams": "it is mute"}}))
    assert lines[0] == "| promise | one | other |"
    assert lines[2].endswith("(`text`) | yes | no (1) |")
    assert lines[4].endswith("(`tools`) | yes | yes |")
    assert lines[-2:] == ["", "1. it is mute"]
