"""An agent that finds another one for a wish, and lets it do the work."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias, Unpack

from codin import a2a
from codin.agent.adapters._profile import AdapterOptions, Profile
from codin.agent.adapters._relay import Relay, passed_on
from codin.agent.coordination._words import by_words
from codin.client import Reply
from codin.errors import CodinError, ConnectError, MeshError, TrustError
from codin.task import AgentResponse, Task

__all__ = ["Choose", "Known", "Peers", "Router"]

_logger = logging.getLogger("codin.agent")
_SHOWN = 10  # names, when nobody fits


class Known(Protocol):
    """An agent that can be chosen."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str:
        """What `task.call` takes."""
        ...

    @property
    def card(self) -> a2a.AgentCard | None: ...


class Peers(Protocol):
    """Whom a router can choose from. The directories of `codin.mesh` are such."""

    async def find(self, *, text: str, limit: int) -> Sequence[Known]:
        """The agents whose cards have all words of the text, and so with cards; every agent for an empty one."""
        ...


Choose: TypeAlias = Callable[[str, Sequence[Any]], "Sequence[Any] | Awaitable[Sequence[Any]]"]
"""Picks for a wish: those of the agents that fit, the best first. May be a coroutine function, and ask a model."""


class Router(Profile):
    """Finds an agent for the text of a message, and hands the whole message on to it.

    What that agent streams, asks and answers is passed on; an answer to a question goes to the agent that asked. If it
    cannot be reached, or may not be trusted, the next best is asked. Agents of the router's own name are left out.

    Args:
        peers: whom it can choose from, asked for every wish.
        choose: how; by the words of names, tags and descriptions when not given.
        limit: how many agents it looks at.
        tries: how many it asks at most, until one can be reached.
        options: what a card says, as every adapter takes it: name, description, tags, examples, version.

    Example:
        router = Router(Static("http://127.0.0.1:8001", "http://127.0.0.1:8002"))
    """

    def __init__(
        self,
        peers: Peers,
        *,
        choose: Choose = by_words,
        limit: int = 100,
        tries: int = 3,
        **options: Unpack[AdapterOptions],
    ) -> None:
        super().__init__(
            options,
            name="router",
            description="Finds the agent that fits a wish, and lets it do the work.",
            framework="router",
            input_modes=("text/plain", "application/json", "application/octet-stream"),
            output_modes=("text/plain", "application/json", "application/octet-stream"),
        )
        self._peers = peers
        self._choose = choose
        self._limit = limit
        self._tries = tries

    async def handle(self, task: Task) -> AgentResponse:
        """Choose, hand on, and pass back."""
        if task.resume is not None:  # the answer to a question that another agent had
            return await self._asked(task, task.resume["name"], task.resume["url"], task.resume)
        there = [known for known in await self._peers.find(text="", limit=self._limit) if known.name != self.name]
        picked = self._choose(task.text, there)
        fitting = await picked if inspect.isawaitable(picked) else picked
        if not fitting:
            return AgentResponse.rejected(_nobody(there))
        for known in fitting[: self._tries]:
            await task.status(f"asking {known.name}")
            try:
                return await self._asked(task, known.name, known.url, {})
            except (ConnectError, MeshError, TrustError) as error:  # nothing was done there
                _logger.warning("%s cannot be asked: %s", known.name, error)
        return AgentResponse.failed(f"Nobody who fits can be reached: {_listed(fitting[: self._tries])}.")

    async def _asked(self, task: Task, name: str, url: str, place: Any) -> AgentResponse:
        """Hand the message on. What the agent refuses, this one refuses in its words."""
        going_on = {f"{key}_id": place[key] for key in ("task", "context") if key in place}
        try:
            reply: Reply = await task.call(url, task.message.parts, on_event=Relay(task).take, **going_on)
        except (ConnectError, MeshError, TrustError):
            raise
        except CodinError as error:
            return AgentResponse.failed(f"{name} did not do it: {error.message}")
        response = passed_on(reply)
        if response.token is not None:
            response.token = {**response.token, "name": name, "url": url}
        return response


def _nobody(there: Sequence[Known]) -> str:
    if not there:
        return "There is no agent here that could do it."
    return f"No agent here fits that. There are: {_listed(there)}."


def _listed(agents: Sequence[Known]) -> str:
    names = [known.name for known in agents]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
