"""codin's client under the common loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.rig import clients
from codin.client import connect


@asynccontextmanager
async def opened(url: str, streaming: bool, transport: str) -> AsyncGenerator[clients.Client]:
    async with connect(url, transport=transport) as peer:

        async def ask(text: str) -> str:
            return (await peer.send(text)).text

        async def follow(text: str) -> AsyncIterator[str]:
            async for event in peer.stream(text):
                yield event.text

        yield clients.Client(ask, follow)


if __name__ == "__main__":
    clients.main(opened)
