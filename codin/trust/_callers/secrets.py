"""Secrets that callers are known by: kept as digests, read from files that only their owner can read."""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Mapping
from pathlib import Path

from codin.errors import ConfigError
from codin.trust._callers.caller import ANONYMOUS, Caller

__all__ = ["Secrets", "read_secrets"]

_logger = logging.getLogger("codin.trust")


class Secrets:
    """Callers by their secrets. A look-up by digest tells nothing about a secret by the time it takes."""

    def __init__(self, callers: Mapping[str, str | Caller]) -> None:
        """Args: callers: the caller, or its id, by its secret."""
        self._callers = {
            _digest(secret.encode()): caller if isinstance(caller, Caller) else Caller(caller)
            for secret, caller in callers.items()
        }

    def caller(self, secret: bytes) -> Caller | None:
        """Whose secret it is."""
        return self._callers.get(_digest(secret))


def read_secrets(path: str | Path, what: str) -> dict[str, Caller]:
    """Read `caller-id secret [scopes=a,b]` lines; empty lines and lines with `#` are left out.

    Args:
        what: the kind of secret, in one word.

    Raises:
        ConfigError: the file cannot be read, has no secret, or one of them twice.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the {what} file {str(path)!r} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _logger.warning("the %s file %s can be read by others; chmod 600 keeps it yours", what, path)
    callers: dict[str, Caller] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        scopes = _scopes(words[2:])
        if len(words) < 2 or words[0] == ANONYMOUS.id or words[1] in callers or scopes is None:
            raise ConfigError(
                f"line {number} of the {what} file {str(path)!r} is not understood",
                hint=f"a line is: caller-id {what} [scopes=a,b]; each {what} once; the id 'anonymous' is reserved",
            )
        callers[words[1]] = Caller(words[0], scopes=scopes)
    if not callers:
        raise ConfigError(
            f"the {what} file {str(path)!r} has no {what}", hint=f"a line is: caller-id {what} [scopes=a,b]"
        )
    return callers


def _scopes(words: list[str]) -> frozenset[str] | None:
    """What follows the secret; None when that is anything else, such as the rest of a secret with a space in it."""
    if not words:
        return frozenset()
    if len(words) > 1 or not words[0].startswith("scopes="):
        return None
    return frozenset(filter(None, words[0].removeprefix("scopes=").split(",")))


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
