"""What the calls of a memory ask for: it may come from a model, or from JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from codin.errors import ConfigError

__all__ = ["text", "texts"]


def text(name: str, value: object) -> str:
    """A text. Raises ConfigError, which names the argument, when it is none."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}={repr(value)[:80]} is no text")
    return value


def texts(name: str, values: object) -> Sequence[str]:
    """Several of them. Raises ConfigError, also for one, which is a sequence of its letters."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}={repr(values)[:80]} is no list of texts")
    return [text(name, value) for value in cast(Sequence[object], values)]
