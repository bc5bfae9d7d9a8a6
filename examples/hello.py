"""The three-line agent, served and called.

python examples/hello.py             # serves it, calls it, ends
codin serve examples/hello.py        # serves it until Ctrl-C; then: codin call http://127.0.0.1:8000 "hello"
"""

import asyncio

import codin
from codin.agent import agent
from codin.testing import serving


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def main() -> None:
    async with serving(shout) as url, codin.connect(url) as peer:
        print(f"{peer.card.name}: {peer.card.description}")
        reply = await peer.send("hello")
        print(reply.text, reply.state)


if __name__ == "__main__":
    asyncio.run(main())
