"""A model that needs no key: it answers from the text it is given, with sentences of that text, word for word.

Sentences are ranked by a random walk between similar ones that keeps coming back to those with words of the question.
Where the question has no word of the text, that is LexRank.
Source: J. Otterbacher, G. Erkan and D. R. Radev, "Using Random Walks for Question-focused Sentence Retrieval",
HLT/EMNLP 2005, section 3.2.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from codin.testing._answers import Body, ModelAnswer, content_text

__all__ = ["extractive"]

Vector = Mapping[str, float]

_BACK = 0.7  # how much of a step comes back to the question
_CLOSE_ENOUGH = 1e-6
_MOST_STEPS = 100
_SAID_ALREADY = 0.5  # the cosine from which two sentences say the same
_USUAL, _FOR_A_QUESTION = 3, 1  # sentences, when no number is asked for
_NOTHING = "There is no text here to answer from."

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_NUMBERS = {word: n for n, word in enumerate(_WORD.findall("one two three four five six seven eight nine ten"), 1)}
_COUNT = re.compile(
    rf"\b(\d+|{'|'.join(_NUMBERS)}|a(?: single)?(?= sentence\b))\s+(?:[\w-]+\s+){{0,2}}?"
    r"(?:sentence|point|bullet|quote|line|fact|item)s?\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\b(?:bullet|list|item)", re.IGNORECASE)
_MARKED = re.compile(r"<document>(.*?)</document>", re.DOTALL)
_ASKS = re.compile(
    r"(?:current task|question|task|begin|please|summari[sz]e|list|answer|give|tell|explain|pick|choose|quote|find|"
    r"write|describe|extract|name|say|what|which|who|when|where|why|how|use|you are)\b|.*\b(?:your|final) answer\b",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_ASK = 60  # words
_HEAD = re.compile(r"[^.!?\n]{1,200}:\s+(?=\S)")
_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]*[^\Wa-z_])")
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Z]|Dr|Mr|Mrs|Ms|St|No|vs|cf|ca|approx|e\.g|i\.e)\.)$")
_MARK = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+")
# Words that tell nothing of a text, or of what is asked about it.
_SMALL = _NUMBERS.keys() | _WORD.findall(
    """
    a about an and are as at be by did do does for from has have how in is it its most of on or that the their this to
    was were what when where which who why with you your
    answer bullet current document fact final following give key line list point question quote sentence short
    summarise summarize summary task text write
    """
)


class _Given(NamedTuple):
    """What a request consists of: what is asked, the last thing last, and what it is asked about."""

    asks: list[str]
    document: list[str]


def extractive(body: Body) -> ModelAnswer:
    """Answer with the sentences of the given text that matter most for what is asked.

    As many as are asked for ("in two sentences"), in the order of the text. The text is what stands between <document>
    and </document>; else what the messages hold beside the instructions: paragraphs of the user, results of tools.
    """
    asks, document = _given(body)
    sentences = [sentence for paragraph in document for sentence in _sentences(paragraph)]
    if not sentences:
        return ModelAnswer(_NOTHING)
    ask = asks[-1] if asks else ""
    count = next((number for each in reversed(asks) if (number := _count(each))), None)
    count = count or (_FOR_A_QUESTION if "?" in ask else _USUAL)
    chosen = [sentences[index] for index in sorted(_pick(sentences, ask, count))]
    return ModelAnswer("\n".join(f"- {each}" for each in chosen) if _LISTED.search(ask) else " ".join(chosen))


# -- reading a request -------------------------------------------------------------------------------------------------


def _given(body: Body) -> _Given:
    asks: list[str] = []
    document: list[str] = []
    for message in body["messages"]:
        text = content_text(message.get("content"))
        if message["role"] in {"system", "developer"}:
            asks.append(text)
        elif message["role"] == "tool":
            document += _paragraphs(text)
        elif message["role"] == "user":
            marked = _MARKED.findall(text)
            asked, about = (_paragraphs(_MARKED.sub("", text)), marked) if marked else _split(_paragraphs(text))
            document += about
            if asked:
                asks.append("\n".join(asked))
    return _Given(asks, document)


def _paragraphs(text: str) -> list[str]:
    """The paragraphs; an instruction on the line of its text ("Summarise: …") is one of its own."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        head = _HEAD.match(paragraph.strip())
        end = head.end() if head is not None and _ASKS.match(head[0]) else 0
        found += [paragraph.strip()[:end], paragraph.strip()[end:]]
    return [paragraph for paragraph in found if paragraph]


