"""The regular expressions of JSON Schemas (ECMA 262), whoever wrote them: matched in time that is linear in the text.

Python's own engine goes back and tries again, and a short pattern can keep it busy for years. pydantic's is one of
finite automata, which has no look-around and no back-references.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import SchemaError, SchemaValidator, core_schema

__all__ = ["Pattern", "Patterns"]

_HEAVIEST = 250_000  # states of all the patterns of one schema; a millionth of a second each to compile
_SPACES = r"\t-\r \xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACES}
_ANY = r"[^\n\r\x{2028}\x{2029}]"
_ONE, _WIDE, _PROPERTY = 1, 10, 500  # states: of a letter, of a class in UTF-8, of all letters that there are
_ESCAPE = (
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u\{[0-9a-fA-F]+\}|\\u[0-9a-fA-F]{4}"
    r"|\\x[0-9a-fA-F]{2}|\\c[A-Za-z]|\\[pP]\{[^{}]*\}|\\."
)
_TOKEN = re.compile(
    rf"(?P<escape>{_ESCAPE})|(?P<set>\[\^?(?:\\.|[^\]\\])*\])"
    r"|(?P<group>\((?:\?(?:P?<[A-Za-z_]\w*>|:|[im]+[:)]))?(?!\?))"
    r"|(?P<times>[*+?]\??|\{(?P<least>[0-9]{1,6})(?P<to>,(?P<most>[0-9]{1,6})?)?\}\??)|(?P<plain>.)",
    re.DOTALL,
)
_ITEM = re.compile(rf"{_ESCAPE}|.", re.DOTALL)


class _Beyond(Exception):
    """What the engine cannot do."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    Attributes:
        weight: for each letter of a text, it takes this many steps at most.
    """

    weight: int
    _engine: SchemaValidator

    def found_in(self, text: str) -> bool:
        """Whether it fits anywhere in a text."""
        return self._engine.isinstance_python(text)


class Patterns:
    """The patterns of one schema, each compiled once."""

    def __init__(self) -> None:
        self._known: dict[str, Pattern | None] = {}
        self._left = _HEAVIEST

    @property
    def unknown(self) -> Sequence[str]:
        """Those that are beyond the engine."""
        return [text for text, pattern in self._known.items() if pattern is None]

    def get(self, text: str) -> Pattern | None:
        """The pattern; None for one that is beyond the engine, or too large.

        Raises:
            ValueError: it is none, to this engine and to Python's.
        """
        if text not in self._known:
            try:
                self._known[text] = self._compiled(text)
            except _Beyond:
                _check(text)
                self._known[text] = None
        return self._known[text]

    def _compiled(self, text: str) -> Pattern:
        reading = _Reading(text)
        if reading.states > self._left:
            raise _Beyond
        self._left -= reading.states
        schema = core_schema.str_schema(pattern=reading.made, regex_engine="rust-regex")
        try:
            return Pattern(reading.weight, SchemaValidator(schema))
        except SchemaError:
            raise _Beyond from None


def _check(text: str) -> None:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text[:100]!r} is no regular expression") from error


class _Reading:
    """A pattern in the words of the engine. Raises _Beyond.

    Attributes:
        states: how large it is, about.
        weight: how many of them a letter of a text can reach.
    """

    def __init__(self, text: str) -> None:
        self._sums = [0]  # the states of each group that is open, the outermost first
        self._last = 0  # those of what a repetition would repeat
        self._repeats = 0
        self._written = 0
        self._single = text.startswith("^") and "|" not in text
        after_repeat = False
        parts: list[str] = []
        for token in _TOKEN.finditer(text):
            if token["times"] is not None:
                if after_repeat or not parts:
                    raise _Beyond  # possessive to some, an error to others
                self._repeat(token)
                parts.append(token[0])
            else:
                parts.append(self._atom(token))
            after_repeat = token["times"] is not None
        self.made: str = "".join(parts)
        self.states: int = self._sums[0] + 1
        # Where all texts begin at one place and one thing only is repeated, a letter cannot be in two places of it.
        self.weight: int = self._written + 1 if self._single and self._repeats < 2 else self.states

    def _atom(self, token: re.Match[str]) -> str:
        if token["escape"]:
            made = _escape(token[0], inside=False)
            self._count(_PROPERTY if made[:2] in (r"\p", r"\P") else _WIDE if made.startswith("[") else _ONE)
            return made
        if token["set"]:
            made, states = _set(token[0])
            self._count(states)
            return made
        if token["group"]:
            return self._open(token[0])
        plain = token[0]
        if plain in "([\\":  # what has no end, or looks around
            raise _Beyond
        if plain == ")":
            if len(self._sums) == 1:
                raise _Beyond
            self._last = self._sums.pop()
            self._sums[-1] += self._last
        elif plain == ".":
            self._count(_WIDE)
            return _ANY
        elif plain not in "^$|":
            self._count(_ONE)
            return _letter(plain)
        return plain

    def _open(self, group: str) -> str:
        if group.endswith(")"):  # flags for what follows
            return group
        self._sums.append(_ONE)
        return group if group[1:2] == "?" and "<" not in group else "(?:"  # nobody asks what a group has found

    def _count(self, states: int) -> None:
        self._last = states
        self._sums[-1] += states
        self._written += states

    def _repeat(self, token: re.Match[str]) -> None:
        self._repeats += 1
        times = int(token["most"] or token["least"] or 1) + (token["to"] == ",")
        self._sums[-1] += self._last * (max(times, 1) - 1) + _ONE
        self._last *= max(times, 1)


def _escape(text: str, *, inside: bool) -> str:
    """An escape in the words of the engine."""
    kind = text[1]
    if len(text) == 12:  # two halves of one letter
        return f"\\x{{{ord(bytes.fromhex(text[2:6] + text[8:]).decode('utf-16-be')):x}}}"
    if kind in "ux" and len(text) > 2:
        return f"\\x{{{text[2:].strip('{}')}}}"
    if kind == "c" and len(text) > 2:
        return f"\\x{{{ord(text[2]) % 32:x}}}"
    if (kind in "pP" and len(text) > 2) or kind in "tnrfv":
        return text
    if kind.lower() in _CLASSES:
        return f"[{'^' if kind.isupper() else ''}{_CLASSES[kind.lower()]}]"
    if kind in "bB" and not inside:
        return rf"(?-u:\{kind})"
    if kind in "AZz" and not inside:  # not of ECMA, but what everybody means by it
        return r"\A" if kind == "A" else r"\z"
    if text in (r"\0", r"\b"):
        return rf"\x{'00' if kind == '0' else '08'}"
    if kind.isalnum():
        raise _Beyond  # a back-reference, or nothing that is known
    return _letter(kind)


def _set(text: str) -> tuple[str, int]:
    """A class in the words of the engine, where other signs have a meaning within it; and its states."""
    negated = text.startswith("[^")
    items = _ITEM.findall(text[2 if negated else 1 : -1])
    if not items:
        return (r"[\s\S]" if negated else r"[^\s\S]"), _WIDE
    made: list[str] = []
    at = 0
    while at < len(items):
        first, dash, last = [*items[at : at + 3], "", ""][:3]
        is_range = dash == "-" and last and _is_letter(first) and _is_letter(last)
        made.append(f"{_inside(first)}-{_inside(last)}" if is_range else _inside(first))
        at += 3 if is_range else 1
    wide = negated or any(not item.isascii() or item[0] == "\\" for item in items)
    heavy = sum(item[:2] in (r"\p", r"\P") for item in items)
    states = (_WIDE + 4 * len(items) if wide else _ONE) + heavy * _PROPERTY
    return f"[{'^' if negated else ''}{''.join(made)}]", states


def _inside(item: str) -> str:
    return _escape(item, inside=True) if item[0] == "\\" and len(item) > 1 else _letter(item)


def _is_letter(item: str) -> bool:
    return not _inside(item).startswith(("[", r"\p", r"\P"))


def _letter(letter: str) -> str:
    return letter if letter.isalnum() else f"\\x{{{ord(letter):x}}}"
