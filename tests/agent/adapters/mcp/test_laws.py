"""The laws of adapters, for MCP: a server whose tools ask a model, and their caller."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import types
from mcp.server.fastmcp import Context
from pydantic import BaseModel

from codin.agent.adapters.mcp import McpAgent, adapt
from codin.testing.adapter_laws import AdapterCase, Asked, Asking, Bench, Law, laws
from tests.agent.adapters.mcp.kit import unlogged
from tests.agent.adapters.mcp.promises import CANNOT, NAME

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    name: str
    people: int


class Path(BaseModel):
    path: str


async def served(bench: Bench, tool: Callable[..., Any]) -> McpAgent:
    """A server with one tool. Its session ends with the server of codin."""
    server = unlogged("server")
    server.add_tool(tool)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[McpAgent]:
        agent = adapt(server)
        yield agent
        await agent.close()

    return await bench.enter(lifespan())


def asker(bench: Bench) -> Callable[[str], Any]:
    """What asks the model; it runs in the server's thread."""

    async def ask(text: str) -> str:
        """Ask the model."""
        async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
            request = {"model": "local", "messages": [{"role": "user", "content": text}]}
            response = await http.post(f"{bench.url}/chat/completions", json=request)
        return response.json()["choices"][0]["message"]["content"]

    return ask


async def chat(bench: Bench) -> McpAgent:
    return await served(bench, asker(bench))


async def structured(bench: Bench) -> McpAgent:
    ask = asker(bench)

    async def place(text: str) -> Place:
        """Ask the model for a place."""
        return Place.model_validate_json(await ask(text))

    return await served(bench, place)


async def eraser(bench: Bench) -> McpAgent:
    async def wipe(text: str, context: Context[Any, Any, Any]) -> str:
        """Delete a file."""
        asked = await context.elicit("Which file shall be wiped?", Path)
        return f"wiped {asked.data.path}" if asked.action == "accept" else "kept"

    return await served(bench, wipe)


async def locked(bench: Bench) -> McpAgent:
    async def enter(text: str, context: Context[Any, Any, Any]) -> str:
        """Send the user to sign in."""
        asked = await context.elicit_url("Please sign in.", "https://example.com/sign", "e1")
        return f"the door is open: {asked.action}"

    return await served(bench, enter)


async def writer(bench: Bench) -> McpAgent:
    def write(text: str) -> list[Any]:
        """Write it down."""
        resource = {"uri": "file:///note.txt", "blob": base64.b64encode(b"tide").decode(), "mimeType": "text/plain"}
        return [types.EmbeddedResource.model_validate({"type": "resource", "resource": resource})]

    return await served(bench, write)


CASE = AdapterCase(
    NAME,
    chat=chat,
    structured=structured,
    asking=Asking(eraser, [Asked("Which file shall be wiped?", "/x")], "wiped /x"),
    authorizing=Asking(locked, [Asked("Please sign in.", "signed-in-as-ann")], "the door is open: accept"),
    file=writer,
    cannot=CANNOT,
)


@pytest.mark.parametrize("law", laws(CASE), ids=str)
async def test_the_adapter_keeps(law: Law) -> None:
    await law.check(CASE)
