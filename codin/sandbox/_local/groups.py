"""Control groups: bounds that hold for all processes of a sandbox together. Versions 1 and 2, root's or delegated."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Literal

import anyio

from codin.sandbox._protocol import UNBOUNDED, Limits

__all__ = ["Group", "Groups", "bounded"]

Controller = Literal["memory", "pids", "cpu"]
CONTROLLERS: tuple[Controller, ...] = ("memory", "pids", "cpu")
_PERIOD = 100_000  # microseconds, of which a sandbox gets its share
_OURS = 2  # processes of a sandbox that are ours: its supervisor, and the keeper of a command
_MOST_PROCESSES = 1 << 22  # that any machine can have
_REMOVING = 5.0  # seconds that the kernel may take to see that the last process is gone


@dataclass(frozen=True)
class Groups:
    """Where this process may make control groups.

    Args:
        folders: by controller, the folder that ours go into; the same for all three in version 2.
        version: 1 or 2.
    """

    folders: Mapping[Controller, Path] = field(default_factory=dict[Controller, Path])
    version: int = 2

    @staticmethod
    def found() -> Groups:
        """What there is on this machine; empty when there is nothing that this process may use."""
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        for _, mounted, kind, *_ in mounts:
            if kind == "cgroup2" and (second := _second(Path(mounted))).folders:
                return second
        return _first([(Path(where), options.split(",")) for _, where, kind, options, *_ in mounts if kind == "cgroup"])

    def make(self, limits: Limits) -> Group:
        """A group with these limits; groups of processes that have died are removed on the way."""
        self.sweep()
        name = f"{_signature(os.getpid())}-{token_hex(6)}"
        bounds = bounded(limits)
        places: dict[Controller, Path] = {
            each: folder / name for each, folder in self.folders.items() if each in bounds
        }
        group = Group(places, self.version)
        try:
            for place in set(places.values()):
                place.mkdir(parents=True)
            for controller in places:
                group.bound(controller, limits)
        except BaseException:
            group.kill()
            with suppress(OSError):
                group.remove_now()
            raise
        return group

    def sweep(self) -> None:
        """Remove the groups of processes that are gone, with whatever is still in them."""
        namespace = _namespace()
        for folder in set(self.folders.values()):
            for place in folder.iterdir() if folder.is_dir() else ():
                owner, _, _ = place.name.rpartition("-")
                if not owner.startswith(f"{namespace}-") or _alive(owner):
                    continue
                group = Group({"memory": place}, self.version)
                group.kill()
                with suppress(OSError):  # the next one finds it empty
                    group.remove_now()


class Group:
    """The control groups of one sandbox."""

    def __init__(self, places: Mapping[Controller, Path], version: int) -> None:
        self._places = places
        self._version = version

    def bound(self, controller: Controller, limits: Limits) -> None:
        place = self._places[controller]
        # The kernel refuses what is far above what a machine can have.
        quota = max(1000, int(min(limits.cpu, os.cpu_count() or 1) * _PERIOD))
        match controller, self._version:
            case "pids", _:
                _tell(place / "pids.max", min(limits.processes + _OURS, _MOST_PROCESSES))
            case "cpu", 1:
                _tell(place / "cpu.cfs_period_us", _PERIOD)
                _tell(place / "cpu.cfs_quota_us", quota)
            case "cpu", _:
                _tell(place / "cpu.max", f"{quota} {_PERIOD}")
            case _, 1:
                _tell(place / "memory.limit_in_bytes", limits.memory)
                with suppress(OSError):  # a kernel that does not count what is swapped out
                    _tell(place / "memory.memsw.limit_in_bytes", limits.memory)
            case _:
                _tell(place / "memory.max", limits.memory)
                with suppress(OSError):
                    _tell(place / "memory.swap.max", 0)

    def add(self, pid: int) -> None:
        """Put a process in; all that it begins later is in as well."""
        for place in set(self._places.values()):
            _tell(place / "cgroup.procs", pid)

    def killed_for_memory(self) -> int:
        """How many processes the kernel has ended for want of memory."""
        if (place := self._places.get("memory")) is None:
            return 0
        file = place / ("memory.oom_control" if self._version == 1 else "memory.events")
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
        return 0

    def kill(self) -> None:
        """End whatever is in it."""
        for pid in set(self._members()):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def remove_now(self) -> None:
        for place in set(self._places.values()):
            with suppress(FileNotFoundError):
                place.rmdir()

    async def remove(self) -> None:
        """Remove it, once the kernel has seen the last of its processes go."""
        with anyio.move_on_after(_REMOVING):
            while True:
                try:
                    return self.remove_now()
                except OSError:
                    self.kill()
                    await anyio.sleep(0.005)

    def _members(self) -> Iterator[int]:
        for place in set(self._places.values()):
            with suppress(OSError):
                yield from map(int, (place / "cgroup.procs").read_text().split())


def bounded(limits: Limits) -> frozenset[Controller]:
    """What there is a bound on. What the limits leave to the machine needs no group, and nobody to look at it."""
    asked: Mapping[Controller, float] = {"memory": limits.memory, "pids": limits.processes, "cpu": limits.cpu}
    return frozenset(controller for controller, limit in asked.items() if limit < UNBOUNDED)


def _first(mounts: list[tuple[Path, list[str]]]) -> Groups:
    """Version 1: a tree for each controller, of which only root has the top."""
    folders: dict[Controller, Path] = {}
    for controller in CONTROLLERS:
        for mounted, options in mounts:
            if controller in options and os.access(mounted, os.W_OK):
                folders[controller] = mounted / "codin"
    return Groups(folders, 1)


def _second(mounted: Path) -> Groups:
    """Version 2: the nearest folder above this process that it may write to and that hands controllers on."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "/")
    for folder in (mounted / own.strip("/")).parents if own.strip("/") else (mounted,):
        if not folder.is_relative_to(mounted):
            break
        if os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            with suppress(OSError):
                if not _hand_on(folder):
                    continue
                ours = folder / "codin"
                ours.mkdir(exist_ok=True)
                return Groups(dict.fromkeys(_hand_on(ours), ours), 2)
    return Groups()


def _hand_on(folder: Path) -> list[Controller]:
    """Let the folders below have the controllers that are there, and say which these are."""
    there = (folder / "cgroup.controllers").read_text().split()
    handed = (folder / "cgroup.subtree_control").read_text().split()
    for controller in CONTROLLERS:
        if controller in there and controller not in handed:
            with suppress(OSError):  # the folder has processes of its own
                _tell(folder / "cgroup.subtree_control", f"+{controller}")
    handed = (folder / "cgroup.subtree_control").read_text().split()
    return [controller for controller in CONTROLLERS if controller in handed]


def _signature(pid: int) -> str:
    """A process that no other has been or will be: where it is counted, its number, and when it began."""
    began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{_namespace()}-{pid}-{began}"


def _alive(signature: str) -> bool:
    """Whether its process is there. One of whom nothing can be told now, for want of descriptors or so, is."""
    try:
        return _signature(int(signature.split("-")[1])) == signature
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return False
    except OSError:
        return True


@cache
def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _tell(file: Path, value: object) -> None:
    # Opened as it is: a file that is missing is not to be made.
    with file.open("r+") as settings:
        settings.write(str(value))
