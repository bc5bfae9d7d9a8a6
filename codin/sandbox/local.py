"""A sandbox on this machine: bubblewrap for what is seen, seccomp for what may be called, control groups for bounds."""

from __future__ import annotations

import errno
import math
import os
import platform
import posixpath
import random
import re
import resource
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio import to_thread

from codin.errors import ConfigError, FileRefused, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox._local.filter import filter_program
from codin.sandbox._local.groups import Groups, bounded
from codin.sandbox._local.process import LocalProcess
from codin.sandbox._local.room import Memory, Plan, Room
from codin.sandbox._local.view import HOME, interpreter_of, seen, writable
from codin.sandbox._protocol import UNBOUNDED, Code, FileInfo, Guarantee, Limits, Policy, Process, Snapshot
from codin.sandbox._sandbox import Sandbox

__all__ = ["NO_LIMITS", "LocalSandbox"]

NO_LIMITS = Limits(cpu=UNBOUNDED, memory=UNBOUNDED, processes=UNBOUNDED, disk=UNBOUNDED, files=UNBOUNDED, time=None)
"""The machine is the limit, which leaves half of its memory to the files in `/box` and `/tmp`."""

_PIECE = 256 * 1024
_LEAST = 8 * 1024 * 1024  # bytes of memory, of which the supervisor takes up to half
_DESCRIPTORS, _MANY_DESCRIPTORS = 1024, 65536
_UIDS = range(0x70000000, 0x78000000)  # nobody's, by the custom of all distributions
_LISTING = 64 * 1024 * 1024  # bytes of a list of files, beyond which nobody wants it
# The code may be longer than an argument, and comes as descriptor 3. What it prints comes line by line, so that it is
# there when the code is killed; and -B, since the working folder is for the files of the user.
_RUN = """\
import sys
sys.stdout.reconfigure(line_buffering=True)
del sys
exec(compile((lambda file: (file.read(), file.close())[0])(open(3, "rb")), "<string>", "exec"))
"""


