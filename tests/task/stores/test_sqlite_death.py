"""The SQLite file when its process dies and when the disk is full: what was acknowledged is there, and nothing half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codin.task.stores import SQLiteStore
from tests.task.stores.author import ALICE

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]

_WRITE = """
import asyncio, sys
from codin import a2a
from codin.task.stores import SQLiteStore
from tests.task.stores.author import Author

async def write(store, name):
    author = Author(store, name)
    await author.begin()
    while True:
        await author.append(author.chunk("a" * 50), author.chunk("b" * 50), author.chunk("c" * 50))
        print(name, author.last, flush=True)

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.open()
    await asyncio.gather(*(write(store, f"{sys.argv[2]}-{number}") for number in range(8)))

asyncio.run(main())
"""

_FILL = """
import asyncio, json, resource, signal, sys
from codin.errors import StoreError
from codin.task.stores import SQLiteStore
from tests.task.stores.author import Author

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SQLiteStore(sys.argv[1])
    await store.open()
    known, errors = {}, 0
    authors = [Author(store, f"task-{number}") for number in range(4)]
    await asyncio.gather(*(author.begin() for author in authors))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    for _ in range(200):
        sizes = [author.last for author in authors]
        done = await asyncio.gather(
            *(author.append(*(author.chunk("x" * 400) for _ in range(5))) for author in authors),
            return_exceptions=True,
        )
        for author, size, result in zip(authors, sizes, done):
            if isinstance(result, BaseException):
                assert type(result) is StoreError, result
                errors += 1
                author.last = size  # not stored: its numbers are free
            known[author.task_id] = author.last
        if errors > 12:
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for author in authors:  # there is room again: the store goes on
        await author.append(author.chunk("after"))
        known[author.task_id] = author.last
    await store.close()
    print(json.dumps({"known": known, "errors": errors}))

asyncio.run(main())
"""


def _python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _acknowledged(lines: Iterator[str]) -> dict[str, int]:
    told: dict[str, int] = {}
    for line in lines:
        if line.endswith("\n"):  # the last one may be cut
            name, number = line.split()
            told[name] = int(number)
    return told


@pytest.mark.parametrize("lines", [1, 40, 400])
async def test_what_was_acknowledged_survives_sigkill(path: Path, lines: int) -> None:
    told: dict[str, int] = {}
    for life in range(3):
        with _python(_WRITE, str(path), f"life-{life}") as process:
            assert process.stdout is not None
            told |= _acknowledged(process.stdout.readline() for _ in range(lines))
            process.send_signal(signal.SIGKILL)
            told |= _acknowledged(process.stdout)
    store = SQLiteStore(path)
    await store.open()
    assert told
    for name, number in told.items():
        numbers = [entry.number for entry in await store.read(ALICE, name)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= number
        assert len(numbers) % 3 == 2  # a commit of three, whole or not at all
    await store.close()


async def test_a_full_disk_is_an_error_and_leaves_nothing_half(path: Path) -> None:
    with _python(_FILL, str(path)) as process:
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert report["errors"] > 12
    store = SQLiteStore(path)
    await store.open()
    for name, last in report["known"].items():
        assert [entry.number for entry in await store.read(ALICE, name)] == list(range(1, last + 1))
    commits = await store.feed(0, limit=10_000)
    assert sum(len(commit.entries) for commit in commits) == sum(report["known"].values())
    await store.close()
