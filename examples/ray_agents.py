"""An agent on a Ray cluster, twice: behind Ray Serve, and in an actor that listens on a port of its own.

    ray start --head
    RAY_ADDRESS=127.0.0.1:6379 python examples/ray_agents.py

Both answer A2A, and stream event by event. The nodes need codin, and the agent's module.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from importlib import import_module
from socket import create_server
from typing import Any

from uvicorn import Config, Server

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
        app: Any = App(getattr(import_module(module), name))
        listening = create_server(("127.0.0.1", 0))
        self.serving = asyncio.create_task(Server(Config(app, log_level="error")).serve([listening]))
        return "http://{}:{}".format(*listening.getsockname())


async def converse(name: str, url: str) -> None:
    async with codin.connect(url) as peer:
        print(name, [event.text async for event in peer.stream("ray") if event.kind == "artifact"])


def main() -> None:
    ray: Any = import_module("ray")  # it is large: only who has a cluster loads it
    serve: Any = import_module("ray.serve")
    host = ray.remote(Host).remote()
    asyncio.run(converse("actor:", ray.get(host.start.remote("ray_agents", "spell"))))
    ray.kill(host)
    serve.start(http_options={"host": "127.0.0.1", "port": (port := int(os.environ.get("SERVE_PORT", "8000")))})
    serve.run(serve_application("ray_agents:spell"))
    asyncio.run(converse("serve:", f"http://127.0.0.1:{port}"))
    serve.shutdown()


if __name__ == "__main__":
    main() if "RAY_ADDRESS" in os.environ else print("RAY_ADDRESS names no cluster: ray start --head")
