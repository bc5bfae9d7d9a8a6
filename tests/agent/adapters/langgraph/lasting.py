"""A graph that asks, in a process that is going to be killed; told its folder as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from langgraph.graph import START, MessagesState
from langgraph.types import interrupt

import codin
from codin.agent.adapters.langgraph import CodinSaver
from tests.agent.adapters.langgraph.graphs import build


async def order(state: MessagesState) -> dict[str, Any]:
    what = [str(message.content) for message in state["messages"] if message.type == "human"]
    colour = interrupt(f"What colour for {what[-1]}?")
    return {"messages": [("ai", f"{' and '.join(what)}, the last in {colour}")]}


if __name__ == "__main__":
    place = json.loads(sys.argv[1])["place"]
    builder = build(MessagesState).add_node("order", order).add_edge(START, "order")
    graph = builder.compile(name="clerk", checkpointer=CodinSaver())
    codin.serve(graph, port=0, store=f"sqlite:///{place}/tasks.db", memory=f"sqlite:///{place}/memory.db")
