"""An agent that remembers, in a process that is going to be killed; told its folder as JSON."""

from __future__ import annotations

import json
import sys

import codin
from codin.agent import agent


@agent(id="echo")
async def echo(text: str) -> str:
    """Say it louder."""
    return text.upper()


if __name__ == "__main__":
    place = json.loads(sys.argv[1])["place"]
    codin.serve(echo, port=0, store=f"sqlite:///{place}/tasks.db", memory=f"sqlite:///{place}/memory.db")
