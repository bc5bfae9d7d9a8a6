"""The extended card, in every binding. Spec 3.1.11, 13.3."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from codin import a2a
from codin.server import App
from codin.trust import BearerTokens, Caller
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import Wire

pytestmark = pytest.mark.anyio

TOKENS = BearerTokens({"ada": Caller("ada", scopes=frozenset({"staff"})), "bob": "bob", "eve": "eve"})
AUDIT = a2a.AgentSkill(id="audit", name="audit", description="Look into the books.", tags=["books"])


def extended(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard | None:
    """Staff sees the audit; Eve has no card."""
    if caller.id == "eve":
        return None
    return card.model_copy(update={"skills": [*card.skills, AUDIT]}) if "staff" in caller.scopes else card


@pytest.fixture
def app(clerk: Clerk, options: dict[str, Any]) -> App:
    """Lets strangers call, and shows them no extended card."""
    url = "https://agents.example"  # a call over gRPC does not say where the cards are
    return App(clerk, parrot, authenticator=TOKENS, anonymous=True, extended_card=extended, public_url=url, **options)


def by(wire: Wire, name: str | None) -> Wire:
    return wire.saying(Authorization=f"Bearer {name}" if name else None)


@pytest.mark.requirement("EXTENDED-GIVEN", "EXTENDED-PRIVILEGED")
async def test_each_caller_gets_a_whole_card_and_no_more_than_that(wire: Wire) -> None:
    for name, skills in (("ada", ["clerk", "audit"]), ("bob", ["clerk"])):
        card = await by(wire, name).result("GetExtendedAgentCard")
        assert a2a.AgentCard.from_dict(card).name == card["name"]
        assert [skill["id"] for skill in card["skills"]] == skills
        assert card["supportedInterfaces"]


@pytest.mark.requirement("EXTENDED-KNOWN")
async def test_a_stranger_gets_none(wire: Wire) -> None:
    assert await by(wire, None).send()
    assert (await by(wire, None).refused("GetExtendedAgentCard")).reason == "UNAUTHENTICATED"


@pytest.mark.requirement("EXTENDED-NOT-CONFIGURED")
async def test_who_has_none_is_told_so(wire: Wire) -> None:
    refused = await by(wire, "eve").refused("GetExtendedAgentCard")
    assert refused.reason == "EXTENDED_AGENT_CARD_NOT_CONFIGURED"


@pytest.mark.requirement("EXTENDED-CACHE")
async def test_nobody_in_between_keeps_it(app: App) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agents.example") as http:
        headers = {"A2A-Version": "1.0", "Authorization": "Bearer ada"}
        answer = await http.get("/clerk/extendedAgentCard", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
