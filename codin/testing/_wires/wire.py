"""What every interface of a model does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from codin.testing._answers import Body, Said

__all__ = ["Streamed", "Wire", "event"]


class Streamed(NamedTuple):
    """The events of a streamed answer: what is said, and what closes it when it comes to an end."""

    saying: Sequence[bytes]
    closing: Sequence[bytes]


class Wire(Protocol):
    """One interface."""

    def read(self, sent: Mapping[str, Any]) -> Body:
        """A request, as Chat Completions puts it."""
        ...

    def whole(self, said: Said) -> Mapping[str, Any]:
        """The answer as one object."""
        ...

    def streamed(self, said: Said) -> Streamed:
        """The answer as events."""
        ...


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """An event of a stream."""
    return (f"event: {name}\n" if name else "").encode() + b"data: %s\n\n" % json.dumps(data).encode()
