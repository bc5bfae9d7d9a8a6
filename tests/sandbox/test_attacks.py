"""What code that means harm tries, in every kind of sandbox. Each row is tried, and has to fail."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from codin.errors import FileRefused, SandboxClosed
from codin.sandbox import Code, ExecResult, Limits, Policy, Sandbox
from tests.sandbox.conftest import GUESTS, ROOMS, Room, opened
from tests.sandbox.test_contract import OBEDIENT, Words, first_line

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
TIGHT = Limits(memory=128 * MIB, processes=32, disk=8 * MIB, files=500, time=10.0, output=64 * 1024)

CALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if isinstance(name, tuple):
        arguments = (name[platform.machine() != "x86_64"], *arguments)
        name = "syscall"
    if getattr(libc, name)(*arguments) == -1:
        code = ctypes.get_errno()
        # Any other error would say that the door is open, and only the visitor clumsy.
        if code not in (errno.EPERM, errno.ENOSYS, errno.EACCES): raise SystemExit(f"{name}: {os.strerror(code)}")
        raise PermissionError(code, os.strerror(code))
"""

# Of each pair of numbers, the first is x86_64's and the second aarch64's.
DOORS = {
    "mount": "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "umount": "call('umount2', b'/proc', 2)",
    "unshare": "call('unshare', 0x10000000)",
    "unshare the mounts": "call('unshare', 0x00020000)",
    "clone into a user namespace": "call((56, 220), 0x10000000 | 17, 0, 0, 0, 0)",
    "clone3": "call((435, 435), (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17), 64)",
    "setns": "call('setns', os.open('/proc/self/ns/net', os.O_RDONLY), 0)",
    "keyctl": "call((250, 219), 0, -3, 0, 0)",
    "add_key": "call((248, 217), b'user', b'a', b'b', 1, -3)",
    "bpf": "call((321, 280), 0, (ctypes.c_uint32 * 12)(1, 4, 4, 1), 48)",
    "io_uring": "call((425, 425), 1, (ctypes.c_uint32 * 30)())",
    "perf_event_open": "call((298, 241), (ctypes.c_uint32 * 30)(0, 120), 0, -1, -1, 0)",
    "userfaultfd": "call((323, 282), 0)",
    "process_vm_readv": "call((310, 270), 1, None, 0, None, 0, 0)",
    "process_vm_writev": "call((311, 271), 1, None, 0, None, 0, 0)",
    "be traced": "call('ptrace', 0, 0, None, None)",
    "trace another": """
import signal
child = os.fork() or signal.pause()
try:
    call('ptrace', 16, child, None, None)
finally:
    os.kill(child, 9)
""",
    "chroot": "call('chroot', b'/tmp')",
    "settimeofday": "call('settimeofday', (ctypes.c_long * 2)(), None)",
    "sethostname": "call('sethostname', b'x', 1)",
    "swapoff": "call('swapoff', b'/dev/null')",
    "reboot": "call('reboot', 0)",
    "init_module": "call((175, 105), None, 0, b'')",
    "realtime": "call('sched_setscheduler', 0, 1, (ctypes.c_int * 1)(50))",
    "mknod": "call('mknod', b'/tmp/memory', 0o20666, ctypes.c_ulong(0x101))",
    "a hypervisor's socket": "call('socket', 40, 1, 0)",
}

# Each raises where it is refused, or where there is no such thing at all.
REFUSED = {
    "read the passwords": "open('/etc/shadow').read()",
    "write a program": "open('/usr/bin/planted', 'w')",
    "write a setting": "open('/etc/planted', 'w')",
    "change a setting": "open('/etc/passwd', 'a')",
    "write a setting of the kernel": "open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x')",
    "press a magic key": "open('/proc/sysrq-trigger', 'w').write('h')",
    "read memory": "open('/dev/mem', 'rb').read(1)",
    "read the disk": "import glob\nopen(glob.glob('/dev/[sv]d*')[0], 'rb').read(1)",
    "read the kernel's log": "open('/dev/kmsg', 'rb').read(1)",
    "write to the first process": "open('/proc/1/mem', 'r+b').read(1)",
    "become root": "import os\nos.setuid(0)",
    "join the group of root": "import os\nos.setgroups([0])",
    "be nicer to itself": "import os\nos.nice(-5)",
    "raise its bound": "open('/sys/fs/cgroup/memory.max', 'r+')",
    "raise its old bound": "open('/sys/fs/cgroup/memory/memory.limit_in_bytes', 'r+')",
    "own a file of root": "import os\nopen('mine', 'w').close()\nos.chown('mine', 0, 0)",
}


