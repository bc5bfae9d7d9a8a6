"""Tools go both ways: one of codin in an agent of Pydantic AI, and one of LangChain in an agent of codin.

    python examples/native_tools.py

No model is needed: `TestModel` calls every tool once, with arguments that it makes up, and tells what they gave.
"""

import asyncio
from typing import Annotated

from langchain_core.tools import tool as langchain_tool
from pydantic import Field
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

import codin
from codin.agent import Task, agent
from codin.agent.adapters import tool_of
from codin.agent.adapters.pydantic_ai import native_tools
from codin.errors import ToolError
from codin.testing import serving
from codin.tool import tool


@tool(approval=lambda arguments: f"Really order {arguments['cups']} cups?")
async def order(cups: Annotated[int, Field(ge=12)]) -> str:
    """Order tea."""
    return f"{cups} cups are on their way"


waiter = Agent(TestModel(), name="waiter", tools=native_tools(order))


@langchain_tool
def steep(leaves: int) -> str:
    """Steep leaves."""
    return f"tea of {leaves} leaves"


@agent(tools=[tool_of(steep)])
async def pot(leaves: str, task: Task) -> str:
    """Make tea."""
    try:
        return await task.tool("steep", leaves=int(leaves) if leaves.isdigit() else leaves)
    except ToolError as error:
        return str(error)


async def main() -> None:
    async with serving(waiter) as url, codin.connect(url) as peer:
        asked = await peer.send("Tea for all, please.")
        print(asked.text, (await peer.send("yes", task_id=asked.task_id)).text)
    async with serving(pot) as url, codin.connect(url) as peer:
        for leaves in ("3", "three"):
            print((await peer.send(leaves)).text)


if __name__ == "__main__":
    asyncio.run(main())
