"""What every back-end says that is used before it is opened, or after it is closed."""

from __future__ import annotations

from codin.errors import MemoryFailed

__all__ = ["not_open"]


def not_open() -> MemoryFailed:
    """The error, which says who opens it."""
    return MemoryFailed(
        "the memory is not open",
        hint="use it within `async with Memories(…)`, or give it to `codin.serve(…, memory=…)`",
    )
