"""Replicas in memory, and a network between them that fails when it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from codin import a2a
from codin.agent import Agent, agent
from codin.errors import ConnectError, DeadlineExceeded, TransportError
from codin.mesh.registry import RegistryApp
from codin.net import MemoryTransport, Response, StreamingResponse
from codin.server import App
from codin.task import Limits


def replica(name: str, *, tags: Sequence[str] = ("echo",), place: str = "") -> Agent:
    """An agent that says where it is and what it was told."""

    @agent(id=name, name=name, tags=tags)
    async def reply(text: str) -> AsyncIterator[str]:
        """Say it again."""
        yield f"{place or name}: "
        yield text

    return reply


class Net:
    """A transport to applications by their hosts.

    Attributes:
        down: hosts where nobody is.
        cut: how many of the next answers of a host are lost, after it has acted.
        held: hosts that answer only after this has happened.
        posts: of each host, how many messages arrived.
        keys: their idempotency keys.
        plain: the cards do not declare that keys are honoured, as those of other libraries.
    """

    def __init__(self, apps: Mapping[str, Agent | RegistryApp]) -> None:
        self._apps = {
            host: served if isinstance(served, RegistryApp) else App(served, limits=Limits(drain=0.1))
            for host, served in apps.items()
        }
        self._memory = MemoryTransport(self._apps)
        self.down: set[str] = set()
        self.cut: Counter[str] = Counter()
        self.held: dict[str, asyncio.Event] = {}
        self.posts: Counter[str] = Counter()
        self.gets: Counter[str] = Counter()
        self.keys: list[str] = []
        self.plain = False
        self.arrived = asyncio.Condition()

    @property
    def urls(self) -> list[str]:
        return [f"http://{host}" for host in self._apps]

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        host = await self._arrive(method, url, headers)
        try:
            async with asyncio.timeout(timeout):
                await self._hold(host, method)
        except TimeoutError:
            raise DeadlineExceeded(f"{url} did not answer.") from None
        answer = await self._memory.request(method, url, headers=headers, content=content, timeout=timeout, limit=limit)
        self._lose(host, method)
        if self.plain and method == "GET":
            return answer._replace(body=answer.body.replace(a2a.RESUME_EXTENSION.encode(), b"urn:example:none"))
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float | None
    ) -> AsyncGenerator[StreamingResponse]:
        host = await self._arrive(method, url, headers)
        async with self._memory.stream(method, url, headers=headers, content=content, timeout=timeout) as answer:
            self._lose(host, method)
            yield answer

    async def aclose(self) -> None:
        await self._memory.aclose()
        for app in self._apps.values():
            await app.close()

    async def wait_for(self, host: str) -> None:
        """Until a message has arrived there."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.posts[host] > 0)

    async def _arrive(self, method: str, url: str, headers: Mapping[str, str]) -> str:
        host = urlsplit(url).hostname or ""
        if host in self.down:
            raise ConnectError(f"Nobody is at {host}.")
        if method == "GET":
            self.gets[host] += 1
        elif "Idempotency-Key" in headers:
            self.keys.append(headers["Idempotency-Key"])
            async with self.arrived:
                self.posts[host] += 1
                self.arrived.notify_all()
        return host

    async def _hold(self, host: str, method: str) -> None:
        if method == "POST" and host in self.held:
            await self.held[host].wait()

    def _lose(self, host: str, method: str) -> None:
        if method == "POST" and self.cut[host]:
            self.cut[host] -= 1
            raise TransportError(f"The connection to {host} was lost.")


@asynccontextmanager
async def served(**agents: Agent | RegistryApp) -> AsyncGenerator[Net]:
    """Agents by their hosts, for the time of a test."""
    net = Net(agents)
    try:
        yield net
    finally:
        await net.aclose()
