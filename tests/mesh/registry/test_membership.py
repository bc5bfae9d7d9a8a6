"""Staying in a registry that comes, goes and forgets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codin.errors import ConnectError
from codin.mesh.registry import Announced, Membership, Registry, RegistryApp, RegistryLimits
from codin.mesh.registry import _membership as membership_module
from codin.net import Response
from codin.trust import KeyRing, SigningKey
from tests.mesh.registry.desk import REGISTRY, Agent, opened, transport_to

pytestmark = pytest.mark.anyio


class Line:
    """A transport to a registry that can be cut."""

    def __init__(self, app: RegistryApp) -> None:
        self.app = app
        self.cut = False
        self.said: list[tuple[str, str, int]] = []

    async def request(self, method: str, url: str, **more: Any) -> Response:
        if self.cut:
            self.said.append((method, url, 0))
            raise ConnectError(f"{url} could not be reached")
        response = await transport_to(self.app).request(method, url, **more)
        self.said.append((method, url.removeprefix(REGISTRY), response.status))
        return response

    def stream(self, method: str, url: str, **_: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(membership_module, "_LONGEST_PAUSE", 0.02)


@asynccontextmanager
async def member(line: Line, *agents: Announced, key: Callable[[], SigningKey | None]) -> AsyncGenerator[Membership]:
    async with asyncio.timeout(20), Membership(Registry(REGISTRY, transport=line), agents, key=key) as membership:
        yield membership


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


QUICK = RegistryLimits(ttl=1.5, shortest_ttl=0.01)


async def test_an_agent_is_heard_of_until_it_leaves() -> None:
    echo = Agent("echo")
    async with opened(limits=QUICK) as (app, registry):
        line = Line(app)
        card = echo.card().to_json()
        announced = Announced(echo.place, lambda: card, lambda: 0.5)
        async with member(line, announced, key=lambda: echo.key) as membership:
            await membership.joined()
            (found,) = await registry.find()
            assert (found.health, found.load, found.verified) == ("healthy", 0.5, True)
            await until(lambda: sum("heartbeat" in path for _, path, _ in line.said) > 1)
            assert {status for _, _, status in line.said} == {201, 200}
        assert line.said[-1][0] == "DELETE"
        assert await registry.find() == []


async def test_who_has_another_key_by_now_is_there_once() -> None:
    old, new = Agent("echo"), Agent("echo")
    assert old.key is not None
    assert new.key is not None
    passed_on = new.card(old.key).to_json()
    current = [(old.card().to_json(), old.key)]
    async with opened(limits=QUICK) as (app, registry):
        line = Line(app)
        announced = Announced(old.place, lambda: current[-1][0])
        async with member(line, announced, key=lambda: current[-1][1]) as membership:
            await membership.joined()
            current.append((passed_on, new.key))
            await until(lambda: line.said[-1][0] == "DELETE")
            assert [found.identity for found in await registry.find()] == [f"echo@{new.key.kid}"]
        assert await registry.find() == []


async def test_another_key_is_told_before_the_next_heartbeat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(membership_module, "_LOOK", 0.001)
    ring = KeyRing.create(tmp_path / "keys")
    async with opened(keys=ring, limits=RegistryLimits(ttl=3600)) as (app, registry):
        announced = Announced(Agent("echo").place, lambda: Agent("echo", ring.active).card().to_json())
        async with member(line := Line(app), announced, key=lambda: ring.active) as membership:
            await membership.joined()
            ring.revoke(ring.active.kid)
            await until(lambda: line.said[-1][0] == "DELETE")
            assert [found.identity for found in await registry.find()] == [f"echo@{ring.active.kid}"]


async def test_a_registry_that_is_down_fails_nobody_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    echo = Agent("echo")
    card = echo.card().to_json()
    caplog.set_level(logging.WARNING)
    async with opened(limits=QUICK) as (app, registry):
        line = Line(app)
        line.cut = True
        async with member(line, Announced(echo.place, lambda: card), key=lambda: echo.key) as membership:
            await until(lambda: len(line.said) > 5)
            line.cut = False
            await membership.joined()
            assert len(await registry.find()) == 1
        told = [record.message for record in caplog.records if echo.place in record.message]
        assert len(told) == 2  # that it is not in it, once, and that it is again


async def test_a_registry_that_forgot_is_told_again() -> None:
    echo = Agent("echo")
    card = echo.card().to_json()
    async with opened(limits=QUICK) as (app, _), opened(limits=QUICK) as (other, registry):
        line = Line(app)
        async with member(line, Announced(echo.place, lambda: card), key=lambda: echo.key) as membership:
            await membership.joined()
            line.app = other  # the registry has lost its file
            seen = len(line.said)
            await until(lambda: ("POST", "/v1/agents", 201) in line.said[seen:])
            assert len(await registry.find()) == 1


async def test_a_new_card_is_told_at_once() -> None:
    echo = Agent("echo")
    cards = [echo.card().to_json()]
    async with opened(limits=QUICK) as (app, registry):
        line = Line(app)
        async with member(line, Announced(echo.place, lambda: cards[-1]), key=lambda: echo.key) as membership:
            await membership.joined()
            cards.append(echo.card(description="Something new.").to_json())
            seen = len(line.said)
            await until(lambda: ("POST", "/v1/agents", 200) in line.said[seen:])
            (found,) = await registry.find()
            assert found.card is not None
            assert found.card.description == "Something new."


async def test_without_a_key_it_stays_outside_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    nobody = Agent("nobody", key=None)
    card = nobody.card().to_json()
    async with opened(limits=QUICK) as (app, registry):
        line = Line(app)
        async with member(line, Announced(nobody.place, lambda: card), key=lambda: None):
            await until(lambda: len(line.said) > 2)
            assert await registry.find() == []
    assert "codin keys new" in caplog.text


async def test_a_registry_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_module, "_LAST_WORDS", 0.05)
    echo = Agent("echo")
    card = echo.card().to_json()

    class Hanging(Line):
        async def request(self, method: str, url: str, **more: Any) -> Response:
            if method == "DELETE":
                await asyncio.Event().wait()
            return await super().request(method, url, **more)

    announced = Announced(echo.place, lambda: card)
    async with (
        opened(limits=QUICK) as (app, _),
        asyncio.timeout(10),
        member(Hanging(app), announced, key=lambda: echo.key) as membership,
    ):
        await membership.joined()
