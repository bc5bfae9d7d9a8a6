"""What every runtime does, whatever it is: one suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from codin.errors import ConfigError, NoRuntime, WorkloadFailed, WorkloadTimeout
from codin.runtime import Command, Container, Function, Item, Module, Workload
from codin.sandbox import Code, Limits, Output
from tests.runtime import chores
from tests.runtime.conftest import Place

pytestmark = pytest.mark.anyio


async def test_a_function_of_a_module_gives_its_result(place: Place) -> None:
    done = await place.run(Function(chores.double, [21]))
    assert done.value == 42
    assert (done.exit_code, done.attempts) == (0, 1)


async def test_a_function_that_only_exists_here_is_sent_as_code(place: Place) -> None:
    factor = 3

    def scaled(numbers: list[int]) -> list[int]:
        return [factor * number for number in numbers]

    done = await place.run(Function(scaled, kwargs={"numbers": [1, 2]}))
    assert done.value == [3, 6]


async def test_a_coroutine_function_is_awaited(place: Place) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "late"

    assert (await place.run(Function(later))).value == "late"


async def test_what_a_generator_yields_comes_as_items_between_what_it_prints(place: Place) -> None:
    running = await place.run(Function(chores.count, [3]), stream=True)
    events = [event async for event in running]
    assert [event.value for event in events if isinstance(event, Item)] == [0, 1, 2]
    assert running.items == [0, 1, 2]
    assert running.text == "at 0\nat 1\nat 2\n"


async def test_an_item_comes_before_the_work_has_ended(place: Place) -> None:
    async def endless() -> AsyncIterator[str]:
        yield "first"
        await asyncio.Event().wait()

    running = await place.run(Function(endless), stream=True)
    async with asyncio.timeout(60):
        async for event in running:
            if isinstance(event, Item):
                assert event.value == "first"
                break
        await running.cancel()


async def test_a_module_is_run_as_a_program(place: Place) -> None:
    done = await place.run(Module("tests.runtime.chores", ["one", "two"]))
    assert done.text == "as a program: one two\n"


async def test_a_function_by_its_name(place: Place) -> None:
    assert (await place.run(Module("tests.runtime.chores:double", [4]))).value == 8


async def test_a_method_of_a_class_by_its_name(place: Place) -> None:
    work = Module("tests.runtime.chores:Counter", init={"start": 5}, method="add", kwargs={"more": 2})
    assert (await place.run(work)).value == {"at": 7}


async def test_a_module_that_is_not_there_is_named(place: Place) -> None:
    with pytest.raises(ConfigError, match="no_such_module"):
        await place.run(Module("no_such_module:main"))


async def test_an_exception_is_told_with_its_type_and_its_trace(place: Place) -> None:
    def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(WorkloadFailed, match=r"KeyError: 'lost'") as told:
        await place.run(Function(fail))
    assert told.value.result is not None
    assert b"Traceback" in told.value.result.stderr
    assert told.value.result.exit_code == 1


async def test_a_result_that_is_no_json_is_refused_in_words(place: Place) -> None:
    with pytest.raises(WorkloadFailed, match="result of a workload is JSON"):
        await place.run(Function(object))


async def test_what_cannot_be_sent_is_refused_before_anything_runs(place: Place) -> None:
    import threading

    with pytest.raises(ConfigError, match="cannot be sent"):
        await place.run(Function(print, [threading.Lock()]))


@pytest.mark.parametrize(("code", "exit_code", "said"), [(3, 3, b""), ("no more", 1, b"no more\n")])
async def test_a_program_that_ends_itself_says_how(place: Place, code: int | str, exit_code: int, said: bytes) -> None:
    with pytest.raises(WorkloadFailed, match=f"the program ended itself: .*{code}") as told:
        await place.run(Function(exit, [code]))
    result = told.value.result
    assert result is not None
    assert (result.exit_code, result.stderr) == (exit_code, said)


async def test_a_worker_that_dies_is_a_failure_and_the_next_call_works(place: Place) -> None:
    def die() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkloadFailed):
        await place.run(Function(die))
    assert (await place.run(Function(chores.double, [1]))).value == 2


async def test_time_is_kept(place: Place) -> None:
    def forever() -> None:
        while True:
            pass

    with pytest.raises(WorkloadTimeout):
        await place.run(Function(forever, limits=Limits(time=2.0)))


async def test_retries_begin_anew(place: Place) -> None:
    def fail() -> None:
        print("once more")
        raise ValueError("again")

    with pytest.raises(WorkloadFailed) as told:
        await place.run(Function(fail, retries=1))
    assert told.value.result is not None
    assert told.value.result.attempts == 2
    assert told.value.result.text == "once more\n"


async def test_a_result_of_one_kind_cannot_be_mistaken_for_a_frame(place: Place) -> None:
    def strange() -> Iterator[str]:
        print("\x1e0000 12\n{}\n\x1e", end="")
        yield "item"

    done = await place.run(Function(strange))
    assert done.items == ["item"]
    assert done.text == "\x1e0000 12\n{}\n\x1e"


COMMANDS = [
    pytest.param(Command(["sh", "-c", "cat; echo more >&2"], b"given"), "given", id="stdin"),
    pytest.param(Command(["sh", "-c", 'echo "$WORD"'], env={"WORD": "word"}), "word\n", id="env"),
    pytest.param(Command(["cat", "in/a.txt"], files={"in/a.txt": b"file"}), "file", id="files"),
    pytest.param(Command(Code("print(6 * 7)")), "42\n", id="code"),
]


@pytest.mark.parametrize(("work", "text"), COMMANDS)
async def test_a_command(place: Place, work: Workload, text: str) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")
    assert (await place.run(work)).text == text


async def test_a_command_reads_what_comes_while_it_runs(place: Place) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")

    async def coming() -> AsyncIterator[bytes]:
        for word in (b"two ", b"", b"three"):
            yield word

    assert (await place.run(Command(["cat"], b"one ", feed=coming()))).text == "one two three"


async def test_a_command_that_fails_says_so_with_what_it_wrote(place: Place) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")
    with pytest.raises(WorkloadFailed, match="broken") as told:
        await place.run(Command(["sh", "-c", "echo partly; echo broken >&2; exit 4"]))
    result = told.value.result
    assert result is not None
    assert (result.exit_code, result.stdout) == (4, b"partly\n")


async def test_a_program_that_is_not_there(place: Place) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")
    with pytest.raises(WorkloadFailed) as told:
        await place.run(Command(["no-such-program"]))
    assert told.value.result is not None
    assert told.value.result.exit_code == 127


async def test_artifacts_are_the_files_that_were_asked_for(place: Place) -> None:
    def draw() -> None:
        from pathlib import Path

        Path("out").mkdir()
        Path("out/plot.svg").write_text("<svg/>")
        Path("notes.txt").write_text("not asked for")

    done = await place.run(Function(draw, artifacts=["out/*.svg"]))
    assert dict(done.artifacts) == {"out/plot.svg": b"<svg/>"}


async def test_a_pipe_is_no_artifact_and_nobody_waits_for_it(place: Place) -> None:
    def leave() -> None:
        import os
        from pathlib import Path

        os.mkfifo("pipe.txt")
        Path("file.txt").write_text("it")

    async with asyncio.timeout(60):
        done = await place.run(Function(leave, artifacts=["*.txt"]))
    assert dict(done.artifacts) == {"file.txt": b"it"}


async def test_output_comes_as_it_is_written(place: Place) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")
    running = await place.run(Command(["sh", "-c", "echo ready; exec sleep 600"]), stream=True)
    async with asyncio.timeout(60):
        async for event in running:
            if isinstance(event, Output) and b"ready" in event.data:
                break
        with pytest.raises(RuntimeError, match="still runs"):
            _ = running.value
        await running.cancel()
    assert (running.exit_code, running.ended, running.error) == (-9, "killed", "it was cancelled")


async def test_a_flood_is_cut(place: Place) -> None:
    if not place.runs("command"):
        pytest.skip("it runs no commands")
    with pytest.raises(WorkloadFailed, match="too much") as told:
        await place.run(Command(["sh", "-c", "yes"], limits=Limits(output=10_000)))
    assert told.value.result is not None
    assert len(told.value.result.stdout) == 10_000


async def test_a_function_may_print_more_than_is_kept(place: Place) -> None:
    def talk() -> int:
        print("x" * 50_000)
        return 3

    work = Function(talk, limits=Limits(output=10_000))
    if place.name == "kubernetes":  # where both come by the log, which clusters cut
        with pytest.raises(WorkloadFailed, match="what it printed left no room for its result"):
            await place.run(work)
        return
    done = await place.run(work)
    assert (done.value, done.stdout) == (3, b"x" * 10_000)


async def test_an_impossible_cell_names_those_that_can(place: Place) -> None:
    impossible: dict[str, Any] = {"container": Container("busybox"), "command": Command(["true"])}
    for kind, work in impossible.items():
        if not place.runs(kind):
            with pytest.raises(NoRuntime) as told:
                await place.run(work)
            assert "docker" in told.value.able
            assert "docker" in str(told.value)
