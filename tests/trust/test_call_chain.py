"""The path of a call is proved link by link, and who edits it is found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from codin import a2a
from codin.errors import TokenRefused
from codin.trust import (
    CHAIN_HEADER,
    AgentIdentity,
    Budget,
    CallLimits,
    Errand,
    MeshTokens,
    Outbound,
    SigningKey,
    digest_of,
    identity_of,
    mint,
    sign_link,
)
from tests.client.scripted import card as plain_card

pytestmark = pytest.mark.anyio

KEYS = {name: SigningKey.generate() for name in "abcd"}
WHO = {name: identity_of(name, key.kid) for name, key in KEYS.items()}
SOON = int(time.time() * 1000) + 60_000


def tokens(audience: str, known: str = "abcd") -> MeshTokens:
    return MeshTokens([KEYS[name].public for name in known], WHO[audience])


def headers(token: str, *links: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {token}".encode(), CHAIN_HEADER.lower().encode(): ",".join(links).encode()}


def limits_of(path: str, prev: str | None = None, **fields: Any) -> CallLimits:
    return CallLimits(tuple(WHO[name] for name in path), fields.pop("deadline", SOON), Budget(**fields), prev)


def card() -> a2a.AgentCard:
    """Of an agent that takes call tokens."""
    schemes = {name: scheme.to_dict() for name, scheme in tokens("d").schemes.items()}
    return plain_card("http://d/", securitySchemes=schemes)


@dataclass
class Hops:
    """A call from a to b to c to d, as honest agents make it; a test changes what it likes."""

    first: CallLimits
    second: CallLimits
    third: CallLimits

    @classmethod
    def honest(cls) -> Hops:
        return cls(limits_of("a", tokens=100), limits_of("ab", tokens=50), limits_of("abc", tokens=50))

    def links(self) -> list[str]:
        made: list[str] = []
        for (caller, callee), limits in zip(("ab", "bc", "cd"), (self.first, self.second, self.third), strict=True):
            said = replace(limits, prev=digest_of(made[-1]) if made else None)
            made.append(sign_link(KEYS[caller], caller, WHO[callee], said.to_claim()))
        return made

    def token(self, links: list[str]) -> str:
        claim = replace(self.third, prev=digest_of(links[-2])).to_claim()
        return mint(KEYS["c"], "c", WHO["d"], call=claim)


async def shown(hops: Hops, links: list[str] | None = None, known: str = "abcd") -> Mapping[str, Any]:
    made = hops.links()
    caller = await tokens("d", known).authenticate(headers(hops.token(made), *(made if links is None else links)))
    assert caller is not None
    return caller.claims


async def test_an_honest_chain_is_taken() -> None:
    claims = await shown(Hops.honest())
    assert CallLimits.from_claim(claims["call"]).path == (WHO["a"], WHO["b"], WHO["c"])


@pytest.mark.parametrize("known", ["c", "ac", "bc"])
async def test_links_of_agents_who_are_not_known_are_borne(known: str) -> None:
    await shown(Hops.honest(), known=known)


async def test_a_chain_may_begin_behind_agents_that_sign_nothing() -> None:
    hops = Hops.honest()
    link = sign_link(KEYS["c"], "c", WHO["d"], hops.third.to_claim())
    token = mint(KEYS["c"], "c", WHO["d"], call=hops.third.to_claim())
    assert await tokens("d").authenticate(headers(token, link)) is not None
    assert await tokens("d").authenticate(
        {b"authorization": f"Bearer {mint(KEYS['c'], 'c', WHO['d'], call=hops.third.to_claim())}".encode()}
    )


def _swapped(links: list[str]) -> list[str]:
    return [links[1], links[0], links[2]]


def _edited(links: list[str]) -> list[str]:
    """The first link, with more money in it, by its signature of before."""
    other = sign_link(KEYS["a"], "a", WHO["b"], limits_of("a", tokens=10**6).to_claim())
    return [f"{other.rpartition('.')[0]}.{links[0].rpartition('.')[2]}", *links[1:]]


def _forged(links: list[str]) -> list[str]:
    """The first link in the name of a, by the key of b."""
    forged = sign_link(KEYS["b"], "a", WHO["b"], limits_of("a", tokens=100).to_claim())
    return [forged, *links[1:]]


LIES: dict[str, Callable[[list[str]], list[str]]] = {
    "the beginning is cut off": lambda links: links[1:],
    "the middle is left out": lambda links: [links[0], links[2]],
    "the end is left out": lambda links: links[:2],
    "in another order": _swapped,
    "edited": _edited,
    "by another key": _forged,
    "a token for a link": lambda links: [mint(KEYS["a"], "a", WHO["b"], call={}), *links[1:]],
    "junk": lambda links: ["junk", *links[1:]],
    "empty": lambda links: ["", *links],
    "far too many": lambda links: links * 30,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_chain_that_was_changed_is_refused(lie: str) -> None:
    hops = Hops.honest()
    with pytest.raises(TokenRefused):
        await shown(hops, LIES[lie](hops.links()))


@pytest.mark.parametrize(
    "third",
    [
        limits_of("abc", tokens=51),
        limits_of("abc", money=1.0),
        limits_of("abc", tokens=50, deadline=SOON + 1),
        limits_of("abc", tokens=50, deadline=None),
        limits_of("bac", tokens=50),
        limits_of("ab", tokens=50),
        limits_of("", tokens=50),
    ],
)
async def test_an_agent_in_the_middle_that_gives_more_than_it_got_is_refused(third: CallLimits) -> None:
    with pytest.raises(TokenRefused):
        await shown(replace(Hops.honest(), third=third))


async def test_a_token_whose_path_does_not_end_with_its_signer_is_refused() -> None:
    token = mint(KEYS["c"], "c", WHO["d"], call=limits_of("ab").to_claim())
    with pytest.raises(TokenRefused, match="does not end with the agent that calls"):
        await tokens("d").authenticate(headers(token))


async def test_the_last_link_is_that_of_the_token_beside_it() -> None:
    hops = Hops.honest()
    other = replace(hops, third=limits_of("abc", tokens=40))
    with pytest.raises(TokenRefused, match="last link"):
        await shown(hops, other.links())


async def test_a_link_lets_nobody_in() -> None:
    link = Hops.honest().links()[0]
    assert await tokens("b").authenticate(headers(link)) is None


async def test_an_agent_adds_its_link_to_those_before() -> None:
    hops = Hops.honest()
    before = hops.links()[:2]
    claim = replace(hops.third, prev=digest_of(before[-1])).to_claim()
    sent = await AgentIdentity(KEYS["c"], "c").headers(
        card(), Outbound("http://d/", WHO["d"], Errand(claim=claim, chain=before))
    )
    request = {name.lower().encode(): value.encode() for name, value in sent.items()}
    assert sent[CHAIN_HEADER].split(",")[:2] == before
    assert await tokens("d").authenticate(request) is not None


async def test_a_request_that_is_no_call_has_no_chain() -> None:
    sent = await AgentIdentity(KEYS["c"], "c").headers(card(), Outbound("http://d/", WHO["d"], None))
    assert list(sent) == ["Authorization"]
