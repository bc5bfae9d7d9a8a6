"""Vectors from a server that speaks OpenAI's embeddings, as most servers of models do."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from codin.errors import BadResponse, ConfigError
from codin.net import Transport, open_transport

__all__ = ["Embeddings"]

_AT_ONCE = 256  # texts in a request
_MOST_BYTES = 64 * 1024 * 1024


class _Item(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Item]


class Embeddings:
    """What `RegistryApp(embed=…)` takes.

    Args:
        url: the base of the server, like `https://api.openai.com/v1`.
        model: which of its models.
        key: sent as a bearer token; None sends none.
        timeout: seconds for a request.
        transport: as `codin.connect` takes it.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        transport: Transport | str | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"the URL {url!r} is none", hint="write it like https://api.openai.com/v1")
        self._url = f"{url.rstrip('/')}/embeddings"
        self._model = model
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._timeout = timeout
        self._given = transport
        self._transport: Transport | None = None

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text.

        Raises:
            TransportError: the server cannot be reached, or answers something else.
        """
        if self._transport is None:
            given = self._given
            self._transport = open_transport(given) if given is None or isinstance(given, str) else given
        vectors: list[list[float]] = []
        for begin in range(0, len(texts), _AT_ONCE):
            vectors += await self._some(self._transport, texts[begin : begin + _AT_ONCE])
        return vectors

    async def _some(self, transport: Transport, texts: Sequence[str]) -> list[list[float]]:
        body = to_json({"model": self._model, "input": list(texts), "encoding_format": "float"})
        response = await transport.request(
            "POST", self._url, headers=self._headers, content=body, timeout=self._timeout, limit=_MOST_BYTES
        )
        if response.status != 200:
            raise BadResponse(f"{self._url} answered {response.status} to a request for embeddings.")
        try:
            found = {item.index: item.embedding for item in _Answer.model_validate_json(response.body).data}
            return [found[index] for index in range(len(texts))]
        except (ValidationError, KeyError):
            raise BadResponse(f"{self._url} answered something that is no list of embeddings.") from None
