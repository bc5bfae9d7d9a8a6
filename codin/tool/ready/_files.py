"""Files below one folder, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Annotated

from pydantic import Field

from codin.errors import ConfigError, ToolRefused
from codin.tool._decorator import tool
from codin.tool._function import FunctionTool

__all__ = ["Files"]

_MOST = 1000  # entries of a list, and hits of a search
_LOOKED = 20_000  # files that a search opens
_LINE = 300  # letters of a hit
_DEEP = 64  # steps of a path: what goes through folders holds each of them open
_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass
class Entry:
    """Of a list; `size` is in bytes."""

    path: str
    size: int
    folder: bool


@dataclass
class Hit:
    """A line with what was looked for."""

    path: str
    line: int
    text: str


class Files:
    """The tools `read_file`, `write_file`, `list_files` and `search_files`, for one folder.

    Paths are relative to it, of 64 steps at most. Each step of one is opened from the one before, and links are not
    followed: no path, and nobody who changes the folder meanwhile, leads out of it.

    Args:
        folder: has to be there.
        writable: whether there is a `write_file`.
        max_bytes: of one file that is read or written.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, folder: str | Path, *, writable: bool = False, max_bytes: int = 256 * 1024) -> None:
        self._root = Path(folder).resolve()
        if not self._root.is_dir():
            raise ConfigError(f"there is no folder {str(folder)!r}")
        self._max = max_bytes
        self.writable: bool = writable

    @property
    def tools(self) -> list[FunctionTool[..., object]]:
        """All of them, for `@agent(tools=[*files.tools])`."""
        reading = [self.read_file, self.list_files, self.search_files]
        return [*reading, self.write_file] if self.writable else reading  # pyright: ignore[reportReturnType]

    @tool(idempotent=True, tags=["files"])
    def read_file(self, path: str) -> str:
        """Read a text file.

        Args:
            path: from the folder, with slashes.
        """
        with self._folder_of(path, "read_file") as (folder, name):
            return _text_of(folder, name, path, self._max)

    @tool(tags=["files"])
    def write_file(self, path: str, text: str) -> int:
        """Write a text file in place of what is there, and make the folders it needs. Gives its size in bytes.

        Args:
            path: from the folder, with slashes.
            text: all of the file.
        """
        if not self.writable:
            raise ToolRefused("these files are only to be read", tool="write_file")
        body = text.encode("utf-8", "surrogatepass")
        if len(body) > self._max:
            raise ToolRefused(f"the text has {len(body)} bytes; {self._max} are allowed", tool="write_file")
        with self._folder_of(path, "write_file", make=True) as (folder, name):
            _replace(folder, name, path, body)
        return len(body)

    @tool(idempotent=True, tags=["files"])
    def list_files(self, folder: str = ".") -> list[Entry]:
        """List what is in a folder, 1000 entries at most.

        Args:
            folder: from the root, with slashes.
        """
        with self._opened(folder, "list_files") as place:
            found: list[Entry] = []
            with os.scandir(place) as entries:
                for entry in entries:
                    if len(found) == _MOST:
                        break
                    path = entry.name if folder == "." else f"{folder.rstrip('/')}/{entry.name}"
                    with suppress(FileNotFoundError):  # it is gone meanwhile
                        status = entry.stat(follow_symlinks=False)
                        if not stat.S_ISLNK(status.st_mode):
                            found.append(Entry(_shown(path), status.st_size, stat.S_ISDIR(status.st_mode)))
        return sorted(found, key=lambda entry: entry.path)

    @tool(idempotent=True, tags=["files"])
    def search_files(
        self, words: Annotated[str, Field(min_length=1)], folder: str = ".", limit: Annotated[int, Field(gt=0)] = 50
    ) -> list[Hit]:
        """Find lines of text files that have these words in them as they stand, whatever the case.

        Args:
            words: what is looked for.
            folder: where, with everything below.
            limit: how many lines at most.
        """
        found: list[Hit] = []
        wanted, most = words.casefold(), min(limit, _MOST)
        with self._opened(folder, "search_files") as place:
            for number, (path, within, name) in enumerate(_below(place)):
                if number >= _LOOKED:
                    break
                with suppress(ToolRefused):
                    lines = _text_of(within, name, path, self._max, tool="search_files").splitlines()
                    at = path if folder == "." else f"{folder.rstrip('/')}/{path}"
                    hits = [n for n, line in enumerate(lines, 1) if wanted in line.casefold()]
                    found += [Hit(_shown(at), n, lines[n - 1].strip()[:_LINE]) for n in hits]
                if len(found) >= most:
                    break
        return found[:most]

    # -- paths ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _folder_of(self, path: str, tool: str, *, make: bool = False) -> Generator[tuple[int, str]]:
        """The folder that a file is in, open, and the file's name."""
        *above, name = _steps(path, tool) or [""]
        if not name:
            raise ToolRefused(f"{path!r} is no file", tool=tool)
        with self._opened("/".join(above), tool, make=make) as folder:
            yield folder, name

    @contextmanager
    def _opened(self, path: str, tool: str, *, make: bool = False) -> Generator[int]:
        place = os.open(self._root, _FOLDER)
        try:
            for step in _steps(path, tool):
                try:
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(step, dir_fd=place)
                    below = os.open(step, _FOLDER, dir_fd=place)
                except OSError as error:
                    why = (
                        f"the folder {path!r} cannot be made: {error.strerror}"
                        if make
                        else f"there is no folder {path!r}"
                    )
                    raise ToolRefused(why, tool=tool) from None
                os.close(place)
                place = below
            yield place
        finally:
            os.close(place)


def _steps(path: str, tool: str) -> list[str]:
    """The names that a path is made of. Raises ToolRefused for one that is not from here downward."""
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if path.startswith("/") or ".." in steps or "\0" in path or "\\" in path:
        raise ToolRefused(
            f"{path!r} leads out of the folder", tool=tool, hint="a path is relative, with slashes, and has no .."
        )
    if len(steps) > _DEEP:
        raise ToolRefused(f"the path has {len(steps)} steps; {_DEEP} are allowed", tool=tool)
    return steps


def _text_of(folder: int, name: str, path: str, most: int, *, tool: str = "read_file") -> str:
    try:
        file = os.open(name, _TO_READ, dir_fd=folder)
    except OSError:
        raise ToolRefused(f"there is no file {path!r}", tool=tool) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ToolRefused(f"{path!r} is no file", tool=tool)
    with os.fdopen(file, "rb") as opened:
        body = opened.read(most + 1)
    if len(body) > most:
        raise ToolRefused(f"{path!r} has more than {most} bytes", tool=tool)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ToolRefused(f"{path!r} is no text in UTF-8", tool=tool) from None


def _replace(folder: int, name: str, path: str, body: bytes) -> None:
    """The old file until the new one is whole."""
    new = f".{token_hex(8)}"
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(body)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(new, dir_fd=folder)
            raise
    except OSError as error:
        raise ToolRefused(f"{path!r} cannot be written: {error.strerror}", tool="write_file") from None


def _below(place: int) -> Iterator[tuple[str, int, str]]:
    """Every file below an open folder, as far as a path leads: its path from there, the folder it is in, its name."""
    for root, folders, names, within in os.fwalk(".", dir_fd=place, follow_symlinks=False):
        folders[:] = sorted(folders) if root.count("/") < _DEEP - 1 else []
        for name in sorted(names):
            yield str(Path(root, name)), within, name


def _shown(path: str) -> str:
    """A name that is no UTF-8, as one that is."""
    return os.fsencode(path).decode(errors="replace")
