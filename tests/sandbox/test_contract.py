"""What every kind of sandbox does, in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from textwrap import dedent

import anyio
import pytest

from codin.errors import (
    ConfigError,
    ExecFailed,
    ExecTimeout,
    FileRefused,
    OutputExceeded,
    PolicyNotEnforced,
    SandboxClosed,
)
from codin.sandbox import Code, Execution, Limits, Output, Policy, Pool, Sandbox, Snapshot
from tests.sandbox.conftest import Room

pytestmark = pytest.mark.anyio

ENDLESS = Code("import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.05)")
# Says `begun`, and ends when it is told to: whoever reads the first word knows that the command runs.
OBEDIENT = Code("import sys\nprint('begun', flush=True)\nprint('told', sys.stdin.readline().strip())")
QUICK = Policy(limits=Limits(time=2.0))
SMALL = Policy(limits=Limits(output=1000))


class Words:
    """Standard input that says a word when it is given one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, word: bytes) -> None:
        self._queue.put_nowait(word)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (word := await self._queue.get()) is not None:
            yield word


async def first_line(execution: Execution) -> str:
    seen = ""
    async for output in execution:
        seen += output.text
        if seen.endswith("\n"):
            break
    return seen


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# Commands


async def test_code_runs(room: Room) -> None:
    async with room() as sandbox:
        done = await sandbox.exec(Code("import sys\nprint('out')\nprint('err', file=sys.stderr)"))
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"out\n", b"err\n")
    assert (done.ok, done.ended, done.truncated, done.text) == (True, "exited", False, "out\n")
    assert done.seconds > 0
    assert done.check() is done


async def test_a_python_command_has_its_arguments(room: Room) -> None:
    async with room() as sandbox:
        done = await sandbox.exec(["python3", "-c", "import sys; print(sys.argv[1:])", "a b", "*", "--ü", ""])
    assert done.check().text == "['a b', '*', '--ü', '']\n"


