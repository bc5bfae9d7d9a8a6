"""What a sandbox is told, and what it tells: plain data, the same for every back-end."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from codin.errors import ConfigError, ExecFailed, ExecTimeout, FilesExceeded, MemoryExceeded, OutputExceeded
from codin.sandbox._checks import check_env, check_number, check_whole, check_word

__all__ = [
    "Code",
    "Ending",
    "ExecResult",
    "FileInfo",
    "Guarantee",
    "Limits",
    "Mount",
    "Output",
    "Policy",
    "Process",
    "Snapshot",
    "Stream",
]

MIB = 1024 * 1024
UNBOUNDED = 1 << 62
"""Of memory, processes, cores, disk or files: as much as the machine has. Only the local sandbox knows it."""

FLOOD = 16
"""Times the output that is kept: whoever writes more than that is not writing for a reader, and is killed."""

LAST = 128 * 1024
"""Bytes that are kept of the end of a stream, where it is longer than what is kept of its beginning."""

Guarantee = Literal["files", "network", "processes", "syscalls", "memory", "cpu", "disk", "time"]
"""What a sandbox can promise.

files: nothing of the host is seen but what the policy mounts. network: the policy's word on it. processes: no other
process is seen or reached, their number is bounded, and none outlives its command. syscalls: the kernel's dangerous
doors are shut. memory, cpu, disk: the limits hold for all processes together. time: a command that takes too long
ends, with everything it began.
"""

Stream = Literal["stdout", "stderr"]

_OWN = ("/", "/box", "/dev", "/etc", "/proc", "/run", "/var")
"""Places that a sandbox makes for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What everything in one sandbox may use at most.

    Args:
        cpu: cores.
        memory: bytes.
        processes: at one time, threads counted. Commands side by side in a local sandbox count for one more each.
        disk: bytes of files, all folders that can be written together.
        files: how many files; where a back-end cannot count them, `memory` bounds them.
        output: bytes that are kept of stdout, and as many of stderr; of one that is longer, the last 128 KiB as well.
            A command that writes sixteen times as much is killed.
        time: seconds of one command; None for no bound.

    Raises:
        ConfigError: one of them is no number above 0.
    """

    cpu: float = 1.0
    memory: int = 256 * MIB
    processes: int = 64
    disk: int = 64 * MIB
    files: int = 10_000
    output: int = MIB
    time: float | None = 30.0

    def __post_init__(self) -> None:
        check_number("cpu", self.cpu)
        for name in ("memory", "processes", "disk", "files", "output"):
            check_whole(name, getattr(self, name))
        if self.time is not None:
            check_number("time", self.time, hint="None is no bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of the host that the sandbox sees.

    Args:
        source: where it is on the host.
        target: where the sandbox sees it, an absolute path; the same path when not given.
        writable: what the sandbox writes there, it writes on the host.

    Raises:
        ConfigError: one of the paths is none, or the sandbox sees something of its own there.
    """

    source: Path
    target: str = ""
    writable: bool = False

    def __post_init__(self) -> None:
        source: Any = self.source
        if not isinstance(source, str | Path):
            raise ConfigError(f"source={source!r} is no path", hint='Mount(source=Path("data"))')
        object.__setattr__(self, "source", Path(source))
        if self.target and not self.target.startswith("/"):
            raise ConfigError(f"target={self.target!r} is no absolute path", hint='"" is where it is on the host')
        if (place := self.place) in _OWN or place.startswith("/proc/"):
            raise ConfigError(
                f"target={place!r} is a place of the sandbox's own, onto which nothing is mounted",
                hint=f"those are {', '.join(_OWN)} and all below /proc; below the others there is room",
            )

    @property
    def place(self) -> str:
        """Where the sandbox sees it, without detours."""
        return posixpath.normpath(self.target or str(self.source.absolute())).replace("//", "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a sandbox has to keep. One that cannot keep what is demanded does not open.

    Args:
        limits: what may be used.
        network: `none`, or `full` for the network of the host with everything that listens on it.
        mounts: what is seen of the host beside the programs that every command needs.
        env: the environment of every command; nothing of the host's is passed on.
        demands: the guarantees without which it does not open. Leaving one out is how to say that it need not hold.

    Raises:
        ConfigError: a field has a value that it cannot have.
    """

    limits: Limits = field(default_factory=Limits)
    network: Literal["none", "full"] = "none"
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    demands: frozenset[Guarantee] = frozenset(
        {"files", "network", "processes", "syscalls", "memory", "cpu", "disk", "time"}
    )

    def __post_init__(self) -> None:
        limits: Any = self.limits
        if not isinstance(limits, Limits):
            raise ConfigError(f"limits={limits!r} are none", hint="limits=Limits(time=10)")
        check_word("network", self.network, ("none", "full"))
        mounts: tuple[Any, ...] = tuple(self.mounts)
        if not all(isinstance(each, Mount) for each in mounts):
            raise ConfigError(f"mounts={mounts!r} are none", hint='mounts=[Mount(source=Path("data"))]')
        check_env(self.env)
        for demand in self.demands:
            check_word("demands", demand, get_args(Guarantee))
        object.__setattr__(self, "mounts", mounts)
        object.__setattr__(self, "demands", frozenset(self.demands))


@dataclass(frozen=True, slots=True)
class Code:
    """A program instead of a command. It is run by the interpreter of the sandbox, which need not be this one."""

    source: str
    language: Literal["python"] = "python"

    def __post_init__(self) -> None:
        check_word("language", self.language, ("python",))
        if not isinstance(self.source, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"source={type(self.source).__name__} is no text")
        try:
            self.source.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"the code is no text: at {error.start} is half of a letter",
                hint="a letter beyond U+FFFF is one character, or two escapes of which neither can be left out",
            ) from None


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a command writes, as it comes; a piece is not a line."""

    stream: Stream
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: `exited` by itself, `killed`, or for too much `memory` or too many `files`. Killed by signal
    n is -n.
    """

    exit_code: int
    cause: Literal["exited", "files", "killed", "memory"] = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What came of a command.

    Attributes:
        exit_code: 0 is success; -n when signal n killed it.
        stdout: the first `Limits.output` bytes of it; `stderr` alike.
        truncated: it wrote more than that.
        last: by stream, the end of what it wrote behind that, 128 KiB at most.
        ended: `exited` by itself, `killed` from outside, or what it had too much of: `time`, `memory`, `output`,
            `files`.
        seconds: from start to end.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    ended: Literal["exited", "files", "killed", "memory", "output", "time"]
    seconds: float
    last: Mapping[Stream, bytes] = field(default_factory=dict[Stream, bytes])

    @property
    def ok(self) -> bool:
        return self.ended == "exited" and self.exit_code == 0

    @property
    def text(self) -> str:
        """stdout as text; what is no UTF-8 becomes U+FFFD."""
        return self.stdout.decode(errors="replace")

    @property
    def said(self) -> str:
        """The last line of stderr, where most programs say why they fail; 500 characters of it at most."""
        end = self.last.get("stderr", self.stderr)
        return end.decode(errors="replace").strip().rsplit("\n", 1)[-1][:500]

    def check(self) -> ExecResult:
        """The result itself when the command succeeded.

        Raises:
            ExecTimeout, MemoryExceeded, OutputExceeded, FilesExceeded: it was killed for that.
            ExecFailed: any other end but exit code 0.
        """
        if self.ok:
            return self
        said = f": {self.said}" if self.said else ""
        match self.ended:
            case "time":
                raise ExecTimeout(f"the command was stopped after {self.seconds:.1f} s{said}", result=self)
            case "memory":
                hint = "raise Limits.memory; where files lie in memory, they count as well"
                raise MemoryExceeded(f"the command took more memory than it may{said}", result=self, hint=hint)
            case "output":
                raise OutputExceeded("the command wrote far more than the bound on its output", result=self)
            case "files":
                hint = "raise Limits.files"
                raise FilesExceeded(f"the command made more files than it may{said}", result=self, hint=hint)
            case _:
                raise ExecFailed(f"the command ended with exit code {self.exit_code}{said}", result=self)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or folder of the working folder; `path` is relative to it, with slashes. `size` is in bytes."""

    path: str
    size: int
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a sandbox at one moment, to begin another one with, of any kind."""

    files: Mapping[str, bytes]


class Process(Protocol):
    """A command that runs, as a back-end knows it; `Execution` is what users see of it."""

    async def read(self) -> Output | None:
        """The next piece of output, of any size up to 64 KiB; None when both streams have ended."""
        ...

    async def write(self, chunk: bytes, /) -> None:
        """Give it input. Does nothing when it no longer reads."""
        ...

    async def end_input(self) -> None: ...

    async def wait(self) -> Ending:
        """How it ended. When this answers, nothing that it began runs any more."""
        ...

    async def kill(self) -> None:
        """End it at once, with everything it began. Does nothing when it has ended."""
        ...
