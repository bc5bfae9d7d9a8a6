"""What runs on this machine without a sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import anyio.to_thread
import pytest

from codin.errors import WorkloadFailed
from codin.runtime import Command, LocalRuntime
from codin.runtime._host import HostFolder
from codin.sandbox import Limits, Policy

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The loop of a program, and that of `codin serve`."""
    return "asyncio", {"use_uvloop": request.param}


async def test_what_goes_in_and_what_comes_out() -> None:
    much = b"x" * 3_000_000
    limits = Limits(output=2 * len(much))
    command = Command(["sh", "-c", "echo said >&2; cat"], stdin=much, sandbox="off", limits=limits)
    async with asyncio.timeout(60), LocalRuntime() as runtime:
        done = await runtime.run(command)
    assert (done.stdout, done.stderr, done.exit_code) == (much, b"said\n", 0)


@pytest.mark.parametrize("then", ["wait", "exit"])
async def test_what_is_killed_ends_although_somebody_in_another_session_holds_its_output(
    tmp_path: Path, then: str
) -> None:
    written = 300_000  # more than is read ahead, so that some of it is still in the pipe
    left, told = tmp_path / "left", tmp_path / "told"
    for pipe in (left, told):
        os.mkfifo(pipe)
    escape = f"setsid sh -c 'echo > {left}; echo $$ > {told}; exec sleep 600' & read it < {left}"
    script = f"head -c {written} /dev/zero; {escape}; {then}"
    async with (
        HostFolder(Policy(demands=frozenset())) as host,
        asyncio.timeout(60),
        host.start(["sh", "-c", script]) as execution,
    ):
        escaped = int(await anyio.to_thread.run_sync(told.read_text))
        try:
            await execution.kill()
            done = await execution.result()
        finally:
            os.kill(escaped, signal.SIGKILL)
    assert len(done.stdout) == written


async def test_a_list_leaves_out_what_goes_away_meanwhile() -> None:
    fleeting = "echo begun; while :; do mkdir -p a/b; echo x > a/b/c; echo x > d; rm -rf a d; done"
    async with (
        asyncio.timeout(60),
        HostFolder(Policy(demands=frozenset())) as host,
        host.start(["sh", "-c", fleeting]) as execution,
    ):
        await host.put("kept", b"x")
        await anext(aiter(execution))
        for _ in range(300):
            assert "kept" in [file.path for file in await host.list()]


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
async def test_a_word_that_no_program_can_be_given(word: str) -> None:
    async with LocalRuntime() as runtime:
        for command in (["echo", word], [f"no-such-program-{word}"]):
            with pytest.raises(WorkloadFailed) as told:
                await runtime.run(Command(command, sandbox="off"))
            assert told.value.result is not None
            assert told.value.result.exit_code == 126
