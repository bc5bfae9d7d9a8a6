"""Ranks sentences by how central they are in their text: LexRank, as a LangGraph graph. No model, no network.

Sentences are the nodes of a graph; the edge between two of them weighs how similar they are, measured as the cosine of
their word vectors (tf-idf, with idf over the sentences of this text). A sentence is central when it is similar to many
sentences that are central themselves: the stationary distribution of a random walk along the edges, found by power
iteration.

Source: G. Erkan and D. R. Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", Journal
of Artificial Intelligence Research 22 (2004), 457-479: continuous LexRank, section 3.3, with the damping of 3.2.

The matrix of all pairs is never built. The cosine of two vectors of length one is their product, so a step of the walk
is two passes over the words, and a whole novel is ranked in seconds.
"""

# What StateGraph takes is only half typed.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, Field

Vector = Mapping[str, float]

_DAMPING = 0.15
_CLOSE_ENOUGH = 1e-9
_MOST_STEPS = 500
_SAID_ALREADY = 0.5  # the cosine from which two sentences say the same
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class Request(BaseModel):
    """Sentences to rank."""

    sentences: list[str] = Field(min_length=1)
    count: int = Field(default=5, ge=1, description="how many to pick")


class Pick(BaseModel):
    """A central sentence."""

    index: int = Field(description="its place in the given list, from 0")
    score: float


class Ranking(BaseModel):
    """The most central sentences, the best first."""

    picks: list[Pick]


class State(Request):
    """Ranks the sentences of a text by LexRank and picks the most central ones that do not repeat each other."""

    vectors: list[dict[str, float]] = Field(default_factory=list[dict[str, float]])
    scores: list[float] = Field(default_factory=list[float])
    picks: list[Pick] = Field(default_factory=list[Pick])


def weigh(state: State) -> dict[str, Any]:
    """Each sentence as a vector of length one; rare words weigh more. One without any telling word is empty."""
    counts = [Counter(_WORD.findall(sentence.lower())) for sentence in state.sentences]
    found_in = Counter(word for count in counts for word in count)
    rarity = {word: math.log(len(counts) / sentences) for word, sentences in found_in.items()}
    return {"vectors": [_unit({word: times * rarity[word] for word, times in count.items()}) for count in counts]}


def walk(state: State) -> dict[str, Any]:
    """The score of each sentence: how often a random walk along the edges comes by."""
    vectors = state.vectors
    size = len(vectors)
    degrees = _times(vectors, _sum(vectors, [1.0] * size))
    scores = [1 / size] * size
    for _ in range(_MOST_STEPS):
        stuck = sum(score for score, degree in zip(scores, degrees, strict=True) if not degree)
        along = [score / degree if degree else 0.0 for score, degree in zip(scores, degrees, strict=True)]
        arrived = _times(vectors, _sum(vectors, along))
        moved = [_DAMPING / size + (1 - _DAMPING) * (arriving + stuck / size) for arriving in arrived]
        change = sum(abs(new - old) for new, old in zip(moved, scores, strict=True))
        scores = moved
        if change < _CLOSE_ENOUGH:
            break
    return {"scores": scores}


def pick(state: State) -> dict[str, Any]:
    """The best ones; what repeats a better one comes last."""
    ranked = sorted(range(len(state.scores)), key=lambda index: (-round(state.scores[index], 12), index))
    chosen: list[int] = []
    repeated: list[int] = []
    for index in ranked:
        if len(chosen) == state.count:
            break
        vector = state.vectors[index]
        said = any(_cosine(vector, state.vectors[other]) >= _SAID_ALREADY for other in chosen)
        (repeated if said else chosen).append(index)
    best = [*chosen, *repeated][: state.count]
    return {"picks": [Pick(index=index, score=round(state.scores[index], 6)) for index in best]}


def _unit(weights: Vector) -> dict[str, float]:
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {word: weight / length for word, weight in weights.items() if weight}


def _sum(vectors: Sequence[Vector], factors: Sequence[float]) -> Vector:
    """All vectors, each times its factor, as one."""
    total: dict[str, float] = {}
    for vector, factor in zip(vectors, factors, strict=True):
        for word, weight in vector.items():
            total[word] = total.get(word, 0.0) + weight * factor
    return total


def _times(vectors: Sequence[Vector], total: Vector) -> list[float]:
    """The product of each vector with one."""
    return [sum(weight * total[word] for word, weight in vector.items()) for vector in vectors]


def _cosine(one: Vector, other: Vector) -> float:
    return sum(weight * other.get(word, 0.0) for word, weight in one.items())


_graph = StateGraph(State, input_schema=Request, output_schema=Ranking)
_graph.add_node("weigh", weigh)
_graph.add_node("walk", walk)
_graph.add_node("pick", pick)
_graph.add_edge(START, "weigh")
_graph.add_edge("weigh", "walk")
_graph.add_edge("walk", "pick")
_graph.add_edge("pick", END)

ranker = _graph.compile(name="ranker")
