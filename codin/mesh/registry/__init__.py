"""A registry: where agents say that they are there, and where they are found."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from codin.mesh.registry._client import Receipt, Registry, Seen
from codin.mesh.registry._membership import Announced, Membership
from codin.mesh.registry._protocol import (
    Holder,
    Labels,
    Page,
    Query,
    Registration,
    RegistryLimits,
    RegistryStore,
)

if TYPE_CHECKING:
    from codin.mesh.registry._app import RegistryApp
    from codin.mesh.registry._embeddings import Embeddings
    from codin.mesh.registry._sqlite import SQLiteRegistryStore

__all__ = [
    "Announced",
    "Embeddings",
    "Holder",
    "Labels",
    "Membership",
    "Page",
    "Query",
    "Receipt",
    "Registration",
    "Registry",
    "RegistryApp",
    "RegistryLimits",
    "RegistryStore",
    "SQLiteRegistryStore",
    "Seen",
]

# Those who only ask a registry load neither a server nor a database.
_LAZY = {
    "Embeddings": "codin.mesh.registry._embeddings",
    "RegistryApp": "codin.mesh.registry._app",
    "SQLiteRegistryStore": "codin.mesh.registry._sqlite",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
