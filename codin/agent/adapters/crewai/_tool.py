"""The way out: a remote A2A agent as a tool of CrewAI agents."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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

__all__ = ["tool"]


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
    made = _PeerTool(name=remote.name, description=remote.description, args_schema=schema)
    made.connect(remote, loop)
    return made


def _loop_here() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigError(
            "a tool for a connected peer needs the event loop of its connection",
            hint="call tool(peer) in a coroutine, or tool(url) anywhere",
        ) from None


class _PeerTool(BaseTool):
    _remote: Remote = PrivateAttr()
    _loop: asyncio.AbstractEventLoop | None = PrivateAttr()

    def connect(self, remote: Remote, loop: asyncio.AbstractEventLoop | None) -> None:
        """Say who is called, and on which event loop; None is the server's, or one for each call."""
        self._remote = remote
        self._loop = loop

    def _run(self, **arguments: Any) -> str:
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                raise ConfigError(
                    f"the tool {self.name!r} would block the event loop that it waits for", hint="await its arun()"
                )
        run = running()
        if run is not None:
            return run.wait(self._invoke(arguments), self._loop)
        if self._loop is None:
            return _alone(self._invoke(arguments))
        return asyncio.run_coroutine_threadsafe(self._invoke(arguments), self._loop).result()

    async def _arun(self, **arguments: Any) -> str:
        here = running() is None and self._loop is None
        if here or asyncio.get_running_loop() is self._loop:
            return await self._invoke(arguments)
        return await asyncio.to_thread(self._run, **arguments)

    async def _invoke(self, arguments: dict[str, Any]) -> str:
        given = {name: value for name, value in arguments.items() if value is not None}
        return result_of(await self._remote.invoke(given))


def _alone(work: Coroutine[Any, Any, str]) -> str:
    """What `work` gives on an event loop of its own, in a thread that none runs in, and as part of no task."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
