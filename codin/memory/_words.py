"""The words a text is found by: the same in every back-end, so that all of them find the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["terms_of"]

# A run of letters and digits, and of the vowel signs and points of scripts that write those beside their letters.
_MARKS = (
    r"\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983"
    r"\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd"
    r"\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u102b-\u103e\u17b4-\u17d3"
)
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
# Scripts that put no space between words are cut into pairs of letters.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONGEST = 64


def terms_of(text: str) -> list[str]:
    """The words of a text: lower case, without accents, plurals as singulars; `parseHtml` also as its parts.

    Each is of letters and digits alone, so that no back-end can take one for syntax.
    """
    # An accent that is a letter of its own is none of a word, and would cut it.
    whole = text if text.isascii() else unicodedata.normalize("NFC", text)
    return [term for word in _WORD.findall(whole) for term in _terms(word)]


def _terms(word: str) -> Iterator[str]:
    humps = _HUMP.split(word) if not word.islower() else [word]
    for piece in [word, *humps] if len(humps) > 1 else humps:
        plain = _plain(piece)
        for part in re.split(f"({_UNSPACED.pattern})", plain) if not plain.isascii() else (plain,):
            if not part:
                continue
            if _UNSPACED.fullmatch(part):
                yield from (part[at : at + 2] for at in range(max(1, len(part) - 1)))
            else:
                yield _singular(part)[:_LONGEST]


def _plain(word: str) -> str:
    if word.isascii():
        return word.lower()
    spread = unicodedata.normalize("NFKD", word.casefold())
    plain = "".join(letter for letter in spread if not unicodedata.category(letter).startswith("M"))
    return unicodedata.normalize("NFC", "".join(_WORD.findall(plain)))


def _singular(word: str) -> str:
    """A light touch: what is one word more often than not. Wrong for some, and the same on both sides."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1]
