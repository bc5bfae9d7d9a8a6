"""Embedders by name, as settings and the command line have them."""

from __future__ import annotations

import pytest

from codin.errors import ConfigError
from codin.memory.embedders import embedder_of


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("hashing", "hashing/256"),
        ("hashing:512", "hashing/512"),
        ("minilm", "minilm-l6-v2/384"),
        ("openai:text-embedding-3-small", "openai/text-embedding-3-small/1536"),
        ("openai:text-embedding-3-small:512", "openai/text-embedding-3-small/512"),
        ("openai:nomic-embed-text:latest@http://127.0.0.1:11434/v1", "openai/nomic-embed-text:latest/768"),
        ("openai:own/model:384@http://127.0.0.1:8000/v1", "openai/own/model/384"),
    ],
)
def test_a_name_gives_an_embedder(name: str, space: str) -> None:
    embedder = embedder_of(name)
    assert embedder is not None
    assert embedder.space == space
    assert space.endswith(f"/{embedder.dimensions}")


def test_none_is_none() -> None:
    assert embedder_of("none") is None


@pytest.mark.parametrize(
    "name",
    [
        "", "Hashing", "hashing:", "hashing:x", "hashing:1", "hashing:٣", "minilm:384", "none:", "openai", "openai:",
        "openai:unheard-of", "openai:@http://127.0.0.1:1/v1", "openai:text-embedding-3-small@", "openai:m:2@nowhere",
        "word2vec",
    ],
)  # fmt: skip
def test_what_is_no_name_is_an_error_with_a_hint(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        embedder_of(name)
    assert caught.value.hint
