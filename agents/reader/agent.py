"""Reads a text: takes a file, gives its sentences and where each of them stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from codin import a2a
from codin.agent import Reject, agent

LARGEST = 2_000_000  # bytes; about five novels

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)]|>)[ \t]+")
# Tables, comments, link targets, pictures, rules: nothing that can be quoted.
_NO_PROSE = re.compile(r"\s*(?:\||<!--|\[[^\]]+\]:|!\[|(?:[-*_=]\s*){3,}$)")

_STOP = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|$)|[。！？]+[」』”’]*")
# A full stop behind one of these ends no sentence; behind one of the second kind, none before a number.
_BEFORE_NAMES = frozenset(
    ["mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "gen", "col", "capt", "lt", "rev", "mt", "vs", "e.g", "i.e"]
)
_BEFORE_NUMBERS = frozenset(["no", "nos", "fig", "figs", "vol", "p", "pp", "ch", "sec", "art", "ca", "c", "approx"])


class Sentence(BaseModel):
    """A sentence as it stands in the document, letter for letter.

    Attributes:
        number: its place among all sentences of the document, from 1.
        section: the heading above it, "" when there is none.
        line: the line on which it begins, from 1.
        start, end: its place in the text, in characters.
    """

    number: int
    section: str
    line: int
    start: int
    end: int
    text: str


class Document(BaseModel):
    """What was read.

    Attributes:
        title: the first heading, or the name of the file.
        sections: the headings that have sentences below them.
    """

    title: str
    sections: list[str]
    sentences: list[Sentence]


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together: a paragraph, an item of a list, or a heading."""

    start: int
    end: int
    line: int
    heading: str | None = None


@agent(name="reader", tags=["documents"])
def read(document: a2a.Part) -> Document:
    """Read a Markdown or plain text file into its sentences, each with its section, number and line."""
    name = document.filename or "the document"
    text = _text_of(document, name)
    title, sections, sentences = "", dict[str, None](), list[Sentence]()
    section, line, counted = "", 1, 0
    for block in _blocks(text):
        if block.heading is not None:
            section = block.heading
            title = title or section
            continue
        for start, end in _split(text, block.start, block.end):
            line += text.count("\n", counted, start)
            counted = start
            place = Sentence(
                number=len(sentences) + 1, section=section, line=line, start=start, end=end, text=text[start:end]
            )
            sentences.append(place)
            if section:
                sections[section] = None
    if not sentences:
        raise Reject(f"{name} has no sentences to read.")
    return Document(title=title or name, sections=list(sections), sentences=sentences)


def _text_of(document: a2a.Part, name: str) -> str:
    if document.raw is None:
        raise Reject("The reader takes the file itself, not its address.")
    if not document.raw.strip():
        raise Reject(f"{name} is empty.")
    if len(document.raw) > LARGEST:
        raise Reject(f"{name} has {len(document.raw):,} bytes; the reader takes {LARGEST:,} at most.")
    try:
        text = document.raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Reject(f"{name} is not text in UTF-8 (byte {error.start:,} does not fit).") from None
    if "\0" in text:
        raise Reject(f"{name} is not text: it has null bytes.")
    return text


# -- blocks ------------------------------------------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[_Block]:
    """The paragraphs, items and headings of a text, in order."""
    lines = list(_lines(text))
    plain = not any(_HEADING.match(line) or _UNDERLINE.match(line) for _, line, _ in lines)
    open_lines: list[tuple[int, str, int]] = []

    def close() -> Iterator[_Block]:
        if open_lines:
            (start, first, number), (last_start, last, _) = open_lines[0], open_lines[-1]
            # A text without marks of headings has them all the same: short lines of their own without a full stop.
            heading = first.strip() if plain and len(open_lines) == 1 and _looks_like_heading(first) else None
            yield _Block(start, last_start + len(last), number, heading)
            open_lines.clear()

    for start, line, number in lines:
        heading = _HEADING.match(line)
        if heading is not None:
            yield from close()
            yield _Block(start, start + len(line), number, heading[1])
        elif _UNDERLINE.match(line) and len(open_lines) == 1:
            above, title, number_above = open_lines.pop()
            yield _Block(above, start + len(line), number_above, title.strip())
        elif not line.strip() or _NO_PROSE.match(line):
            yield from close()
        else:
            item = _ITEM.match(line)
            if item is not None:
                yield from close()
            mark = item.end() if item is not None else 0
            open_lines.append((start + mark, line[mark:], number))
    yield from close()


def _lines(text: str) -> Iterator[tuple[int, str, int]]:
    """The lines outside of code and of what stands between `---` at the top: (place, line without its end, number)."""
    place, fence = 0, ""
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.rstrip()
        mark = _FENCE.match(line)
        if number == 1 and line == "---" and "\n---" in text:
            fence = "---"
        elif fence:
            if line.strip() == "---" == fence or (mark is not None and mark[1] == fence):
                fence = ""
                line = ""
        elif mark is not None:
            fence = mark[1]
        yield place, "" if fence else line, number
        place += len(whole) + 1


def _looks_like_heading(line: str) -> bool:
    line = line.strip()
    return len(line) <= 60 and line[-1] not in ".!?…:;,。！？”\"'" and not line[0].islower() and line[0].isalnum()


# -- sentences ---------------------------------------------------------------------------------------------------------


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the sentences of a block begin and end."""
    for stop in _STOP.finditer(text, start, end):
        if _ends_here(text, stop, end):
            yield from _trimmed(text, start, stop.end())
            start = stop.end()
    yield from _trimmed(text, start, end)


def _ends_here(text: str, stop: re.Match[str], end: int) -> bool:
    following = text[stop.end() : min(end, stop.end() + 40)].lstrip().lstrip("\"'“‘«([*_")[:1]
    if following.islower():
        return False
    if stop[0] != ".":
        return True
    before = text[max(0, stop.start() - 12) : stop.start()].split()
    word = before[-1].lstrip("\"'“‘«([") if before else ""
    if len(word) == 1 and word.isupper() and word != "I":  # the initial of a name
        return False
    if word.lower() in _BEFORE_NUMBERS:
        return not following.isdigit()
    return word.lower() not in _BEFORE_NAMES


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    sentence = text[start:end]
    if any(letter.isalnum() for letter in sentence):
        start += len(sentence) - len(sentence.lstrip())
        yield start, start + len(sentence.strip())
