"""An agent uses tools: what does not fit reaches none of them, and what costs much is asked for first.

    python examples/tool_agent.py

Each use is in the log of the task, with its arguments and how it ended.
"""

import asyncio
from typing import Annotated, Literal

from pydantic import Field

import codin
from codin.agent import Task, agent
from codin.errors import ToolError
from codin.testing import serving
from codin.tool import tool

PRICES = {"tea": 2.5, "cake": 4.0}


@tool
def price(item: Literal["tea", "cake"], quantity: Annotated[int, Field(gt=0)] = 1) -> float:
    """What an order costs.

    Args:
        item: what is ordered.
        quantity: how much of it.
    """
    return PRICES[item] * quantity


@tool(approval=lambda arguments: arguments["amount"] > 10 and f"Really pay {arguments['amount']}?")
async def pay(amount: float) -> str:
    """Pay for an order."""
    return f"{amount} paid"


@agent(tools=[price, pay])
async def buy(item: str, quantity: int, task: Task) -> str:
    """Buy something."""
    try:
        return await task.tool("pay", amount=await task.tool("price", item=item, quantity=quantity))
    except ToolError as error:
        return str(error)


async def main() -> None:
    async with serving(buy) as url, codin.connect(url) as peer:
        print((await peer.send({"item": "tea", "quantity": 2})).text)
        asked = await peer.send({"item": "cake", "quantity": 20})
        print(asked.text, (await peer.send("no", task_id=asked.task_id)).text)
        print((await peer.send({"item": "tea", "quantity": -1})).text)


if __name__ == "__main__":
    asyncio.run(main())
