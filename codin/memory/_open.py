"""Memories by URL."""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import parse_qs

from codin.errors import ConfigError
from codin.memory._protocol import MemoryBackend
from codin.task.stores._url import parts_of

__all__ = ["open_memory"]


def open_memory(url: str) -> MemoryBackend:
    """The memory that a URL names; `open` opens it.

    `memory://`, `sqlite:///file.db`, `redis://host:port/0`, `postgresql://user@host/database`, or a scheme that an
    installed package has registered in the entry point group `codin.memories`.

    Raises:
        ConfigError: nobody knows the scheme, or an option; it is no URL; or the package that it needs is not installed.
    """
    parts = parts_of(url, "memory")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    try:
        if parts.scheme == "memory":
            from codin.memory.backends.memory import InProcess

            return InProcess(**options)
        if parts.scheme == "sqlite":
            from codin.memory.backends.sqlite import SQLiteMemory

            return SQLiteMemory(parts.path.removeprefix("/") if parts.path else "", **options)
        if parts.scheme in ("redis", "rediss", "unix"):
            from codin.memory.backends.redis import RedisMemory

            return RedisMemory(url)
        if parts.scheme in ("postgresql", "postgres"):
            from codin.memory.backends.postgres import PostgresMemory

            return PostgresMemory(url)
        for entry_point in entry_points(group="codin.memories", name=parts.scheme):
            return entry_point.load()(url)
    except (TypeError, ValueError):  # its text, and what it comes from, may hold a piece of the URL
        hint = f"look at {', '.join(options)}" if options else None
        raise ConfigError(f"memory {parts.scheme}:// is not understood", hint=hint) from None
    raise ConfigError(
        f"no memory is known for {parts.scheme!r}",
        hint="use memory://, sqlite:///file.db, redis://… or postgresql://…, or install the package that has it",
    )
