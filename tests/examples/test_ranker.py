"""The ranker: LexRank as the paper has it."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from tests.examples.shipped import shipped

RANKER = shipped("ranker")

SENTENCES = [
    "The moon raises the tide.",
    "The tide follows the moon across the sea.",
    "The sun raises a smaller tide.",
    "Gulls follow the ferry.",
    "The moon and the sun raise the spring tide together.",
    "Bread is dear this year.",
]


def _picks(sentences: list[str], count: int) -> list[int]:
    result = RANKER.ranker.invoke({"sentences": sentences, "count": count})
    return [pick.index for pick in result["picks"]]


def _scores(sentences: list[str]) -> list[float]:
    state = RANKER.State(sentences=sentences)
    return RANKER.walk(state.model_copy(update=RANKER.weigh(state)))["scores"]


def _dense(sentences: list[str]) -> list[float]:
    """The same by the definition: the whole matrix, each row divided by its sum, and a thousand steps."""
    counts = [Counter(sentence.lower().strip(".").split()) for sentence in sentences]
    size = len(counts)
    idf = {word: math.log(size / sum(word in count for count in counts)) for count in counts for word in count}
    vectors = [{word: times * idf[word] for word, times in count.items()} for count in counts]
    norms = [math.sqrt(sum(weight**2 for weight in vector.values())) for vector in vectors]
    matrix: list[list[float]] = []
    for one, norm in zip(vectors, norms, strict=True):
        products = [sum(one[word] * other.get(word, 0.0) for word in one) for other in vectors]
        row = [
            product / (norm * length) if norm * length else 0.0 for product, length in zip(products, norms, strict=True)
        ]
        total = sum(row)
        matrix.append([cell / total for cell in row] if total else [1 / size] * size)
    scores = [1 / size] * size
    for _ in range(1000):
        scores = [0.15 / size + 0.85 * sum(scores[v] * matrix[v][u] for v in range(size)) for u in range(size)]
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_definition(seed: int) -> None:
    source = random.Random(seed)
    words = [f"word{number}" for number in range(30)]
    sentences = [" ".join(source.choices(words, k=source.randint(1, 12))) + "." for _ in range(25)]
    assert _scores(sentences) == pytest.approx(_dense(sentences), abs=1e-7)
    assert sum(_scores(sentences)) == pytest.approx(1)


def test_the_sentence_that_the_others_are_about_comes_first() -> None:
    about = [
        "The moon pulls.",
        "The sea swells.",
        "A harbour fills.",
        "Moon, sea and harbour are one clock.",
        "Bread is dear.",
    ]
    assert _picks(about, 5)[0] == 3
    assert max(range(5), key=_scores(about).__getitem__) == 3


def test_the_same_text_gives_the_same_picks() -> None:
    assert _picks(SENTENCES, 3) == _picks(SENTENCES, 3)
    assert _picks(SENTENCES, 2) == _picks(SENTENCES, 6)[:2]


def test_a_repetition_is_picked_last() -> None:
    repeated = [*SENTENCES, SENTENCES[4].upper()]
    picks = _picks(repeated, 7)
    assert sorted(picks) == list(range(7))
    assert picks[-1] in {4, 6}


@pytest.mark.parametrize("sentences", [["Alone."], ["Same.", "Same."], ["…", "!", "?"], ["", " "]])
def test_texts_without_anything_to_compare(sentences: list[str]) -> None:
    assert _picks(sentences, 5) == list(range(len(sentences)))
    assert _scores(sentences) == pytest.approx([1 / len(sentences)] * len(sentences))