class LocalSandbox(Sandbox):
    """A sandbox of Linux's own means, without a daemon or an image.

    It sees the programs of the host in /usr and the interpreter with its packages, and can change neither. It needs
    bubblewrap 0.8 and libseccomp. All bounds hold where this process may make control groups: as root, or where
    systemd has delegated them to the user; elsewhere a policy must not demand `memory`, nor a share of a processor.

    Args:
        policy: what it must keep.
        python: the interpreter of the commands, and of code; this one when not given. That of a virtual environment
            brings its packages along.
        uid: for a host that is root: the user on the host that commands run as. Not given, it is the owner of what the
            policy mounts to be written, or a user that nobody else is. 0 is root without its rights.
        snapshot: the files it begins with.
    """

    kind = "local"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        python: str | Path | None = None,
        uid: int | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(policy, snapshot=snapshot)
        self._python = sys.executable if python is None else str(python)
        self._uid = uid
        self._room: Room | None = None

    @property
    def pid(self) -> int | None:
        """The process on this machine with which all others of the open sandbox end."""
        return None if self._room is None else self._room.pid

    @property
    def gone(self) -> bool:
        return self._room is not None and self._room.gone

    async def _shortfall(self) -> frozenset[Guarantee]:
        looked = _means.cache_info().currsize > 0
        means = _means() if looked else await to_thread.run_sync(_means)
        if (memory := self._policy.limits.memory) < _LEAST:
            raise ConfigError(
                f"the supervisor of a local sandbox does not fit into {memory} bytes",
                hint=f"raise Limits.memory to {_LEAST} or more",
            )
        return frozenset(_missing(self._policy, means))

    async def _open(self) -> None:
        self._room = await Room.open(await to_thread.run_sync(self._plan))

    async def _close(self) -> None:
        if self._room is not None:
            await self._room.end()
            self._room = None

    async def _start(self, command: Sequence[str] | Code, env: Mapping[str, str], cwd: str, /) -> Process:
        room = self._open_room()
        source = None
        if isinstance(command, Code):
            source = command.source.encode()
            command = [self._program(), "-B", "-c", _RUN]
        elif command[0] == self._python:
            command = [self._program(), *command[1:]]
        asked = {"argv": list(command), "env": {**self._surroundings(), **env}, "cwd": cwd}
        with ExitStack() as theirs, ExitStack() as ours:
            stdin, feed = _pipe(theirs, ours)
            out, stdout = _pipe(ours, theirs)
            err, stderr = _pipe(ours, theirs)
            given = [stdin, stdout, stderr]
            if source is not None:
                given.append(theirs.enter_context(Memory(source)).fd)
            channel = await room.ask(b"x", asked, given)
            ours.callback(channel.close)
            await channel.confirmed(cwd)
            process = LocalProcess(channel, room.group, feed, out, err)
            ours.pop_all()
            return process

    async def _write(self, path: str, content: AsyncIterable[bytes], /) -> None:
        channel = await self._open_room().ask(b"w", {"path": path})
        try:
            file = _regular(await channel.confirmed(path), path)
            try:
                async for chunk in content:
                    await _fill(file, chunk, path)
            finally:
                os.close(file)
            channel.say(b"c")
            await channel.confirmed(path)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(SandboxError):
                channel.say(b"q")
                await channel.confirmed(path)
            raise
        finally:
            channel.close()

    async def _read(self, path: str, /) -> AsyncIterator[bytes]:
        channel = await self._open_room().ask(b"r", {"path": path})
        try:
            file = _regular(await channel.confirmed(path), path)
        finally:
            channel.close()
        try:
            while chunk := os.read(file, _PIECE):
                yield chunk
                await anyio.lowlevel.checkpoint()
        finally:
            os.close(file)

    async def _list(self, path: str, /) -> Sequence[FileInfo]:
        listing = os.memfd_create("listing")
        try:
            channel = await self._open_room().ask(b"l", {"path": path}, [listing])
            try:
                await channel.confirmed(path)
            finally:
                channel.close()
            told = os.pread(listing, _LISTING + 1, 0)
        finally:
            os.close(listing)
        if len(told) > _LISTING:
            raise FileRefused(f"there are too many files in {path!r} to list", path=path)
        try:
            words = told.split(b"\0")[:-1]
            return [_info(*entry) for entry in zip(words[::2], words[1::2], strict=True)]
        except ValueError:
            raise channel.distrust() from None

    def _open_room(self) -> Room:
        if self._room is None:
            raise SandboxClosed("the local sandbox is not open", hint="use it inside `async with`")
        return self._room

    def _program(self) -> str:
        """Where its interpreter is within, which need not be how it is named out here."""
        return str(interpreter_of(self._python).program)

    def _surroundings(self) -> dict[str, str]:
        """What a command finds nothing without, and any of which the policy may say otherwise."""
        programs = posixpath.dirname(self._program())
        return {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "LANG": "C.UTF-8"}

    def _plan(self) -> Plan:
        means = _means()
        interpreter = interpreter_of(self._python)
        uid = self._user() if os.geteuid() == 0 else None
        limits = self._policy.limits
        looked_after = bounded(limits) - means.groups.folders.keys()
        counted = "memory" not in looked_after
        pinned = _pinned(self._policy, means)
        bounds = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _DESCRIPTORS}
        if limits.files == UNBOUNDED:
            bounds[resource.RLIMIT_NOFILE] = _MANY_DESCRIPTORS
        if limits.disk < UNBOUNDED:
            bounds[resource.RLIMIT_FSIZE] = limits.disk
        if "pids" in looked_after:
            bounds[resource.RLIMIT_NPROC] = limits.processes + 2
        if not counted:
            bounds[resource.RLIMIT_DATA] = limits.memory
        return Plan(
            bubblewrap=means.bubblewrap,
            interpreter=interpreter,
            walls=[
                *_spaces(self._policy, root=uid is not None, stays=uid == 0),
                *seen(self._policy, interpreter, root=uid == 0),
            ],
            uid=uid,
            filter=filter_program(counted=counted, pinned=pinned > 0),
            group=partial(means.groups.make, limits),
            processors=random.sample(sorted(os.sched_getaffinity(0)), pinned),
            setup={
                "uid": uid or None,
                "home": HOME,
                "files": None if limits.files == UNBOUNDED else limits.files,
                "memory": None if counted else limits.memory,
                "bounds": {kind: _within_ours(kind, most) for kind, most in bounds.items()},
                # Root could change settings of the kernel there.
                "writable": [
                    *writable(self._policy),
                    "/run/dev",
                    *(["/proc"] if uid != 0 else []),
                    *_written(self._policy),
                ],
            },
        )

    def _user(self) -> int:
        if self._uid is not None:
            return self._uid
        owners = {mount.source.stat().st_uid for mount in self._policy.mounts if mount.writable}
        if not owners:
            return secrets.choice(_UIDS)
        if len(owners) > 1 or 0 in owners:
            raise SandboxUnavailable(
                "the folders that are mounted to be written belong to root, or to several users",
                hint="give them to one user that is not root, or say by uid= whom the commands run as",
            )
        return owners.pop()


@dataclass(frozen=True)
class _Means:
    """What this machine has for a sandbox."""

    bubblewrap: str
    groups: Groups


