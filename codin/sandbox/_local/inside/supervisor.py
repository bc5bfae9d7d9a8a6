"""The only process of ours inside a local sandbox: it begins commands, ends them, and opens files for the host.

It is run by the interpreter of the sandbox, behind every wall, where nothing of codin can be imported; the host hands
in its code, the modules of this folder. What it is told comes from the host and is believed; the host believes nothing
of what comes back. It is written with those parts of `os`, `socket`, `signal` and `ctypes` that are written in C: to
import the four takes longer than everything else here.

The host sends a letter and descriptors: the first is a file with what is asked, the second a channel for the answers.
    x   run a command; also its stdin, stdout, stderr, and what it shall have as descriptor 3, if any.
        +, then =<exit code>, with ` memory` after it when it was stopped for that. It can be told k, to kill it
    r   open a file to read: + with its descriptor
    w   open a file to write: + with its descriptor. It is told c when all is written, or q when it never will be: +
    l   write a list of files to the descriptor that comes as the third: +
Instead of + there may be -<errno>. Closing the channel takes back whatever has not come to its end.
"""

# Without contextlib, since to import it takes longer than to begin a command.
# ruff: noqa: SIM105

from __future__ import annotations

import _socket
import errno
import marshal
import select
import sys

from codin.sandbox._local.inside.commands import (
    Command,
    clear_all,
    clear_ipc,
    clear_own,
    complain,
    execute,
    kept,
    memory_in_use,
)
from codin.sandbox._local.inside.files import Draft, inside, put_list, readable
from codin.sandbox._local.inside.walls import bound, close_in, confine

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal as _signal
    import stat as _stat
    from typing import Any, NoReturn
else:
    import _signal
    import _stat
    import posix as os

TICK = 100  # ms between two looks at what the commands use
SPARE = 16  # descriptors that are left for the next request: what does not fit would be missing without a word
CROWD = 256  # ended processes that it takes note of, before it listens again


