"""Documents that nobody has seen: prose made of word lists, with what is known about every sentence of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_WHO = [
    "miller",
    "weaver",
    "surgeon",
    "heron",
    "cartographer",
    "glazier",
    "widow",
    "ferryman",
    "apprentice",
    "auditor",
    "beekeeper",
]
_DID = ["mended", "counted", "forgot", "weighed", "described", "borrowed", "painted", "measured", "sold", "doubted"]
_WHAT = ["ledger", "kettle", "bridge", "orchard", "violin", "map", "furnace", "contract", "lantern", "canal", "recipe"]
_WHERE = [
    "in the north",
    "under the arch",
    "at 3.5 percent",
    "near St. Ives",
    "for Mr. Hale",
    "by the weir, e.g. at dusk",
]
_ENDS = [".", ".", ".", "!", "?", "…", '."']


@dataclass(frozen=True)
class Place:
    """Where a sentence stands: the heading above it and the line it begins on."""

    section: str
    line: int


@dataclass(frozen=True)
class Prose:
    """A document, and each of its sentences (as it stands there) with its places."""

    text: str
    sentences: dict[str, list[Place]]


def prose(seed: int, *, wrapped: bool = False, headings: bool = True) -> Prose:
    """A document of some sixty sentences in five sections."""
    random = Random(seed)
    lines: list[str] = []
    sentences: dict[str, list[Place]] = {}
    for number in range(1, 6):
        section = f"Part {number}: the {random.choice(_WHAT)}" if headings else ""
        lines += [f"## {section}", ""] if headings else []
        for _ in range(3):
            paragraph = [_sentence(random) for _ in range(random.randint(2, 6))]
            _typeset(paragraph, section, lines, sentences, wrapped=wrapped)
    return Prose("\n".join(lines), sentences)


def _sentence(random: Random) -> str:
    end = random.choice(_ENDS)
    words = f"the {random.choice(_WHO)} {random.choice(_DID)} the {random.choice(_WHAT)} {random.choice(_WHERE)}"
    if random.random() < 0.5:
        words += f", and J. {random.choice(_WHO).title()} {random.choice(_DID)} every {random.choice(_WHAT)}"
    return f"{chr(34) if end.endswith(chr(34)) else ''}{words[0].upper()}{words[1:]}{end}"


def _typeset(
    paragraph: list[str], section: str, lines: list[str], sentences: dict[str, list[Place]], *, wrapped: bool
) -> None:
    """Put a paragraph below the lines: on one line, or with a line break in the middle of every sentence."""
    text = ""
    for sentence in paragraph:
        first, space, rest = sentence.rpartition(" ")
        typeset = f"{first}\n{rest}" if wrapped and space else sentence
        place = Place(section, len(lines) + text.count("\n") + 1)
        sentences.setdefault(typeset, []).append(place)
        text += f"{typeset} "
    lines += [*text.rstrip().split("\n"), ""]
