"""Sandboxes in containers of a real Docker daemon, which is also killed, refused and lied to."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import platform
import resource
import signal
import sys
import tarfile
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import anyio
import pytest

from codin.errors import ConfigError, FileRefused, PolicyNotEnforced, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox import Code, Limits, Mount, Output, Policy, Sandbox
from tests.sandbox.remains import client, left
from tests.servers.docker import DockerDaemon

aiodocker = pytest.importorskip("aiodocker", reason="pip install 'codin[docker]'")

from codin.sandbox.docker import DockerSandbox  # noqa: E402 # after it is known to be there

pytestmark = pytest.mark.anyio

ENDLESS = Code("import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.05)")
HOG = Code("kept = [bytes(1 << 20) for _ in range(1 << 20)]")
GVISOR = Policy(demands=Policy().demands - {"processes"})
# Leaves a process behind that has let go of everything: its session, its parent, its streams.
LEAVE = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for stream in range(3): os.close(stream)
        open('left', 'w').write(str(os.getpid()))
        while True: os.getppid()
    os._exit(0)
os.wait()
while not os.path.exists('left') or not open('left').read(): pass
"""
# Those that run: one that has ended is its parent's, or init's, to take away when they come to it.
PROCESSES = Code("""
import os
found = []
for process in filter(str.isdigit, os.listdir('/proc')):
    try:
        owner = os.stat(f'/proc/{process}').st_uid
        state = open(f'/proc/{process}/stat').read().rpartition(')')[2].split()[0]
        is_init = 'docker-init' in open(f'/proc/{process}/cmdline').read()
    except (FileNotFoundError, ProcessLookupError):
        continue
    if int(process) != os.getpid() and owner == os.getuid() and state not in 'ZX' and not is_init:
        found.append(process)
print(*found)
""")


async def container_of(host: str) -> Any:
    async with client(host) as docker:
        (container,) = await docker.containers.list()
        return container.id


async def imported(host: str, name: str, archive: bytes, *changes: str) -> None:
    async with client(host) as docker:
        url = f"{docker.docker_host}/images/create"
        params = [("fromSrc", "-"), ("repo", name), *(("changes", change) for change in changes)]
        async with docker.session.post(url, params=params, data=archive) as answer:
            assert answer.status == 200
            await answer.read()


async def begun(sandbox: Sandbox, command: Sequence[str] | Code = ENDLESS, stdin: bytes = b"") -> asyncio.Task[Any]:
    """A command that has said something, and goes on."""
    said = asyncio.Event()

    async def note(output: Output) -> None:
        said.set()

    running = asyncio.create_task(sandbox.exec(command, stdin=stdin, on_output=note))
    waiting = asyncio.create_task(said.wait())
    await asyncio.wait([running, waiting], return_when="FIRST_COMPLETED")
    assert waiting.done()
    return running


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that whoever runs in a sandbox may write."""
    tmp_path.chmod(0o777)
    (tmp_path / "given").write_text("given")
    return tmp_path


class Way:
    """To a daemon by another socket: what commands write comes through it only when it may."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = f"unix://{folder}/way.sock"
        self.comes = asyncio.Event()
        self.comes.set()
        self._there = host.removeprefix("unix://")
        self._serving: dict[asyncio.Task[Any], bool] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.host.removeprefix("unix://"))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.wait(self._serving)

    def cut(self) -> None:
        """Let go of all connections that may be used for something else."""
        for task in [task for task, is_kept in self._serving.items() if not is_kept]:
            task.cancel()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving[asyncio.create_task(self._pass_on(reader, writer))] = False

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_unix_connection(self._there)
        me = cast("asyncio.Task[Any]", asyncio.current_task())
        is_a_commands = False

        async def ask() -> None:
            nonlocal is_a_commands
            while asked := await reader.read(1 << 16):
                is_a_commands |= b"/exec/" in asked and b"/start" in asked
                self._serving[me] |= is_a_commands or any(word in asked for word in (b"/attach", b"/events"))
                asks.write(asked)
                await asks.drain()
            asks.write_eof()

        async def answer() -> None:
            while True:
                answered = await answers.read(1 << 16)
                if is_a_commands:
                    await self.comes.wait()
                if not answered:
                    break
                writer.write(answered)
                await writer.drain()
            writer.write_eof()

        with contextlib.suppress(OSError):
            try:
                await asyncio.gather(ask(), answer())
            finally:
                asks.transport.abort()
                writer.transport.abort()


