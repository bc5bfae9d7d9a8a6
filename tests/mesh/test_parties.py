"""Whose agent is meant: a name that several keys have, and a name that nobody has."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import codin
from codin import a2a
from codin.agent import Agent, agent
from codin.client import fetch_card
from codin.errors import MeshError, NoAgent
from codin.mesh import Found, Nearby, Note
from codin.mesh.registry import Registry, RegistryApp
from codin.net import MemoryTransport, Response
from codin.server import App
from codin.trust import (
    KeyRing,
    SigningKey,
    TrustPolicy,
    TrustStore,
    canonical_json,
    card_payload,
    identity_of,
    jwks,
    sign_card,
)
from tests.mesh.net import replica

pytestmark = pytest.mark.anyio

URLS = ["http://one.test", "http://two.test", "http://three.test"]


def _served(*served: tuple[Agent, SigningKey | None]) -> MemoryTransport:
    hosts = [url.removeprefix("http://") for url in URLS]
    return MemoryTransport(
        {
            host: App(agent, keys=key, public_url=f"http://{host}")
            for host, (agent, key) in zip(hosts, served, strict=False)
        }
    )


def _trusting(*keys: SigningKey) -> TrustPolicy:
    return TrustPolicy("prefer", store=TrustStore(), keys=[key.public for key in keys], first_use=False)


async def test_of_two_keys_the_one_that_is_known_is_called_and_its_replicas() -> None:
    ours, theirs = SigningKey.generate(), SigningKey.generate()
    transport = _served(
        (replica("echo", place="ours"), ours),
        (replica("echo", place="theirs"), theirs),
        (replica("echo", place="ours too"), ours),
    )
    async with codin.Mesh(URLS, transport=transport, trust=_trusting(ours)) as mesh:
        answers = {(await mesh.call("echo", "x")).text for _ in range(20)}
    assert answers == {"ours: x", "ours too: x"}


@pytest.mark.parametrize("known", [0, 2])
async def test_with_two_keys_or_none_that_are_known_none_is_guessed(known: int) -> None:
    keys = [SigningKey.generate(), SigningKey.generate()]
    transport = _served(*((replica("echo"), key) for key in keys))
    async with codin.Mesh(URLS[:2], transport=transport, trust=_trusting(*keys[:known])) as mesh:
        with pytest.raises(MeshError, match="different keys") as refused:
            await mesh.call("echo", "x")
    assert all(url in refused.value.message for url in URLS[:2])
    assert all(key.kid[:12] in refused.value.message for key in keys)


async def test_a_signed_agent_is_not_mistaken_for_one_that_is_not() -> None:
    ours = SigningKey.generate()
    transport = _served((replica("echo", place="ours"), ours), (replica("echo", place="nobody's"), None))
    async with codin.Mesh(URLS[:2], transport=transport, trust=_trusting(ours)) as mesh:
        assert {(await mesh.call("echo", "x")).text for _ in range(10)} == {"ours: x"}


async def test_a_name_is_not_a_wish() -> None:
    @agent(name="diary", tags=["shout"])
    async def diary(text: str) -> str:
        """I do not like to shout; I keep diaries."""
        return f"kept: {text}"

    transport = _served((diary, None))
    async with codin.Mesh(URLS[0], transport=transport) as mesh:
        assert (await mesh.call("shout", "x")).text == "kept: x"
        with pytest.raises(NoAgent, match="no agent 'shout'"):
            await mesh.resolve("shout")
        assert (await (await mesh.resolve("diary")).send("x")).text == "kept: x"


# -- while a key is rotated --------------------------------------------------------------------------------------------

CARD = "/.well-known/agent-card.json"


def _rotating(folder: Path) -> tuple[KeyRing, KeyRing]:
    """The keys of a machine where they were rotated, and of one where they will be."""
    ring = KeyRing.create(folder / "one")
    shutil.copytree(folder / "one", folder / "two")
    ring.rotate()
    return ring, KeyRing.open(folder / "two")


def _places(*rings: KeyRing) -> dict[str, App | RegistryApp]:
    places = zip(("one", "two", "three"), rings, strict=False)
    return {
        f"{host}.test": App(replica("echo", place=host), keys=ring, public_url=f"http://{host}.test")
        for host, ring in places
    }


async def _answers(mesh: codin.Mesh) -> set[str]:
    return {(await mesh.call("echo", "x")).text for _ in range(20)}


async def test_replicas_with_the_old_and_the_new_key_are_one_party(tmp_path: Path) -> None:
    transport = MemoryTransport(_places(*_rotating(tmp_path)))
    async with codin.Mesh(URLS[:2], transport=transport, trust=_trusting()) as mesh:
        assert await _answers(mesh) == {"one: x", "two: x"}


async def test_so_are_one_that_ran_through_a_rotation_and_one_that_was_started_behind_it(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    old, before = ring.active.kid, _places(ring)["one.test"]
    ring.rotate()
    ring.revoke(old)  # as when its overlap is over
    transport = MemoryTransport({**_places(ring, ring), "one.test": before})
    async with codin.Mesh(URLS[:2], transport=transport, trust=_trusting()) as mesh:
        assert await _answers(mesh) == {"one: x", "two: x"}


async def test_so_they_are_in_a_registry(tmp_path: Path) -> None:
    new, old = _rotating(tmp_path)
    hosts = {**_places(new, old), "registry.test": RegistryApp(public_url="http://registry.test")}
    transport = MemoryTransport(hosts)
    async with Registry("http://registry.test", transport=transport) as registry:
        for host, ring in (("two", old), ("one", new)):
            card = (await fetch_card(f"http://{host}.test", transport=transport, trust="off")).raw
            await registry.register(card, f"http://{host}.test{CARD}", key=ring.active)
    async with codin.Mesh("http://registry.test", transport=transport, trust=_trusting()) as mesh:
        assert await _answers(mesh) == {"one: x", "two: x"}


async def test_so_they_are_on_one_machine_and_one_that_hangs_stands_in_nobodys_way(tmp_path: Path) -> None:
    new, old = _rotating(tmp_path)
    (tmp_path / "notes").mkdir(mode=0o700)
    identities = [identity_of("echo", ring.active.kid) for ring in (new, old, old)]
    found = [Found("echo", "echo", f"{url}{CARD}", identity=who) for url, who in zip(URLS, identities, strict=True)]
    note = Note.leave(found, tmp_path / "notes")
    transport = MemoryTransport(_places(new, old))  # nobody is at the third address
    async with codin.Mesh(Nearby(tmp_path / "notes"), transport=transport, trust=_trusting()) as mesh:
        assert await _answers(mesh) == {"one: x", "two: x"}
    note.remove()


async def test_a_key_that_was_revoked_here_makes_nobody_one_of_them(tmp_path: Path) -> None:
    new, old = _rotating(tmp_path)
    policy = _trusting()
    policy.store.revoke(old.active.kid)
    transport = MemoryTransport(_places(new, old))
    async with codin.Mesh(URLS[:2], transport=transport, trust=policy) as mesh:
        with pytest.raises(MeshError, match="different keys"):
            await mesh.call("echo", "x")


# -- those who only say so ---------------------------------------------------------------------------------------------


class Forged(MemoryTransport):
    """A network in which some hosts publish cards and keys that somebody has put together."""

    def __init__(self, apps: dict[str, Any], keys: Sequence[SigningKey], **cards: bytes) -> None:
        super().__init__(apps)
        published = json.dumps(jwks([key.public for key in keys])).encode()
        self._pages = {f"http://{host}.test{CARD}": card for host, card in cards.items()}
        self._pages |= {f"http://{host}.test/.well-known/jwks.json": published for host in cards}

    async def request(self, method: str, url: str, **options: Any) -> Response:
        page = self._pages.get(url) if method == "GET" else None
        return Response(200, {}, page) if page is not None else await super().request(method, url, **options)


def _copied(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    return real


def _copied_and_signed(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    return sign_card(real, theirs)


def _unsigned(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    return lying


def _signed_by_the_liar(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    return sign_card(lying, theirs)


def _with_a_borrowed_signature(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    return sign_card(lying.model_copy(update={"signatures": real.signatures}), theirs)


def _naming_the_key_in_a_signature(real: a2a.AgentCard, lying: a2a.AgentCard, theirs: SigningKey) -> a2a.AgentCard:
    kid = json.loads(_decoded(real.signatures[0].protected))["kid"]
    made = _signature(theirs, kid, card_payload(lying))
    return sign_card(lying, theirs).model_copy(update={"signatures": [made]})


def _signature(key: SigningKey, kid: str, payload: bytes) -> a2a.AgentCardSignature:
    head = _encoded(canonical_json({"alg": key.algorithm, "kid": kid, "typ": "JOSE"}))
    return a2a.AgentCardSignature(protected=head, signature=_encoded(key.sign(f"{head}.{_encoded(payload)}".encode())))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


@pytest.mark.parametrize(
    "forge",
    [
        _copied,
        _copied_and_signed,
        _unsigned,
        _signed_by_the_liar,
        _with_a_borrowed_signature,
        _naming_the_key_in_a_signature,
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_who_copies_a_card_or_names_its_key_is_not_of_that_party(
    forge: Callable[[a2a.AgentCard, a2a.AgentCard, SigningKey], a2a.AgentCard], *, known: bool
) -> None:
    ours, theirs = SigningKey.generate(), SigningKey.generate()
    victim = App(replica("echo", place="ours"), keys=ours, public_url=URLS[0])
    liar = App(replica("echo", place="theirs"), public_url=URLS[1])
    apps = {"one.test": victim, "two.test": liar}
    real = (await fetch_card(URLS[0], transport=MemoryTransport(apps), trust="off")).card
    there = real.supported_interfaces[0].model_copy(update={"url": URLS[1]})
    lying = real.model_copy(update={"signatures": [], "supported_interfaces": [there]})
    forged = Forged(apps, [theirs, ours], two=forge(real, lying, theirs).to_json())
    async with codin.Mesh(URLS[:2], transport=forged, trust=_trusting(*[ours] * known)) as mesh:
        if known:
            assert await _answers(mesh) == {"ours: x"}
        else:
            with pytest.raises(MeshError, match="different keys"):
                await mesh.call("echo", "x")


async def test_that_a_third_key_has_signed_both_makes_them_no_party() -> None:
    company, keys = SigningKey.generate(), [SigningKey.generate(), SigningKey.generate()]
    apps = {
        f"{host}.test": App(replica("echo"), keys=key, public_url=f"http://{host}.test")
        for host, key in zip(("one", "two"), keys, strict=True)
    }
    plain = MemoryTransport(apps)
    one, two = [sign_card((await fetch_card(url, transport=plain, trust="off")).card, company) for url in URLS[:2]]
    forged = Forged(apps, [company, *keys], one=one.to_json(), two=two.to_json())
    async with codin.Mesh(URLS[:2], transport=forged, trust=_trusting()) as mesh:
        with pytest.raises(MeshError, match="different keys"):
            await mesh.call("echo", "x")


async def test_a_signature_may_cover_what_only_a_later_version_knows() -> None:
    key, hosts = SigningKey.generate(), ("one", "two")
    apps = {
        f"{host}.test": App(replica("echo", place=host), keys=key, public_url=f"http://{host}.test") for host in hosts
    }
    later: dict[str, bytes] = {}
    for host, url in zip(hosts, URLS, strict=False):
        card = (await fetch_card(url, transport=MemoryTransport(apps), trust="off")).card
        fields = {**json.loads(card_payload(card)), "later": "what is not known here"}
        signature = _signature(key, key.kid, canonical_json(fields))
        later[host] = json.dumps({**fields, "signatures": [signature.to_dict()]}).encode()
    async with codin.Mesh(URLS[:2], transport=Forged(apps, [key], **later), trust=_trusting()) as mesh:
        assert await _answers(mesh) == {"one: x", "two: x"}
