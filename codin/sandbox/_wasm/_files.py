"""The files of a wasm sandbox: a tree in the memory of the host, which nothing but its own code can reach.

There are no links in it, so that no path leads anywhere but down, and every byte and every name is counted before it
is kept.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

from codin.sandbox._protocol import Limits

__all__ = ["Device", "Fault", "File", "Folder", "Node", "Tree"]

_LONGEST_NAME = 255
_LONGEST_PATH = 4096
_numbers = itertools.count(1)


class Fault(Exception):
    """A call of the sandboxed program that fails.

    Args:
        code: the error code of WASI.
        detail: what comes with the code, where one does: a resource.
    """

    def __init__(self, code: str, detail: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class _Entry:
    def __init__(self) -> None:
        self.number = next(_numbers)
        self.modified = self.read = time.time_ns()


class File(_Entry):
    """A file; its bytes count until nobody has it open and no folder names it."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.holders = 0


class Device(_Entry):
    """What swallows everything and has nothing, as /dev/null."""


class Folder(_Entry):
    """Names, and what they stand for.

    Args:
        fixed: nothing can be put into it or taken from it.
    """

    def __init__(self, *, fixed: bool = False) -> None:
        super().__init__()
        self.fixed = fixed
        self.entries: dict[str, Node] = {}


Node: TypeAlias = File | Device | Folder


