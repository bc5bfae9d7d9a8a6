"""Agents by what they are: by name, by skill, in words; and what happens when one of two is gone.

python examples/mesh.py
"""

import asyncio
from contextlib import AsyncExitStack

import codin
from codin.agent import Task, agent
from codin.errors import NoAgent
from codin.server import App
from codin.testing import serving


@agent(tags=["volume"])
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent(tags=["volume"])
async def whisper(text: str) -> str:
    """Say it so that hardly anybody hears it."""
    return f"({text.lower()})"


@agent
async def twice(text: str, task: Task) -> str:
    """Have it shouted, and say it twice. It knows the shouter by name only."""
    loud = await task.call("shout", text)
    return f"{loud.text} {loud.text}"


async def main() -> None:
    async with serving(shout) as first, serving(whisper) as second, AsyncExitStack() as stack:
        replica = await stack.enter_async_context(serving(shout))
        async with codin.Mesh(first, second, replica) as mesh:
            print((await mesh.call("shout", "by name")).text)
            print((await mesh.call("hardly anybody hears", "In Words")).text)
            for answer in await mesh.ask_many("volume", "By Tag"):
                print(answer.agent, "says", answer.text)
            async with serving(App(twice, resolver=mesh)) as url, codin.connect(url) as peer:
                print((await peer.send("hello")).text)
            try:
                await mesh.call("shuot", "hello")
            except NoAgent as error:
                print(error)
            await stack.aclose()  # one of the two shouters is gone
            for number in range(3):
                print((await mesh.call("shout", f"still here {number}")).text)
            for state in mesh.state:
                print(state.name, state.circuit, f"{state.in_flight} under way, {state.failures} failures")


if __name__ == "__main__":
    asyncio.run(main())
