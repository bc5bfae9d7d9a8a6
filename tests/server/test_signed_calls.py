"""Agents with keys: the limits of a call are signed at every hop, and the last can prove the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.client import connect
from codin.server import App
from codin.task import Task
from codin.trust import ERRAND, AgentIdentity, Budget, CallLimits, Errand, KeyRing, SigningKey, TrustPolicy, TrustStore
from tests.server.actors import Act, Actor
from tests.server.sockets import listening, open_listener

pytestmark = pytest.mark.anyio


class Company:
    """Agents that share a ring of keys, each on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self.ring = KeyRing.of(SigningKey.generate())
        self.store = TrustStore(folder / "trust.json")
        self.urls: dict[str, str] = {}
        self.apps: dict[str, App] = {}
        self.seen: dict[str, tuple[str, CallLimits]] = {}
        self.reasons: list[str] = []

    def passes_on(self, name: str, to: str | None, **options: Any) -> Act:
        async def act(task: Task) -> str:
            self.seen[name] = (task.caller.id, task.limits)
            if to is None:
                return f"{name}!"
            try:
                return f"{name} {(await task.call(self.urls[to], task.text, **options)).text}"
            except a2a.A2AError as error:
                self.reasons.append(error.reason)
                raise

        return act

    @asynccontextmanager
    async def at_work(self, acts: Mapping[str, Act], **options: Any) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for name, act in acts.items():
                listener = open_listener()
                self.urls[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
                app = App(Actor(name, act), keys=self.ring, trust=self.store, public_url=self.urls[name], **options)
                self.apps[name] = app
                await stack.enter_async_context(listening(app, listener))
            yield

    async def send(self, name: str, text: str = "go", **options: Any) -> str:
        trust = TrustPolicy("require", store=self.store, keys=self.ring.published)
        visitor = AgentIdentity(self.ring, "visitor")
        async with asyncio.timeout(20), connect(self.urls[name], trust=trust, credential=visitor) as peer:
            return (await peer.send(text, **options)).text


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


async def test_every_hop_is_signed_and_the_last_has_all_links(company: Company) -> None:
    acts = {
        "a": company.passes_on("a", "b", budget=Budget(tokens=100)),
        "b": company.passes_on("b", "c", budget=Budget(tokens=50)),
        "c": company.passes_on("c", "d"),
        "d": company.passes_on("d", None),
    }
    async with company.at_work(acts, anonymous=False):
        assert await company.send("a") == "a b c d!"
    kid = company.ring.active.kid
    assert [company.seen[name][0] for name in "abcd"] == [f"{name}@{kid}" for name in ("visitor", "a", "b", "c")]
    limits = company.seen["d"][1]
    assert limits.path == tuple(f"{name}@{kid}" for name in "abc")
    assert limits.budget == Budget(tokens=50)
    assert len(limits.chain) == 3
    assert company.seen["c"][1].chain == limits.chain[:2]


async def test_a_circle_of_agents_with_keys_is_refused(company: Company) -> None:
    acts = {"a": company.passes_on("a", "b"), "b": company.passes_on("b", "a")}
    async with company.at_work(acts):
        assert "CALL_CYCLE" in await company.send("a")
    assert company.reasons == ["CALL_CYCLE"]


async def test_the_header_counts_where_the_caller_is_not_known(company: Company) -> None:
    given = CallLimits(("x@12345678",), budget=Budget(tokens=5))
    acts = {"a": company.passes_on("a", None)}
    async with company.at_work(acts), connect(company.urls["a"], trust="off") as stranger:
        await stranger.send("hi", limits=given)
    caller, limits = company.seen["a"]
    assert caller == "anonymous"
    assert (limits, limits.chain) == (given, ())


async def test_what_a_token_vouches_for_counts_more_than_the_header(company: Company) -> None:
    """An agent that signs one thing and says another is held to what it has signed."""
    identity = f"visitor@{company.ring.active.kid}"
    signed = CallLimits((identity,), budget=Budget(tokens=5))
    async with company.at_work({"a": company.passes_on("a", None)}):
        token = ERRAND.set(Errand(claim=signed.to_claim()))
        try:
            await company.send("a", limits=CallLimits(("x@12345678",), budget=Budget(tokens=500)))
        finally:
            ERRAND.reset(token)
    limits = company.seen["a"][1]
    assert (limits.path, limits.budget) == ((identity,), Budget(tokens=5))
