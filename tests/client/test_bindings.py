"""Which binding is spoken with a peer, and how HTTP+JSON asks for things."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from codin import a2a
from codin.client import Backoff, connect
from codin.errors import BadResponse, ConfigError, ConnectError
from tests.client.scripted import SWIFT, Call, Script, card, now, piece, talking_to, task
from tests.net.wire import Exchange, serving

pytestmark = pytest.mark.anyio

REST = {"protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
RPC = {"protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
DONE = task("COMPLETED", text="ok")


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:  # held, so that nobody else can
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def done(call: Call) -> None:
    await call.result(DONE)


async def got(call: Call) -> None:
    await call.result(DONE["task"])


async def streamed(call: Call) -> None:
    await call.stream(task(), piece("ok"), now("COMPLETED"))


# The choice.


@pytest.mark.requirement("CARD-CLIENT-FIRST", "CARD-CLIENT-URL")
@pytest.mark.parametrize("first", [REST, RPC], ids=["HTTP+JSON", "JSONRPC"])
async def test_the_first_binding_in_the_card_is_spoken(first: dict[str, str]) -> None:
    script = Script(done)
    async with serving(script) as url:
        interfaces = [{"url": url, **each} for each in sorted([REST, RPC], key=lambda each: each is not first)]
        async with connect(card(url, supportedInterfaces=interfaces)) as peer:
            assert peer.interface.protocol_binding == first["protocolBinding"]
            await peer.send("hi")
    assert [call.binding for call in script.calls] == [first["protocolBinding"]]


@pytest.mark.parametrize("binding", ["HTTP+JSON", "JSONRPC"])
async def test_a_binding_can_be_chosen(binding: str) -> None:
    script = Script(done, streamed)
    async with serving(script) as url:
        interfaces = [{"url": url, **RPC}, {"url": url, **REST}]
        async with connect(card(url, supportedInterfaces=interfaces), binding=binding) as peer:
            assert (await peer.send("hi")).text == "ok"
            assert "".join([event.text async for event in peer.stream("hi")]) == "ok"
    assert [call.binding for call in script.calls] == [binding, binding]


async def test_a_binding_that_is_not_there_is_not_replaced_by_another() -> None:
    with pytest.raises(BadResponse, match=r"no HTTP\+JSON interface"):
        async with connect(card("http://e.example"), binding="HTTP+JSON"):
            pass
    with pytest.raises(ConfigError, match="pigeon"):
        connect("http://e.example", binding="pigeon")


# Another way when nobody is reached. Spec 5.2.


@pytest.mark.requirement("CARD-CLIENT-FALLBACK")
async def test_another_interface_is_called_when_nobody_is_reached(nobody: str) -> None:
    script = Script(done, streamed, done)
    async with serving(script) as url:
        interfaces = [{"url": nobody, **RPC}, {"url": f"{url}/acme", **REST, "tenant": "acme"}]
        async with connect(card(url, supportedInterfaces=interfaces), backoff=SWIFT) as peer:
            assert peer.interface.url == nobody
            assert (await peer.send("hi", idempotency_key="mine")).text == "ok"
            assert peer.interface.protocol_binding == "HTTP+JSON"
            assert "".join([event.text async for event in peer.stream("hi")]) == "ok"
            assert (await peer.send("hi")).text == "ok"
    assert script.calls[0].headers["idempotency-key"] == "mine"
    assert [call.exchange.path for call in script.calls] == [f"/acme/acme/message:{name}" for name in (
        "send", "stream", "send",
    )]  # fmt: skip


async def test_a_stream_finds_another_interface_too(nobody: str) -> None:
    script = Script(streamed)
    async with serving(script) as url:
        interfaces = [{"url": nobody, **REST}, {"url": url, **RPC}]
        async with connect(card(url, supportedInterfaces=interfaces), backoff=SWIFT) as peer:
            assert "".join([event.text async for event in peer.stream("hi")]) == "ok"
    assert [call.binding for call in script.calls] == ["JSONRPC"]


async def test_who_has_chosen_a_binding_gets_no_other(nobody: str) -> None:
    script = Script()
    async with serving(script) as url:
        interfaces = [{"url": nobody, **RPC}, {"url": url, **REST}]
        never = Backoff(tries=0)
        async with connect(card(url, supportedInterfaces=interfaces), binding="JSONRPC", backoff=never) as peer:
            with pytest.raises(ConnectError):
                await peer.send("hi")
            with pytest.raises(ConnectError):
                async for _ in peer.stream("hi"):
                    pass
    assert script.calls == []


async def test_credentials_do_not_follow_to_another_host(nobody: str) -> None:
    async def publish(exchange: Exchange) -> None:
        served = card("", supportedInterfaces=[{"url": nobody, **RPC}, {"url": "https://evil.example/", **REST}])
        await exchange.answer(served.to_json())

    async with serving(publish) as url, connect(url, token="secret", backoff=Backoff(tries=0)) as peer:
        with pytest.raises(ConnectError, match="127"):
            await peer.send("hi")


# What HTTP+JSON says.


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.client.scripted.spoken", "HTTP+JSON")


@pytest.mark.usefixtures("rest")
@pytest.mark.requirement("REST-CLIENT")
async def test_operations_are_resources() -> None:
    page: dict[str, Any] = {"tasks": [], "nextPageToken": "", "pageSize": 7, "totalSize": 0}
    script = Script(done, got, got, lambda call: call.result(page), streamed)
    async with talking_to(script) as peer:
        await peer.send("hi")
        await peer.get("t", history_length=0)
        await peer.cancel("t", metadata={"why": "late"})
        after = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        filters = peer.list(context_id="c d", include_artifacts=False, status_timestamp_after=after, page_size=7)
        assert [one async for one in filters] == []
        async with aclosing(peer.subscribe("t")) as events:
            await anext(events)
    assert [(call.exchange.method, call.exchange.path) for call in script.calls] == [
        ("POST", "/message:send"),
        ("GET", "/tasks/t?historyLength=0"),
        ("POST", "/tasks/t:cancel"),
        (
            "GET",
            "/tasks?contextId=c+d&statusTimestampAfter=2026-01-02T03%3A04%3A05.000Z&pageSize=7&includeArtifacts=false",
        ),
        ("POST", "/tasks/t:subscribe"),
    ]
    assert json.loads(script.calls[2].body) == {"metadata": {"why": "late"}}
    assert {call.headers["accept"] for call in script.calls[:-1]} == {"application/a2a+json, application/json"}


@pytest.mark.usefixtures("rest")
@pytest.mark.requirement("REST-CLIENT")
async def test_an_id_is_one_segment_whatever_it_holds() -> None:
    script = Script(got, got, got)
    async with talking_to(script) as peer:
        await peer.get("../a b/c?d#e:cancel")
        await peer.get("..")
        await peer.cancel("é%2F")
    assert [call.exchange.path for call in script.calls] == [
        "/tasks/..%2Fa%20b%2Fc%3Fd%23e%3Acancel",
        "/tasks/%2E%2E",
        "/tasks/%C3%A9%252F:cancel",
    ]


@pytest.mark.usefixtures("rest")
@pytest.mark.requirement("TENANT-CLIENT")
async def test_the_tenant_is_in_the_path() -> None:
    script = Script()
    async with (
        serving(script) as url,
        connect(card(url, supportedInterfaces=[{"url": f"{url}/", **REST, "tenant": "acme"}])) as peer,
    ):
        for ask in (peer.send("hi"), peer.get("t"), peer.cancel("t")):
            with pytest.raises(a2a.InternalError):
                await ask
    assert [call.exchange.path for call in script.calls] == [
        "/acme/message:send", "/acme/tasks/t", "/acme/tasks/t:cancel",
    ]  # fmt: skip
    assert "tenant" not in json.loads(script.calls[0].body)


@pytest.mark.usefixtures("rest")
@pytest.mark.parametrize("error", [row.error for row in a2a.error_table()], ids=lambda error: error.__name__)
async def test_an_error_is_recovered_by_its_reason(error: type[a2a.A2AError]) -> None:
    async def refuse(call: Call) -> None:
        await call.error(error("no", hint="a hint", violations=[a2a.FieldViolation("a", "b")], metadata={"k": "v"}))

    async with talking_to(Script(refuse)) as peer:
        with pytest.raises(error, match="no") as raised:
            await peer.get("t")
    assert type(raised.value) is error
    assert (raised.value.hint, raised.value.metadata) == ("a hint", {"k": "v"})
    assert raised.value.violations == [("a", "b")]


@pytest.mark.usefixtures("rest")
async def test_an_error_without_a_reason_is_read_from_its_status() -> None:
    async def refuse(call: Call) -> None:
        body = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}}
        await call.exchange.answer(json.dumps(body).encode(), status=503, headers={"Retry-After": "7"})

    async with talking_to(Script(refuse)) as peer:
        with pytest.raises(a2a.Overloaded, match="later") as raised:
            await peer.cancel("t")
    assert raised.value.retry_after == 7


# :subscribe, which some have by POST and some by GET.


@pytest.mark.requirement("REST-SUBSCRIBE")
@pytest.mark.usefixtures("rest")
@pytest.mark.parametrize("status", [404, 405])
async def test_who_does_not_take_a_post_is_asked_by_get(status: int) -> None:
    async def refuse(call: Call) -> None:
        await call.exchange.answer(b"no such route", status=status)

    script = Script(refuse, streamed, streamed)
    async with talking_to(script) as peer:
        for _ in range(2):
            assert [event.text async for event in peer.subscribe("t")] == ["", "ok", ""]
    assert [call.exchange.method for call in script.calls] == ["POST", "GET", "GET"]


@pytest.mark.usefixtures("rest")
async def test_a_task_that_is_not_there_is_asked_for_once() -> None:
    async def refuse(call: Call) -> None:
        await call.error(a2a.TaskNotFound())

    script = Script(refuse, refuse)
    async with talking_to(script) as peer:
        with pytest.raises(a2a.TaskNotFound):
            async for _ in peer.subscribe("t"):
                pass
    assert [(call.exchange.method, call.method) for call in script.calls] == [
        ("POST", "SubscribeToTask"), ("GET", "GetTask"),
    ]  # fmt: skip
