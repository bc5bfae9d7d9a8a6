"""A circuit breaker: whoever failed several times in a row is left alone for a while, and then tried with one call."""

from __future__ import annotations

from typing import Literal

from codin.mesh._clock import Clock
from codin.mesh._limits import MeshLimits

__all__ = ["Breaker", "Circuit"]

Circuit = Literal["closed", "open", "half-open"]
"""closed: calls pass; open: none does; half-open: one may, and decides."""


class Breaker:
    """Judges by the outcomes of calls.

    Attributes:
        failures: in a row, as far as is known.
    """

    __slots__ = ("_clock", "_era", "_limits", "_open_until", "_probing", "_rest", "failures")

    def __init__(self, limits: MeshLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._rest: float = limits.rest
        self._open_until: float | None = None
        self._probing: bool = False
        self._era: int = 0
        self.failures: int = 0

    @property
    def circuit(self) -> Circuit:
        if self._open_until is None:
            return "closed"
        return "open" if self._clock.now() < self._open_until else "half-open"

    @property
    def rest(self) -> float:
        """Seconds until a call may be tried."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock.now())

    @property
    def passable(self) -> bool:
        """Whether `admit` would let a call pass."""
        if self._open_until is None:
            return True
        return not self._probing and self._clock.now() >= self._open_until

    def admit(self) -> int | None:
        """Let a call pass. Gives the era it belongs to, for `settle`, which must follow; None when it may not pass."""
        if self._open_until is None:
            return self._era
        if not self.passable:
            return None
        self._probing = True
        return self._era

    def settle(self, era: int, worked: bool | None) -> None:
        """How a call ended; None when its end tells nothing of the peer.

        A call of an earlier era says nothing about now: when the circuit opened, others were still under way.
        """
        if era != self._era:
            return
        self._probing = False
        if worked:
            self.failures = 0
            if self._open_until is not None:
                self._open_until, self._rest = None, self._limits.rest
                self._era += 1
        elif worked is False:
            self.failures += 1
            if self._open_until is not None or self.failures >= self._limits.failures:
                self._open_until = self._clock.now() + self._rest
                self._rest = min(self._rest * 2, self._limits.longest_rest)
                self._era += 1
