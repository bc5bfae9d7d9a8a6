"""What a program wrote, as a result that a model can read: bounded, and never lost as a whole."""

from __future__ import annotations

import shutil
from typing import ClassVar

import pytest

from codin.errors import ToolTimeout
from codin.runtime import Emit, Kind, Outcome, Runtime, Workload
from codin.sandbox import Limits, Output
from codin.tool import ToolExecutor, in_runtime
from codin.tool.ready import Python, Shell

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap"),
]


@pytest.fixture
def programs() -> ToolExecutor:
    return ToolExecutor([Python(), Shell()], run=in_runtime())


async def test_a_file_that_is_too_large_is_named_and_the_rest_is_given(programs: ToolExecutor) -> None:
    code = "open('big', 'wb').write(b'x' * 3_000_000); open('small', 'w').write('s'); print('did it')"
    done = await programs.call("python", {"code": code})
    assert (done["ok"], done["stdout"]) == (True, "did it\n")
    assert done["files"] == [{"path": "small", "text": "s"}]
    assert done["left_out"] == ["big (3,000,000 bytes)"]


async def test_a_result_has_room_for_what_is_longer_as_json(programs: ToolExecutor) -> None:
    code = "for n in range(9): open(f'{n}', 'wb').write(b'\\1' * 100_000); print('\\1' * 100_000)"
    done = await programs.call("python", {"code": code})
    assert [file["path"] for file in done["files"]] == ["0"]
    assert len(done["left_out"]) == 8


async def test_many_files_are_given_up_to_a_bound(programs: ToolExecutor) -> None:
    done = await programs.call("python", {"code": "for n in range(300): open(f'{n:03}', 'w').close()\nprint('did it')"})
    assert done["stdout"] == "did it\n"
    assert [file["path"] for file in done["files"]] == [f"{n:03}" for n in range(100)]
    assert (done["left_out"][0], done["left_out"][-1], len(done["left_out"])) == ("100 (0 bytes)", "and 180 more", 21)


async def test_a_name_that_is_no_text_is_told_as_far_as_it_is(programs: ToolExecutor) -> None:
    done = await programs.call("python", {"code": "open(b'a\\xff', 'w').write('1'); print('did it')"})
    assert (done["stdout"], done["files"], done["left_out"]) == ("did it\n", [], ["a? (1 bytes)"])


@pytest.mark.parametrize("door", ["executor", "itself"])
async def test_files_that_came_in_come_back_when_they_are_changed(programs: ToolExecutor, door: str) -> None:
    files = {"same.txt": "one", "./sub//too.txt": "two", "changed.txt": "three"}
    asked = {"argv": ["sh", "-c", "echo more >> changed.txt; cp same.txt new.txt"], "files": files}
    done = await (programs.call("shell", asked) if door == "executor" else Shell().invoke(**asked))
    assert done["files"] == [{"path": "changed.txt", "text": "threemore\n"}, {"path": "new.txt", "text": "one"}]
    assert done["left_out"] == []


@pytest.mark.parametrize("lines", [3_000, 20_000, 400_000])  # 400,000 of them are 2.7 MB
async def test_of_much_that_is_written_the_beginning_and_the_end_are_given(programs: ToolExecutor, lines: int) -> None:
    numbers = "".join(f"{n}\n" for n in range(lines))
    done = await programs.call("python", {"code": f"for n in range({lines}): print(n)\nprint('the answer is 42')"})
    whole = f"{numbers}the answer is 42\n"
    cut = f"{whole[:5000]}\n[… left out …]\n{whole[-15000:]}"
    assert (done["ok"], done["stdout"]) == (True, whole if len(whole) <= 20_000 else cut)


@pytest.mark.parametrize("door", ["executor", "itself"])
async def test_why_a_program_fails_stands_behind_its_warnings(programs: ToolExecutor, door: str) -> None:
    warns = "import sys\nfor _ in range(60_000): sys.stderr.write('warning: something is deprecated\\n')"
    asked = {"code": f"{warns}\nraise ValueError('why it failed')"}
    done = await (programs.call("python", asked) if door == "executor" else Python().invoke(**asked))
    assert (done["ok"], done["exit_code"]) == (False, 1)
    assert done["stderr"].startswith("warning: something is deprecated\nwarning: ")
    assert "\n[… left out …]\n" in done["stderr"]
    assert done["stderr"].endswith("ValueError: why it failed\n")


async def test_letters_of_many_bytes_are_cut_as_others_are() -> None:
    little = ToolExecutor([Python(limits=Limits(output=50_000))], run=in_runtime())
    done = await little.call("python", {"code": "print('𝟜' * 100_000 + '2')"})
    assert done["stdout"] == "𝟜" * 5000 + "\n[… left out …]\n" + "𝟜" * 14_998 + "2\n"


class KeepsNoEnd(Runtime):
    """Keeps the beginning of what was written, as some back-ends do."""

    name: ClassVar[str] = "keeps-no-end"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"command"})

    async def missing(self, workload: Workload, /) -> str:
        return ""

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        await emit(Output("stdout", b"x" * workload.limits.output))
        await emit(Output("stderr", b"x" * (workload.limits.output - 1)))
        return Outcome()


async def test_an_end_that_nobody_kept_is_said_to_be_missing() -> None:
    little = Shell(limits=Limits(output=1000))
    done = await ToolExecutor([little], run=in_runtime(KeepsNoEnd())).call("shell", {"argv": ["write"]})
    assert done["stdout"] == "x" * 1000 + "\n[… what may follow was not kept …]"
    assert done["stderr"] == "x" * 999


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("print(1)", "exited"),
        ("1 / 0", "exited"),
        ("x = bytearray(1_000_000_000); x[::4096] = b'1' * len(x[::4096])", "memory"),
        ("import os, time\nfor n in range(60_000): os.mkdir(f'/tmp/{n}')\ntime.sleep(600)", "files"),
        ("while True: print('x' * 1000)", "output"),
    ],
)
async def test_what_ended_a_program_is_told(programs: ToolExecutor, code: str, ended: str) -> None:
    assert (await programs.call("python", {"code": code}))["ended"] == ended


@pytest.mark.parametrize("kind", [Python, Shell])
async def test_one_that_takes_too_long_has_no_result_that_could_tell_it(kind: type[Python | Shell]) -> None:
    hangs = {"code": "while True: pass"} if kind is Python else {"argv": ["sleep", "1000"]}
    slow = kind(timeout=1)
    with pytest.raises(ToolTimeout):
        await ToolExecutor([slow], run=in_runtime()).call(slow.name, hangs)
    schema = slow.spec.output_schema or {}
    assert schema["properties"]["ended"]["enum"] == ["exited", "files", "killed", "memory", "output"]
