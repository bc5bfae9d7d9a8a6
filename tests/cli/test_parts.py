"""What of a file is served when no name says it: the whole and not its parts, seen by the cards that would be shown."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.command import Running
from tests.cli.conftest import Done

Codin = Callable[..., Done]

pytestmark = pytest.mark.skipif(
    not any(point.name == "langgraph" for point in entry_points(group="codin.adapters")),
    reason="codin is not installed with its entry points here: `make` does it",
)

GRAPH = """
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt

llm = FakeListChatModel(responses=["yes"])
prompt = ChatPromptTemplate.from_template("{topic}")
parser = StrOutputParser()
plain = RunnableLambda(str)

@tool
def refund(amount: int) -> str:
    "Pay money back."
    return f"paid {amount}"

def check(state: MessagesState) -> None:
    interrupt("Pay it?")
"""

BUILT = """
desk = (
    StateGraph(MessagesState)
    .add_node("check", check)
    .add_node("pay", ToolNode([refund]))
    .add_edge(START, "check")
    .add_edge("check", "pay")
    .compile(name="desk")
)
"""

INNER = """
def graph(node, name):
    return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile(name=name)

one, two, three, four = (graph(lambda state: {}, name) for name in ("one", "two", "three", "four"))

async def run(state: MessagesState) -> dict:
    return await called()

async def called() -> dict:
    return await two.ainvoke({"messages": []})

@tool
async def ask(question: str) -> str:
    "Ask another graph."
    return str(await three.ainvoke({"messages": [question]}))

chain = prompt | llm
outer = (
    StateGraph(MessagesState)
    .add_node("one", one)
    .add_node("run", run)
    .add_node("tools", ToolNode([ask]))
    .add_node("chain", chain)
    .add_edge(START, "one")
    .compile(name="outer")
)
"""

CASES = {
    "a graph, its model and its tools": (GRAPH + BUILT, ["desk"]),
    "graphs and a chain in a graph": (GRAPH + INNER, ["four", "outer"]),
    "chains": (
        GRAPH
        + dedent("""
        line = prompt | llm | parser
        poet = line.with_config(run_name="poet")
        async def ask(text): return await poet.ainvoke({"topic": text})
        critic = (RunnableLambda(ask) | llm).with_config(run_name="critic")
        other = (prompt | llm).with_fallbacks([prompt | llm]).with_config(run_name="other")
        """),
        ["critic", "other"],
    ),
    "handoffs, agents as tools, guardrails": (
        """
        from agents import Agent, GuardrailFunctionOutput, Runner, function_tool, handoff, input_guardrail

        judge, billing, sales, lawyer, poet = (Agent(name) for name in ("judge", "billing", "sales", "lawyer", "poet"))

        @input_guardrail
        async def fair(context, agent, text):
            done = await Runner.run(judge, text)
            return GuardrailFunctionOutput(done, tripwire_triggered=False)

        @function_tool
        async def rhyme(text: str) -> str:
            "Make a rhyme."
            return str((await Runner.run(poet, text)).final_output)

        triage = Agent(
            "triage",
            handoffs=[billing, handoff(sales)],
            tools=[lawyer.as_tool("ask", "Ask the lawyer."), rhyme],
            input_guardrails=[fair],
        )
        """,
        ["triage"],
    ),
    "two that hand off to each other": (
        """
        from agents import Agent
        first, second, third = Agent("first"), Agent("second"), Agent("third")
        first.handoffs = [second, third]
        second.handoffs = [first]
        """,
        ["first", "second"],
    ),
    "members of a team, and of a team in it": (
        """
        from agno.agent import Agent
        from agno.team import Team
        from agno.tools import tool

        writer, editor, expert, alone = (Agent(name=name) for name in ("writer", "editor", "expert", "alone"))

        @tool
        async def ask(question: str) -> str:
            "Ask the expert."
            return str(await expert.arun(question))

        desk = Team(name="desk", members=[editor], tools=[ask])
        house = Team(name="house", members=[writer, desk])
        """,
        ["alone", "house"],
    ),
    "agents that tools and outputs of Pydantic AI run": (
        """
        from pydantic_ai import Agent
        from pydantic_ai.models.test import TestModel

        inner, handed = Agent(TestModel(), name="inner"), Agent(TestModel(), name="handed")

        async def hand_over(text: str) -> str:
            return (await handed.run(text)).output

        outer = Agent(TestModel(), name="outer", output_type=[hand_over])

        @outer.tool_plain
        async def ask(question: str) -> str:
            return (await inner.run(question)).output
        """,
        ["outer"],
    ),
    "sub-agents, and agents as tools of ADK": (
        """
        from google.adk.agents import LlmAgent
        from google.adk.tools import AgentTool

        leaf, left, right, expert = (LlmAgent(name=name) for name in ("leaf", "left", "right", "expert"))
        both = LlmAgent(name="both", sub_agents=[left, right])
        root_agent = LlmAgent(name="root", sub_agents=[leaf, both], tools=[AgentTool(expert)])
        """,
        ["root"],
    ),
    "the root of an app of ADK": (
        """
        from google.adk.agents import LlmAgent
        from google.adk.apps import App
        root_agent = LlmAgent(name="root")
        app = App(name="shop", root_agent=root_agent)
        """,
        ["shop"],
    ),
    "nodes of a workflow of ADK": (
        """
        from google.adk.agents import LlmAgent
        from google.adk.workflow import START, Workflow, node

        writer = LlmAgent(name="writer", instruction="Write.")

        @node
        def paint(node_input: str) -> str:
            return node_input

        flow = Workflow(name="flow", edges=[(START, writer, paint)])
        """,
        ["flow"],
    ),
}
NEEDS = ["agents", "agno", "google.adk", "langgraph", "langchain_core", "pydantic_ai"]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes `shop.py` where the command is run."""
    monkeypatch.chdir(tmp_path)

    def write(source: str) -> None:
        for framework in NEEDS:
            if f"from {framework}" in source:
                pytest.importorskip(framework)
        (tmp_path / "shop.py").write_text(dedent(source), encoding="utf-8")

    return write


