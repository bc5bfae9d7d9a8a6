"""The sandbox of Linux's own means: its walls, its supervisor, and what is left when the host dies."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import platform
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
import venv
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from textwrap import dedent

import anyio
import pytest
from anyio import to_thread

from codin.errors import (
    ConfigError,
    FileRefused,
    FilesExceeded,
    PolicyNotEnforced,
    SandboxClosed,
    SandboxError,
    SandboxUnavailable,
)
from codin.sandbox import Code, FileInfo, Limits, Mount, Output, Policy
from codin.sandbox._local import groups as control_groups
from codin.sandbox._local.boot import modules
from codin.sandbox._local.filter import filter_program
from codin.sandbox._local.groups import Group, Groups
from codin.sandbox.local import NO_LIMITS, LocalSandbox
from tests.sandbox.remains import children, groups
from tests.sandbox.test_attacks import CALL, FORKS
from tests.sandbox.test_contract import OBEDIENT, Words, first_line

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("bwrap"), reason="needs Linux, and bubblewrap"),
]
ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
MIB = 1024 * 1024
PLANTED = "print(__import__('planted').NAME)"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert [place for place in groups() if place.is_dir()] == []


@as_root
async def test_everything_is_kept() -> None:
    async with LocalSandbox() as sandbox:
        assert sandbox.unenforced == frozenset()
        assert groups()


# Bounds


@as_root
async def test_the_kernel_says_that_memory_ran_out() -> None:
    source = "kept = []\nwhile True: kept.append(bytearray(b'x') * (1 << 22))"
    async with asyncio.timeout(60), LocalSandbox(Policy(limits=Limits(memory=64 * MIB))) as sandbox:
        done = await sandbox.exec(Code(source))
        assert (done.ended, done.exit_code) == ("memory", -signal.SIGKILL)
        assert (await sandbox.exec(["sh", "-c", "exit 3"])).ended == "exited"


async def test_less_memory_than_it_needs_itself_is_refused() -> None:
    demands = Policy().demands - {"memory"}
    for memory in (1, 8 * MIB - 1):
        with pytest.raises(ConfigError, match=r"does not fit into .*raise Limits\.memory to 8388608 or more"):
            await LocalSandbox(Policy(limits=Limits(memory=memory), demands=demands)).check()
    async with LocalSandbox(Policy(limits=Limits(memory=8 * MIB), demands=demands)) as sandbox:
        for command in (["true"], Code("print(1)")):
            (await sandbox.exec(command)).check()


@pytest.mark.parametrize("limits", [Limits(cpu=1e9), Limits(processes=5_000_000)], ids=["cpu", "processes"])
async def test_more_than_any_machine_has_is_no_bound(limits: Limits) -> None:
    async with asyncio.timeout(60), LocalSandbox(await relaxed(limits=limits)) as sandbox:
        (await sandbox.exec(["sh", "-c", "true | true"])).check()


async def test_the_bounds_of_this_process_hold_in_there_as_well() -> None:
    program = """if True:
        import anyio, resource
        from codin.sandbox import Policy, sandbox_of

        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        async def main():
            async with sandbox_of("local", Policy(demands=frozenset())) as sandbox:
                print((await sandbox.exec(["sh", "-c", "ulimit -f"])).check().text)

        anyio.run(main)
    """
    done = await anyio.run_process([sys.executable, "-c", program])
    assert done.stdout.split() == [str((1 << 20) // 512).encode()]


async def test_the_bound_on_files_is_a_little_late() -> None:
    policy = Policy(limits=Limits(files=1000), demands=Policy().demands - {"memory"})
    # So many that they take less memory than there is, however late they are seen.
    source = "import os, time\nfor number in range(60_000): os.makedirs(f'/tmp/many/{number}')\ntime.sleep(600)"
    async with asyncio.timeout(60), LocalSandbox(policy) as sandbox:
        done = await sandbox.exec(Code(source))
        assert done.ended == "files"
        with pytest.raises(FilesExceeded, match=r"more files than it may\. Hint: raise Limits\.files"):
            done.check()
        # What is there may be looked at and taken away, though it is too much.
        (await sandbox.exec(["sh", "-c", "cd /tmp/many && ls | head -100000 | xargs rm -r; rm -rf /tmp/many"])).check()
        assert (await sandbox.exec(["ls", "/tmp/many"])).exit_code != 0


async def test_all_folders_share_one_bound() -> None:
    policy = Policy(limits=Limits(disk=4 * MIB), demands=Policy().demands - {"memory"})
    fill = "for f in /box /tmp /dev/shm; do head -c 2000000 /dev/zero > $f/fill || echo full; done"
    async with LocalSandbox(policy) as sandbox:
        assert (await sandbox.exec(["sh", "-c", fill])).text == "full\n"
        with pytest.raises(FileRefused, match="No space"):
            await sandbox.put("more", bytes(MIB))


# What is seen


async def relaxed(**rest: object) -> Policy:
    return Policy(demands=Policy().demands - {"memory", "disk"}, **rest)  # type: ignore[arg-type]


async def test_a_mount_is_read(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir(mode=0o755)
    (tmp_path / "given/file").write_text("from the host")
    mount = Mount(source=tmp_path / "given", target="/data/given")
    async with LocalSandbox(await relaxed(mounts=(mount,))) as sandbox:
        assert (await sandbox.exec(["cat", "/data/given/file"])).check().text == "from the host"
        refused = await sandbox.exec(["sh", "-c", "echo x > /data/given/new"])
        assert b"Read-only" in refused.stderr or b"Permission denied" in refused.stderr
    assert [path.name for path in (tmp_path / "given").iterdir()] == ["file"]


async def test_a_mount_is_written(tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, 4321, 4321)
    mounts = (Mount(source=place, target="/box/taken", writable=True),)
    async with LocalSandbox(await relaxed(mounts=mounts)) as sandbox:
        assert "disk" in sandbox.unenforced  # the folder of the host has no bound
        (await sandbox.exec(["sh", "-c", "echo from inside > taken/file; ln -s /etc/shadow taken/link"])).check()
        await sandbox.put("taken/put", b"as well")
    assert (place / "file").read_text() == "from inside\n"
    assert (place / "put").read_bytes() == b"as well"
    with pytest.raises(PolicyNotEnforced, match="disk"):
        await LocalSandbox(Policy(mounts=mounts)).check()


@as_root
async def test_a_folder_of_root_is_not_mounted_to_be_written(tmp_path: Path) -> None:
    policy = await relaxed(mounts=(Mount(source=tmp_path, writable=True),))
    with pytest.raises(SandboxUnavailable, match="belong to root"):
        await LocalSandbox(policy).__aenter__()


@as_root
async def test_root_without_its_rights(tmp_path: Path) -> None:
    policy = await relaxed(limits=NO_LIMITS, mounts=(Mount(source=tmp_path, writable=True),))
    async with LocalSandbox(policy, uid=0) as sandbox:
        assert sandbox.pid is not None
        os.kill(sandbox.pid, 0)
        (await sandbox.exec(["touch", str(tmp_path / "file")])).check()
        status = (await sandbox.exec(["cat", "/proc/self/status"])).text
        assert "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n" in status
        for attack in (
            "echo x > /proc/sys/kernel/core_pattern",  # a program that the kernel would run, as root and outside
            "echo x > /proc/sysrq-trigger",
            f"chown 1000 {tmp_path}/file",
            "mount --bind /tmp /usr",
            "mknod /tmp/memory c 1 1",
        ):
            assert not (await sandbox.exec(["sh", "-c", attack])).ok, attack
    assert (tmp_path / "file").stat().st_uid == 0


async def test_a_home_of_its_own() -> None:
    async with LocalSandbox(await relaxed(env={"HOME": "/home/ada"})) as sandbox:
        done = await sandbox.exec(["sh", "-c", "echo kept > ~/file; ls -A ~"])
        assert done.check().text == "file\n"
        assert (await sandbox.exec(["cat", "/home/ada/file"])).text == "kept\n"


async def test_no_sandbox_within_one() -> None:
    source = "from codin.sandbox.local import LocalSandbox\nimport anyio\nanyio.run(LocalSandbox().check)"
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", source),
        env={**os.environ, "CODIN_SANDBOX": "local"},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await done.communicate()
    assert b"this process is in a sandbox itself, which lets it make no other" in said


async def test_a_mount_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="nowhere"):
        await LocalSandbox(await relaxed(mounts=(Mount(source=tmp_path / "nowhere"),))).__aenter__()


async def test_the_packages_of_a_virtual_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "its", symlinks=True)
    [packages] = (tmp_path / "its").glob("lib/python*/site-packages")
    (packages / "planted.py").write_text("NAME = 'planted'")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and os.geteuid() != 0:
            pytest.skip("nobody else may look into the folder of the tests")
    async with LocalSandbox(await relaxed(), python=tmp_path / "its/bin/python") as sandbox:
        for command in (
            Code("import planted; print(planted.NAME)"),
            ["python3", "-c", "print(__import__('planted').NAME)"],
        ):
            assert (await sandbox.exec(command)).check().text == "planted\n"


@pytest.mark.parametrize("way", ["beside/../its", "link/../its", "link"])
async def test_an_interpreter_is_named_by_a_detour(tmp_path: Path, way: str) -> None:
    """As `../venv/bin/python` is; above a link is not where the link stands."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "beside").mkdir()
    deep = tmp_path / "deep" if way == "link/../its" else tmp_path
    venv.create(deep / "its", symlinks=True)
    (tmp_path / "link").symlink_to(deep / "its")
    [packages] = (deep / "its").glob("lib/python*/site-packages")
    (packages / "planted.py").write_text("NAME = 'planted'")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and os.geteuid() != 0:
            pytest.skip("nobody else may look into the folder of the tests")
    program = str(tmp_path / way / "bin/python")
    async with LocalSandbox(await relaxed(), python=program) as sandbox:
        for command in (Code(PLANTED), [program, "-c", PLANTED], ["python3", "-c", PLANTED]):
            assert (await sandbox.exec(command)).check().text == "planted\n"