def _split(paragraphs: Sequence[str]) -> tuple[list[str], list[str]]:
    """A message as what it asks and what it is about: instructions stand before a text or behind it."""
    first, last = 0, len(paragraphs)
    while first < last and _is_ask(paragraphs[first]):
        first += 1
    while last > first and _is_ask(paragraphs[last - 1]):
        last -= 1
    return [*paragraphs[:first], *paragraphs[last:]], list(paragraphs[first:last])


def _is_ask(paragraph: str) -> bool:
    if len(paragraph.split()) > _LONGEST_ASK:
        return False
    return paragraph.rstrip().endswith((":", "?")) or _ASKS.match(paragraph) is not None


def _count(ask: str) -> int | None:
    """The number of sentences that is asked for."""
    found = _COUNT.search(ask)
    if found is None:
        return None
    word = found[1].lower()
    return max(1, int(word)) if word.isdecimal() else _NUMBERS.get(word, 1)


def _sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without headings, tables and the marks of lists."""
    lines = [line for line in paragraph.splitlines() if not line.lstrip().startswith(("#", "|", "```"))]
    blocks: list[str] = []
    for line in lines:
        if not blocks or _MARK.match(line):
            blocks.append(_MARK.sub("", line, count=1))
        else:
            blocks[-1] += f" {line.strip()}"
    found: list[str] = []
    for block in blocks:
        found += _cut(" ".join(block.split()))
    return [sentence for sentence in found if len(_WORD.findall(sentence)) > 2]


def _cut(text: str) -> list[str]:
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        before = text[start : end.start()]
        if _ABBREVIATION.search(before):
            continue
        found.append(text[start : end.end()].rstrip())
        start = end.end()
    return [*found, text[start:]] if text[start:] else found


# -- choosing ----------------------------------------------------------------------------------------------------------


def _pick(sentences: Sequence[str], ask: str, count: int) -> list[int]:
    """The places of the best sentences; what repeats a better one comes last."""
    words = [Counter(_words(sentence)) for sentence in sentences]
    rarity = _rarity(words)
    vectors = [_unit({word: times * rarity[word] for word, times in each.items()}) for each in words]
    scores = _walk(vectors, _relevance(words, rarity, Counter(_words(ask))))
    chosen: list[int] = []
    repeated: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: (-round(scores[index], 9), index)):
        said = any(_product(vectors[index], vectors[other]) >= _SAID_ALREADY for other in chosen)
        (repeated if said else chosen).append(index)
        if len(chosen) == count:
            break
    return [*chosen, *repeated][:count]


def _words(text: str) -> list[str]:
    telling = [word for word in _WORD.findall(text.lower()) if word not in _SMALL]
    stems = [word.removesuffix("s") if len(word) > 3 else word for word in telling]
    return [stem for stem in stems if stem not in _SMALL]


def _rarity(words: Sequence[Counter[str]]) -> Vector:
    found_in = Counter(word for each in words for word in each)
    return {word: math.log((len(words) + 1) / (0.5 + times)) for word, times in found_in.items()}


def _relevance(words: Sequence[Counter[str]], rarity: Vector, asked: Counter[str]) -> list[float]:
    """How much of the question each sentence has; the same for all where none has any of it."""
    scores = [
        sum(
            math.log(each[word] + 1) * math.log(times + 1) * rarity[word] for word, times in asked.items() if each[word]
        )
        for each in words
    ]
    total = sum(scores)
    return [score / total for score in scores] if total else [1 / len(words)] * len(words)


def _walk(vectors: Sequence[Vector], home: Sequence[float]) -> list[float]:
    """Where a walk comes by. Steps are two passes over the words, so that no matrix of all pairs is built."""
    degrees = _times(vectors, _sum(vectors, [1.0] * len(vectors)))
    scores = list(home)
    for _ in range(_MOST_STEPS):
        along = [score / degree if degree else 0.0 for score, degree in zip(scores, degrees, strict=True)]
        arrived = _times(vectors, _sum(vectors, along))
        moved = [_BACK * at + (1 - _BACK) * arriving for at, arriving in zip(home, arrived, strict=True)]
        change = sum(abs(new - old) for new, old in zip(moved, scores, strict=True))
        scores = moved
        if change < _CLOSE_ENOUGH:
            break
    return scores


def _unit(weights: Vector) -> Vector:
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {word: weight / length for word, weight in weights.items() if weight}


def _sum(vectors: Sequence[Vector], factors: Sequence[float]) -> Vector:
    total: dict[str, float] = {}
    for vector, factor in zip(vectors, factors, strict=True):
        for word, weight in vector.items():
            total[word] = total.get(word, 0.0) + weight * factor
    return total


def _times(vectors: Sequence[Vector], total: Vector) -> list[float]:
    return [_product(vector, total) for vector in vectors]


def _product(one: Vector, other: Vector) -> float:
    return sum(weight * other.get(word, 0.0) for word, weight in one.items())
