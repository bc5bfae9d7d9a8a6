"""Embedders by name, for settings."""

from __future__ import annotations

from codin.errors import ConfigError
from codin.memory.embedders._protocol import Embedder

__all__ = ["embedder_of"]


def embedder_of(name: str) -> Embedder | None:
    """The embedder that a setting names; None for "none", with which texts are found by their words alone.

    "hashing" or "hashing:512"; "minilm"; "openai:MODEL[:DIMENSIONS][@BASE_URL]", such as
    "openai:nomic-embed-text:768@http://127.0.0.1:11434/v1".

    Raises:
        ConfigError: there is none of that name, or it cannot be had.
    """
    kind, _, rest = name.partition(":")
    if name == "none":
        return None
    if name == "minilm":
        from codin.memory.embedders.minilm import MiniLMEmbedder

        return MiniLMEmbedder()
    if kind == "hashing" and (name == kind or _number(rest)):
        from codin.memory.embedders.hashing import HashingEmbedder

        return HashingEmbedder(int(rest)) if rest else HashingEmbedder()
    if kind == "openai" and rest:
        from codin.memory.embedders.openai import OpenAIEmbedder

        model, at, base_url = rest.partition("@")
        front, _, last = model.rpartition(":")
        sized = bool(front) and _number(last)
        return OpenAIEmbedder(
            front if sized else model,
            base_url=base_url if at else None,
            dimensions=int(last) if sized else None,
        )
    # Not the whole of it: a setting that is wrong may have a key in it.
    raise ConfigError(
        f"there is no embedder {kind[:40]!r}, or not with what follows",
        hint="hashing, hashing:512, minilm, openai:MODEL[:DIMENSIONS][@BASE_URL], or none",
    )


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 6
