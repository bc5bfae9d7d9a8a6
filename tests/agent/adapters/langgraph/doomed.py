"""A process that is killed in the middle of a turn: answers one message, and hangs on the next.

Usage: python -m tests.agent.adapters.langgraph.doomed THREADS_DB MODEL_URL
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState
from pydantic import SecretStr

from codin.agent.adapters.langgraph import adapt
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import build


async def main(path: str, url: str) -> None:
    chat = ChatOpenAI(model="local", base_url=url, api_key=SecretStr("x"))

    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    builder = build(MessagesState).add_node("agent", agent).add_edge(START, "agent")
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        desk = Desk(adapt(builder.compile(saver, name="c")))
        await desk.send("one", context="k")
        await desk.send("hang on", context="k")


asyncio.run(main(*sys.argv[1:]))
