"""A program that is going to be killed while its agents wait for another one, whose URL they are told."""

from __future__ import annotations

import json
import sys

import codin
from codin.agent import agent
from codin.task import Limits, Task


@agent
async def steady(text: str, task: Task) -> str:
    """Fails when it is interrupted."""
    return (await task.call(text, "steady")).text


@agent(rerunnable=True)
async def again(text: str, task: Task) -> str:
    """Calls again when it is interrupted."""
    return (await task.call(text, "again")).text


if __name__ == "__main__":
    codin.serve(steady, again, port=0, limits=Limits(drain=0.1), **json.loads(sys.argv[1]))
