"""Finding agents in a registry over HTTP: words, pages, meaning, health."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from codin.errors import BadResponse, ConnectError
from codin.mesh.registry import RegistryApp, RegistryLimits, SQLiteRegistryStore
from codin.mesh.registry._proof import PROOF_HEADER, prove
from codin.net import Response
from tests.mesh.registry.desk import REGISTRY, Agent, opened, transport_to

pytestmark = pytest.mark.anyio


async def _get(app: RegistryApp, path: str) -> tuple[int, Any]:
    answer = await transport_to(app).request("GET", f"{REGISTRY}{path}", headers={}, timeout=10)
    return answer.status, json.loads(answer.body)


async def test_agents_are_found_by_name_skill_tag_and_text() -> None:
    async with opened() as (_, registry):
        await Agent("sum", skills=("add",), tags=("maths",), description="Adds numbers.").register(registry)
        await Agent("poet", skills=("rhyme",), tags=("text",), description="Écrit des vers.").register(registry)
        wishes: list[tuple[dict[str, Any], list[str]]] = [
            ({"name": "Sum"}, ["sum"]),
            ({"skill": "RHYME"}, ["poet"]),
            ({"tag": "maths"}, ["sum"]),
            ({"text": "numb"}, ["sum"]),
            ({"text": "écrit vers"}, ["poet"]),
            ({"text": "numbers", "tag": "text"}, []),
            ({"text": "?!"}, []),
            ({}, ["poet", "sum"]),
        ]
        for wish, ids in wishes:
            assert [found.id for found in await registry.find(**wish)] == ids, wish


async def test_a_page_is_bounded_and_leads_to_the_next() -> None:
    async with opened(limits=RegistryLimits(max_page=3)) as (app, registry):
        for number in range(8):
            await Agent(f"a{number}").register(registry)
        status, first = await _get(app, "/v1/agents?limit=1000")
        assert (status, [each["id"] for each in first["agents"]]) == (200, ["a0", "a1", "a2"])
        _, second = await _get(app, f"/v1/agents?cursor={first['next']}")
        assert [each["id"] for each in second["agents"]] == ["a3", "a4", "a5"]
        assert [found.id for found in await registry.find(limit=7)] == [f"a{number}" for number in range(7)]


@pytest.mark.parametrize(
    "question", ["limit=0", "limit=-1", "limit=x", "cursor=x", f"name={'x' * 2000}", "near=something"]
)
async def test_a_question_that_is_none_is_said_to_be_none(question: str) -> None:
    async with opened() as (app, _):
        status, answer = await _get(app, f"/v1/agents?{question}")
        assert status == 400
        assert answer["error"]["message"]


async def test_agents_are_found_by_meaning_and_again_after_a_restart() -> None:
    topics = ("money", "bank", "poem", "verse")

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        # Money and banks are alike, as poems and verses are.
        return [[sum(text.lower().count(topics[i + j]) + 0.01 for j in (0, 1)) for i in (0, 2)] for text in texts]

    store = SQLiteRegistryStore()
    async with opened(store=store, embed=embed) as (_, registry):
        await Agent("teller", description="At the bank.").register(registry)
        await Agent("poet", description="A verse a day.").register(registry)
        assert [found.id for found in await registry.find(near="a poem, please", limit=1)] == ["poet"]
        assert [found.id for found in await registry.find(near="money")] == ["teller", "poet"]
        assert [found.id for found in await registry.find(near="money", name="poet")] == ["poet"]


async def test_an_embedding_that_fails_keeps_nobody_out() -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        raise OSError("no model")

    async with opened(embed=embed) as (_, registry):
        await Agent("poet").register(registry)
        assert [found.id for found in await registry.find(text="poet")] == ["poet"]


async def test_who_is_silent_is_suspect_then_gone_then_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    for module in ("_registrar", "_admission", "_app"):
        monkeypatch.setattr(f"codin.mesh.registry.{module}.time", clock)
    echo = Agent("echo")
    async with opened(limits=RegistryLimits(keep_gone=100.0)) as (app, registry):
        receipt = await echo.register(registry, ttl=10)
        seen = [(at, await _health(app, registry, receipt.key, clock, at)) for at in (9, 11, 21, 119, 121)]
        assert seen == [
            (9, ("healthy", 1)), (11, ("suspect", 1)), (21, ("gone", 0)), (119, ("gone", 0)), (121, (None, 0)),
        ]  # fmt: skip


class _Clock:
    """Seconds since 1970, as far as a registry knows."""

    def __init__(self) -> None:
        import time

        self.begun = self.now = time.time()
        self.monotonic = time.monotonic

    def time(self) -> float:
        return self.now


async def _health(app: RegistryApp, registry: Any, key: str, clock: _Clock, at: float) -> tuple[str | None, int]:
    clock.now = clock.begun + at
    await app._registrar.sweep()  # pyright: ignore[reportPrivateUsage]
    status, answer = await _get(app, f"/v1/agents/{key}")
    return (answer["health"] if status == 200 else None), len(await registry.find())


async def test_a_heartbeat_brings_an_agent_back() -> None:
    echo = Agent("echo")
    async with opened(limits=RegistryLimits(shortest_ttl=0.0)) as (app, registry):
        receipt = await echo.register(registry, ttl=0)
        assert await registry.find() == []
        _, answer = await _get(app, "/v1/agents?gone=true")
        assert [each["health"] for each in answer["agents"]] == ["gone"]
        await registry.heartbeat(receipt.key, key=echo.key, load=0.75)
        _, answer = await _get(app, f"/v1/agents/{receipt.key}")
        assert answer["load"] == 0.75


@pytest.mark.parametrize("load", ["-1", '"much"', "1e99", "true", "[]"])
async def test_a_load_is_a_number(load: str) -> None:
    echo = Agent("echo")
    assert echo.key is not None
    async with opened() as (app, registry):
        receipt = await echo.register(registry)
        body = f'{{"load": {load}}}'.encode()
        path = f"/v1/agents/{receipt.key}/heartbeat"
        headers = {PROOF_HEADER: prove(echo.key, "POST", f"{REGISTRY}{path}", body)}
        answer = await transport_to(app).request("POST", f"{REGISTRY}{path}", headers=headers, content=body, timeout=9)
        assert answer.status == 400


class _Web:
    """What is at the addresses that agents have registered."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages

    async def request(self, method: str, url: str, **_: Any) -> Response:
        if url not in self.pages:
            raise ConnectError(f"{url} could not be reached")
        return Response(200, {}, self.pages[url])

    def stream(self, method: str, url: str, **_: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


async def test_a_registry_that_looks_knows_who_answers_and_who_is_somebody_else() -> None:
    good, away, stolen = Agent("good"), Agent("away"), Agent("stolen")
    web = _Web({good.place: good.card().to_json(), stolen.place: Agent("stolen").card().to_json()})
    async with opened(transport=web, probe=3600.0) as (app, registry):
        for agent in (good, away, stolen):
            await agent.register(registry)
        await app._registrar.look()  # pyright: ignore[reportPrivateUsage]
        found = {each.id: each for each in await registry.find()}
        assert {name: each.health for name, each in found.items()} == {
            "good": "healthy", "away": "suspect", "stolen": "suspect",
        }  # fmt: skip
        assert found["good"].latency is not None
        assert found["away"].latency is None
        web.pages[away.place] = away.card().to_json()
        await app._registrar.look()  # pyright: ignore[reportPrivateUsage]
        (back,) = await registry.find(name="away")
        assert back.health == "healthy"


async def test_a_registry_is_an_ai_catalog_too() -> None:
    echo = Agent("echo")
    async with opened() as (app, registry):
        await echo.register(registry)
        status, catalog = await _get(app, "/.well-known/ai-catalog.json")
        assert status == 200
        assert [entry["url"] for entry in catalog["entries"]] == [echo.place]
        assert catalog["specVersion"] == "1.0"


async def test_what_a_registry_cannot_do_it_says() -> None:
    async with opened() as (app, registry):
        status, answer = await _get(app, "/v1/agents/unknown")
        assert (status, answer["error"]["reason"]) == (404, "NOT_FOUND")
        with pytest.raises(BadResponse, match="404"):
            await registry.deregister("../../healthz")
