"""A program that is going to be killed: an agent whose notifications go to this machine."""

from __future__ import annotations

import json
import sys

import codin
from codin.agent import agent
from codin.net import AddressGuard
from codin.task import Limits, PushPolicy, Task

_POLICY = PushPolicy(guard=AddressGuard(allow_loopback=True), first_pause=0.01, longest_pause=0.05, drain=0.1)


@agent
async def count(text: str, task: Task) -> None:
    """Writes as many chunks as it is told."""
    for number in range(int(text)):
        await task.write(f"{number} ")


if __name__ == "__main__":
    codin.serve(count, port=0, limits=Limits(drain=0.1), push=_POLICY, **json.loads(sys.argv[1]))
