"""What a tree of calls costs is told at its root, and every token once: over sockets, however the answers came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from codin import a2a
from codin.client import Backoff, Event, Peer, connect
from codin.server import App
from codin.task import USAGE_KEY, AgentResponse, Limits, NeedInput, Task
from codin.testing import MemoryTransport
from codin.trust import Budget, CallLimits
from tests.interop.proxy import behind, cutting
from tests.server.actors import Act, Actor, on_sockets

pytestmark = pytest.mark.anyio

CUTS = [[], [0, 0, 0], [1, 300, 0, 700], [350, 400, 450, 500], [900, 20, 900, 20], [2000, 1500, 1000, 500]]


async def ignore(event: Event) -> None:
    """Only that it streams matters."""


class Tree:
    """a calls b and c at once, b calls d twice, c calls d: each call through a proxy that loses connections."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.peers: dict[str, Peer] = {}
        self.acts: dict[str, Act] = {"a": self.a, "b": self.b, "c": self.c, "d": self.d}
        self.runs = 0

    async def a(self, task: Task) -> str:
        task.usage(input_tokens=1)
        b, c = await asyncio.gather(self._call(task, "b"), self._call(task, "c"))
        assert dict(task.usage) == {"input_tokens": 1311, "output_tokens": 3}
        return f"a({b} {c})"

    async def b(self, task: Task) -> str:
        task.usage(input_tokens=10)
        return f"b({await self._call(task, 'd')} {await self._call(task, 'd')})"

    async def c(self, task: Task) -> str:
        task.usage(input_tokens=500)
        task.usage(input_tokens=500)
        return f"c({await self._call(task, 'd')})"

    async def d(self, task: Task) -> AgentResponse:
        self.runs += 1
        for piece in ("one ", "two ", "three"):
            await task.write(piece)
        return AgentResponse.completed(usage={"input_tokens": 100, "output_tokens": 1})

    async def _call(self, task: Task, name: str) -> str:
        return (await task.call(self.peers[name], "go", **self.options)).text

    def _through(self, proxy: str, card: a2a.AgentCard) -> Peer:
        return connect(behind(proxy, card), backoff=Backoff(first=0.001, longest=0.01))

    @asynccontextmanager
    async def grown(self, cuts: list[int]) -> AsyncGenerator[Peer]:
        """Serve the tree. Gives the way to its root."""
        async with on_sockets(self.acts) as urls, AsyncExitStack() as stack:
            for name, url in urls.items():
                async with connect(url) as direct:
                    card = direct.card
                proxy = await stack.enter_async_context(cutting(url, list(cuts)))
                self.peers[name] = await stack.enter_async_context(self._through(proxy.url, card))
            yield await stack.enter_async_context(connect(urls["a"]))


@pytest.mark.parametrize("options", [{}, {"on_event": ignore}], ids=["send", "stream"])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
async def test_three_levels_add_up_once(cuts: list[int], options: dict[str, Any]) -> None:
    tree = Tree(**options)
    async with asyncio.timeout(60), tree.grown(cuts) as root:
        reply = await root.send("go")
    d = "one two three"
    assert reply.text == f"a(b({d} {d}) c({d}))"
    assert reply.task is not None
    assert (reply.task.metadata or {})[USAGE_KEY] == {"input_tokens": 1311, "output_tokens": 3}
    assert tree.runs == 3


async def test_a_budget_of_the_tree_is_spent_once_by_all_its_branches() -> None:
    """Every leaf costs ten; whatever the shape of the calls, a hundred tokens are ten leaves."""
    leaves = 0
    refused: list[str] = []
    urls: dict[str, str] = {}

    async def leaf(task: Task) -> AgentResponse:
        nonlocal leaves
        leaves += 1
        return AgentResponse.completed("leaf", usage={"total_tokens": 10})

    def branch(*names: str) -> Act:
        async def act(task: Task) -> str:
            async def call(name: str) -> None:
                try:
                    await task.call(urls[name], "go", budget=Budget(tokens=40))
                except a2a.UnsupportedOperation as error:
                    refused.append(error.reason)

            await asyncio.gather(*map(call, names))
            return "done"

        return act

    nine = branch(*["leaf"] * 9)
    acts: dict[str, Act] = {"a": branch(*"bcbcbc"), "b": nine, "c": nine, "leaf": leaf}
    async with asyncio.timeout(60), on_sockets(acts) as served:
        urls.update(served)
        async with connect(urls["a"]) as root:
            reply = await root.send("go", limits=CallLimits(budget=Budget(tokens=100)))
    assert reply.task is not None
    assert (reply.task.metadata or {})[USAGE_KEY] == {"total_tokens": 100}
    assert leaves == 10
    assert set(refused) == {"CALL_BUDGET_SPENT"}


async def test_the_bill_of_a_peer_that_asks_and_goes_on_adds_up_once() -> None:
    async def asker(task: Task) -> AgentResponse:
        task.usage(total_tokens=10)
        if task.resume is None:
            raise NeedInput("which?", token=1)
        answer = await task.ask("sure?")  # the second question is one of the same run
        task.usage(total_tokens=100)
        return AgentResponse.completed(answer.text)

    urls: dict[str, str] = {}

    async def caller(task: Task) -> str:
        reply = await task.call(urls["asker"], "go")
        bills = [task.usage["total_tokens"]]
        while reply.state is not None and reply.state.interrupted:
            reply = await task.call(urls["asker"], "yes", task_id=reply.task_id, context_id=reply.context_id)
            bills.append(task.usage["total_tokens"])
        return str(bills)

    async with asyncio.timeout(20), on_sockets({"asker": asker, "caller": caller}) as served:
        urls.update(served)
        async with connect(urls["caller"]) as root:
            assert (await root.send("go")).text == "[10, 20, 120]"


async def test_an_agent_that_answers_with_a_message_tells_its_bill_too() -> None:
    async def direct(task: Task) -> AgentResponse:
        task.usage(input_tokens=1)
        answer = AgentResponse.message("hi")
        answer.usage = {"output_tokens": 2}
        return answer

    async def caller(task: Task) -> str:
        replies = [await task.call("http://direct.test/", "go") for _ in range(2)]
        return f"{replies[0].text} {dict(task.usage)}"

    apps = {"direct.test": App(Actor("direct", direct, reply="message"))}
    transport = MemoryTransport(apps)
    app = App(Actor("caller", caller), transport=transport, limits=Limits(drain=0.1))
    transport.apps["caller.test"] = app
    async with connect("http://caller.test/", transport=transport) as peer:
        assert (await peer.send("go")).text == "hi {'input_tokens': 2, 'output_tokens': 4}"
    await app.close()


async def test_a_thousand_agents_in_a_row_are_stopped_at_the_limit() -> None:
    reached: list[int] = []
    reasons: list[str] = []

    def link(number: int) -> Act:
        async def act(task: Task) -> str:
            reached.append(number)
            try:
                reply = await task.call(f"http://n{number + 1}.test/", "on")
            except a2a.UnsupportedOperation as error:
                reasons.append(error.reason)
                return f"stopped at {number}"
            return reply.text

        return act

    transport = MemoryTransport({})
    apps = [App(Actor(f"n{number}", link(number)), transport=transport) for number in range(1000)]
    transport.apps.update({f"n{number}.test": app for number, app in enumerate(apps)})
    async with asyncio.timeout(60), connect("http://n0.test/", transport=transport) as peer:
        assert (await peer.send("on")).text == "stopped at 16"
    assert (reached, reasons) == (list(range(17)), ["CALL_TOO_DEEP"])
    for app in apps[:17]:
        await app.close()
    await transport.aclose()
