"""What a graph's card tells, and what it keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode
from typing_extensions import TypedDict

from codin.agent.adapters.langgraph import adapt
from codin.errors import ConfigError
from codin.tool import Tool
from tests.agent.adapters.langgraph.graphs import build, nothing

pytestmark = pytest.mark.anyio


class Form(TypedDict, total=False):
    """Fills in a form."""

    topic: str
    pages: int


@tool
def lookup(word: str) -> str:
    """Look a word up."""
    return word[::-1]


def compiled(state: type, **options: Any) -> Any:
    return build(state).add_node("node", nothing).add_edge(START, "node").compile(**options)


def with_tools() -> Any:
    return build(MessagesState).add_node("tools", ToolNode([lookup])).add_edge(START, "tools").compile(name="librarian")


def test_the_name_is_the_graph_s_and_the_description_the_state_s_docstring() -> None:
    agent = adapt(compiled(Form, name="Form Filler"))
    assert (agent.name, agent.id, agent.description) == ("Form Filler", "form-filler", "Fills in a form.")


def test_a_graph_without_name_and_docstring_is_told_what_it_is() -> None:
    agent = adapt(compiled(MessagesState))
    assert (agent.name, agent.id) == ("graph", "graph")
    assert "LangGraph" in agent.description


def test_what_is_given_wins() -> None:
    agent = adapt(compiled(Form), name="Filler", description="Does it.", version="2.1.0", examples=["fill"], tags=["t"])
    (skill,) = agent.skills
    assert (agent.name, agent.version, skill.description) == ("Filler", "2.1.0", "Does it.")
    assert (skill.examples, skill.tags) == (["fill"], ["t"])


def test_a_conversation_reads_text_and_files_and_has_no_schema() -> None:
    agent = adapt(compiled(MessagesState))
    assert agent.input_modes[0] == "text/plain"
    assert agent.output_modes == ["text/plain"]
    assert (agent.input_schema, agent.output_schema) == (None, None)


def test_a_typed_graph_reads_data_and_tells_its_schema() -> None:
    agent = adapt(compiled(Form))
    assert (agent.input_modes[0], agent.output_modes) == ("application/json", ["application/json"])
    assert agent.input_schema is not None
    assert set(agent.input_schema["properties"]) == {"topic", "pages"}


def test_tools_stay_private_until_they_are_exposed() -> None:
    assert [skill.id for skill in adapt(with_tools()).skills] == ["librarian"]
    assert [skill.id for skill in adapt(with_tools(), expose_tools=True).skills] == ["librarian", "lookup"]


async def test_the_tools_of_a_graph_are_tools() -> None:
    (found,) = adapt(with_tools()).tools
    assert isinstance(found, Tool)
    assert found.spec.input_schema["properties"]["word"]["type"] == "string"
    assert await found.invoke(word="abc") == "cba"


def test_what_is_not_compiled_is_refused() -> None:
    with pytest.raises(ConfigError, match="compile"):
        adapt(build(Form))  # pyright: ignore[reportArgumentType]


def test_nothing_is_traced_and_no_tracing_is_switched_off_behind_the_user_s_back() -> None:
    code = "import os; before = dict(os.environ); import codin.agent.adapters.langgraph; assert os.environ == before"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
