"""HTML by its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from codin.memory.retrieval._document import Block, Document
from codin.net._html import Token, html_tokens

__all__ = ["read_html"]

_LONGEST = 200
# Tags that stand within a line; whatever is none of these begins another one.
_WITHIN = frozenset(
    (
        *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img", "ins"),
        *("kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub"),
        *("sup", "time", "tt", "u", "var", "wbr"),
    )
)
_SPACE = re.compile(r"\s+")


def read_html(source: str) -> Document:
    """What a visitor would read, by headings."""
    tokens = iter(html_tokens(source))
    title, first = "", ""
    for token in tokens:
        if token.kind == "title":
            title = _flat("".join(each.content for each in _until(tokens, "/title")))
            break
        if token.kind in ("h1", "body"):
            break
    for token in tokens if not title else ():
        if token.kind == "h1":
            first = _flat("".join(each.content for each in _until(tokens, "/h1") if each.kind == "text"))
            break
    return Document((title or first)[:_LONGEST], _Page(source).blocks())


def _until(tokens: Iterator[Token], kind: str) -> Iterator[Token]:
    for token in tokens:
        if token.kind == kind:
            return
        yield token


def _flat(text: str) -> str:
    return _SPACE.sub(" ", unescape(text)).strip()


class _Page:
    """A page on its way into blocks."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._headings: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        self._from = self._to = 1
        self._line, self._counted = 1, 0

    def blocks(self) -> Iterator[Block]:
        kept = titled = False
        for kind, content, at in html_tokens(self._source):
            name = kind.removeprefix("/")
            if kind == "text":
                self._take(unescape(content) if kept else _SPACE.sub(" ", unescape(content)), content, at, titled)
            elif name == "br" and self._pieces:
                self._pieces.append("\n")
            elif name not in _WITHIN:
                if kind[0] == "/" and len(name) == 2 and name[0] == "h" and name[1].isdigit():
                    yield from self._head(int(name[1]))
                else:
                    yield from self._flushed()
                kept = kind == "pre" if name == "pre" else kept
                titled = kind == "title" if name == "title" else titled
        yield from self._flushed()

    def _take(self, text: str, content: str, at: int, titled: bool) -> None:
        if titled or (not text.strip() and not self._pieces):
            return
        if not self._pieces:
            self._from = self._line_of(at + len(content) - len(content.lstrip()))
        self._to = self._line_of(at + len(content.rstrip()))
        self._pieces.append(text)

    def _line_of(self, at: int) -> int:
        """Places only ever grow, so every letter is looked at once."""
        if at > self._counted:
            self._line += self._source.count("\n", self._counted, at)
            self._counted = at
        return self._line

    def _head(self, depth: int) -> Iterator[Block]:
        text = _flat("".join(self._pieces))[:_LONGEST]
        self._pieces.clear()
        if text:
            self._headings = [*(one for one in self._headings if one[0] < depth), (depth, text)]
            yield Block(text, self._above, self._from, self._to, is_heading=True)

    @property
    def _above(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._headings)

    def _flushed(self) -> Iterator[Block]:
        lines = [line.rstrip() for line in "".join(self._pieces).strip("\n").split("\n")]
        self._pieces.clear()
        if text := "\n".join(lines).strip():
            yield Block(text, self._above, self._from, self._to)
