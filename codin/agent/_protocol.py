"""The promise of an agent: a name, a description, and one coroutine that handles a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from codin import a2a
from codin.task import AgentResponse, Task
from codin.tool import Tool

__all__ = ["Agent", "Describes"]


@runtime_checkable
class Agent(Protocol):
    """Anything with these five members; a plain class with four attributes and one coroutine fits.

    A server also looks for `version`, `extensions`, `reply`, `rerunnable`, `closing_update`, `closing_message`,
    `durable` (False when open questions do not outlive the process), `forgets` (what else is gone with it and what
    would keep it, in words) and `needs_memory` (True when it cannot work on a server without one), and does without.

    Example:
        class Shout:
            id = "shout"
            name = "shout"
            description = "Say it louder."
            tools = ()

            async def handle(self, task: Task) -> AgentResponse:
                return AgentResponse.completed(task.text.upper())
    """

    @property
    def id(self) -> str:
        """Its place on a server: letters, digits and `-._~`, unique there."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def tools(self) -> Sequence[Tool]:
        """What it works with. Never published unless asked."""
        ...

    async def handle(self, task: Task, /) -> AgentResponse:
        """Work on one task. Called for every task, and again with the answer after `NeedInput` or `NeedAuth`."""
        ...


@runtime_checkable
class Describes(Protocol):
    """What an agent may tell about itself for its card."""

    @property
    def skills(self) -> Sequence[a2a.AgentSkill]: ...

    @property
    def input_modes(self) -> Sequence[str]:
        """Media types it reads."""
        ...

    @property
    def output_modes(self) -> Sequence[str]:
        """Media types it answers with."""
        ...

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data part it reads; None when it reads none, or any. The card carries it."""
        ...

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data part it answers with."""
        ...
