"""What a guest tells between what its workload writes, when either is cut."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from codin.errors import WorkloadFailed
from codin.runtime import Function, Item, LocalRuntime, RuntimeResult, SandboxDemand
from codin.runtime._job import Frames
from codin.sandbox import Limits, Output

pytestmark = pytest.mark.anyio

NONCE = "0123456789abcdef"
LIMIT = 10_000


def frame(**told: object) -> bytes:
    body = json.dumps(told).encode()
    return b"\x1e%s %d\n%s\n" % (NONCE.encode(), len(body), body)


def read(written: bytes, *, limit: int = LIMIT, piece: int = 7) -> tuple[bytes, list[object], Frames]:
    """What is made of it, in pieces: the workload's own, the items, and the end."""
    frames = Frames(NONCE, limit)
    events = [
        event
        for start in range(0, len(written), piece)
        for event in frames.feed(Output("stdout", written[start : start + piece]))
    ]
    events += frames.rest()
    own = b"".join(event.data for event in events if isinstance(event, Output))
    return own, [event.value for event in events if isinstance(event, Item)], frames


async def failed(work: Function) -> RuntimeResult:
    async with LocalRuntime() as runtime:
        with pytest.raises(WorkloadFailed) as told:
            await runtime.run(work)
    assert told.value.result is not None
    return told.value.result


def test_a_frame_that_is_cut_is_not_what_the_workload_wrote() -> None:
    whole = frame(item="x" * 40)
    head = whole.index(b"\n")
    for end in range(head, len(whole)):
        assert read(b"mine\x1e" + whole[:end])[0] == b"mine\x1e"


def test_a_head_is_cut_only_where_the_bound_on_output_is() -> None:
    begun = b"\x1e" + NONCE[:3].encode()
    assert read(begun)[0] == begun
    assert read(begun, limit=len(begun))[0] == b""


@pytest.mark.parametrize("own", [b"\x1e", b"a\x1e\x1e", b"\x1e0123456789abcde", b"\x1e0123456789abcdeX 3\n"])
def test_what_looks_like_one_comes_through(own: bytes) -> None:
    assert read(own)[0] == own
    assert read(own + frame(value=1))[0] == own
    text, _, frames = read(frame(value=1) + own)
    assert (text, frames.value) == (own, 1)


def test_of_one_that_is_too_large_nothing_is_left() -> None:
    large = frame(value="x" * LIMIT)
    text, items, frames = read(b"mine" + frame(item=1) + large[:LIMIT])
    assert (text, items, frames.ended) == (b"mine", [1], True)
    assert "more than 10000 bytes" in frames.error


async def test_one_that_no_json_can_be_read_from_is_a_failure() -> None:
    def lie() -> None:
        import json
        import os
        from pathlib import Path

        nonce = json.loads(Path(".codin/job.json").read_text())["nonce"]
        body = "[" * 50_000
        os.write(1, f"\x1e{nonce} {len(body)}\n{body}\n".encode())
        os._exit(0)

    assert (await failed(Function(lie, sandbox="off"))).error == "a result that cannot be read"


async def test_a_result_that_is_too_large_is_not_in_stdout() -> None:
    def much() -> str:
        print("mine")
        return "x" * 20_000

    result = await failed(Function(much, sandbox="off", limits=Limits(output=LIMIT)))
    assert (result.stdout, result.error) == (b"mine\n", "results of more than 10000 bytes; limits.output bounds them")


@pytest.mark.parametrize("sandbox", ["off", "required"])
async def test_what_is_printed_takes_no_room_of_results(sandbox: SandboxDemand) -> None:
    def much() -> Iterator[str]:
        for _ in range(3):
            print("y" * 20_000)
            print("z" * 20_000, file=sys.stderr)
            yield "x" * 2_000
        return "the end"

    work = Function(much, sandbox=sandbox, limits=Limits(output=LIMIT))
    async with LocalRuntime() as runtime:
        done = await runtime.run(work, stream=True)
        shown = [event.data async for event in done if isinstance(event, Output) and event.stream == "stdout"]
    assert (done.items, done.value) == (["x" * 2_000] * 3, "the end")
    assert (done.stdout, done.stderr) == (b"y" * LIMIT, b"z" * LIMIT)
    assert b"".join(shown) == done.stdout


async def test_results_are_bounded_together_and_none_is_left_out_between_others() -> None:
    def much() -> Iterator[str]:
        yield "x" * 6_000
        yield "x" * 6_000
        yield "x"

    result = await failed(Function(much, sandbox="off", limits=Limits(output=LIMIT)))
    assert (result.items, result.value, result.stdout) == (["x" * 6_000], None, b"")
    assert result.error == "results of more than 10000 bytes; limits.output bounds them"


@pytest.mark.parametrize("sandbox", ["off", "required"])
async def test_who_prints_without_end_is_killed(sandbox: SandboxDemand) -> None:
    def flood() -> None:
        while True:
            print("y" * 1_000)

    result = await failed(Function(flood, sandbox=sandbox, limits=Limits(output=LIMIT, time=None)))
    assert (result.ended, result.exit_code) == ("output", -9)
    assert len(result.stdout) == LIMIT


async def test_who_ends_without_a_word_has_no_result() -> None:
    assert (await failed(Function(os._exit, [0], sandbox="off"))).error == "it ended without a result"


async def test_one_that_is_killed_while_it_tells_an_item_leaves_nothing_of_it_in_stdout() -> None:
    def cut() -> Iterator[str]:
        import os
        import select
        import signal
        from threading import Thread

        def kill() -> None:
            while select.select([], [1], [], 0)[1]:
                pass  # it is not at the middle of a frame
            os.kill(os.getpid(), signal.SIGKILL)

        print("mine")
        Thread(target=kill).start()
        while True:
            yield "x" * 1_000_000

    result = await failed(Function(cut, sandbox="off", limits=Limits(output=256 * 1024 * 1024)))
    assert (result.exit_code, result.stdout) == (-9, b"mine\n")
    assert set(result.items) <= {"x" * 1_000_000}
