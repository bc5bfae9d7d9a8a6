"""A router: it finds the agent that fits a wish, by the words of the cards, and hands the message on.

python examples/routing.py
"""

import asyncio
from contextlib import aclosing

import codin
from codin.agent import agent
from codin.agent.coordination import Router
from codin.mesh import Static
from codin.testing import serving


@agent(tags=["arithmetic"])
async def adder(text: str) -> str:
    """Add numbers."""
    return str(sum(int(word) for word in text.split() if word.isdecimal()))


@agent(tags=["volume"])
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def main() -> None:
    async with (
        serving(adder, shout) as url,
        aclosing(Static([f"{url}/adder", f"{url}/shout"])) as known,
        serving(Router(known)) as place,
        codin.connect(place) as router,
    ):
        for wish in ("Please add 2 and 40", "louder, please", "paint my house"):
            reply = await router.send(wish)
            print(f"{wish!r} -> {reply.text!r}")


if __name__ == "__main__":
    asyncio.run(main())