async def with_few_files(act: Callable[[], Awaitable[object]], files: int) -> str | None:
    """What is said where this process may have so many files open; nothing when it is done."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, before[1]))
    try:
        await act()
    except SandboxError as error:
        return f"{type(error).__name__}: {error.message}"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    return None


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def is_gone(sandbox: Sandbox) -> None:
    for attempt in (sandbox.exec(["true"]), sandbox.put("a", b""), sandbox.get("a"), sandbox.list()):
        with pytest.raises(SandboxClosed):
            await attempt


# The image


async def test_the_image_of_its_own_has_this_python(docker_host: str) -> None:
    async with DockerSandbox() as sandbox:
        told = await sandbox.exec(["python", "-c", "import platform, ssl, sqlite3; print(platform.python_version())"])
    assert told.check().text.strip() == platform.python_version()
    async with client(docker_host) as docker:
        before = [image["Id"] for image in await docker.images.list()]
        async with DockerSandbox():
            assert [image["Id"] for image in await docker.images.list()] == before


async def test_the_image_of_its_own_is_made_once(own_daemon: DockerDaemon) -> None:
    async def use() -> None:
        async with DockerSandbox(host=own_daemon.host):
            pass

    await asyncio.gather(*(use() for _ in range(3)))
    async with client(own_daemon.host) as docker:
        (image,) = await docker.images.list(all=True)
    assert "codin-sandbox" in image["RepoTags"][0]


async def test_a_missing_image_is_not_fetched(docker_host: str) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no image 'no/such:1'.*docker pull no/such:1"):
        await DockerSandbox(image="no/such:1").__aenter__()
    assert await left(docker_host) == []


async def test_an_image_that_cannot_be_fetched(docker_host: str) -> None:
    # The daemon is in a network of its own, where no registry is.
    async with asyncio.timeout(60):
        with pytest.raises(SandboxUnavailable, match="cannot be fetched"):
            await DockerSandbox(image="127.0.0.1:9/such", pull=True).__aenter__()


async def test_an_image_without_a_shell(docker_host: str) -> None:
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    await imported(docker_host, "empty", empty.getvalue())
    with pytest.raises(SandboxUnavailable, match="/bin/sh"):
        await DockerSandbox(image="empty").__aenter__()
    assert await left(docker_host) == []


async def test_a_volume_that_an_image_asks_for_cannot_be_written(docker_host: str) -> None:
    async with DockerSandbox():
        pass
    async with client(docker_host) as docker:
        own = next(tag for image in await docker.images.list() for tag in image["RepoTags"] if "codin-sandbox" in tag)
        container = await docker.containers.create({"Image": own, "Cmd": ["true"]})
        url = f"{docker.docker_host}/commit"
        params = {"container": container.id, "repo": "asking", "changes": "VOLUME /data"}
        async with docker.session.post(url, params=params, json={}) as answer:
            assert answer.status == 201
        await container.delete()
    async with DockerSandbox(image="asking") as sandbox:
        done = await sandbox.exec(["sh", "-c", "touch /data/x /usr/x /etc/x /var/x /dev/x; ls /data"])
    assert (done.text, done.stderr.count(b"touch:")) == ("", 5)
    assert await left(docker_host) == []


# What is missing, and what goes away


async def test_no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxUnavailable, match="start the daemon"):
        await DockerSandbox(host=f"unix://{tmp_path}/none.sock").__aenter__()
    monkeypatch.setenv("DOCKER_HOST", "nonsense")
    with pytest.raises(SandboxUnavailable, match="DOCKER_HOST"):
        await DockerSandbox().__aenter__()


async def test_a_daemon_over_tls() -> None:
    with pytest.raises(SandboxUnavailable, match="ssh://"):
        await DockerSandbox(host="https://127.0.0.1:9").__aenter__()


async def test_a_daemon_that_is_not_for_us(docker_daemon: DockerDaemon, docker_host: str) -> None:
    docker_daemon.socket.chmod(0o600)
    os.seteuid(65534)
    try:
        with pytest.raises(SandboxUnavailable, match="group `docker`"):
            await DockerSandbox().__aenter__()
    finally:
        os.seteuid(0)
        docker_daemon.socket.chmod(0o660)


async def test_a_runtime_that_is_not_there(docker_host: str) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no runtime 'kata'.*runc"):
        await DockerSandbox(runtime="kata").__aenter__()


async def test_the_daemon_dies_and_comes_back(own_daemon: DockerDaemon) -> None:
    async with asyncio.timeout(120):
        async with DockerSandbox(host=own_daemon.host) as sandbox:
            running = await begun(sandbox)
            own_daemon.kill()
            with pytest.raises(SandboxClosed, match="open another one"):
                await running
            await is_gone(sandbox)
        own_daemon.start()
        async with DockerSandbox(host=own_daemon.host) as sandbox:
            assert (await sandbox.exec(Code("print('next')"))).check().text == "next\n"
            assert len(await left(own_daemon.host)) == 2
        assert await left(own_daemon.host) == []


async def test_the_container_is_removed_from_outside(docker_host: str) -> None:
    async with asyncio.timeout(60), DockerSandbox() as sandbox, client(docker_host) as docker:
        running = await begun(sandbox)
        await docker.containers.container(await container_of(docker_host)).delete(force=True)
        with pytest.raises(SandboxClosed, match="open another one"):
            await running
        await is_gone(sandbox)
    assert await left(docker_host) == []


async def test_this_process_can_open_no_more_files(docker_host: str) -> None:
    """It is said of what needs one, and nothing else ends by it."""
    async with asyncio.timeout(120), DockerSandbox() as sandbox:
        await sandbox.put("large", bytes(3 << 20))
        running = await begun(sandbox)

        async def side_by_side() -> None:
            await asyncio.gather(*(sandbox.exec(["true"]) for _ in range(5)))

        put = partial(sandbox.put, "large", bytes(3 << 20))
        for act in (side_by_side, put, partial(sandbox.get, "large"), sandbox.list):
            files, said = 3, set[str]()
            while told := await with_few_files(act, files):
                said.add(told)
                files += 1
            assert said == {"SandboxError: this process has too many files open"}
        assert not running.done()
        assert (await sandbox.exec(["echo", "here"])).check().text == "here\n"
        running.cancel()
        await asyncio.wait([running])
    assert await left(docker_host) == []


async def test_a_command_ends_while_this_process_can_open_no_more_files(
    docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon is asked for its end, because something holds its output open."""
    monkeypatch.setattr("codin.sandbox._docker.commands._LAST_WORDS", 0)
    command = ["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.1; done; sleep 1000 & echo ended"]
    async with asyncio.timeout(60), Way(docker_host, tmp_path) as way, DockerSandbox(host=way.host) as sandbox:
        async with sandbox.start(command) as execution:
            assert (await anext(aiter(execution))).text == "begun\n"
            await sandbox.put("go", b"")
            way.cut()
            await with_few_files(execution.result, 3)
            assert (await execution.result()).check().text == "begun\nended\n"
        assert (await sandbox.exec(["echo", "here"])).check().text == "here\n"


