"""An agent inside a FastAPI application, under a prefix, beside its other routes.

    python examples/mount_fastapi.py
    uvicorn --app-dir examples mount_fastapi:app     # the same, until Ctrl-C

The card names the right URL by itself. The lifespan is handed over because FastAPI does not run that of a mounted
application; without it the agent starts with its first request, and a shutdown does not wait for its tasks.
"""

import asyncio

from fastapi import FastAPI

import codin
from codin.agent import agent
from codin.server import App
from codin.testing import serving


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


agents = App(shout)
app = FastAPI(lifespan=agents.lifespan)
app.mount("/agents/shout", agents)


@app.get("/about")
async def about() -> dict[str, str]:
    return {"agents": "/agents/shout"}


async def main() -> None:
    async with serving(app) as url, codin.connect(f"{url}/agents/shout") as peer:
        print(peer.card.supported_interfaces[0].url.removeprefix(url))
        print((await peer.send("hello")).text)


if __name__ == "__main__":
    asyncio.run(main())
