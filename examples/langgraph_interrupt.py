"""A LangGraph graph that stops to ask: `interrupt()` is INPUT_REQUIRED to the caller, whose answer resumes the graph.

python examples/langgraph_interrupt.py
"""

# What StateGraph takes is only half typed.
# pyright: reportUnknownMemberType=false

import asyncio
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

import codin
from codin.testing import serving


class Order(TypedDict, total=False):
    """Orders something, once somebody has agreed to the price."""

    item: str
    price: int
    result: str


def quote(state: Order) -> Order:
    return {"price": 3 * len(state.get("item", ""))}


def approve(state: Order) -> Order:
    answer: Any = interrupt(f"{state.get('item')} costs {state.get('price')}. Order it?")
    return {"result": "ordered" if answer == "yes" else "left in the shop"}


builder = StateGraph(Order)
builder.add_node("quote", quote)
builder.add_node("approve", approve)
builder.add_edge(START, "quote")
builder.add_edge("quote", "approve")
builder.add_edge("approve", END)
shop = builder.compile(name="shop", checkpointer=InMemorySaver())


async def main() -> None:
    async with serving(shop) as url, codin.connect(url) as peer:
        for answer in ("yes", "no"):
            asked = await peer.send({"item": "barometer"})
            print(f"{asked.state}: {asked.text}\n> {answer}")
            reply = await peer.send(answer, task_id=asked.task_id, context_id=asked.context_id)
            print(reply.state, reply.data)


if __name__ == "__main__":
    asyncio.run(main())
