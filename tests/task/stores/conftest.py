"""One suite for every store: a new one is one line here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from codin.task import MemoryStore, TaskStore
from codin.task.stores import SQLiteStore


@pytest.fixture(params=["memory", "sqlite", "sqlite, full"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TaskStore]:
    makers: dict[str, Callable[[], TaskStore]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(tmp_path / "tasks.db"),
        "sqlite, full": lambda: SQLiteStore(tmp_path / "tasks.db", "full"),
    }
    store = makers[request.param]()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "tasks.db"
