"""Ingestion of a folder into SQLite: `python -m benchmarks.ours.memory_ingest DOCUMENTS EMBEDDER`.

Prints the seconds of a first run and of one in which nothing has changed, and by how much the process grew, in MiB.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from codin.memory import Memory, Scope, open_memory
from codin.memory.embedders import embedder_of
from codin.memory.retrieval import ingest

_FIRST = ("ba", "ko", "li", "me", "nu", "ro", "sa", "ti")
_SECOND = ("ban", "der", "fos", "gul", "han", "jik", "lom", "mar", "nep", "pol", "quin", "ras", "tov", "vel", "zan")
_WORDS = [first + second for first in _FIRST for second in _SECOND]
_SECTIONS, _LINES = 6, 10


def _fill(folder: Path, documents: int) -> None:
    """Markdown of six sections and about five thousand letters each."""
    chance = random.Random(7)
    folder.mkdir()
    for number in range(documents):
        lines = [f"# Document {number}", ""]
        for section in range(_SECTIONS):
            lines += [f"## {chance.choice(_WORDS)} {section}", ""]
            lines += [" ".join(chance.choices(_WORDS, k=13)) + "." for _ in range(_LINES)] + [""]
        (folder / f"{number}.md").write_text("\n".join(lines), encoding="utf-8")


async def _measure(place: Path, embedder: str) -> dict[str, float]:
    backend = open_memory(f"sqlite:///{place}/memory.db")
    await backend.open()
    memory = Memory(backend, Scope(agent="bench"), embedder=embedder_of(embedder))
    await ingest(memory, place / "one")  # pays for what is imported and made ready
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times: list[float] = []
    for _ in range(2):
        begun = time.perf_counter()
        await ingest(memory, place / "all")
        times.append(time.perf_counter() - begun)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await backend.close()
    return {"first": times[0], "again": times[1], "grown": grown / 1024}


def _main(documents: int, embedder: str) -> None:
    with TemporaryDirectory() as name:
        place = Path(name)
        _fill(place / "one", 1)
        _fill(place / "all", documents)
        print(json.dumps(asyncio.run(_measure(place, embedder))))


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2])