async def test_closing_while_this_process_can_open_no_more_files(docker_host: str) -> None:
    """What the sandbox gives back is enough for it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    sandbox = await DockerSandbox().__aenter__()
    running = await begun(sandbox)
    ours = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (ours[0] + 50, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                ours.append(os.dup(ours[0]))
        await sandbox.__aexit__(None, None, None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in ours:
            os.close(each)
    assert await left(docker_host) == []
    with pytest.raises(SandboxClosed):
        await running


async def test_a_file_of_ours_that_cannot_be_made(
    docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DockerSandbox() as sandbox:
        await sandbox.put("large", bytes(3 << 20))
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "tempdir", str(tmp_path / "none"))
            with pytest.raises(FileNotFoundError):
                await sandbox.get("large")
        assert await sandbox.get("large") == bytes(3 << 20)


async def test_a_paused_container_does_not_hang(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(60), DockerSandbox() as sandbox, client(docker_host) as docker:
        running = await begun(sandbox)
        monkeypatch.setattr("codin.sandbox._docker.warden._PATIENCE", 0.5)  # a container may take longer to begin
        await docker.containers.container(await container_of(docker_host)).pause()
        with pytest.raises(SandboxClosed, match="does not answer"):
            await sandbox.exec(["true"])
        with pytest.raises(SandboxClosed, match="does not answer"):
            await running
    assert await left(docker_host) == []


async def test_closing_while_commands_begin_and_end(docker_host: str) -> None:
    async with asyncio.timeout(60):
        sandbox = await DockerSandbox().__aenter__()
        running = await begun(sandbox)
        busy: list[asyncio.Task[Any]] = []
        # Leaving the block of a command says as well that its sandbox is gone.
        with contextlib.suppress(SandboxClosed):
            async with sandbox.start(ENDLESS) as execution:
                await anext(aiter(execution))
                busy += [asyncio.create_task(sandbox.exec(["true"])) for _ in range(3)]
                busy.append(asyncio.create_task(execution.kill()))
                await sandbox.__aexit__(None, None, None)
                await asyncio.wait([running, *busy])
                with pytest.raises(SandboxClosed):
                    await execution.result()
        assert not any(task.cancelled() for task in busy)
        for task in (running, *busy):
            with contextlib.suppress(SandboxClosed):
                await task
    assert await left(docker_host) == []


# Output


LATE = ["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.1; done; echo late"]


@pytest.mark.parametrize("unread", [0, 1 << 20])
async def test_what_comes_late_is_not_lost(docker_host: str, tmp_path: Path, unread: int) -> None:
    async with asyncio.timeout(60), Way(docker_host, tmp_path) as way, DockerSandbox(host=way.host) as sandbox:
        running = await begun(sandbox, LATE, stdin=bytes(unread))
        way.comes.clear()
        await sandbox.put("go", b"")
        await asyncio.wait([running], timeout=2)
        assert not running.done()
        way.comes.set()
        assert (await running).check().text == "begun\nlate\n"
    assert await left(docker_host) == []


async def test_what_never_comes_is_said(docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.sandbox._docker.process.PATIENCE", 0.5)
    async with asyncio.timeout(60), Way(docker_host, tmp_path) as way, DockerSandbox(host=way.host) as sandbox:
        running = await begun(sandbox, LATE)
        way.comes.clear()
        await sandbox.put("go", b"")
        with pytest.raises(SandboxClosed, match="does not answer"):
            await running
        assert sandbox.gone
        way.comes.set()
    assert await left(docker_host) == []


async def test_input_that_is_never_read_does_not_hold_up_the_end(docker_host: str) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield bytes(1 << 20)

    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        done = await sandbox.exec(["sh", "-c", "head -c 900000 /dev/zero; echo end >&2"], stdin=endless())
        assert (len(done.check().stdout), done.stderr) == (900_000, b"end\n")


async def test_output_that_another_command_holds_open(docker_host: str) -> None:
    held = """
