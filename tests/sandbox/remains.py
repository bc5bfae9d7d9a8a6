"""What sandboxes of this process have left, wherever they were. Nothing is taken away here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from codin.sandbox._local.groups import Groups

__all__ = ["children", "client", "groups", "left", "on_daemon"]


def groups() -> list[Path]:
    """The control groups of this process's sandboxes."""
    folders = set(Groups.found().folders.values())
    return [
        place for folder in folders if folder.is_dir() for place in folder.iterdir() if f"-{os.getpid()}-" in place.name
    ]


def children(process: int | str = "self") -> dict[int, str]:
    """What a process has begun, the dead that nobody has looked after among them: the command line of each."""
    found: dict[int, str] = {}
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        for child in _read(listed).split():
            found[int(child)] = _read(Path(f"/proc/{int(child)}/cmdline")).replace(b"\0", b" ").decode()
    return found


def _read(file: Path) -> bytes:
    """Nothing, where the thread or the process has ended since."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@asynccontextmanager
async def client(host: str) -> AsyncGenerator[Any]:
    """A client of a Docker daemon."""
    import aiodocker

    async with aiodocker.Docker(url=host) as docker:
        yield docker


async def left(host: str) -> list[str]:
    """What is on a Docker daemon beside its images."""
    async with client(host) as docker:
        containers = [container.id for container in await docker.containers.list(all=True)]
        volumes = [volume["Name"] for volume in (await docker.volumes.list())["Volumes"] or ()]
    return containers + volumes


def on_daemon(host: str) -> list[str]:
    """`left` for who has no event loop."""
    return asyncio.run(left(host))
