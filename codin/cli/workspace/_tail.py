"""Reading logs: their last lines, and what comes."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["Tail", "last_lines"]

Line = tuple[str, str]
"""The name of the log, and the line."""

_LOOK = 0.1  # seconds


def last_lines(paths: Mapping[str, Path], count: int, fits: Callable[[str], bool] | None = None) -> Sequence[Line]:
    """The newest lines of several logs that fit, in the order of their times."""
    found: list[Line] = []
    for name, path in paths.items():
        lines: deque[str] = deque(maxlen=count)
        for place in (path.with_name(f"{path.name}.1"), path):
            if place.exists():
                with place.open(encoding="utf-8", errors="replace") as file:
                    lines.extend(filter(fits, file))
        found += [(name, line.rstrip("\n")) for line in lines]
    # A line begins with its time, and a sort that is stable keeps those of one log as they are.
    found.sort(key=lambda line: line[1].partition(" ")[0])
    return found[-count:] if count else []


class Tail:
    """What is written to logs from now on."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._followed = [_Followed(name, path) for name, path in paths.items()]

    def lines(self, ended: Callable[[], bool]) -> Iterator[Line]:
        """The lines as they come, until nobody writes any more."""
        while True:
            last = ended()
            found = [(each.name, line) for each in self._followed for line in each.lines()]
            yield from sorted(found, key=lambda line: line[1].partition(" ")[0])
            if last:
                return
            if not found:
                time.sleep(_LOOK)


class _Followed:
    """One log. When its file is full it gets another name, and what is left in it is read before the next one."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._file = path.open("rb")
        self._file.seek(0, os.SEEK_END)
        self._begun = b""

    def lines(self) -> list[str]:
        data = self._file.read()
        if not data and self._turned():
            self._file.close()
            self._file = self._path.open("rb")
            data = self._file.read()
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def _turned(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:  # in the very moment
            return False
