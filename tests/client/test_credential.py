"""What `connect(credential=…)` shows, when, and to whom."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Backoff
from codin.errors import CardNotTrusted, ConfigError
from codin.task import Task
from codin.testing import mesh, serving
from codin.trust import (
    Access,
    AgentIdentity,
    ApiKey,
    ApiKeys,
    BearerTokens,
    Caller,
    KeyRing,
    Outbound,
    Rule,
    SigningKey,
    Token,
    TrustPolicy,
    TrustStore,
    identity_of,
)

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate()
OTHER = SigningKey.generate()


@agent
async def who(task: Task) -> str:
    """Tell who calls."""
    return task.caller.id


@agent
async def front(task: Task) -> str:
    """Ask another agent."""
    return (await task.call(task.text, "hello")).text


def believing(*keys: SigningKey) -> TrustPolicy:
    return TrustPolicy("prefer", store=TrustStore(), keys=[key.public for key in keys], first_use=False)


class Counting:
    """A credential that notes what it is asked for."""

    def __init__(self, **headers: str) -> None:
        self.sent = headers
        self.asked: list[tuple[str | None, Outbound]] = []

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        self.asked.append((card and card.name, request))
        return {name.replace("_", "-"): value for name, value in self.sent.items()}


@pytest.mark.requirement("AUTH-CLIENT")
async def test_it_is_asked_for_every_request() -> None:
    counting = Counting(X_API_Key="k3y")
    keys = ApiKeys({"k3y": "ada"})
    async with mesh(who, authenticator=keys) as peers, peers.connect("who", credential=counting) as peer:
        assert (await peer.send("hello")).text == "ada"
        assert "ada" in [event.text async for event in peer.stream("hello")]
        assert len([task async for task in peer.list()]) == 2
    assert [name for name, _ in counting.asked] == [None, "who", "who", "who"]
    assert {request.audience for _, request in counting.asked} == {None}


async def test_a_card_may_need_one_too() -> None:
    hidden = Access({"who": Rule(scopes="see", hidden=True)}, grants={"ada": "see"})
    callers = BearerTokens({"t0ken": "ada"})
    async with (
        serving(who, authenticator=callers, access=hidden) as url,
        codin.connect(url, credential=Token("t0ken")) as peer,
    ):
        assert (await peer.send("hello")).text == "ada"


@pytest.mark.parametrize("sent", [{"X-Bad Name": "s3cret"}, {"X-Key": "s3cret\r\nX-Evil: 1"}, {"X-Key": "s3cret\x00"}])
async def test_what_http_does_not_allow_is_not_sent_and_not_quoted(sent: dict[str, str]) -> None:
    async with mesh(who) as peers:
        with pytest.raises(ConfigError) as caught:
            async with peers.connect("who", credential=Counting(**sent)):
                pass
    assert "s3cret" not in str(caught.value)


async def test_a_token_and_a_credential_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        codin.connect("http://127.0.0.1:1", token="t", credential=Token("t"))


async def test_a_credential_does_not_go_to_another_host_that_a_card_names() -> None:
    counting = Counting(Authorization="Bearer s3cret")
    async with serving(who, public_url="https://evil.example.com") as url:
        with pytest.raises(ConfigError, match="not sent to the other"):
            async with codin.connect(url, credential=counting):
                pass
    assert [name for name, _ in counting.asked] == [None]


async def test_an_agent_shows_itself_to_a_peer_whose_card_was_verified() -> None:
    async with serving(who, keys=KEY) as url:
        identity = AgentIdentity(KEY, "router")
        async with codin.connect(url, credential=identity, trust=believing(KEY)) as peer:
            assert {(await peer.send("hello")).text for _ in range(3)} == {identity_of("router", KEY.kid)}
        async with codin.connect(url, credential=identity, trust=believing(OTHER)) as peer:
            assert (await peer.send("hello")).text == "anonymous"


async def test_a_peer_that_wants_a_token_and_cannot_be_verified_is_not_called() -> None:
    identity = AgentIdentity(KEY, "router")
    async with (
        serving(who, keys=KEY, anonymous=False) as url,
        codin.connect(url, credential=identity, trust=believing()) as peer,
    ):
        with pytest.raises(CardNotTrusted, match="was not verified"):
            await peer.send("hello")


class Thief:
    """An authenticator that keeps what it is shown."""

    schemes: Mapping[str, a2a.SecurityScheme] = {}

    def __init__(self) -> None:
        self.loot: list[str] = []
        self.requirements: list[a2a.SecurityRequirement] = []

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller:
        self.loot.append(headers[b"authorization"].decode().removeprefix("Bearer "))
        return Caller("somebody")


async def test_what_one_agent_is_shown_is_of_no_use_at_another_of_the_same_name() -> None:
    thief = Thief()
    async with serving(who, keys=KEY, anonymous=False) as url, serving(who, keys=OTHER, authenticator=thief) as evil:
        identity = AgentIdentity(KEY, "router")
        async with codin.connect(evil, credential=identity, trust=believing(KEY, OTHER)) as peer:
            await peer.send("hello")
        (stolen,) = thief.loot
        async with codin.connect(url, token=stolen) as peer:
            with pytest.raises(a2a.Unauthenticated, match="for another agent"):
                await peer.send("hello")


async def test_agents_of_one_workspace_know_each_other_by_themselves() -> None:
    ring = KeyRing.of(KEY)
    async with (
        serving(who, keys=ring, anonymous=False) as behind,
        serving(front, keys=ring) as url,
        codin.connect(url) as peer,
    ):
        assert (await peer.send(behind)).text == identity_of("front", KEY.kid)


async def test_a_caller_is_not_forwarded() -> None:
    ring = KeyRing.of(KEY)
    callers = BearerTokens({"token-of-ada": "ada"})
    async with (
        serving(who, keys=ring) as behind,
        serving(front, keys=ring, authenticator=callers) as url,
        codin.connect(url, token="token-of-ada") as peer,
    ):
        assert (await peer.send(behind)).text == identity_of("front", KEY.kid)


async def test_a_request_that_is_sent_again_has_a_token_of_its_own() -> None:
    """The first one may have arrived; a token counts once."""
    seen: list[str] = []
    async with serving(who, keys=KEY, anonymous=False) as url:
        original = AgentIdentity(KEY, "router")

        class Noting:
            async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
                sent = await original.headers(card, request)
                seen.extend(sent.values())
                return sent

        async with codin.connect(
            url, credential=Noting(), trust=believing(KEY), backoff=Backoff(tries=2, first=0.001)
        ) as peer:
            task = (await peer.send("hello")).task
            assert task is not None
            for _ in range(3):
                await peer.get(task.id)
    assert len(seen) == len(set(seen)) == 4


async def test_an_api_key_goes_into_its_header() -> None:
    keys, key = ApiKeys({"k3y": "ada"}, "X-Desk"), ApiKey("k3y", "X-Desk")
    async with mesh(who, authenticator=keys) as peers, peers.connect("who", credential=key) as peer:
        assert (await peer.send("hello")).text == "ada"
