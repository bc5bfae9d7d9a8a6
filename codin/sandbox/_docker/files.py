"""Files of a container's working folder, by the daemon's archives: an image needs no programs for it."""

from __future__ import annotations

import base64
import json
import tarfile
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import IO

import anyio.to_thread

from codin.errors import FileRefused, SandboxClosed
from codin.sandbox._docker.container import WORK, WRITABLE
from codin.sandbox._docker.daemon import Daemon, Gone, Refusal, pieces
from codin.sandbox._protocol import MIB, FileInfo, Limits

__all__ = ["Files"]

_PIECE = 64 * 1024
_FOLDER = 1 << 31  # Go's os.ModeDir
_HEADERS = 4096  # bytes of one file's entry in an archive, with a long name


class Files:
    """Reads and writes them. What is not yet or no longer needed lies in temporary files of ours.

    The daemon keeps a container locked for as long as an archive is under way, so that one is never left waiting for
    whoever reads or writes its content.
    """

    def __init__(self, daemon: Daemon, container: str, user: str, limits: Limits) -> None:
        self._daemon = daemon
        self._container = f"containers/{container}"
        self._path = f"{self._container}/archive"
        self._user, self._group = map(int, user.split(":"))
        self._limits = limits

    async def make_folder(self) -> None:
        """The working folder itself. Raises Gone and Refusal."""
        await self._send(self._archive("", None))

    async def write(self, path: str, content: AsyncIterable[bytes]) -> None:
        with tempfile.SpooledTemporaryFile(MIB) as spool:
            async for chunk in content:
                await anyio.to_thread.run_sync(spool.write, chunk)
            async with self._told(path):
                await self._send(self._archive(path, spool))

    async def read(self, path: str) -> AsyncIterator[bytes]:
        top = _sayable(path)
        name = PurePosixPath(WORK, path).relative_to(PurePosixPath(WORK, top).parent)
        async with self._told(path):
            await self._check_folders(path, PurePosixPath(path).parts[:-1])
            async with self._fetched(top, self._limits.disk + _HEADERS if top == path else self._whole) as spool:
                with tarfile.open(fileobj=spool, mode="r:") as archive:
                    member = next((member for member in archive if member.name == str(name)), None)
                    content = archive.extractfile(member) if member is not None and member.isreg() else None
                    if content is None:
                        raise FileRefused(f"{path!r} is no file", path=path)
                    while chunk := content.read(_PIECE):
                        yield chunk

    async def list(self, path: str) -> list[FileInfo]:
        top = _sayable(path)
        async with self._told(path):
            await self._check_folders(path, PurePosixPath(path).parts)
            async with self._fetched(top, self._whole) as spool:
                found = await anyio.to_thread.run_sync(_listed, spool, top)
        return found if top == path else [file for file in found if file.path.startswith(f"{path}/")]

    @property
    def _whole(self) -> int:
        """Bytes of an archive of everything; files with holes may be larger than what they take."""
        return 2 * self._limits.disk + _HEADERS * self._limits.files

    async def _check_folders(self, path: str, folders: tuple[str, ...]) -> None:
        """The daemon follows links, though never out of the container."""
        for count in range(len(folders) + 1):
            params = {"path": "/".join([WORK, *folders[:count]])}
            async with self._daemon.stream("HEAD", self._path, params) as answer:
                stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            if not stat["mode"] & _FOLDER:
                raise FileRefused(f"{path!r} leads through what is no folder", path=path)

    @asynccontextmanager
    async def _told(self, path: str) -> AsyncGenerator[None]:
        try:
            yield
        except Refusal as refusal:
            try:
                await self._daemon.ask("GET", f"{self._container}/json")
            except (Gone, Refusal) as error:
                raise SandboxClosed(f"the docker sandbox is gone: {error}", hint="open another one") from refusal
            raise FileRefused(f"{path!r} is refused: {refusal}", path=path) from refusal
        except Gone as error:
            raise SandboxClosed(f"the docker sandbox is gone: {error}", hint="open another one") from error

    @asynccontextmanager
    async def _fetched(self, path: str, most: int) -> AsyncGenerator[IO[bytes]]:
        size = 0
        with tempfile.SpooledTemporaryFile(MIB) as spool:
            async with self._daemon.stream("GET", self._path, {"path": f"{WORK}/{path}".rstrip("/")}) as answer:
                async for chunk in pieces(answer):
                    if (size := size + len(chunk)) > most:
                        raise FileRefused(f"{path!r} is larger than Limits.disk", path=path)
                    await anyio.to_thread.run_sync(spool.write, chunk)
            spool.seek(0)
            yield spool

    async def _send(self, archive: Iterator[bytes]) -> None:
        # A folder of the archive that is a link or a file in the container is refused.
        params = {"path": WRITABLE, "noOverwriteDirNonDir": "true"}
        async with self._daemon.stream("PUT", self._path, params, _threaded(archive), media_type="application/x-tar"):
            pass

    def _archive(self, path: str, content: IO[bytes] | None) -> Iterator[bytes]:
        """A file, and the folders above it."""
        within = PurePosixPath(WORK).relative_to(WRITABLE) / path
        folders = [*reversed(within.parents)][1:] if content is not None else [within]
        for folder in folders:
            yield self._header(str(folder), tarfile.DIRTYPE, 0o755, 0)
        if content is not None:
            size = content.seek(0, 2)
            content.seek(0)
            yield self._header(str(within), tarfile.REGTYPE, 0o644, size)
            while chunk := content.read(_PIECE):
                yield chunk
            yield bytes(-size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _header(self, name: str, kind: bytes, mode: int, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.size = kind, mode, size
        member.uid, member.gid, member.mtime = self._user, self._group, int(time.time())
        return member.tobuf(tarfile.PAX_FORMAT)


def _sayable(path: str) -> str:
    """As much of a path as the daemon can be asked for: it packs nothing for a name that is not UTF-8."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        try:
            part.encode()
        except UnicodeEncodeError:
            break
        parts.append(part)
    return "/".join(parts)


def _listed(spool: IO[bytes], path: str) -> list[FileInfo]:
    top = PurePosixPath(WORK, path).name
    found: list[FileInfo] = []
    sizes: dict[str, int] = {}
    with tarfile.open(fileobj=spool, mode="r:") as archive:
        for member in archive:
            below = "/".join([path] if path else []) + member.name.removeprefix(top)
            name = below.lstrip("/")
            if member.isdir() and member.name != top:
                found.append(FileInfo(name, 0, folder=True))
            elif member.isreg():
                sizes[member.name] = member.size
                found.append(FileInfo(name, member.size))
            elif member.islnk():
                # Another name of a file that came before.
                found.append(FileInfo(name, sizes.get(member.linkname, 0)))
    return found


async def _threaded(archive: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await anyio.to_thread.run_sync(next, archive, b""):
        yield chunk
