"""The coder: its programs run in a sandbox and are mended, and for small tasks no model is needed."""

from __future__ import annotations

import math
import shutil
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.agent import AgentResponse, Task
from codin.client import Reply
from codin.task import Decision
from codin.testing import Body, ModelAnswer, ModelServer, extractive, mesh, scripted
from codin.trust import Caller
from tests.examples.shipped import shipped

with pytest.MonkeyPatch.context() as _patch:
    _patch.setattr(sys, "path", [str(Path(__file__).resolve().parents[2] / "agents" / "coder"), *sys.path])
    _patch.setenv("CODER_SECONDS", "6")
    CODER: Any = shipped("coder")

pytestmark = pytest.mark.anyio
needs_a_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
COMPLETED, REJECTED, FAILED = a2a.TaskState.COMPLETED, a2a.TaskState.REJECTED, a2a.TaskState.FAILED
FIGURE = """```python
bars = "".join(f'<rect x="{20 * n}" y="{100 - n * n}" width="15" height="{n * n}"/>' for n in range(1, 11))
open("squares.svg", "w").write(f'<svg xmlns="http://www.w3.org/2000/svg">{bars}</svg>')
print("ten bars")
```"""
ENDLESS = "```python\nwhile True: pass\n```"
TABLE = """
```csv
month,sales,cost
Jan,10,1.5
Feb,-14,2
Mär & <b>,7,4
```"""


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def model(answer: Callable[[Body], ModelAnswer]) -> Generator[ModelServer]:
    """A model that the agent is pointed to. It has no key, and needs none."""
    pytest.importorskip("openai", reason="pip install openai")
    with ModelServer(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", server.url)
        yield server


async def solve(task: str) -> Reply:
    async with mesh(CODER.code) as peers:
        return await peers["coder"].send(task)


def file_of(reply: Reply, name: str) -> bytes:
    (body,) = [file.raw for file in reply.files if file.filename == name]
    assert body is not None
    return body


# -- the program of the message ----------------------------------------------------------------------------------------


@needs_a_sandbox
async def test_a_program_draws_a_figure() -> None:
    reply = await solve(f"Draw ten squares.\n{FIGURE}")
    assert reply.state is COMPLETED
    (figure,) = [file for file in reply.files if file.filename == "squares.svg"]
    assert figure.media_type == "image/svg+xml"
    assert (figure.raw or b"").count(b"<rect") == 10
    assert "ten bars" in reply.text


@needs_a_sandbox
async def test_a_file_may_have_any_name() -> None:
    names = ["program", "program.py", "text", "files/program"]
    writes = f"import os\nos.mkdir('files')\nfor name in {names}: open(name, 'w').write('mine: ' + name)"
    reply = await solve(f"```Python3\r\n{writes}\r\n```")
    assert reply.state is COMPLETED
    assert [file_of(reply, name) for name in names if name != "program.py"] == [
        b"mine: program",
        b"mine: text",
        b"mine: files/program",
    ]
    assert reply.task is not None
    (source,) = [each for each in reply.task.artifacts if each.name == "the program"]
    assert b"os.mkdir" in (source.parts[0].raw or b"")


@needs_a_sandbox
async def test_a_file_that_is_too_large_is_named() -> None:
    reply = await solve("```python\nopen('b', 'wb').write(b'x' * 3_000_000)\nprint('did it')\n```")
    assert reply.state is COMPLETED
    assert reply.text.startswith("did it\n")
    assert "b (3,000,000 bytes)" in reply.text


@needs_a_sandbox
@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("while True: pass", "it took longer than 6 s, and was stopped"),
        ("x = bytearray(1_000_000_000); x[::4096] = b'1' * len(x[::4096])", "it took more memory than it may"),
        ("import sys; sys.exit(3)", "it ended with exit code 3"),
    ],
)
async def test_a_program_that_fails_is_rejected_with_the_reason(program: str, why: str) -> None:
    reply = await solve(f"```python\n{program}\n```")
    assert (reply.state, reply.text) == (REJECTED, f"The program fails: {why}")


@pytest.mark.parametrize("task", ["Draw the first ten squares as bars.", "```python\n```", "```python\n \n```\n"])
async def test_without_a_model_it_says_what_it_can_do(task: str) -> None:
    reply = await solve(task)
    assert reply.state is REJECTED
    assert "There is no model here" in reply.text
    assert "```python" in reply.text


class NoPrograms:
    """A guard that lets no program run."""

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return None

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        return Decision("refuse", "no programs today", "policy")


async def test_what_may_not_run_is_not_tried_again() -> None:
    with model(scripted(FIGURE)) as server:
        async with mesh(CODER.code, guards=[NoPrograms()]) as peers:
            reply = await peers["coder"].send("Draw ten squares.")
    assert reply.state is REJECTED
    assert reply.text.startswith("The program was not run: 'python' may not be called: no programs today")
    assert len(server.requests) == 1


# -- with a model ------------------------------------------------------------------------------------------------------


