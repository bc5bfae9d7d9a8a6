"""An agent that is known by a URL or a name: its card at once, a connection when it is called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, aclosing
from importlib.metadata import entry_points

from codin import a2a
from codin.client import Peer, connect
from codin.errors import CodinError, ConfigError
from codin.task import Resolver

__all__ = ["Address", "card_at"]

_PATIENCE = 10.0  # seconds for a card: somebody imports a module meanwhile


class Address:
    """A URL or a name, for calls outside of a task: one connection for each event loop.

    Args:
        target: a URL, or a name that the registry or this user's agents on this machine know.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(self, target: str) -> None:
        if "://" in target:
            connect(target)  # looks at the URL, and opens nothing
        self._target = target
        self._opened: dict[asyncio.AbstractEventLoop, asyncio.Task[tuple[Peer, AsyncGenerator[Peer]]]] = {}

    async def peer(self) -> Peer:
        """The agent, connected as long as the running event loop."""
        loop = asyncio.get_running_loop()
        opened = self._opened.get(loop)
        if opened is None:
            for closed in [each for each in list(self._opened) if each.is_closed()]:
                self._opened.pop(closed, None)
            opened = self._opened[loop] = loop.create_task(self._open(loop))
        peer, _ = await asyncio.shield(opened)
        return peer

    async def _open(self, loop: asyncio.AbstractEventLoop) -> tuple[Peer, AsyncGenerator[Peer]]:
        # Before it is closed, an event loop ends the generators that were begun on it, and with this one a connection.
        held = _connected(self._target)
        try:
            return await anext(held), held
        except BaseException:
            self._opened.pop(loop, None)
            raise


async def _connected(target: str) -> AsyncGenerator[Peer]:
    if "://" in target:
        async with connect(target) as peer:
            yield peer
    else:
        async with _names() as names:
            yield await names.resolve(target)


def _names() -> AbstractAsyncContextManager[Resolver]:
    """Who knows agents by name: what an entry point `codin.resolvers` names, as this floor knows no mesh."""
    for point in entry_points(group="codin.resolvers"):
        return point.load()()
    raise ConfigError("nobody here knows agents by name", hint="give a URL like http://127.0.0.1:8000")


def card_at(target: str) -> a2a.AgentCard:
    """The card of an agent, now, whether an event loop runs or not.

    Raises:
        ConfigError: it could not be had.
    """
    found: Future[a2a.AgentCard] = Future()

    def look() -> None:
        try:
            found.set_result(asyncio.run(_card_at(target)))
        except BaseException as error:
            found.set_exception(error)

    # Always in a thread: `asyncio.run` would take away the event loop that the program may have set here.
    threading.Thread(target=look, name="codin-card", daemon=True).start()
    try:
        return found.result(_PATIENCE)
    except (CodinError, TimeoutError) as error:
        reason = error.message if isinstance(error, CodinError) else f"no answer within {_PATIENCE:g} s"
        raise ConfigError(
            f"the card of {target!r} is needed: {reason}",
            hint="start that agent first, or give name= and description=, which do without its card",
        ) from error


async def _card_at(target: str) -> a2a.AgentCard:
    async with asyncio.timeout(_PATIENCE), aclosing(_connected(target)) as connected:
        return (await anext(connected)).card
