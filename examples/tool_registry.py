"""Tools without an agent: found by words, used by name, there only for who may; one of them streams.

python examples/tool_registry.py
"""

import asyncio
from collections.abc import AsyncIterator

from codin.errors import ToolError
from codin.tool import ToolExecutor, tool
from codin.trust import Caller

BOOKS = ["The Wind in the Willows", "Willow Patterns", "A Winter Book"]


@tool(tags=["library"])
async def find_books(words: str) -> AsyncIterator[str]:
    """Look for titles in the catalogue."""
    for title in BOOKS:
        if words.lower() in title.lower():
            yield f"{title}\n"


@tool(tags=["library"], scopes=["staff"])
async def remove_book(title: str) -> int:
    """Take a title out of the catalogue."""
    BOOKS.remove(title)
    return len(BOOKS)


async def main() -> None:
    reader, librarian = Caller("ada"), Caller("bob", scopes=frozenset({"staff"}))
    executor = ToolExecutor([find_books, remove_book])
    for caller in (reader, librarian):
        print(caller.id, "finds", [found.name for found in executor.registry.search("library catalogue", caller)])
    async for piece in executor.stream("find_books", {"words": "willow"}, caller=reader):
        print("-", piece, end="")
    for name, arguments in (("find_book", {}), ("find_books", {"word": "x"}), ("remove_book", {"title": "Emma"})):
        try:
            await executor.call(name, arguments, caller=reader)
        except ToolError as error:
            print(error)
    print(await executor.call("remove_book", {"title": "A Winter Book"}, caller=librarian), "are left")


if __name__ == "__main__":
    asyncio.run(main())
