"""API keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from codin import a2a
from codin.trust._callers.caller import Caller
from codin.trust._callers.secrets import Secrets, read_secrets

__all__ = ["ApiKeys"]


class ApiKeys:
    """Static keys in a header of their own: a caller by key. Only digests of the keys are kept.

    Args:
        callers: the caller, or the caller's id, by its key.
        header: its name.
    """

    def __init__(self, callers: Mapping[str, str | Caller], header: str = "X-API-Key") -> None:
        self._secrets = Secrets(callers)
        self._header = header
        self._name = header.lower().encode("ascii")
        self.challenge: str = f'ApiKey header="{header}"'

    @classmethod
    def from_file(cls, path: str | Path, header: str = "X-API-Key") -> ApiKeys:
        """Read `caller-id key [scopes=a,b]` lines; empty lines and lines with `#` are left out.

        Raises:
            ConfigError: the file cannot be read, has no key, or one key twice.
        """
        return cls(read_secrets(path, "key"), header)

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """An API key in a header."""
        key = a2a.APIKeySecurityScheme(location="header", name=self._header)
        return {"apiKey": a2a.SecurityScheme(api_key_security_scheme=key)}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """A key, no scopes."""
        return [a2a.SecurityRequirement(schemes={"apiKey": a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The caller whose key the header has."""
        key = headers.get(self._name)
        return None if key is None else self._secrets.caller(key)
