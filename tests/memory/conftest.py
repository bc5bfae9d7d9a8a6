"""The memories under test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from codin.memory import MemoryBackend, open_memory
from codin.memory.backends import InProcess
from tests.servers import postgres, redis

Place = Callable[[], MemoryBackend]
"""Gives a memory at one place, not yet open: each time another one, as another process would have it."""

KINDS = ["memory", "sqlite", "redis", "postgres"]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    match request.param:
        case "memory":
            kept = open_memory("memory://")
            return lambda: kept
        case "sqlite":
            return lambda: open_memory(f"sqlite:///{tmp_path}/memory.db")
        case "redis":
            url = request.getfixturevalue("redis_url")
        case _:
            url = request.getfixturevalue("postgres_url")
    return lambda: open_memory(url)


async def opened() -> InProcess:
    """A memory in this process, with nothing in it."""
    memory = InProcess()
    await memory.open()
    return memory


@pytest.fixture
async def backend(place: Place) -> AsyncIterator[MemoryBackend]:
    memory = place()
    await memory.open()
    yield memory
    await memory.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL that all tests of this process share."""
    if (reason := postgres.why_not()) is not None:
        missing("PostgreSQL", reason)
    with postgres.PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """A database of it, which is new."""
    name = f"test_{token_hex(8)}"
    postgres_server.ask(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.ask(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.RedisServer]:
    """A Redis that all tests of this process share."""
    if (reason := redis.why_not()) is not None:
        missing("Redis", reason)
    with redis.RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: redis.RedisServer) -> str:
    """It, with nothing in it."""
    redis_server.ask("FLUSHALL")
    return redis_server.url()


def missing(what: str, how: str) -> None:
    """A server that is not here: in CI a failure, else a skip that says how to get it."""
    if "CI" in os.environ:
        pytest.fail(f"{what} is missing: {how}")
    pytest.skip(f"{what} is missing: {how}")
