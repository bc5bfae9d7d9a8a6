"""Markdown by its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from codin.memory.retrieval._document import Block, Document

__all__ = ["read_markdown"]

_MARKS = re.compile(r"[`*]+|!?\[([^\[\]]{1,100})\]\([^()]{0,200}\)")
_LONGEST = 200
_MATTER = 100  # lines that what stands between `---` at the top may have


@lru_cache(1)
def _parser() -> MarkdownIt:
    """Blocks alone: the marks within a line are of no use here, and cost the most.

    Definitions of links stay text. Looking for where one ends makes the time grow with the square of the length.
    """
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def read_markdown(text: str) -> Document:
    """Sections by headings; lists, tables and blocks of code as they stand."""
    lines = text.split("\n")
    title = _take_matter(lines)
    tokens = [token for token in _parser().parse("\n".join(lines)) if token.level == 0 or token.type == "inline"]
    first = next((tokens[at + 1] for at, token in enumerate(tokens) if token.type == "heading_open"), None)
    return Document(title or (_plain(first.content) if first else ""), _blocks(tokens, lines))


def _take_matter(lines: list[str]) -> str:
    """Blank what stands between `---` at the top, so that lines keep their numbers. Gives the title in it."""
    if lines[0].rstrip() != "---":
        return ""
    end = next((at for at, line in enumerate(lines[1:_MATTER], 1) if line.rstrip() in ("---", "...")), None)
    if end is None:
        return ""
    named = next((line for line in lines[1:end] if line.startswith("title:")), "")
    lines[: end + 1] = [""] * (end + 1)
    return named.removeprefix("title:").strip().strip("\"'")[:_LONGEST]


def _blocks(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[Block]:
    headings: list[tuple[int, str]] = []
    for at, token in enumerate(tokens):
        if token.map is None or token.level or token.nesting < 0:
            continue
        start, end = token.map
        while end > start and not lines[end - 1].strip():  # a list claims the empty lines behind it
            end -= 1
        if token.type == "heading_open":
            depth = int(token.tag[1])
            headings = [one for one in headings if one[0] < depth]
            headings.append((depth, _plain(tokens[at + 1].content)))
        if end > start and not _is_silent(token):
            body = "\n".join(line.rstrip() for line in lines[start:end])
            above = tuple(text for _, text in headings)
            yield Block(body, above, start + 1, end, is_heading=token.type == "heading_open")


def _is_silent(token: Token) -> bool:
    """What a reader does not see: rules, and comments."""
    return token.type == "hr" or (token.type == "html_block" and token.content.lstrip().startswith("<!--"))


def _plain(heading: str) -> str:
    return " ".join(_MARKS.sub(r"\1", heading[:_LONGEST]).split())
