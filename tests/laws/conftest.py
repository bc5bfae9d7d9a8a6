"""Every law runs for every store: a new one is one line here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from codin.task import MemoryStore, TaskStore
from codin.task.stores import SQLiteStore
from tests.laws.through import Late, Through

__all__ = ["Kind", "Stores", "law"]


@dataclass(frozen=True)
class Kind:
    """How to make a store, and how a process reaches it."""

    make: Callable[[Path], TaskStore]
    late: bool = False
    patience: float = 0.02
    """Seconds for which a world over this store may do nothing before it counts as stuck."""

    def reach(self, store: TaskStore, rhythm: Iterator[int], *, copies: bool) -> Through:
        """One process's way to the store; `rhythm` is how fast a late one answers."""
        return Late(store, rhythm) if self.late else Through(store, copies=copies)


law = settings(
    max_examples=int(os.environ.get("CODIN_LAW_EXAMPLES", "40")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
"""The settings of every law. `CODIN_LAW_EXAMPLES=2000` looks longer."""

STORES = {
    "memory": Kind(lambda path: MemoryStore()),
    "memory, late": Kind(lambda path: MemoryStore(), late=True),
    "sqlite": Kind(SQLiteStore, patience=10.0),
}


@dataclass(frozen=True)
class Stores:
    """Makes a fresh store for each example."""

    kind: Kind
    folder: Path
    numbers: count[int]

    def new(self) -> TaskStore:
        return self.kind.make(self.folder / f"{next(self.numbers)}.db")


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(request.param, tmp_path, count())
