"""Vectors from a server that speaks OpenAI's embeddings, as most servers of models do."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from codin.errors import BadResponse, ConfigError, EmbeddingFailed, ResponseTooLarge, TransportError
from codin.memory._protocol import Vector
from codin.memory.embedders._protocol import Purpose
from codin.net import Response, Transport, open_transport

__all__ = ["OpenAIEmbedder"]

_OPENAI = "https://api.openai.com/v1"
_KNOWN: Mapping[str, int] = {
    "all-minilm": 384,
    "bge-m3": 1024,
    "mxbai-embed-large": 1024,
    "nomic-embed-text": 768,
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}
_MOST = 8192  # numbers of a vector
_LETTERS = 100_000  # of one request: OpenAI takes 300,000 tokens, and a letter of some scripts is more than one
_MAY_PASS = frozenset({408, 425, 429})
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 20.0  # seconds; a server that wants more has failed, and its caller decides
_HINTS = {
    400: "a text may be longer than the model takes: add it in parts",
    401: "the key is missing or wrong: give api_key, or set OPENAI_API_KEY",
    403: "the key is not allowed to do this",
    404: "the server has no such model, or its base_url ends otherwise; most end with /v1",
    413: "a text may be longer than the model takes: add it in parts",
}


class _Item(BaseModel):
    model_config = ConfigDict(strict=True)

    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Item]


class _Refusal(NamedTuple):
    """An answer without vectors, or none at all.

    Args:
        passes: whether the same request may do better later.
        after: seconds after which the server wants it again.
    """

    why: str
    passes: bool
    after: float | None = None
    hint: str | None = None


class OpenAIEmbedder:
    """Asks a server for vectors: OpenAI's own, or any that speaks like it (Ollama, vLLM, llama.cpp, TEI …).

    Args:
        model: as the server calls it.
        base_url: of the server; None takes `OPENAI_BASE_URL`, or OpenAI's own. Whoever sets it is trusted: it may be
            on this machine or in a private network.
        api_key: sent as a bearer token. None takes `OPENAI_API_KEY`, for the two servers that are meant without a
            `base_url`, and sends nothing to others.
        dimensions: how many numbers the model's vectors have; may be left out for a model that is known here. For
            such a model another number than its own asks the server for vectors of that size.
        batch: texts of one request at most.
        timeout: seconds for one request.
        retries: further tries after a refusal that may pass, with pauses that grow or are as long as the server says.
        query_prefix: stands before each query; some models are trained with one, such as "search_query: ".
        document_prefix: likewise before each text that is kept.
        transport: as `codin.connect` takes it.

    Raises:
        ConfigError: a URL or a key that is none, or dimensions that are unknown.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        batch: int = 128,
        timeout: float = 30.0,
        retries: int = 2,
        query_prefix: str = "",
        document_prefix: str = "",
        transport: Transport | str | None = None,
    ) -> None:
        if batch < 1 or retries < 0 or timeout <= 0:
            raise ConfigError("batch is 1 or more, retries 0 or more, and timeout more than 0 seconds")
        own = _KNOWN.get(model.rpartition("/")[2].partition(":")[0].lower())
        self.dimensions: int = _dimensions(model, dimensions, own)
        self.space: str = f"openai/{model}/{self.dimensions}"
        server = _server(base_url)
        self._url = f"{server}/embeddings"
        self._headers = _headers(server, api_key)
        # A server need not know the field, so it is sent to those alone that are asked for other than usual vectors.
        asked = {} if own in (None, self.dimensions) else {"dimensions": self.dimensions}
        self._asked = {"model": model, "encoding_format": "float", **asked}
        self._batch, self._timeout, self._retries = batch, timeout, retries
        self._prefixes: Mapping[Purpose, str] = {"query": query_prefix, "document": document_prefix}
        self._given = transport
        self._transport: Transport | None = None

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        prefix = self._prefixes[purpose]
        # Servers refuse a text without anything in it. It has no meaning, and so no direction.
        full = [at for at, text in enumerate(texts) if text.strip()]
        vectors: list[Vector] = [[0.0] * self.dimensions] * len(texts)
        for places in _batches(texts, full, self._batch, len(prefix)):
            found = await self._some([prefix + texts[at] for at in places])
            for at, vector in zip(places, found, strict=True):
                vectors[at] = vector
        return vectors

    async def aclose(self) -> None:
        """Let the connections go. The next call makes new ones."""
        transport, self._transport = self._transport, None
        if transport is not None and transport is not self._given:
            await transport.aclose()

    async def _some(self, texts: Sequence[str]) -> Sequence[Vector]:
        tried = 0
        while True:
            answer = await self._asked_for(texts)
            if not isinstance(answer, _Refusal):
                return answer
            pause = _pause(tried, answer)
            if not answer.passes or tried >= self._retries or pause > _LONGEST_PAUSE:
                raise EmbeddingFailed(answer.why, retryable=answer.passes, hint=answer.hint)
            tried += 1
            await asyncio.sleep(pause)

    async def _asked_for(self, texts: Sequence[str]) -> Sequence[Vector] | _Refusal:
        if self._transport is None:
            given = self._given
            self._transport = open_transport(given) if given is None or isinstance(given, str) else given
        body = to_json({**self._asked, "input": texts})
        # A number takes 25 bytes at most, and a space.
        limit = 64 * 1024 + len(texts) * (256 + 32 * _MOST)
        try:
            response = await self._transport.request(
                "POST", self._url, headers=self._headers, content=body, timeout=self._timeout, limit=limit
            )
        except TransportError as error:
            passes = not isinstance(error, BadResponse | ResponseTooLarge)
            return _Refusal(error.message, passes, hint=error.hint)
        return _read(self._url, response, len(texts))


