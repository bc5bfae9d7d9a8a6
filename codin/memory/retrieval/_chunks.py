"""Blocks as chunks: pieces of a size that a search is good at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from codin.memory.retrieval._document import Block

__all__ = ["Chunk", "chunks_of", "context_of"]

TARGET = 1_200  # letters
MOST = 2_000
_CONTEXT = 300  # of them for where it stands
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]*\s|[。！？]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    Args:
        text: the context and the passage, with an empty line between.
    """

    text: str
    heading: str
    line_from: int
    line_to: int
    page: int


def context_of(title: str, heading: str) -> str:
    """Where a passage stands, as it is put in front of it."""
    under = (
        heading if heading == title or heading.startswith(f"{title} > ") else " > ".join(filter(None, [title, heading]))
    )
    return under if len(under) <= _CONTEXT else f"{under[: _CONTEXT - 1]}…"


def chunks_of(blocks: Iterable[Block], title: str) -> Iterator[Chunk]:
    """Chunks of about 1,200 letters and 2,000 at most. None goes over a heading, or from one page to the next."""
    for block in _joined(blocks, MOST - _CONTEXT - 2):
        heading = " > ".join(block.headings)
        text = f"{context_of(title, heading)}\n\n{block.text}"
        yield Chunk(text, heading, block.line_from, block.line_to, block.page)


def _joined(blocks: Iterable[Block], most: int) -> Iterator[Block]:
    """Small neighbours as one block, and large ones as several. A heading is one where nothing stands below it."""
    last: Block | None = None
    for block in (piece for whole in blocks for piece in _cut(whole, most)):
        if last is not None and _belong(last, block):
            last = replace(last, text=f"{last.text}\n\n{block.text}", line_to=block.line_to)
            continue
        if last is not None and not (last.is_heading and _is_below(block, last)):
            yield last
        last = block
    if last is not None:
        yield last


def _belong(one: Block, other: Block) -> bool:
    near = one.headings == other.headings and one.page == other.page and not one.is_heading and not other.is_heading
    return near and len(one.text) + len(other.text) + 2 <= TARGET


def _is_below(block: Block, heading: Block) -> bool:
    depth = len(heading.headings) + block.is_heading
    return len(block.headings) >= depth and block.headings[: len(heading.headings)] == heading.headings


def _cut(block: Block, most: int) -> Iterator[Block]:
    """A block that is too long, at the ends of lines; a line that is too long, at the end of a sentence or a word."""
    if len(block.text) <= most:
        yield block
        return
    lines = block.text.split("\n")
    # Where the text is not as it stands in the source, nobody knows the line of a piece.
    numbered = block.line_to - block.line_from + 1 == len(lines)
    start = 0
    while start < len(lines):
        end, length = start + 1, len(lines[start])
        while end < len(lines) and length + 1 + len(lines[end]) <= TARGET:
            length += 1 + len(lines[end])
            end += 1
        place = {"line_from": block.line_from + start, "line_to": block.line_from + end - 1} if numbered else {}
        for text in _folded("\n".join(lines[start:end]), most):
            yield replace(block, text=text, **place)
        start = end


def _folded(text: str, most: int) -> Iterator[str]:
    at = 0
    while len(text) - at > most:
        stops = [found.end() for found in _SENTENCE.finditer(text, at + TARGET // 2, at + TARGET)]
        space = text.rfind(" ", at + TARGET // 2, at + TARGET)
        end = stops[-1] if stops else space + 1 if space >= 0 else at + TARGET
        if piece := text[at:end].strip():
            yield piece
        at = end
    if piece := text[at:].strip():
        yield piece
