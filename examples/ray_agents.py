"""An agent on a Ray cluster, twice: behind Ray Serve, and in an actor that listens on a port of its own.

    ray start --head
    RAY_ADDRESS=127.0.0.1:6379 python examples/ray_agents.py

Both answer A2A, and stream event by event. The nodes need codin, and the module that the target names.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import Any

import codin
from codin.agent import agent
from codin.server import App
from codin.server.ray import serve_application


@agent
async def spell(text: str) -> AsyncGenerator[str]:
    """Spell a word letter by letter."""
    for letter in text:
        yield f"{letter}-"


class Host:
    """An actor that serves an agent on the node where Ray puts it."""

    async def start(self, module: str, name: str) -> str:
        import uvicorn

        app: Any = App(getattr(import_module(module), name))
        self.server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return "http://{}:{}".format(*self.server.servers[0].sockets[0].getsockname())

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.serving


async def converse(name: str, url: str) -> None:
    async with codin.connect(url) as peer:
        print(name, [event.text async for event in peer.stream("ray") if event.kind == "artifact"])


def main() -> None:
    ray: Any = import_module("ray")  # it is large: only who has a cluster loads it
    serve: Any = import_module("ray.serve")
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
    host = ray.remote(Host).remote()
    asyncio.run(converse("actor:", ray.get(host.start.remote("ray_agents", "spell"))))
    ray.get(host.stop.remote())

    port = int(os.environ.get("SERVE_PORT", "8000"))
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(serve_application("ray_agents:spell", num_cpus=0.5))
    asyncio.run(converse("serve:", f"http://127.0.0.1:{port}"))
    serve.shutdown()


if __name__ == "__main__":
    main() if "RAY_ADDRESS" in os.environ else print("RAY_ADDRESS names no cluster: ray start --head")
