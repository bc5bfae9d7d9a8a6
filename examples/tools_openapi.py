"""An HTTP API becomes tools: its OpenAPI document says what they are called, what they take and what they give.

    python examples/tools_openapi.py

What does not fit the document never leaves, and the key of the API is in no argument, log or error.
"""

import asyncio
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Security
from fastapi.security import APIKeyHeader

import codin
from codin.agent import Task, agent
from codin.errors import ToolError
from codin.testing import serving
from codin.tool.openapi import openapi_tools

BOOKS = {1: "Sketch of the Analytical Engine", 2: "Flatland"}
api = FastAPI(title="Library")
key = APIKeyHeader(name="X-Key", scheme_name="key", auto_error=False)


@api.get("/books/{number}", operation_id="book")
async def book(number: Annotated[int, Path(ge=1)], given: Annotated[str | None, Security(key)]) -> dict[str, str]:
    """The title of a book, by its number."""
    if given != "a secret":
        raise HTTPException(401, "who are you?")
    if number not in BOOKS:
        raise HTTPException(404, f"there is no book {number}")
    return {"title": BOOKS[number]}


async def main() -> None:
    async with serving(api) as url:
        tools = openapi_tools(api.openapi(), base_url=url, auth={"key": "a secret"})

        @agent(tools=tools)
        async def librarian(number: int, task: Task) -> str:
            """Finds a book."""
            try:
                return (await task.tool("book", number=number))["title"]
            except ToolError as error:
                return error.message

        async with serving(librarian) as address, codin.connect(address) as peer:
            for number in (1, 9, 0):
                print((await peer.send({"number": number})).text)


if __name__ == "__main__":
    asyncio.run(main())