@needs_a_sandbox
@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        (ENDLESS, "it took longer than 6 s"),
        ("```python\n```", "no program in a block of ```python"),
        ("I would rather not.", "no program in a block of ```python"),
        ("", "no program in a block of ```python"),
    ],
)
async def test_a_program_that_fails_is_mended(bad: str, why: str) -> None:
    with model(scripted(bad, FIGURE)) as server:
        reply = await solve("Draw ten squares.")
    assert reply.state is COMPLETED
    assert file_of(reply, "squares.svg").count(b"<rect") == 10
    assert why in server.requests[1]["messages"][-1]["content"]


@needs_a_sandbox
async def test_mending_comes_to_an_end() -> None:
    with model(scripted(*["```python\n1 / 0\n```"] * 3)):
        reply = await solve("Draw ten squares.")
    assert reply.state is REJECTED
    assert "after 3 of them: ZeroDivisionError" in reply.text


@needs_a_sandbox
@pytest.mark.parametrize("task", ["What is 1/0?", "```python\n1 / 0\n```"])
async def test_a_model_that_only_quotes_hides_no_failure_of_the_program(task: str) -> None:
    with model(extractive) as server:
        reply = await solve(task)
    assert (reply.state, reply.text) == (REJECTED, "The program fails: ZeroDivisionError: division by zero")
    assert len(server.requests) == CODER.ROUNDS


async def test_a_model_that_writes_no_program_is_told() -> None:
    with model(extractive):
        reply = await solve("Draw ten squares.")
    said = "The model wrote no program in a block of ```python, in 3 answers."
    assert (reply.state, reply.text) == (REJECTED, said)


async def test_a_model_that_refuses_is_told() -> None:
    with model(scripted(*[ModelAnswer("no such model", status=404)] * 3)):
        reply = await solve("Draw ten squares.")
    assert (reply.state, reply.text) == (FAILED, "The model cannot be asked: it answers with HTTP status 404.")


async def test_a_model_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="pip install openai")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        reply = await solve("Draw ten squares.")
    assert (reply.state, reply.text) == (
        FAILED,
        "The model cannot be asked: it cannot be reached, or does not answer in time.",
    )


@needs_a_sandbox
@pytest.mark.parametrize(
    ("task", "said"), [(f"Draw ten squares, please.\n{FIGURE}", "ten bars"), ("What is 17 * 23?", "391")]
)
async def test_a_model_that_only_quotes_leaves_the_program_to_the_task(task: str, said: str) -> None:
    with model(extractive) as server:
        reply = await solve(task)
    assert reply.state is COMPLETED
    assert said in reply.text
    assert len(server.requests) == 1


# -- without one -------------------------------------------------------------------------------------------------------


@needs_a_sandbox
@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("What is 17 * 23?", "391"),
        ("Calculate (3 + 4) × 2^8, please.", "1792"),
        ("Mean and median of 3, 5, 8 and -13.", "mean of numbers (4 values): 0.75\nmedian of numbers (4 values): 4"),
        (f"What is the total?{TABLE}", "sum of sales (3 values): 3\nsum of cost (3 values): 7.5"),
    ],
)
async def test_small_tasks_need_no_model(task: str, said: str) -> None:
    reply = await solve(task)
    assert reply.state is COMPLETED
    assert reply.text.strip() == said
    assert b"print(" in file_of(reply, "program.py")


@needs_a_sandbox
async def test_bars_of_a_table_need_no_model() -> None:
    reply = await solve(f"Please draw the sales by month as bars:{TABLE}")
    figure = ElementTree.fromstring(file_of(reply, "bars-1.svg"))
    heights = [float(bar.attrib["height"]) for bar in figure.iter("{http://www.w3.org/2000/svg}rect")]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 1.4, 0.7], abs=0.01)
    assert [label.text for label in figure.iter("{http://www.w3.org/2000/svg}text")] == ["Jan", "Feb", "Mär & <b>"]


@pytest.mark.parametrize(
    "task",
    [
        *("What is 3?", "20% of 50", "3 + 5!", "(3)(4) + 1", "3 + 4 and 5 * 6", "2024-01-15", "1" * 600 + " + 1"),
        *(
            "Sum of the squares of 1, 2, 3",
            "Mean of 1-10",
            "Mean of 1, 2, ..., 10",
            "Sum of 1,000 and 2",
            "Draw 5 bars",
        ),
        *("Sum of 5%, 6%", "Mean of 1.2.3, 4", "Total of 3\nmonth,total\nJan,1", "Mean\nmonth,total\nJan,\nFeb,3"),
        *("Mean", "month,total\nJan,1", "", "Mean of 1/2, 3", "(" * 300 + "1 + 2"),
    ],
)
def test_what_is_not_understood_as_a_whole_is_left_alone(task: str) -> None:
    assert CODER.program_for(task) is None


@given(st.lists(st.integers(-(10**12), 10**12), min_size=2, max_size=50))
def test_the_program_has_the_numbers_of_the_task(numbers: list[int]) -> None:
    program = CODER.program_for(f"Maximum and sum of {', '.join(map(str, numbers))}.")
    told: list[str] = []
    exec(program, {"print": told.append})  # a list of numbers is all that it has of the task
    assert told == [
        f"maximum of numbers ({len(numbers)} values): {max(numbers):.15g}",
        f"sum of numbers ({len(numbers)} values): {math.fsum(numbers):.15g}",
    ]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    CODER.program_for(text)
    CODER.program_for(f"mean bars\na,b\n{text},1\nx,{text}")
