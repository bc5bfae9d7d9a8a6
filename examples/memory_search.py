"""A document in a memory: read once, found by words and by vectors, quoted with its lines, read again when it changes.

python examples/memory_search.py
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from codin.memory import Memory, Scope, open_memory
from codin.memory.embedders import HashingEmbedder
from codin.memory.retrieval import citation, ingest, passage

DOCUMENT = Path(__file__).with_name("documents") / "lighthouses.md"


def write(folder: str, end: str = "") -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    Path(folder, DOCUMENT.name).write_text(text + end, encoding="utf-8")


async def show(memory: Memory, question: str) -> None:
    (hit,) = await memory.records.search(question, k=1)
    for sentence in passage(hit).split(". ")[:2]:
        print(f"  {sentence.strip()}")
    print(f"  [{citation(hit)}]\n")


async def main(folder: str) -> None:
    # memory:// ends with the process; sqlite:///memory.db, redis:// and postgresql:// do not.
    backend = open_memory("memory://")
    await backend.open()
    memory = Memory(backend, Scope(agent="librarian"), embedder=HashingEmbedder())

    write(folder)
    done = await ingest(memory, folder)
    print(f"{done.added} added, {done.chunks} chunks\nWho bent the wick of an oil lamp?")
    await show(memory, "Who bent the wick of an oil lamp?")
    print((await ingest(memory, folder)).unchanged, "unchanged")

    write(folder, "\n## The end\n\nThe last keeper left in 1998.\n")
    print((await ingest(memory, folder)).changed, "changed\nWhen did the last keeper leave?")
    await show(memory, "When did the last keeper leave?")
    print(await memory.forget(), "erased,", (await memory.stats()).records, "left")
    await backend.close()


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        asyncio.run(main(place))
