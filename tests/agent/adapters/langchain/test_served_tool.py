"""Tools served as agents: what they take is told on the card, and a text becomes their argument."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import BaseModel

from codin import a2a
from codin.agent.adapters.langchain import tool
from codin.client import Peer, connect
from codin.server import App
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

Serve = Callable[[BaseTool], AbstractAsyncContextManager[Peer]]

TEXT, WHOLE, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}


class Search(BaseModel):
    query: str
    language: str = "en"


class Pair(BaseModel):
    one: str
    other: str


SEARCH = {"type": "object", "properties": {"query": TEXT, "language": TEXT}, "required": ["query"]}
PAIR = {"type": "object", "properties": {"one": TEXT, "other": TEXT}, "required": ["one", "other"]}


@pytest.fixture
def served() -> Serve:
    @asynccontextmanager
    async def serve(given: BaseTool) -> AsyncGenerator[Peer]:
        async with listening(App(given)) as app, connect(app.url) as peer:
            yield peer

    return serve


def made(args_schema: Any) -> BaseTool:
    async def work(**arguments: Any) -> str:
        return " ".join(f"{name}={value}" for name, value in sorted(arguments.items()))

    def unused(**arguments: Any) -> str:
        raise AssertionError(arguments)

    return StructuredTool(name="work", description="Work.", args_schema=args_schema, func=unused, coroutine=work)


def fields(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


@pytest.mark.parametrize(
    ("args_schema", "answer"),
    [
        (fields({"query": TEXT}, "query"), "query=big tea"),
        (fields({"query": TEXT}), "query=big tea"),
        (fields({"query": {"type": ["string", "null"]}, "limit": WHOLE}), "query=big tea"),
        (SEARCH, "query=big tea"),
        (Search, "language=en query=big tea"),
    ],
)
async def test_a_text_is_the_one_string_that_is_needed(served: Serve, args_schema: Any, answer: str) -> None:
    async with served(made(args_schema)) as peer:
        assert (await peer.send("big tea")).text == answer


async def test_a_text_is_what_a_tool_of_one_text_takes(served: Serve) -> None:
    async with served(Tool(name="louder", func=str.upper, description="Say it louder.")) as peer:
        assert (await peer.send("big tea")).text == "BIG TEA"
        assert (await peer.send({"tool_input": "big tea"})).text == "BIG TEA"


@pytest.mark.parametrize("args_schema", [PAIR, Pair])
async def test_a_text_that_could_be_either_is_rejected_with_what_is_wanted(served: Serve, args_schema: Any) -> None:
    async with served(made(args_schema)) as peer:
        refused = await peer.send("big tea")
        assert refused.state is a2a.TaskState.REJECTED
        assert "a JSON object with the fields one (string), other (string)" in refused.text
        assert (await peer.send({"one": "a", "other": "b"})).text == "one=a other=b"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("big tea", "pages: Field required. work takes a JSON object with the fields topic (string), pages (integer)"),
        ({"topic": "tea", "pages": "3"}, "pages: Input should be a valid integer"),
        ({"topic": "tea", "pages": 3, "colour": "green"}, "colour: Extra inputs are not permitted"),
        ([1, 2], "Input should be a valid dictionary"),
    ],
)
async def test_arguments_that_do_not_fit_are_rejected(served: Serve, content: Any, words: str) -> None:
    needs = fields({"topic": TEXT, "pages": WHOLE}, "topic", "pages", additionalProperties=False)
    async with served(made(needs)) as peer:
        refused = await peer.send([a2a.Part(data=content)] if isinstance(content, list) else content)
        assert refused.state is a2a.TaskState.REJECTED
        assert words in refused.text
        assert (await peer.send({"topic": "tea", "pages": 3.0})).state is a2a.TaskState.COMPLETED


async def test_any_name_and_any_json_type_is_an_argument(served: Serve) -> None:
    odd = {"_a": TRUTH, "model-config": {"type": "number"}, "any": {}, "items": {"type": ["array", "null"]}}
    async with served(made(fields(odd, "_a"))) as peer:
        given = {"_a": True, "model-config": 1, "any": {"b": [None]}, "items": None}
        assert (await peer.send(given)).text == "_a=True any={'b': [None]} items=None model-config=1"


@pytest.mark.parametrize(("args_schema", "shown"), [(SEARCH, SEARCH), (Search, Search.model_json_schema())])
async def test_the_card_says_what_it_takes(served: Serve, args_schema: Any, shown: Any) -> None:
    async with served(made(args_schema)) as peer:
        (extension,) = [item for item in peer.card.capabilities.extensions if item.uri == a2a.SCHEMA_EXTENSION]
        assert (extension.params or {})["inputSchema"] == shown
        assert peer.card.default_input_modes[0] == "text/plain"


async def test_a_remote_agent_as_a_tool_as_an_agent(served: Serve, peer: Peer) -> None:
    async with served(tool(peer)) as again:
        assert (await again.send("hello")).text == "bonjour hello"
