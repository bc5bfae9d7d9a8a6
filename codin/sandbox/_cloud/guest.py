"""What runs in a rented machine: it does one thing that is asked of it, and tells how that went.

The source is sent along with what is asked, which is `r` here. It needs Python 3.9 and nothing beside it. Each line it
writes is a frame: the word that only the two sides know, a letter for the kind, and bytes as base64.
"""

# ruff: noqa: PTH101, PTH102, PTH108, PTH116, PTH123, PTH208  # it has descriptors rather than paths, and starts fast
# ruff: noqa: PLW1509  # one thread, and nothing between fork and exec but system calls
from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

BOX = "/tmp/codin"
WORK = f"{BOX}/work"
NEW = f"{BOX}/new"
USER = 61961  # of commands, where the guest is root: nobody, with nothing but the working folder
PIECE = 48 * 1024
BEAT = 5.0  # seconds between two signs of life
STOP_PASSES, PASSES, ENDING = 20, 60, 20.0
DESCRIPTORS = 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SUBREAPER, DUMPABLE, NO_NEW_PRIVILEGES = 36, 4, 38
FROM_DESCRIPTOR = "import os\nexec(compile(open({0}, 'rb').read(), '<string>', 'exec'))"

asked: dict[str, Any] = globals().get("r", {})
is_root = os.geteuid() == 0
prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl


def say(kind: str, data: bytes = b"") -> None:
    rest = f"{asked['word']}{kind}{base64.b64encode(data).decode()}\n".encode()
    while rest:
        rest = rest[os.write(1, rest) :]


def refuse(error: OSError) -> None:
    say("r", (error.strerror or str(error)).encode())


def ignore(number: int, frame: object) -> None:
    """A signal that interrupts, and does no more; unlike SIG_IGN it is not passed on to what is begun."""


# Files


def folder(path: str, make: bool = False) -> int:
    """A folder below the working folder, reached through no link."""
    with suppress(OSError):
        os.chmod(WORK, 0o700)  # which a command may have closed
    at = os.open(WORK, FOLDER)
    for part in path.split("/") if path else ():
        above = at
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=above)
            at = os.open(part, FOLDER, dir_fd=above)
        finally:
            os.close(above)
    return at


def write(path: str) -> None:
    """The file is put together elsewhere, so that nobody sees half of it."""
    over, _, name = path.rpartition("/")
    half = f"{NEW}/{asked['word']}"
    file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        say("s")
        for line in sys.stdin.buffer:
            if line[:1] != b"i":
                break
            rest = base64.b64decode(line[1:])
            while rest:
                rest = rest[os.write(file, rest) :]
            say("a")
        else:
            return
        if line[:1] == b"c":
            os.rename(half, name, dst_dir_fd=folder(over, make=True))
            say("x")
    finally:
        os.close(file)
        with suppress(FileNotFoundError):
            os.unlink(half)


