"""The bounds of a mesh."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from codin.client import Backoff
from codin.errors import ConfigError

__all__ = ["MeshLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshLimits:
    """What a mesh bears, each bound with its default.

    Attributes:
        timeout: seconds for a call, and of silence in a stream.
        lookup: seconds for asking a directory, and for reading a card.
        fresh: seconds for which an answer of the directories counts before they are asked again; cards 3 times that.
        in_flight: messages to one peer that are under way at once.
        failures: in a row, after which a peer is left alone.
        rest: seconds for which it is left alone; twice as long after every failed probe.
        longest_rest: seconds at most.
        peers: connected at once; the one that was used longest ago goes first.
        fan_out: agents that `ask_many` asks at once.
        backoff: the pauses before a call goes out again that nobody has got or that may be repeated.

    Raises:
        ConfigError: one of them cannot be kept.
    """

    timeout: float = 60.0
    lookup: float = 5.0
    fresh: float = 30.0
    in_flight: int = 64
    failures: int = 5
    rest: float = 2.0
    longest_rest: float = 60.0
    peers: int = 256
    fan_out: int = 16
    backoff: Backoff = field(default_factory=lambda: Backoff(tries=3))

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if (meant := _meant(each.name, value)) is not None:
                raise ConfigError(f"MeshLimits.{each.name}={value!r} is not {meant}")


def _meant(name: str, value: Any) -> str | None:
    """What a bound has to be, where it is not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "backoff":
            return None if isinstance(value, Backoff) else "a Backoff"
        case "timeout" | "lookup":
            return None if is_number and value > 0 else "a number of seconds above 0"
        case "fresh" | "rest" | "longest_rest":
            return None if is_number and value >= 0 else "a number of seconds"
        case _:
            return None if is_number and isinstance(value, int) and value > 0 else "a whole number above 0"
