"""What a card says, and what it does not. Spec 3.6, 4.6.3, 8, 14.3."""

from __future__ import annotations

import re

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.server import App
from codin.task import AgentResponse, Task
from codin.tool import ToolSpec
from codin.trust import BearerTokens
from tests.spec.wire import Wire

pytestmark = pytest.mark.anyio


class Vault:
    name = "open_the_vault"
    spec = ToolSpec("Opens the vault.")

    async def invoke(self) -> str:
        return "open"


@agent
async def guard(text: str) -> str:
    """Keeps things."""
    return text


class Keeper:
    """An agent with a tool."""

    id = "keeper"
    name = "keeper"
    description = "Keeps things."
    tools = (Vault(),)

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.completed()


async def card_of(app: App) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        return await http.get("/.well-known/agent-card.json")


@pytest.mark.requirement("CARD-CONTENT", "DATA-REQUIRED", "DATA-NOT-EMPTY")
async def test_nothing_that_is_required_is_missing_or_empty() -> None:
    card = (await card_of(App(guard))).json()
    for name, field in a2a.AgentCard.model_fields.items():
        assert not field.is_required() or card[field.alias or name], name
    for skill in card["skills"]:
        assert all(skill[name] for name in ("id", "name", "description", "tags"))
    for interface in card["supportedInterfaces"]:
        assert all(interface[name] for name in ("url", "protocolBinding", "protocolVersion"))


@pytest.mark.requirement("CARD-DISCREET", "AUTH-SECRETS")
async def test_a_card_tells_no_token_and_no_tool() -> None:
    told = (await card_of(App(Keeper(), authenticator=BearerTokens({"s3cret": "ada"})))).text
    assert "s3cret" not in told
    assert "vault" not in told.lower()


@pytest.mark.requirement("VERSION-NO-PATCH", "EXTENSION-DECLARED", "EXTENSION-VERSIONED")
async def test_versions_in_a_card() -> None:
    card = (await card_of(App(guard))).json()
    versions = {interface["protocolVersion"] for interface in card["supportedInterfaces"]}
    assert all(re.fullmatch(r"\d+\.\d+", version) for version in versions)
    extensions = [extension["uri"] for extension in card["capabilities"]["extensions"]]
    assert extensions
    assert all(re.search(r"[:/]v\d+$", uri) for uri in extensions)


@pytest.mark.requirement("CARD-PREFERRED", "CARD-INTERFACES")
@pytest.mark.parametrize("bindings", [["JSONRPC", "HTTP+JSON"], ["HTTP+JSON", "JSONRPC"], ["HTTP+JSON"]])
async def test_interfaces_are_those_that_are_served_in_the_order_of_preference(bindings: list[str]) -> None:
    card = (await card_of(App(guard, bindings=bindings))).json()
    current = [each for each in card["supportedInterfaces"] if each["protocolVersion"] == "1.0"]
    assert card["supportedInterfaces"][: len(current)] == current
    assert [each["protocolBinding"] for each in current] == bindings
    assert {each["url"] for each in current} == {"http://test/"}


@pytest.mark.requirement("EXTENDED-UNDECLARED")
async def test_where_there_is_no_extended_card(wire: Wire, app: App) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        card = (await http.get("/clerk/.well-known/agent-card.json")).json()
    assert not card["capabilities"].get("extendedAgentCard")
    assert (await wire.refused("GetExtendedAgentCard")).reason == "UNSUPPORTED_OPERATION"
