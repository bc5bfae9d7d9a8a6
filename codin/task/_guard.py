"""What the task manager runs, and who may object: the promises of handlers and guards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from codin import a2a
from codin.trust import Caller

if TYPE_CHECKING:
    from codin.task._response import AgentResponse
    from codin.task._task import Task

__all__ = ["Decision", "Guard", "Handler"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a guard says: let it pass, refuse it, or hold it until a person has answered."""

    action: Literal["pass", "refuse", "hold"]
    reason: str = ""
    guard: str = ""
    auth: bool = False
    """With `hold`: ask for authorization (AUTH_REQUIRED) and not for input."""


class Guard(Protocol):
    """The one seam for policy, quotas, gates, approvals, kill switch.

    None is a pass that needs no record. Any other decision becomes a private entry in the commit it belongs to.
    """

    async def submit(self, caller: Caller, message: a2a.Message, /) -> Decision | None:
        """Before a message becomes a turn."""
        ...

    async def call(self, task: Task, target: str, content: Any, /) -> Decision | None:
        """Before another agent or a tool is called."""
        ...

    async def outcome(self, task: Task, response: AgentResponse, /) -> Decision | None:
        """Before an outcome becomes the task's."""
        ...


class Handler(Protocol):
    """What the manager runs: all it knows of an agent."""

    async def __call__(self, task: Task, /) -> AgentResponse: ...
