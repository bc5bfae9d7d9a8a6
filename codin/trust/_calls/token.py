"""Tokens between agents: short-lived JWTs, each for one callee and one request, bound to the caller's key.

Written by hand on the keys of this package, because every call between agents makes one and reads one; the tests read
and write them with PyJWT as well. Source: RFC 7515, 7519, 7800 (cnf), 8725 (what can go wrong).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from os import urandom
from time import time
from typing import Any, NamedTuple, NoReturn

from pydantic_core import from_json, to_json

from codin.errors import ConfigError, TokenRefused
from codin.trust._calls.limits import agent_of, identity_of, kid_of
from codin.trust._cards.signatures import Keys
from codin.trust._keys.jose import from_base64url, read_object, to_base64url
from codin.trust._keys.keys import PublicKey, SigningKey

__all__ = ["CALL_TOKEN", "Shown", "key_finder", "mint", "read_token", "verify"]

CALL_TOKEN = "codin-call+jwt"
"""The `typ` of these tokens. No other JWT by the same key is taken for one."""

LEEWAY = 5
"""Seconds by which the clocks of two machines may differ."""

_TTL = 60
_LONGEST_TTL = 300
_LONGEST = 32 * 1024
_LONGEST_HEAD = 1024
_AGENT = re.compile(r"[A-Za-z0-9_.~%-]{1,200}")


def mint(
    key: SigningKey, agent: str, audience: str, *, call: Mapping[str, Any] | None = None, ttl: float = _TTL
) -> str:
    """A token by which an agent calls another, once.

    Args:
        agent: the id of the agent that calls.
        audience: the identity of the agent that is called.
        call: the limits of the call.
        ttl: seconds for which it is good.

    Raises:
        ConfigError: the time is not within 1 to 300 seconds.
    """
    if not 1 <= ttl <= _LONGEST_TTL:
        raise ConfigError(f"a call token cannot be good for {ttl:g} s", hint=f"1 to {_LONGEST_TTL} seconds")
    now, public = int(time()), key.public
    header, claims = _beginning(public.algorithm, public.kid, agent, audience)
    limits = f',"call":{to_json(call).decode()}' if call else ""
    claims = f'{claims},"iat":{now},"exp":{now + int(ttl)},"jti":"{to_base64url(urandom(16))}"{limits}}}'
    signed = f"{header}.{to_base64url(claims.encode())}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def verify(token: str, keys: Keys, audience: Container[str]) -> dict[str, Any]:
    """The claims of a token. Whether it was used before is not looked at.

    Args:
        keys: those that count here.
        audience: the identities of the agent that is called.

    Raises:
        TokenRefused: it does not prove anything, and why. The message quotes nothing of it.
    """
    shown = read_token(token.encode("ascii", "replace"))
    if shown is None:
        _refuse("it is no call token")
    return shown.verified(key_finder(keys)(shown.kid), audience)


def key_finder(keys: Keys) -> Callable[[str], PublicKey | None]:
    """The look-up of a key by its thumbprint."""
    return keys if callable(keys) else {key.kid: key for key in keys}.get


class Shown(NamedTuple):
    """A call token as somebody shows it: nothing of it is proven."""

    kid: str
    algorithm: str
    signed: bytes
    body: bytes
    signature: bytes

    def verified(self, key: PublicKey | None, audience: Container[str]) -> dict[str, Any]:
        """The claims, once the key is known. Raises as `verify` does."""
        if key is None or key.expired:
            _refuse("its key is not known here, or not any more", hint="let the other side approve the key")
        if not key.allows(self.algorithm):  # the key says by which algorithm, whatever the token says
            _refuse("its algorithm is not that of its key")
        claims = _opened(self, key)
        _check(claims, key.kid, audience, time())
        return claims


def read_token(token: bytes) -> Shown | None:
    """The parts of a call token; None for a bearer token of another kind.

    Raises:
        TokenRefused: it is a call token, and its header is wrong.
    """
    signed, _, signature = token.rpartition(b".")
    head, _, body = signed.partition(b".")
    named = _read_header(head) if len(token) <= _LONGEST and len(head) <= _LONGEST_HEAD else None
    return None if named is None else Shown(*named, signed, body, signature)


def _opened(shown: Shown, key: PublicKey) -> dict[str, Any]:
    try:
        right = key.verify(from_base64url(shown.signature), shown.signed)
    except ValueError:
        right = False
    if not right:
        _refuse("its signature is wrong")
    try:
        claims: dict[str, Any] | None = from_json(from_base64url(shown.body), cache_strings="keys")  # no two are alike
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        _refuse("its claims are no JSON object")
    return claims


def _check(claims: Mapping[str, Any], kid: str, audience: Container[str], now: float) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        _refuse("it has no `iat` and `exp` in whole seconds")
    if expires <= now - LEEWAY:
        _refuse("it has expired", hint="a token is for one request; look at the clocks of both machines")
    if issued > now + LEEWAY:
        _refuse("it is from the future", hint="look at the clocks of both machines")
    if expires - issued > _LONGEST_TTL:
        _refuse(f"it is good for longer than {_LONGEST_TTL} s")
    said = claims.get("aud")
    if not isinstance(said, str) or said not in audience:
        _refuse("it is for another agent", hint="fetch the card again; the agent may have another key now")
    identity = claims.get("sub")
    if not isinstance(identity, str) or claims.get("iss") != identity or not _is_of(identity, kid):
        _refuse("it does not name the agent that signed it")
    cnf: dict[str, Any] | None = claims.get("cnf")
    if not isinstance(cnf, dict) or cnf.get("jkt") != kid:
        _refuse("it is bound to another key than the one that signed it")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 128:
        _refuse("it has no `jti` of 8 to 128 characters")
    if "call" in claims and not isinstance(claims["call"], dict):
        _refuse("its `call` is no JSON object")


@lru_cache(maxsize=256)
def _is_of(identity: str, kid: str) -> bool:
    return kid_of(identity) == kid and _AGENT.fullmatch(agent_of(identity)) is not None


@lru_cache(maxsize=1024)
def _beginning(algorithm: str, kid: str, agent: str, audience: str) -> tuple[str, str]:
    """The header, and the JSON that the claims begin with: what all tokens of one agent for another have in common."""
    identity = identity_of(agent, kid)
    claims = to_json({"iss": identity, "sub": identity, "aud": audience, "cnf": {"jkt": kid}})
    return to_base64url(to_json({"alg": algorithm, "kid": kid, "typ": CALL_TOKEN})), claims.decode().removesuffix("}")


@lru_cache(maxsize=1024)  # one caller's tokens all begin alike
def _read_header(head: bytes) -> tuple[str, str] | None:
    """The thumbprint and the algorithm that a call token names; None for any other token."""
    try:
        header = read_object(from_base64url(head))
    except ValueError:
        return None
    if header.get("typ") != CALL_TOKEN:
        return None
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        _refuse("its header has no `kid` or no `alg`")
    if "crit" in header:
        _refuse("its header wants something that is not known here")  # RFC 7515 4.1.11
    return kid, algorithm


def _refuse(why: str, hint: str | None = None) -> NoReturn:
    raise TokenRefused(f"the call token is refused: {why}", hint=hint)
