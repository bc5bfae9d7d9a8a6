"""The routes that come with the mesh."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import codin
from codin.mesh import Found, Health, PeerState, RandomOfTwo, Static, first_healthy, least_loaded, lowest_latency
from tests.mesh.net import replica, served


def state(name: str, *, in_flight: int = 0, latency: float | None = None, load: float | None = None) -> PeerState:
    found = Found(name, "echo", f"http://{name}", load=load)
    return PeerState(found, "closed", 0, in_flight, latency, connected=True)


def test_the_least_loaded_by_what_is_under_way_and_then_by_what_it_says() -> None:
    assert (
        least_loaded([state("a", in_flight=2), state("b", in_flight=1, load=0.9), state("c", in_flight=3)]).url[-1]
        == "b"
    )
    assert least_loaded([state("a", load=0.5), state("b", load=0.1), state("c", load=0.3)]).url[-1] == "b"


def test_the_fastest_and_before_it_one_that_was_never_asked() -> None:
    assert lowest_latency([state("a", latency=0.2), state("b", latency=0.1)]).url[-1] == "b"
    assert lowest_latency([state("a", latency=0.2), state("b")]).url[-1] == "b"


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.integers())
def test_of_two_at_random_never_the_busier(loads: list[int], seed: int) -> None:
    candidates = [state(str(number), in_flight=load) for number, load in enumerate(loads)]
    chosen = RandomOfTwo(Random(seed))(candidates)
    assert chosen in candidates
    assert max(loads) != chosen.in_flight or loads.count(chosen.in_flight) > 1


def test_of_two_at_random_everybody_has_a_turn() -> None:
    candidates = [state(str(number)) for number in range(5)]
    route = RandomOfTwo(Random(7))
    turns = Counter(route(candidates).url for _ in range(1000))
    assert len(turns) == 5
    assert min(turns.values()) > 100


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("health", "expected"), [(("gone", "suspect", "healthy"), "c"), (("gone", "suspect", "gone"), "b")]
)
async def test_only_the_healthiest_are_candidates(health: tuple[Health, ...], expected: str) -> None:
    agents = {name: replica("echo", place=name) for name in "abc"}
    async with served(**agents) as net:
        found = [Found("echo", "echo", url, health=each) for url, each in zip(net.urls, health, strict=True)]

        class Known:
            async def find(self, **conditions: object) -> list[Found]:
                return found

            async def aclose(self) -> None: ...

        async with codin.Mesh(Known(), transport=net, route=first_healthy) as mesh:
            assert (await mesh.call("echo", "x")).text == f"{expected}: x"


@pytest.mark.anyio
async def test_messages_are_spread_over_replicas() -> None:
    agents = {name: replica("echo", place=name) for name in "abc"}
    async with served(**agents) as net:
        async with codin.Mesh(Static(net.urls, transport=net), transport=net, random=Random(3)) as mesh:
            places = Counter([(await mesh.call("echo", "x")).text[0] for _ in range(60)])
        assert set(places) == set("abc")
        assert min(places.values()) > 5
