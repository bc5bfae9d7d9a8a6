"""One process per file: a lock that the kernel gives back when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from codin.errors import StoreError, StoreInUse

__all__ = ["FileLock"]


class FileLock:
    """Holds `path` exclusively from the moment it is made. The file stays when the lock is gone: only its lock counts.

    Raises:
        StoreInUse: somebody else holds it; the file says who.
        StoreError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"the lock file {str(path)!r} cannot be opened: {error.strerror}",
                hint="the directory of a store must exist and be writable",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreInUse(
                f"{str(path)!r} is held by {_who(holder)}",
                hint="one process at a time has a file open; give each its own file, or share one store object",
            ) from error
        except OSError as error:
            os.close(self._file)
            raise StoreError(f"the lock file {str(path)!r} cannot be locked: {error.strerror}") from error

    def release(self) -> None:
        """Let go."""
        os.close(self._file)


def _who(holder: str) -> str:
    if holder == str(os.getpid()):
        return f"this process (pid {holder}), through another store object"
    return f"the process with pid {holder}" if holder else "another process"
