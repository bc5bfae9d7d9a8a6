"""What a reader makes of a file: pieces that belong together, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Block", "Document", "Unreadable"]


class Unreadable(Exception):
    """A file is not read; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a list, a function: what is kept together where it fits.

    Args:
        headings: those above it, the outermost first.
        line_from: where it begins in the source, from 1; 0 where there are no lines.
        page: from 1; 0 where there are none.
        is_heading: it is the last of its headings itself.
    """

    text: str
    headings: tuple[str, ...] = ()
    line_from: int = 0
    line_to: int = 0
    page: int = 0
    is_heading: bool = False


@dataclass(slots=True)
class Document:
    """A file that was read.

    Args:
        title: what it calls itself; "" when it does not.
        notes: what a person should know about how it was read.
    """

    title: str
    blocks: Iterable[Block]
    notes: Sequence[str] = ()
