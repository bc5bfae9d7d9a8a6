"""Stores: where task logs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codin.task.stores._open import open_store
from codin.task.stores.memory import MemoryStore

if TYPE_CHECKING:
    from codin.task.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore", "open_store"]


def __getattr__(name: str) -> object:
    if name == "SQLiteStore":  # sqlite3 is loaded by those who use it
        from codin.task.stores.sqlite import SQLiteStore

        return SQLiteStore
    raise AttributeError(f"module 'codin.task.stores' has no attribute {name!r}")
