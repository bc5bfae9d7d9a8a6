"""Only the client: the card, a message, a stream, the list of tasks, and a cancel. Any A2A v1.0 agent will do.

python examples/client_only.py http://127.0.0.1:8000
python examples/client_only.py                         # calls a small agent that it starts itself
"""

import asyncio
import sys

import codin
from codin import a2a
from codin.agent import Task, agent
from codin.testing import serving


async def tour(url: str) -> None:
    async with codin.connect(url, timeout=30) as peer:
        card = peer.card
        print(f"{card.name} {card.version}: {card.description}")
        print("skills:", ", ".join(skill.name for skill in card.skills))

        reply = await peer.send("hello")
        print("send:", reply.state, reply.text)

        print("stream: ", end="")
        async for event in peer.stream("hello again", context_id=reply.context_id):
            print(event.text, end="")
        print()

        begun = await peer.send("wait", wait=False)  # does not wait for the task to end
        try:
            print("cancel:", (await peer.cancel(begun.task_id or "")).status.state)
        except a2a.TaskNotCancelable:
            print("cancel: it had ended already")

        async for task in peer.list(context_id=reply.context_id, include_artifacts=True):
            print("list:", task.status.state, [a2a.text_of(artifact.parts) for artifact in task.artifacts])


@agent
async def echo(text: str, task: Task) -> str:
    """Say the same; to "wait", wait to be canceled."""
    if text == "wait":
        await task.ask("Shall I go on?")
    return text


async def main() -> None:
    if len(sys.argv) > 1:
        await tour(sys.argv[1])
        return
    async with serving(echo) as url:
        await tour(url)


if __name__ == "__main__":
    asyncio.run(main())
