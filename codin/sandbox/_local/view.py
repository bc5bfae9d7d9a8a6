"""What a local sandbox sees of the machine, as arguments of bubblewrap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from codin.errors import SandboxUnavailable
from codin.sandbox._protocol import Policy

__all__ = ["HOME", "Interpreter", "etc", "interpreter_of", "seen", "writable"]

HOME = "/box"
_WRITABLE = (HOME, "/tmp", "/var/tmp", "/dev/shm")
_DEVICES = "/run/dev"
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ld.so.cache",
    "localtime",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
)
# What root may write there without any right: settings of the kernel, for all of the machine.
_KERNEL = ("acpi", "bus", "fs", "irq", "scsi", "sys", "sysrq-trigger")
_ASK = "import sys, json; print(json.dumps([sys.prefix, sys.base_prefix, sys.version, sys.implementation.cache_tag]))"


@dataclass(frozen=True)
class Interpreter:
    """The Python of a sandbox.

    Args:
        program: as it is named; of a virtual environment, its own.
        prefixes: the folders that it needs to see.
        same: it reads the byte code of the one that runs now.
    """

    program: Path
    prefixes: tuple[Path, ...]
    same: bool

    @cached_property
    def real(self) -> Path:
        """Without the virtual environment, whose packages the supervisor has no use for."""
        return self.program.resolve()


@cache
def interpreter_of(program: str) -> Interpreter:
    """Look at an interpreter. Raises SandboxUnavailable when it is none."""
    place = Path(program).absolute()
    if ".." in place.parts:  # the way there is none that the sandbox has; the last link is what a venv is known by
        place = place.parent.resolve() / place.name
    if str(place) == sys.executable:
        prefixes, same = (sys.prefix, sys.base_prefix), True
    else:
        try:
            asked = subprocess.run([place, "-I", "-c", _ASK], capture_output=True, check=True, timeout=30)
            *prefixes, version, tag = json.loads(asked.stdout)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise SandboxUnavailable(
                f"{program!r} is no Python that runs here", hint="give the path of a CPython of 3.9 or later"
            ) from error
        same = version == sys.version and tag == sys.implementation.cache_tag
    return Interpreter(place, tuple(map(Path, prefixes)), same)


def writable(policy: Policy) -> tuple[str, ...]:
    """The folders to write, all in one file system, so that one bound holds for them together.

    A home that the policy's environment names is one of them, with nothing of the host's in it.
    """
    home = policy.env.get("HOME", "/")
    return (*_WRITABLE, home) if home not in ("/", *_WRITABLE) and home.startswith("/") else _WRITABLE


def seen(policy: Policy, interpreter: Interpreter, *, root: bool = False) -> list[str]:
    """The file system: programs of the host to read, one bounded place to write, and what the policy mounts.

    Args:
        root: commands run as root.
    """
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return [
        *("--size", str(min(policy.limits.disk, most)), "--tmpfs", "/"),
        *_folders(Path("/dev"), Path("/run"), Path("/var")),
        # Before what may lie below them: a folder that is there keeps its mode.
        *(word for folder in writable(policy) for word in ("--perms", "1777", "--dir", folder)),
        *_programs(),
        *_prefixes(interpreter),
        *("--proc", "/proc"),
        *(word for name in _KERNEL if root for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
        *("--dev", _DEVICES, "--remount-ro", _DEVICES),
        *_devices(),
        *(_names() if policy.network == "full" else ()),
        *_mounts(policy),
        *("--chdir", HOME),
    ]


def etc(uid: int, gid: int) -> Mapping[str, str]:
    """Files that are made up, since those of the host tell of the host."""
    return {
        "/etc/passwd": f"root:x:0:0::/:/bin/false\nbox:x:{uid}:{gid}::{HOME}:/bin/sh\n",
        "/etc/group": f"root:x:0:\nbox:x:{gid}:\n",
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }


@cache
def _programs() -> tuple[str, ...]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _TOP:
        path = Path("/", name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += _bound(path, str(path))
    for name in _ETC:
        path = Path("/etc", name)
        if path.exists():
            words += _bound(path, str(path))
    return tuple(words)


@cache
def _prefixes(interpreter: Interpreter) -> tuple[str, ...]:
    """The interpreter where it lies, and where links to it point; what /usr has is there already."""
    wanted = [path for prefix in interpreter.prefixes for path in (prefix.resolve(), prefix)]
    done: list[Path] = [Path("/usr")]
    words: list[str] = []
    for path in wanted:
        if not any(path.is_relative_to(other) for other in done):
            done.append(path)
            words += _bound(path, str(path))
    return tuple(words)


def _devices() -> Iterator[str]:
    # Bubblewrap's own /dev would be a second place to write, with no bound; so it lies aside, and cannot be written to.
    for name in ("null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "pts", "ptmx"):
        yield from ("--symlink", f"{_DEVICES}/{name}", f"/dev/{name}")


def _names() -> Iterator[str]:
    """How the host finds others in its network."""
    for path in map(Path, ("/etc/resolv.conf", "/etc/hosts")):
        if path.exists():
            yield from _bound(path, str(path))


def _mounts(policy: Policy) -> Iterator[str]:
    for mount in policy.mounts:
        source = mount.source.absolute()
        if not source.exists():
            raise SandboxUnavailable(f"there is no {str(source)!r} to mount", hint="look at Policy.mounts")
        yield from _bound(source, mount.place, writable=mount.writable)


def _bound(source: Path, target: str, *, writable: bool = False) -> list[str]:
    above = [folder for folder in reversed(Path(target).parents) if folder != Path("/")]
    return [*_folders(*above), "--bind" if writable else "--ro-bind", str(source.resolve()), target]


def _folders(*folders: Path) -> Iterator[str]:
    """Folders that all may enter; those that bubblewrap makes by the way are its own."""
    for folder in folders:
        yield from ("--perms", "0755", "--dir", str(folder))
