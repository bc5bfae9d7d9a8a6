"""Whose agent is meant: a name that several keys have, and a name that nobody has."""

from __future__ import annotations

import pytest

import codin
from codin.agent import Agent, agent
from codin.errors import MeshError, NoAgent
from codin.net import MemoryTransport
from codin.server import App
from codin.trust import SigningKey, TrustPolicy, TrustStore
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
