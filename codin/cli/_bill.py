"""What a task has cost, for eyes."""

from __future__ import annotations

from codin.task._ledger import bill_in

__all__ = ["bill_line"]


def bill_line(metadata: object) -> str:
    """`used 310 input tokens, 0.02 money`, from the metadata of a task or a status; "" when they have no bill."""
    counts = [f"{_number(count)} {name.replace('_', ' ')}" for name, count in bill_in(metadata).items()]
    return f"used {', '.join(counts)}" if counts else ""


def _number(count: float) -> str:
    return str(count) if isinstance(count, int) else f"{count:.6g}"
