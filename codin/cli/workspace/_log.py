"""The log of a process: a file that cannot outgrow its bound."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from codin.cli.workspace._secrets import hide

__all__ = ["LogFile"]

_LONGEST = 64 * 1024  # of a line; a longer one is cut in two


class LogFile:
    """Lines with their time. A full file becomes `NAME.log.1`, and the one before it `NAME.log.2`.

    Args:
        limit: bytes of one file.
        kept: full files beside the present one.

    Attributes:
        secrets: values that are never written, by their names.
        last: the last line that was not empty.
    """

    def __init__(self, path: Path, *, limit: int = 5_000_000, kept: int = 2) -> None:
        self.secrets: Mapping[str, str] = {}
        self.last = ""
        self._path = path
        self._limit = limit
        self._kept = kept
        self._begun = b""
        self._open()

    def write(self, data: bytes) -> None:
        """Write what came; a line is written when it is whole."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        while len(self._begun) > _LONGEST:
            lines.append(self._begun[:_LONGEST])
            self._begun = self._begun[_LONGEST:]
        for line in lines:
            self._line(line)

    def say(self, words: str) -> None:
        """A line of the supervisor's own."""
        self._flush()
        self._line(f"-- {words}".encode())

    def close(self) -> None:
        """Write what was begun, and let the file go."""
        self._flush()
        os.close(self._file)

    def _flush(self) -> None:
        if self._begun:
            self._line(self._begun)
            self._begun = b""

    def _line(self, line: bytes) -> None:
        text = hide(line.decode("utf-8", "replace").rstrip("\r"), self.secrets)
        self.last = text.strip() or self.last
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        written = f"{now}Z {text}\n".encode()
        if self._size + len(written) > self._limit and self._size:
            self._turn()
        with contextlib.suppress(OSError):  # a full disk is no reason to end anybody
            os.write(self._file, written)
        self._size += len(written)

    def _turn(self) -> None:
        os.close(self._file)
        for number in range(self._kept, 0, -1):
            older = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number}"))
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
