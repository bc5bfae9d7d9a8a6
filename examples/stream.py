"""An agent that answers piece by piece: what a generator yields is streamed.

    python examples/stream.py

Each event has a number. A stream that is cut goes on behind the last number its reader has seen; here the second
reader asks for that by hand, long after the task has ended.
"""

import asyncio
from collections.abc import AsyncGenerator

import codin
from codin.agent import agent
from codin.testing import serving


@agent
async def spell(text: str) -> AsyncGenerator[str]:
    """Spell a word letter by letter."""
    for letter in text:
        yield f"{letter}-"
    yield "done"


async def main() -> None:
    async with serving(spell) as url, codin.connect(url) as peer:
        task_id = ""
        async for event in peer.stream("tide"):
            print(event.number, event.kind, event.state, repr(event.text))
            task_id = event.task.id if event.task else task_id

        print("once more, from event 5:")
        async for event in peer.subscribe(task_id, after=4):
            print(event.number, event.kind)


if __name__ == "__main__":
    asyncio.run(main())
