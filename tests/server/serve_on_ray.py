"""Puts an agent behind Ray Serve on the cluster of RAY_ADDRESS, where it stays, and says when it is there.

Its arguments are the port, and what a node has to have.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from importlib import import_module
from pathlib import Path
from typing import Any

from codin.agent import agent
from codin.server.ray import serve_application


@agent
async def spell(text: str) -> AsyncGenerator[str]:
    """Spell a word; with `wait:` in front of a path, only so far until there is such a file. `pid` is its process."""
    word, _, path = text.partition(" wait:")
    word = str(os.getpid()) if word == "pid" else word
    for number, letter in enumerate(word):
        while path and number == 1 and not await asyncio.to_thread(Path(path).exists):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        yield f"{letter}-"


def main() -> None:
    ray: Any = import_module("ray")
    serve: Any = import_module("ray.serve")
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="ERROR")
    port, *needs = sys.argv[1:]
    # All nodes have one address, on which one of them can listen.
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": int(port)})
    app = serve_application("tests.server.serve_on_ray:spell", num_cpus=0.1, resources=dict.fromkeys(needs, 1.0))
    serve.run(app, route_prefix="/agents/spell")
    print("there", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
