"""Agents by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import assert_type

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Backoff, Event, Peer, Reply
from codin.errors import CodinError
from codin.mesh import (
    Answer,
    Directory,
    Found,
    Mesh,
    MeshLimits,
    Nearby,
    PeerState,
    RandomOfTwo,
    Route,
    Static,
    WellKnown,
    first_healthy,
    least_loaded,
    lowest_latency,
)
from codin.mesh.registry import Registry
from codin.server import App
from codin.task import Resolver

ROUTES: list[Route] = [first_healthy, least_loaded, lowest_latency, RandomOfTwo(Random(1))]
DIRECTORIES: list[Directory] = [Static([]), WellKnown("http://h"), Nearby(), Registry("http://127.0.0.1:7000")]


@agent
async def echo(text: str) -> str:
    return text


class Mine:
    """A directory of one's own."""

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        return [Found("echo", "echo", "http://127.0.0.1:8000")]

    async def aclose(self) -> None: ...


def shortest(candidates: Sequence[PeerState], /) -> PeerState:
    return min(candidates, key=lambda state: len(state.name))


async def sources(card: a2a.AgentCard) -> None:
    limits = MeshLimits(timeout=5, backoff=Backoff(tries=1, unreached=False))
    mesh = codin.Mesh("http://127.0.0.1:7000", ["http://a", "http://b"], card, Mine(), limits=limits, route=shortest)
    async with mesh as opened, Mesh(App(echo)), Mesh(trust="require", token=None):
        assert_type(opened, Mesh)
    resolver: Resolver = mesh
    App(echo, resolver=resolver)


async def calls(mesh: Mesh) -> None:
    found = await mesh.find(tag="volume", limit=3)
    assert_type(found, Sequence[Found])
    assert_type(await mesh.call("echo", "hello", context_id="c", hedge=0.5, route=lowest_latency), Reply)
    assert_type(await mesh.call(found[0], {"a": 1}, timeout=5), Reply)
    async for event in mesh.stream("echo", "hello"):
        assert_type(event, Event)
    answers = await mesh.ask_many([*found, "echo"], "hello", limit=5, at_most=2, timeout=3)
    assert_type(answers, list[Answer])
    assert_type(answers[0].reply, Reply | None)
    assert_type(answers[0].error, CodinError | None)
    assert_type(await mesh.resolve("echo"), Peer)
    for state in mesh.state:
        assert_type(state.latency, float | None)
