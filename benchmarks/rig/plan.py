"""How long a run measures, and how a benchmark says that it cannot run here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class Unavailable(Exception):
    """Something this benchmark needs is missing on this machine; the message says what and how to get it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, and how long a side is measured in each."""

    rounds: int = 5
    seconds: float = 2.0
    quick: bool = False


def interleave(plan: Plan, label: str, sides: Sequence[Callable[[], T]]) -> list[list[T]]:
    """Run every side once per round, taking turns, and return the readings side by side.

    Neighbours in time meet the same noise, so the ratio of one round is fairer than that of two separate runs. Every
    second round goes backwards: no side is always the one that comes after a heavy neighbour.
    """
    readings: list[list[T]] = [[] for _ in sides]
    for number in range(plan.rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for index in order:
            _progress(f"{label}: round {number + 1} of {plan.rounds}, side {index + 1} of {len(sides)}")
            readings[index].append(sides[index]())
    return readings


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def clear_progress() -> None:
    """Take the progress line away before something is printed."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