async def test_the_interpreter_of_this_process_is_named_by_a_detour(tmp_path: Path) -> None:
    venv.create(tmp_path / "its", symlinks=True)
    script = """
        import asyncio, sys
        from codin.runtime import Command, Function, LocalRuntime, Module
        from codin.sandbox import Code
        async def main():
            assert ".." in sys.executable
            for work in (
                Function(lambda: 42),
                Module("builtins:int", ["42"]),
                Command(Code("print(42)")),
                Command([sys.executable, "-c", "print(42)"]),
            ):
                done = await LocalRuntime(demands=["network"]).run(work)
                print(done.value or int(done.text), done.sandbox)
        asyncio.run(main())
    """
    (tmp_path / "t").mkdir()
    packages = [path for path in sys.path if path.endswith("-packages")]
    done = await asyncio.create_subprocess_exec(
        *("../its/bin/python", "-c", dedent(script)),
        cwd=tmp_path / "t",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *packages])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, said = await done.communicate()
    assert (said.decode(), out.decode()) == ("", "42 local\n" * 4)


async def test_another_interpreter() -> None:
    if (program := shutil.which("python3", path="/usr/bin")) is None:
        pytest.skip("the system has no Python of its own")
    async with LocalSandbox(await relaxed(), python=program) as sandbox:
        assert (await sandbox.exec(Code("import sys; print(sys.executable)"))).check().text == f"{program}\n"


