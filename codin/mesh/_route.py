"""Which one of several peers gets a message."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from codin.mesh._breaker import Circuit
from codin.mesh._directory import Found

__all__ = ["PeerState", "RandomOfTwo", "Route", "first_healthy", "least_loaded", "lowest_latency"]


class PeerState(NamedTuple):
    """What a mesh knows of one peer, at one moment.

    Attributes:
        found: as the directories describe it.
        circuit: closed: messages pass; open: none does, for a while; half-open: one may, and decides.
        failures: in a row.
        in_flight: messages under way.
        latency: seconds to an answer, the newer ones counting more; None before the first.
        connected: whether its card has been read.
    """

    found: Found
    circuit: Circuit
    failures: int
    in_flight: int
    latency: float | None
    connected: bool

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def url(self) -> str:
        """Where its card is."""
        return self.found.url


class Route(Protocol):
    """Chooses. A function does; so does an object with state."""

    def __call__(self, candidates: Sequence[PeerState], /) -> PeerState:
        """One of the candidates.

        Args:
            candidates: two or more, in the directory's order: all fit what was asked for, would take a message now, and
                are as healthy as the healthiest of those.
        """
        ...


def first_healthy(candidates: Sequence[PeerState], /) -> PeerState:
    """The first; the others only when that one cannot."""
    return candidates[0]


def least_loaded(candidates: Sequence[PeerState], /) -> PeerState:
    """The one with the fewest messages under way from here; among equals, the one that says it has least to do."""
    return min(candidates, key=_load)


def lowest_latency(candidates: Sequence[PeerState], /) -> PeerState:
    """The one that answered fastest; one that was never asked goes first, so that it is known."""
    return min(candidates, key=_latency)


class RandomOfTwo:
    """Of two at random, the less loaded. Evens out without sending everybody to the same one.

    Source: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()

    def __call__(self, candidates: Sequence[PeerState], /) -> PeerState:
        draw = self._random.random
        first = int(draw() * len(candidates))
        second = int(draw() * (len(candidates) - 1))
        one, other = candidates[first], candidates[second if second < first else second + 1]
        return one if _load(one) <= _load(other) else other


def _load(state: PeerState) -> tuple[int, float]:
    return state.in_flight, state.found.load or 0.0


def _latency(state: PeerState) -> tuple[float, int]:
    latency = state.found.latency if state.latency is None else state.latency
    return latency or 0.0, state.in_flight
