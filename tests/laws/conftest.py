"""Every law runs for every store: a new one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from codin.task import MemoryStore, TaskStore
from tests.laws.through import Late, Through

__all__ = ["Kind"]


@dataclass(frozen=True)
class Kind:
    """How to make a store, and how a process reaches it."""

    make: Callable[[Path], TaskStore]
    late: bool = False

    @property
    def patience(self) -> float:
        """How long a world over this store may do nothing before it counts as stuck."""
        return 0.02

    def reach(self, store: TaskStore, rhythm: Iterator[int], *, copies: bool) -> Through:
        """One process's way to the store; `rhythm` is how fast a late one answers."""
        return Late(store, rhythm) if self.late else Through(store, copies=copies)


STORES = {
    "memory": Kind(lambda path: MemoryStore()),
    "memory, late": Kind(lambda path: MemoryStore(), late=True),
}


@dataclass(frozen=True)
class Stores:
    """Makes a fresh store for each example."""

    kind: Kind
    folder: Path
    numbers: count[int]

    def new(self) -> TaskStore:
        return self.kind.make(self.folder / f"{next(self.numbers)}.db")


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(request.param, tmp_path, count())
