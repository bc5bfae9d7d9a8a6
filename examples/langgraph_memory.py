"""A LangGraph graph whose threads are in codin's memory: a question waits there for its answer, over a restart.

python examples/langgraph_memory.py
"""

# What StateGraph takes is only half typed.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

import codin
from codin.agent.adapters.langgraph import CodinSaver
from codin.memory import Memories
from codin.server import App
from codin.testing import serving
from codin.trust import BearerTokens


async def order(state: MessagesState) -> dict[str, object]:
    colour = interrupt(f"Which colour? I have {len(state['messages'])} messages.")
    return {"messages": [("ai", f"{len(state['messages'])} messages, and a cup in {colour}")]}


@asynccontextmanager
async def server(folder: str) -> AsyncGenerator[str]:
    """What would be a process."""
    builder = StateGraph(MessagesState).add_node("order", order).add_edge(START, "order")
    shop = builder.compile(name="shop", checkpointer=CodinSaver())
    callers = BearerTokens({"ada-secret": "ada", "bob-secret": "bob"})
    store, memory = (f"sqlite:///{folder}/{name}.db" for name in ("tasks", "memory"))
    async with serving(App(shop, store=store, memory=memory, authenticator=callers)) as url:
        yield url


async def main(folder: str) -> None:
    async with server(folder) as url, codin.connect(url, token="ada-secret") as ada:
        asked = await ada.send("a cup", context_id="monday")
        print("Ada is asked:", asked.text)
    async with server(folder) as url:
        async with codin.connect(url, token="ada-secret") as ada:
            print("Ada, by a new server:", (await ada.send("red", task_id=asked.task_id)).text)
        async with codin.connect(url, token="bob-secret") as bob:
            asked = await bob.send("a cup", context_id="monday")
            print("Bob:", (await bob.send("blue", task_id=asked.task_id)).text)

    async with Memories(f"sqlite:///{folder}/memory.db") as memories:
        await memories.backend.forget("", caller="ada")
        print((await memories.backend.stats("", caller="ada")).blobs, "blobs of Ada are left")


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        asyncio.run(main(place))
