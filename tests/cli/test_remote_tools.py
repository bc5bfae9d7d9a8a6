"""Served files whose agents have a remote agent as a tool, node or sub-agent from the moment they are imported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import codin
from tests.cli.command import ROOT, Running, run

pytestmark = pytest.mark.anyio

CREWAI = ROOT / ".frameworks" / "crewai" / "bin" / "python"

GRAPH = """
from langgraph.graph import START, MessagesState, StateGraph

from codin.agent.adapters.langgraph import node

boss = StateGraph(MessagesState).add_node("ask", node(KIT)).add_edge(START, "ask").compile(name="boss")
"""

ADK = """
from codin.agent.adapters.adk import agent

boss = agent(KIT, name="boss")
"""

RUNNABLE = """
from langchain_core.runnables import RunnableLambda

from codin.agent.adapters.langchain import tool

remote = tool(KIT, name="kit", description="Does what it is told.")


async def work(text):
    return await remote.ainvoke({"request": text})


boss = RunnableLambda(work)
"""

PYDANTIC_AI = """
from pydantic_ai import Agent, ToolReturnPart
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

from codin.agent.adapters.pydantic_ai import adapt, tool


def answer(messages, info):
    part = messages[-1].parts[-1]
    if isinstance(part, ToolReturnPart):
        return ModelResponse([TextPart(part.content)])
    return ModelResponse([ToolCallPart("kit", {"request": part.content})])


boss = adapt(Agent(FunctionModel(answer), name="boss", tools=[tool(KIT)]), stream=False)
"""

CREW = """
from crewai import Flow
from crewai.flow import start

from codin.agent.adapters.crewai import tool

remote = tool(KIT)


class Boss(Flow):
    @start()
    def work(self):
        return remote.run(request=self.state["message"])


boss = Boss()
"""


async def asks(file: str, *options: str, cwd: Path) -> None:
    """The boss passes on what the kit asks, and the answer to the kit's task."""
    with Running("serve", file, "--port", "0", *options, cwd=cwd) as served:
        async with codin.connect(served.serving()) as boss:
            asked = await boss.send("ask")
            assert asked.text == "Which colour?"
            done = await boss.send("red", task_id=asked.task_id)
            assert done.text == "You chose red."


@pytest.mark.parametrize("source", [GRAPH, ADK, RUNNABLE], ids=["langgraph", "adk", "langchain"])
async def test_by_its_url(source: str, server: str, tmp_path: Path) -> None:
    (tmp_path / "boss.py").write_text(source.replace("KIT", repr(server)))
    await asks("boss.py:boss", cwd=tmp_path)


async def test_by_its_name(server: str, tmp_path: Path) -> None:
    (tmp_path / "boss.py").write_text(PYDANTIC_AI.replace("KIT", "'kit'"))
    await asks("boss.py:boss", cwd=tmp_path)


async def test_in_an_environment_of_its_own(server: str, tmp_path: Path) -> None:
    if not CREWAI.exists() and "CI" not in os.environ:
        pytest.skip("no .frameworks/crewai: make frameworks")
    (tmp_path / "boss.py").write_text(CREW.replace("KIT", repr(server)))
    await asks("boss.py:boss", "--python", str(CREWAI), cwd=tmp_path)


def test_without_the_remote_agent_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "boss.py").write_text(GRAPH.replace("KIT", "'http://127.0.0.1:1'"))
    ended = run("serve", "boss.py", "--port", "0", cwd=tmp_path)
    assert ended.returncode != 0
    assert "the card of 'http://127.0.0.1:1' is needed" in ended.stderr
    assert "name= and description=" in ended.stderr
    assert "Traceback" not in ended.stderr
