"""A question that survives the death of its server: killed while it waits, and answered in the next process.

    python examples/durable.py

With the SQLite store, what a client has seen is on disk. After a restart the answer runs the function again from the
top, and `ask` returns the recorded answers one after the other. So code before an `ask` must be idempotent.
"""

import asyncio
import re
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process

import codin
from codin.agent import Task, agent


@agent
async def introduce(task: Task) -> str:
    """Ask for two names and introduce them."""
    first = await task.ask("Who is the first?")
    second = await task.ask("And the second?")
    return f"{first.text}, this is {second.text}."


async def start(store: str) -> tuple[Process, str]:
    """This file, served by a process of its own."""
    command = (sys.executable, "-m", "codin.cli", "serve", __file__, "--port", "0", "--store", store)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    found = re.search(r"http://\S+", (await process.stdout.readline()).decode())
    if found is None:
        raise SystemExit("the server did not start")
    return process, found[0]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        task_id = context_id = None
        for number, said in enumerate(["hello", "Ada", "Charles"], 1):
            process, url = await start(f"sqlite:///{folder}/tasks.db")
            async with codin.connect(url) as peer:
                reply = await peer.send(said, task_id=task_id, context_id=context_id)
                print(f"process {number}: {said!r} -> {reply.text!r} ({reply.state})")
            task_id, context_id = reply.task_id, reply.context_id
            process.send_signal(signal.SIGKILL)
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