async def test_what_is_no_interpreter() -> None:
    with pytest.raises(SandboxUnavailable, match="no Python"):
        await LocalSandbox(await relaxed(), python="/bin/true").__aenter__()


async def test_without_bubblewrap(tmp_path: Path) -> None:
    script = """
        import anyio
        from codin.errors import SandboxUnavailable
        from codin.sandbox.local import LocalSandbox
        async def main():
            try:
                await LocalSandbox().check()
            except SandboxUnavailable as missing:
                print(missing)
        anyio.run(main)
    """
    done = run(script, PATH=str(tmp_path))
    assert "no `bwrap`" in done
    assert "apt install bubblewrap" in done


def run(script: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        env=os.environ | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


# A server inside, and its end


async def test_a_server_runs_as_long_as_it_is_wanted() -> None:
    server = """
        import http.server, sys
        class Hello(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello")
        with http.server.HTTPServer(("127.0.0.1", 0), Hello) as listener:
            print(listener.server_port, flush=True)
            listener.serve_forever()
    """
    policy = await relaxed(network="full", limits=Limits(time=None))
    async with asyncio.timeout(60), LocalSandbox(policy) as sandbox:
        async with sandbox.start(Code(dedent(server))) as execution:
            port = int(await first_line(execution))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"hello")
            writer.close()
        assert (await execution.result()).ended == "killed"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


# The supervisor is not trusted


def supervisors(host: int) -> list[int]:
    """The process ids of the supervisors that a process has made, by way of bubblewrap."""
    made: list[int] = []
    for bubblewrap in children(host):
        if Path(f"/proc/{bubblewrap}/comm").read_text() == "bwrap\n":
            made += children(bubblewrap)
    return made


