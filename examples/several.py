"""Several agents on one server, each at a path of its own with a card of its own; one of them calls another.

python examples/several.py
"""

import asyncio

import codin
from codin.agent import Task, agent
from codin.testing import serving


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def twice(text: str, task: Task) -> str:
    """Have it shouted, and say it twice. The message's metadata tells where the shouter is."""
    loud = await task.call(task.metadata["shouter"], text)
    return f"{loud.text} {loud.text}"


async def main() -> None:
    async with (
        serving(shout, twice) as url,
        codin.connect(f"{url}/shout") as shouter,
        codin.connect(f"{url}/twice") as peer,
    ):
        print((await shouter.send("hello")).text)
        print((await peer.send("hello", metadata={"shouter": f"{url}/shout"})).text)
        async for task in shouter.list():
            print(task.status.state)


if __name__ == "__main__":
    asyncio.run(main())
