"""Who gets into a registry, under which name, and who does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.errors import BadResponse, StoreInUse
from codin.mesh.registry import Registry, RegistryApp, RegistryLimits
from codin.mesh.registry._proof import PROOF_HEADER, prove
from codin.trust import BearerTokens, KeyRing, SigningKey, sign_card
from tests.mesh.registry.desk import REGISTRY, Agent, opened, transport_to

pytestmark = pytest.mark.anyio


async def _post(app: RegistryApp, path: str, body: bytes, proof: str | None = None, method: str = "POST") -> Any:
    headers = {"Content-Type": "application/json", **({PROOF_HEADER: proof} if proof else {})}
    transport = transport_to(app)
    return await transport.request(method, f"{REGISTRY}{path}", headers=headers, content=body, timeout=10)


def _body(agent: Agent, card: a2a.AgentCard | None = None, url: str | None = None) -> bytes:
    document = (card or agent.card()).to_json().decode()
    return f'{{"card": {document}, "url": "{url or agent.place}"}}'.encode()


async def test_a_signed_agent_is_found_and_verified() -> None:
    echo = Agent("echo")
    async with opened() as (_, registry):
        receipt = await echo.register(registry, load=0.25)
        (found,) = await registry.find(name="ECHO")
        assert receipt.verified
        assert echo.key is not None
        assert (found.id, found.name, found.url) == ("echo", "Echo", echo.place)
        assert found.identity == f"echo@{echo.key.kid}"
        assert found.verified
        assert found.health == "healthy"
        assert found.load == 0.25
        assert found.card is not None
        assert found.card == echo.card().model_copy(update={"signatures": found.card.signatures})


async def test_an_unsigned_agent_is_refused_unless_the_operator_said_otherwise() -> None:
    nobody = Agent("nobody", key=None)
    async with opened() as (_, registry):
        with pytest.raises(BadResponse, match="unsigned registration is not taken"):
            await nobody.register(registry)
        assert await registry.find() == []
    async with opened(allow_unsigned=True) as (_, registry):
        receipt = await nobody.register(registry)
        (found,) = await registry.find()
        assert not receipt.verified
        assert not found.verified
        assert found.identity is None  # what is not signed may say that it is anybody


async def test_a_card_that_was_edited_is_refused_even_where_unsigned_ones_are_taken() -> None:
    echo = Agent("echo")
    card = echo.card().model_copy(update={"description": "Does something else."})
    async with opened(allow_unsigned=True) as (_, registry):
        with pytest.raises(BadResponse, match="does not fit this card"):
            await registry.register(card, echo.place, key=echo.key)


async def test_the_card_of_another_is_refused() -> None:
    bank, mallory = Agent("bank"), SigningKey.generate()
    async with opened() as (_, registry):
        with pytest.raises(BadResponse, match="not trusted"):
            await registry.register(bank.card(), bank.place, key=mallory)
        # The same card, signed by the thief as well: it still says that it is another's.
        with pytest.raises(BadResponse, match="of another key"):
            await registry.register(bank.card(mallory), bank.place, key=mallory)


@pytest.mark.parametrize(
    "thief",
    [Agent("bank"), Agent("BANK"), Agent("mallory", name="Bank"), Agent("bank", key=None)],
    ids=["id", "case", "name", "unsigned"],
)
async def test_a_name_belongs_to_the_key_that_had_it_first(thief: Agent) -> None:
    bank = Agent("bank")
    async with opened(allow_unsigned=True) as (_, registry):
        receipt = await bank.register(registry)
        with pytest.raises(BadResponse, match="belongs to somebody else"):
            await thief.register(registry)
        await registry.deregister(receipt.key, key=bank.key)
        with pytest.raises(BadResponse, match="belongs to somebody else"):  # its owner is only away
            await thief.register(registry)
        await bank.register(registry)
        assert [found.verified for found in await registry.find(name="bank")] == [True]


async def test_who_has_no_key_holds_no_name_against_one_who_has() -> None:
    async with opened(allow_unsigned=True) as (_, registry):
        await Agent("bank", key=None, host="squatter.test").register(registry)
        await Agent("bank").register(registry)
        assert sorted(found.verified for found in await registry.find(name="bank")) == [False, True]


async def test_a_rotated_key_takes_the_names_along_when_both_have_signed() -> None:
    old, new = Agent("bank"), Agent("bank")
    assert old.key is not None
    async with opened() as (_, registry):
        await old.register(registry)
        await registry.register(new.card(old.key), new.place, key=new.key)
        with pytest.raises(BadResponse, match="belongs to somebody else"):
            await old.register(registry)


async def test_a_card_that_names_no_key_passes_no_name_on() -> None:
    """Its owner never said by whose key it is followed: anybody may sign it as well."""
    bank, mallory = Agent("bank"), SigningKey.generate()
    plain = bank.card(capabilities=a2a.AgentCapabilities())
    async with opened() as (_, registry):
        await registry.register(plain, bank.place, key=bank.key)
        with pytest.raises(BadResponse, match="belongs to somebody else"):
            await registry.register(sign_card(plain, mallory), bank.place, key=mallory)
        await registry.register(plain, bank.place, key=bank.key)


async def test_the_agents_of_whoever_runs_it_keep_their_names_without_the_old_key(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    bank, mallory = Agent("bank", ring.active), Agent("bank", host="mallory.test")
    async with opened(keys=KeyRing.open(tmp_path / "keys")) as (_, registry):
        await bank.register(registry)
        ring.revoke(ring.active.kid)
        await _taken_by(ring, mallory, registry)
        for _ in range(2):
            ring.rotate(overlap=0)  # the first of these keys is forgotten, and the last has the name all the same
        await _taken_by(ring, mallory, registry)


async def _taken_by(ring: KeyRing, stranger: Agent, registry: Registry) -> None:
    """See that the key that counts now has the name, and nobody else before or after that."""
    with pytest.raises(BadResponse, match="belongs to somebody else"):
        await stranger.register(registry)
    bank = Agent("bank", ring.active)
    await bank.register(registry)
    assert bank.key is not None
    assert f"bank@{bank.key.kid}" in [found.identity for found in await registry.find(name="bank")]
    with pytest.raises(BadResponse, match="belongs to somebody else"):
        await stranger.register(registry)


async def test_a_key_that_whoever_runs_it_has_revoked_says_nothing_more(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    bank, other = Agent("bank", ring.active), Agent("other", ring.active)
    async with opened(keys=ring) as (_, registry):
        receipt = await bank.register(registry)
        ring.revoke(ring.active.kid)
        with pytest.raises(BadResponse, match="revoked by its owner"):
            await registry.heartbeat(receipt.key, key=bank.key)
        with pytest.raises(BadResponse, match="revoked by its owner"):
            await other.register(registry)
        await registry.deregister(receipt.key, key=bank.key)  # to go it is good enough
        assert await registry.find() == []


async def test_replicas_share_a_name_and_a_key() -> None:
    one = Agent("echo", host="a.test")
    two = Agent("echo", key=one.key, host="b.test")
    async with opened() as (_, registry):
        await one.register(registry)
        await two.register(registry)
        assert {found.url for found in await registry.find(name="echo")} == {one.place, two.place}


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data.json",
        "http://echo.test:81/.well-known/agent-card.json",
        "https://echo.test/.well-known/agent-card.json",
        "http://echo.test/admin",
        "file:///etc/passwd.json",
        "http://[broken/.json",
    ],
)
async def test_an_address_elsewhere_is_refused(place: str) -> None:
    echo = Agent("echo")
    async with opened() as (_, registry):
        with pytest.raises(BadResponse):
            await registry.register(echo.card(), place, key=echo.key)


async def test_a_request_is_for_one_registry_one_body_and_one_moment() -> None:
    echo = Agent("echo")
    assert echo.key is not None
    body = _body(echo)
    address = f"{REGISTRY}/v1/agents"
    bad = {
        "elsewhere": prove(echo.key, "POST", "http://other.test/v1/agents", body),
        "method": prove(echo.key, "DELETE", address, body),
        "body": prove(echo.key, "POST", address, b"{}"),
        "old": prove(echo.key, "POST", address, body, now=time.time() - 3600),
        "future": prove(echo.key, "POST", address, body, now=time.time() + 3600),
        "garbage": "a.b.c",
        "empty": "..",
    }
    good = prove(echo.key, "POST", address, body)
    bad["edited"] = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    bad["unsigned"] = good.rpartition(".")[0] + "."
    async with opened(allow_unsigned=True) as (app, _):
        for why, proof in bad.items():
            answer = await _post(app, "/v1/agents", body, proof)
            assert answer.status == 403, why
            assert b"PROOF_REFUSED" in answer.body, why
        assert (await _post(app, "/v1/agents", body, good)).status == 201


async def test_a_proof_cannot_say_its_own_algorithm() -> None:
    # `none`, and an HMAC with the public key as its secret: the algorithm is that of the key.
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    echo = Agent("echo")
    assert echo.key is not None
    body = _body(echo)
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    claims = part({"htm": "POST", "htu": f"{REGISTRY}/v1/agents", "iat": time.time(), "body": digest})
    async with opened() as (app, _):
        for algorithm in ("none", "HS256"):
            header = part({"alg": algorithm, "typ": "codin-registration+jwt", "jwk": echo.key.public.to_jwk()})
            signed = f"{header}.{claims}"
            mac = hmac.digest(echo.key.public.to_pem(), signed.encode(), "sha256")
            signature = "" if algorithm == "none" else base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
            answer = await _post(app, "/v1/agents", body, f"{signed}.{signature}")
            assert answer.status == 403


async def test_a_repeated_request_is_not_heard_again() -> None:
    echo = Agent("echo")
    assert echo.key is not None
    body = _body(echo)
    proof = prove(echo.key, "POST", f"{REGISTRY}/v1/agents", body)
    async with opened() as (app, registry):
        assert (await _post(app, "/v1/agents", body, proof)).status == 201
        again = await _post(app, "/v1/agents", body, proof)
        assert (again.status, b"REPEATED" in again.body) == (409, True)
        receipt = await echo.register(registry)
        path = f"/v1/agents/{receipt.key}"
        leaving = prove(echo.key, "DELETE", f"{REGISTRY}{path}", b"")
        assert (await _post(app, path, b"", leaving, "DELETE")).status == 204
        await echo.register(registry)
        assert (await _post(app, path, b"", leaving, "DELETE")).status == 409
        assert len(await registry.find()) == 1


async def test_nobody_speaks_for_another() -> None:
    echo, mallory = Agent("echo"), SigningKey.generate()
    async with opened() as (_, registry):
        receipt = await echo.register(registry)
        for key in (mallory, None):
            # Another's registration is answered as one that is not there.
            with pytest.raises(BadResponse, match="404"):
                await registry.heartbeat(receipt.key, key=key)
            with pytest.raises(BadResponse, match="404"):
                await registry.deregister(receipt.key, key=key)
        with pytest.raises(BadResponse, match="404"):
            await registry.heartbeat("0" * 24, key=echo.key)
        assert len(await registry.find()) == 1


async def test_a_card_is_bounded() -> None:
    echo = Agent("echo")
    deep: Any = "bottom"
    for _ in range(40):
        deep = [deep]
    deeper = echo.card(capabilities=a2a.AgentCapabilities(extensions=[a2a.AgentExtension(uri="x", params={"a": deep})]))
    wide = Agent("wide", skills=tuple(f"s{number}" for number in range(20)))
    huge = Agent("huge", description="x" * 300_000)
    limits = RegistryLimits(max_skills=10)
    async with opened(limits=limits) as (app, registry):
        with pytest.raises(BadResponse, match="deeper than 32"):
            await registry.register(deeper, echo.place, key=echo.key)
        with pytest.raises(BadResponse, match="at most 10 skills"):
            await wide.register(registry)
        with pytest.raises(BadResponse, match="413"):
            await huge.register(registry)
        bottomless = b'{"card":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}"
        assert (await _post(app, "/v1/agents", bottomless, "a.b.c")).status == 403
    async with opened(allow_unsigned=True) as (app, _):
        for body in (
            bottomless,
            b"",
            b"[]",
            b"nonsense",
            b'{"card": []}',
            b'{"card": {}, "url": 7}',
            _body(Agent("a", key=None))[:-1] + b', "ttl": NaN}',
            _body(Agent("a"))[:-1] + b', "load": 1e999}',
        ):
            assert (await _post(app, "/v1/agents", body)).status == 400


async def test_a_flood_of_registrations_ends_at_a_bound() -> None:
    key = SigningKey.generate()
    async with opened(limits=RegistryLimits(max_per_owner=5, max_agents=8)) as (app, registry):
        for number in range(5):
            await Agent(f"a{number}", key=key).register(registry)
        with pytest.raises(BadResponse, match="429"):
            await Agent("one-more", key=SigningKey.generate()).register(registry)
        await Agent("a0", key=key).register(registry)  # who is in it may renew
        other = Registry(REGISTRY, transport=transport_to(app, "10.0.0.9"))
        for number in range(3):
            await Agent(f"b{number}").register(other)
        with pytest.raises(BadResponse, match="503"):
            await Agent("b9").register(other)


async def test_coming_and_going_does_not_collect_names_without_end() -> None:
    async with opened(limits=RegistryLimits(max_per_owner=3)) as (_, registry):
        for number in range(3):
            agent = Agent(f"a{number}", name=f"Agent {number}")
            receipt = await agent.register(registry)
            await registry.deregister(receipt.key, key=agent.key)
        with pytest.raises(BadResponse, match="429"):
            await Agent("one-more").register(registry)


async def test_a_stranger_learns_nothing() -> None:
    echo = Agent("echo")
    async with opened(authenticator=BearerTokens({"secret": "alice"})) as (app, stranger):
        alice = Registry(REGISTRY, token="secret", transport=transport_to(app), fresh=0.0)
        receipt = await echo.register(alice)
        assert len(await alice.find()) == 1
        for path in ("/v1/agents", f"/v1/agents/{receipt.key}", "/v1/agents/unknown", "/v1/watch"):
            answer = await _post(app, path, b"", method="GET")
            assert answer.status == 401, path
            assert b"echo" not in answer.body.lower()
            assert answer.headers["www-authenticate"].startswith("Bearer")
        catalog = await _post(app, "/.well-known/ai-catalog.json", b"", method="GET")
        assert json.loads(catalog.body)["entries"] == []
        with pytest.raises(BadResponse, match="401"):
            await stranger.find()
        with pytest.raises(BadResponse, match="401"):
            await Agent("mallory").register(stranger)
        with pytest.raises(BadResponse, match="401"):
            await stranger.deregister(receipt.key, key=echo.key)


async def test_a_file_keeps_registrations_and_names(tmp_path: Any) -> None:
    bank = Agent("bank")
    store = f"sqlite:///{tmp_path / 'registry.db'}"
    async with opened(store=store) as (_, registry):
        receipt = await bank.register(registry)
        other = RegistryApp(store)
        with pytest.raises(StoreInUse):
            await other.start()
    async with opened(store=store) as (_, registry):
        assert [found.id for found in await registry.find()] == ["bank"]
        await registry.heartbeat(receipt.key, key=bank.key)
        with pytest.raises(BadResponse, match="belongs to somebody else"):
            await Agent("bank").register(registry)
    assert (tmp_path / "registry.db").stat().st_mode & 0o077 == 0