import os
open('pid', 'w').write(str(os.getpid()))
while not os.path.exists('held'): pass
print('last words')
"""
    holder = """
import os
while not os.path.exists('pid') or not open('pid').read(): pass
kept = open(f"/proc/{open('pid').read()}/fd/1", 'w')
open('held', 'w')
print('begun', flush=True)
while True: os.getppid()
"""
    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        ended = asyncio.create_task(sandbox.exec(Code(held)))
        holding = await begun(sandbox, Code(holder))
        assert (await ended).check().text == "last words\n"
        assert not holding.done()
        holding.cancel()
        await asyncio.wait([holding])


# Memory


async def test_the_memory_bound_ends_a_command_and_not_the_sandbox(docker_host: str) -> None:
    policy = Policy(limits=Limits(memory=64 << 20))
    async with asyncio.timeout(60), DockerSandbox(policy) as sandbox:
        other = await begun(sandbox)
        done = await sandbox.exec(HOG)
        assert (done.exit_code, done.ended) == (-9, "memory")
        assert not other.done()
        killed = await sandbox.exec(Code("import os; os.kill(os.getpid(), 9)"))
        assert (killed.exit_code, killed.ended) == (-9, "exited")
        other.cancel()
        await asyncio.wait([other])


# Processes


async def test_what_a_command_leaves_behind_ends_with_it(docker_host: str) -> None:
    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        (await sandbox.exec(Code(LEAVE))).check()
        assert (await sandbox.exec(PROCESSES)).check().text == "\n"


async def test_what_another_command_began_stays(docker_host: str) -> None:
    held = Code(LEAVE + "os.rename('left', 'held')\nprint('begun', flush=True)\nwhile True: os.getppid()")
    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        running = await begun(sandbox, held)
        kept = (await sandbox.get("held")).decode()
        (await sandbox.exec(Code(LEAVE))).check()
        gone = (await sandbox.get("left")).decode()
        seen = (await sandbox.exec(PROCESSES)).check().text.split()
        assert kept in seen
        assert gone not in seen
        async with sandbox.start(ENDLESS) as execution:
            await anext(aiter(execution))
            await execution.kill()
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        assert (await sandbox.exec(PROCESSES)).check().text == "\n"


async def test_one_that_begins_others_all_the_time_is_caught(docker_host: str) -> None:
    # Each lives only until it has begun the next one.
    runner = Code("import os\nprint('begun', flush=True)\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()")
    bomb = Code("import os\nprint('begun', flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass")
    async with asyncio.timeout(90), DockerSandbox() as sandbox:
        for command in (bomb, runner):
            other = await begun(sandbox)
            await sandbox.exec(command, timeout=1)
            other.cancel()
            await asyncio.wait([other])
            assert (await sandbox.exec(PROCESSES)).check().text == "\n"


async def test_commands_reach_neither_the_warden_nor_init(docker_host: str) -> None:
    source = """
