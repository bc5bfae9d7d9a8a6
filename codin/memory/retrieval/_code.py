"""Source code by what it defines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from codin.memory.retrieval._document import Block, Document

__all__ = ["read_code", "read_python"]

_TOGETHER = 1_200  # letters of a class that is kept in one piece
_CLOSING = re.compile(r"[\])}]|end\b|else\b|fi\b|done\b")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def read_python(text: str) -> Document:
    """Python: the module's own lines, its functions, its classes; a long class by its methods."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return read_code(text)  # of another time, a template, or made to break a parser
    lines = text.split("\n")
    return Document("", _pieces(tree.body, lines, 1, len(lines), ()))


def _pieces(
    body: Sequence[ast.stmt], lines: Sequence[str], start: int, end: int, names: tuple[str, ...]
) -> Iterator[Block]:
    """The lines from `start` to `end`, cut before and behind every definition of `body`."""
    for statement in body:
        if not isinstance(statement, _Definition):
            continue
        first = min([statement.lineno, *(each.lineno for each in statement.decorator_list)])
        while first - 1 > start and lines[first - 2].lstrip().startswith("#"):
            first -= 1  # what is said above a definition belongs to it
        last = statement.end_lineno or statement.lineno
        yield from _block(lines, start, first - 1, names)
        inner = (*names, statement.name)
        # The depth ends with what a parser takes, and a heading of so many names helps nobody.
        if isinstance(statement, ast.ClassDef) and len(inner) < 8 and _length(lines, first, last) > _TOGETHER:
            yield from _pieces(statement.body, lines, first, last, inner)
        else:
            yield from _block(lines, first, last, inner)
        start = max(start, last + 1)
    yield from _block(lines, start, end, names)


def _length(lines: Sequence[str], start: int, end: int) -> int:
    return sum(len(line) + 1 for line in lines[start - 1 : end])


def _block(lines: Sequence[str], start: int, end: int, names: tuple[str, ...] = ()) -> Iterator[Block]:
    """The lines from `start` to `end`, both of them, without empty ones around."""
    while start <= end and not lines[start - 1].strip():
        start += 1
    while end >= start and not lines[end - 1].strip():
        end -= 1
    if start <= end:
        yield Block("\n".join(line.rstrip() for line in lines[start - 1 : end]), names, start, end)


def read_code(text: str) -> Document:
    """Any other language: what begins at the margin behind an empty line begins another piece."""
    return Document("", _margins(text.split("\n")))


def _margins(lines: Sequence[str]) -> Iterator[Block]:
    start, empty = 1, False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            empty = True
            continue
        if empty and not line[0].isspace() and not _CLOSING.match(line):
            yield from _block(lines, start, number - 1)
            start = number
        empty = False
    yield from _block(lines, start, len(lines))