class Supervisor:
    def __init__(self, control: int, home: str, files: int | None, memory: int | None) -> None:
        self._home = home
        self._control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, control)
        self._begun_with = _files_in_use()
        self._most_files = None if files is None else self._begun_with + files
        self._most_memory = memory
        self._most_descriptors = os.sysconf("SC_OPEN_MAX") - SPARE
        self._work: dict[int, Command | Draft] = {}
        self._ended: list[tuple[Command, int]] = []
        self._is_behind = False
        woken, waker = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(waker, False)
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
        _signal.signal(_signal.SIGCHLD, _wake)
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._woken = woken
        self._poll = select.poll()
        self._poll.register(self._control.fileno(), select.POLLIN)
        self._poll.register(woken, select.POLLIN)

    def serve(self) -> NoReturn:
        self._control.send(b"+")
        while True:
            for fd, _ in self._poll.poll(self._wait()):
                if fd == self._control.fileno():
                    self._request()
                elif fd == self._woken:
                    os.read(fd, 512)
                elif fd in self._work:
                    self._word(fd)
            self._reap()
            self._look()

    def _wait(self) -> int | None:
        """How long it may wait for something to happen, in ms."""
        if self._is_behind:
            return 0
        return TICK if self._has_bounds() and self._commands() else None

    def _has_bounds(self) -> bool:
        return self._most_files is not None or self._most_memory is not None

    def _commands(self) -> list[Command]:
        return [work for work in self._work.values() if isinstance(work, Command)]

    # What the host asks

    def _request(self) -> None:
        kind, ancillary, _, _ = self._control.recvmsg(1, _socket.CMSG_SPACE(6 * 4), _socket.MSG_CMSG_CLOEXEC)
        if not kind:
            os._exit(0)  # the host is gone, and with this process all others go
        packed = b"".join(data for _, _, data in ancillary)
        fds = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
        asked = marshal.loads(os.pread(fds[0], os.fstat(fds[0]).st_size, 0))
        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fds[1])
        channel.setblocking(False)
        answer = {b"x": self._run, b"r": self._read, b"w": self._write, b"l": self._list}[kind]
        try:
            if fds[-1] >= self._most_descriptors:  # each is the lowest that was free
                raise OSError(errno.EMFILE, "")
            self._open_up()
            answer(channel, asked, fds[2:])
        except (OSError, ValueError) as error:
            _refuse(channel, error)
        finally:
            for fd in (fds[0], *fds[2:]):
                os.close(fd)

    def _open_up(self) -> None:
        """Give back the rights that a command has taken from the folders that every other goes through."""
        for folder, rights, mode in (("/", os.X_OK, 0o755), (self._home, os.R_OK | os.W_OK | os.X_OK, 0o1777)):
            if not os.access(folder, rights):
                os.chmod(folder, mode)

    def _word(self, fd: int) -> None:
        work = self._work[fd]
        try:
            word = work.channel.recv(1)
        except OSError:
            word = b""
        if isinstance(work, Command):
            work.end()
            self._poll.unregister(fd)  # its end is told, and only then forgotten
            return
        try:
            if word == b"c":
                work.commit()
            else:
                work.take_back()
            _say(work.channel, b"+")
        except (OSError, ValueError) as error:
            _refuse(work.channel, error)
        self._forget(work)

    def _remember(self, work: Command | Draft) -> None:
        self._work[work.channel.fileno()] = work
        self._poll.register(work.channel.fileno(), select.POLLIN)

    def _forget(self, work: Command | Draft) -> None:
        del self._work[work.channel.fileno()]
        try:
            self._poll.unregister(work.channel.fileno())
        except KeyError:
            pass
        work.channel.close()
        if isinstance(work, Command) and work.told is not None:
            os.close(work.told)

    # Commands

    def _run(self, channel: _socket.socket, asked: dict[str, Any], fds: list[int]) -> None:
        folder = inside(self._home, asked["cwd"])
        if not _stat.S_ISDIR(os.stat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "")
        commands = self._commands()
        try:
            if all(command.told is not None for command in commands):
                pid, told = execute(asked["argv"], asked["env"], folder, fds), None
            else:
                pid, told = kept(asked["argv"], asked["env"], folder, fds)
        except (OSError, ValueError) as error:
            _say(channel, b"+")
            _say(channel, b"=%d" % complain(fds[2], asked["argv"][0], error))
            return
        if not commands:
            self._begun_with = _files_in_use()  # who finds too many files may still take some away
        self._remember(Command(channel, pid, told))
        _say(channel, b"+")

    def _reap(self) -> None:
        self._collect()
        while self._ended:
            ended = [(command, command.ending(status)) for command, status in self._ended]
            self._ended = []
            gone = {command.pid for command, _ in ended}
            living = {command.pid for command in self._commands()} - gone
            if not living and os.getpid() == 1:
                clear_all()
                clear_ipc()
            elif not all(command.is_cleared for command, _ in ended):
                clear_own(living)
            for command, code in ended:
                _say(command.channel, b"=%d%b" % (code, command.cause))
                self._forget(command)
            self._collect()

    def _collect(self) -> None:
        """Take note of the commands that have ended; all else that ended was only in our care."""
        commands = {command.pid: command for command in self._commands()}
        self._is_behind = False
        for _ in range(CROWD):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in commands:
                self._ended.append((commands[pid], status))
        self._is_behind = True

    def _look(self) -> None:
        """Stop everything when it takes more than it may of what no wall bounds here."""
        if not self._has_bounds() or not (commands := self._commands()):
            return
        too_many = self._most_files is not None and _files_in_use() > max(self._most_files, self._begun_with)
        if too_many or (self._most_memory and memory_in_use() > self._most_memory):
            for command in commands:
                command.cause = b" files" if too_many else b" memory"
                command.end()

    # Files

    def _read(self, channel: _socket.socket, asked: dict[str, Any], _: list[int]) -> None:
        file = readable(inside(self._home, asked["path"]))
        _say(channel, b"+", file)
        os.close(file)

    def _write(self, channel: _socket.socket, asked: dict[str, Any], _: list[int]) -> None:
        draft = Draft(channel, self._home, asked["path"])
        self._remember(draft)
        _say(channel, b"+", draft.file)
        os.close(draft.file)

    def _list(self, channel: _socket.socket, asked: dict[str, Any], fds: list[int]) -> None:
        put_list(self._home, asked["path"], fds[0])
        _say(channel, b"+")


def main(setup: dict[str, Any]) -> NoReturn:
    """Come down to what a command may do, and serve."""
    os.umask(0o022)
    if (uid := setup["uid"]) is not None:
        os.chown(setup["home"], uid, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    for fd in os.listdir("/proc/self/fd"):
        try:
            os.set_inheritable(int(fd), False)
        except OSError:
            pass  # by which the folder was read
    for kind, most in setup["bounds"].items():
        bound(kind, most)
    close_in()
    confine(setup["writable"])
    Supervisor(setup["control"], setup["home"], setup["files"], setup["memory"]).serve()


def _wake(*_: object) -> None:
    """A signal that has a handler ends the wait for descriptors."""


def _files_in_use() -> int:
    room = os.statvfs("/")
    return room.f_files - room.f_ffree


def _refuse(channel: _socket.socket, error: OSError | ValueError) -> None:
    """Say that it cannot be done; a ValueError is of a path that no file can have."""
    number = error.errno if isinstance(error, OSError) else errno.EILSEQ
    _say(channel, b"-%d" % (number or errno.EIO))


def _say(channel: _socket.socket, word: bytes, file: int | None = None) -> None:
    rights = [] if file is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, file.to_bytes(4, sys.byteorder))]
    try:
        channel.sendmsg([word], rights)
    except OSError:
        pass  # nobody listens any more