class Tree:
    """All folders of one sandbox. Several threads use it, each call under its lock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._names = 0
        self._lock = threading.RLock()
        self.root = Folder(fixed=True)
        devices = Folder(fixed=True)
        devices.entries["null"] = Device()
        self.box = Folder()
        self.root.entries.update(box=self.box, dev=devices, tmp=Folder())

    def find(self, folder: Folder, path: str) -> Node:
        """What is at a path. Raises Fault."""
        with self._lock:
            return self._walk(folder, _parts(path))

    def open(self, folder: Folder, path: str, *, create: bool, exclusive: bool, truncate: bool) -> Node:
        """What is at a path, or a new file there."""
        with self._lock:
            above, name = self._above(folder, path)
            node = above.entries.get(name) if name else above
            if node is None:
                if not create:
                    raise Fault("no-entry")
                node = File()
                self._name(above, name, node)
            elif exclusive:
                raise Fault("exist")
            elif path.endswith("/") and not isinstance(node, Folder):
                raise Fault("not-directory")
            if truncate and isinstance(node, File):
                self.resize(node, 0)
            return node

    def make_folder(self, folder: Folder, path: str) -> Folder:
        with self._lock:
            above, name = self._above(folder, path)
            if not name or name in above.entries:
                raise Fault("exist")
            made = Folder()
            self._name(above, name, made)
            return made

    def hold(self, node: Node) -> None:
        """Somebody has it open."""
        with self._lock:
            if isinstance(node, File):
                node.holders += 1

    def let_go(self, node: Node) -> None:
        with self._lock:
            if isinstance(node, File):
                node.holders -= 1
                self._forget(node)

    def read(self, file: File, offset: int, most: int) -> bytes:
        with self._lock:
            return bytes(memoryview(file.data)[offset : offset + most])

    def write(self, file: File, offset: int | None, content: bytes) -> int:
        """Write at an offset, or at the end; gives the offset after it."""
        with self._lock:
            start = len(file.data) if offset is None else offset
            end = start + len(content)
            if end > len(file.data):
                self.resize(file, end)
            file.data[start:end] = content
            file.modified = time.time_ns()
            return end

    def room(self, file: File, offset: int | None) -> int:
        """How many bytes can be written there."""
        with self._lock:
            return self._limits.disk - self._bytes + (0 if offset is None else len(file.data) - offset)

    def resize(self, file: File, size: int) -> None:
        with self._lock:
            more = size - len(file.data)
            if self._bytes + more > self._limits.disk:
                raise Fault("insufficient-space")
            if more > 0:
                file.data += bytes(more)
            else:
                del file.data[size:]
            self._bytes += more
            file.modified = time.time_ns()

    def remove(self, folder: Folder, path: str, *, expect: type[File] | type[Folder]) -> None:
        with self._lock:
            above, name = self._above(folder, path)
            node = self._changeable(above, name)
            if not isinstance(node, expect):
                raise Fault("not-directory" if expect is Folder else "is-directory")
            if isinstance(node, Folder) and node.entries:
                raise Fault("not-empty")
            self._unname(above, name)

    def rename(self, folder: Folder, path: str, to_folder: Folder, to_path: str) -> None:
        with self._lock:
            above, name = self._above(folder, path)
            node = self._changeable(above, name)
            to_above, to_name = self._above(to_folder, to_path)
            there = to_above.entries.get(to_name) if to_name else to_above
            if there is node:
                return
            self._check_may_replace(node, there)
            if isinstance(node, Folder) and any(inner is to_above for inner in _folders(node)):
                raise Fault("invalid")
            if to_above.fixed:
                raise Fault("read-only")
            if there is not None:
                self._unname(to_above, to_name)
            to_above.entries[to_name] = above.entries.pop(name)

    def put(self, path: str, file: File) -> None:
        """Let a file that was written take its place below the working folder, and make the folders above it."""
        with self._lock:
            parts = _parts(path)
            above, depth = self.box, 0
            while depth < len(parts) - 1 and parts[depth] in above.entries:
                if not isinstance(node := above.entries[parts[depth]], Folder):
                    raise Fault("not-directory")
                above, depth = node, depth + 1
            there = above.entries.get(parts[depth])
            self._check_may_replace(file, there)
            if there is not None:
                self._unname(above, parts[depth])
            elif self._names + len(parts) - depth > self._limits.files:
                raise Fault("insufficient-space")
            for part in parts[depth:-1]:
                above = self.make_folder(above, part)
            self._name(above, parts[-1], file)

    def listed(self, folder: Folder) -> list[tuple[str, Node]]:
        with self._lock:
            return list(folder.entries.items())

    def _walk(self, folder: Folder, parts: list[str]) -> Node:
        way: list[Node] = [folder]
        for part in parts:
            if not isinstance(here := way[-1], Folder):
                raise Fault("not-directory")
            if part == "..":
                if len(way) == 1:
                    raise Fault("not-permitted")
                way.pop()
            elif part in here.entries:
                way.append(here.entries[part])
            else:
                raise Fault("no-entry")
        return way[-1]

    def _above(self, folder: Folder, path: str) -> tuple[Folder, str]:
        """The folder that a path names something in, and the name; no name when the path is that folder itself."""
        parts = _parts(path)
        name = parts.pop() if parts and parts[-1] != ".." else ""
        above = self._walk(folder, parts)
        if not isinstance(above, Folder):
            raise Fault("not-directory")
        return above, name

    def _changeable(self, above: Folder, name: str) -> Node:
        if not name:
            raise Fault("busy")
        if name not in above.entries:
            raise Fault("no-entry")
        if above.fixed:
            raise Fault("read-only")
        return above.entries[name]

    def _check_may_replace(self, node: Node, there: Node | None) -> None:
        if isinstance(there, Folder):
            if not isinstance(node, Folder):
                raise Fault("is-directory")
            if there.entries:
                raise Fault("not-empty")
        elif there is not None and isinstance(node, Folder):
            raise Fault("not-directory")

    def _name(self, above: Folder, name: str, node: Node) -> None:
        if above.fixed:
            raise Fault("read-only")
        if self._names >= self._limits.files:
            raise Fault("insufficient-space")
        above.entries[name] = node
        above.modified = time.time_ns()
        self._names += 1
        self.hold(node)

    def _unname(self, above: Folder, name: str) -> None:
        node = above.entries.pop(name)
        above.modified = time.time_ns()
        self._names -= 1
        self.let_go(node)

    def _forget(self, file: File) -> None:
        if not file.holders:
            self._bytes -= len(file.data)
            file.data = bytearray()


def _parts(path: str) -> list[str]:
    if len(path) > _LONGEST_PATH:
        raise Fault("name-too-long")
    if path.startswith("/") or "\0" in path:
        raise Fault("not-permitted")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    try:
        longest = max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError:
        raise Fault("illegal-byte-sequence") from None
    if longest > _LONGEST_NAME:
        raise Fault("name-too-long")
    return parts


def _folders(folder: Folder) -> Iterator[Folder]:
    """A folder and all below it; without recursion, because a program can nest them as deep as it likes."""
    waiting = [folder]
    while waiting:
        yield (here := waiting.pop())
        waiting += [node for node in here.entries.values() if isinstance(node, Folder)]
