"""Which calls of the kernel a command may make, as a seccomp filter."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable, Mapping
from functools import cache

__all__ = ["filter_program"]

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}
_LAST = 1024  # none of them has a call with a greater number

# Doors to other processes, to the kernel's own memory and settings, and to more rights.
_SHUT = [
    *("acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "create_module"),
    *("delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms"),
    *("init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp"),
    *("kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "migrate_pages", "mount", "mount_setattr"),
    *("move_mount", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree"),
    *("perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev"),
    *("ptrace", "query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname"),
    *("setns", "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare", "uselib", "userfaultfd", "ustat"),
    *("vhangup", "vmsplice"),
    "mq_open",  # a queue outlives its command, in no folder from which it could be taken away
]
# Memory that belongs to no process, and is counted by a control group only.
_UNCOUNTED = ["memfd_create", "memfd_secret", "msgget", "semget", "shmget"]
# The flags of `clone3` lie in memory, where no filter can look. Who misses it takes `clone`.
_MISSING = ["clone3"]
_NAMESPACES = 0x7E020000  # the flags of `clone` that make one
# What the first argument has to be: bits to look at, and their values.
_IN_PART: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "clone": (_NAMESPACES, (0,)),
    "personality": (0xFFFFFFFF, (0, 0xFFFFFFFF)),  # Linux itself, and the question which it is
    "prlimit64": (0xFFFFFFFF, (0,)),  # its own limits, no other process's
    "socket": (0xFFFFFFFF, (1, 2, 10, 16)),  # unix, inet, inet6, netlink; others may know no network namespaces
}
# What an argument must not be, by its place: 1 is the supervisor, and the first of the last two says "all of the user",
# the supervisor with them. Were it given less time than the commands have, it could not end them.
_BUT: Mapping[str, tuple[tuple[int, int], ...]] = {
    **dict.fromkeys(("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"), ((0, 1),)),
    "ioprio_set": ((0, 3), (1, 1)),
    "setpriority": ((0, 2), (1, 1)),
}

_LOAD, _AND, _EQUAL, _FROM, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # of `struct seccomp_data`; the lower half, all that is used
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NO, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


@cache
def filter_program(*, counted: bool, pinned: bool) -> bytes | None:
    """The filter in the form that the kernel takes; None when it cannot be made here.

    libseccomp tells the numbers. A call that it does not know does not exist for a command, so that a new kernel opens
    no new door.

    Args:
        counted: a control group bounds memory.
        pinned: the processors that it runs on are its bound, and it may not choose others.
    """
    architecture = _ARCHITECTURES.get(platform.machine())
    names = _names() if architecture is not None else {}
    if architecture is None or not names:
        return None
    shut = {*_SHUT, *(() if counted else _UNCOUNTED), *(("sched_setaffinity",) if pinned else ())}
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), _end(_KILL), (_LOAD, 0, 0, _NUMBER)]
    verdicts = [_UNKNOWN] * (_LAST + 1)
    for number, name in names.items():
        if name in shut:
            verdicts[number] = _NO
        elif name in _IN_PART:
            lines += _only_if(number, *_IN_PART[name])
        elif name in _BUT:
            lines += _unless(number, _BUT[name])
        elif name not in _MISSING:
            verdicts[number] = _ALLOW
    for number in range(_LAST, 0, -1):
        if verdicts[number] != verdicts[number - 1]:
            lines += [(_FROM, 0, 1, number), _end(verdicts[number])]
    lines.append(_end(verdicts[0]))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


_Line = tuple[int, int, int, int]  # what to do, lines to skip if so, if not, and a value


def _only_if(number: int, mask: int, values: Iterable[int]) -> list[_Line]:
    checks = [line for value in values for line in ((_EQUAL, 0, 1, value), _end(_ALLOW))]
    block = [(_LOAD, 0, 0, _FIRST_ARGUMENT), (_AND, 0, 0, mask), *checks, _end(_NO)]
    return [(_EQUAL, 0, len(block), number), *block]


def _unless(number: int, refused: Iterable[tuple[int, int]]) -> list[_Line]:
    checks = [
        line
        for argument, value in refused
        for line in ((_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * argument), (_EQUAL, 0, 1, value), _end(_NO))
    ]
    block = [*checks, _end(_ALLOW)]
    return [(_EQUAL, 0, len(block), number), *block]


def _end(verdict: int) -> _Line:
    return (_RETURN, 0, 0, verdict)


def _names() -> dict[int, str]:
    """The calls of this architecture by number; empty without libseccomp."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return {}
    resolve = library.seccomp_syscall_resolve_num_arch
    resolve.restype = ctypes.c_void_p
    # Each text is the caller's to free; a few kilobytes, once in a process.
    texts = {number: resolve(0, number) for number in range(_LAST)}
    return {number: ctypes.string_at(text).decode() for number, text in texts.items() if text}
