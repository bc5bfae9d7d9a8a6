"""How often, and after what pause, a lost connection is taken up again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from codin import a2a
from codin.errors import BadResponse, DeadlineExceeded, ResponseTooLarge, TransportError

__all__ = ["Backoff", "may_pass"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Tries that bring nothing new are counted; the pause between them doubles.

    Attributes:
        tries: how many more after the first.
        first: seconds before the second try; the real pause is between half of it and all of it.
        longest: seconds at most.
        unreached: whether a peer that no try has reached is tried again. Whoever has another peer to turn to says no.
    """

    tries: int = 5
    first: float = 0.1
    longest: float = 2.0
    unreached: bool = True

    def pause(self, tried: int, error: BaseException | None = None) -> float:
        """The seconds to wait after `tried` useless tries; a peer that names a time is believed, within the bound."""
        if isinstance(error, a2a.Overloaded) and error.retry_after is not None:
            return min(error.retry_after, self.longest)
        # A peer that restarts is not met by all of its readers in the same instant.
        return min(self.longest, self.first * 2.0**tried) * random.uniform(0.5, 1.0)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later: the peer was not reached, or lost, or is busy."""
    if isinstance(error, (DeadlineExceeded, ResponseTooLarge, BadResponse)):
        return False
    return isinstance(error, (TransportError, a2a.Overloaded))
