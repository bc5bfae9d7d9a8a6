"""Calls carry their limits: a budget that is shared out, a circle that is refused, and one bill for all of it.

python examples/limits.py
"""

import asyncio

from codin import a2a
from codin.agent import Task, agent
from codin.testing import mesh
from codin.trust import Budget, CallLimits


@agent
async def reader(text: str, task: Task) -> str:
    """Read a page; each costs 400 tokens."""
    task.usage(input_tokens=300, output_tokens=100)
    return f"{text} is read"


@agent
async def librarian(text: str, task: Task) -> str:
    """Have pages read, side by side, as far as the budget goes."""
    task.usage(input_tokens=50)

    async def read(page: str) -> str:
        try:
            return (await task.call("http://reader.test/", page, budget=Budget(tokens=500))).text
        except a2a.UnsupportedOperation as refused:
            return f"{page} is not ({refused.reason})"

    return ", ".join(await asyncio.gather(*map(read, text.split())))


@agent
async def ping(text: str, task: Task) -> str:
    """Let pong answer."""
    return (await task.call("http://pong.test/", text)).text


@agent
async def pong(text: str, task: Task) -> str:
    """Let ping answer, who waits for it."""
    try:
        return (await task.call("http://ping.test/", text)).text
    except a2a.UnsupportedOperation as refused:
        return str(refused)


async def main() -> None:
    async with mesh(reader, librarian, ping, pong) as peers:
        reply = await peers["librarian"].send("one two three four", limits=CallLimits(budget=Budget(tokens=1200)))
        print(reply.text)
        print("the bill:", reply.task and reply.task.metadata)
        print((await peers["ping"].send("hello")).text)


if __name__ == "__main__":
    asyncio.run(main())