import os
for process in (1, 7, *map(int, filter(str.isdigit, os.listdir('/proc')))):
    if os.stat(f'/proc/{process}').st_uid == 0:
        for attempt in (lambda: os.kill(process, 9), lambda: open(f'/proc/{process}/mem', 'r+b')):
            try: attempt()
            except OSError: pass
            else: print('reached', process)
try: os.kill(-1, 9)
except OSError: pass
"""
    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        done = await sandbox.exec(Code(source))
        assert b"reached" not in done.stdout
        assert (await sandbox.exec(["true"])).ok


# Nothing is left


async def test_a_host_that_is_killed_leaves_nothing(docker_host: str) -> None:
    source = (
        "import asyncio\nfrom codin.sandbox.docker import DockerSandbox\n"
        "async def main():\n    async with DockerSandbox() as sandbox:\n"
        "        async with sandbox.start(['sleep', '1000']): print('open', flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    host = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60), client(docker_host) as docker:
        assert host.stdout is not None
        assert await host.stdout.readline() == b"open\n"
        container = docker.containers.container(await container_of(docker_host))
        waiting = asyncio.create_task(container.wait(condition="removed"))
        host.send_signal(signal.SIGKILL)
        await host.wait()
        await waiting
    assert await left(docker_host) == []


async def test_what_a_dead_host_left_is_swept(docker_host: str) -> None:
    async with DockerSandbox() as sandbox, client(docker_host) as docker:
        assert (await sandbox.exec(["true"])).ok
        mine = await docker.containers.get(await container_of(docker_host))
        labels = mine["Config"]["Labels"]
        where = labels["codin.owner"].split(":")[0]
        owners = {"dead": f"{where}:{os.getpid()}:1", "elsewhere": "another/1:1:1", "alive": labels["codin.owner"]}
        for name, owner in owners.items():
            config = {
                "Image": mine["Config"]["Image"],
                "Cmd": ["true"],
                "Labels": {**labels, "codin.owner": owner},
            }
            await docker.containers.create(config, name=name)
        async with DockerSandbox():
            names = {name for found in await docker.containers.list(all=True) for name in found["Names"]}
        assert {"/elsewhere", "/alive"} < names
        assert "/dead" not in names
        for name in ("elsewhere", "alive"):
            await docker.containers.container(name).delete()


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5])
async def test_cancelling_anywhere_leaves_nothing(docker_host: str, seconds: float) -> None:
    async def use() -> None:
        async with DockerSandbox() as sandbox:
            await sandbox.put("a", bytes(100_000))
            await sandbox.exec(ENDLESS)

    with anyio.move_on_after(seconds):
        await use()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await use()
    assert await left(docker_host) == []


async def test_cancelled_ever_again_while_it_opens(docker_host: str) -> None:
    """Whoever cannot wait for it leaves when it is taken away."""
    sandbox = DockerSandbox()
    opening = asyncio.create_task(sandbox.__aenter__())
    async with asyncio.timeout(60):
        while not await left(docker_host) and not opening.done():
            pass
        while not opening.done():
            opening.cancel()
            await asyncio.sleep(0)
    if not opening.cancelled():
        await sandbox.__aexit__(None, None, None)
    assert await left(docker_host) == []


# The policy


async def test_mounts(docker_host: str, shared: Path) -> None:
    mounts = (Mount(source=shared, target="/seen"), Mount(source=shared, target="/shared", writable=True))
    with pytest.raises(PolicyNotEnforced, match="disk"):  # what is written on the host has no bound
        await DockerSandbox(Policy(mounts=mounts)).check()
    async with DockerSandbox(Policy(mounts=mounts, demands=Policy().demands - {"disk"})) as sandbox:
        done = await sandbox.exec(["sh", "-c", "cat /seen/given; echo made > /shared/made; echo no > /seen/no"])
    assert (done.text, done.stderr != b"") == ("given", True)
    assert names_in(shared) == ["given", "made"]


@pytest.mark.parametrize("place", ["/tmp", "/tmp/", "/tmp/box"])
async def test_a_mount_onto_its_own_folder(docker_host: str, shared: Path, place: str) -> None:
    sandbox = DockerSandbox(Policy(mounts=(Mount(source=shared, target=place),)))
    with pytest.raises(ConfigError, match=f"{place.rstrip('/')!r} is a place of the docker sandbox's own"):
        await sandbox.__aenter__()


async def test_a_mount_of_nothing(docker_host: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="none"):
        await DockerSandbox(Policy(mounts=(Mount(source=tmp_path / "none"),))).__aenter__()
    assert await left(docker_host) == []


async def test_the_network_of_the_host(docker_host: str) -> None:
    interfaces = Code("import socket; print(len(socket.if_nameindex())); socket.create_server(('127.0.0.1', 0))")
    with pytest.raises(PolicyNotEnforced) as refused:  # the daemon of the tests has a network of its own
        await DockerSandbox(Policy(network="full")).__aenter__()
    assert refused.value.missing == {"network"}
    async with DockerSandbox(Policy(network="full", demands=Policy().demands - {"network"})) as sandbox:
        (await sandbox.exec(interfaces)).check()
        hostname = (await sandbox.exec(Code("import socket; print(socket.gethostname())"))).check().text
    assert hostname.strip() == platform.node()


async def test_the_kernels_doors_are_shut(docker_host: str) -> None:
    source = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(*call):
    ctypes.set_errno(0)
    return libc.syscall(*call) == -1 and ctypes.get_errno()
calls = {'ptrace': (101, 0, 0, 0, 0), 'unshare': (272, 0x10000000), 'keyctl': (250, 0, 0, 0, 0), 'bpf': (321, 0, 0, 0),
         'io_uring': (425, 1, 0), 'clone': (56, 0x10000011, 0, 0, 0, 0), 'chroot': (161, b'/'),
         'mount': (165, 0, b'/', 0, 0, 0)}
print({name: tried(*call) for name, call in calls.items() if tried(*call) != 1}, tried(435, 0, 0))
for family in (38, 40):
    try: socket.socket(family, socket.SOCK_SEQPACKET)
    except PermissionError: pass
"""
    if platform.machine() != "x86_64":
        pytest.skip("the numbers are those of x86-64")
    async with DockerSandbox() as sandbox:
        assert (await sandbox.exec(Code(source))).check().text == "{} 38\n"


