"""Which back-end a workload gets, and what is said when there is none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable, WorkloadFailed
from codin.runtime import (
    Command,
    Container,
    Emit,
    Endpoint,
    Function,
    HttpRuntime,
    Item,
    Kind,
    LocalRuntime,
    Module,
    OmniRuntime,
    Outcome,
    Runtime,
    SandboxDemand,
    Workload,
    runtime_of,
    runtimes,
)
from codin.sandbox import Code, Limits

pytestmark = pytest.mark.anyio


class Elsewhere(Runtime):
    """A back-end of somebody else."""

    name: ClassVar[str] = "elsewhere"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"command"})

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.ran: list[Workload] = []

    async def missing(self, workload: Workload, /) -> str:
        return self.reason

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        self.ran.append(workload)
        return Outcome(sandbox="elsewhere's own")


class Nowhere(Elsewhere):
    name: ClassVar[str] = "nowhere"


async def test_the_first_that_can_is_taken() -> None:
    nowhere, elsewhere = Nowhere("it is closed"), Elsewhere()
    done = await OmniRuntime([nowhere, elsewhere, "local"]).run(Command(["true"]))
    assert done.runtime == "elsewhere"
    assert not nowhere.ran


async def test_a_workload_may_name_its_back_end() -> None:
    done = await OmniRuntime([Elsewhere(), "local"]).run(Command(["echo", "here"], on="local", sandbox="off"))
    assert (done.runtime, done.text) == ("local", "here\n")


async def test_where_nothing_can_every_reason_is_told() -> None:
    with pytest.raises(NoRuntime) as told:
        await OmniRuntime([Nowhere("it is closed"), Elsewhere("it is full")]).run(Command(["true"]))
    assert "nowhere: it is closed; elsewhere: it is full" in str(told.value)
    assert "local" in told.value.able


async def test_an_impossible_cell_names_those_that_could() -> None:
    with pytest.raises(NoRuntime) as told:
        await OmniRuntime(["local"]).run(Container("busybox"))
    assert told.value.able == ("docker", "kubernetes", "daytona")
    with pytest.raises(NoRuntime, match="it runs no container"):
        await OmniRuntime(["local"]).run(Container("busybox", on="local"))


CELLS: dict[str, tuple[Workload, set[str]]] = {
    "function": (Function(len, [""]), {"local", "docker", "kubernetes", "ray"}),
    "module": (Module("statistics:fmean", [[1]]), {"local", "docker", "kubernetes", "ray"}),
    "command": (Command(["true"]), {"local", "docker", "kubernetes", "daytona"}),
    "container": (Container("busybox"), {"docker", "kubernetes", "daytona"}),
    "endpoint": (Endpoint("http://127.0.0.1:9/"), {"local", "docker", "kubernetes", "ray", "http"}),
}
IMPOSSIBLE = [
    (kind, name)
    for kind, (_, able) in CELLS.items()
    for name in ("local", "docker", "kubernetes", "ray", "http", "daytona")
    if name not in able
]


@pytest.mark.parametrize(("kind", "name"), IMPOSSIBLE)
async def test_every_impossible_cell_names_those_that_could(kind: str, name: str) -> None:
    work, able = CELLS[kind]
    async with runtime_of(name) as runtime:
        assert await runtime.missing(work) != ""
        with pytest.raises(NoRuntime) as told:
            await runtime.run(work)
        assert set(told.value.able) == able
        assert all(each in str(told.value) for each in able)
        with pytest.raises(NoRuntime, match=f"{name}: it runs no {kind}"):
            await OmniRuntime([runtime]).run(replace(work, on=name))


WITHOUT_BUBBLEWRAP = """
import asyncio
from codin.errors import NoRuntime
from codin.runtime import Command, OmniRuntime
from codin.sandbox import Code
from codin.tool import ToolExecutor, in_runtime
from codin.tool.ready import Python

async def main():
    code = Code("open('a.txt', 'w').write('kept'); print(6 * 7)")
    async with OmniRuntime(["local"]) as runtime:
        done = await runtime.run(Command(code, artifacts=["*.txt"]))
        print(done.text.strip(), done.runtime, done.sandbox, dict(done.artifacts))
        try:
            await runtime.run(Command(["true"], sandbox="required"))
        except NoRuntime as error:
            print("no `bwrap`" in error.message)
    print((await ToolExecutor([Python()], run=in_runtime()).call("python", {"code": "print(6 * 7)"}))["stdout"])

