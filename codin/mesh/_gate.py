"""What stands before one peer: its circuit breaker, its bulkhead, and what was measured of its answers."""

from __future__ import annotations

from codin import a2a
from codin.errors import CircuitOpen, PeerBusy, TransportError
from codin.mesh._breaker import Breaker
from codin.mesh._clock import Clock
from codin.mesh._limits import MeshLimits

__all__ = ["Gate", "Passage"]

_WEIGHT = 0.2  # of the newest answer in the average


class Gate:
    """Lets messages pass, within bounds.

    Attributes:
        in_flight: messages under way.
        latency: seconds to an answer, the newer ones counting more; None before the first.
    """

    __slots__ = ("_limits", "_name", "breaker", "clock", "in_flight", "latency")

    def __init__(self, name: str, limits: MeshLimits, clock: Clock) -> None:
        self._name = name
        self._limits = limits
        self.clock = clock
        self.breaker = Breaker(limits, clock)
        self.in_flight: int = 0
        self.latency: float | None = None

    @property
    def passable(self) -> bool:
        """Whether `enter` would let a message pass."""
        return self.in_flight < self._limits.in_flight and self.breaker.passable

    def enter(self) -> Passage:
        """Let a message pass; `leave` must follow.

        Raises:
            PeerBusy: as many as may be are under way.
            CircuitOpen: the peer is left alone for now.
        """
        passage = self.admit()
        if passage is not None:
            return passage
        if self.in_flight >= self._limits.in_flight:
            raise PeerBusy(
                f"{self.in_flight} messages to {self._name!r} are under way, and no more may be.",
                hint="Send fewer at once, or raise MeshLimits.in_flight.",
            )
        raise CircuitOpen(
            f"{self._name!r} failed {self.breaker.failures} times in a row and is left alone for now.",
            hint=f"It is tried again in {self.breaker.rest:.1f} s.",
        )

    def admit(self) -> Passage | None:
        """The same; None when the message may not pass."""
        if self.in_flight >= self._limits.in_flight or (era := self.breaker.admit()) is None:
            return None
        self.in_flight += 1
        return Passage(self, era, self.clock.now())


class Passage:
    """One message on its way, from `Gate.enter` to `leave`."""

    __slots__ = ("_begun", "_era", "_gate", "_heard")

    def __init__(self, gate: Gate, era: int, begun: float) -> None:
        self._gate = gate
        self._era = era
        self._begun = begun
        self._heard: bool = False

    def hear(self) -> None:
        """The peer answers: all of it, or the first event of a stream."""
        if not self._heard:
            self._heard = True
            gate = self._gate
            gate.breaker.settle(self._era, True)
            seconds = gate.clock.now() - self._begun
            gate.latency = seconds if gate.latency is None else gate.latency + _WEIGHT * (seconds - gate.latency)

    def leave(self, error: BaseException | None = None) -> None:
        """It is over; what went wrong tells whether the peer is at fault."""
        worked = error is None or _worked(error)
        if worked:
            self.hear()
        else:
            self._gate.breaker.settle(self._era, worked)
        self._gate.in_flight -= 1

    def withdraw(self) -> None:
        """It is over before anything was sent."""
        self._gate.breaker.settle(self._era, None)
        self._gate.in_flight -= 1


def _worked(error: BaseException) -> bool | None:
    if isinstance(error, (TransportError, a2a.InternalError)):
        return False
    if isinstance(error, a2a.A2AError) and not isinstance(error, a2a.Overloaded):
        return True  # a refusal is an answer
    return None  # busy, or our own doing: a wrong argument, a cancellation
