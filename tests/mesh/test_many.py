"""Asking several agents at once."""

from __future__ import annotations

import asyncio

import pytest

import codin
from codin.errors import DeadlineExceeded, NoAgent
from codin.mesh import Answer
from codin.server import App
from tests.mesh.net import replica, served

pytestmark = pytest.mark.anyio


async def test_every_agent_of_a_list_has_an_answer_or_an_error_in_its_order() -> None:
    async with codin.Mesh(App(replica("a"), replica("b"))) as mesh:
        found = await mesh.find("b")
        answers = await mesh.ask_many(["a", "nobody", *found], "x")
        assert [(each.agent, each.text) for each in answers] == [("a", "a: x"), ("nobody", ""), ("b", "b: x")]
        assert [type(each.error) for each in answers] == [type(None), NoAgent, type(None)]
        assert answers[1].reply is None


async def test_a_wish_asks_each_agent_that_fits_and_one_replica_of_it() -> None:
    agents = {"a1": replica("a", place="a1"), "a2": replica("a", place="a2"), "b": replica("b")}
    async with served(**agents) as net, codin.Mesh(*net.urls, transport=net) as mesh:
        answers = await mesh.ask_many("echo", "x")
        assert sorted(each.text[0] for each in answers) == ["a", "b"]
        assert net.posts.total() == 2
        assert len(await mesh.ask_many("echo", "x", limit=1)) == 1
        with pytest.raises(NoAgent):
            await mesh.ask_many("nobody", "x")


async def test_no_more_are_asked_at_once_than_may_be() -> None:
    agents = {f"h{number}": replica(f"a{number}") for number in range(6)}
    async with served(**agents) as net, codin.Mesh(*net.urls, transport=net) as mesh:
        await mesh.find()
        net.held = {host: asyncio.Event() for host in agents}
        asking = asyncio.create_task(mesh.ask_many("echo", "x", at_most=2))
        for done in range(6):
            async with net.arrived:
                await net.arrived.wait_for(lambda: net.posts.total() == min(done + 2, 6))  # noqa: B023
            next(event for host, event in net.held.items() if net.posts[host] and not event.is_set()).set()
        assert all(each.error is None for each in await asking)


async def test_who_is_late_is_an_error_among_the_answers() -> None:
    async with (
        served(slow=replica("slow"), quick=replica("quick")) as net,
        codin.Mesh(*net.urls, transport=net) as mesh,
    ):
        await mesh.find()
        net.held["slow"] = asyncio.Event()
        answers: list[Answer] = await mesh.ask_many(["slow", "quick"], "x", timeout=3.0)
        assert isinstance(answers[0].error, DeadlineExceeded)
        assert answers[1].text == "quick: x"
        assert all(state.in_flight == 0 for state in mesh.state)
