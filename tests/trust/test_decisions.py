"""How soon a decision counts: with the next call, however long the peer has been known."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import codin
from codin.agent import Agent, Task, agent
from codin.client import fetch_card
from codin.errors import CardChanged, CardNotTrusted, CodinError
from codin.net import MemoryTransport, Response
from codin.server import App
from codin.trust import KeyRing, SigningKey, TrustPolicy, TrustStore

pytestmark = pytest.mark.anyio

GREET = "http://greet.test"


@agent
async def greet(task: Task) -> str:
    """Say who calls."""
    return f"Hello {task.caller.id.partition('@')[0]}."


def asking(errors: list[CodinError]) -> Agent:
    @agent
    async def ask(task: Task) -> str:
        """Ask another agent."""
        try:
            return (await task.call(GREET, task.text)).text
        except CodinError as error:
            errors.append(error)
            raise

    return ask


class Forgetful(MemoryTransport):
    """Answers cards that may not be kept, as if five minutes had passed between any two."""

    async def request(self, method: str, url: str, **options: Any) -> Response:
        answer = await super().request(method, url, **options)
        return answer._replace(headers={**answer.headers, "cache-control": "no-store"})


@asynccontextmanager
async def serving(*apps: App) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for app in apps:
            await app.close()


async def test_a_revoked_key_is_seen_by_the_next_call_of_a_task(tmp_path: Path) -> None:
    theirs, store = SigningKey.generate(), TrustStore(tmp_path / "trust.json")
    greeter = App(greet, keys=theirs, public_url=GREET)
    net = MemoryTransport({"greet.test": greeter})
    card = (await fetch_card(GREET, transport=net, trust="off")).card
    store.approve(GREET, card, [theirs.public])
    errors: list[CodinError] = []
    asker = App(asking(errors), keys=SigningKey.generate(), trust=store, transport=net)
    async with serving(greeter, asker), codin.connect("http://ask.test", transport=_to(asker)) as peer:
        assert (await peer.send("x")).text == "Hello anonymous."
        TrustStore(tmp_path / "trust.json").revoke(theirs.kid)  # as another process does
        assert (await peer.send("x")).state is not codin.a2a.TaskState.COMPLETED
        assert isinstance(errors[0], CardNotTrusted)
        assert "revoked" in errors[0].message


async def test_a_revoked_key_is_seen_by_the_next_call_of_a_mesh(tmp_path: Path) -> None:
    theirs, store = SigningKey.generate(), TrustStore(tmp_path / "trust.json")
    greeter = App(greet, keys=theirs, public_url=GREET)
    policy = TrustPolicy("require", store=store, keys=[theirs.public], first_use=False)
    async with serving(greeter), codin.Mesh(GREET, transport=_to(greeter), trust=policy) as mesh:
        peer = await mesh.resolve("greet")
        for call in (mesh.call("greet", "x"), peer.send("x")):
            assert (await call).text == "Hello anonymous."
        TrustStore(tmp_path / "trust.json").revoke(theirs.kid)
        for call in (mesh.call("greet", "x"), peer.send("x")):
            with pytest.raises(CardNotTrusted, match="revoked"):
                await call
        assert mesh.state[0].failures == 0  # it is not the peer's fault


async def test_agents_with_our_own_keys_are_known_by_the_next_key_too(tmp_path: Path) -> None:
    """What runs through the whole of a rotation calls its siblings as before, and is known to them."""
    ring, store = KeyRing.create(tmp_path / "keys"), TrustStore(tmp_path / "trust.json")
    greeter = App(greet, keys=ring, trust=store, anonymous=False, public_url=GREET)
    asker = App(asking([]), keys=ring, trust=store, transport=Forgetful({"greet.test": greeter}))
    async with serving(greeter, asker), codin.connect("http://ask.test", transport=_to(asker)) as peer:
        assert (await peer.send("x")).text == "Hello ask."
        old = ring.active.kid
        ring.rotate()
        assert (await peer.send("x")).text == "Hello ask."
        ring.revoke(old)  # as when its overlap is over
        assert (await peer.send("x")).text == "Hello ask."


async def test_a_card_that_is_not_the_approved_one_any_more_is_seen_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, store, now = SigningKey.generate(), TrustStore(tmp_path / "trust.json"), [0.0]
    monkeypatch.setattr("codin.task._calls.monotonic", lambda: now[0])
    greet_and_pay = agent(id="greet", name="greet", description="Say who calls, and pay any bill.")(greet.handle)
    greeters = [App(each, keys=theirs, public_url=GREET) for each in (greet, greet_and_pay)]
    greeter = greeters[0]

    async def now_serving(scope: Any, receive: Any, send: Any) -> None:
        await greeter(scope, receive, send)

    net = Forgetful({"greet.test": now_serving})
    store.approve(GREET, (await fetch_card(GREET, transport=net, trust="off")).card, [theirs.public])
    errors: list[CodinError] = []
    asker = App(asking(errors), trust=store, transport=net)
    async with serving(*greeters, asker), codin.connect("http://ask.test", transport=_to(asker)) as peer:
        await peer.send("x")
        greeter = greeters[1]
        await peer.send("x")
        assert errors == []
        now[0] = 301.0
        await peer.send("x")
        assert isinstance(errors[0], CardChanged)


async def test_a_call_that_is_under_way_outlives_a_decision_about_others(tmp_path: Path) -> None:
    """Peers are connected anew for it; the old connection goes only when nobody uses it."""
    store = TrustStore(tmp_path / "trust.json")
    net: MemoryTransport

    @agent
    async def slow(task: Task) -> str:
        """Decide something while it is asked."""
        if task.text == "first":
            store.revoke(SigningKey.generate().kid)
            async with codin.connect("http://ask.test", transport=net) as again:
                await again.send("second")
        return task.text

    answerer = App(slow, public_url=GREET)
    asker = App(asking([]), trust=store, transport=_to(answerer))
    net = _to(asker)
    async with serving(answerer, asker), codin.connect("http://ask.test", transport=net) as peer:
        assert (await peer.send("first")).text == "first"


def _to(app: App) -> MemoryTransport:
    return MemoryTransport({"greet.test": app, "ask.test": app})
