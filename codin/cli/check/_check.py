"""What a check is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from codin.cli.check._bench import Bench

__all__ = ["HTTP", "Check", "check"]

Run: TypeAlias = Callable[[Bench], Awaitable[None]]

ALL = ("JSONRPC", "HTTP+JSON", "GRPC")
HTTP = ("JSONRPC", "HTTP+JSON")


@dataclass(frozen=True)
class Check:
    """One thing to find out.

    Attributes:
        name: the function's.
        rules: ids of the requirements that it proves; the first says the group.
        title: what holds when it passes.
        bindings: in which it is asked; none is once for the whole agent.
        needs: a capability on the card without which there is nothing to find out.
        lacks: a capability on the card with which there is nothing to find out.
    """

    name: str
    rules: tuple[str, ...]
    title: str
    run: Run
    bindings: tuple[str, ...] = ALL
    needs: str = ""
    lacks: str = ""

    @property
    def group(self) -> str:
        return self.rules[0].partition("-")[0]

    def answers_to(self, word: str) -> bool:
        """Whether the word is its name, or in capitals its group or one of its rules."""
        return word in {self.name, self.group, *self.rules}


def check(*rules: str, bindings: tuple[str, ...] = ALL, needs: str = "", lacks: str = "") -> Callable[[Run], Check]:
    """Make a check of a function, whose docstring is the title."""

    def made(run: Run) -> Check:
        name = getattr(run, "__name__", "").replace("_", "-")
        title = (run.__doc__ or "").partition("\n")[0]
        return Check(name, rules, title, run, bindings, needs, lacks)

    return made
