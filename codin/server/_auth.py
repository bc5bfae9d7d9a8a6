"""Who calls: the seam `authenticate(request) -> Caller | None`, and static bearer tokens behind it."""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from codin import a2a
from codin.errors import ConfigError
from codin.trust import ANONYMOUS, Caller

__all__ = ["Authenticator", "BearerTokens"]

_logger = logging.getLogger("codin.server")


class Authenticator(Protocol):
    """Finds out who calls.

    `schemes` and `requirements` go into the card, so that what is declared is what is enforced. Spec 4.5, 7.
    """

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """The security schemes, by name."""
        ...

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """The alternatives, one of which a request has to fulfil."""
        ...

    async def authenticate(self, headers: Mapping[bytes, bytes], /) -> Caller | None:
        """The caller; None when there is no valid credential.

        Args:
            headers: of the request, by lower-case name.
        """
        ...


class BearerTokens:
    """Static bearer tokens: a caller's id by token. Only digests of the tokens are kept."""

    def __init__(self, callers: Mapping[str, str]) -> None:
        """Args: callers: the caller's id by its token."""
        self._callers = {_digest(token.encode()): Caller(caller_id) for token, caller_id in callers.items()}

    @classmethod
    def from_file(cls, path: str | Path) -> BearerTokens:
        """Read `caller-id token` lines; empty lines and lines with `#` are left out.

        Raises:
            ConfigError: the file cannot be read, has no token, or one token twice.
        """
        file = Path(path)
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
            mode = file.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {str(path)!r} cannot be read: {error}") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            _logger.warning("the token file %s can be read by others; chmod 600 keeps it yours", path)
        callers: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            words = line.split()
            if len(words) != 2 or words[0] == ANONYMOUS.id or words[1] in callers:
                raise ConfigError(
                    f"line {number} of the token file {str(path)!r} is not understood",
                    hint="a line is: caller-id token; each token once; the id 'anonymous' is reserved",
                )
            callers[words[1]] = words[0]
        if not callers:
            raise ConfigError(f"the token file {str(path)!r} has no token", hint="a line is: caller-id token")
        return cls(callers)

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """HTTP bearer."""
        http = a2a.HTTPAuthSecurityScheme(scheme="Bearer")
        return {"bearer": a2a.SecurityScheme(http_auth_security_scheme=http)}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """A token, no scopes."""
        return [a2a.SecurityRequirement(schemes={"bearer": a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The caller whose token the `Authorization` header has."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        return self._callers.get(_digest(token.strip()))  # a digest look-up tells nothing about the token by its time


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