def read(path: str, most: int) -> None:
    over, _, name = path.rpartition("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=folder(over))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OSError(0, "it is no file")
    while most > 0 and (piece := os.read(file, min(PIECE, most))):
        most -= len(piece)
        say("d", piece)
    say("x")


def tell_list(path: str, most: int) -> None:
    for entry in below(path):
        told = json.dumps(entry).encode()
        most -= len(told)
        if most < 0:
            raise OSError(0, "there are too many files to list")
        say("d", told)
    say("x")


def below(path: str) -> Iterator[tuple[str, int, bool]]:
    top = folder(path)
    for where, folders, files, at in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        inside = where[2:] + "/" if where != "." else ""
        for name in folders + files:
            try:
                info = os.stat(name, dir_fd=at, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode):
                is_folder = stat.S_ISDIR(info.st_mode)
                full = inside + name
                yield (f"{path}/{full}" if path else full), 0 if is_folder else info.st_size, is_folder


# Processes


def processes() -> dict[int, list[str]]:
    """The state, the parent and more of every process that has not ended."""
    seen: dict[int, list[str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            # The first thread of one may have ended, and others live.
            if fields and (fields[0] not in "ZX" or int(fields[17]) > 1):
                seen[int(name)] = fields
    return seen


def mine() -> set[int]:
    """Everything that the command began: what loses its parent becomes a child of this process."""
    children: dict[int, list[int]] = {}
    for process, fields in processes().items():
        children.setdefault(int(fields[1]), []).append(process)
    found: set[int] = set()
    ahead = [os.getpid()]
    while ahead:
        new = children.get(ahead.pop(), [])
        found.update(new)
        ahead += new
    return found


def signal_all(targets: set[int], number: int) -> None:
    for process in targets:
        with suppress(OSError):
            os.kill(process, number)


def end_all(is_any_left: Callable[[], bool]) -> bool:
    """Kill what the command began. False when that cannot be done."""
    deadline = time.monotonic() + ENDING
    passes = 0
    while time.monotonic() < deadline:
        if not is_any_left():
            return True
        left = mine()
        stopped: set[int] = set()
        # What is stopped begins no other.
        while left - stopped and passes < STOP_PASSES:
            signal_all(left - stopped, signal.SIGSTOP)
            stopped |= left
            left = mine()
            passes += 1
        signal_all(left | stopped, signal.SIGKILL)
        passes += 1
        if is_root and passes > PASSES:
            # One that begins others faster than they are found takes its neighbours along.
            if (helper := os.fork()) == 0:
                os.setuid(USER)
                os.kill(-1, signal.SIGKILL)
                os._exit(0)
            os.waitpid(helper, 0)
    return False


def sweep(since: int) -> None:
    """Kill what began after the sandbox did, where a command has killed the guest that would have ended it."""
    seen = processes()
    at = os.getpid()
    keep = {at}
    while at in seen and at > 1:
        at = int(seen[at][1])
        keep.add(at)
    for _ in range(STOP_PASSES):  # what begins others hides behind them for a while
        young = {process for process, fields in processes().items() if int(fields[19]) > since}
        signal_all(young - keep, signal.SIGKILL)
    say("x")


def out_of_memory() -> int:
    """How often something was killed for want of memory, in this machine or this container."""
    told = 0
    for path in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with suppress(OSError), open(path, encoding="ascii") as file:
            told += sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    return told


def threads_of_mine() -> int:
    count = 0
    for process, fields in processes().items():
        with suppress(OSError):
            if os.stat(f"/proc/{process}").st_uid == os.geteuid():
                count += int(fields[17])
    return count


def bound(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def become(at: int, limits: dict[str, int], others: int) -> None:
    """In the process that will be the command: nobody, with bounds that it cannot raise."""
    os.fchdir(at)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("500")
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_FSIZE, limits["disk"])
    bound(resource.RLIMIT_NOFILE, DESCRIPTORS)
    bound(resource.RLIMIT_DATA, limits["memory"])
    bound(resource.RLIMIT_NPROC, limits["processes"] + others)
    os.umask(0o022)
    if is_root:
        drop()
    prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def drop() -> None:
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)


class Command:
    """One command, from its beginning until nothing of it is left."""

    def __init__(self, process: subprocess.Popen[bytes], budget: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.input = process.stdin.fileno()
        self.kinds = {process.stdout.fileno(): "o", process.stderr.fileno(): "e"}
        self.open = set(self.kinds)
        self.budget = budget
        self.code: int | None = None
        self.killed = False
        self.held = b""
        self.pending = b""
        self.no_more = False
        self.wake, bell = os.pipe()
        for fd in (self.input, self.wake, bell, *self.kinds):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, ignore)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)

    def run(self) -> None:
        beat = time.monotonic()
        self.reap()
        while self.code is None and not self.killed:
            feeding = [self.input] if self.pending and self.input >= 0 else []
            reading = [0, self.wake, *(self.open if self.budget > 0 else ())]
            ready, writable, _ = select.select(reading, feeding, [], BEAT)
            if time.monotonic() - beat >= BEAT:
                beat = time.monotonic()
                say("h")
            if writable:
                self.feed()
            if 0 in ready:
                self.hear()
            for fd in self.open & set(ready):
                self.pass_on(fd)
            if self.wake in ready:
                os.read(self.wake, 4096)
                self.reap()

    def finish(self, kills: int) -> None:
        if not end_all(self.reap):
            return  # whoever asked finds that nobody answers any more
        while self.budget > 0 and sum(self.pass_on(fd) for fd in list(self.open)):
            pass
        code = -9 if self.code is None else self.code
        cause = "killed" if self.killed else "exited"
        if code == -9 and not self.killed and out_of_memory() > kills:
            cause = "memory"
        say("x", f"{code} {cause}".encode())

    def reap(self) -> bool:
        """Take note of what has ended. Whether anything is left of the command, of which the kernel alone is sure."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                if ended[0] == self.process.pid:
                    self.code = self.process.returncode = os.waitstatus_to_exitcode(ended[1])
            return True
        return False

    def hear(self) -> None:
        try:
            told = os.read(0, 1 << 16)
        except OSError:
            told = b""
        if not told:
            self.killed = True  # nobody is left who would want it
        *lines, self.held = (self.held + told).split(b"\n")
        for line in lines:
            if line[:1] == b"i":
                self.pending += base64.b64decode(line[1:])
                if self.input < 0:
                    self.taken()
            elif line[:1] == b"z":
                self.no_more = True
                self.end_input()
            elif line[:1] == b"k":
                self.killed = True

    def feed(self) -> None:
        try:
            self.pending = self.pending[os.write(self.input, self.pending) :]
        except BlockingIOError:
            return
        except OSError:
            self.no_more, self.pending = True, b""
        if not self.pending:
            self.taken()

    def taken(self) -> None:
        self.pending = b""
        say("a")
        self.end_input()

    def end_input(self) -> None:
        if self.no_more and not self.pending and self.input >= 0:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.input = -1

    def pass_on(self, fd: int) -> bool:
        try:
            piece = os.read(fd, PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self.open.discard(fd)
            return False
        self.budget -= len(piece)
        say(self.kinds[fd], piece)
        return True


def run() -> None:
    prctl(SUBREAPER, 1, 0, 0, 0)
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": WORK, "LANG": "C.UTF-8", **asked["env"]}
    argv, passed = asked["argv"], ()
    if "code" in asked:
        source = os.memfd_create("code")
        os.write(source, asked["code"].encode())
        os.lseek(source, 0, os.SEEK_SET)
        argv, passed = [sys.executable, "-B", "-c", FROM_DESCRIPTOR.format(source)], (source,)
    if is_root:
        os.setegid(USER)
        os.seteuid(USER)
    at = folder(asked["cwd"])
    if is_root:
        os.seteuid(0)
        os.setegid(0)
    limits, kills = asked["limits"], out_of_memory()
    others = 0 if is_root else threads_of_mine()
    say("s")
    try:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, pass_fds=passed, start_new_session=True,
            preexec_fn=lambda: become(at, limits, others), restore_signals=True, bufsize=0,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        say("e", f"{argv[0]}: {getattr(error, 'strerror', None) or error}\n".encode(errors="replace"))
        say("x", b"127 exited" if isinstance(error, FileNotFoundError) else b"126 exited")
        return
    command = Command(process, asked["budget"])
    command.run()
    command.finish(kills)


def begin() -> None:
    os.mkdir(BOX, 0o711)
    for path in (WORK, NEW):
        os.mkdir(path, 0o700)
        if is_root:
            os.chown(path, USER, USER)
    told = {"root": is_root, "since": int(processes()[os.getpid()][19])}
    say("d", json.dumps(told).encode())
    say("x")


def main() -> None:
    prctl(DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGHUP, ignore)  # the end of the input says so too, and leaves time to clean up
    what = asked["do"]
    if is_root and what in ("write", "read", "list"):
        drop()
    try:
        if what == "run":
            run()
        elif what == "begin":
            begin()
        elif what == "sweep":
            sweep(asked["since"])
        elif what == "write":
            write(asked["path"])
        elif what == "read":
            read(asked["path"], asked["most"])
        elif what == "list":
            tell_list(asked["path"], asked["most"])
    except OSError as error:
        refuse(error)


if asked:
    main()
