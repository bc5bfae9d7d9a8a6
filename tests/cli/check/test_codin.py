"""Codin's own server keeps every rule that can be checked, over every binding."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from codin import a2a
from codin.agent import agent
from codin.cli.check._bench import Wishes
from codin.cli.check._catalog import chosen
from codin.cli.check._examine import examine
from codin.cli.check._report import Report
from codin.cli.check._verdict import Outcome
from codin.cli.check._wire import Caller
from codin.net import MemoryTransport, open_transport
from codin.server import App
from codin.task import Limits, PushPolicy
from codin.trust import BearerTokens, SigningKey
from tests.cli.check.subject import Exchange, Spoiled, checked, clerk
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

FIRST, SECOND = (Caller({"Authorization": f"Bearer {name}"}) for name in ("one", "two"))
TOKENS = {"one": "ada", "two": "eve"}
BRIEF = Limits(drain=0.05)


def broken(report: Report) -> list[str]:
    """What is not kept, in words."""
    return [
        f"{result.check.name} ({result.binding}): {finding.rule}: {finding.expected}: {finding.received}"
        for result in report.results
        for finding in result.findings
    ]


def unchecked(report: Report) -> set[str]:
    return {result.check.name for result in report.results if result.outcome is Outcome.UNCHECKED}


@pytest.fixture
async def app() -> AsyncIterator[App]:
    # The webhook is never posted to: its configurations are deleted, or their tasks canceled.
    app = App(clerk, versions=("1.0",), push=PushPolicy(guard=None, tries=1), limits=BRIEF, grpc_port=0)
    await app.start()
    try:
        yield app
    finally:
        await app.close()


async def test_over_sockets_every_binding_keeps_every_rule(app: App) -> None:
    wishes = Wishes(asks="ask which?", lasts="work", timeout=10.0, webhook="http://127.0.0.1:9/")
    transport = open_transport()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # by which asyncio knows TCP
    listener.bind(("127.0.0.1", 0))
    async with asyncio.timeout(120), listening(app, listener) as served:
        report = await examine(served.url, chosen((), ()), wishes, transport)
        await transport.aclose()
    assert broken(report) == []
    assert list(report.agent.wires) == ["JSONRPC", "HTTP+JSON", "GRPC"]
    assert unchecked(report) == {
        "signature-header",  # it has no key
        "signature-fits",
        "required-extension",  # and requires no extension
        "without-a-credential",  # and no credential
        "with-a-wrong-credential",
        "tasks-of-others",
        "list-of-others",
        "another-tenant",
        "extended-for-nobody",
        "extended-for-a-caller",
        "old-message",
    }


async def test_an_agent_with_keys_callers_and_extensions_keeps_every_rule() -> None:
    @agent(extensions=[a2a.AgentExtension(uri="urn:test:wanted", required=True)])
    async def porter(text: str) -> str:
        return text.upper()

    app = App(
        porter,
        authenticator=BearerTokens(TOKENS),
        extended_card=lambda card, caller: card.model_copy(update={"description": f"for {caller.id}"}),
        keys=SigningKey.generate(),
        push=False,
        public_url="http://agent",
        limits=BRIEF,
    )
    report = await checked(app, caller=FIRST, second=SECOND)
    assert broken(report) == []
    found = {result.check.name for result in report.results if result.outcome is Outcome.PASSED}
    assert found >= {
        "signature-header",
        "signature-fits",
        "required-extension",
        "without-a-credential",
        "with-a-wrong-credential",
        "tasks-of-others",
        "list-of-others",
        "extended-for-nobody",
        "extended-for-a-caller",
        "push-undeclared",
        "push-inline-undeclared",
        "old-message",
    }


async def test_a_webhook_that_is_not_taken_is_no_fault() -> None:
    transport = MemoryTransport({"agent": App(clerk, limits=BRIEF)})  # which posts to addresses in the internet only
    wishes = Wishes(lasts="work", webhook="http://127.0.0.1:9/")
    report = await examine("http://agent", chosen(["push-is-kept"], ()), wishes, transport)
    await transport.aclose()
    assert [result.outcome for result in report.results] == [Outcome.UNCHECKED] * 2
    assert "--webhook URL names another" in report.results[0].why


async def test_a_credential_does_not_go_where_the_card_leads() -> None:
    heard: list[str] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(str(scope["headers"]))

    app = Spoiled(App(clerk, limits=BRIEF), after=led_astray)
    transport = MemoryTransport({"agent": app, "elsewhere": elsewhere})
    report = await examine("http://agent", chosen(["GET"], ()), Wishes(caller=FIRST, timeout=1.0), transport)
    await transport.aclose()
    assert heard == []
    assert "not where the credential was given for" in report.agent.unasked["JSONRPC"]


def led_astray(exchange: Exchange) -> None:
    if exchange.path.endswith(".json"):
        card = exchange.document
        for interface in card["supportedInterfaces"]:
            interface["url"] = "http://elsewhere/"
        exchange.document = card


async def test_an_agent_that_answers_with_messages_keeps_what_concerns_it() -> None:
    @agent(reply="message")
    async def parrot(text: str) -> str:
        return text

    report = await checked(App(parrot, limits=BRIEF))
    assert not report.counts[Outcome.FAILED], broken(report)
    assert not report.counts[Outcome.WARNED], broken(report)
    assert "cancel-ended" in unchecked(report)
