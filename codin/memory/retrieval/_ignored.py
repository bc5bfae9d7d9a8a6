"""What a `.gitignore` leaves out: the part of its language that people use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import NamedTuple

__all__ = ["Rule", "is_ignored", "rules_of"]

_MOST = 1_000  # rules of one file
_LONGEST = 500
_STARS = 2  # `**` in one rule: with more of them, looking takes ever longer


class Rule(NamedTuple):
    """One line.

    Args:
        folder: the parts of the folder that the file is in.
        parts: of the pattern, which begins in that folder.
        keeps: it takes back what a line above has left out.
        folders: it is about folders alone.
    """

    folder: tuple[str, ...]
    parts: tuple[str, ...]
    keeps: bool
    folders: bool


def rules_of(text: str, folder: tuple[str, ...]) -> Sequence[Rule]:
    """The rules of a `.gitignore` in a folder."""
    return list(islice(_rules(text, folder), _MOST))


def _rules(text: str, folder: tuple[str, ...]) -> Iterator[Rule]:
    for line in map(str.rstrip, text.splitlines()):
        if not line or line.startswith("#") or len(line) > _LONGEST:
            continue
        pattern = line.removeprefix("!").removeprefix("\\")
        parts = tuple(part for part in pattern.split("/") if part)
        if "/" not in pattern.rstrip("/"):
            parts = ("**", *parts)  # a name alone, wherever it is
        if 0 < parts.count("**") <= _STARS or "**" not in parts:
            yield Rule(folder, parts, line.startswith("!"), line.endswith("/"))


def is_ignored(rules: Sequence[Rule], path: tuple[str, ...], *, is_folder: bool) -> bool:
    """Whether a path is left out; the last rule that fits decides."""
    for rule in reversed(rules):
        inside = path[: len(rule.folder)] == rule.folder and (is_folder or not rule.folders)
        if inside and _fits(rule.parts, path[len(rule.folder) :]):
            return not rule.keeps
    return False


def _fits(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        if len(pattern) == 1:
            return True  # all that is below
        return any(_fits(pattern[1:], path[at:]) for at in range(len(path)))
    return fnmatchcase(path[0], pattern[0]) and _fits(pattern[1:], path[1:])
