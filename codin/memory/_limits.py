"""The bounds of a memory, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from codin.errors import ConfigError

__all__ = ["MemoryLimits", "within"]


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Reaching a bound is a `NotKept` with the number.

    Args:
        text: letters of an utterance, a record or a summary.
        query: letters of a query; what is behind them is not looked at.
        parts: bytes of an utterance's parts, as JSON.
        value: bytes of a note's value, as JSON.
        metadata: bytes of the metadata of a record or an utterance, as JSON.
        blobs: bytes of the blobs of one call, with their keys.
        batch: utterances or records of one call.
        results: results of one call; who asks for more gets so many, and who asks for none gets one.
    """

    text: int = 100_000
    query: int = 2_000
    parts: int = 256 * 1024
    value: int = 64 * 1024
    metadata: int = 16 * 1024
    blobs: int = 16 * 1024 * 1024
    batch: int = 1000
    results: int = 1000


def within(limit: int, limits: MemoryLimits) -> int:
    """How many results a call has that asks for `limit`. Raises ConfigError when that is no number."""
    if not isinstance(limit, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # it may come from a model
        raise ConfigError(f"{limit!r} is no number of results", hint=f"1 to {limits.results}")
    return max(1, min(limit, limits.results))
