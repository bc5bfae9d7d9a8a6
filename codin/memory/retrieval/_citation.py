"""Where a passage is from, for people."""

from __future__ import annotations

from codin.memory._protocol import Record
from codin.memory._records import Hit
from codin.memory.retrieval._chunks import context_of

__all__ = ["citation", "passage"]


def citation(found: Hit | Record) -> str:
    """Where a record is from, such as `guide.md, line 12-30` or `paper.pdf, page 3`; else its id."""
    record = found.record if isinstance(found, Hit) else found
    about = record.metadata
    # A name is whatever somebody has called a file; on a line of its own it could pass for something else.
    source = " ".join(str(about.get("source") or record.id).split())
    if page := about.get("page"):
        return f"{source}, page {page}"
    first, last = about.get("line_from"), about.get("line_to")
    if not first:
        return source
    return f"{source}, line {first}" if last in (None, first) else f"{source}, line {first}-{last}"


def passage(found: Hit | Record) -> str:
    """The text of a record without the headings in front of it: what stands in the source, and can be quoted."""
    about = found.metadata
    context = context_of(str(about.get("title", "")), str(about.get("heading", "")))
    return found.text.removeprefix(f"{context}\n\n")