async def test_everything_that_can_be_written_has_one_bound(docker_host: str) -> None:
    source = """
total = 0
for number, folder in enumerate(('/tmp', '/tmp/box', '/dev/shm')):
    try:
        with open(f'{folder}/{number}', 'wb', 0) as file:
            while True: total += file.write(bytes(1 << 16))
    except OSError as error: print(error.errno)
print(total <= 8 << 20)
"""
    async with DockerSandbox(Policy(limits=Limits(disk=8 << 20))) as sandbox:
        assert (await sandbox.exec(Code(source))).check().text == "28\n28\n28\nTrue\n"
        with pytest.raises(FileRefused, match="no space"):
            await sandbox.put("folder/more", bytes(1 << 20))
        assert "folder/more" not in [file.path for file in await sandbox.list()]


async def test_little_room_is_little_everywhere(docker_host: str) -> None:
    source = "import os; print(sum(os.statvfs(each).f_blocks * 4096 <= 8192 for each in ('/tmp', '/dev/shm')))"
    for disk in (1, 7):
        async with DockerSandbox(Policy(limits=Limits(disk=disk))) as sandbox:
            assert (await sandbox.exec(Code(source))).check().text == "2\n"


async def test_files_have_a_bound(docker_host: str) -> None:
    source = (
        "number = 0\ntry:\n    while True: open(str(number), 'w').close(); number += 1\nexcept OSError: print(number)"
    )
    async with DockerSandbox(Policy(limits=Limits(files=100))) as sandbox:
        assert int((await sandbox.exec(Code(source))).check().text) <= 100


