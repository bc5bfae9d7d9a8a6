"""Agents and their clients in one process, without a socket between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from codin.agent import Agent, as_agent
from codin.client import Peer, connect
from codin.errors import ConfigError
from codin.net import MemoryTransport, Transport
from codin.server import App
from codin.task import Limits, open_store

__all__ = ["Peers", "mesh"]

_SWIFT = Limits(drain=0.5)  # a test that leaves a turn running has no use for its end


class Peers(Mapping[str, Peer]):
    """The connected peers of a mesh, by the names of the agents.

    Attributes:
        transport: what leads to them, for `codin.connect(url, transport=…)`.
        urls: where each agent is, by its name; any agent of the mesh may call it there.
    """

    def __init__(self, transport: Transport, urls: Mapping[str, str], peers: Mapping[str, Peer]) -> None:
        self.transport = transport
        self.urls = urls
        self._peers = peers

    def connect(self, name: str, **options: Any) -> Peer:
        """Another way to an agent, e.g. with a token; usable inside `async with`. Takes what `codin.connect` takes."""
        return connect(self.urls[name], transport=self.transport, **options)

    def __getitem__(self, name: str) -> Peer:
        return self._peers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)


@asynccontextmanager
async def mesh(*agents: object, **options: Any) -> AsyncGenerator[Peers]:
    """Serve agents in memory while the block runs, and connect to each.

        async with mesh(shout, twice) as peers:
            print((await peers["twice"].send("hello")).text)

    Each agent has a server of its own, at `http://ID.test/`, where the others reach it by `task.call`. It is the real
    server, driven by the real client; only the network is left out. asyncio only.

    Args:
        agents: what `App` takes: agents, functions, objects of a framework.
        options: for each `App`, e.g. `store`, `limits`, `authenticator`.

    Raises:
        ConfigError: two agents have one name or one id.
    """
    transport = MemoryTransport({})
    options = {"limits": _SWIFT, "transport": transport, **options}
    if isinstance(options.get("store"), str):
        options["store"] = open_store(options["store"])  # one for all, as a file has one owner
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transport.aclose)
        for agent in map(as_agent, agents):
            host = _host_of(agent)
            if agent.name in urls or host in transport.apps:
                raise ConfigError(f"two agents are {agent.name!r}", hint="give them names and ids of their own")
            app = App(agent, **options)
            urls[agent.name], transport.apps[host] = f"http://{host}/", app
            stack.push_async_callback(app.close)
        peers = {name: await stack.enter_async_context(connect(url, transport=transport)) for name, url in urls.items()}
        yield Peers(transport, urls, peers)


def _host_of(agent: Agent) -> str:
    return f"{agent.id}.test"
