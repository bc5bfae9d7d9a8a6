"""The processes of the commands: how they begin, and how nothing is left of them."""

# Without pathlib and contextlib, since to import them takes longer than to begin a command.
# ruff: noqa: PTH123, SIM105

from __future__ import annotations

import errno
import select

from codin.sandbox._local.inside.walls import adopt_orphans, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import os
    import signal as _signal
    from collections.abc import Container
    from typing import NoReturn
else:
    import _signal
    import posix as os

__all__ = ["Command", "clear_all", "clear_ipc", "clear_own", "complain", "execute", "kept", "memory_in_use"]

PATIENCE = 5000  # how often it looks for processes that will not go, before all of the sandbox has to
CHASES = 20  # how often it finds others than before, until everything has to stand still


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
        self.is_cleared = self.is_cleared or said[-1:].isdigit()
        return int(said.rstrip(b"?") or b"-9")


def kept(argv: list[str], env: dict[str, str], folder: str, fds: list[int]) -> tuple[int, int]:
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
        adopt_orphans()
        try:
            command = execute(argv, env, folder, fds)
        except (OSError, ValueError) as error:
            os.write(telling, b"%d" % complain(fds[2], argv[0], error))
            os._exit(0)
        os.closerange(0, telling)  # nobody waits for the end of a pipe that only the keeper holds
        os.closerange(telling + 1, 1 << 16)
        pid, status = 0, 0
        while pid != command:
            pid, status = os.wait()
        unsure = b"" if _clear(os.getpid()) else b"?"
        os.write(telling, b"%d%b" % (os.waitstatus_to_exitcode(status), unsure))
    finally:
        os._exit(0)


def execute(argv: list[str], env: dict[str, str], folder: str, fds: list[int]) -> int:
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


def clear_all() -> None:
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


def clear_ipc() -> None:
    """Remove what System V keeps: it is of no process and in no folder, and would take of the memory for ever."""
    for kind in ("shm", "msg", "sem"):
        try:
            file = os.open(f"/proc/sysvipc/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # a kernel that has none
        rest = b""
        while piece := os.read(file, 512):  # what is kept may be all the memory there is, but for this piece
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if (number := line.split()[1]).isdigit():  # else it is the heading
                    remove(kind, int(number))
        os.close(file)


def clear_own(spared: Container[int]) -> None:
    """End what has come to this process, but for those of its children that are spared, with all that is below these.

    Who begins others faster than they are found is caught when nothing moves: the kernel stops all at once.
    """
    if _clear(os.getpid(), spared):
        return
    if os.getpid() != 1:
        os._exit(1)  # others than ours would be stopped as well
    before, _ = _living()
    os.kill(-1, _signal.SIGSTOP)
    if not _clear(1, spared):
        os._exit(1)
    for pid in _living()[0]:
        if pid != 1 and (pid not in before or before[pid][1] != b"T"):
            _send(pid, _signal.SIGCONT)


def _clear(top: int, spared: Container[int] = (), *, stopped: bool = False) -> bool:
    """End what is below a process, but for those of its children that are spared, with all that is below these.

    Returns False when it has ended itself, whereby what was below it has come to us, or when there are ever new ones.

    Args:
        stopped: it has to be stopped as well, so that nothing comes after.
    """
    known: set[int] = set()
    chases = 0
    for _ in range(PATIENCE):
        living, dead = _living()
        if top not in living:
            return False
        strays = _below(top, living, spared)
        # One that ended while we looked may have left a child that we did not see.
        new = (strays | dead) - known
        if not strays and not new and (not stopped or living[top][1] == b"T"):
            return True
        known |= new
        chases += bool(new)
        if chases > CHASES:
            return False
        for pid in strays:
            _send(pid, _signal.SIGKILL)
        if strays or not new:
            select.poll().poll(1)
    os._exit(1)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _below(top: int, living: dict[int, tuple[int, bytes]], spared: Container[int]) -> set[int]:
    found = {pid for pid, (parent, _) in living.items() if parent == top and pid not in spared}
    grown = 0
    while grown != len(found):
        grown = len(found)
        found |= {pid for pid, (parent, _) in living.items() if parent in found}
    return found


def _living() -> tuple[dict[int, tuple[int, bytes]], set[int]]:
    """Parent and state of each process, and those that are dead or have ended meanwhile."""
    found: dict[int, tuple[int, bytes]] = {}
    dead: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            dead.add(int(name))
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    told = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            state, parent, threads = told[0], int(told[1]), int(told[17])
            if state not in b"ZX" or threads > 1:  # its first thread may be dead, and others live
                dead.remove(int(name))
                found[int(name)] = (parent, state)
    return found, dead


def memory_in_use() -> int:
    """Bytes of all processes that are not pages of a file."""
    total = 0
    for pid in _living()[0]:
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))
    return total * 1024


def complain(stderr: int, program: str, error: Exception) -> int:
    """Say why a command did not begin; gives the exit code for that."""
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
    try:
        os.write(stderr, f"{program}: {reason}\n".encode(errors="replace"))
    except OSError:
        pass  # nobody listens any more
    return 127 if isinstance(error, FileNotFoundError) else 126
