"""Bytes as text, and text as paragraphs."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence

from codin.memory.retrieval._document import Block, Document, Unreadable

__all__ = ["decoded", "paragraphs", "read_text"]

# The marks of UTF-32 begin like those of UTF-16, so they come first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOK = 8192
_STRANGE = 0.3  # of the letters: more that do not fit say that it is no text


def decoded(content: bytes) -> tuple[str, Sequence[str]]:
    """The text of a file with `\\n` at the ends of its lines, and what is to be said about it. Raises Unreadable."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in content[:_LOOK]:
        raise Unreadable("it is no text (it has null bytes)")
    notes: list[str] = []
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, errors="replace")
        strange = text.count("\ufffd")
        if strange > _STRANGE * len(text):
            raise Unreadable("it is no text in UTF-8, nor in UTF-16 with its mark") from None
        notes.append(f"not all of it is {encoding.removesuffix('-sig').upper()}: {strange} letters were replaced")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"), notes


def read_text(text: str) -> Document:
    """Plain text: paragraphs, which empty lines part."""
    return Document("", paragraphs(text.split("\n")))


def paragraphs(lines: Sequence[str], *, page: int = 0) -> Iterator[Block]:
    """Lines as paragraphs.

    Args:
        page: the page they are on; its lines have no numbers that anybody could look up.
    """
    begun: int | None = None
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            begun = number if begun is None else begun
        elif begun is not None:
            text = "\n".join(each.rstrip() for each in lines[begun:number])
            yield Block(text, page=page) if page else Block(text, (), begun + 1, number)
            begun = None
