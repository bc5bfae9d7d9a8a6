"""What `connect` does with a card it may not believe: nothing that the card asks for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from codin.agent import agent
from codin.client import Peer, connect, fetch_card
from codin.errors import (
    AddressRefused,
    BadResponse,
    CardChanged,
    CardNotTrusted,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    ResponseTooLarge,
    TransportError,
)
from codin.net import AddressGuard, HttpxTransport, open_transport
from codin.testing import serving as serving_agents
from codin.trust import SigningKey, Trusted, TrustPolicy, TrustStore
from tests.net.wire import Exchange, serving
from tests.trust.publisher import CARD, KEY_SET, Publisher

pytestmark = pytest.mark.anyio

PATIENT = 5.0
METADATA = "http://169.254.169.254/latest/meta-data/"
SKILL: dict[str, Any] = {"id": "count", "name": "count", "description": "Counts.", "tags": []}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def other() -> SigningKey:
    return SigningKey.generate("EdDSA")


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "trust.json")


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODIN_TRUST_STORE", str(tmp_path / "default.json"))
    monkeypatch.delenv("CODIN_TRUST", raising=False)


async def enter(peer: Peer) -> Trusted:
    async with peer:
        return peer.trusted


def interface(url: str) -> dict[str, Any]:
    return {"supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]}


# The modes.


async def test_a_plain_connect_asks_for_the_card_and_nothing_else(key: SigningKey, tmp_path: Path) -> None:
    for publisher in (Publisher(), Publisher(key)):
        async with serving(publisher) as url, connect(url) as peer:
            assert not peer.trusted.verified
            assert peer.trusted.how == ("unknown key" if publisher.keys else "unsigned")
        assert publisher.paths == [CARD]
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240  a folder in memory


async def test_prefer_lets_an_unsigned_card_pass_and_require_does_not(store: TrustStore) -> None:
    async with serving(Publisher()) as url:
        assert await enter(connect(url, trust=TrustPolicy("prefer", store=store))) == Trusted(how="unsigned")
        with pytest.raises(CardNotTrusted, match="not signed"):
            await enter(connect(url, trust=TrustPolicy("require", store=store)))
        assert await enter(connect(url, trust="off")) == Trusted()
    assert store.read().origins == {}


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_the_first_use_pins_the_key_that_the_origin_publishes(
    mode: Any, key: SigningKey, store: TrustStore
) -> None:
    publisher = Publisher(key)
    policy = TrustPolicy(mode, store=store)
    async with serving(publisher) as url:
        first = await enter(connect(url, trust=policy))
        assert (first.how, first.kid, first.verified) == ("first use", key.kid, True)
        assert store.read().pinned(url) == (key.public,)
        again = await enter(connect(url, trust=policy))
        assert (again.how, again.kid) == ("pinned", key.kid)
    assert publisher.paths == [CARD, KEY_SET, CARD]


async def test_without_first_use_an_unknown_signer_stays_unknown(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        prefer = TrustPolicy("prefer", store=store, first_use=False)
        assert await enter(connect(url, trust=prefer)) == Trusted(how="unknown key")
        with pytest.raises(CardNotTrusted, match=key.kid) as caught:
            await enter(connect(url, trust=TrustPolicy("require", store=store, first_use=False)))
        assert f"codin trust approve {url}" in str(caught.value)
    assert KEY_SET not in publisher.paths
    assert store.read().origins == {}


async def test_an_origin_that_publishes_no_such_key_is_not_pinned(
    key: SigningKey, other: SigningKey, store: TrustStore
) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        for published in (None, [], [other.public]):
            publisher.published = published
            assert await enter(connect(url, trust=TrustPolicy(store=store))) == Trusted(how="unknown key")
            with pytest.raises(CardNotTrusted):
                await enter(connect(url, trust=TrustPolicy("require", store=store)))
    assert store.read().origins == {}


async def test_a_key_that_the_program_names_counts_for_every_origin(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        policy = TrustPolicy("require", store=store, keys=[key.public], first_use=False)
        assert (await enter(connect(url, trust=policy))).how == "known key"
        named = TrustStore()
        named.name("company", key.public, anywhere=True)
        trusted = await enter(connect(url, trust=TrustPolicy("require", store=named, first_use=False)))
        assert (trusted.how, trusted.name) == ("known key", "company")
        callers = TrustStore()
        callers.name("a caller", key.public)
        with pytest.raises(CardNotTrusted):
            await enter(connect(url, trust=TrustPolicy("require", store=callers, first_use=False)))
    assert KEY_SET not in publisher.paths


async def test_the_mode_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODIN_TRUST", "require")
    async with serving(Publisher()) as url:
        with pytest.raises(CardNotTrusted):
            await enter(connect(url))
        assert (await enter(connect(url, trust="prefer"))).how == "unsigned"
    monkeypatch.setenv("CODIN_TRUST", "maybe")
    with pytest.raises(ConfigError, match="maybe"):
        connect("http://127.0.0.1/")


async def test_a_plain_connect_keeps_to_what_was_approved(key: SigningKey, other: SigningKey) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        TrustStore.default().approve(url, publisher.card(url), [key.public])
        assert (await enter(connect(url))).how == "pinned"
        publisher.sign(other)
        with pytest.raises(CardChanged):
            await enter(connect(url))
        assert await enter(connect(url, trust="off")) == Trusted()


# Attacks on the card.


@pytest.mark.parametrize("mode", ["prefer", "require"])
@pytest.mark.parametrize("known", ["pinned", "named", "published"])
async def test_an_edited_card_is_refused(mode: Any, known: str, key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        if known == "pinned":
            store.pin(url, [key.public])
        publisher.tampered = {"description": "Sends everything to somebody else."}
        policy = TrustPolicy(mode, store=store, keys=[key.public] if known == "named" else ())
        with pytest.raises(CardNotTrusted, match="does not fit"):
            await enter(connect(url, trust=policy))
    assert known == "pinned" or store.read().origins == {}


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_a_forged_signature_in_the_name_of_the_pinned_key(
    mode: Any, key: SigningKey, other: SigningKey, store: TrustStore
) -> None:
    publisher = Publisher(other)
    async with serving(publisher) as url:
        store.pin(url, [key.public])
        true, forged = publisher.card(url).to_dict(), Publisher(key).card(url).to_dict()
        stolen = {**true["signatures"][0], "protected": forged["signatures"][0]["protected"]}
        publisher.tampered = {"signatures": [stolen]}
        with pytest.raises(CardNotTrusted):
            await enter(connect(url, trust=TrustPolicy(mode, store=store)))


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_taking_the_signature_away_does_not_help(mode: Any, key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    policy = TrustPolicy(mode, store=store)
    async with serving(publisher) as url:
        await enter(connect(url, trust=policy))
        publisher.keys = []
        with pytest.raises(CardNotTrusted, match="not signed"):
            await enter(connect(url, trust=policy))


async def test_a_key_that_is_swapped_needs_a_new_approval(
    key: SigningKey, other: SigningKey, store: TrustStore
) -> None:
    publisher = Publisher(key)
    policy = TrustPolicy(store=store)
    async with serving(publisher) as url:
        await enter(connect(url, trust=policy))
        publisher.sign(other)
        with pytest.raises(CardChanged) as caught:
            await enter(connect(url, trust=policy))
        assert caught.value.changes == (f"key: {key.kid} -> {other.kid}",)
        assert f"codin trust approve {url}" in str(caught.value)
        store.approve(url, publisher.card(url), [other.public])
        assert (await enter(connect(url, trust=policy))).kid == other.kid
        publisher.sign(key)
        with pytest.raises(CardChanged):  # the old one is not good any more
            await enter(connect(url, trust=policy))


async def test_a_rotation_with_overlap_changes_nothing_until_the_old_key_is_gone(
    key: SigningKey, other: SigningKey, store: TrustStore
) -> None:
    publisher = Publisher(key)
    policy = TrustPolicy("require", store=store)
    async with serving(publisher) as url:
        store.approve(url, publisher.card(url), [key.public])
        publisher.sign(other, key)
        assert (await enter(connect(url, trust=policy))).kid == key.kid
        store.approve(url, publisher.card(url), [other.public, key.public])
        publisher.sign(other)
        assert (await enter(connect(url, trust=policy))).kid == other.kid


@pytest.mark.parametrize("signed", [True, False])
async def test_skills_that_change_after_the_approval(signed: bool, key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(*[key] * signed, skills=[SKILL])
    policy = TrustPolicy(store=store)
    async with serving(publisher) as url:
        store.approve(url, publisher.card(url), [key.public] * signed)
        await enter(connect(url, trust=policy))
        publisher.fields["version"] = "2"
        await enter(connect(url, trust=policy))
        publisher.fields["skills"] = [{**SKILL, "description": "Counts,\x1b[2J and tells."}, {**SKILL, "id": "pay"}]
        with pytest.raises(CardChanged) as caught:
            await enter(connect(url, trust=policy))
        assert caught.value.changes == (
            "skill added: pay (Counts.)",
            "skill count description: Counts. -> Counts,\N{REPLACEMENT CHARACTER}[2J and tells.",
        )
        publisher.fields.update(skills=[SKILL], **interface(f"{url}/elsewhere"))
        with pytest.raises(CardChanged, match="address"):
            await enter(connect(url, trust=policy))


async def test_two_keys_at_the_first_use_are_two_pins(key: SigningKey, other: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key, other)
    policy = TrustPolicy("require", store=store)
    async with serving(publisher) as url:
        await enter(connect(url, trust=policy))
        publisher.sign(other)
        assert (await enter(connect(url, trust=policy))).kid == other.kid


async def test_a_change_that_is_refused_pins_nothing(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher()
    async with serving(publisher) as url:
        store.approve(url, publisher.card(url))
        publisher.sign(key)
        with pytest.raises(CardChanged, match="nothing ->"):
            await enter(connect(url, trust=TrustPolicy(store=store)))
    assert store.read().origins == {}


async def test_a_card_that_moves_to_another_place_is_no_other_agent(store: TrustStore) -> None:
    publisher = Publisher(skills=[SKILL])
    places = {f"/one{CARD}"}

    async def answer(exchange: Exchange) -> None:
        if exchange.path in places:
            url = f"http://{exchange.headers['host']}"
            await exchange.answer(publisher.card(url).to_json())
        else:
            await exchange.answer(status=404)

    policy = TrustPolicy(store=store)
    async with serving(answer) as url:
        store.approve(f"{url}/one", publisher.card(url))
        await enter(connect(f"{url}/one/", trust=policy))
        places.add(CARD)
        places.discard(f"/one{CARD}")
        await enter(connect(f"{url}/one", trust=policy))
        publisher.fields["skills"] = []
        for address in (f"{url}/one", f"{url}/one/", f"{url}/one{CARD}"):
            if address.endswith(CARD):
                places.add(f"/one{CARD}")
            with pytest.raises(CardChanged):
                await enter(connect(address, trust=policy))


async def test_a_revoked_key_counts_nowhere(key: SigningKey, other: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        await enter(connect(url, trust=TrustPolicy(store=store)))
        store.revoke(key.kid)
        for policy in (
            TrustPolicy(store=store),
            TrustPolicy("require", store=store, keys=[key.public]),
            TrustPolicy(store=store, first_use=False),
        ):
            with pytest.raises(CardNotTrusted, match="revoked"):
                await enter(connect(url, trust=policy))
        publisher.sign(other)
        with pytest.raises(CardChanged):  # whoever comes next is not pinned by himself
            await enter(connect(url, trust=TrustPolicy(store=store)))
    async with serving(Publisher(key)) as elsewhere:
        for mode in ("prefer", "require"):
            with pytest.raises(CardNotTrusted, match="revoked"):
                await enter(connect(elsewhere, trust=TrustPolicy(mode, store=store)))
        async with serving(Publisher(other, key)) as both:
            assert (await enter(connect(both, trust=TrustPolicy("require", store=store)))).kid == other.kid


async def test_an_expired_key_counts_no_more(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        store.pin(url, [key.public.until(1)])
        with pytest.raises(CardNotTrusted, match="expired"):
            await enter(connect(url, trust=TrustPolicy(store=store)))


# jku.


async def test_a_jku_to_elsewhere_is_not_followed(key: SigningKey, store: TrustStore) -> None:
    elsewhere = Publisher(key)
    async with serving(elsewhere) as keys:
        publisher = Publisher(key, jku=f"{keys}{KEY_SET}")
        publisher.published = None
        async with serving(publisher) as url:
            assert (await enter(connect(url, trust=TrustPolicy(store=store)))).how == "unknown key"
            for origins in ([], ["https://keys.example"], [keys.replace("http", "https")]):
                with pytest.raises(CardNotTrusted):
                    await enter(connect(url, trust=TrustPolicy("require", store=store, jku_origins=origins)))
            assert elsewhere.paths == []
            policy = TrustPolicy("require", store=store, jku_origins=[keys])
            assert (await enter(connect(url, trust=policy))).how == "key set"
            assert elsewhere.paths == [KEY_SET]
    assert store.read().origins == {}


async def test_a_jku_in_a_card_is_not_a_way_around_a_pin(key: SigningKey, other: SigningKey, store: TrustStore) -> None:
    async with serving(Publisher(other)) as keys, serving(Publisher(other, jku=f"{keys}{KEY_SET}")) as url:
        store.pin(url, [key.public])
        with pytest.raises(CardChanged):
            await enter(connect(url, trust=TrustPolicy(store=store, jku_origins=[keys])))


@pytest.mark.parametrize(
    "origin", ["keys.example", "ftp://keys.example", "https://", "http://h:1.x", "https://k.example/a"]
)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ConfigError):
        TrustPolicy(jku_origins=[origin])


# Attacks on the way.


async def test_a_card_that_redirects_to_the_metadata_address_is_no_card() -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.answer(status=302, headers={"Location": METADATA})

    async with serving(redirect) as url:
        with pytest.raises(BadResponse):
            await enter(connect(url))


@pytest.mark.parametrize("transport", ["httpx", "asyncio", "handed in"])
async def test_a_card_does_not_name_the_metadata_address(transport: str, key: SigningKey) -> None:
    publisher = Publisher(key, **interface(METADATA))
    handed = open_transport() if transport == "handed in" else None
    async with serving(publisher) as url:
        with pytest.raises(AddressRefused):
            async with connect(url, transport=handed or transport, timeout=PATIENT) as peer:
                await peer.send("hi")
    if handed:
        await handed.aclose()


async def test_a_card_on_this_machine_may_name_another_port_of_it() -> None:
    script: list[str] = []

    async def answer(exchange: Exchange) -> None:
        script.append(exchange.path)
        await exchange.answer(b'{"result":{"task":{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}}}')

    async with serving(answer) as there:
        publisher = Publisher(**interface(f"{there.replace('127.0.0.1', 'localhost')}/x"))
        async with serving(publisher) as url, connect(url) as peer:
            await peer.send("hi")
    assert script == ["/x"]


class Names:
    """A DNS whose answers are given in their order; the last one stays."""

    def __init__(self, *answers: str) -> None:
        self.answers = [*answers]

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


@pytest.mark.parametrize("transport", ["httpx", "asyncio"])
async def test_a_name_that_leads_elsewhere_a_moment_later(transport: str) -> None:
    """DNS rebinding: the card is fetched from one address, the call would go to another."""
    publisher = Publisher()
    publisher.headers = {"Connection": "close"}
    async with serving(publisher) as served:
        url = f"http://agent.example:{urlsplit(served).port}"
        guard = AddressGuard(allow_loopback=True, resolve=Names("127.0.0.1", "169.254.169.254"))
        async with connect(url, transport=transport, trust=TrustPolicy(guard=guard), timeout=PATIENT) as peer:
            with pytest.raises(AddressRefused):
                await peer.send("hi")
    assert publisher.paths == [CARD]


async def test_a_guard_of_ones_own_looks_at_the_first_address_too() -> None:
    publisher = Publisher()
    async with serving(publisher) as url:
        strict = TrustPolicy(guard=AddressGuard())
        for transport in ("httpx", HttpxTransport()):
            with pytest.raises(AddressRefused):
                await enter(connect(url, trust=strict, transport=transport))
            if isinstance(transport, HttpxTransport):
                await transport.aclose()
    assert publisher.paths == []


@pytest.mark.parametrize("hostile", ["drips", "hangs", "floods", "garbage", "deep", "hangs up", "twice"])
@pytest.mark.parametrize("what", ["card", "key set"])
async def test_a_hostile_peer_costs_a_bound_and_no_more(
    hostile: str, what: str, key: SigningKey, store: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codin.trust._cards import policy as _policy

    monkeypatch.setattr(_policy, "_PATIENCE", 0.2)
    publisher = Publisher(key)

    async def answer(exchange: Exchange) -> None:
        if exchange.path == (CARD if what == "card" else KEY_SET):
            await misbehave(exchange, hostile)
        else:
            await publisher(exchange)

    async with serving(answer) as url, asyncio.timeout(4 * PATIENT):
        peer = connect(url, trust=TrustPolicy(store=store), timeout=0.5 if what == "card" else PATIENT)
        if what == "card":
            with pytest.raises((TransportError, DeadlineExceeded, ResponseTooLarge, ConnectError)):
                await enter(peer)
        else:
            assert (await enter(peer)).how == "unknown key"
    assert store.read().origins == {}


async def misbehave(exchange: Exchange, how: str) -> None:
    match how:
        case "drips":
            await exchange.begin("application/json")
            while True:
                await exchange.chunk(b" ")
                await asyncio.sleep(0)
        case "hangs":
            await exchange.gone()
        case "floods":
            await exchange.begin("application/json")
            while True:
                await exchange.chunk(b" " * 65536)
        case "garbage":
            await exchange.raw(b"\x00\xff" * 1000)
        case "deep":
            await exchange.answer(b'{"name":' + b"[" * 100_000)
        case "twice":
            await exchange.answer(b'{"keys": [], "keys": [], "name": 1}')
        case _:
            exchange.cut()


async def test_a_card_has_its_time_where_a_call_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from codin.client import _card

    monkeypatch.setattr(_card, "_PATIENCE", 0.05)

    async def hang(exchange: Exchange) -> None:
        await exchange.gone()

    async with serving(hang) as url:
        with pytest.raises(DeadlineExceeded):
            await enter(connect(url, timeout=None))


# The real server.


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@pytest.mark.parametrize("transport", ["httpx", "asyncio"])
async def test_a_served_agent_is_pinned_and_called(transport: str, key: SigningKey, store: TrustStore) -> None:
    policy = TrustPolicy("require", store=store)
    async with serving_agents(shout, keys=key) as url:
        for how in ("first use", "pinned"):
            async with connect(url, trust=policy, transport=transport) as peer:
                assert (peer.trusted.how, peer.trusted.kid) == (how, key.kid)
                assert (await peer.send("hi")).text == "HI"


# Once per card.


async def test_a_card_is_verified_once_and_again_when_something_was_decided(
    key: SigningKey, store: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(key)
    publisher.headers = {"Cache-Control": "max-age=60"}
    looked = 0
    check = TrustPolicy.check

    async def counted(self: TrustPolicy, *args: Any, **options: Any) -> Trusted:
        nonlocal looked
        looked += 1
        return await check(self, *args, **options)

    monkeypatch.setattr(TrustPolicy, "check", counted)
    store.name("somebody", key.public, anywhere=True)
    async with serving(publisher) as url:
        for _ in range(3):
            assert (await enter(connect(url, trust=TrustPolicy(store=store)))).verified
        assert (looked, publisher.paths) == (1, [CARD])
        TrustStore(store.path).revoke(key.kid)  # by another process, as it were
        with pytest.raises(CardNotTrusted):
            await enter(connect(url, trust=TrustPolicy(store=store)))
        await enter(connect(url, trust="off"))
    assert publisher.paths == [CARD, CARD]  # it might have been signed anew


async def test_a_card_can_be_had_alone(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key, **interface(METADATA))
    async with serving(publisher) as url:
        fetched = await fetch_card(url, trust=TrustPolicy(store=store))
        assert (fetched.address, fetched.trusted.kid) == (f"{url}{CARD}", key.kid)
        assert json.loads(fetched.raw)["name"] == fetched.card.name
    assert publisher.paths == [CARD, KEY_SET]
    with pytest.raises(ConfigError):
        await fetch_card("ftp://x")


async def test_a_card_that_is_handed_over_is_looked_at_too(key: SigningKey, store: TrustStore) -> None:
    publisher = Publisher(key)
    async with serving(publisher) as url:
        good, bad = publisher.card(url), publisher.card(url).model_copy(update={"description": "Other."})
        policy = TrustPolicy("require", store=store, keys=[key.public])
        assert (await enter(connect(good, trust=policy))).how == "known key"
        with pytest.raises(CardNotTrusted):
            await enter(connect(bad, trust=policy))
        assert publisher.paths == []


def test_an_unentered_peer_knows_nobody() -> None:
    with pytest.raises(ConfigError, match="async with"):
        _ = connect("http://127.0.0.1:9/").trusted
