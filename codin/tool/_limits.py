"""The bounds of an executor."""

from __future__ import annotations

from dataclasses import dataclass, field

from codin.client import Backoff

__all__ = ["ToolLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """What an executor bears, each bound with its default.

    Attributes:
        timeout: seconds for one try of a tool that does not say it itself.
        grace: seconds a coroutine in this process has to end, once its time is over or its caller is cancelled. Then it
            is closed: out of its `await` comes an exception that is neither `Exception` nor `CancelledError`. One that
            catches even that goes on without its caller, and counts among its calls until it ends. A warning in the
            log names it.
        wait: seconds a call waits for its turn, where a tool bounds its calls; then it is refused.
        max_arguments: bytes of the arguments of a call, as JSON.
        max_result: bytes of a result, as JSON; of a stream, of all its pieces.
        backoff: the pauses before a call is tried again; how often is the tool's to say.
    """

    timeout: float = 60.0
    grace: float = 5.0
    wait: float = 5.0
    max_arguments: int = 1_048_576
    max_result: int = 1_048_576
    backoff: Backoff = field(default_factory=Backoff)
