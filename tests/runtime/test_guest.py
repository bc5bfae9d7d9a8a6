"""What a guest tells of a program that ends in its own way."""

from __future__ import annotations

import pytest

from codin.errors import WorkloadFailed
from codin.runtime import Function, LocalRuntime

pytestmark = pytest.mark.anyio


async def test_a_program_that_ends_itself_with_a_message_has_said_it() -> None:
    async with LocalRuntime() as runtime:
        with pytest.raises(WorkloadFailed, match=r"the program ended itself: in words$") as told:
            await runtime.run(Function(exit, ["in words"], sandbox="off"))
    assert told.value.result is not None
    assert (told.value.result.exit_code, told.value.result.stderr) == (1, b"in words\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("how", ["close", "forget"])
async def test_a_program_may_do_what_it_likes_with_its_streams(stream: str, how: str) -> None:
    def work(fails: bool) -> str:
        import sys

        if how == "close":
            getattr(sys, stream).close()
        else:
            setattr(sys, stream, None)
        if fails:
            raise KeyError("lost")
        return "done"

    async with LocalRuntime() as runtime:
        assert (await runtime.run(Function(work, [False], sandbox="off"))).value == "done"
        with pytest.raises(WorkloadFailed, match="KeyError: 'lost'"):
            await runtime.run(Function(work, [True], sandbox="off"))
