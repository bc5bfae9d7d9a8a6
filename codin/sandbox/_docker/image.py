"""The image of a sandbox that names none: this interpreter, what it links to and a shell, made without a registry."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from weakref import WeakKeyDictionary

import anyio.to_thread

from codin.errors import SandboxUnavailable
from codin.sandbox._docker.daemon import Daemon, Refusal, mapped

__all__ = ["Image", "find_image"]

_RECIPE = 1  # counted up when what follows makes another image
_TOOLS = " ".join(
    (
        "awk basename bash cat chmod cp cut date dd df diff dirname du echo env expr false find grep gzip head id kill",
        "ln ls md5sum mkdir mktemp mv nproc printenv printf ps pwd readlink realpath rm rmdir sed seq setsid sh",
        "sha256sum sleep sort stat tail tar tee test timeout touch tr true uname uniq wc which xargs yes",
    )
).split()
_LEFT_OUT = {"dist-packages", "ensurepip", "idlelib", "site-packages", "test", "tests", "tkinter", "turtledemo"}
_SEARCHED = "/usr/local/bin:/usr/bin:/bin"
_LINKED = re.compile(r"(?:=>\s+)?(/\S+) \(0x")

# Where two are made at once, the name goes from one to the other, and the first stays on the daemon without any.
_making: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Image:
    """What is needed to know of an image: its name, the volumes it asks for, and what it runs by itself."""

    name: str
    volumes: Sequence[str]
    entrypoint: Sequence[str]
    command: Sequence[str]


async def find_image(daemon: Daemon, name: str | None, *, pull: bool) -> Image:
    """The image to use.

    Raises:
        SandboxUnavailable: it is not there, and is not to be fetched; or there is no way to make one.
    """
    wanted = name or _image_name()
    if (told := await _looked_up(daemon, wanted)) is None:
        if name is None:
            async with _making.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                if await _looked_up(daemon, wanted) is None:
                    await _make(daemon, wanted)
        elif pull:
            await _pull(daemon, name)
        else:
            raise SandboxUnavailable(
                f"the Docker daemon has no image {name!r}", hint=f"docker pull {name}, or DockerSandbox(pull=True)"
            )
        told = await daemon.ask("GET", f"images/{wanted}/json")
    config = told["Config"]
    parts = (config.get(key) or () for key in ("Volumes", "Entrypoint", "Cmd"))
    return Image(wanted, *map(tuple, parts))


async def _looked_up(daemon: Daemon, name: str) -> Any:
    """What the daemon says of an image; None where it has none of that name."""
    try:
        return await daemon.ask("GET", f"images/{name}/json")
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return None


async def _make(daemon: Daemon, name: str) -> None:
    repository, _, tag = name.partition(":")
    params = [("fromSrc", "-"), ("repo", repository), ("tag", tag), ("changes", f"ENV PATH={_SEARCHED}")]
    with tempfile.TemporaryFile() as archive:
        await anyio.to_thread.run_sync(_pack, archive)
        archive.seek(0)
        await _create(daemon, params, _pieces(archive))


async def _pull(daemon: Daemon, name: str) -> None:
    repository, tag = (name, "") if "@" in name or ":" in name.rpartition("/")[2] else (name, "latest")
    try:
        await _create(daemon, [("fromImage", repository), ("tag", tag)], None)
    except Refusal as refusal:
        raise SandboxUnavailable(f"the image {name!r} cannot be fetched: {refusal}") from refusal


async def _create(daemon: Daemon, params: list[tuple[str, str]], body: AsyncIterator[bytes] | None) -> None:
    made = daemon.stream("POST", "images/create", params, body, forever=True, media_type="application/x-tar")
    async with made as answer:
        with mapped():
            async for line in answer.content:
                if line.strip() and "error" in (said := json.loads(line)):
                    raise Refusal(500, str(said["error"]))


async def _pieces(archive: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await anyio.to_thread.run_sync(archive.read, 1024 * 1024):
        yield chunk


def _image_name() -> str:
    """The name of our own; another interpreter and another recipe have another one."""
    made_of = f"{_RECIPE} {sys.version} {_interpreter()} {platform.libc_ver()}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:8]
    return f"codin-sandbox:{platform.python_version()}-{digest}"


def _pack(target: IO[bytes]) -> None:
    """Write the image's files as a tar archive.

    Raises:
        SandboxUnavailable: this is no Linux.
    """
    if sys.platform != "linux" or shutil.which("ldd") is None:
        raise SandboxUnavailable(
            "the image of a Docker sandbox can be made of this machine's Python on Linux only",
            hint="name one: DockerSandbox(image='python:3.13-slim', pull=True)",
        )
    interpreter = _interpreter()
    tools = {f"/bin/{name}": found for name in _TOOLS if (found := shutil.which(name, path=_SEARCHED))}
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    modules = list(_modules(library))
    binaries = [interpreter, *tools.values(), *(str(path) for path in modules if path.suffix == ".so")]
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("bin", "etc", "tmp", "usr/local/bin"):
            _add_folder(archive, folder)
        for name, source in {**tools, interpreter: interpreter, **{path: path for path in _linked(binaries)}}.items():
            _add(archive, name, Path(source))
        for module in modules:
            _add(archive, str(module), module)
        certificates = Path("/etc/ssl/certs/ca-certificates.crt")
        if certificates.exists():
            _add(archive, str(certificates), certificates)
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"usr/local/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, interpreter
            archive.addfile(link)


def _interpreter() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _modules(library: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        yield from (Path(folder, name) for name in files if ".opt-" not in name and not name.endswith(".a"))


def _linked(binaries: list[str]) -> set[str]:
    """The libraries that programs need, and the loader."""
    told = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False)
    return set(_LINKED.findall(told.stdout))


def _add(archive: tarfile.TarFile, name: str, source: Path) -> None:
    # What the name leads to, and not the link: its folders are folders in the image.
    with source.open("rb") as content:
        member = archive.gettarinfo(arcname=name.lstrip("/"), fileobj=content)
        member.type, member.linkname = tarfile.REGTYPE, ""
        member.size = os.fstat(content.fileno()).st_size
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.mode & 0o111 else 0o644
        archive.addfile(member, content)


def _add_folder(archive: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(member)
