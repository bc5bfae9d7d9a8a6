"""Agents that call with tokens of their own making."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from time import time

from codin import a2a
from codin.errors import TokenRefused
from codin.trust._callers.bearer import bearer_token
from codin.trust._callers.caller import Caller
from codin.trust._callers.replay import UsedTokens
from codin.trust._calls.chain import chain_in, check_chain
from codin.trust._calls.limits import agent_of
from codin.trust._calls.token import CALL_TOKEN, LEEWAY, key_finder, read_token
from codin.trust._cards.signatures import Keys

__all__ = ["MeshTokens"]


class MeshTokens:
    """Call tokens of agents whose keys are known; see `mint`.

    The caller's id is the name of the key, or `agent-id@thumbprint`: what a token says of itself counts only as far as
    its key vouches for it. Each token counts once in this process.

    Args:
        keys: those whose tokens are taken: a function from the thumbprint to the key, or the keys.
        audience: the identities under which the agent here is called, `agent-id@thumbprint`. Nothing of the request,
            such as its Host header, has a say in it.
        names: what the owner of a key is called here, by its thumbprint.
        own: whether a key is one of our own: its agents are known by their ids alone, whichever of our keys signs.
        lenient: a token by a key that is not known is as good as none, and not wrong.
        max_used: how many used tokens are remembered until they expire.
    """

    def __init__(
        self,
        keys: Keys,
        audience: str | Container[str],
        *,
        names: Callable[[str], str | None] | None = None,
        own: Callable[[str], bool] | None = None,
        lenient: bool = False,
        max_used: int = 200_000,
    ) -> None:
        self._keys = key_finder(keys)
        self._audience: Container[str] = frozenset({audience}) if isinstance(audience, str) else audience
        self._names = names
        self._own = own
        self._lenient = lenient
        self._used = UsedTokens(max_used)

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """HTTP bearer, of the format `codin-call+jwt`."""
        http = a2a.HTTPAuthSecurityScheme(
            scheme="Bearer",
            bearer_format=CALL_TOKEN,
            description="A JWT that the calling agent signs with its own key, for one request to this agent.",
        )
        return {"mesh": a2a.SecurityScheme(http_auth_security_scheme=http)}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """A token, no scopes."""
        return [a2a.SecurityRequirement(schemes={"mesh": a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The agent that signed the token; None where the bearer token is of another kind.

        Raises:
            TokenRefused: the token is wrong, for somebody else, too old, or was used before.
        """
        token = bearer_token(headers)
        shown = read_token(token) if token else None
        if shown is None:
            return None
        kid = shown.kid
        key = self._keys(kid)
        if key is None and self._lenient:
            return None
        claims = shown.verified(key, self._audience)
        if "call" in claims:
            check_chain(claims, chain_in(headers), self._keys)
        if not self._used.use(f"{kid}.{claims['jti']}", claims["exp"] + LEEWAY, time()):
            raise TokenRefused("the call token is refused: it was used before", hint="a token is for one request")
        name = self._names(kid) if self._names is not None else None
        agent = agent_of(claims["sub"]) if self._own is not None and self._own(kid) else ""
        return Caller(name or claims["sub"], claims=claims, agent=agent)