async def test_a_script_of_the_working_folder_runs(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("tool.py", b"import sys, other\nprint(other.NAME, sys.argv[1], __name__)")
        await sandbox.put("other.py", b"NAME = 'other'")
        done = await sandbox.exec(["python3", "tool.py", "x"])
    assert done.check().text == "other x __main__\n"


async def test_code_imports_from_the_working_folder(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("other.py", b"NAME = 'other'")
        assert (await sandbox.exec(Code("import other; print(other.NAME)"))).check().text == "other\n"


async def test_code_may_be_long(room: Room) -> None:
    filler = "#" + "x" * 100
    async with room() as sandbox:
        done = await sandbox.exec(Code("\n".join([filler] * 10_000) + "\nprint('the end')"))
    assert done.check().text == "the end\n"


@pytest.mark.parametrize(("source", "code"), [("raise SystemExit(3)", 3), ("import sys; sys.exit()", 0), ("1 / 0", 1)])
async def test_the_exit_code(room: Room, source: str, code: int) -> None:
    async with room() as sandbox:
        done = await sandbox.exec(Code(source))
    assert (done.exit_code, done.ended) == (code, "exited")


async def test_what_was_raised_is_on_stderr(room: Room) -> None:
    async with room() as sandbox:
        done = await sandbox.exec(Code("print('before')\nraise ValueError('no such luck')"))
    assert done.stdout == b"before\n"
    assert b"ValueError: no such luck" in done.stderr
    with pytest.raises(ExecFailed, match="no such luck") as failed:
        done.check()
    assert failed.value.result is done


async def test_output_is_bytes(room: Room) -> None:
    async with room() as sandbox:
        done = await sandbox.exec(Code("import sys\nsys.stdout.buffer.write(bytes(range(256)))"))
    assert done.stdout == bytes(range(256))


async def test_stdin(room: Room) -> None:
    shout = Code("import sys; print(sys.stdin.read().upper())")
    async with room() as sandbox:
        assert (await sandbox.exec(shout)).check().text == "\n"
        assert (await sandbox.exec(shout, stdin=b"words")).check().text == "WORDS\n"
        assert (await sandbox.exec(shout, stdin=pieces(b"wo", b"", b"rds"))).check().text == "WORDS\n"


async def test_much_stdin_comes_back(room: Room) -> None:
    payload = bytes(range(256)) * 2000
    copy = Code("import sys\nwhile data := sys.stdin.buffer.read(4096): sys.stdout.buffer.write(data)")
    async with room() as sandbox:
        assert (await sandbox.exec(copy, stdin=payload)).check().stdout == payload


async def test_stdin_need_not_be_read(room: Room) -> None:
    async with room() as sandbox:
        assert (await sandbox.exec(Code("print('done')"), stdin=bytes(1_000_000))).check().text == "done\n"


async def test_the_environment_is_the_policys(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_SECRET", "s3cret")
    show = Code("import os; print(os.environ['A'], os.environ['B'], 'HOST_SECRET' in os.environ)")
    async with room(Policy(env={"A": "policy", "B": "policy"})) as sandbox:
        assert (await sandbox.exec(show, env={"B": "çall"})).check().text == "policy çall False\n"
        assert (await sandbox.exec(show)).check().text == "policy policy False\n"


async def test_the_folder_of_a_command(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("deep/er/file.txt", b"found")
        done = await sandbox.exec(Code("print(open('file.txt').read())"), cwd="deep/er")
        assert done.check().text == "found\n"
        for folder in ("nowhere", "deep/er/file.txt", "..", "/"):
            with pytest.raises(FileRefused):
                await sandbox.exec(Code(""), cwd=folder)


@pytest.mark.parametrize("command", ["ls", b"ls", []])
async def test_a_command_is_a_list(room: Room, command: list[str]) -> None:
    async with room() as sandbox:
        with pytest.raises(TypeError, match="list of strings"):
            await sandbox.exec(command)


async def test_programs_run(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} runs Python only")
    async with room() as sandbox:
        assert (await sandbox.exec(["sh", "-c", "echo $((6 * 7)) && cat"], stdin=b"!")).check().text == "42\n!"
        missing = await sandbox.exec(["no-such-program"])
        assert (missing.ok, missing.ended) == (False, "exited")
        assert missing.exit_code in (126, 127)


async def test_the_signal_that_ended_a_command(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no signals")
    async with room() as sandbox:
        assert (await sandbox.exec(Code("import os; os.kill(os.getpid(), 9)"))).exit_code == -9
        assert (await sandbox.exec(["true"])).ok


# Output as it comes, bounds, ends


async def test_output_comes_while_the_command_runs(room: Room) -> None:
    words = Words()
    seen: list[Output] = []
    async with asyncio.timeout(30), room() as sandbox, sandbox.start(OBEDIENT, stdin=words) as execution:
        async for output in execution:
            seen.append(output)
            if len(seen) == 1:
                words.say(b"so\n")
        result = await execution.result()
    assert "".join(output.text for output in seen) == "begun\ntold so\n"
    assert {output.stream for output in seen} == {"stdout"}
    assert result.check().text == "begun\ntold so\n"


async def test_on_output(room: Room) -> None:
    seen: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    async def note(output: Output) -> None:
        seen[output.stream] += output.data

    async with room() as sandbox:
        await sandbox.exec(Code("import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')"), on_output=note)
    assert seen == {"stdout": b"a\nc\n", "stderr": b"b\n"}


async def test_a_result_is_the_same_every_time(room: Room) -> None:
    async with room() as sandbox:
        async with sandbox.start(Code("print('once')")) as execution:
            first = await execution.result()
            assert await execution.result() is first
        assert await execution.result() is first


async def test_the_beginning_of_much_output_is_kept(room: Room) -> None:
    async with room(SMALL) as sandbox:
        done = await sandbox.exec(Code("import sys\nprint('a' * 5000)\nprint('b' * 10, file=sys.stderr)"))
    assert (done.exit_code, done.ended, done.truncated) == (0, "exited", True)
    assert (done.stdout, done.stderr) == (b"a" * 1000, b"b" * 10 + b"\n")
    assert done.last == {"stdout": b"a" * 4000 + b"\n"}


async def test_of_the_end_of_much_output_a_part_is_kept(room: Room) -> None:
    policy = Policy(limits=Limits(output=100_000))
    code = "import sys\nfor n in range(60_000): print(n, file=sys.stderr)\nsys.exit('why it failed')"
    async with asyncio.timeout(60), room(policy) as sandbox:
        done = await sandbox.exec(Code(code))
        with pytest.raises(ExecFailed, match="exit code 1: why it failed"):
            done.check()
    written = b"".join(b"%d\n" % n for n in range(60_000)) + b"why it failed\n"
    assert (done.stderr, done.last) == (written[:100_000], {"stderr": written[-128 * 1024 :]})


async def test_a_flood_is_stopped(room: Room) -> None:
    async with asyncio.timeout(60), room(SMALL) as sandbox:
        done = await sandbox.exec(Code("while True: print('a' * 1000)"))
        assert (done.ended, done.stdout, done.truncated) == ("output", b"a" * 1000, True)
        with pytest.raises(OutputExceeded):
            done.check()
        assert (await sandbox.exec(Code("print('next')"))).check().text == "next\n"


@pytest.mark.parametrize("source", ["import time\nprint('so far', flush=True)\ntime.sleep(600)", "while True: pass"])
async def test_time_runs_out(room: Room, source: str) -> None:
    async with asyncio.timeout(60), room(QUICK) as sandbox:
        done = await sandbox.exec(Code(source))
        assert (done.ok, done.ended) == (False, "time")
        assert 1.9 < done.seconds < 20
        with pytest.raises(ExecTimeout) as stopped:
            done.check()
        assert stopped.value.result is done
        assert (await sandbox.exec(Code("print('next')"))).check().text == "next\n"


async def test_what_was_written_before_the_time_ran_out_is_kept(room: Room) -> None:
    source = "import time\nprint('begun', flush=True)\nopen('written', 'w').close()\nwhile True: time.sleep(0.05)"
    async with asyncio.timeout(150), room() as sandbox:
        timeout = 2.0
        while True:  # until the interpreter has begun in its time, which on a busy machine may be long
            done = await sandbox.exec(Code(source), timeout=timeout)
            assert done.ended == "time"
            if any(file.path == "written" for file in await sandbox.list()):
                break
            timeout *= 2
    assert done.stdout == b"begun\n"


async def test_a_timeout_does_not_outdo_the_policy(room: Room) -> None:
    async with asyncio.timeout(60), room(QUICK) as sandbox:
        assert (await sandbox.exec(ENDLESS, timeout=3600)).ended == "time"


async def test_no_bound_on_time(room: Room) -> None:
    words = Words()
    unbounded = Policy(limits=Limits(time=None))
    async with asyncio.timeout(60), room(unbounded) as sandbox, sandbox.start(OBEDIENT, stdin=words) as execution:
        await first_line(execution)
        words.say(b"end\n")
        assert (await execution.result()).check().text.endswith("told end\n")


async def test_kill(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        async with sandbox.start(ENDLESS) as execution:
            assert await first_line(execution) == "begun\n"
            await execution.kill()
            done = await execution.result()
            await execution.kill()
        assert (done.ok, done.ended, done.stdout) == (False, "killed", b"begun\n")
        with pytest.raises(ExecFailed):
            done.check()
        assert (await sandbox.exec(Code("print('next')"))).ok


async def test_leaving_the_block_ends_the_command(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        async with sandbox.start(ENDLESS) as execution:
            await first_line(execution)
        assert (await execution.result()).ended == "killed"


async def test_cancelling_ends_the_command(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        with anyio.CancelScope() as scope:

            async def stop(output: Output) -> None:
                scope.cancel()

            await sandbox.exec(ENDLESS, on_output=stop)
        assert scope.cancelled_caught
        assert (await sandbox.exec(Code("print('next')"))).check().text == "next\n"


async def test_an_error_of_the_reader_ends_the_command(room: Room) -> None:
    async def fail(output: Output) -> None:
        raise LookupError

    async with asyncio.timeout(60), room() as sandbox:
        with pytest.raises(LookupError):
            await sandbox.exec(ENDLESS, on_output=fail)
        assert (await sandbox.exec(Code("print('next')"))).ok


async def test_several_commands_at_once(room: Room) -> None:
    words = [Words() for _ in range(3)]
    done: dict[int, str] = {}
    async with asyncio.timeout(60), room() as sandbox:

        async def run(number: int, begun: asyncio.Event) -> None:
            async with sandbox.start(OBEDIENT, stdin=words[number]) as execution:
                await first_line(execution)
                begun.set()
                done[number] = (await execution.result()).check().text

        events = [asyncio.Event() for _ in words]
        async with asyncio.TaskGroup() as group:
            for number, event in enumerate(events):
                group.create_task(run(number, event))
            for event in events:
                await event.wait()
            for number in (2, 0, 1):  # each runs on after others have ended
                words[number].say(b"%d\n" % number)
    assert done == {number: f"begun\ntold {number}\n" for number in range(3)}


# Files


async def test_files_come_and_go(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("in.txt", b"1 2 3")
        source = """
            import os
            os.mkdir("out")
            with open("in.txt") as numbers, open("out/sum.txt", "w") as total:
                total.write(str(sum(map(int, numbers.read().split()))))
        """
        done = await sandbox.exec(Code(dedent(source)))
        done.check()
        assert await sandbox.get("out/sum.txt") == b"6"
        (await sandbox.exec(Code("assert open('out/sum.txt').read() == '6'"))).check()


@pytest.mark.parametrize("content", [b"", b"\0\xff\r\n", bytes(range(256)) * 8192])
async def test_content_is_kept(room: Room, content: bytes) -> None:
    async with room() as sandbox:
        await sandbox.put("file", content)
        assert await sandbox.get("file") == content
        assert b"".join([piece async for piece in sandbox.stream("file")]) == content
        size = Code("import os; print(os.stat('file').st_size)")
        assert (await sandbox.exec(size)).check().text == f"{len(content)}\n"


async def test_a_file_is_written_in_pieces_and_again(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("a/b/c", pieces(b"long ", b"", b"content"))
        assert await sandbox.get("a/b/c") == b"long content"
        await sandbox.put("a/b/c", b"short")
        assert await sandbox.get("a/b/c") == b"short"
        (await sandbox.exec(Code("open('a/b/c', 'a').write('er')"))).check()
        assert await sandbox.get("./a//b/c") == b"shorter"


@pytest.mark.parametrize("name", ["with space", "-rf", "ünï", "a'b\"c", "$HOME", "*", "new\nline", "x" * 200])
async def test_names_are_only_names(room: Room, name: str) -> None:
    async with room() as sandbox:
        await sandbox.put(name, b"1")
        await sandbox.put(f"folder/{name}", b"22")
        assert await sandbox.get(name) == b"1"
        assert [(file.path, file.size) for file in await sandbox.list() if not file.folder] == sorted(
            [(name, 1), (f"folder/{name}", 2)]
        )


async def test_list(room: Room) -> None:
    async with room() as sandbox:
        assert await sandbox.list() == []
        for path in ("b", "a/z", "a/y/x"):
            await sandbox.put(path, path.encode())
        assert [(file.path, file.folder) for file in await sandbox.list()] == [
            ("a", True),
            ("a/y", True),
            ("a/y/x", False),
            ("a/z", False),
            ("b", False),
        ]
        below = await sandbox.list("a")
        assert [(file.path, file.size) for file in below if not file.folder] == [("a/y/x", 5), ("a/z", 3)]


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a\0b"])
async def test_paths_that_lead_out(room: Room, path: str) -> None:
    async with room() as sandbox:
        with pytest.raises(FileRefused):
            await sandbox.put(path, b"x")
        with pytest.raises(FileRefused) as refused:
            await sandbox.get(path)
        assert refused.value.path == path
        if path:
            with pytest.raises(FileRefused):
                await sandbox.list(path)


async def test_what_is_no_file(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("folder/file", b"x")
        for path in ("missing", "missing/file", "folder", "folder/file/deeper"):
            with pytest.raises(FileRefused) as refused:
                await sandbox.get(path)
            assert refused.value.path == path
        for path in ("missing", "folder/file"):
            with pytest.raises(FileRefused):
                await sandbox.list(path)
        for path in ("folder", "folder/file/deeper"):
            with pytest.raises(FileRefused):
                await sandbox.put(path, b"y")
        assert [file.path for file in await sandbox.list()] == ["folder", "folder/file"]
        assert await sandbox.get("folder/file") == b"x"


async def test_a_file_that_does_not_fit_leaves_nothing(room: Room) -> None:
    small = Policy(limits=Limits(disk=1024 * 1024))
    async with room(small) as sandbox:
        await sandbox.put("there", b"before")
        for content in (bytes(2 * 1024 * 1024), pieces(*[bytes(64 * 1024)] * 32)):
            with pytest.raises(FileRefused):
                await sandbox.put("big", content)
        with pytest.raises(FileRefused):
            await sandbox.put("there", bytes(2 * 1024 * 1024))
        assert [file.path for file in await sandbox.list()] == ["there"]
        assert await sandbox.get("there") == b"before"
        await sandbox.put("fits", bytes(512 * 1024))


async def test_a_write_that_fails_leaves_nothing(room: Room) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError

    async with room() as sandbox:
        with pytest.raises(LookupError):
            await sandbox.put("half", broken())
        with anyio.CancelScope() as scope:

            async def cancelled() -> AsyncIterator[bytes]:
                yield b"half"
                scope.cancel()
                await anyio.sleep_forever()

            await sandbox.put("half", cancelled())
        assert await sandbox.list() == []
        await sandbox.put("half", b"whole")
        assert await sandbox.get("half") == b"whole"


async def test_links_are_no_files(room: Room) -> None:
    """A link leads nowhere but into the sandbox, whatever it says, for reading, writing and listing."""
    async with room() as sandbox:
        await sandbox.put("folder/real", b"real")
        links = {"passwd": "/etc/passwd", "up": "..", "etc": "/etc"}
        made = await sandbox.exec(Code(f"import os\nfor name, to in {links}.items(): os.symlink(to, name)"))
        if not made.ok:
            pytest.skip(f"{room.kind} has no such links")
        assert [file.path for file in await sandbox.list()] == ["folder", "folder/real"]
        for path in ("passwd", "etc/passwd"):
            with pytest.raises(FileRefused):
                await sandbox.get(path)
        for path in ("etc/planted", "up/planted"):
            with pytest.raises(FileRefused):
                await sandbox.put(path, b"x")
        assert (await sandbox.snapshot()).files == {"folder/real": b"real"}


async def test_snapshot(room: Room) -> None:
    async with room() as sandbox:
        await sandbox.put("a", b"1")
        (await sandbox.exec(Code("import os\nos.mkdir('b')\nopen('b/c', 'wb').write(bytes(1000))"))).check()
        snapshot = await sandbox.snapshot()
        await sandbox.put("a", b"changed")
        await sandbox.put("new", b"")
        await sandbox.restore(snapshot)
        assert await sandbox.get("a") == b"1"
        assert await sandbox.get("new") == b""
    assert snapshot == Snapshot({"a": b"1", "b/c": bytes(1000)})
    async with room() as other:
        assert await other.list() == []
        await other.restore(snapshot)
        assert await other.snapshot() == snapshot


async def test_each_has_a_folder_of_its_own(room: Room) -> None:
    async with room() as one, room() as other:
        await one.put("mine", b"x")
        assert await other.list() == []
        assert not (await other.exec(Code("open('mine')"))).ok
    async with room() as later:
        assert await later.list() == []


# Open, closed, gone


async def use(sandbox: Sandbox) -> None:
    for attempt in (sandbox.exec(Code("")), sandbox.put("a", b""), sandbox.get("a"), sandbox.list()):
        with pytest.raises(SandboxClosed):
            await attempt


async def test_it_is_used_while_it_is_open(room: Room) -> None:
    sandbox = room()
    await use(sandbox)
    async with sandbox:
        assert (await sandbox.exec(Code("print(1)"))).ok
    await use(sandbox)
    await sandbox.__aexit__(None, None, None)


async def test_closing_ends_what_runs(room: Room) -> None:
    sandbox = room()
    begun = asyncio.Event()

    async def run() -> bool:
        async def note(output: Output) -> None:
            begun.set()

        ok = False
        try:
            ok = (await sandbox.exec(ENDLESS, on_output=note)).ok
        except* SandboxClosed:
            pass
        return ok

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with sandbox:
            running = group.create_task(run())
            await begun.wait()
        assert not await running


async def test_it_keeps_what_the_policy_demands(room: Room) -> None:
    async with room() as sandbox:
        assert not sandbox.unenforced & sandbox.policy.demands
    async with room(Policy(demands=frozenset())) as relaxed:
        assert (await relaxed.exec(Code("print('open')"))).ok


async def test_what_it_cannot_keep_it_refuses(room: Room) -> None:
    sandbox = room()

    async def short() -> frozenset[str]:
        return frozenset({"network", "files"})

    sandbox._shortfall = short  # type: ignore[method-assign, assignment] # a machine that lacks something
    with pytest.raises(PolicyNotEnforced) as refused:
        await sandbox.__aenter__()
    assert refused.value.missing == {"network", "files"}
    await use(sandbox)


async def test_opening_can_be_cancelled(room: Room) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with room():
            pass
    async with room() as sandbox:
        assert (await sandbox.exec(Code("print(1)"))).ok


async def test_cancelled_ever_again_nothing_is_left(room: Room) -> None:
    """Whoever is impatient does not cut off what takes it away."""
    begun = asyncio.Event()

    async def use() -> None:
        async with room() as sandbox, sandbox.start(ENDLESS) as execution:
            await first_line(execution)
            begun.set()
            await execution.result()

    async with asyncio.timeout(60):
        using = asyncio.create_task(use())
        await begun.wait()
        while not using.done():
            using.cancel()
            await asyncio.sleep(0)  # one turn of the loop
    assert using.cancelled()


async def test_is_opened_once_at_a_time(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        with pytest.raises(ConfigError, match="is open"):
            await sandbox.__aenter__()
        assert (await sandbox.exec(Code("print(1)"))).ok
    async with sandbox:
        assert (await sandbox.exec(Code("print(1)"))).ok


async def test_the_time_is_kept_when_nobody_reads(room: Room) -> None:
    beats = """\
        import os, time
        beat = 0
        while True:
            with open('next', 'w') as file:
                file.write(str(beat))
            os.replace('next', 'beat')  # it is killed at any moment, and says what it said last
            beat += 1
            time.sleep(0.05)
        """
    async with asyncio.timeout(150), room() as sandbox:
        timeout, heard = 2.0, b""
        while not heard:  # until the interpreter has begun in its time, which on a busy machine may be long
            async with sandbox.start(Code(dedent(beats)), timeout=timeout) as execution:
                over, last = asyncio.get_running_loop().time() + timeout, b"-"
                while heard != last or asyncio.get_running_loop().time() < over:
                    await asyncio.sleep(0.5)
                    there = any(file.path == "beat" for file in await sandbox.list())
                    last, heard = heard, await sandbox.get("beat") if there else b""
                assert (await execution.result()).ended == "time"
            timeout *= 2


async def test_what_was_written_can_be_read_when_the_command_is_over(room: Room) -> None:
    much = Code("print('a' * 300_000, end='')")
    async with asyncio.timeout(60), room() as sandbox, sandbox.start(much) as execution:
        last = Code("import sys\nfor name in ('one', 'two'): print(name); sys.stdout.flush()\nopen('over', 'w')")
        async with sandbox.start(last) as other:
            while not any(file.path == "over" for file in await sandbox.list()):
                assert (await sandbox.exec(Code("print('between')"))).text == "between\n"
            assert (await sandbox.exec(Code("print('between')"))).text == "between\n"
            assert (await other.result()).text == "one\ntwo\n"
        assert (await execution.result()).stdout == b"a" * 300_000


async def test_input_that_never_ends_is_no_more_read_than_the_command(room: Room) -> None:
    async def zeros() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async with asyncio.timeout(60), room() as sandbox:
        assert (await sandbox.exec(Code("print('done')"), stdin=zeros())).check().text == "done\n"


async def test_several_wait_for_one_result(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox, sandbox.start(Code("print('done')")) as execution:
        one, other = await asyncio.gather(execution.result(), execution.result())
        assert (one.text, other.text) == ("done\n", "done\n")


async def test_a_snapshot_is_no_larger_than_the_disk(room: Room) -> None:
    """Holes take no room in a sandbox, and all of it in a snapshot."""
    policy = Policy(limits=Limits(disk=16 * 1024 * 1024))
    async with asyncio.timeout(60), room(policy) as sandbox:
        holes = "for name in 'abc': open(name, 'wb').truncate(12 << 20)"
        done = await sandbox.exec(Code(holes))
        if done.ok:  # a kind may count the holes
            with pytest.raises(FileRefused, match="larger"):
                await sandbox.snapshot()


@pytest.mark.parametrize("path", ["\ud800", "a/\udfff"])
async def test_half_a_letter_is_no_name(room: Room, path: str) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        with pytest.raises(FileRefused) as refused:
            await sandbox.put(path, b"")
        assert refused.value.path == path
        with pytest.raises(ConfigError, match="half of a letter"):
            Code(f"print('{path}')")
        assert (await sandbox.exec(Code("print(1)"))).ok


@pytest.mark.parametrize("timeout", ["3", -1, float("nan"), True])
async def test_a_timeout_is_a_number(room: Room, timeout: float) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        with pytest.raises(ConfigError, match="timeout="):
            await sandbox.exec(Code("print(1)"), timeout=timeout)


async def test_a_pool_lends_each_once(room: Room) -> None:
    async with asyncio.timeout(60), Pool(room, size=1) as pool:
        for _ in range(2):
            async with pool.take() as sandbox:
                assert await sandbox.list() == []
                await sandbox.put("left", b"x")
        async with pool.take() as one, pool.take() as other:
            assert one is not other
            assert (await one.exec(Code("print(1)"))).ok
            assert (await other.exec(Code("print(2)"))).ok
        async with pool.take() as again:
            pass
        assert again is not one
        await use(again)


async def test_begins_with_a_snapshot(room: Room) -> None:
    sandbox = room()
    sandbox = type(sandbox)(replace(sandbox.policy), snapshot=Snapshot({"a/b": b"begun"}))
    async with sandbox:
        assert await sandbox.get("a/b") == b"begun"
        assert (await sandbox.exec(Code("print(open('a/b').read())"))).check().text == "begun\n"
