"""codin's mesh under the common loop: the same peer, by its name. Two addresses after a comma are two replicas."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.rig import clients
from codin.mesh import Mesh


@asynccontextmanager
async def opened(url: str, streaming: bool, transport: str) -> AsyncGenerator[clients.Client]:
    async with Mesh(*url.split(","), transport=transport) as mesh:
        (name, *_) = {found.name for found in await mesh.find()}

        async def ask(text: str) -> str:
            return (await mesh.call(name, text)).text

        async def follow(text: str) -> AsyncIterator[str]:
            async for event in mesh.stream(name, text):
                yield event.text

        yield clients.Client(ask, follow)


if __name__ == "__main__":
    clients.main(opened)