def attempt(source: str) -> Code:
    """Code that says whether what it tried was refused."""
    tried = "\n".join("    " + line for line in source.strip().splitlines())
    return Code(
        f"try:\n{tried}\nexcept Exception as error:\n    print('held', repr(error))\nelse:\n    print('BROKEN')"
    )


@pytest.fixture(params=[*ROOMS, *GUESTS])
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    yield from opened(request)


on_this_kernel = pytest.mark.parametrize("room", ROOMS, indirect=True)
"""For what a sandbox with a kernel of its own does in another way."""


async def use(sandbox: Sandbox) -> None:
    """Whatever was tried in it, it is still good for the next command."""
    assert (await sandbox.exec(Code("print('next')"))).check().text == "next\n"


@on_this_kernel
@pytest.mark.parametrize("name", DOORS)
async def test_doors_of_the_kernel(room: Room, name: str) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        done = await sandbox.exec(attempt(CALL + DOORS[name]))
        assert done.check().text.startswith("held"), done
        await use(sandbox)


@on_this_kernel
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused(room: Room, name: str) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        done = await sandbox.exec(attempt(REFUSED[name]))
        assert done.check().text.startswith("held"), done


# Doors of the kernel that gVisor is itself: what they lead to is its own, and no process of the host.
GIVEN = {
    *("unshare", "unshare the mounts", "clone into a user namespace", "io_uring", "be nicer to itself"),
    *("be traced", "trace another"),
}


@pytest.mark.parametrize("room", GUESTS, indirect=True)
async def test_what_a_kernel_of_its_own_gives(room: Room) -> None:
    rows = {**{name: CALL + source for name, source in DOORS.items()}, **REFUSED}
    async with asyncio.timeout(120), room() as sandbox:
        told = {name: (await sandbox.exec(attempt(source))).text for name, source in rows.items()}
        await use(sandbox)
    assert {name for name, text in told.items() if "BROKEN" in text} == GIVEN


# TIOCSTI, on every terminal that can be found.
TYPED = """
import fcntl, glob
places = ("/proc/[0-9]*/fd/*", "/dev/tty", "/dev/pts/*", "/run/dev/tty", "/run/dev/pts/*")
for place in sum(map(glob.glob, places), []):
    try:
        with open(place, "rb", buffering=0) as terminal:
            fcntl.ioctl(terminal, 0x5412, b"X")
    except OSError:
        pass
"""
AT_A_TERMINAL = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from codin.sandbox import Code
from tests.sandbox.conftest import GUESTS, ROOMS
from tests.sandbox.test_attacks import TYPED

async def main():
    async with {**ROOMS, **GUESTS}[sys.argv[2]]()() as sandbox:
        await sandbox.exec(Code(TYPED))

