"""An MCP server of many tools, in this process or as a program: `python kit.py [port]`."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import sys
import threading
from typing import Annotated, Any

from mcp import types
from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.shared.exceptions import UrlElicitationRequiredError
from pydantic import BaseModel, Field

__all__ = ["PNG", "Kit", "kit", "shady", "unlogged"]

PNG = b"\x89PNG"


class Size(BaseModel):
    size: int


class Order(BaseModel):
    tea: str
    cups: int


class Kit:
    """What the tools of a server have done."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.waits = threading.Event()
        self.released = threading.Event()
        self.stuck = threading.Event()
        self.stopped = threading.Event()
        self.visited = False
        self.asked = 0


def kit(state: Kit | None = None, **settings: Any) -> FastMCP:
    """A server of all of it."""
    state = state or Kit()
    server = unlogged("kit", "A bit of everything.", **settings)
    _simple(server, state)
    _asking(server, state)
    return server


class Letters(BaseModel):
    word: str = Field(json_schema_extra={"pattern": r"^\p{L}+$"})


class Endless(BaseModel):
    word: str = Field(json_schema_extra={"pattern": "(a+)+$"})


def shady() -> FastMCP:
    """A server that says of its results what Python's own engine cannot read, or not within years."""
    server = unlogged("shady")

    @server.tool()
    def letters(word: str) -> Annotated[types.CallToolResult, Letters]:
        return types.CallToolResult(content=[], structuredContent={"word": word})

    @server.tool()
    def endless(word: str) -> Annotated[types.CallToolResult, Endless]:
        return types.CallToolResult(content=[], structuredContent={"word": word})

    return server


def unlogged(*args: Any, **settings: Any) -> FastMCP:
    """A server that is made without a change to the root logger, which is the tests'."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    server = FastMCP(*args, **settings)
    root.handlers[:] = handlers
    root.setLevel(level)
    return server


def _simple(server: FastMCP, state: Kit) -> None:
    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        state.threads.add(threading.current_thread().name)
        return a + b

    @server.tool(title="Shout it")
    def shout(text: str, times: int = 1) -> str:
        """Say it louder."""
        return " ".join([text.upper()] * times)

    @server.tool()
    async def count(to: int, context: Context[Any, Any, Any]) -> list[types.TextContent]:
        """Count, and tell of it."""
        for number in range(to):
            await context.report_progress(number + 1, to, f"at {number + 1}" if number else None)
        return [types.TextContent(type="text", text="one"), types.TextContent(type="text", text="two")]

    @server.tool(structured_output=False)
    def picture(kind: int) -> list[Any]:
        """Draw."""
        return [Image(data=PNG, format="png"), *_resources()]

    @server.tool()
    def fail(why: int) -> str:
        """Fail."""
        raise ValueError(f"no such town: {why}")

    @server.tool()
    def die(code: int) -> str:
        """End the process."""
        os._exit(code)

    @server.tool()
    def block(seconds: int) -> str:
        """Block the thread it runs in."""
        state.waits.set()
        return "released" if state.released.wait(seconds) else "too long"

    @server.tool()
    async def hang(seconds: int) -> str:
        """Wait for nothing."""
        state.stuck.set()
        try:
            await asyncio.sleep(seconds)
        finally:
            state.stopped.set()
        return "slept"


def _resources() -> list[Any]:
    blob = base64.b64encode(b"tide").decode()
    return [
        types.EmbeddedResource.model_validate(
            {"type": "resource", "resource": {"uri": "file:///notes/note.txt", "blob": blob, "mimeType": "text/plain"}}
        ),
        types.EmbeddedResource.model_validate(
            {"type": "resource", "resource": {"uri": "memo://1", "text": "a memo", "mimeType": "text/markdown"}}
        ),
        types.ResourceLink.model_validate({"type": "resource_link", "name": "map", "uri": "https://example.com/map"}),
    ]


def _asking(server: FastMCP, state: Kit) -> None:
    @server.tool()
    async def measure(what: int, context: Context[Any, Any, Any]) -> str:
        """Ask how big it is."""
        try:
            result = await context.elicit(f"How big is {what}?", Size)
        finally:
            state.stopped.set()
        await context.report_progress(1)
        return f"{what} is {result.data.size}" if result.action == "accept" else result.action

    @server.tool()
    async def order(table: int, context: Context[Any, Any, Any]) -> str:
        """Ask for several things."""
        result = await context.elicit("What would you like?", Order)
        return f"{result.data.cups} {result.data.tea}" if result.action == "accept" else result.action

    @server.tool()
    async def twice(what: int, context: Context[Any, Any, Any]) -> str:
        """Ask two things at the same time."""
        asked = (context.elicit("How wide?", Size), context.elicit("How high?", Size))
        wide, high = await asyncio.gather(*asked)
        return f"{wide.data.size} by {high.data.size}"  # type: ignore[union-attr]

    @server.tool()
    async def fickle(what: int, context: Context[Any, Any, Any]) -> str:
        """Ask something else each time."""
        state.asked += 1
        result = await context.elicit(f"Question {state.asked}?", Size)
        return result.action

    @server.tool()
    async def sign(paper: int, context: Context[Any, Any, Any]) -> str:
        """Send the user elsewhere."""
        result = await context.elicit_url("Please sign in.", "https://example.com/sign", "e1")
        return result.action

    @server.tool()
    def locked(door: int) -> str:
        """Want a visit before it works."""
        if not state.visited:
            state.visited = True
            asked = types.ElicitRequestURLParams(
                message="Please log in.", url="https://example.com/log-in", elicitationId="e2"
            )
            raise UrlElicitationRequiredError([asked])
        return "open"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kit(port=int(sys.argv[1])).run("streamable-http")  # uvicorn logs when it listens
    else:
        kit(log_level="WARNING").run()