async def test_the_working_folder_may_be_a_lie(docker_host: str) -> None:
    """Whatever a command makes of it, nothing is read or written outside."""
    async with DockerSandbox() as sandbox:
        lie = "cd /; rmdir /tmp/box; ln -s /etc /tmp/box"
        (await sandbox.exec(["sh", "-c", lie])).check()
        for attempt in (sandbox.put("x", b""), sandbox.put("a/b", b""), sandbox.get("passwd"), sandbox.list()):
            with pytest.raises(FileRefused):
                await attempt


async def test_huge_files_are_not_fetched(docker_host: str) -> None:
    async with asyncio.timeout(60), DockerSandbox() as sandbox:
        (await sandbox.exec(Code("open('huge', 'w').truncate(1 << 40)"))).check()
        with pytest.raises(FileRefused, match="larger"):
            await sandbox.get("huge")
        with pytest.raises(FileRefused, match="larger"):
            await sandbox.list()


# gVisor


async def test_gvisor_has_a_kernel_of_its_own(docker_host: str) -> None:
    async with asyncio.timeout(120), DockerSandbox(GVISOR, runtime="runsc") as sandbox:
        assert sandbox.unenforced == {"processes"}
        told = (await sandbox.exec(Code("import os; print(os.uname().release, open('/proc/version').read())"))).check()
        assert platform.release() not in told.text
        await sandbox.put("a/b", b"into it")
        assert (await sandbox.exec(["sh", "-c", "cat a/b; echo out > c"])).check().text == "into it"
        assert await sandbox.get("c") == b"out\n"
        (await sandbox.exec(Code(LEAVE))).check()
        assert (await sandbox.exec(PROCESSES)).check().text == "\n"
        running = await begun(sandbox)
        running.cancel()
        await asyncio.wait([running])
        assert (await sandbox.exec(["true"])).ok
    assert await left(docker_host) == []


async def test_gvisor_runs_out_of_memory(docker_host: str) -> None:
    policy = Policy(limits=Limits(memory=128 << 20), demands=GVISOR.demands)
    async with asyncio.timeout(120), DockerSandbox(policy, runtime="runsc") as sandbox:
        done = await sandbox.exec(HOG)
        assert (done.exit_code, done.ended) == (-9, "memory")
        with pytest.raises(SandboxClosed, match="ran out of memory"):
            await sandbox.exec(["true"])
    assert await left(docker_host) == []


async def test_gvisor_does_not_keep_everything(docker_host: str) -> None:
    with pytest.raises(PolicyNotEnforced) as refused:
        await DockerSandbox(Policy(network="full"), runtime="runsc").__aenter__()
    assert refused.value.missing == {"processes", "network"}
