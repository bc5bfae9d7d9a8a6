"""An agent uses the tools of another: what it may is decided there, by who calls and by the person who is asked.

python examples/tools_shared.py
"""

import asyncio

import codin
from codin.a2a import TaskState
from codin.agent import Task, agent
from codin.agent.adapters import share_tools, shared_tools
from codin.errors import ToolError
from codin.testing import serving
from codin.tool import tool
from codin.trust import BearerTokens, Caller


@tool
async def stock(item: str) -> int:
    """How much of it there is."""
    return {"tea": 3, "cake": 0}[item]


@tool(scopes=["order"], approval=lambda arguments: f"Really order {arguments['item']}?")
async def order(item: str) -> str:
    """Order more of it."""
    return f"{item} is ordered"


TOKENS = {"token-of-waiter": Caller("waiter", scopes=frozenset({"order"})), "token-of-guest": Caller("guest")}


async def main() -> None:
    store = share_tools([stock, order], name="store")
    async with serving(store, authenticator=BearerTokens(TOKENS)) as url:
        for token in TOKENS:
            async with codin.connect(url, token=token) as peer:
                tools = await shared_tools(peer)

                @agent(tools=tools)
                async def fill(item: str, task: Task) -> str:
                    """Orders what has run out."""
                    try:
                        left = await task.tool("stock", item=item)
                        return f"{left} of {item} are left" if left else await task.tool("order", item=item)
                    except ToolError as error:
                        return error.message

                print(token, "sees", ", ".join(each.name for each in tools))
                async with serving(fill) as address, codin.connect(address) as shop:
                    print((await shop.send("tea")).text)
                    asked = await shop.send("cake")
                    print(asked.text)
                    if asked.state is TaskState.INPUT_REQUIRED:
                        print((await shop.send("yes", task_id=asked.task_id)).text)


if __name__ == "__main__":
    asyncio.run(main())
