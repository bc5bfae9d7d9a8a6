"""Which agent fits a wish, by the words of the wish and of the cards."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from codin import a2a

__all__ = ["by_words"]

_WORD = re.compile(r"[^\W_]+")
_SMALL = frozenset(
    _WORD.findall(
        "a about an and are as at be by can could do for from give have how i in is it me my of on or our please some "
        "that the this to us want what which who will with would you your"
    )
)
_MARKED, _MENTIONED = 3.0, 1.0  # a word of a name or tag weighs more than one of a description
_STEM = 6  # letters by which two words are the same: "summary" and "summarize"
_SHORTEST = 4  # of a word that others may go on from: "echo" and "echoes"


class Carded(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def card(self) -> a2a.AgentCard | None: ...


A = TypeVar("A", bound=Carded)


def by_words(wish: str, agents: Sequence[A]) -> Sequence[A]:
    """The agents whose cards have words of the wish, the best first.

    A word that few of the agents have says more than one that many have; one in a name, a skill's name or a tag counts
    three times as much as one in a description or an example. Among equals, the order in which they came stays.
    """
    said = [_weights(agent) for agent in agents]
    scores = [0.0] * len(agents)
    for word in {*_words(wish)}:
        found = [max((weight for known, weight in each.items() if _same(word, known)), default=0.0) for each in said]
        having = sum(weight > 0 for weight in found)
        rarity = math.log(1 + len(agents) / having) if having else 0.0
        scores = [score + rarity * weight for score, weight in zip(scores, found, strict=True)]
    ranked = sorted(range(len(agents)), key=lambda index: -round(scores[index], 9))
    return [agents[index] for index in ranked if scores[index]]


def _weights(agent: Carded) -> Mapping[str, float]:
    """The words of an agent's card, each with what it counts."""
    weights: dict[str, float] = {}
    for text, weight in _texts(agent):
        for word in _words(text):
            weights[word] = max(weight, weights.get(word, 0.0))
    return weights


def _texts(agent: Carded) -> Iterator[tuple[str, float]]:
    yield agent.name, _MARKED
    if agent.card is None:
        return
    yield agent.card.name, _MARKED
    yield agent.card.description, _MENTIONED
    for skill in agent.card.skills:
        for text in (skill.id, skill.name, *skill.tags):
            yield text, _MARKED
        for text in (skill.description, *skill.examples):
            yield text, _MENTIONED


def _words(text: str) -> Iterator[str]:
    return (word for word in _WORD.findall(text.casefold()) if word not in _SMALL)


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if min(len(one), len(other)) < _SHORTEST:
        return False
    return one.startswith(other) or other.startswith(one) or one[:_STEM] == other[:_STEM]
