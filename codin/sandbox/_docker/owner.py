"""Whose container it is, so that what a dead process left can be taken away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path

from codin.errors import SandboxError
from codin.sandbox._docker.daemon import Daemon, Gone, Refusal

__all__ = ["labels_of", "owned", "remove", "sweep"]

_SANDBOX = "codin.sandbox"
_OWNER = "codin.owner"

_owned: set[str] = set()


@contextlib.contextmanager
def owned(name: str) -> Generator[None]:
    """While a sandbox is open, this process does not take it for one that it could not remove."""
    _owned.add(name)
    try:
        yield
    finally:
        _owned.discard(name)


def labels_of(name: str) -> dict[str, str]:
    """A sandbox's name, and its process, among all that have ever used the daemon."""
    return {_SANDBOX: name, _OWNER: f"{_where()}:{os.getpid()}:{_begun(os.getpid())}"}


async def sweep(daemon: Daemon) -> None:
    """Remove what is nobody's any more. What another machine made cannot be judged from here."""
    if not _where():
        return
    filters = {"filters": json.dumps({"label": [_SANDBOX]})}
    containers = await daemon.ask("GET", "containers/json", {"all": "true", **filters})
    volumes = (await daemon.ask("GET", "volumes", filters))["Volumes"] or ()
    left = [f"containers/{container['Id']}" for container in containers if _is_left(container["Labels"])]
    left += [f"volumes/{volume['Name']}" for volume in volumes if _is_left(volume["Labels"])]
    for path in left:
        # Another process may be at it, too; and a container takes its volume along.
        with contextlib.suppress(Refusal):
            await daemon.ask("DELETE", path, {"force": "true", "v": "true"})


async def remove(daemon: Daemon, container: str, name: str) -> None:
    """Remove a sandbox's container and its volume. Where the daemon cannot be asked, the next sandbox will do it."""
    await asyncio.sleep(0)  # what was closed gives its descriptor back at the next turn of the loop
    with contextlib.suppress(Gone, Refusal, SandboxError):
        try:
            await daemon.ask("DELETE", f"containers/{container}", {"force": "true", "v": "true"})
        except Refusal as refusal:
            # It is on its way out by itself; or somebody has removed it, though not what belongs to it.
            if refusal.status == 409:
                await daemon.ask("POST", f"containers/{container}/wait", {"condition": "removed"})
        filters = json.dumps({"label": [f"{_SANDBOX}={name}"]})
        for volume in (await daemon.ask("GET", "volumes", {"filters": filters}))["Volumes"] or ():
            await daemon.ask("DELETE", f"volumes/{volume['Name']}")


def _is_left(labels: Mapping[str, str]) -> bool:
    where, _, process = labels.get(_OWNER, "").partition(":")
    number, _, begun = process.partition(":")
    if where != _where() or not number.isdigit():
        return False
    if int(number) == os.getpid() and begun == _begun(os.getpid()):
        return labels[_SANDBOX] not in _owned
    return _begun(int(number)) != begun


def _where() -> str:
    """Where process numbers mean the same: this boot of this machine, and this namespace. Empty when not on Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink().name.strip('pid:[]')}"
    except OSError:
        return ""


def _begun(process: int) -> str:
    """When a process began, which tells it from a later one of the same number; empty when there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
