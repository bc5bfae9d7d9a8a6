"""What a client shows, to whom, and what it shows nobody."""

from __future__ import annotations

import asyncio
import base64
import logging
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from codin import a2a
from codin.errors import BadResponse, CardNotTrusted, ConfigError, TokenRefused, TransportError
from codin.net import HttpxTransport
from codin.trust import (
    AgentIdentity,
    ApiKey,
    Caller,
    ClientCredentials,
    Credential,
    Errand,
    KeyRing,
    MeshTokens,
    OnBehalfOf,
    Outbound,
    SigningKey,
    Token,
    audience_of,
    identity_of,
    verify,
)

pytestmark = pytest.mark.anyio

TOKEN_URL = "https://login.example.com/token"
SECRET = "cl1ent-s3cret"


class Server:
    """An authorization server, as a transport."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.status = 200
        self.life: Any = 600
        self.forms: list[dict[str, str]] = []
        self.headers: list[httpx.Headers] = []
        self.transport = HttpxTransport(httpx.MockTransport(self._respond))

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.forms.append({name: value for name, [value] in parse_qs(request.content.decode()).items()})
        self.headers.append(request.headers)
        await asyncio.sleep(0)  # lets others come who want the same
        if self.answer is not None:
            return httpx.Response(self.status, **self.answer)
        said = {"access_token": f"t{len(self.forms)}", "token_type": "Bearer", "expires_in": self.life}
        return httpx.Response(self.status, json=said)

    def account(self, **options: Any) -> ClientCredentials:
        return ClientCredentials(TOKEN_URL, "robot", SECRET, transport=self.transport, **options)

    def exchange(self, **options: Any) -> OnBehalfOf:
        return OnBehalfOf(TOKEN_URL, "robot", SECRET, audience="api://there", transport=self.transport, **options)


@pytest.fixture
def server() -> Server:
    return Server()


def card(identity: str | None = None, *, required: bool = False, mesh: bool = True) -> a2a.AgentCard:
    extension = a2a.AgentExtension(uri=a2a.CALL_EXTENSION, params={"agent": identity})
    tokens = MeshTokens([], "x")
    return a2a.AgentCard(
        name="translator",
        description="",
        version="1",
        supported_interfaces=[],
        capabilities=a2a.AgentCapabilities(extensions=[extension] if identity else []),
        default_input_modes=[],
        default_output_modes=[],
        skills=[],
        security_schemes=dict(tokens.schemes) if mesh else {},
        security_requirements=tokens.requirements if required else [],
    )


async def shown(credential: Credential, to: a2a.AgentCard | None = None, **request: Any) -> dict[str, str]:
    return dict(await credential.headers(to or card(), Outbound("https://agents.example.com", **request)))


async def test_a_token_and_a_key_are_the_same_for_every_request() -> None:
    assert await shown(Token("t0ken")) == {"Authorization": "Bearer t0ken"}
    assert await shown(ApiKey("k3y")) == {"X-API-Key": "k3y"}
    assert await shown(ApiKey("k3y", "X-Other")) == {"X-Other": "k3y"}


# -- an agent's own tokens ---------------------------------------------------------------------------------------------


async def test_an_agent_makes_a_token_for_every_request() -> None:
    key = SigningKey.generate()
    identity = AgentIdentity(KeyRing.of(key), "router")
    headers = [await shown(identity, audience="translator@k", errand=Errand(claim={"path": ["a@b"]})) for _ in "12"]
    claims = [verify(each["Authorization"].removeprefix("Bearer "), [key.public], {"translator@k"}) for each in headers]
    assert claims[0]["jti"] != claims[1]["jti"]
    assert (claims[0]["sub"], claims[0]["call"]) == (f"router@{key.kid}", {"path": ["a@b"]})


async def test_nobody_gets_a_token_whose_card_was_not_verified() -> None:
    identity = AgentIdentity(SigningKey.generate(), "router")
    assert await shown(identity, card("translator@k")) == {}
    with pytest.raises(CardNotTrusted, match="was not verified"):
        await shown(identity, card("translator@k", required=True))
    assert dict(await identity.headers(None, Outbound("https://x"))) == {}  # the card itself is public


async def test_an_agent_that_does_not_take_them_gets_none() -> None:
    identity = AgentIdentity(SigningKey.generate(), "router")
    assert await shown(identity, card("translator@k", mesh=False), audience="translator@k") == {}


def test_the_audience_is_the_key_that_was_verified_and_not_the_one_that_the_card_names() -> None:
    theirs, ours = SigningKey.generate(), SigningKey.generate()
    lying = card(identity_of("translator", theirs.kid))  # signed by us, and naming somebody else's key
    assert audience_of(lying, ours.kid) == f"translator@{ours.kid}"
    assert audience_of(lying, None) is None
    assert audience_of(card(), ours.kid) is None


# -- OAuth 2 client credentials ----------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_once(server: Server) -> None:
    account = server.account(scopes=["read", "write"], resource="https://agents.example.com")
    assert [await shown(account) for _ in "12"] == [{"Authorization": "Bearer t1"}] * 2
    [form] = server.forms
    assert form == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "resource": "https://agents.example.com",
    }
    basic = base64.b64decode(server.headers[0]["authorization"].removeprefix("Basic ")).decode()
    assert basic == f"robot:{SECRET}"


async def test_many_who_want_it_at_once_ask_once(server: Server) -> None:
    account = server.account()
    headers = await asyncio.gather(*(shown(account) for _ in range(20)))
    assert {each["Authorization"] for each in headers} == {"Bearer t1"}


async def at(monkeypatch: pytest.MonkeyPatch, now: float, account: ClientCredentials) -> str:
    monkeypatch.setattr("codin.trust._credentials.token_endpoint.monotonic", lambda: now)
    return (await shown(account))["Authorization"]


async def test_it_is_not_used_to_the_last_second(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    account = server.account()
    assert [await at(monkeypatch, now, account) for now in (1000.0, 1569.0, 1571.0, 1572.0)] == [
        "Bearer t1",
        "Bearer t1",
        "Bearer t2",
        "Bearer t2",
    ]


@pytest.mark.parametrize("life", [None, 0, -1, True, "soon"])
async def test_a_life_that_makes_no_sense_is_short(server: Server, life: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.life, account = life, server.account()
    for now in (1000.0, 1200.0, 1301.0):
        await at(monkeypatch, now, account)
    assert len(server.forms) == 2


@pytest.mark.parametrize(
    ("status", "answer", "error", "why"),
    [
        (401, {"json": {"error": "invalid_client", "error_description": SECRET}}, TokenRefused, "invalid_client"),
        (400, {"json": {"error": f"<{SECRET}>"}}, TokenRefused, "HTTP 400"),
        (500, {"content": SECRET.encode()}, BadResponse, "not in JSON"),
        (200, {"json": {"token_type": "Bearer"}}, BadResponse, "access_token"),
        (200, {"json": {"access_token": "a\r\nb", "token_type": "Bearer"}}, BadResponse, "access_token"),
        (200, {"json": {"access_token": "a", "token_type": "DPoP"}}, BadResponse, "another kind"),
        (200, {"content": b" " * 70_000}, TransportError, "bytes"),
        (302, {"headers": {"location": "http://169.254.169.254/"}}, BadResponse, "HTTP 302"),
    ],
)
async def test_a_server_that_gives_no_token(
    server: Server, status: int, answer: Any, error: type[Exception], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.status, server.answer = status, answer
    with pytest.raises(error, match=why) as caught:
        await shown(server.account())
    assert SECRET not in str(caught.value) + repr(caught.value) + caplog.text
    assert len(server.forms) == 1


def test_a_secret_is_not_sent_in_the_clear() -> None:
    for make in (ClientCredentials, partial(OnBehalfOf, audience="api://there")):
        with pytest.raises(ConfigError, match="https") as caught:
            make("http://login.example.com/token", "robot", SECRET)
        assert SECRET not in str(caught.value)
        make("http://127.0.0.1:8080/token", "robot", SECRET)


# -- on behalf of somebody ---------------------------------------------------------------------------------------------


async def test_the_callers_token_is_exchanged_and_not_passed_on(server: Server) -> None:
    ada = Caller("ada", token="t0ken-of-ada")
    headers = await shown(server.exchange(scopes=["read"]), errand=Errand(ada))
    assert headers == {"Authorization": "Bearer t1"}
    [form] = server.forms
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "t0ken-of-ada",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "api://there",
        "scope": "read",
    }


async def test_two_callers_get_two_tokens(server: Server) -> None:
    exchange = server.exchange()
    callers = [Caller(name, token=f"t0ken-of-{name}") for name in ("ada", "bob", "ada")]
    seen = [(await shown(exchange, errand=Errand(caller)))["Authorization"] for caller in callers]
    assert seen == ["Bearer t1", "Bearer t2", "Bearer t1"]


async def test_what_is_kept_is_bounded(server: Server) -> None:
    exchange = server.exchange()
    for number in range(1001):
        await shown(exchange, errand=Errand(Caller("ada", token=f"t{number}")))
    await shown(exchange, errand=Errand(Caller("ada", token="t1000")))
    assert len(server.forms) == 1001
    await shown(exchange, errand=Errand(Caller("ada", token="t0")))  # the oldest was let go
    assert len(server.forms) == 1002


@pytest.mark.parametrize("errand", [None, Errand(), Errand(Caller("ada"))])
async def test_without_a_token_of_the_caller_nobody_is_called(server: Server, errand: Errand | None) -> None:
    with pytest.raises(TokenRefused, match="no token of the caller"):
        await shown(server.exchange(), errand=errand)
    assert server.forms == []


async def test_the_card_is_asked_for_without(server: Server) -> None:
    credential = server.exchange(caller=Caller("ada", token="t"))
    assert dict(await credential.headers(None, Outbound("https://x"))) == {}
    assert await shown(credential) == {"Authorization": "Bearer t1"}
