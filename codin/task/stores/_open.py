"""Stores by URL."""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import parse_qs

from codin.errors import ConfigError
from codin.task._protocol import TaskStore
from codin.task.stores._url import parts_of
from codin.task.stores.memory import MemoryStore

__all__ = ["open_store"]


def open_store(url: str) -> TaskStore:
    """The store a URL names; it is opened by the first task manager that uses it.

    `memory://` (with `?max_ended=10000`), `sqlite:///file.db` (with `?synchronous=normal|full`), or a scheme that an
    installed package has registered in the entry point group `codin.stores`.

    Raises:
        ConfigError: nobody knows the scheme, or an option; or it is no URL.
    """
    parts = parts_of(url, "store")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    try:
        if parts.scheme == "memory":
            return MemoryStore(**{name: int(value) for name, value in options.items()})
        if parts.scheme == "sqlite":
            from codin.task.stores.sqlite import SQLiteStore

            return SQLiteStore(parts.path.removeprefix("/") if parts.path else "", **options)
        for entry_point in entry_points(group="codin.stores", name=parts.scheme):
            return entry_point.load()(url)
    except (TypeError, ValueError):  # its text, and what it comes from, may hold a piece of the URL
        hint = f"look at {', '.join(options)}" if options else None
        raise ConfigError(f"store {parts.scheme}:// is not understood", hint=hint) from None
    raise ConfigError(
        f"no store is known for {parts.scheme!r}",
        hint="use memory:// or sqlite:///file.db, or install the package that has it",
    )
