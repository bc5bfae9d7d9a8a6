"""The files of the working folder, as the host asks for them."""

# Without pathlib and contextlib, since to import them takes longer than to begin a command; posixpath only where it is
# used, since it brings the rest of `os` along.

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import os
    import stat as _stat
else:
    import _stat
    import posix as os

__all__ = ["Draft", "inside", "put_list", "readable"]


class Draft:
    """A file that the host is writing, not yet under its name; `file` is where it writes."""

    __slots__ = ("_begun", "_made", "_path", "channel", "file")

    def __init__(self, channel: _socket.socket, home: str, path: str) -> None:
        import posixpath

        self.channel = channel
        folder, name = posixpath.split(path)
        self._made: list[str] = []
        folder = inside(home, folder, self._made)
        self._path = posixpath.join(folder, name)
        if posixpath.isdir(self._path):
            raise IsADirectoryError(errno.EISDIR, "")
        self._begun = posixpath.join(folder, f".{os.urandom(8).hex()}.new")
        try:
            self.file = os.open(self._begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            self.take_back()
            raise

    def commit(self) -> None:
        try:
            os.rename(self._begun, self._path)
        except (OSError, ValueError):
            self.take_back()
            raise

    def take_back(self) -> None:
        try:
            os.unlink(self._begun)
            for folder in reversed(self._made):
                os.rmdir(folder)
        except OSError:
            pass  # somebody in the sandbox was faster, or uses the folder


def inside(home: str, path: str, made: list[str] | None = None) -> str:
    """Where a path of the working folder is, all links followed; folders that are missing are made when wanted.

    The walls do not hang on this: everything that can be named in here belongs to the sandbox.
    """
    if not path:
        return home
    import posixpath

    real = posixpath.realpath(posixpath.join(home, path))
    if real != home and not real.startswith(home + "/"):
        raise OSError(errno.EXDEV, "")
    if made is not None:
        missing: list[str] = []
        above = real
        while not posixpath.lexists(above):
            missing.append(above)
            above = posixpath.dirname(above)
        for folder in reversed(missing):
            os.mkdir(folder)
            made.append(folder)
    return real


def readable(path: str) -> int:
    """An open descriptor of a file, if it is one."""
    # Without O_NONBLOCK a pipe would hold us up.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(file).st_mode
    if not _stat.S_ISREG(mode):
        os.close(file)
        raise OSError(errno.EISDIR if _stat.S_ISDIR(mode) else errno.EINVAL, "")
    return file


def put_list(home: str, path: str, listing: int) -> None:
    """Write what is below a folder: `d0` or `f<size>`, and the path in the working folder, with a NUL behind each."""
    root = len(home) + 1
    folders = [inside(home, path)]
    with open(listing, "wb", closefd=False) as answer, os.scandir(folders[0]):
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except OSError:
                continue  # it went away meanwhile, or its path is too long for anybody
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        told = b"d0"
                    elif entry.is_file(follow_symlinks=False):
                        told = b"f%d" % entry.stat(follow_symlinks=False).st_size
                    else:
                        continue
                except OSError:
                    continue  # so did it
                answer.write(told + b"\0" + entry.path[root:].encode("utf-8", "surrogateescape") + b"\0")
