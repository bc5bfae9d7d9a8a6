"""Proof of the path that a call has come: a link for every hop, signed by the agent that made it.

A link is no token: it lets nobody in, so it may be shown to everybody further down the chain, and does not expire.
Source: RFC 7515. The schema of what it signs is in specs/call-v1.json.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pydantic_core import to_json

from codin import a2a
from codin.errors import TokenRefused
from codin.trust._calls.limits import CallLimits, agent_of, identity_of, kid_of
from codin.trust._keys.jose import from_base64url, read_object, to_base64url
from codin.trust._keys.keys import PublicKey, SigningKey

__all__ = ["CHAIN_HEADER", "chain_in", "check_chain", "digest_of", "sign_link"]

CHAIN_HEADER = "Codin-Call-Chain"
"""The request header with the links of a signed call, the first hop first and the present one last."""

_HEADER = CHAIN_HEADER.lower().encode()
_LINK = "codin-link+jwt"
_LONGEST = 16 * 1024


def sign_link(key: SigningKey, agent: str, audience: str, claim: Mapping[str, Any]) -> str:
    """The link for a call: who calls whom, within which limits, and behind which link. The path is in the chain."""
    limits = {name: claim[name] for name in ("deadline", "budget", "prev") if name in claim}
    payload = {"sub": identity_of(agent, key.kid), "aud": audience, "call": limits}
    head = to_base64url(to_json({"alg": key.algorithm, "kid": key.kid, "typ": _LINK}))
    signed = f"{head}.{to_base64url(to_json(payload))}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def digest_of(link: str) -> str:
    """What the next link names this one by."""
    return to_base64url(hashlib.sha256(link.encode()).digest())


def chain_in(headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """The links that a request shows."""
    shown = headers.get(_HEADER)
    return () if shown is None else tuple(map(str.strip, shown.decode("latin-1").split(",")))


def check_chain(claims: Mapping[str, Any], links: Sequence[str], find: Callable[[str], PublicKey | None]) -> None:
    """See whether a verified call token and the links shown beside it tell one story.

    Each link has to follow from the one before, and to be signed by its agent wherever that agent's key is known.

    Args:
        claims: of the token.
        find: the key with a thumbprint, if it is known.

    Raises:
        TokenRefused: they do not.
    """
    limits = _limits(claims["call"])
    # Ids alone are compared: an agent that runs on while its key is rotated is the same agent.
    if not limits.path or agent_of(limits.path[-1]) != agent_of(claims["sub"]):
        _refuse("the path of the call does not end with the agent that calls")
    if not links:
        return
    if len(links) > len(limits.path) or sum(map(len, links)) > _LONGEST:
        _refuse("the chain has more links than the path has agents")
    chain = [_read(link, find) for link in links]
    path = limits.path[-len(chain) :]
    if chain[0].limits.prev is not None:
        _refuse("the beginning of the chain was left out")
    for place, link in enumerate(chain):
        if agent_of(link.agent) != agent_of(path[place]):
            _refuse("a link is signed by another agent than the path names")
        if place:
            _check_step(chain[place - 1], link, links[place - 1])
    last = chain[-1]
    if (last.agent, last.audience) != (claims["sub"], claims["aud"]) or last.limits != _without_path(limits):
        _refuse("the last link is not that of this call")


@dataclass(frozen=True, slots=True)
class _Link:
    agent: str
    audience: str
    limits: CallLimits


def _read(link: str, find: Callable[[str], PublicKey | None]) -> _Link:
    signed, _, signature = link.rpartition(".")
    head, _, body = signed.partition(".")
    try:
        header, payload = read_object(from_base64url(head)), read_object(from_base64url(body))
        proof = from_base64url(signature)
    except ValueError:
        _refuse("a link of the chain is no link")
    kid, agent, audience = header.get("kid"), payload.get("sub"), payload.get("aud")
    if header.get("typ") != _LINK or "crit" in header or not all(isinstance(v, str) for v in (kid, agent, audience)):
        _refuse("a link of the chain is no link")
    kid, agent, audience = cast("tuple[str, str, str]", (kid, agent, audience))
    if kid_of(agent) != kid:
        _refuse("a link does not name the agent that signed it")
    key = find(kid)
    if key is not None and not (key.allows(str(header.get("alg"))) and key.verify(proof, signed.encode())):
        _refuse("the signature of a link is wrong")
    return _Link(agent, audience, _limits(payload.get("call")))


def _check_step(before: _Link, link: _Link, text: str) -> None:
    if link.limits.prev != digest_of(text):
        _refuse("a link does not follow from the one before")
    if agent_of(before.audience) != agent_of(link.agent):
        _refuse("a link was made by another agent than the one that was called")
    given, more = before.limits, link.limits
    later = given.deadline is not None and (more.deadline is None or more.deadline > given.deadline)
    if later or more.budget.within(given.budget) != more.budget:
        _refuse("a link allows more than the one before")


def _limits(claim: object) -> CallLimits:
    try:
        return CallLimits.from_claim(claim)
    except a2a.A2AError as error:
        _refuse(error.message)


def _without_path(limits: CallLimits) -> CallLimits:
    return CallLimits((), limits.deadline, limits.budget, limits.prev)


def _refuse(why: str) -> NoReturn:
    raise TokenRefused(f"the call token is refused: {why}")
