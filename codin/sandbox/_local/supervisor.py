"""The only process of ours inside a local sandbox: it begins commands, ends them, and opens files for the host.

It is run by the interpreter of the sandbox, behind every wall, where nothing of codin can be imported; the host hands
in its code. What it is told comes from the host and is believed; the host believes nothing of what comes back. It is
written with those parts of `os`, `socket`, `signal` and `ctypes` that are written in C: to import the four takes longer
than everything else here.

The host sends a letter and descriptors: the first is a file with what is asked, the second a channel for the answers.
    x   run a command; also its stdin, stdout, stderr, and what it shall have as descriptor 3, if any.
        +, then =<exit code>, with ` memory` after it when it was stopped for that. It can be told k, to kill it
    r   open a file to read: + with its descriptor
    w   open a file to write: + with its descriptor. It is told c when all is written, or q when it never will be: +
    l   write a list of files to the descriptor that comes as the third: +
Instead of + there may be -<errno>. Closing the channel takes back whatever has not come to its end.
"""

# Without pathlib and contextlib, since to import them takes longer than to begin a command.
# ruff: noqa: PTH123, SIM105

from __future__ import annotations

import _ctypes
import _socket
import errno
import marshal
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal as _signal
    import stat as _stat
    from collections.abc import Container
    from typing import Any, NoReturn
else:
    import _signal
    import _stat
    import posix as os

TICK = 100  # ms between two looks at what the commands use
PATIENCE = 5000  # how often it looks for processes that will not go, before all of the sandbox has to
CROWD = 256  # ended processes that it takes note of, before it listens again

_PDEATHSIG, _DUMPABLE, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 36, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGE = sum(1 << bit for bit in (1, 4, 5, 7, 8, 9, 10, 12, 13, 14))  # all that writes, but for making devices
_DEVICES = 1 << 6 | 1 << 11


class Command:
    """A command at work.

    What a command leaves behind comes to the supervisor. One that begins beside another has a keeper, a process of ours
    that adopts it instead: so nobody has to ask whose it was.

    Args:
        pid: of the keeper, if it has one.
        told: where the keeper says how the command ended, once nothing is left of it.
    """

    __slots__ = ("cause", "channel", "is_cleared", "pid", "told")

    def __init__(self, channel: _socket.socket, pid: int, told: int | None) -> None:
        self.channel = channel
        self.pid = pid
        self.told = told
        self.cause = b""
        self.is_cleared = False

    def end(self) -> None:
        if self.told is not None:
            os.kill(self.pid, _signal.SIGSTOP)  # it shall begin nothing any more
            self.is_cleared = _clear(self.pid, stopped=True) or self.is_cleared
        os.kill(self.pid, _signal.SIGKILL)

    def ending(self, status: int) -> int:
        """The exit code, by what is known of the process; negative is a signal."""
        if self.told is None:
            return os.waitstatus_to_exitcode(status)
        said = os.read(self.told, 8)
        self.is_cleared = self.is_cleared or bool(said)
        return int(said or b"-9")


class Draft:
    """A file that the host is writing, not yet under its name."""

    __slots__ = ("begun", "channel", "made", "path")

    def __init__(self, channel: _socket.socket, path: str, begun: str, made: list[str]) -> None:
        self.channel = channel
        self.path = path
        self.begun = begun
        self.made = made

    def take_back(self) -> None:
        try:
            os.unlink(self.begun)
            for folder in reversed(self.made):
                os.rmdir(folder)
        except OSError:
            pass  # somebody in the sandbox was faster, or uses the folder


