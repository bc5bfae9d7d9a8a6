"""Whatever a sandboxed tool does: a typed error for the model, nothing left of it, and the next call works."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from codin.errors import InvalidResult, ToolError, ToolFailed, ToolTimeout
from codin.tool import ToolExecutor, ToolLimits, in_runtime, tool
from tests.sandbox.remains import children, groups

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]


@tool
def works() -> int:
    """Work."""
    return 42


@tool
def raises() -> str:
    """Raise."""
    raise ValueError("x")


@tool(timeout=3)
def hangs() -> str:
    """Never end, whoever asks."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


@tool(timeout=3)
async def waits() -> AsyncIterator[int]:
    """Never give anything."""
    await asyncio.Event().wait()
    yield 1


@tool
def floods() -> str:
    """Write without end."""
    while True:
        print("x" * 100_000)


@tool
def gives() -> str:
    """Give more than anybody reads."""
    return "x" * 20_000_000


@tool
def forks() -> int:
    """Begin processes until there is no room for another."""
    while os.fork():
        pass
    signal.pause()
    return 0


@tool(timeout=5)
def bomb() -> int:
    """Begin processes, each of which does."""
    while True:
        with suppress(OSError):
            os.fork()


@tool
def fills() -> int:
    """Fill the disk."""
    with Path("f").open("wb") as file:
        while True:
            file.write(b"x" * (1 << 20))


@tool
def litters() -> int:
    """Make files without end."""
    number = 0
    while True:
        Path(str(number)).touch()
        number += 1


@tool
def kills() -> str:
    """Kill whatever there is, and then itself."""
    for pid in (os.getppid(), 1, -1):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    return "still here"


@tool
def eats() -> int:
    """Take memory."""
    held: list[bytes] = []
    while True:
        held.append(os.urandom(1 << 22))


@tool
def quits() -> int:
    """End without a word."""
    os._exit(0)


@tool
def leaves() -> str:
    """Leave a process of a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            signal.pause()
        os._exit(0)
    os.wait()
    return "gone"


@tool
def speaks() -> str:
    """Say what the one who calls it ought to say."""
    import json

    nonce = json.loads(Path(".codin/job.json").read_text())["nonce"]
    raised: dict[str, Any] = {"kind": 7, "message": "m" * 100_000, "code": "CODIN-1904", "hint": {}, "retryable": 1}
    told: dict[str, Any] = {"error": ["no text"], "raised": raised}
    body = json.dumps(told)
    sys.stdout.write(f"\x1e{nonce} {len(body)}\n{body}\n")
    sys.stdout.flush()
    os._exit(1)


TOOLS: list[Any] = [
    *(works, raises, hangs, waits, floods, gives, forks, bomb, fills, litters, kills, eats, quits, leaves, speaks)
]

# What is wrong, by the name of the tool, and what a model is told. `leaves` ends well.
TOLD: dict[str, tuple[type[ToolError], str]] = {
    "raises": (ToolFailed, r"'raises' failed: ValueError: x"),
    "hangs": (ToolTimeout, r"'hangs' took longer than 3 s, and was stopped"),
    "waits": (ToolTimeout, r"'waits' took longer than 3 s, and was stopped"),
    "floods": (ToolFailed, r"'floods' failed: it wrote more than anybody reads"),
    "gives": (InvalidResult, r"the result of 'gives' has more than 100000 bytes"),
    "forks": (ToolFailed, r"'forks' failed: BlockingIOError: .*"),
    "bomb": (ToolTimeout, r"'bomb' took longer than 5 s, and was stopped"),
    "fills": (ToolFailed, r"'fills' failed: OSError: .*No space left on device"),
    "litters": (ToolFailed, r"'litters' failed: (OSError: .*|it made more files than it may)"),
    "kills": (ToolFailed, r"'kills' failed: it was killed"),
    "eats": (ToolFailed, r"'eats' failed: (it took more memory than it may|MemoryError)"),
    "quits": (ToolFailed, r"'quits' failed: it ended without a result.*"),
    "speaks": (ToolError, r"m{2000,4000}"),
}


@pytest.fixture
async def executor(anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ToolExecutor]:
    """One whose tools leave nothing on this machine."""
    files = tmp_path / "temporary"
    files.mkdir()
    executor = ToolExecutor(
        TOOLS,
        run=in_runtime(),
        sandbox={each.name: "required" for each in TOOLS},
        limits=ToolLimits(max_result=100_000),
    )
    assert await executor.call("works") == 42  # it has looked what the machine has, which is done once
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    before = children()
    yield executor
    assert (groups(), more_than(before), list(files.iterdir())) == ([], {}, [])


def more_than(before: Mapping[int, str]) -> dict[int, str]:
    """The processes that were begun since; those that others of this process's tests had left may end at any moment."""
    return {child: command for child, command in children().items() if child not in before}


@pytest.mark.parametrize("name", TOLD)
async def test_it_is_told_and_nothing_is_left(executor: ToolExecutor, name: str) -> None:
    error, said = TOLD[name]
    before = children()
    with pytest.raises(error, match=f"^{said}($|[.] Hint: )"):
        await executor.call(name)
    assert (groups(), more_than(before)) == ([], {})
    assert await executor.call("works") == 42


async def test_what_it_leaves_ends_with_it(executor: ToolExecutor) -> None:
    assert await executor.call("leaves") == "gone"
    assert groups() == []
    assert await executor.call("works") == 42


async def test_a_word_of_a_sandbox_is_text_and_nothing_more(executor: ToolExecutor) -> None:
    with pytest.raises(ToolError) as caught:
        await executor.call("speaks")
    assert (type(caught.value).__name__, caught.value.hint, caught.value.retryable) == ("ToolRefused", None, False)
    assert len(caught.value.message) <= 4000


# -- canceled ----------------------------------------------------------------------------------------------------------


@tool(sandbox="required")
def endless() -> Iterator[int]:
    """Never end."""
    number = 0
    while True:
        yield number
        number += 1


@tool(sandbox="required")
async def one() -> AsyncIterator[str]:
    """Give one piece, and wait for ever."""
    yield "one"
    await asyncio.Event().wait()


async def test_a_piece_comes_when_it_is_there(executor: ToolExecutor) -> None:
    executor.registry.add(one)
    async with aclosing(executor.stream("one")) as pieces:
        assert await anext(pieces) == "one"
        assert groups(), "it runs still"
    assert (groups(), await executor.call("works")) == ([], 42)


async def test_who_leaves_a_stream_stops_the_tool(executor: ToolExecutor) -> None:
    executor.registry.add(endless)
    async with aclosing(executor.stream("endless")) as pieces:
        assert [await anext(pieces) for _ in range(200)] == list(range(200))
    assert (groups(), await executor.call("works")) == ([], 42)


async def test_who_is_canceled_in_a_stream_stops_the_tool(executor: ToolExecutor) -> None:
    executor.registry.add(one)
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in executor.stream("one"):
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (groups(), await executor.call("works")) == ([], 42)


@pytest.mark.parametrize("way", ["call", "stream"])
async def test_canceled_at_many_moments(executor: ToolExecutor, way: str) -> None:
    """However far it has come, whoever turns away finds nothing behind."""

    async def use() -> Any:
        if way == "call":
            return await executor.call("works")
        return [piece async for piece in executor.stream("works")]

    turns, finished, before = 0, False, children()
    while not finished:
        using = asyncio.create_task(use())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        finished = using.done()
        using.cancel()
        await asyncio.wait([using])
        assert (groups(), more_than(before)) == ([], {}), turns
        turns += 1 + turns // 2
    assert await use() in (42, [42])
