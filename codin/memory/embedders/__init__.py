"""What turns texts into vectors."""

from importlib import import_module
from typing import TYPE_CHECKING

from codin.memory.embedders._named import embedder_of
from codin.memory.embedders._protocol import Embedder, Purpose
from codin.memory.embedders.hashing import HashingEmbedder

if TYPE_CHECKING:
    from codin.memory.embedders.minilm import MiniLMEmbedder
    from codin.memory.embedders.openai import OpenAIEmbedder

__all__ = ["Embedder", "HashingEmbedder", "MiniLMEmbedder", "OpenAIEmbedder", "Purpose", "embedder_of"]

_LAZY = {
    "MiniLMEmbedder": "codin.memory.embedders.minilm",
    "OpenAIEmbedder": "codin.memory.embedders.openai",
}


def __getattr__(name: str) -> object:
    # Neither what computes nor what connects is loaded for those who need none of it.
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value
