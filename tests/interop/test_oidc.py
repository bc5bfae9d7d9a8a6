"""Tokens of a certified OpenID Provider: what it signs is taken, and what it did not sign is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.errors import TokenRefused
from codin.server import App
from codin.task import Task
from codin.testing import serving
from codin.trust import Access, ClientCredentials, OidcTokens, OnBehalfOf, Outbound, Token

pytestmark = pytest.mark.anyio

HERE = "urn:codin:test:here"
THERE = "urn:codin:test:there"


@agent
async def who(task: Task) -> str:
    """Tell who calls."""
    return f"{task.caller.id.partition('@')[0]} may {' '.join(sorted(task.caller.scopes))}"


def account(issuer: str, *scopes: str, resource: str = HERE, secret: str = "robot-secret") -> ClientCredentials:
    return ClientCredentials(f"{issuer}/token", "robot", secret, scopes=scopes, resource=resource)


@pytest.fixture
async def url(oidc_issuer: str) -> AsyncIterator[str]:
    tokens = OidcTokens(oidc_issuer, HERE, pause=0.01)
    async with serving(App(who, authenticator=tokens, access=Access({"who": "read"}))) as address:
        yield address


async def test_a_program_with_an_account_comes_in(oidc_issuer: str, url: str) -> None:
    async with codin.connect(url, credential=account(oidc_issuer, "read", "write")) as peer:
        assert (await peer.send("hello")).text == "robot may read write"
        scheme = peer.card.security_schemes["oidc"].open_id_connect_security_scheme
        assert scheme is not None
        assert scheme.open_id_connect_url == f"{oidc_issuer}/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("scope", "resource", "secret", "refused", "why"),
    [
        ("write", HERE, "robot-secret", a2a.PermissionDenied, "scopes read"),
        ("admin", HERE, "robot-secret", a2a.PermissionDenied, "scopes read"),
        ("read", THERE, "robot-secret", a2a.Unauthenticated, "for somebody else"),
        ("read", HERE, "wr0ng", TokenRefused, "invalid_client"),
    ],
)
async def test_others_do_not(
    oidc_issuer: str, url: str, scope: str, resource: str, secret: str, refused: type[Exception], why: str
) -> None:
    with pytest.raises(refused, match=why) as caught:
        async with codin.connect(url, credential=account(oidc_issuer, scope, resource=resource, secret=secret)) as peer:
            await peer.send("hello")
    assert "wr0ng" not in str(caught.value)
    assert "robot-secret" not in str(caught.value)


async def _token(issuer: str, resource: str = HERE) -> str:
    headers = await account(issuer, "read", resource=resource).headers(None, Outbound("http://x"))
    return headers["Authorization"].removeprefix("Bearer ")


async def test_an_edited_token_is_refused(oidc_issuer: str, url: str) -> None:
    head, body, signature = (await _token(oidc_issuer)).split(".")
    other = (await _token(oidc_issuer, THERE)).split(".")
    forged = [f"{head}.{body}.{other[2]}", f"{head}.{other[1]}.{signature}", f"{head}.{body}."]
    for token in forged:
        async with codin.connect(url, token=token) as peer:
            with pytest.raises(a2a.Unauthenticated, match="not valid"):
                await peer.send("hello")


async def test_a_new_key_of_the_issuer_is_learned(oidc_issuer: str, url: str) -> None:
    old = await _token(oidc_issuer)
    async with codin.connect(url, token=old) as peer:
        await peer.send("hello")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"{oidc_issuer}/rotate")).status_code == 204
        async with codin.connect(url, token=await _token(oidc_issuer)) as renewed:
            assert (await renewed.send("hello")).text == "robot may read"
        with pytest.raises(a2a.Unauthenticated, match="none of the issuer's"):
            await peer.send("the key is gone")


async def test_an_agent_calls_another_for_its_caller(oidc_issuer: str) -> None:
    """The token is exchanged for one that is good there; the caller's own never gets there."""
    seen: list[str | None] = []

    @agent
    async def back(task: Task) -> str:
        """Is called for somebody."""
        seen.append(task.caller.token)
        return f"{task.caller.id.partition('@')[0]} may {' '.join(task.caller.scopes)}"

    places: list[str] = []

    @agent
    async def front(task: Task) -> str:
        """Ask the other agent for its caller."""
        exchange = OnBehalfOf(
            f"{oidc_issuer}/token", "robot", "robot-secret", audience=THERE, scopes=["read"], caller=task.caller
        )
        async with codin.connect(places[0], credential=exchange) as peer:
            return (await peer.send(task.text)).text

    behind = App(back, authenticator=OidcTokens(oidc_issuer, THERE, keep_token=True))
    before = App(front, authenticator=OidcTokens(oidc_issuer, HERE, keep_token=True))
    async with serving(behind) as place, serving(before) as url:
        places.append(place)
        token = await _token(oidc_issuer)
        async with codin.connect(url, credential=Token(token)) as peer:
            assert (await peer.send("hello")).text == "robot may read"
    assert seen != [token]
    assert seen[0] is not None


async def test_a_token_for_one_agent_is_no_good_at_another(oidc_issuer: str, url: str) -> None:
    async with codin.connect(url, token=await _token(oidc_issuer, THERE)) as peer:
        with pytest.raises(a2a.Unauthenticated, match="for somebody else"):
            await peer.send("hello")