asyncio.run(main())
"""


async def test_nothing_is_typed_into_the_terminal_of_whoever_opened_it(room: Room) -> None:
    ours, theirs = os.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-c", AT_A_TERMINAL, str(ROOT), room.kind]
    try:
        program = await asyncio.create_subprocess_exec(
            *command, stdin=theirs, stdout=theirs, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            _, said = await program.communicate()
        assert (program.returncode, said) == (0, b"")
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):  # a terminal shows what is typed
            os.read(ours, 1)
    finally:
        os.close(ours)
        os.close(theirs)


# Files and secrets of the host


async def test_no_file_of_the_host_is_seen(room: Room, tmp_path: Path) -> None:
    secret = secrets.token_hex()
    (tmp_path / "secret.txt").write_text(secret)
    (Path.home() / "secret.txt").write_text(secret)
    places = [str(tmp_path), str(Path.home()), str(Path(__file__).parent)]
    source = f"""
        import os
        seen = []
        for place in {places!r}:
            for path in (place, "/proc/1/root" + place, "/proc/self/root/.." + place, "/box/../../.." + place):
                try:
                    seen += os.listdir(path)
                except OSError:
                    pass
        print(seen)
    """
    async with room() as sandbox:
        assert (await sandbox.exec(Code(dedent(source)))).check().text == "[]\n"


async def test_no_secret_of_the_hosts_environment_is_seen(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex()
    monkeypatch.setenv("CODIN_TEST_SECRET", secret)
    source = """
        import glob, os
        print(dict(os.environ))
        for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
            try:
                with open(path, "rb") as file:
                    print(file.read())
            except OSError:
                pass
    """
    async with room() as sandbox:
        assert secret not in (await sandbox.exec(Code(dedent(source)))).check().text


@on_this_kernel
async def test_nothing_is_inherited(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no descriptors of the host")
    with socket.socket() as inherited:
        inherited.set_inheritable(True)
        async with room() as sandbox:
            done = await sandbox.exec(["sh", "-c", "for fd in /proc/self/fd/*; do readlink $fd; done; true"])
    kinds = {line.split(":")[0] for line in done.check().text.splitlines()}
    assert kinds <= {"pipe", "/dev/null", "/proc/self/fd"}, done.text


@on_this_kernel
async def test_what_is_mounted_is_as_the_policy_says(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} sees no folders of the host")
    async with room() as sandbox:
        mounts = (await sandbox.exec(["cat", "/proc/mounts"])).check().text.splitlines()
    for line in mounts:
        _, where, kind, options, *_ = line.split()
        if kind not in ("tmpfs", "proc", "devpts", "mqueue", "sysfs", "cgroup", "cgroup2", "devtmpfs"):
            assert "ro" in options.split(",") or where.startswith(("/dev/", "/run/dev/", "/box")), line


# The network


@contextmanager
def listening() -> Generator[tuple[dict[str, object], list[str]]]:
    """Sockets of this host, and the names of those that somebody has reached."""
    reached: list[str] = []
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", 0))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        name = f"\0codin-{secrets.token_hex(8)}"
        abstract.bind(name)
        abstract.listen()
        yield {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "abstract": name}, reached
        for kind, listener in (("tcp", tcp), ("abstract", abstract)):
            listener.setblocking(False)
            try:
                listener.accept()[0].close()
                reached.append(kind)
            except BlockingIOError:
                pass
        udp.setblocking(False)
        try:
            udp.recv(1)
            reached.append("udp")
        except BlockingIOError:
            pass


def _addresses() -> list[str]:
    """Of this host: its loopback, and what it would call itself by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
            return ["127.0.0.1", probe.getsockname()[0]]
        except OSError:
            return ["127.0.0.1"]


async def test_no_network(room: Room) -> None:
    with listening() as (at, reached):
        source = f"""
            import socket
            for address in {_addresses()!r}:
                try:
                    socket.create_connection((address, {at["tcp"]}), 2).close()
                    print("BROKEN tcp", address)
                except OSError:
                    pass
                try:
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (address, {at["udp"]}))
                except OSError:
                    pass
            try:
                socket.socket(socket.AF_UNIX).connect({at["abstract"]!r})
                print("BROKEN abstract")
            except OSError:
                pass
        """
        async with asyncio.timeout(60), room() as sandbox:
            done = await sandbox.exec(Code(dedent(source)))
        assert done.stdout == b"", done  # without a socket module it fails, which is as good
    assert reached == []


