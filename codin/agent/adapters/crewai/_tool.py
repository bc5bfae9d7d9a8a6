"""The way out: a remote A2A agent as a tool of CrewAI agents."""

from __future__ import annotations

import asyncio
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


def tool(peer: Peer, *, name: str | None = None, description: str | None = None) -> BaseTool:
    """A connected peer as a tool: `Agent(..., tools=[tool(peer)])`.

    Call it on the event loop that the peer is connected on. CrewAI calls tools in threads, and they come back to it.

    Args:
        name: the card's by default; so is `description`.

    Raises:
        ConfigError: no event loop is running.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigError(
            "a tool for a peer needs the event loop of its connection", hint="call tool(peer) in a coroutine"
        ) from None
    remote = Remote(peer, name=name, description=description)
    schema = cast("Any", pydantic_schema_utils).create_model_from_schema(dict(remote.input_schema))
    made = _PeerTool(name=remote.name, description=remote.description, args_schema=schema)
    made.connect(remote, loop)
    return made


class _PeerTool(BaseTool):
    _remote: Remote = PrivateAttr()
    _loop: asyncio.AbstractEventLoop = PrivateAttr()

    def connect(self, remote: Remote, loop: asyncio.AbstractEventLoop) -> None:
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
        return asyncio.run_coroutine_threadsafe(self._invoke(arguments), self._loop).result()

    async def _arun(self, **arguments: Any) -> str:
        if asyncio.get_running_loop() is self._loop:
            return await self._invoke(arguments)
        return await asyncio.to_thread(self._run, **arguments)

    async def _invoke(self, arguments: dict[str, Any]) -> str:
        given = {name: value for name, value in arguments.items() if value is not None}
        return result_of(await self._remote.invoke(given))
