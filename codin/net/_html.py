"""HTML as it comes: its texts and tags, in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Token", "html_tokens"]

_TAG = 4000  # letters of a tag that are looked at
_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9]{0,20}")
_SILENT = {"script", "style", "noscript", "template", "svg", "textarea", "iframe"}


class Token(NamedTuple):
    """A piece of text, or a tag.

    Args:
        kind: "text", or the tag's name in lower case, with / in front when it closes.
        content: the text as it stands there, or what stands in the tag behind its name.
        at: where it begins.
    """

    kind: str
    content: str
    at: int


def html_tokens(source: str) -> Iterator[Token]:
    """The texts and tags of HTML; without comments, and what is no text for a reader.

    Its time grows with the length and nothing else: the parser of the standard library takes minutes for pages that
    are made for that.
    """
    at, end = 0, len(source)
    while at < end:
        opens = source.find("<", at)
        if opens < 0:
            opens = end
        if opens > at:
            yield Token("text", source[at:opens], at)
        if opens == end:
            return
        if source.startswith("<!--", opens):
            at = _after(source, "-->", opens + 4)
            continue
        found = _NAME.match(source, opens + 1)
        if found is None and source[opens + 1 : opens + 2] not in ("!", "?", "/"):
            yield Token("text", "<", opens)
            at = opens + 1
            continue
        at = _after(source, ">", opens)
        if found is not None:
            name = found[0].lower()
            yield Token(name, source[found.end() : min(at - 1, found.end() + _TAG)], opens)
            if name in _SILENT:
                close = re.compile(f"</{name}", re.IGNORECASE).search(source, at)
                at = close.start() if close else end


def _after(source: str, mark: str, start: int) -> int:
    """Where it goes on; a mark that never comes ends it all, so that nobody looks for it twice."""
    found = source.find(mark, start)
    return len(source) if found < 0 else found + len(mark)
