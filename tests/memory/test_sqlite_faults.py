"""SQLite's memory when processes die, when several write, and when the disk is full."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codin.errors import MemoryFailed
from codin.memory import Indexed, Note, Record, Scope, Utterance
from codin.memory.backends.sqlite import SQLiteMemory

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ADA = Scope("", "clerk", "ada")

_WRITE = """
import asyncio, sys
from codin.memory import Indexed, Record, Scope, Utterance
from codin.memory.backends.sqlite import SQLiteMemory

path, task, first, end, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]

async def main():
    memory = SQLiteMemory(path)
    await memory.open()
    scope = Scope("", "clerk", "ada")
    for n in range(first, end):
        said = [Utterance(role="user", text=f"{task} {n} {i}", task_id=task, number=n, index=i) for i in range(3)]
        new = await memory.append(scope, "c", said)
        vector = [0.6, 0.8] if n % 2 else [0.8, -0.6]
        if what == "records":
            await memory.add(scope, [Indexed(Record(f"{task} {n}", task), [task, f"n{n}"], "s", vector)])
        print(n, new, flush=True)
    await memory.close()

asyncio.run(main())
"""

_FILL = """
import asyncio, json, resource, signal, sys
from codin.errors import MemoryFailed
from codin.memory import Indexed, Record, Scope, Utterance
from codin.memory.backends.sqlite import SQLiteMemory

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    memory = SQLiteMemory(sys.argv[1])
    await memory.open()
    scope = Scope("", "clerk", "ada")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    kept, failed = [], 0
    for n in range(100):
        try:
            await memory.append(scope, "c", [Utterance(role="user", text=f"{n} " + "x" * 5000, task_id="t", number=n)])
            if sys.argv[2] == "records":
                await memory.add(scope, [Indexed(Record(str(n), "x" * 5000), [f"n{n}"], "s", [0.6, 0.8])])
            kept.append(n)
        except MemoryFailed:
            failed += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await memory.add(scope, [Indexed(Record("after", "x"), ["after"], "s", [0.6, 0.8])])
    await memory.close()
    print(json.dumps([kept, failed]))

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of 2 MB is missing: run the tests as root, where file systems can be mounted")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def everything(path: Path) -> tuple[list[str], set[str], set[str]]:
    """What was said, the records, and those that are found by words and by vectors."""
    memory = SQLiteMemory(path)
    await memory.open()
    said = [one.text for one in await memory.window(ADA, "c", limit=100_000)]
    records = {record.id for record in await memory.records(ADA, limit=100_000)}
    near = {one.record.id for one in await memory.nearest([ADA], "s", [0.6, 0.8], limit=100_000)}
    assert near == records
    terms = list(dict.fromkeys(term for id in records for term in id.replace(" ", " n").split(" ")))
    words = {one.record.id for one in await memory.matching([ADA], terms, limit=100_000)}
    await memory.close()
    return said, records, words


# What is said alone is written on the event loop.
WHAT = pytest.mark.parametrize("what", ["records", "said"])


@WHAT
@pytest.mark.parametrize("lines", [1, 30, 150])
async def test_what_was_acknowledged_survives_sigkill_and_a_repeat_doubles_nothing(
    path: Path, lines: int, what: str
) -> None:
    with python(_WRITE, path, "task", 1, 1_000_000, what) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout
    acknowledged = [int(line.split()[0]) for line in told if line.endswith("\n")]
    said, records, words = await everything(path)
    assert len(said) % 3 == 0  # three at once, whole or not at all
    assert {f"task {n} {i}" for n in acknowledged for i in range(3)} <= set(said)
    assert records == words
    assert what == "said" or {f"task {n}" for n in acknowledged} <= records
    end = acknowledged[-1] + 10
    with python(_WRITE, path, "task", 1, end, what) as again:
        again.communicate()  # what it says may be more than a pipe holds
    assert again.returncode == 0
    said, records, words = await everything(path)
    assert said == [f"task {n} {i}" for n in range(1, end) for i in range(3)]
    assert records == words == ({f"task {n}" for n in range(1, end)} if what == "records" else set())


@WHAT
async def test_two_processes_write_at_once(path: Path, what: str) -> None:
    # The second one says all that the first says, and more of its own.
    writers = [python(_WRITE, path, task, 1, 120, what) for task in ("both", "both", "one", "two")]
    new = [sum(int(line.split()[1]) for line in writer.communicate()[0].splitlines()) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert sum(new) == 3 * 3 * 119
    said, records, words = await everything(path)
    assert sorted(said) == sorted(
        {f"{task} {n} {i}" for task in ("both", "one", "two") for n in range(1, 120) for i in range(3)}
    )
    added = ("both", "one", "two") if what == "records" else ()
    assert records == words == {f"{task} {n}" for task in added for n in range(1, 120)}


@WHAT
async def test_a_file_that_cannot_grow_keeps_what_was_acknowledged(path: Path, what: str) -> None:
    with python(_FILL, path, what) as process:
        kept, failed = json.loads(process.communicate()[0])
    assert kept
    assert failed
    said, records, _ = await everything(path)
    assert set(kept) <= {int(text.split()[0]) for text in said}
    assert records >= {*(map(str, kept) if what == "records" else ()), "after"}


async def add_all(memory: SQLiteMemory, batches: list[list[Indexed]]) -> None:
    for batch in batches:
        await memory.add(ADA, batch)


async def test_a_full_disk_is_told_and_more_room_is_enough(small: Path) -> None:
    memory = SQLiteMemory(small / "memory.db")
    await memory.open()
    ballast = small / "ballast"
    await asyncio.to_thread(ballast.write_bytes, bytes(1_000_000))
    batches = [
        [Indexed(Record(f"{n} {i}", "x" * 500), ["word"], "s", [0.6, 0.8]) for i in range(10)] for n in range(200)
    ]
    with pytest.raises(MemoryFailed, match="disk") as raised:
        await add_all(memory, batches)
    assert raised.value.hint == "make room on the disk; nothing is kept half"
    kept = len(await memory.records(ADA, limit=5000))
    assert 0 < kept < 2000
    assert kept % 10 == 0
    assert len(await memory.matching([ADA], ["word"], limit=5000)) == kept
    with pytest.raises(MemoryFailed):
        await memory.append(ADA, "c", [Utterance(role="user", text="x" * 100_000) for _ in range(20)])
    await asyncio.to_thread(ballast.unlink)
    await memory.append(ADA, "c", [Utterance(role="user", text="there is room")])
    await memory.put_note(ADA, "", Note("a", 1))
    assert (await memory.stats(*ADA)).records == kept
    assert len(await memory.nearest([ADA], "s", [0.6, 0.8], limit=5000)) == kept
    assert [one.text for one in await memory.window(ADA, "c", limit=9)] == ["there is room"]
    await memory.close()
