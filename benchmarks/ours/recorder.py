"""Agents that write down what they do: `NAME,NAME… PORT STORE RECORD`. One line a run: the call's id and the task's.

The line is written at the end of a run, by one write to a file opened for appending, so it survives the process.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from typing import Any

import codin
from codin.agent import Task, agent

_LONGEST = 0.03  # seconds of work: a process that is killed is in the middle of some of it


def recorder(name: str, record: int) -> Any:
    """An agent that may be run again after a crash: what it does twice for one task counts once."""

    @agent(id=name, name=name, rerunnable=True)
    async def work(text: str, task: Task) -> str:
        """Write down the id of the call, and say it."""
        await asyncio.sleep(random.uniform(0.0, _LONGEST))
        os.write(record, f"{text} {task.id}\n".encode())
        return text

    return work


def main() -> None:
    names, port, store, path = sys.argv[1:]
    record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    agents = [recorder(name, record) for name in names.split(",")]
    codin.serve(*agents, port=int(port), store=store, keys=False, log_level="error")


if __name__ == "__main__":
    main()
