"""Several ways to authenticate, one of which will do."""

from __future__ import annotations

from collections.abc import Mapping

from codin import a2a
from codin.errors import ConfigError, TokenRefused
from codin.trust._callers.authenticator import Authenticator, challenge_of
from codin.trust._callers.caller import Caller

__all__ = ["AnyOf"]


class AnyOf:
    """The first of several authenticators that knows the caller.

    An id stands for the same owner whoever found it out: `ada` by token and `ada` by key share their tasks.

    Raises:
        ConfigError: there is none, or two of them call different schemes by one name.
    """

    def __init__(self, *authenticators: Authenticator) -> None:
        if not authenticators:
            raise ConfigError("AnyOf() of nothing lets nobody in", hint="AnyOf(BearerTokens(…), ApiKeys(…))")
        self._authenticators = authenticators
        challenges = dict.fromkeys(challenge_of(each) for each in authenticators)
        # The server adds to the end what is wrong with a token: that belongs to Bearer.
        self.challenge: str = ", ".join(sorted(challenges, key=lambda challenge: challenge.startswith("Bearer")))
        self._schemes: dict[str, a2a.SecurityScheme] = {}
        for name, scheme in (item for each in authenticators for item in each.schemes.items()):
            if self._schemes.setdefault(name, scheme) != scheme:
                raise ConfigError(f"two security schemes are called {name!r}", hint="give one another name=…")

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """Those of all."""
        return self._schemes

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """Those of all: alternatives."""
        found: list[a2a.SecurityRequirement] = []
        for requirement in (each for authenticator in self._authenticators for each in authenticator.requirements):
            if requirement not in found:
                found.append(requirement)
        return found

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The caller, as the first of the authenticators knows it.

        Raises:
            TokenRefused: nobody knows the caller, and this is the first objection.
        """
        refused: TokenRefused | None = None
        for authenticator in self._authenticators:
            try:
                caller = await authenticator.authenticate(headers)
            except TokenRefused as error:
                refused = refused or error
                continue
            if caller is not None:
                return caller
        if refused is not None:
            raise refused
        return None