class Supervisor:
    def __init__(self, control: int, home: str, files: int | None, memory: int | None) -> None:
        self._home = home
        self._control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, control)
        self._begun_with = _files_in_use()
        self._most_files = None if files is None else self._begun_with + files
        self._most_memory = memory
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
            answer(channel, asked, fds[2:])
        except OSError as error:
            _say(channel, b"-%d" % (error.errno or errno.EIO))
        finally:
            for fd in (fds[0], *fds[2:]):
                os.close(fd)

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
        if word == b"c":
            self._commit(work)
        else:
            work.take_back()
            _say(work.channel, b"+")
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
        folder = self._inside(asked["cwd"])
        if not _stat.S_ISDIR(os.stat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "")
        commands = self._commands()
        try:
            if all(command.told is not None for command in commands):
                pid, told = _execute(asked["argv"], asked["env"], folder, fds), None
            else:
                pid, told = _kept(asked["argv"], asked["env"], folder, fds)
        except (OSError, ValueError) as error:
            _say(channel, b"+")
            _say(channel, b"=%d" % _complain(fds[2], asked["argv"][0], error))
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
                _clear_all()
            elif not all(command.is_cleared for command, _ in ended):
                _clear(os.getpid(), living)
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
        if too_many or (self._most_memory and _memory_in_use() > self._most_memory):
            for command in commands:
                command.cause = b" memory"
                command.end()

    # Files

    def _read(self, channel: _socket.socket, asked: dict[str, Any], _: list[int]) -> None:
        # Without O_NONBLOCK a pipe would hold us up.
        file = os.open(self._inside(asked["path"]), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            mode = os.fstat(file).st_mode
            if not _stat.S_ISREG(mode):
                raise OSError(errno.EISDIR if _stat.S_ISDIR(mode) else errno.EINVAL, "")
            _say(channel, b"+", file)
        finally:
            os.close(file)

    def _write(self, channel: _socket.socket, asked: dict[str, Any], _: list[int]) -> None:
        import posixpath

        folder, name = posixpath.split(asked["path"])
        made: list[str] = []
        folder = self._inside(folder, made)
        path = posixpath.join(folder, name)
        if posixpath.isdir(path):
            raise IsADirectoryError(errno.EISDIR, "")
        begun = posixpath.join(folder, f".{os.urandom(8).hex()}.new")
        draft = Draft(channel, path, begun, made)
        try:
            file = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            draft.take_back()
            raise
        self._remember(draft)
        _say(channel, b"+", file)
        os.close(file)

    def _commit(self, draft: Draft) -> None:
        try:
            os.rename(draft.begun, draft.path)
        except OSError as error:
            draft.take_back()
            _say(draft.channel, b"-%d" % (error.errno or errno.EIO))
        else:
            _say(draft.channel, b"+")

    def _list(self, channel: _socket.socket, asked: dict[str, Any], fds: list[int]) -> None:
        root = len(self._home) + 1
        folders = [self._inside(asked["path"])]
        with open(fds[0], "wb", closefd=False) as answer, os.scandir(folders[0]):
            while folders:
                try:
                    entries = list(os.scandir(folders.pop()))
                except OSError:
                    continue  # it went away meanwhile, or its path is too long for anybody
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        told = b"d0"
                    elif entry.is_file(follow_symlinks=False):
                        told = b"f%d" % entry.stat(follow_symlinks=False).st_size
                    else:
                        continue
                    answer.write(told + b"\0" + entry.path[root:].encode("utf-8", "surrogateescape") + b"\0")
        _say(channel, b"+")

    def _inside(self, path: str, made: list[str] | None = None) -> str:
        """Where a path of the working folder is, all links followed; folders that are missing are made when wanted.

        The walls do not hang on this: everything that can be named in here belongs to the sandbox.
        """
        if not path:
            return self._home
        import posixpath  # not before: it brings the rest of `os` along

        real = posixpath.realpath(posixpath.join(self._home, path))
        if real != self._home and not real.startswith(self._home + "/"):
            raise OSError(errno.EXDEV, "")
        if made is not None:
            missing: list[str] = []
            above = real
            while not posixpath.lexists(above):
                missing.append(above)
                above = posixpath.dirname(above)
            for folder in reversed(missing):
                os.mkdir(folder)
                made.append(folder)
        return real


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
    for kind, bound in setup["bounds"].items():
        _bound(kind, bound)
    _prctl(_NO_NEW_PRIVS, 1)
    _prctl(_DUMPABLE, 0)  # the commands run as the same user, and shall not write into this process
    _prctl(_PDEATHSIG, _signal.SIGKILL)  # forgotten when the user changed
    _confine(setup["writable"])
    Supervisor(setup["control"], setup["home"], setup["files"], setup["memory"]).serve()


def _kept(argv: list[str], env: dict[str, str], folder: str, fds: list[int]) -> tuple[int, int]:
    """Begin a command with a keeper; gives the keeper, and where it says how the command ended."""
    told, telling = os.pipe()
    try:
        keeper = os.fork()
        if keeper == 0:
            _keep(argv, env, folder, fds, telling)
    except OSError:
        os.close(told)
        raise
    finally:
        os.close(telling)
    return keeper, told


def _keep(argv: list[str], env: dict[str, str], folder: str, fds: list[int], telling: int) -> NoReturn:
    """Begin the command, reap for it, end what it leaves, and say how it ended."""
    try:
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        _prctl(_SUBREAPER, 1)
        try:
            command = _execute(argv, env, folder, fds)
        except (OSError, ValueError) as error:
            os.write(telling, b"%d" % _complain(fds[2], argv[0], error))
            os._exit(0)
        os.closerange(0, telling)  # nobody waits for the end of a pipe that only the keeper holds
        os.closerange(telling + 1, 1 << 16)
        pid, status = 0, 0
        while pid != command:
            pid, status = os.wait()
        _clear(os.getpid())
        os.write(telling, b"%d" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _execute(argv: list[str], env: dict[str, str], folder: str, fds: list[int]) -> int:
    """Begin the program, which is looked for where the command's own environment says.

    To spawn it takes half as long as to fork: no memory of an interpreter is copied, only to be thrown away.
    """
    os.chdir(folder)
    places = [""] if "/" in argv[0] else env.get("PATH", "/bin:/usr/bin").split(":")
    given = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(fds)]
    ignored = (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ)  # the last two by Python
    refused: OSError = FileNotFoundError(errno.ENOENT, "")
    for place in places:
        try:
            program = f"{place}/{argv[0]}" if place else argv[0]
            os.stat(program)  # to begin what is not there costs a process as well
            command = os.posix_spawn(program, argv, env, file_actions=given, setsid=True, setsigdef=ignored)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            refused = error
        else:
            _first_to_go(command)
            return command
    raise refused


def _wake(*_: object) -> None:
    """A signal that has a handler ends the wait for descriptors."""


def _first_to_go(command: int) -> None:
    """When memory is short, the kernel takes a command and what it begins, and never the supervisor."""
    try:
        file = os.open(f"/proc/{command}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # a program that nobody may read is not ours to look after, nor is one that has ended
    try:
        os.write(file, b"1000")
    except ProcessLookupError:
        pass
    finally:
        os.close(file)


def _clear_all() -> None:
    """End whatever is left: one call of the kernel, from which no process can run away by having children."""
    while True:
        try:
            os.kill(-1, _signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _clear(top: int, spared: Container[int] = (), *, stopped: bool = False) -> bool:
    """End what is below a process, but for those of its children that are spared, with all that is below these.

    Returns False when it has ended itself: then what was below it has come to us.

    Args:
        stopped: it has to be stopped as well, so that nothing comes after.
    """
    for _ in range(PATIENCE):
        living = _living()
        if top not in living:
            return False
        strays = {pid for pid, (parent, _) in living.items() if parent == top and pid not in spared}
        grown = 0
        while grown != len(strays):
            grown = len(strays)
            strays |= {pid for pid, (parent, _) in living.items() if parent in strays}
        if not strays and (not stopped or living[top][1] == b"T"):
            return True
        for pid in strays:
            try:
                os.kill(pid, _signal.SIGKILL)
            except ProcessLookupError:
                pass
        select.poll().poll(1)
    os._exit(1)


def _living() -> dict[int, tuple[int, bytes]]:
    """Parent and state of each process, but for those that are dead and only not yet reaped."""
    found: dict[int, tuple[int, bytes]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    told = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            state, parent, threads = told[0], int(told[1]), int(told[17])
            if state not in b"ZX" or threads > 1:  # its first thread may be dead, and others live
                found[int(name)] = (parent, state)
    return found


def _files_in_use() -> int:
    room = os.statvfs("/")
    return room.f_files - room.f_ffree


def _memory_in_use() -> int:
    """Bytes of all processes that are not pages of a file."""
    total = 0
    for pid in _living():
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))
    return total * 1024


def _confine(writable: list[str]) -> None:
    """A second wall, where the kernel has Landlock: nothing is written but in these folders."""
    abi = _syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 2:
        return  # the first version would also forbid to rename a file into another folder
    handled = (_CHANGE | _DEVICES) & ~(_TRUNCATE if abi < 3 else 0)
    ruleset = _syscall(_CREATE_RULESET, handled.to_bytes(8, sys.byteorder), 8, 0)
    if ruleset < 0:
        return
    for path in writable:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = _CHANGE if _stat.S_ISDIR(os.fstat(file).st_mode) else _WRITE_FILE | _TRUNCATE
        rule = (rights & handled).to_bytes(8, sys.byteorder) + file.to_bytes(4, sys.byteorder)
        if _syscall(_ADD_RULE, ruleset, 1, rule, 0) < 0:
            raise OSError(errno.EINVAL, path)
        os.close(file)
    if _syscall(_RESTRICT_SELF, ruleset, 0) < 0:
        raise OSError(errno.EPERM, "landlock")
    os.close(ruleset)


def _say(channel: _socket.socket, word: bytes, file: int | None = None) -> None:
    rights = [] if file is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, file.to_bytes(4, sys.byteorder))]
    try:
        channel.sendmsg([word], rights)
    except OSError:
        pass  # nobody listens any more


def _complain(stderr: int, program: str, error: Exception) -> int:
    """Say why a command did not begin; gives the exit code for that."""
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
    try:
        os.write(stderr, f"{program}: {reason}\n".encode(errors="replace"))
    except OSError:
        pass  # nobody listens any more
    return 127 if isinstance(error, FileNotFoundError) else 126


_libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # None is this program, the C library included


def _bound(kind: int, most: int) -> None:
    size = 8 if sys.maxsize > 1 << 32 else 4
    both = (most % (1 << 8 * size)).to_bytes(size, sys.byteorder) * 2  # -1 is no bound
    if _ctypes.call_function(_ctypes.dlsym(_libc, "setrlimit"), (kind, both)) != 0:
        raise OSError(errno.EPERM, "setrlimit")


def _prctl(option: int, value: int) -> None:
    if _ctypes.call_function(_ctypes.dlsym(_libc, "prctl"), (option, value, 0, 0, 0)) != 0:
        raise OSError(errno.EPERM, "prctl")


def _syscall(*arguments: int | bytes | None) -> int:
    return int(_ctypes.call_function(_ctypes.dlsym(_libc, "syscall"), arguments))