async def gone(pid: int) -> None:
    """Wait until a process of the host is gone."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await asyncio.to_thread(select.select, [watch], [], [], 20)
    finally:
        os.close(watch)


async def test_the_supervisor_is_killed() -> None:
    async def kill(output: Output) -> None:
        [supervisor] = supervisors(os.getpid())
        os.kill(supervisor, signal.SIGKILL)

    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        with pytest.raises(SandboxClosed, match="gone"):
            await sandbox.exec(OBEDIENT, stdin=Words(), on_output=kill)
        for attempt in (sandbox.exec(["true"]), sandbox.get("file"), sandbox.put("file", b""), sandbox.list()):
            with pytest.raises(SandboxClosed, match="gone"):
                await attempt
    async with LocalSandbox(await relaxed()) as another:
        assert (await another.exec(["true"])).ok


async def test_commands_cannot_touch_the_supervisor() -> None:
    source = """
        import resource, signal
        for number in range(1, 65):
            try:
                os.kill(1, number)
            except OSError:
                pass
        for name in ("mem", "environ", "maps"):
            try:
                open(f"/proc/1/{name}", "rb").read(1)
                print("BROKEN", name)
            except OSError:
                pass
        try:
            resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))
            print("BROKEN prlimit")
        except OSError:
            pass
        eight_bytes = (ctypes.c_int * 2)()
        for name, *arguments in (
            ("sched_setaffinity", 1, 8, (ctypes.c_long * 1)(1)),
            ("sched_setparam", 1, eight_bytes),
            ("sched_setscheduler", 1, os.SCHED_IDLE, eight_bytes),
            ((314, 274), 1, (ctypes.c_uint32 * 12)(48, os.SCHED_IDLE), 0),  # sched_setattr
            ("setpriority", os.PRIO_PROCESS, 1, 19),
            ("setpriority", os.PRIO_USER, 0, 19),
            ("setpriority", os.PRIO_USER, os.getuid(), 19),
            ((251, 30), 1, 1, 0x6007),  # ioprio_set
            ((251, 30), 3, 0, 0x6007),
        ):
            try:
                call(name, *arguments)
                print("BROKEN", name, arguments)
            except PermissionError:
                pass
    """
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        assert (await sandbox.exec(Code(CALL + dedent(source)))).check().text == ""
        assert (await sandbox.exec(["true"])).ok


async def test_a_command_may_take_less_time_itself() -> None:
    source = """
        import os
        os.setpriority(os.PRIO_PROCESS, os.getpid(), 7)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        print(os.nice(1), os.sched_getscheduler(0) == os.SCHED_BATCH)
    """
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        assert (await sandbox.exec(Code(dedent(source)))).check().text == "8 True\n"
        assert (await sandbox.exec(["nice", "-n", "3", "nice"])).check().text == "3\n"


async def test_what_no_process_keeps_goes_with_the_last_command() -> None:
    """What System V keeps can be seen by nobody from outside, and would lie in the memory of all that come after."""
    source = """
        import ctypes
        libc = ctypes.CDLL(None)
        for number in range(40):
            libc.shmget(number, 1 << 20, 0o1666)
            libc.msgget(number, 0o1600)
            libc.semget(number, 3, 0o1000)
        print(*(len(open(f"/proc/sysvipc/{kind}").readlines()) for kind in ("shm", "msg", "sem")))
    """
    look = ["sh", "-c", "cat /proc/sysvipc/* | wc -l"]
    policy = await relaxed(limits=NO_LIMITS)  # without control groups, what they count cannot be made
    async with asyncio.timeout(60), LocalSandbox(policy) as sandbox:
        before = (await sandbox.exec(look)).check().text
        assert (await sandbox.exec(Code(dedent(source)))).check().text == "41 41 41\n"
        assert (await sandbox.exec(look)).check().text == before


async def test_no_queue_is_left_by_a_command() -> None:
    """Those of POSIX lie in a file system that cannot be seen in here."""
    source = """
        import ctypes, os, platform
        def opened(flags):
            return ctypes.CDLL(None).syscall({"x86_64": 240}.get(platform.machine(), 180), b"kept", flags, 0o600, None)
    """
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        await sandbox.exec(Code(f"{dedent(source)}opened(os.O_RDONLY | os.O_CREAT)"))
        assert (await sandbox.exec(Code(f"{dedent(source)}print(opened(os.O_RDONLY))"))).check().text == "-1\n"


@as_root
async def test_memory_full_of_what_no_process_keeps() -> None:
    """The supervisor has to find its way out with next to nothing."""
    source = """
        import ctypes
        libc = ctypes.CDLL(None)
        message = (ctypes.c_long * 1025)(1)
        while True:
            libc.msgsnd(libc.msgget(0, 0o1600), message, 8192, 0o4000)
    """
    async with asyncio.timeout(60), LocalSandbox(Policy(limits=Limits(memory=128 * MIB))) as sandbox:
        assert (await sandbox.exec(Code(dedent(source)))).ended == "memory"
        (await sandbox.exec(Code("bytearray(100 << 20)"))).check()


async def test_more_is_asked_at_once_than_the_supervisor_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, before a command would begin with other descriptors than its own."""
    monkeypatch.setattr("codin.sandbox.local._DESCRIPTORS", 64)
    puts: list[asyncio.Task[None]] = []
    go_on = asyncio.Event()

    async def held(begun: asyncio.Event) -> AsyncGenerator[bytes]:
        begun.set()
        await go_on.wait()
        yield b"x"

    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        while not puts or not puts[-1].done():
            begun = asyncio.Event()
            puts.append(asyncio.create_task(sandbox.put(f"file{len(puts)}", held(begun))))
            waiting = asyncio.create_task(begun.wait())
            await asyncio.wait([puts[-1], waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        for refused in (puts.pop(), sandbox.exec(["echo", "out"]), sandbox.list()):
            with pytest.raises(FileRefused, match="Too many open files"):
                await refused
        go_on.set()
        await asyncio.gather(*puts)
        assert len(puts) > 16
        assert len(await sandbox.list()) == len(puts)
        assert (await sandbox.exec(["echo", "out"])).check().text == "out\n"


async def test_a_path_that_is_none_is_refused_by_the_supervisor_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.sandbox._sandbox.inside", str)
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        for path in ("half\ud800", "folder/half\ud800", "half\ud800/file"):
            for refused in (
                sandbox.put(path, b""),
                sandbox.get(path),
                sandbox.list(path),
                sandbox.exec(["true"], cwd=path),
            ):
                with pytest.raises(FileRefused):
                    await refused
        assert await sandbox.list() == []


async def test_a_list_leaves_out_what_goes_away_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "for entry in entries:"
    forge(monkeypatch, line, f'os.unlink("/box/gone")\n            {line}')
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        await sandbox.put("gone", b"")
        await sandbox.put("kept", b"x")
        assert await sandbox.list() == [FileInfo("kept", 1, folder=False)]


async def test_a_list_leaves_out_what_nobody_can_name() -> None:
    """A folder can be listed whose files have paths that are too long."""
    deep = """
        import os
        for _ in range(51):
            open("f" * 80, "w").close()
            os.mkdir("d" * 80)
            os.chdir("d" * 80)
    """
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        (await sandbox.exec(Code(dedent(deep)))).check()
        listed = await sandbox.list()
    assert (listed[-1].path, len(listed)) == ("f" * 80, 101)


async def test_a_command_goes_before_the_supervisor_when_memory_is_short() -> None:
    ours = await anyio.Path("/proc/self/oom_score_adj").read_text()
    watch = 'until [ "$(cat /proc/$$/oom_score_adj)" = 1000 ]; do :; done; cat /proc/1/oom_score_adj'
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        done = await sandbox.exec(["sh", "-c", watch])
        assert done.check().text == ours


@asynccontextmanager
async def beside_another() -> AsyncGenerator[LocalSandbox]:
    """A sandbox in which a command runs, to the good end that others must not take from it."""
    words = Words()
    async with (
        asyncio.timeout(150),
        LocalSandbox(await relaxed(limits=Limits(time=None))) as sandbox,
        sandbox.start(OBEDIENT, stdin=words) as other,
    ):
        await first_line(other)
        yield sandbox
        words.say(b"on\n")
        assert (await other.result()).check()


async def test_killing_the_keeper_ends_the_command() -> None:
    source = "import os, time\nos.kill(os.getppid(), 9)\nwhile True: time.sleep(0.05)"
    async with beside_another() as sandbox:
        assert (await sandbox.exec(Code(source))).exit_code == -signal.SIGKILL
        assert "time.sleep" not in (await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline"])).text


async def running(sandbox: LocalSandbox, word: str) -> bool:
    """Whether a process of the sandbox has the word in its command line."""
    look = "import os, sys\nfor pid in os.listdir('/proc'):\n    if pid.isdigit() and int(pid) != os.getpid():\n"
    look += "        try: print(open(f'/proc/{pid}/cmdline').read())\n        except OSError: pass"
    return word in (await sandbox.exec(Code(look))).check().text


async def test_each_command_has_what_it_leaves_as_long_as_it_runs() -> None:
    leave = "(setsid sleep {} &); echo begun; read word; echo $word"
    first, second = Words(), Words()
    async with (
        asyncio.timeout(60),
        LocalSandbox(await relaxed()) as sandbox,
        sandbox.start(["sh", "-c", leave.format(601)], stdin=first) as one,
    ):
        await first_line(one)
        async with sandbox.start(["sh", "-c", leave.format(602)], stdin=second) as two:
            await first_line(two)
            assert await running(sandbox, "601")
            assert await running(sandbox, "602")
            second.say(b"end\n")
            (await two.result()).check()
        assert not await running(sandbox, "602")
        async with sandbox.start(["sh", "-c", leave.format(603)], stdin=Words()) as three:
            await first_line(three)
            await three.kill()
        assert not await running(sandbox, "603")
        assert await running(sandbox, "601")
        async with sandbox.start(OBEDIENT, stdin=second) as four:
            await first_line(four)
            first.say(b"end\n")
            (await one.result()).check()
            assert not await running(sandbox, "601")
            second.say(b"on\n")
            (await four.result()).check()


async def test_a_stopped_keeper_keeps_nothing_alive() -> None:
    stop = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\nprint('602', flush=True)\ntime.sleep(602)"
    async with beside_another() as sandbox:
        async with sandbox.start(["python3", "-c", stop]) as stopping:
            await first_line(stopping)
            await stopping.kill()
            assert (await stopping.result()).exit_code == -signal.SIGKILL
        assert not await running(sandbox, "602")


async def test_a_slippery_command_is_caught_beside_another() -> None:
    """It is never there for long, and the other must not go with it."""
    async with beside_another() as sandbox:
        for _ in range(20):
            await sandbox.exec(["python3", "-c", dedent(FORKS["slippery"])], timeout=0.2)
            assert not await running(sandbox, "os.fork")


async def test_a_flood_of_orphans_is_heard_out_by_nobody() -> None:
    """Each is the supervisor's to reap, which has to hear the host as well."""
    flood = (
        "import os\nprint('begun', flush=True)\nwhile True:\n    try: pid = os.fork()\n    except OSError: continue\n"
    )
    flood += "    if pid == 0:\n        try: os.fork()\n        finally: os._exit(0)\n    os.waitpid(pid, 0)"
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        async with sandbox.start(["python3", "-c", flood]) as flooding:
            await first_line(flooding)
            await sandbox.put("file", b"heard")
            await flooding.kill()
        assert await sandbox.get("file") == b"heard"
        assert not await running(sandbox, "fork")


def forge(monkeypatch: pytest.MonkeyPatch, true: str, forged: str) -> None:
    """Put a supervisor into the next sandboxes that says something else."""
    sources = modules(compiled=False)
    assert sum(source.count(true) for _, source in sources) == 1

    def others(compiled: bool) -> list[tuple[str, str]]:
        return [(name, source.replace(true, forged)) for name, source in sources]

    monkeypatch.setattr("codin.sandbox._local.room.modules", others)


@pytest.mark.parametrize("nonsense", [b"=1000", b"+", b"-", b"\xff" * 64, b"= 1"])
async def test_nonsense_is_not_believed(nonsense: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that says what it never should is ended."""
    forge(monkeypatch, 'b"=%d%b" % (code, command.cause)', repr(nonsense))
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        with pytest.raises(SandboxClosed, match="does not answer as it should"):
            await sandbox.exec(["true"])


async def test_only_files_are_taken_from_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the host to read what is no file, it could wait for ever."""
    forge(
        monkeypatch,
        '_say(channel, b"+", file)',
        '_say(channel, b"+", os.pipe()[0])',
    )
    async with asyncio.timeout(60), LocalSandbox(await relaxed()) as sandbox:
        await sandbox.put("file", b"x")
        with pytest.raises(FileRefused, match="no file"):
            await sandbox.get("file")


# Nothing is left


HOST = """
    import anyio, sys
    from codin.sandbox import Code, Policy
    from codin.sandbox.local import LocalSandbox
    async def main():
        policy = Policy(demands=Policy().demands - {"memory"})
        async with LocalSandbox(policy) as sandbox, sandbox.start(["sh", "-c", "echo begun; sleep 600"]) as execution:
            async for output in execution:
                print(output.text, end="", flush=True)
    anyio.run(main)
"""


async def test_a_host_that_is_killed_leaves_nothing() -> None:
    command = [sys.executable, "-c", dedent(HOST)]
    host = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            assert host.stdout is not None
            assert await host.stdout.readline() == b"begun\n"
            [supervisor] = supervisors(host.pid)
            left = [place for place in all_groups() if f"-{host.pid}-" in place.name]
            assert os.geteuid() != 0 or left
            host.kill()
            await host.wait()
            await gone(supervisor)
            async with LocalSandbox(await relaxed()):
                assert [place for place in left if place.is_dir()] == []
    finally:
        if host.returncode is None:
            host.kill()
            await host.wait()


def all_groups() -> list[Path]:
    return [place for folder in set(Groups.found().folders.values()) if folder.is_dir() for place in folder.iterdir()]


def with_word(word: str) -> list[str]:
    """The processes on this machine with a word in their command line."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word in process.read_text().split("\0"):
                found.append(process.parent.name)
    return found


def descriptors() -> set[tuple[str, str]]:
    """What this process has open, one by one: what others of its threads close meanwhile makes up for nothing."""
    found: set[tuple[str, str]] = set()
    for place in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that by which they are read, and what was closed since
            found.add((place.name, str(place.readlink())))
    return found


@pytest.mark.parametrize("again", [False, True], ids=["once", "ever-again"])
async def test_cancelled_at_every_step_of_opening(again: bool) -> None:
    """However far it has come, whoever turns away finds nothing behind; nor does who cannot wait for that."""
    marked = 64 * MIB + int.from_bytes(os.urandom(3), "big")
    policy = await relaxed(limits=Limits(disk=marked))
    async with LocalSandbox(policy):  # has looked what the machine has, which is done once
        finished = False
    turns = 0
    before = descriptors()
    while not finished:
        sandbox = LocalSandbox(policy)
        opening = asyncio.create_task(sandbox.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)  # one turn of the loop
        finished = opening.done()
        opening.cancel()
        while again and not opening.done():
            await asyncio.sleep(0)
            opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            await sandbox.__aexit__(None, None, None)
        assert (groups(), with_word(str(marked)), descriptors() - before) == ([], [], set()), turns
        turns += 1 + turns // 4


async def test_killed_at_every_step_of_ending() -> None:
    """A word to kill that comes too late takes nothing away: the command has ended, and the sandbox goes on."""
    async with LocalSandbox(await relaxed()) as sandbox:
        for turns in range(150):
            async with sandbox.start(["true"]) as execution:
                async for _ in execution:
                    raise AssertionError("it says nothing")
                for _ in range(turns % 50):
                    await asyncio.sleep(0)  # one turn of the loop
                await execution.kill()
                assert (await execution.result()).ended in ("exited", "killed")


@as_root
async def test_cancelled_while_the_kernel_makes_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that makes it goes on, whoever turns away."""
    begun, go_on, made = threading.Event(), threading.Event(), threading.Event()
    make = Groups.make

    def slow(groups: Groups, limits: Limits) -> Group:
        begun.set()
        assert go_on.wait(60)
        try:
            return make(groups, limits)
        finally:
            made.set()

    monkeypatch.setattr(Groups, "make", slow)
    opening = asyncio.create_task(LocalSandbox().__aenter__())
    await to_thread.run_sync(begun.wait, 60)
    opening.cancel()
    await asyncio.wait([opening], timeout=0.1)  # it may wait for the group, or leave it to the thread
    go_on.set()
    await to_thread.run_sync(made.wait, 60)
    await asyncio.wait([opening])
    assert (opening.cancelled(), groups()) == (True, [])


async def said_with_few_files(act: Callable[[], Awaitable[object]], files: int) -> tuple[type, str] | None:
    """What is raised where this process may have so many files open; None when it is done."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, before[1]))
    try:
        await act()
    except SandboxError as error:
        return type(error), error.message
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    return None


async def test_this_process_can_open_no_more_files() -> None:
    """However far it comes, that is what it says. It is no SandboxUnavailable, after which some do without one."""
    policy = await relaxed(limits=Limits(disk=64 * MIB + int.from_bytes(os.urandom(3), "big")))

    async def opened() -> None:
        async with LocalSandbox(policy):
            pass

    async def refused(act: Callable[[], Awaitable[object]]) -> None:
        opened, before = descriptors(), (groups(), with_word(str(policy.limits.disk)))
        files = 3
        while told := await said_with_few_files(act, files):
            assert told == (SandboxError, "this process has too many files open")
            assert (groups(), with_word(str(policy.limits.disk))) == before
            assert descriptors() <= opened
            files += 1
        assert files > 3

    async with asyncio.timeout(100):
        await opened()  # has looked what the machine has, which is done once
        await refused(opened)
        async with LocalSandbox(policy) as sandbox:
            await sandbox.put("file", b"here")
            for act in (partial(sandbox.exec, Code("")), partial(sandbox.get, "file"), sandbox.list):
                await refused(act)
            assert (await sandbox.exec(["cat", "file"])).check().text == "here"


# Control groups


@as_root
async def test_nobody_is_swept_of_whom_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    async with LocalSandbox() as sandbox:
        monkeypatch.setattr(control_groups, "_signature", refused)
        Groups.found().sweep()
        assert (await sandbox.exec(["echo", "here"])).check().text == "here\n"


def second_version(folder: Path, controllers: str, handed: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in {
        "cgroup.controllers": controllers,
        "cgroup.subtree_control": handed,
        "cgroup.procs": "",
    }.items():
        (folder / name).write_text(content)
    return folder


def test_the_second_version_of_control_groups(tmp_path: Path) -> None:
    """By the files that the kernel would read; this machine may have the first version only."""
    place = second_version(tmp_path / "group", "memory pids cpu")
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "memory.events"):
        (place / name).touch()
    group = control_groups.Group(dict.fromkeys(control_groups.CONTROLLERS, place), 2)
    for controller in control_groups.CONTROLLERS:
        group.bound(controller, Limits(cpu=0.5, memory=64 * MIB, processes=10))
    group.add(1234)
    told = {file.name: file.read_text() for file in place.iterdir()}
    assert told["memory.max"] == str(64 * MIB)
    assert (told["memory.swap.max"], told["pids.max"], told["cpu.max"]) == ("0", "12", "50000 100000")
    assert told["cgroup.procs"] == "1234"
    (place / "memory.events").write_text("low 0\noom 2\noom_kill 7\n")
    assert group.killed_for_memory() == 7


# The filter


def test_a_filter_for_this_machine() -> None:
    if platform.machine() not in ("x86_64", "aarch64", "riscv64"):
        pytest.skip("no filter for this machine, which `unenforced` says")
    plain, strict = (filter_program(counted=counted, pinned=not counted) for counted in (True, False))
    assert plain is not None
    assert strict is not None
    assert len(plain) % 8 == 0
    assert len(plain) < len(strict) < 4096 * 8


# A host that is not root


BOMBS = {
    "forks": """
        import os, time
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(600)
                made += 1
        except OSError:
            print(made)
    """,
    "memory": """
        import os
        for _ in range(8):
            if os.fork() == 0:
                kept = bytearray(b"x") * (40 << 20)
                while True: pass
        while True: pass
    """,
}
NOT_ROOT = """
    import anyio, json, sys
    from codin.errors import PolicyNotEnforced
    from codin.sandbox import Code, Limits, Policy
    from codin.sandbox.local import NO_LIMITS, LocalSandbox
    async def main():
        forks, memory = json.load(sys.stdin)
        try:
            await LocalSandbox().check()
            missing = []
        except PolicyNotEnforced as refused:
            missing = sorted(refused.missing)
        await LocalSandbox(Policy(limits=NO_LIMITS)).check()  # what has no bound needs nobody to keep it
        policy = Policy(limits=Limits(memory=64 << 20, processes=16), demands=Policy().demands - {"memory"})
        async with LocalSandbox(policy) as sandbox:
            await sandbox.put("a/file", b"content")
            for place in (".", "/"):
                (await sandbox.exec(["chmod", "0", place])).check()  # the next ones go on
            print(json.dumps({
                "missing": missing,
                "shadow": (await sandbox.exec(["cat", "/etc/shadow"])).ok,
                "root": (await sandbox.exec(["touch", "/planted"])).ok,
                "uid": (await sandbox.exec(["id", "-u"])).text,
                "namespace": (await sandbox.exec(["unshare", "-U", "true"])).ok,
                "forks": int((await sandbox.exec(Code(forks))).text),
                "memory": (await sandbox.exec(Code(memory))).ended,
                "file": (await sandbox.get("a/file")).decode(),
            }))
    anyio.run(main)
"""


@as_root
def test_a_host_that_is_not_root() -> None:
    """The same commands, in a namespace of users; without control groups it says what it does not keep."""
    python = shutil.which("python3", path="/usr/bin") or ""
    asked = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout if python else ""
    if not asked.startswith("Python {}.{}.".format(*sys.version_info)):
        pytest.skip("needs an interpreter of this version that everybody may run")
    packages = [path for path in sys.path if path.endswith("-packages")]
    done = subprocess.run(
        [python, "-B", "-c", dedent(NOT_ROOT)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *packages])},
        input=json.dumps([dedent(bomb) for bomb in BOMBS.values()]),
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "No module named" in done.stderr:
        pytest.skip("nobody else may read the checkout, or the packages")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("missing") in ([], ["memory"])
    assert 0 < said.pop("forks") <= 16
    assert said == {
        "shadow": False,
        "root": False,
        "uid": "1000\n",
        "namespace": False,
        "memory": "memory",
        "file": "content",
    }


async def test_an_interpreter_below_tmp_leaves_tmp_writable(tmp_path: Path) -> None:
    place = tmp_path / "env"
    venv.create(place)
    async with LocalSandbox(python=place / "bin" / "python") as sandbox:
        done = await sandbox.exec(Code("import os; os.mkdir('/tmp/mine'); print(os.listdir('/tmp'))"))
        assert "mine" in done.check().text
