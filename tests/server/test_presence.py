"""A served agent in a registry, from the first request to the last word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import codin
from codin.agent import agent
from codin.mesh import Nearby
from codin.mesh.registry import Registry, RegistryApp, RegistryLimits
from codin.server import App
from codin.server._presence import Presence
from codin.trust import KeyRing, PublicKey, TrustPolicy, TrustStore, signers_of
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it softly."""
    return text.lower()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODIN_RUNTIME", str(tmp_path / "run"))


async def _joined(registry: Registry, count: int) -> list[str]:
    async with asyncio.timeout(20):
        async for _ in registry.watch():
            found = await registry.find()
            if len(found) == count:
                assert all(each.verified for each in found)
                return sorted(each.id for each in found)
    raise AssertionError


async def test_all_agents_of_a_server_are_found_until_it_ends(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    app, registry_app = App(shout, whisper, keys=ring), RegistryApp()
    async with listening(registry_app) as place, listening(app) as server, Registry(place.url, fresh=0) as registry:
        presence = Presence(app, server.url, server.url, ring, Registry(place.url))
        presence.enter()
        assert await _joined(registry, 2) == ["shout", "whisper"]
        assert [each.id for each in await Nearby().find()] == ["shout", "whisper"]
        await presence.leave()
        await presence.leave()
        assert await registry.find() == []
        assert await Nearby().find() == []
        registry_app.end_streams()


async def test_a_rotated_key_changes_nothing_for_a_running_server(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    app, registry_app = App(shout, keys=ring), RegistryApp()
    async with listening(registry_app) as place, listening(app) as server, Registry(place.url, fresh=0) as registry:
        presence = Presence(app, server.url, server.url, ring, Registry(place.url))
        presence.enter()
        await _joined(registry, 1)
        await presence.leave()
        ring.rotate()
        again = Presence(app, server.url, server.url, ring, Registry(place.url))
        again.enter()
        await _joined(registry, 1)
        await again.leave()
        # The next process has the new key in its identity, and takes the name along.
        next_app = App(shout, keys=ring)
        async with listening(next_app) as next_server:
            last = Presence(next_app, next_server.url, next_server.url, ring, Registry(place.url))
            last.enter()
            await _joined(registry, 1)
            (found,) = await registry.find()
            assert found.identity == f"shout@{ring.active.kid}"
            await last.leave()
        registry_app.end_streams()


async def test_a_running_server_goes_on_under_the_new_key(tmp_path: Path) -> None:
    ring, limits = KeyRing.create(tmp_path / "keys"), RegistryLimits(ttl=0.3, shortest_ttl=0.1)
    app, registry_app = App(shout, keys=KeyRing.open(tmp_path / "keys")), RegistryApp(limits=limits)
    async with listening(registry_app) as place, listening(app) as server, Registry(place.url, fresh=0) as registry:
        presence = Presence(app, server.url, server.url, KeyRing.open(tmp_path / "keys"), Registry(place.url))
        presence.enter()
        await _joined(registry, 1)
        old, new = ring.active.public, ring.rotate().public
        assert await _signers(registry, new, 2) == {old.kid, new.kid}
        ring.revoke(old.kid)  # as when its overlap is over
        assert await _signers(registry, new, 1) == {new.kid}
        trust = TrustPolicy("require", store=TrustStore(), keys=[new], first_use=False)
        async with codin.connect(server.url, trust=trust) as peer:
            assert peer.trusted.kid == new.kid
            assert (await peer.send("hello")).text == "HELLO"
        await presence.leave()
        registry_app.end_streams()


async def _signers(registry: Registry, key: PublicKey, count: int) -> set[str]:
    """Who has signed the card, once it is the only one there, by this key, and has so many signers."""
    async with asyncio.timeout(20):
        async for _ in registry.watch():
            found = await registry.find()
            kids = {signer.kid for each in found if each.card is not None for signer in signers_of(each.card)}
            if [each.identity for each in found] == [f"shout@{key.kid}"] and len(kids) == count:
                return kids
    raise AssertionError


async def test_where_no_note_can_be_left_the_server_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODIN_RUNTIME", "/proc/nowhere")
    app = App(shout)
    async with listening(app) as server:
        presence = Presence(app, server.url, server.url, None, None)
        presence.enter()
        await presence.leave()