async def test_the_hosts_network_is_there_when_it_is_wanted(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no network")
    demands = Policy().demands
    with listening() as (at, reached):
        source = f"import socket\nsocket.create_connection(('127.0.0.1', {at['tcp']}), 5).close()"
        async with asyncio.timeout(60), room(Policy(network="full", demands=demands - {"network"})) as sandbox:
            if "network" in sandbox.unenforced:
                pytest.skip(f"{room.kind} cannot give the network of the host here, and says so")
            (await sandbox.exec(Code(source))).check()
    assert reached == ["tcp"]


# Other processes


async def test_no_process_of_the_host_is_seen(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no processes")
    async with room() as sandbox:
        done = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; set -- /proc/[0-9]*; echo $#"])
    assert "pytest" not in done.check().text
    assert int(done.text.rsplit(maxsplit=1)[-1]) < 12


async def test_no_process_of_another_sandbox_is_reached(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no processes")
    words = Words()
    async with (
        asyncio.timeout(60),
        room() as peaceful,
        room() as hostile,
        peaceful.start(OBEDIENT, stdin=words) as execution,
    ):
        await first_line(execution)
        kill = f"import os\nfor pid in (-1, {os.getpid()}, 1):\n    try: os.kill(pid, 9)\n    except OSError: pass"
        await hostile.exec(Code(kill))
        await use(hostile)
        words.say(b"alive\n")
        assert (await execution.result()).check().text.endswith("told alive\n")


FORKS = {
    "counted": """
        import os, time
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(600)
                    os._exit(0)
                made += 1
        except OSError:
            print("made", made)
    """,
    "endless": """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """,
    "slippery": """
        import os
        print("begun", flush=True)
        while True:
            try:
                if os.fork() != 0:
                    os._exit(0)
                os.setsid()
            except OSError:
                pass
    """,
}


@on_this_kernel
@pytest.mark.parametrize("name", FORKS)
async def test_a_fork_bomb(room: Room, name: str) -> None:
    # One that counts ends by itself, once its interpreter has begun.
    time = 60.0 if name == "counted" else 2.0
    async with asyncio.timeout(120), room(Policy(limits=Limits(processes=32, time=time))) as sandbox:
        source = dedent(FORKS[name])
        done = await sandbox.exec(["python3", "-c", source] if room.commands else Code(source))
        if room.commands and name == "counted":
            assert 0 < int(done.check().text.split()[1]) <= 32
        assert not room.commands or name == "slippery" or done.ok == (name == "counted")
        await use(sandbox)
        await nothing_runs(room, sandbox)


@on_this_kernel
async def test_a_thread_bomb(room: Room) -> None:
    source = """
        import threading
        made, stop = 0, threading.Event()
        try:
            while made < 200:
                threading.Thread(target=stop.wait, daemon=True).start()
                made += 1
        except RuntimeError:
            pass
        print(made, flush=True)
        import os
        os._exit(0)
    """
    async with asyncio.timeout(60), room(Policy(limits=Limits(processes=32))) as sandbox:
        done = await sandbox.exec(Code(dedent(source)))
        assert not done.ok or int(done.text) <= 32
        await use(sandbox)


DAEMON = """
import os, sys, time
for _ in range(2):
    if os.fork() != 0:
        if _ == 1:
            os._exit(0)
        os.wait()
        print("parent done", flush=True)
        os._exit(0)
    os.setsid()
while True:
    time.sleep(0.05)
"""


async def nothing_runs(room: Room, sandbox: Sandbox) -> None:
    """No process has outlived its command, as far as the sandbox itself can see."""
    if room.commands:
        seen = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
        assert "time.sleep" not in seen.check().text
        assert "os.fork" not in seen.text


async def test_nothing_outlives_its_command(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no processes")
    async with asyncio.timeout(60), room() as sandbox:
        # It holds the output open, which must not keep anybody waiting.
        assert (await sandbox.exec(["python3", "-c", DAEMON])).check().text == "parent done\n"
        await nothing_runs(room, sandbox)


async def test_nothing_outlives_its_command_while_another_runs(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no processes")
    words = Words()
    async with asyncio.timeout(60), room() as sandbox, sandbox.start(OBEDIENT, stdin=words) as execution:
        await first_line(execution)
        for _ in range(3):
            assert (await sandbox.exec(["python3", "-c", DAEMON])).check().text == "parent done\n"
        await nothing_runs(room, sandbox)
        words.say(b"alive\n")
        assert (await execution.result()).check().text.endswith("told alive\n")


async def test_a_command_that_closes_its_output_and_stays(room: Room) -> None:
    source = "import os, time\nos.close(1)\nos.close(2)\nwhile True: time.sleep(0.05)"
    async with asyncio.timeout(60), room(Policy(limits=Limits(time=1.0))) as sandbox:
        assert (await sandbox.exec(Code(source))).ended == "time"
        await use(sandbox)


async def test_a_command_that_ignores_signals(room: Room) -> None:
    source = """
        import signal, time
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(0.05)
    """
    async with asyncio.timeout(60), room(Policy(limits=Limits(time=1.0))) as sandbox:
        assert not (await sandbox.exec(Code(dedent(source)))).ok
        await use(sandbox)


# Bounds


def ran_out_of_memory(done: ExecResult) -> bool:
    return not done.ok and (done.ended == "memory" or b"MemoryError" in done.stderr)


@on_this_kernel
async def test_a_memory_bomb(room: Room) -> None:
    source = "kept = []\nwhile True: kept.append(bytearray(b'x') * (4 * 1024 * 1024))"
    async with asyncio.timeout(120), room(Policy(limits=replace(TIGHT, time=60.0))) as sandbox:
        assert ran_out_of_memory(done := await sandbox.exec(Code(source))), done
        await use(sandbox)


@on_this_kernel
async def test_a_memory_bomb_of_many_processes(room: Room) -> None:
    if not room.commands:
        pytest.skip(f"{room.kind} has no processes")
    source = """
        import os, time
        children = []
        for _ in range(8):
            if (pid := os.fork()) == 0:
                kept = bytearray(b"x") * (60 * 1024 * 1024)
                time.sleep(600)
                os._exit(0)
            children.append(pid)
        ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        print(ended)
    """
    async with asyncio.timeout(120), room(Policy(limits=TIGHT)) as sandbox:
        async with sandbox.start(Code(dedent(source)), timeout=5) as execution:
            assert not (await execution.result()).ok  # some wait for ever, since others were killed
        await use(sandbox)


@on_this_kernel
async def test_memory_that_no_process_owns(room: Room) -> None:
    source = """
        import os
        kept = []
        while True:
            kept.append(os.memfd_create("x"))
            for _ in range(16):
                os.write(kept[-1], bytes(1024 * 1024))
    """
    async with asyncio.timeout(120), room(Policy(limits=TIGHT)) as sandbox:
        assert not (await sandbox.exec(Code(dedent(source)))).ok
        await use(sandbox)


MEMORY = {
    "one": "kept = []\nwhile True: kept.append(bytearray(b'x') * (4 * 1024 * 1024))",
    "nobody's": "import os\nwhile True: os.write(os.memfd_create('x'), bytes(16 * 1024 * 1024))",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef deeper(): deeper()\ndeeper()",
    **FORKS,
}


@pytest.mark.parametrize("room", GUESTS, indirect=True)
@pytest.mark.parametrize("name", MEMORY)
async def test_a_kernel_of_its_own_ends_with_what_takes_too_much(room: Room, name: str) -> None:
    async with asyncio.timeout(120):
        async with room(Policy(limits=replace(TIGHT, time=3.0))) as sandbox:
            with suppress(SandboxClosed):
                assert not (await sandbox.exec(Code(dedent(MEMORY[name])))).ok or name in FORKS
        async with room() as another:
            await use(another)


FILL = """
import os
written = 0
folders = [path for path in (".", "/tmp", "/var/tmp", "/dev/shm", "/dev", "/run", "/") if os.access(path, os.W_OK)]
for number in range(400):
    for folder in folders:
        try:
            with open(f"{folder}/fill{number}", "wb", buffering=0) as file:
                while (now := file.write(bytes(64 * 1024))):
                    written += now
                    if written > 64 * 1024 * 1024: raise SystemExit("BROKEN")
        except OSError:
            pass
print(written)
"""


async def test_the_disk_is_filled(room: Room) -> None:
    async with asyncio.timeout(120), room(Policy(limits=TIGHT)) as sandbox:
        if "disk" in sandbox.unenforced:
            pytest.skip(f"{room.kind} does not bound the disk, and says so")
        done = await sandbox.exec(Code(FILL))
        assert b"BROKEN" not in done.stderr
        if done.ok:
            assert int(done.text) <= TIGHT.disk
        with pytest.raises(FileRefused):
            await sandbox.put("more", bytes(TIGHT.disk))
        await use(sandbox)


async def test_a_flood_of_files(room: Room) -> None:
    source = """
        import os
        for number in range(1_000_000):
            os.mkdir(f"/tmp/{number}" if os.path.isdir("/tmp") else str(number))
    """
    async with asyncio.timeout(120), room(Policy(limits=TIGHT)) as sandbox:
        assert not (await sandbox.exec(Code(dedent(source)))).ok
        await use(sandbox)


async def test_a_file_that_says_it_is_huge(room: Room) -> None:
    async with asyncio.timeout(60), room(Policy(limits=TIGHT)) as sandbox:
        await sandbox.exec(Code("open('huge', 'wb').truncate(1 << 40)"))
        with suppress(FileRefused):
            assert len(await sandbox.get("huge")) <= TIGHT.disk
        await use(sandbox)


async def test_what_is_no_file_keeps_nobody_waiting(room: Room) -> None:
    source = """
        import os, socket
        os.mkfifo("pipe")
        os.symlink("/dev/zero", "zero")
        os.symlink("loop", "loop")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("socket")
    """
    async with asyncio.timeout(60), room() as sandbox:
        if not (await sandbox.exec(Code(dedent(source)))).ok and not room.commands:
            pytest.skip(f"{room.kind} has files and folders only")
        for name in ("pipe", "zero", "loop", "socket"):
            with pytest.raises(FileRefused):
                await sandbox.get(name)
        assert await sandbox.list() == []


async def test_folders_without_end(room: Room) -> None:
    source = """
        import os
        for _ in range(400):
            os.mkdir("deep" * 20)
            os.chdir("deep" * 20)
        open("bottom", "w").close()
    """
    async with asyncio.timeout(60), room() as sandbox:
        await sandbox.exec(Code(dedent(source)))
        assert len(await sandbox.list()) <= 401
        await use(sandbox)


async def test_closed_folders_and_odd_names(room: Room) -> None:
    source = r"""
        import os
        os.makedirs("closed/inside")
        os.chmod("closed", 0)
        for name in (b"\xff\xfe", b"\n", b"; rm -rf ~", b"\x1b[2J"):
            try:
                open(name, "w").close()
            except OSError:
                pass
    """
    async with asyncio.timeout(60), room() as sandbox:
        await sandbox.exec(Code(dedent(source)))
        for file in await sandbox.list():
            if not file.folder:
                assert await sandbox.get(file.path) == b""
        await use(sandbox)


async def test_a_working_folder_that_a_command_has_closed(room: Room) -> None:
    close = Code("import os\nif hasattr(os, 'chmod'): os.chmod(os.getcwd(), 0)")
    async with asyncio.timeout(60), room() as sandbox:
        await sandbox.put("folder/file", b"here")
        await sandbox.exec(close)
        assert (await sandbox.exec(Code("print(open('file').read())"), cwd="folder")).check().text == "here\n"
        for use_files in (partial(sandbox.get, "folder/file"), partial(sandbox.put, "more", b""), sandbox.list):
            await sandbox.exec(close)
            await use_files()


@on_this_kernel
@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.setrecursionlimit(10**9)\ndef deeper(): deeper()\ndeeper()",
        "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        "import ctypes\nctypes.string_at(0)",
        "import os\nos.abort()",
    ],
    ids=["recursion", "nesting", "null", "abort"],
)
async def test_a_crash(room: Room, source: str) -> None:
    async with asyncio.timeout(120), room(Policy(limits=Limits(time=10.0))) as sandbox:
        done = await sandbox.exec(Code(source))
        assert not done.ok
        await use(sandbox)


@pytest.mark.parametrize(
    "source", ["10 ** (10 ** 10)", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"], ids=["number", "expression"]
)
async def test_one_step_that_takes_for_ever(room: Room, source: str) -> None:
    async with asyncio.timeout(120), room(Policy(limits=Limits(time=1.0))) as sandbox:
        done = await sandbox.exec(Code(source))
        assert done.ended in ("time", "memory") or b"MemoryError" in done.stderr
        await use(sandbox)


async def test_descriptors_run_out(room: Room) -> None:
    source = "kept = []\nwhile True: kept.append(open('file', 'wb'))"
    async with asyncio.timeout(60), room() as sandbox:
        done = await sandbox.exec(Code(source), timeout=20)
        assert not done.ok
        await use(sandbox)


@on_this_kernel
async def test_share_of_the_processors(room: Room) -> None:
    """Three busy processes get as much as one processor has, when that is the bound."""
    if not room.commands or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs processes, and two processors")
    source = """
        import os, time
        end = time.monotonic() + 1.5
        for _ in range(3):
            if os.fork() == 0:
                while time.monotonic() < end: pass
                os._exit(0)
        for _ in range(3):
            os.wait()
        used = os.times()
        print((used.children_user + used.children_system) / 1.5)
    """
    async with asyncio.timeout(60), room(Policy(limits=Limits(cpu=1.0))) as sandbox:
        if "cpu" in sandbox.unenforced:
            pytest.skip(f"{room.kind} does not bound the share of the processors, and says so")
        done = await sandbox.exec(Code(dedent(source)))
    assert float(re.findall(r"[\d.]+", done.check().text)[0]) < 1.3


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_thread_of_the_host_is_left(room: Room) -> None:
    """After many sandboxes the host has no more descriptors and threads than after one."""
    async with room() as sandbox:
        await use(sandbox)
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(5):
        async with room() as sandbox:
            await use(sandbox)
            await sandbox.exec(Code("while True: print('x')"), timeout=0.2)
    async with asyncio.timeout(30):
        # The vendor's side of a connection is in this process as well, and closes in its own time.
        while open_descriptors() > descriptors + 2 or threading.active_count() > threads + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
