"""An open local sandbox as the host holds it: its processes, its control group, and the talk with its supervisor."""

from __future__ import annotations

import json
import marshal
import os
import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from anyio import to_thread

from codin.errors import FileRefused, SandboxClosed, SandboxUnavailable
from codin.sandbox._local.boot import BOOT, modules
from codin.sandbox._local.groups import Group
from codin.sandbox._local.view import Interpreter, etc
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Channel", "Memory", "Plan", "Room"]

PATIENCE = (
    30.0  # seconds that the supervisor has for an answer; on a machine that is not overrun it needs a millisecond
)
_REAPING = 5.0
_REFUSED = re.compile(rb"-(\d{1,3})")
_OUTSIDE = 18  # EXDEV, by which the supervisor means that a path leads out
_HINT = "it is gone with its files; open another one"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a sandbox is to be.

    Args:
        bubblewrap: the program.
        interpreter: runs the supervisor.
        walls: arguments of bubblewrap.
        uid: whom the commands run as when the host is root; None when bubblewrap makes a user of its own.
        setup: what the supervisor is told.
        filter: the calls of the kernel that may be made; None for all.
        group: makes its control group.
        processors: all that it may run on, if not empty.
    """

    bubblewrap: str
    interpreter: Interpreter
    walls: Sequence[str]
    uid: int | None
    setup: Mapping[str, Any]
    filter: bytes | None
    group: Callable[[], Group]
    processors: Sequence[int] = ()


class Room:
    """An open sandbox. `open` makes one, `end` takes everything away."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, news: int) -> None:
        self._process = process
        self._control = control
        self._news = news
        self._told = b""
        self._outer = os.pidfd_open(process.pid)
        self._inner: int | None = None
        self._is_ending = self._is_over = False
        self._sending, self._ending = anyio.Lock(), anyio.Lock()
        self._grouping = threading.Lock()
        self.group = Group({}, 2)
        self.pid = process.pid  # and then the one within

    @classmethod
    async def open(cls, plan: Plan) -> Room:
        """Start it, and wait until it takes commands.

        Raises:
            SandboxUnavailable: bubblewrap or the supervisor did not start; says why.
        """
        with ExitStack() as ours, ExitStack() as failing:
            said = ours.enter_context(Memory(b""))
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(theirs.close)
            failing.callback(control.close)
            control.setblocking(False)
            news, newsroom = os.pipe()
            ours.callback(os.close, news)
            try:
                process = _spawn(plan, theirs.fileno(), newsroom, said.fd)
            finally:
                os.close(newsroom)
            theirs.close()
            try:
                room = cls(process, control, news)
            except OSError:  # too many open files; the process dies with its parent, and its end of the socket
                failing.close()
                process.kill()
                process.wait()
                raise
            failing.pop_all()  # it is the room's
            try:
                await room._begin(plan)
            except (SandboxClosed, OSError) as error:
                await room.end()
                raise SandboxUnavailable(
                    f"bubblewrap could not make the sandbox: {said.text() or error}",
                    hint="in a container that may not, or where users may make no namespaces, take kind 'wasm'",
                ) from error
            except BaseException:
                await room.end()
                raise
            return room

    async def ask(self, kind: bytes, asked: Mapping[str, Any], fds: Sequence[int] = ()) -> Channel:
        """Ask the supervisor for something; the answers come by the channel.

        Raises:
            SandboxClosed: the sandbox is gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs, Memory(marshal.dumps(dict(asked), 2)) as told, anyio.fail_after(PATIENCE):
                async with self._sending:
                    await self._send(kind, [told.fd, theirs.fileno(), *fds])
        except TimeoutError:
            ours.close()
            self.stop()
            raise SandboxClosed("the local sandbox does not answer, and was ended", hint=_HINT) from None
        except OSError as error:
            ours.close()
            raise SandboxClosed("the local sandbox is gone", hint=_HINT) from error
        except BaseException:
            ours.close()
            raise
        return Channel(self, ours)

    @property
    def gone(self) -> bool:
        """Whether its supervisor has ended."""
        if self._inner is None:
            return True
        look = select.poll()
        look.register(self._inner, select.POLLIN)
        return bool(look.poll(0))

    def stop(self) -> None:
        """End all of its processes at once. Bubblewrap ends by itself then, once it has reaped the supervisor."""
        if not self._is_over:  # else the numbers of its descriptors may be another sandbox's by now
            self._kill(self._outer if self._inner is None else self._inner)

    async def end(self) -> None:
        """End it, and leave nothing behind."""
        await to_its_end(self._end)

    async def _end(self) -> None:
        async with self._ending:
            if self._is_over:
                return
            self._is_ending = True
            with anyio.move_on_after(PATIENCE), suppress(SandboxClosed, OSError):
                # Were bubblewrap killed before it has told of its child, the child would wait for it for ever.
                await self._learn()
            self.stop()
            with anyio.move_on_after(PATIENCE):
                if self._inner is not None:  # the last of its namespace to go
                    await anyio.wait_readable(self._inner)
                with anyio.move_on_after(_REAPING):
                    await anyio.wait_readable(self._outer)
                self._kill(self._outer)
                await anyio.wait_readable(self._outer)
                self._process.wait()
            # A task that is cancelled leaves its thread at work, which may be making the group just now.
            while self._grouping.locked():  # noqa: ASYNC110  # a thread's, and no event
                await anyio.sleep(0.005)
            await self.group.remove()
            self._control.close()
            for fd in (self._inner, self._outer):
                if fd is not None:
                    os.close(fd)
            self._is_over = True

    @staticmethod
    def _kill(process: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)

    async def _begin(self, plan: Plan) -> None:
        with anyio.move_on_after(PATIENCE) as limit:
            await self._learn()
            child = self.pid = int(json.loads(self._told)["child-pid"])
            if plan.processors:
                os.sched_setaffinity(child, plan.processors)
            # The kernel takes its time for that, in which the interpreter starts; nothing runs before both are done.
            await to_thread.run_sync(self._bound, plan.group, child)
            await anyio.wait_readable(self._control)
            with suppress(OSError):
                if self._control.recv(1) == b"+":
                    return
            raise SandboxClosed("the supervisor ended")
        if limit.cancelled_caught:
            raise SandboxClosed("the supervisor does not answer")

    def _bound(self, make: Callable[[], Group], child: int) -> None:
        """Put the supervisor, and so all that it begins, into a control group, unless the room ends meanwhile."""
        with self._grouping:
            if not self._is_ending:
                self.group = make()
                self.group.add(child)

    async def _learn(self) -> None:
        """Wait until bubblewrap has said which process is the supervisor. Does nothing when it has."""
        while self._inner is None:
            await anyio.wait_readable(self._news)
            if not (piece := os.read(self._news, 4096)):
                raise SandboxClosed("bubblewrap ended")
            self._told += piece
            if self._told.rstrip().endswith(b"}"):
                self._inner = os.pidfd_open(int(json.loads(self._told)["child-pid"]))

    async def _send(self, kind: bytes, fds: Sequence[int]) -> None:
        while True:
            try:
                socket.send_fds(self._control, [kind], fds)
            except BlockingIOError:
                await anyio.wait_writable(self._control)
            else:
                return


class Channel:
    """The answers to one request. Whatever comes is from within the sandbox, and may be anything."""

    def __init__(self, room: Room, ours: socket.socket) -> None:
        self._room = room
        self._socket = ours

    async def confirmed(self, path: str = "") -> int | None:
        """Wait until it is done or begun, and take the file that comes with the word.

        Raises:
            FileRefused: it cannot be done with this path.
            SandboxClosed: the sandbox is gone, does not answer, or answers nonsense.
        """
        with anyio.move_on_after(PATIENCE):
            word, file = await self.word()
            if word == b"+":
                return file
            if file is not None:
                os.close(file)
            if (refused := _REFUSED.fullmatch(word)) is None:
                raise self.distrust()
            raise _refusal(path, int(refused[1]))
        raise self.distrust()

    async def word(self) -> tuple[bytes, int | None]:
        while True:
            try:
                word, fds, _, _ = socket.recv_fds(self._socket, 64, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except ConnectionResetError:  # what we said was not read any more, which is told before the last word is
                continue
            except OSError:
                word, fds = b"", []
            if not word:
                raise SandboxClosed("the local sandbox is gone", hint=_HINT)
            return word, fds[0] if fds else None

    def say(self, word: bytes) -> None:
        with suppress(OSError):
            self._socket.send(word)

    def distrust(self) -> SandboxClosed:
        """End a sandbox that does not keep to the protocol, and the error to raise."""
        self._room.stop()
        return SandboxClosed("the local sandbox does not answer as it should, and was ended", hint=_HINT)

    def close(self) -> None:
        self._socket.close()


class Memory:
    """A file that is nowhere but in memory, with this content."""

    def __init__(self, content: bytes) -> None:
        self.fd = os.memfd_create("codin")
        os.write(self.fd, content)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def text(self) -> str:
        return os.pread(self.fd, 2000, 0).decode(errors="replace").strip()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _spawn(plan: Plan, control: int, news: int, said: int) -> subprocess.Popen[bytes]:
    # In this thread and no other: a process that dies with its parent dies with the thread that began it.
    with ExitStack() as stack:
        boot = stack.enter_context(
            Memory(marshal.dumps(({**plan.setup, "control": control}, modules(plan.interpreter.same)), 2))
        )
        fds = [control, news, boot.fd]
        walls = list(plan.walls)
        inside = 1000 if plan.uid is None else plan.uid
        for path, content in etc(inside, inside).items():
            if path in walls:
                continue
            fds.append(stack.enter_context(Memory(content.encode())).fd)
            walls += ["--perms", "0444", "--ro-bind-data", str(fds[-1]), path]
        if plan.filter is not None:
            fds.append(stack.enter_context(Memory(plan.filter)).fd)
            walls += ["--seccomp", str(fds[-1])]
        python = [str(plan.interpreter.real), "-I", "-S", "-B", "-X", "utf8", "-c", BOOT.format(boot.fd)]
        return subprocess.Popen(
            [plan.bubblewrap, *walls, "--info-fd", str(news), "--", *python],
            pass_fds=fds,
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )


def _refusal(path: str, number: int) -> FileRefused:
    if number == _OUTSIDE:
        return FileRefused(f"{path!r} leads out of the working folder", path=path, hint="links do not lead out of it")
    return FileRefused(f"{path!r} of the working folder: {os.strerror(number)}", path=path)
