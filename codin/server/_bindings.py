"""The bindings of A2A that a server speaks at an agent's address."""

from __future__ import annotations

from collections.abc import Sequence

from codin.errors import ConfigError

__all__ = ["BINDINGS", "check_bindings"]

BINDINGS = ("JSONRPC", "HTTP+JSON")
"""By their names in cards, the preferred one first."""


def check_bindings(bindings: Sequence[str]) -> Sequence[str]:
    """What was given, when it can be served.

    Raises:
        ConfigError: none, one twice, or one that is not spoken here.
    """
    given = [bindings] if isinstance(bindings, str) else [*bindings]
    if not given or len(set(given)) < len(given) or not set(given) <= set(BINDINGS):
        raise ConfigError(f"bindings={bindings!r} cannot be served", hint=f"one or both of {', '.join(BINDINGS)}")
    return given
