"""Opening a SQLite file: by one process at a time, and only a file that is ours to write to."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from codin.errors import ConfigError, StoreError, StoreInUse
from codin.task import open_store
from codin.task.stores import SQLiteStore

NOBODY = 65534

pytestmark = pytest.mark.anyio


async def _open_and_close(store: SQLiteStore) -> None:
    await store.open()
    await store.close()


def opens(path: Path) -> bool:
    asyncio.run(_open_and_close(SQLiteStore(path)))
    return True


def refusal(path: Path) -> str:
    """What opening the file says."""
    with pytest.raises(StoreError) as raised:
        asyncio.run(_open_and_close(SQLiteStore(path)))
    return str(raised.value)


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_there_must_be_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="needs a file"):
        SQLiteStore(name)


def test_stores_by_url(path: Path) -> None:
    assert isinstance(open_store(f"sqlite:///{path}?synchronous=full"), SQLiteStore)
    for url in ("sqlite://", "sqlite:///", f"sqlite:///{path}?synchronous=off", f"sqlite:///{path}?journal=wal"):
        with pytest.raises(ConfigError):
            open_store(url)
    assert not path.exists()


async def test_its_files_are_their_owners_alone(path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = SQLiteStore(path)
        await store.open()
        made = {each.name: each.stat().st_mode & 0o777 for each in path.parent.glob(f"{path.name}*")}
        await store.close()
    finally:
        os.umask(before)
    assert made == {f"{path.name}{end}": 0o600 for end in ("", "-wal", "-shm", ".lock")}


def test_a_file_that_was_there_keeps_its_mode(path: Path) -> None:
    path.touch(0o640)
    path.chmod(0o640)
    assert opens(path)
    assert path.stat().st_mode & 0o777 == 0o640


_HOLD = """
import asyncio, sys
from codin.task.stores import SQLiteStore

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def test_one_process_at_a_time(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match=f"pid {holder.pid}"):
            opens(path)
        holder.kill()
    assert opens(path)  # the lock of the dead is free


@pytest.mark.anyio
async def test_one_store_object_at_a_time(path: Path) -> None:
    store, other = SQLiteStore(path), SQLiteStore(path.parent / "folder" / ".." / path.name)
    await store.open()
    with pytest.raises(StoreInUse, match=f"this process \\(pid {os.getpid()}\\)"):
        await other.open()
    await store.close()
    await _open_and_close(other)


def test_a_newer_file_is_left_alone(path: Path) -> None:
    assert opens(path)
    with closing(sqlite3.connect(path)) as file:
        version: int = file.execute("PRAGMA user_version").fetchone()[0]
        file.execute(f"PRAGMA user_version = {version + 1}")
        assert f"schema version {version + 1}, and this codin knows {version}" in refusal(path)
        file.execute(f"PRAGMA user_version = {version}")
    assert opens(path)


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_left_alone(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE theirs (a)")
        file.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_left_alone(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    assert "not a database" in refusal(path)
    assert path.read_text() == "Dear diary, " * 1000


def test_a_directory_that_is_not_there(path: Path) -> None:
    assert "must exist and be writable" in refusal(path / "tasks.db")


def test_a_file_that_cannot_be_opened_leaves_no_lock(path: Path) -> None:
    path.mkdir()
    assert "unable to open" in refusal(path)
    path.rmdir()
    assert opens(path)


_REFUSED = f"""
import asyncio, os, sys
from codin.errors import StoreError
from codin.task.stores import SQLiteStore

async def main():
    usual = SQLiteStore(sys.argv[1])
    await usual.open()  # with everything that an opening imports
    await usual.close()
    if os.geteuid() == 0:  # who may write everywhere
        os.seteuid({NOBODY})
    try:
        await SQLiteStore(sys.argv[2]).open()
    except StoreError as error:
        print(error)

asyncio.run(main())
"""


def test_a_directory_that_may_not_be_written(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("read-only")
    folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", _REFUSED, str(path), str(folder / "tasks.db")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Permission denied" in done.stdout
    assert "must exist and be writable" in done.stdout
    assert list(folder.iterdir()) == []
