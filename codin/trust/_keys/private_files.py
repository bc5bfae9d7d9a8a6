"""Files that hold what only their owner may read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from codin.errors import ConfigError

__all__ = ["locked", "make_private_folder", "open_to_others", "read_private", "write_private"]

_MAX_BYTES = 1024 * 1024


def read_private(path: Path) -> bytes:
    """The content of a file that others cannot read.

    Raises:
        ConfigError: it cannot be read, or others can.
        FileNotFoundError: there is none.
    """
    try:
        with path.open("rb") as file:
            if open_to_others(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{str(path)!r} can be read by others", hint=f"chmod 600 {path}; then it is yours")
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def open_to_others(mode: int) -> bool:
    """Whether anybody but the owner may do anything with a file."""
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


def write_private(path: Path, content: bytes) -> None:
    """Put a file in the place of another, whole or not at all, with rights for its owner only.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from its first moment
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written: {error.strerror}") from None


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, or make it of an empty one.

    Raises:
        ConfigError: something else is there.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if next(path.iterdir(), None) is not None:
            raise ConfigError(f"{str(path)!r} is not empty", hint="keys live in a folder of their own")
        path.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"the folder {str(path)!r} cannot be made: {error.strerror}") from None


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep other processes from changing the folder meanwhile.

    Raises:
        ConfigError: it cannot be changed at all.
    """
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{str(folder)!r} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
