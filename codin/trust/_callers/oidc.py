"""Bearer tokens of an OpenID Connect issuer. Source: RFC 7519, RFC 8725, RFC 9068."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from codin import a2a
from codin.errors import ConfigError, TokenRefused
from codin.net import Transport
from codin.trust._callers.bearer import bearer_token
from codin.trust._callers.caller import Caller
from codin.trust._callers.issuer import Issuer

__all__ = ["OidcTokens"]

_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_KNOWN = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_LONGEST = 16 * 1024


class OidcTokens:
    """JWTs that an issuer signs for the people and programs of an organisation.

    The caller's id is `subject@issuer` without the scheme: a subject is unique only there.

    Args:
        issuer: its URL, exactly as it stands in the tokens; `/.well-known/openid-configuration` is below it.
        audience: what the tokens have to be for; any of several.
        algorithms: those that a signature may have. The key decides which of them it is.
        leeway: seconds by which the clocks may differ.
        max_age: seconds after which the issuer's keys are asked for again.
        pause: seconds between two requests for keys at least; a token whose key is not known is a reason for one.
        keep_token: let the agent have the token as `task.caller.token`, for an `OnBehalfOf`.
        name: of the security scheme in the card.
        transport: how the issuer is reached.

    Raises:
        ConfigError: the issuer's URL is neither https nor on this machine, or an algorithm is not asymmetric.
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str],
        *,
        algorithms: Collection[str] = _ALGORITHMS,
        leeway: float = 30.0,
        max_age: float = 3600.0,
        pause: float = 30.0,
        keep_token: bool = False,
        name: str = "oidc",
        transport: Transport | None = None,
    ) -> None:
        if unknown := sorted(set(algorithms) - _KNOWN):
            raise ConfigError(
                f"the algorithms {', '.join(unknown)} are not taken from an issuer",
                hint=f"a public key verifies by one of {', '.join(sorted(_KNOWN))}",
            )
        self._issuer = Issuer(issuer, transport, max_age, pause)
        self._audience = [audience] if isinstance(audience, str) else list(audience)
        if not any(self._audience):
            raise ConfigError("tokens for anybody are not taken", hint="name the audience that stands for this agent")
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._keep_token = keep_token
        self._name = name
        self._place = issuer.partition("://")[2].rstrip("/")

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """OpenID Connect."""
        oidc = a2a.OpenIdConnectSecurityScheme(open_id_connect_url=self._issuer.discovery)
        return {self._name: a2a.SecurityScheme(open_id_connect_security_scheme=oidc)}

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """A token; which scopes it needs is for `Access` to say."""
        return [a2a.SecurityRequirement(schemes={self._name: a2a.StringList()})]

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The subject of the token; None where the bearer token is none of this issuer.

        Raises:
            TokenRefused: the token is not valid, or not for this agent.
            TransportError: the issuer's keys are not known and cannot be had.
        """
        token = (bearer_token(headers) or b"").decode("latin-1")
        header = self._header_of(token)
        if header is None:
            return None
        kid = header.get("kid")
        key = await self._issuer.key(kid if isinstance(kid, str) else None)
        if key is None:
            raise _refused("its key is none of the issuer's")
        if key.algorithm_name not in self._algorithms or header.get("alg") != key.algorithm_name:
            raise _refused("its algorithm is not one that is taken")
        claims = self._verified(token, key)
        return Caller(
            f"{claims['sub']}@{self._place}",
            scopes=_scopes(claims),
            claims=claims,
            token=token if self._keep_token else None,
        )

    def _header_of(self, token: str) -> dict[str, Any] | None:
        """The header of a JWT that says it is by this issuer; nothing of it is believed yet."""
        from jwt import PyJWTError, decode_complete

        if token.count(".") != 2 or len(token) > _LONGEST:
            return None
        try:
            said = decode_complete(token, options={"verify_signature": False})
        except (PyJWTError, ValueError):
            return None
        return said["header"] if said["payload"].get("iss") == self._issuer.url else None

    def _verified(self, token: str, key: Any) -> dict[str, Any]:
        import jwt

        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer.url,
                leeway=self._leeway,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("it has expired") from None
        except jwt.ImmatureSignatureError:
            raise _refused("it is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise _refused("it is for somebody else") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no {error.claim!r}") from None
        except jwt.PyJWTError:
            raise _refused("it is not valid") from None
        if not claims["sub"]:
            raise _refused("it has no subject")
        return claims


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """What the token allows: `scope` in one text (RFC 8693 4.2), or `scp` as text or list."""
    found: set[str] = set()
    for said in (claims.get("scope"), claims.get("scp")):
        words = said.split() if isinstance(said, str) else cast("list[Any]", said) if isinstance(said, list) else []
        found.update(word for word in words if isinstance(word, str))
    return frozenset(found)


def _refused(why: str) -> TokenRefused:
    return TokenRefused(f"the bearer token is refused: {why}")
