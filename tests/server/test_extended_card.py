"""The extended card: for callers who are known, made for each of them, signed as the public one is. Spec 3.1.11."""

from __future__ import annotations

import pytest
from pydantic_core import to_json

from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError
from codin.server import App
from codin.trust import BearerTokens, Caller, KeyRing, SigningKey, verify_card
from tests.server.rpc import Rpc

pytestmark = pytest.mark.anyio

TOKENS = BearerTokens({"ada": Caller("ada", scopes=frozenset({"staff"})), "bob": "bob", "eve": "eve"})
ADA, BOB, EVE = "Bearer ada", "Bearer bob", "Bearer eve"
AUDIT = a2a.AgentSkill(id="audit", name="audit", description="Look into the books.", tags=["books"])


@agent
async def clerk(text: str) -> str:
    """Answer questions."""
    return text


def extend(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard | None:
    """Staff sees the audit; Eve sees nothing."""
    if caller.id == "eve":
        return None
    return card.model_copy(update={"skills": [*card.skills, AUDIT]}) if "staff" in caller.scopes else card


async def extend_later(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard | None:
    return extend(card, caller)


async def test_the_public_card_says_that_there_is_one() -> None:
    rpc = Rpc(App(clerk, authenticator=TOKENS, extended_card=extend))
    card = (await rpc.http.get("/.well-known/agent-card.json")).json()
    assert card["capabilities"]["extendedAgentCard"] is True
    assert [skill["id"] for skill in card["skills"]] == ["clerk"]


@pytest.mark.parametrize("make", [extend, extend_later])
async def test_each_caller_gets_a_card_of_their_own(make: object) -> None:
    rpc = Rpc(App(clerk, authenticator=TOKENS, extended_card=make))  # type: ignore[arg-type]
    for token, skills in ((ADA, ["clerk", "audit"]), (BOB, ["clerk"])):
        card = await rpc.result("GetExtendedAgentCard", Authorization=token)
        assert [skill["id"] for skill in card["skills"]] == skills
        assert card["supportedInterfaces"][0]["url"] == "http://test/"


async def test_who_has_none_is_told_so() -> None:
    rpc = Rpc(App(clerk, authenticator=TOKENS, extended_card=extend))
    error = await rpc.error("GetExtendedAgentCard", Authorization=EVE)
    assert error["code"] == -32007
    assert error["reason"] == "EXTENDED_AGENT_CARD_NOT_CONFIGURED"


@pytest.mark.requirement("EXTENDED-KNOWN")
async def test_a_stranger_gets_none_even_where_strangers_may_call() -> None:
    rpc = Rpc(App(clerk, authenticator=TOKENS, anonymous=True, extended_card=extend))
    body = to_json({"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"})
    response = await rpc.post(body)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "result" not in response.json()


async def test_without_one_the_operation_is_not_supported() -> None:
    rpc = Rpc(App(clerk))
    error = await rpc.error("GetExtendedAgentCard")
    assert error["code"] == -32004


async def test_it_is_signed_for_the_place_of_each_agent() -> None:
    key = SigningKey.generate()

    @agent
    async def porter(text: str) -> str:
        """Carry."""
        return text

    app = App(
        clerk,
        porter,
        authenticator=TOKENS,
        keys=KeyRing.of(key),
        public_url="https://a.example/x",
        extended_card=extend,
    )
    for name in ("clerk", "porter"):
        card = await Rpc(app, f"/{name}").result("GetExtendedAgentCard", Authorization=ADA)
        assert verify_card(to_json(card), [key.public]) == key.public
        assert card["supportedInterfaces"][0]["url"] == f"https://a.example/x/{name}/"


async def test_a_client_cannot_say_where_the_agent_is() -> None:
    rpc = Rpc(App(clerk, authenticator=TOKENS, extended_card=extend))
    body = to_json({"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"})
    headers = [
        (b"content-type", b"application/json"),
        (b"a2a-version", b"1.0"),
        (b"authorization", ADA.encode()),
        (b":card-url", b"https://evil.example/ "),
    ]
    response = await rpc.http.post("/", content=body, headers=headers)
    assert response.json()["result"]["supportedInterfaces"][0]["url"] == "http://test/"


def test_where_nobody_can_say_who_they_are_there_is_none() -> None:
    with pytest.raises(ConfigError, match="extended card"):
        App(clerk, extended_card=extend)
