"""Static bearer tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from codin import a2a
from codin.trust._callers.caller import Caller
from codin.trust._callers.secrets import Secrets, read_secrets

__all__ = ["BearerTokens", "bearer_token"]


class BearerTokens:
    """Static bearer tokens: a caller's id by token. Only digests of the tokens are kept."""

    def __init__(self, callers: Mapping[str, str | Caller]) -> None:
        """Args: callers: the caller, or the caller's id, by its token."""
        self._secrets = Secrets(callers)

    @classmethod
    def from_file(cls, path: str | Path) -> BearerTokens:
        """Read `caller-id token [scopes=a,b]` lines; empty lines and lines with `#` are left out.

        Raises:
            ConfigError: the file cannot be read, has no token, or one token twice.
        """
        return cls(read_secrets(path, "token"))

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
        token = bearer_token(headers)
        return None if token is None else self._secrets.caller(token)


def bearer_token(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The token in an `Authorization: Bearer` header. RFC 6750 2.1."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
