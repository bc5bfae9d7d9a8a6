"""A figure: two sides measured in the same run, and what the project promised about them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["peer/ours", "ours/peer"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one round saw on one side: its best and its middle value."""

    best: float
    median: float


@dataclass(frozen=True, slots=True)
class Bound:
    """A promise about the ratio, or about our own value alone.

    Example: `Bound("ratio", ">=", 18)`, `Bound("ours", "<=", 40)`.
    """

    subject: Literal["ratio", "ours"]
    sign: Literal["<=", ">="]
    limit: float

    def met(self, ours: float, ratio: float) -> bool:
        value = ratio if self.subject == "ratio" else ours
        return value <= self.limit if self.sign == "<=" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `ratio` is None when a side could not be measured; `note` then says why."""

    name: str
    ours: float | None
    peer: float | None
    ratio: float | None
    unit: str
    note: str = ""
    bound: str = ""
    met: bool | None = None

    def to_dict(self) -> dict[str, object]:
        row: dict[str, object] = {
            "name": self.name,
            "ours": _rounded(self.ours),
            "peer": _rounded(self.peer),
            "ratio": _rounded(self.ratio),
            "unit": self.unit,
        }
        if self.note:
            row["note"] = self.note
        if self.bound:
            row["bound"] = self.bound
            row["met"] = self.met
        return row


def compare(
    name: str,
    unit: str,
    ours: Sequence[Reading],
    peer: Sequence[Reading],
    *,
    direction: Direction = "peer/ours",
    higher_is_better: bool = False,
    bound: Bound | None = None,
    note: str = "",
) -> Figure:
    """Put the rounds of two sides into one figure.

    The ratio is that of the two best values: other work on the machine can only make a side look worse. The note
    carries the median over rounds of the ratio of medians, which shows how far the noise went.

    Args:
        direction: Which side is divided by which. For a cost, `peer/ours` says how many times cheaper ours is.
        higher_is_better: True for rates; the best value is then the largest.
    """
    pick = max if higher_is_better else min
    our_best, peer_best = pick(r.best for r in ours), pick(r.best for r in peer)
    ratio = _divide(direction, our_best, peer_best)
    middle = statistics.median(_divide(direction, o.median, p.median) for o, p in zip(ours, peer, strict=True))
    text = f"{direction}; median ratio {middle:.2f} over {len(ours)} round{'s' * (len(ours) > 1)}"
    return Figure(
        name,
        our_best,
        peer_best,
        ratio,
        unit,
        note=f"{text}; {note}" if note else text,
        bound=_spell(bound, direction) if bound else "",
        met=bound.met(our_best, ratio) if bound else None,
    )


def unmeasured(name: str, reason: str) -> Figure:
    """The line of a benchmark that could not run here."""
    return Figure(name, None, None, None, "", note=f"not measured: {reason}")


def _spell(bound: Bound, direction: Direction) -> str:
    subject = direction if bound.subject == "ratio" else "ours"
    return f"{subject} {bound.sign} {bound.limit:g}"


def _divide(direction: Direction, ours: float, peer: float) -> float:
    top, bottom = (peer, ours) if direction == "peer/ours" else (ours, peer)
    return top / bottom if bottom else float("inf")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
