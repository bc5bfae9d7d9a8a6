"""Who calls: the seam `authenticate(headers) -> Caller | None`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from codin import a2a
from codin.trust._callers.caller import Caller

__all__ = ["PEER_ADDRESS", "Authenticator", "challenge_of"]

PEER_ADDRESS = b":peer"
"""Where `authenticate` finds the address of the other end of the connection: a name that no HTTP header can have."""

_CHALLENGE = 'Bearer realm="codin"'


class Authenticator(Protocol):
    """Finds out who calls.

    `schemes` and `requirements` go into the card, so that what is declared is what is enforced. Spec 4.5, 7.
    An authenticator may also have a `challenge: str`, for the `WWW-Authenticate` header of a 401; without one it is
    that of bearer tokens.
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
            headers: of the request, by lower-case name; and `PEER_ADDRESS`, which the server sets itself.

        Raises:
            TokenRefused: there is a credential of this kind, and it is not valid. Its message is told to the client.
        """
        ...


def challenge_of(authenticator: Authenticator) -> str:
    """The challenge of an authenticator. RFC 9110 11.6.1."""
    return getattr(authenticator, "challenge", _CHALLENGE)