def shown(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return sorted(line.removesuffix("  1.0.0") for line in done.out.splitlines() if line.endswith("  1.0.0"))


@pytest.mark.parametrize(("source", "served"), CASES.values(), ids=CASES)
def test_the_whole_is_served_and_not_its_parts(
    codin: Codin, write: Callable[[str], None], source: str, served: list[str]
) -> None:
    write(source)
    assert shown(codin("card", "shop.py")) == served


@pytest.mark.parametrize("name", ["llm", "refund", "plain"])
def test_a_part_is_served_when_it_is_named(codin: Codin, write: Callable[[str], None], name: str) -> None:
    write(GRAPH)
    assert len(shown(codin("card", f"shop.py:{name}"))) == 1


def test_parts_alone_are_no_agent(codin: Codin, write: Callable[[str], None]) -> None:
    write(GRAPH.partition("def check")[0])
    done = codin("card", "shop.py")
    assert (done.code, done.out) == (2, "")
    parts = "shop.py:llm, shop.py:prompt, shop.py:parser, shop.py:plain, shop.py:refund"
    assert f"is served when it is named; there is {parts}" in done.err


def test_what_is_within_an_agent_that_cannot_be_served_does_not_take_its_place(
    codin: Codin, write: Callable[[str], None]
) -> None:
    source, _ = CASES["agents that tools and outputs of Pydantic AI run"]
    write(source.replace("output_type=[hand_over]", "output_type=[hand_over], deps_type=int"))
    done = codin("card", "shop.py")
    assert (done.code, done.out) == (2, "")
    assert "the agent 'outer' needs dependencies of type 'int'" in done.err


def test_a_peer_is_served_only_when_it_is_named(codin: Codin, write: Callable[[str], None], server: str) -> None:
    write(
        f"""
        import asyncio
        import codin

        async def meet():
            async with codin.connect({server!r}) as peer:
                return peer

        peer = asyncio.run(meet())
        """
    )
    done = codin("card", "shop.py")
    assert shown(done) == ["meet"]
    assert "its only public function, meet" in done.err
    assert shown(codin("card", "shop.py:peer")) == ["kit"]


def test_several_agents_are_said_with_how_to_serve_one(tmp_path: Path) -> None:
    one = "from codin.agent import agent\n@agent\ndef a(text: str) -> str: ...\n"
    (tmp_path / "one.py").write_text(one)
    (tmp_path / "shop.py").write_text(one + "@agent\ndef b(text: str) -> str: ...\n")
    with Running("serve", "shop.py", "--port", "0", cwd=tmp_path) as running:
        running.expect("serving 2 agents of shop.py: a, b; one alone: codin serve shop.py:a\n", "err")
    with Running("serve", "one.py", "--port", "0", cwd=tmp_path) as running:
        running.serving()
        running.interrupt()
        running.wait()
    assert "serving" not in running.err
