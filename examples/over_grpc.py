"""gRPC beside the other bindings: the same tasks, the same errors, streams that go on behind an event.

python examples/over_grpc.py        # needs: pip install 'codin[grpc]'
"""

import asyncio
from collections.abc import AsyncIterator

import codin
from codin import a2a
from codin.agent import agent
from codin.testing import serving


@agent
async def spell(text: str) -> AsyncIterator[str]:
    """Spell a word."""
    for letter in text:
        yield f"{letter} "


async def main() -> None:
    async with serving(spell, grpc_port=0) as url:
        async with codin.connect(url, binding="GRPC") as peer:
            print(peer.interface.protocol_binding, "at", peer.interface.url)
            events = [event async for event in peer.stream("codin")]
            print("".join(event.text for event in events))

            task = events[-1].task
            assert task is not None
            again = [event.number async for event in peer.subscribe(task.id, after=events[2].number)]
            print("behind event", events[2].number, "come", again)

            try:
                await peer.cancel(task.id)
            except a2a.TaskNotCancelable as error:
                print(error.grpc_status, error.reason)

        async with codin.connect(url) as peer:  # JSON-RPC, which comes first in the card
            print(peer.interface.protocol_binding, "knows the task:", (await peer.get(task.id)).status.state)


if __name__ == "__main__":
    asyncio.run(main())
