"""What the supervisor asks of the kernel by itself: bounds, no way back to a right, Landlock, and to forget."""

from __future__ import annotations

import _ctypes
import errno
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import stat as _stat
else:
    import _stat
    import posix as os

__all__ = ["adopt_orphans", "bound", "close_in", "confine", "remove"]

_PDEATHSIG, _DUMPABLE, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 36, 38
_SIGKILL = 9
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGE = sum(1 << bit for bit in (1, 4, 5, 7, 8, 9, 10, 12, 13, 14))  # all that writes, but for making devices
_DEVICES = 1 << 6 | 1 << 11


def close_in() -> None:
    """Nobody gets a right that is not there, looks into this process, or outlives the host."""
    _prctl(_NO_NEW_PRIVS, 1)
    _prctl(_DUMPABLE, 0)  # the commands run as the same user, and shall not write into this process
    _prctl(_PDEATHSIG, _SIGKILL)  # forgotten when the user changed


def adopt_orphans() -> None:
    """What a descendant of this process leaves comes to it."""
    _prctl(_SUBREAPER, 1)


def bound(kind: int, most: int) -> None:
    """A bound that holds for this process and all that it begins; -1 is none."""
    size = 8 if sys.maxsize > 1 << 32 else 4
    both = (most % (1 << 8 * size)).to_bytes(size, sys.byteorder) * 2
    if _ctypes.call_function(_ctypes.dlsym(_libc, "setrlimit"), (kind, both)) != 0:
        raise OSError(errno.EPERM, "setrlimit")


def confine(writable: list[str]) -> None:
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


def remove(kind: str, number: int) -> None:
    """Remove what System V keeps, a `shm`, a `msg` or a `sem`."""
    _ctypes.call_function(_ctypes.dlsym(_libc, f"{kind}ctl"), (number, 0, 0))  # IPC_RMID is 0, wherever it stands


_libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # None is this program, the C library included


def _prctl(option: int, value: int) -> None:
    if _ctypes.call_function(_ctypes.dlsym(_libc, "prctl"), (option, value, 0, 0, 0)) != 0:
        raise OSError(errno.EPERM, "prctl")


def _syscall(*arguments: int | bytes | None) -> int:
    return int(_ctypes.call_function(_ctypes.dlsym(_libc, "syscall"), arguments))
