"""The bounds of an executor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from codin.client import Backoff
from codin.errors import ConfigError

__all__ = ["ToolLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """What an executor bears, each bound with its default.

    Attributes:
        timeout: seconds for one try of a tool that does not say it itself. Only its own time counts: not what it waits
            for its turn or a thread, nor what whoever reads a stream takes for a piece.
        grace: seconds a coroutine in this process has to end, once its time is over or its caller is cancelled. Then it
            is closed: out of its `await` comes an exception that is neither `Exception` nor `CancelledError`. One that
            catches even that goes on without its caller, and counts among its calls until it ends. A warning in the
            log names it.
        wait: seconds a call waits for its turn, where a tool bounds its calls, and for a thread; then it is refused.
        max_arguments: bytes of the arguments of a call, as JSON.
        max_result: bytes of a result, as JSON; of a stream, of all its pieces.
        backoff: the pauses before a call is tried again; how often is the tool's to say.

    Raises:
        ConfigError: one of them cannot be kept.
    """

    timeout: float = 60.0
    grace: float = 5.0
    wait: float = 5.0
    max_arguments: int = 1_048_576
    max_result: int = 1_048_576
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if (meant := _meant(each.name, value)) is not None:
                raise ConfigError(f"ToolLimits.{each.name}={value!r} is not {meant}")


def _meant(name: str, value: Any) -> str | None:
    """What a bound has to be, where it is not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "backoff":
            return None if isinstance(value, Backoff) else "a Backoff"
        case "timeout":
            return None if is_number and 0 < value < math.inf else "a number of seconds above 0"
        case "grace" | "wait":
            return None if is_number and value >= 0 else "a number of seconds"
        case _:
            return None if is_number and isinstance(value, int) and value > 0 else "a number of bytes above 0"
