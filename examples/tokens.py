"""Bearer tokens: who calls is known, and nobody sees the tasks of somebody else.

    python examples/tokens.py

`codin serve file.py --token-file tokens` reads the same from a file with lines of `caller-id token`.
"""

import asyncio

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.testing import serving
from codin.trust import BearerTokens

TOKENS = {"token-of-ada": "ada", "token-of-bob": "bob"}  # in real life: long, random, and not in the source


@agent
async def greet(task: Task) -> str:
    """Greet whoever calls."""
    return f"Hello {task.caller.id}."


async def main() -> None:
    async with serving(greet, authenticator=BearerTokens(TOKENS)) as url:
        async with codin.connect(url, token="token-of-ada") as ada, codin.connect(url, token="token-of-bob") as bob:
            reply = await ada.send("hello")
            print(reply.text, (await bob.send("hello")).text)
            try:
                await bob.get(reply.task_id or "")
            except a2a.TaskNotFound as error:
                print("Bob asks for Ada's task:", type(error).__name__)

        async with codin.connect(url) as stranger:  # the card is public
            try:
                await stranger.send("hello")
            except a2a.Unauthenticated as error:
                print("Without a token:", type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main())
