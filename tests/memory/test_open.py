"""URLs of memories and stores that are wrong: what is at fault is said, and nothing of the URL."""

from __future__ import annotations

import traceback
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from codin.errors import ConfigError
from codin.memory import _open, open_memory
from codin.memory.backends.postgres import PostgresMemory
from codin.memory.backends.redis import RedisMemory
from codin.task.stores import open_store

PASSWORD, HOST, PORT = "the user or the password", "the host", "the port"

WRONG = [
    ("//ada:hunter2/x@127.0.0.1:1/db", PASSWORD),
    ("//ada:hunter2#@127.0.0.1:1/db", PASSWORD),
    ("//ada:hunter2?x@127.0.0.1:1/db", PASSWORD),
    ("//ada:hun#ter2@127.0.0.1:1/db", PASSWORD),
    ("//ada:hun@ter2@127.0.0.1:1/db", PASSWORD),
    ("//ada:hunter2@1/x@127.0.0.1:1/db", PASSWORD),
    ("//ada:1234/hunter2@127.0.0.1:1/db", PASSWORD),
    ("//ada:hunter2@127.0.0.1:notaport/db", PORT),
    ("//ada:hunter2@127.0.0.1:65536/db", PORT),
    ("//ada:hunter2@127.0.0.1:²/db", PORT),
    ("//ada:hunter2", PORT),
    ("//ada:hunter2@[bad/db", HOST),
    ("//ada:hunter2@[bad]er/db", HOST),
    ("//ada:hun[ter2@127.0.0.1/db", HOST),
    ("//ada:hunter2℀@127.0.0.1/db", HOST),
]


def told(error: BaseException) -> str:
    """What a traceback prints of an error, and of those that it comes from, without lines of code."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return "".join(traceback.format_exception_only(error))


@pytest.mark.parametrize(("rest", "field"), WRONG)
@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql", "postgres", "other"])
def test_the_url_of_a_memory_is_not_told(scheme: str, rest: str, field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_memory(f"{scheme}:{rest}")
    shown(raised.value, field, "memory")


@pytest.mark.parametrize(("rest", "field"), WRONG)
def test_the_url_of_a_store_is_not_told(rest: str, field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_store(f"other:{rest}")
    shown(raised.value, field, "store")


def shown(error: ConfigError, field: str, what: str) -> None:
    assert error.message.startswith(f"{field} in the URL of the {what}")
    assert "percent-encode" in str(error)
    assert not any(piece in told(error) for piece in ("hun", "ter2", "ada", "1234", "notaport", "bad", "db"))


@pytest.mark.parametrize("kind", [RedisMemory, PostgresMemory])
def test_a_back_end_that_is_made_directly_does_not_tell_it_either(kind: Any) -> None:
    with pytest.raises(ConfigError, match=PASSWORD):
        kind("redis://ada:hunter2/x@127.0.0.1/0")


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:%2F%23%40%3F@127.0.0.1:6379/0",
        "redis://:pass:word@[::1]:6379/0",
        "unix://:password@/tmp/socket?db=1",
        "unix:///tmp/at@home/socket",
        "postgresql://ada@127.0.0.1:5432,127.0.0.2:5433/db",
        "postgresql://ada@[::1],other/db",
        "postgresql://host/db?user=ada@server&password=p@ss",
        "postgresql:///db",
    ],
)
def test_a_url_that_is_right_is_taken(url: str) -> None:
    open_memory(url)


@pytest.mark.parametrize("url", ["ada:hunter2@127.0.0.1", "//ada:hunter2@127.0.0.1/db", "hunter2", ""])
def test_a_url_without_a_known_scheme_is_not_told(url: str) -> None:
    for open_it in (open_memory, open_store):
        with pytest.raises(ConfigError, match="is known") as raised:
            open_it(url)
        assert "hunter2" not in told(raised.value)


def test_what_a_package_says_of_a_url_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**_: str) -> list[EntryPoint]:
        return [EntryPoint("other", "builtins:int", "codin.memories")]

    monkeypatch.setattr(_open, "entry_points", found)
    with pytest.raises(ConfigError, match="other://") as raised:
        open_memory("other://ada:hunter2@127.0.0.1/0")
    assert "hunter2" not in told(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0?socket_timeout=hunter2",
        "redis://127.0.0.1:1/0?size=hunter2",
        "sqlite:///a.db?cache=hunter2",
        "memory://?size=hunter2",
    ],
)
def test_the_option_at_fault_is_named_and_not_what_it_is_set_to(url: str) -> None:
    with pytest.raises(ConfigError, match=r"(socket_timeout|cache|size)") as raised:
        open_memory(url)
    assert "hunter2" not in told(raised.value)


@pytest.mark.anyio
@pytest.mark.parametrize("query", ["port=hunter2", "hunter2", "sslmode=hunter2"])
async def test_what_asyncpg_says_of_a_url_is_not_told(query: str) -> None:
    with pytest.raises(ConfigError) as raised:
        await open_memory(f"postgresql://ada@/db?{query}").open()
    assert "hunter2" not in told(raised.value)