@cache
def _means() -> _Means:
    """Look once. Raises SandboxUnavailable, and then looks again the next time."""
    if sys.platform != "linux":
        raise SandboxUnavailable("a local sandbox needs Linux", hint="a sandbox of kind 'wasm' or 'docker' may do")
    if os.environ.get("CODIN_SANDBOX"):
        raise SandboxUnavailable(
            "this process is in a sandbox itself, which lets it make no other",
            hint='sandbox = "off" in the agent.toml of an agent lets its tools and programs have theirs',
        )
    if (bubblewrap := shutil.which("bwrap")) is None:
        raise SandboxUnavailable(
            "a local sandbox needs bubblewrap, and there is no `bwrap` on this machine",
            hint="install it (`apt install bubblewrap`, `dnf install bubblewrap`); for code alone 'wasm' will do",
        )
    walls = [*_spaces(Policy(), root=os.geteuid() == 0), "--ro-bind", "/", "/", "--", "/bin/true"]
    tried = subprocess.run([bubblewrap, *walls], capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode != 0:
        raise SandboxUnavailable(
            f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()[-500:]}",
            hint="it needs version 0.8, and a kernel and a container that allow it; kind 'wasm' needs neither",
        )
    return _Means(bubblewrap, Groups.found())


def _missing(policy: Policy, means: _Means) -> Iterator[Guarantee]:
    lacking = bounded(policy.limits) - means.groups.folders.keys()
    if filter_program(counted=True, pinned=False) is None:
        yield "syscalls"
    if "memory" in lacking:
        yield "memory"  # it is looked at ten times a second, and much can be taken in between
    if "cpu" in lacking and not _pinned(policy, means) and policy.limits.cpu < len(os.sched_getaffinity(0)):
        yield "cpu"
    # A user's processes are counted by namespace since 5.14, and all of the user's together before that.
    if "pids" in lacking and (os.geteuid() == 0 or _kernel() < (5, 14)):
        yield "processes"
    if any(mount.writable for mount in policy.mounts):
        yield "disk"  # a folder of the host has no bound of ours


def _within_ours(kind: int, most: int) -> int:
    """A bound of the kernel's, and no more than this process has itself, which nothing that it begins can raise."""
    ours = resource.getrlimit(kind)[1]
    return most if ours == resource.RLIM_INFINITY else min(most, ours)


def _pinned(policy: Policy, means: _Means) -> int:
    """To how many processors it is tied, where that has to stand in for a share of time; 0 for no tie."""
    cores = policy.limits.cpu
    if "cpu" in means.groups.folders or cores >= len(os.sched_getaffinity(0)):
        return 0
    return int(cores) if cores == math.floor(cores) else 0


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])


def _spaces(policy: Policy, *, root: bool, stays: bool = False) -> Iterator[str]:
    """Namespaces of its own. A host that is root needs none for users: the supervisor leaves root behind at once, or
    stays without any right of its own.
    """
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox")
    yield from ("--as-pid-1", "--die-with-parent", "--cap-drop", "ALL")
    if policy.network != "full":
        yield "--unshare-net"
    if not root:
        yield from ("--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000")
    elif not stays:
        for right in ("CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"):
            yield from ("--cap-add", right)


def _written(policy: Policy) -> Iterator[str]:
    return (mount.place for mount in policy.mounts if mount.writable)


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """The two ends of a pipe, each closed by whom it belongs to."""
    reading, writing = os.pipe()
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing


def _regular(file: int | None, path: str) -> int:
    """The file, if it is one: reading or writing anything else could hold us up."""
    if file is None:
        raise FileRefused(f"{path!r} cannot be opened", path=path)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileRefused(f"{path!r} is no file", path=path)
    return file


async def _fill(file: int, chunk: bytes, path: str) -> None:
    rest = memoryview(chunk)
    while rest:
        try:
            rest = rest[os.write(file, rest[:_PIECE]) :]
        except OSError as error:
            hint = "raise Limits.disk, or take something away" if error.errno == errno.ENOSPC else None
            raise FileRefused(f"{path!r} cannot be written: {error.strerror}", path=path, hint=hint) from None
        await anyio.lowlevel.checkpoint()


def _info(kind: bytes, path: bytes) -> FileInfo:
    """One entry of a list. Raises ValueError when it is none."""
    size = int(kind[1:])
    if kind[:1] not in (b"d", b"f") or not 0 <= size < 1 << 62 or not path:
        raise ValueError(kind)
    return FileInfo(os.fsdecode(path), size, kind[:1] == b"d")