def _read(url: str, response: Response, wanted: int) -> Sequence[Vector] | _Refusal:
    status = response.status
    if status != 200:
        # Not what the server wrote: some repeat the key, or what was asked.
        passes = status >= 500 or status in _MAY_PASS
        return _Refusal(f"{url} answered {status}", passes, _wish(response), _HINTS.get(status))
    try:
        items = _Answer.model_validate_json(response.body).data
    except ValidationError:
        return _Refusal(f"{url} answered something that is no list of vectors", passes=False)
    vectors = {item.index: item.embedding for item in items}
    if len(items) != wanted or vectors.keys() != set(range(wanted)):
        return _Refusal(f"{url} answered {len(items)} vectors for {wanted} texts, or not one for each", passes=False)
    return [vectors[index] for index in range(wanted)]


def _batches(texts: Sequence[str], places: Sequence[int], most: int, prefix: int) -> Iterator[list[int]]:
    batch: list[int] = []
    letters = 0
    for at in places:
        size = prefix + len(texts[at])
        if batch and (len(batch) == most or letters + size > _LETTERS):
            yield batch
            batch, letters = [], 0
        batch.append(at)
        letters += size
    if batch:
        yield batch


def _pause(tried: int, refusal: _Refusal) -> float:
    if refusal.after is not None:
        return refusal.after
    # Clients that were refused together do not come back together.
    return _FIRST_PAUSE * 2.0 ** min(tried, 16) * random.uniform(0.5, 1.0)


def _wish(response: Response) -> float | None:
    said = response.headers.get("retry-after", "")
    return float(said[:9]) if said.isdecimal() else None


def _dimensions(model: str, given: int | None, own: int | None) -> int:
    if not model.strip():
        raise ConfigError("a model needs a name", hint="such as text-embedding-3-small")
    dimensions = own if given is None else given
    if dimensions is None:
        raise ConfigError(
            f"how many numbers a vector of {model!r} has is not known here",
            hint="give dimensions; the model's description says them",
        )
    if not 0 < dimensions <= _MOST:
        raise ConfigError(f"a vector of {dimensions} numbers is not kept", hint=f"1 to {_MOST}")
    return dimensions


def _server(given: str | None) -> str:
    url = (os.environ.get("OPENAI_BASE_URL") or _OPENAI) if given is None else given
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        fine = False
    if not fine or "?" in url or "#" in url:
        # It is not repeated: whoever writes a key into a URL has one there.
        raise ConfigError(
            "the base_url of the embeddings is none, or has more than scheme, host and path",
            hint=f"write it like {_OPENAI}, and give a key by api_key",
        )
    return url.rstrip("/")


def _headers(server: str, api_key: str | None) -> Mapping[str, str]:
    headers = {"Content-Type": "application/json"}
    if api_key is None and server in (_OPENAI, os.environ.get("OPENAI_BASE_URL", "").rstrip("/")):
        api_key = os.environ.get("OPENAI_API_KEY")
    if api_key:
        if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ConfigError("the key of the embeddings has letters that no key has")
        headers["Authorization"] = f"Bearer {api_key}"
    return headers
