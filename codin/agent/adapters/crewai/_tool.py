"""The way out: a remote A2A agent as a tool of CrewAI agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

from crewai.tools import BaseTool
from crewai.utilities import pydantic_schema_utils
from pydantic import PrivateAttr

from codin.agent.adapters._remote import Remote, result_of
from codin.agent.adapters.crewai._running import running
from codin.client import Peer
from codin.errors import ConfigError

__all__ = ["AsyncTool", "tool"]


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> BaseTool:
    """A remote agent as a tool: `Agent(..., tools=[tool("http://…")])`.

    A tool for a connected peer is made on the event loop that the peer is connected on. CrewAI calls tools in threads,
    and they come back to it.

    Args:
        peer: a URL, a name, or a connected peer.
        name: the card's by default; so is `description`. A URL or name with both is not asked for its card.

    Raises:
        ConfigError: the peer is connected and no event loop is running, or a card could not be had.
    """
    loop = None if isinstance(peer, str) else _loop_here()
    remote = Remote(peer, name=name, description=description)
    schema = cast("Any", pydantic_schema_utils).create_model_from_schema(dict(remote.input_schema))

    async def ask_peer(**arguments: Any) -> str:
        given = {name: value for name, value in arguments.items() if value is not None}
        return result_of(await remote.invoke(given))

    made = AsyncTool(name=remote.name, description=remote.description, args_schema=schema)
    made.connect(ask_peer, loop)
    return made


def _loop_here() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigError(
            "a tool for a connected peer needs the event loop of its connection",
            hint="call tool(peer) in a coroutine, or tool(url) anywhere",
        ) from None


class AsyncTool(BaseTool):
    """A coroutine as a tool: CrewAI calls tools in threads, and it is awaited on the event loop that it belongs to."""

    _work: Callable[..., Coroutine[Any, Any, Any]] = PrivateAttr()
    _loop: asyncio.AbstractEventLoop | None = PrivateAttr()

    def connect(
        self, work: Callable[..., Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """Say what is awaited, and on which event loop; None is the server's, or one for each call."""
        self._work = work
        self._loop = loop

    @property
    def work(self) -> Callable[..., Coroutine[Any, Any, Any]]:
        """What is awaited."""
        return self._work

    def _run(self, **arguments: Any) -> Any:
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                raise ConfigError(
                    f"the tool {self.name!r} would block the event loop that it waits for", hint="await its arun()"
                )
        run = running()
        if run is not None:
            return run.wait(self._work(**arguments), self._loop)
        if self._loop is None:
            return self.alone(self._work(**arguments))
        return asyncio.run_coroutine_threadsafe(self._work(**arguments), self._loop).result()

    async def _arun(self, **arguments: Any) -> Any:
        here = running() is None and self._loop is None
        if here or asyncio.get_running_loop() is self._loop:
            return await self._work(**arguments)
        return await asyncio.to_thread(self._run, **arguments)

    def alone(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What `work` gives on an event loop of its own, in a thread that none runs in, and as part of no task."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work).result()
