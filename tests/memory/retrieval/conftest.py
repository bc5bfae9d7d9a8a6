"""A memory to read into, and a folder to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from codin.memory import Memory, Record, Scope
from codin.memory.embedders import HashingEmbedder
from tests.memory.conftest import opened

Fill = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
async def memory() -> Memory:
    return Memory(await opened(), Scope("", "clerk"), embedder=HashingEmbedder(64))


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Writes files into the folder `texts`, and gives that."""
    folder = tmp_path / "texts"
    folder.mkdir()

    def write(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


async def kept(memory: Memory) -> list[Record]:
    """All records of a memory, in the order of their files and of their places in these."""
    records: list[Record] = []
    while page := await memory.records.list(after=records[-1].id if records else "", limit=500):
        records += page
    return sorted(records, key=lambda record: (str(record.metadata["source"]), int(record.metadata["chunk"])))