asyncio.run(main())
"""


async def test_where_there_is_no_bubblewrap_code_runs_in_wasm(wasm_python: None, tmp_path: Path) -> None:
    # In a process of its own: what a machine has is looked at once.
    environment = {**os.environ, "PATH": str(tmp_path)}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WITHOUT_BUBBLEWRAP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, said = await program.communicate()
    assert said.decode() == ""
    assert out.decode().rstrip().splitlines() == ["42 local wasm {'a.txt': b'kept'}", "True", "42"]


@pytest.mark.parametrize(
    ("workload", "demand"),
    [
        (Command(Code("1")), "required"),
        (Command(Code("1"), sandbox="off"), "off"),
        (Command(["true"]), "preferred"),
        (Function(print), "preferred"),
    ],
)
def test_what_is_asked_of_a_sandbox_by_default(workload: Workload, demand: str) -> None:
    assert workload.demand == demand


async def test_the_door_may_ask_for_more_than_the_workload_does() -> None:
    elsewhere = Elsewhere()
    await OmniRuntime([elsewhere], sandbox="required").run(Command(["true"], sandbox="off"))
    assert elsewhere.ran[0].demand == "required"


async def test_without_a_sandbox_what_requires_one_does_not_run() -> None:
    with pytest.raises(NoRuntime, match="no kind of sandbox was named"):
        await OmniRuntime([LocalRuntime(sandboxes=())]).run(Command(Code("print(1)")))
    done = await OmniRuntime([LocalRuntime(sandboxes=())]).run(Command(["echo", "1"]))
    assert (done.sandbox, "files" in done.unenforced) == ("host", True)


@pytest.mark.parametrize(
    "work", [Command(["true"]), Command(Code("1")), Function(print)], ids=["program", "code", "function"]
)
@pytest.mark.parametrize("sandbox", ["preferred", "required"])
async def test_a_limit_that_a_sandbox_cannot_have_is_not_kept_by_doing_without_one(
    work: Workload, sandbox: SandboxDemand
) -> None:
    with pytest.raises(NoRuntime, match=r"does not fit into .*raise Limits\.memory to 8388608 or more"):
        await LocalRuntime().run(replace(work, sandbox=sandbox, limits=Limits(memory=4 << 20)))


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="local"):
        runtime_of("locall")
    assert runtimes()[:2] == ("local", "docker")


def test_without_an_event_loop() -> None:
    assert LocalRuntime().run_sync(Command(["echo", "1"], sandbox="off")).text == "1\n"


async def test_an_endpoint_is_called_by_the_local_runtime_first() -> None:
    assert (await OmniRuntime(["http", "local"]).choose(Endpoint("http://example.com"))).name == "http"


async def test_a_name_that_nobody_has_is_no_back_end() -> None:
    with pytest.raises(ConfigError, match=r"no runtime 'dokcer'.* one of: .*docker.*elsewhere"):
        await OmniRuntime([Elsewhere()]).run(Command(["true"], on="dokcer"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Command(["ls"], network="some"), "network='some' is none of none, full"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], sandbox="none"), "sandbox='none' is none of"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], limits=5), "limits=5"),  # type: ignore[arg-type]
        (lambda: Command("ls -l"), "command='ls -l'"),
        (lambda: Command([]), r"command=\[\]"),
        (lambda: Function("x"), "function='x' cannot be called"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], files={"../../a": b""}), r"files: '\.\./\.\./a' is no path inside"),
        (lambda: Function(len, files={"/etc/a": b""}), "files: '/etc/a' is no path inside"),
        (lambda: Command(["ls"], files={"": b""}), "files: '' is no path inside"),
        (lambda: Command(["ls"], files={5: b""}), "files: 5 is no path inside"),  # type: ignore[dict-item]
        (lambda: Command(b"ls"), r"command=b'ls' is no list of words"),  # type: ignore[arg-type]
        (lambda: Command(["echo", 5]), r"command=\['echo', 5\] is no list of words"),  # type: ignore[arg-type]
        (lambda: Command(["cat"], "text"), "stdin is no bytes"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], files=["a"]), "files are no mapping"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], artifacts="*.txt"), r"artifacts='\*\.txt' are no list of patterns"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], artifacts=[5]), r"artifacts=\[5\] are no list of patterns"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], artifacts=5), "artifacts=5 are no list of patterns"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], artifacts=["../*"]), r"artifacts: '\.\./\*' is no path inside"),  # type: ignore[arg-type]
        (lambda: Command(["ls"], on=5), "on=5 is no name"),  # type: ignore[arg-type]
        (lambda: Function(len, "ab"), "args are no list but a str"),  # type: ignore[arg-type]
        (lambda: Function(len, 5), "args are no list but a int"),  # type: ignore[arg-type]
        (lambda: Function(len, [], ["a"]), "kwargs are no mapping"),  # type: ignore[arg-type]
        (lambda: Function(len, [], {5: 1}), "kwargs: 5 is no name"),  # type: ignore[arg-type]
        (lambda: Module(5), "target=5 is no name"),  # type: ignore[arg-type]
        (lambda: Module("json:dumps", "ab"), "args are no list but a str"),  # type: ignore[arg-type]
        (lambda: Module("json:dumps", kwargs={5: 1}), "kwargs: 5 is no name"),  # type: ignore[arg-type]
        (lambda: Module("json:dumps", method=5), "method=5 is no name"),  # type: ignore[arg-type]
        (lambda: Container(5), "image=5 is no name"),  # type: ignore[arg-type]
        (lambda: Container(""), "image='' is no name"),  # type: ignore[arg-type]
        (lambda: Container("busybox", "ls"), "command='ls' is no list of words"),  # type: ignore[arg-type]
        (lambda: Container("busybox", ["ls", 5]), r"command=\['ls', 5\] is no list of words"),  # type: ignore[arg-type]
        (lambda: Container("busybox", [], "text"), "stdin is no bytes"),  # type: ignore[arg-type]
        (lambda: OmniRuntime(sandbox="none"), "sandbox='none' is none of"),  # type: ignore[arg-type]
        (lambda: OmniRuntime().run_sync(5), "5 is no workload"),  # type: ignore[arg-type]
        (lambda: LocalRuntime().run_sync(5), "5 is no workload"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused_with_its_name(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


async def test_a_cluster_that_nobody_has_named_gets_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("codin.runtime.omni.runtimes", lambda: ["ray"])
    with pytest.raises(NoRuntime, match="ray: none is named, by RAY_ADDRESS or with on='ray'"):
        await OmniRuntime().choose(Function(print))


async def test_a_back_end_whose_package_is_missing_says_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", None)
    for work in (Command(Code("1"), on="kubernetes"), Container("busybox", on="kubernetes")):
        with pytest.raises(NoRuntime, match=r"kubernetes: .* not installed: kubernetes_asyncio") as told:
            await OmniRuntime().run(work)
        assert "cluster" not in str(told.value)
    with pytest.raises(RuntimeUnavailable, match=r"pip install 'codin\[kubernetes\]'"):
        runtime_of("kubernetes")


async def test_a_back_end_that_cannot_be_closed_leaves_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    async def fail(runtime: Runtime) -> None:
        closed.append(runtime.name)
        raise OSError("it is gone")

    monkeypatch.setattr(LocalRuntime, "close", fail)
    monkeypatch.setattr(HttpRuntime, "close", fail)
    runtime = OmniRuntime(["http", "local"])
    for work in (Endpoint("http://example.com"), Command(["true"])):
        await runtime.choose(work)
    with pytest.raises(OSError, match="it is gone"):
        await runtime.close()
    assert sorted(closed) == ["http", "local"]


class Endless(Elsewhere):
    """A back-end whose work ends when it is ended."""

    name: ClassVar[str] = "endless"

    def __init__(self) -> None:
        self.at_work = 0

    async def missing(self, workload: Workload, /) -> str:
        return ""

    async def _execute(self, workload: Workload, emit: Emit, /) -> Outcome:
        self.at_work += 1
        try:
            await emit(Item("begun"))
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ending takes its time
            self.at_work -= 1
        raise AssertionError("nobody ends it")


async def test_what_streams_ends_with_the_runtime_that_began_it() -> None:
    endless = Endless()
    others = await endless.run(Command(["true"]), stream=True)
    async with asyncio.timeout(60):
        async with OmniRuntime([endless]) as runtime:
            running = [await runtime.run(Command(["true"]), stream=True) for _ in range(3)]
            for one in (*running, others):
                async for _ in one:
                    break
            assert endless.at_work == 4
        assert endless.at_work == 1
        for one in running:
            with pytest.raises(WorkloadFailed, match="it was cancelled"):
                await one.wait()
        await endless.close()  # which has begun the rest
        assert endless.at_work == 0
    assert others.exit_code == -9


async def test_what_streams_ends_with_a_block_that_fails() -> None:
    endless = Endless()

    async def fail() -> None:
        async with asyncio.timeout(60), endless:
            async for _ in await endless.run(Command(["true"]), stream=True):
                raise OSError("of the reader")

    with pytest.raises(OSError, match="of the reader"):
        await fail()
    assert endless.at_work == 0


async def test_what_streams_is_ended_before_it_has_begun() -> None:
    async with asyncio.timeout(60):
        async with OmniRuntime([Endless()]) as runtime:
            running = await runtime.run(Command(["true"]), stream=True)
        with pytest.raises(WorkloadFailed, match="it was cancelled"):
            await anext(aiter(running))
    assert running.exit_code == -9


async def test_what_streams_ends_although_who_closes_is_cancelled() -> None:
    endless = Endless()
    running = await endless.run(Command(["true"]), stream=True)
    await anext(aiter(running))
    closing = asyncio.create_task(endless.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert endless.at_work == 0


async def test_nothing_runs_on_a_runtime_whose_block_was_left() -> None:
    elsewhere = Elsewhere()
    for runtime in (elsewhere, OmniRuntime([Endless()])):
        async with runtime:
            pass
        for stream in (False, True):
            with pytest.raises(ConfigError, match=f"the runtime {runtime.name!r} is closed"):
                await runtime.run(Command(["true"]), stream=stream)
    async with elsewhere:
        assert (await elsewhere.run(Command(["true"]))).exit_code == 0
