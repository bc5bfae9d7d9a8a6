"""What a runnable's card tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel, RunnablePassthrough, chain
from langchain_core.tools import tool
from pydantic import BaseModel

from codin.agent import as_agent
from codin.agent.adapters.langchain import RunnableAgent, adapt
from codin.errors import ConfigError

model = FakeListChatModel(responses=["tea"])
prompt = ChatPromptTemplate.from_template("Write about {topic}.")


class Poem(BaseModel):
    title: str
    lines: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_a_runnable_is_found_by_its_type() -> None:
    assert isinstance(as_agent(prompt | model), RunnableAgent)
    assert isinstance(as_agent(RunnableLambda(len)), RunnableAgent)
    assert isinstance(as_agent(model), RunnableAgent)


def test_a_bare_function_stays_a_function() -> None:
    def shout(text: str) -> str:
        return text.upper()

    assert not isinstance(as_agent(shout), RunnableAgent)


def test_what_is_no_runnable_is_refused() -> None:
    with pytest.raises(ConfigError, match="no runnable"):
        adapt(Poem(title="t", lines=1))


def test_the_name_is_the_one_it_was_given_and_the_description_the_docstring() -> None:
    @chain
    async def Shout(text: str) -> str:  # noqa: N802
        """Says it louder."""
        return text.upper()

    agent = adapt(Shout)
    assert (agent.name, agent.id, agent.description) == ("Shout", "shout", "Says it louder.")
    assert adapt((prompt | model).with_config(run_name="poet")).name == "poet"


def test_a_chain_without_a_name_is_called_a_chain() -> None:
    agent = adapt(prompt | model)
    assert (agent.name, agent.id) == ("chain", "chain")
    assert "LangChain" in agent.description


def test_what_is_given_wins() -> None:
    agent = adapt(prompt | model, name="Poet", description="Writes.", version="2.0", examples=["tea"], tags=["t"])
    (skill,) = agent.skills
    assert (agent.name, agent.version, skill.description) == ("Poet", "2.0", "Writes.")
    assert (skill.examples, skill.tags) == (["tea"], ["t"])


def test_a_prompt_takes_its_variables_and_a_model_a_conversation() -> None:
    agent = adapt(prompt | model | StrOutputParser())
    assert agent.input_schema is not None
    assert (list(agent.input_schema["properties"]), agent.input_schema["required"]) == (["topic"], ["topic"])
    assert (list(agent.output_modes), agent.output_schema) == (["text/plain"], None)
    bare = adapt(model)
    assert (bare.input_modes[0], bare.input_schema) == ("text/plain", None)
    assert "image/*" in bare.input_modes


def test_a_field_of_messages_is_described_without_langchain_s_classes() -> None:
    asked = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    schema = adapt(asked | model).input_schema
    assert schema is not None
    assert schema["properties"]["history"]["items"]["properties"]["role"] == {"enum": ["user", "assistant"]}
    assert "$defs" not in schema


def test_a_parser_s_type_is_the_schema_of_the_answer() -> None:
    parser: Any = PydanticOutputParser(pydantic_object=Poem)
    agent = adapt(prompt | model | parser)
    assert list(agent.output_modes) == ["application/json"]
    assert agent.output_schema is not None
    assert set(agent.output_schema["properties"]) == {"title", "lines"}


def test_several_chains_side_by_side_answer_an_object() -> None:
    agent = adapt(RunnableParallel(short=model | StrOutputParser(), long=model | StrOutputParser()))
    assert agent.output_schema is not None
    assert set(agent.output_schema["properties"]) == {"short", "long"}


def test_what_is_not_known_is_not_said() -> None:
    def louder(given: Any) -> Any:
        return given["text"].upper()

    agent = adapt(RunnableLambda(louder))
    assert (agent.input_schema, agent.output_schema) == (None, None)
    assert list(agent.output_modes) == ["text/plain", "application/json"]
    assert adapt(RunnablePassthrough.assign(loud=louder)).output_schema is None


def test_the_type_that_a_string_names_is_found() -> None:
    def title(poem: Poem) -> str:  # annotations are strings in this module
        return poem.title

    agent = adapt(RunnableLambda(title))
    assert list(agent.output_modes) == ["text/plain"]


def test_a_tool_takes_its_arguments() -> None:
    agent = adapt(add)
    assert (agent.name, agent.description) == ("add", "Add two numbers.")
    assert agent.input_schema is not None
    assert set(agent.input_schema["properties"]) == {"a", "b"}


def test_a_text_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="topic"):
        adapt(prompt | model, text_field="subject")


@pytest.mark.parametrize("place", [0, 1])
def test_a_generator_without_asyncio_is_refused_at_once(place: int) -> None:
    def words(pieces: Iterator[str]) -> Iterator[str]:
        for piece in pieces:
            yield from piece.split()

    async def more(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in pieces:
            yield piece

    alone: Any = RunnableGenerator(words)
    with pytest.raises(ConfigError, match="async generator"):
        adapt([alone, model | alone][place])
    both: Any = RunnableGenerator(words, more)
    assert adapt(model | both)


def test_a_function_that_yields_without_asyncio_is_refused_at_once() -> None:
    @chain
    def words(text: str) -> Iterator[str]:
        yield from text.split()

    with pytest.raises(ConfigError, match="async generator"):
        adapt(words)
