"""The host of one command: WASI 0.2 over files in memory, three streams and a clock. There is nothing else behind it.

All of it is written here, and none of it taken from wasmtime, for two reasons: what a program writes is counted before
it is kept, and a program that sleeps or waits for input can be ended.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import wasmtime
from wasmtime import component as wit

from codin.sandbox._protocol import Stream
from codin.sandbox._wasm._files import Device, Fault, File, Folder, Node, Tree
from codin.sandbox._wasm._values import HostFunction, Stop, add_function

__all__ = ["Console", "World", "linker_for"]

_CHUNK = 64 * 1024
_MOST_HANDLES = 1024
_MOST_RANDOM = 1024 * 1024

_T = TypeVar("_T")
_current = threading.local()
_host: dict[tuple[str, str], Callable[..., Any]] = {}


class Console(Protocol):
    """The streams of a command, its waiting and its end, on the thread that it runs on. All but `ready` raise Stop."""

    def take(self, most: int) -> bytes | None:
        """Input that is there, or None at its end."""
        ...

    def ready(self) -> bool:
        """`take` has something to tell."""
        ...

    def give(self, stream: Stream, data: bytes) -> None: ...

    def wait_for(self, ready: Callable[[], bool], until: int | None) -> None:
        """Wait for input, or until a moment of `time.monotonic_ns`."""
        ...

    def finish(self, code: int) -> None: ...


@dataclass(slots=True)
class _Pollable:
    ready: Callable[[], bool]
    when: int | None = None


@dataclass(slots=True)
class _Descriptor:
    node: Node
    reads: bool = True
    writes: bool = False


@dataclass(slots=True)
class _FileStream:
    file: File | Device
    offset: int | None
    """Where it reads or writes next; None always writes at the end."""


@dataclass(slots=True)
class _Standard:
    stream: Stream | None
    """None is stdin."""


@dataclass(slots=True)
class _Names:
    left: list[tuple[str, Node]]


class _Error:
    """What a stream failed with; the program cannot ask more of it."""


class _Network:
    """No network."""


def linker_for(engine: wasmtime.Engine, component: wit.Component) -> wit.Linker:
    """What connects the imports of the component to the world of the thread that runs it."""
    linker = wit.Linker(engine)
    with linker.root() as root:
        for name, imported in component.type.imports(engine).items():
            declared = imported.ty
            if isinstance(declared, wit.ComponentInstanceType):
                with root.add_instance(name) as instance:
                    _fill(engine, instance, name.split("@")[0], declared)
            elif isinstance(declared, wit.FuncType):
                add_function(root, name, declared, _function("", name))
    return linker


def _fill(
    engine: wasmtime.Engine, instance: wit.LinkerInstance, name: str, declared: wit.ComponentInstanceType
) -> None:
    for export, item in declared.exports(engine).items():
        match item.ty:
            case wit.ResourceType():
                instance.add_resource(export, wit.ResourceType.host(0), _dropped)
            case wit.FuncType() as function:
                add_function(instance, export, function, _function(name, export))
            case _:
                pass


def _function(instance: str, name: str) -> HostFunction | None:
    """The host's function of that name; none for what is done with sockets, as nobody gets one."""
    inner = _host.get((instance, name))
    return inner and (lambda *args: inner(_current.world, *args))


def _dropped(_store: object, handle: int) -> None:
    _current.world.drop(handle)


def _import(instance: str, *names: str) -> Callable[[Callable[..., _T]], Callable[..., _T]]:
    def keep(function: Callable[..., _T]) -> Callable[..., _T]:
        _host.update({(instance, name): function for name in names})
        return function

    return keep


class World:
    """What one command can reach. Use it as a context on the thread that runs the command."""

    def __init__(self, tree: Tree, console: Console) -> None:
        self.tree = tree
        self.console = console
        self._handles: dict[int, object] = {}
        self._last = 0

    def __enter__(self) -> None:
        _current.world = self

    def __exit__(self, *_: object) -> None:
        del _current.world
        for handle in list(self._handles):
            self.drop(handle)

    def new(self, thing: object) -> int:
        if len(self._handles) >= _MOST_HANDLES:
            raise Stop
        self._last += 1
        self._handles[self._last] = thing
        return self._last

    def get(self, handle: int, kind: type[_T]) -> _T:
        thing = self._handles.get(handle)
        if not isinstance(thing, kind):
            raise Stop
        return thing

    def full(self) -> bool:
        """Leaves room for what a program needs to hold for the files that it has open already."""
        return len(self._handles) >= _MOST_HANDLES // 2

    def drop(self, handle: int) -> None:
        match self._handles.pop(handle, None):
            case _Descriptor(node=File() as file) | _FileStream(file=File() as file):
                self.tree.let_go(file)
            case _:
                pass

    def holding(self, thing: _Descriptor | _FileStream) -> int:
        handle = self.new(thing)
        self.tree.hold(thing.node if isinstance(thing, _Descriptor) else thing.file)
        return handle

    def folder(self, handle: int) -> Folder:
        node = self.get(handle, _Descriptor).node
        if not isinstance(node, Folder):
            raise Fault("not-directory")
        return node

    def file(self, handle: int, *, write: bool = False) -> File | Device:
        descriptor = self.get(handle, _Descriptor)
        if isinstance(descriptor.node, Folder):
            raise Fault("is-directory")
        if not (descriptor.writes if write else descriptor.reads):
            raise Fault("bad-descriptor")
        return descriptor.node


# Waiting, clocks, chance.


@_import("wasi:io/poll", "[method]pollable.block")
def _block(world: World, handle: int) -> None:
    _poll(world, [handle])


@_import("wasi:io/poll", "poll")
def _poll(world: World, handles: list[int]) -> list[int]:
    if not handles:
        raise Stop
    pollables = [world.get(handle, _Pollable) for handle in handles]
    whens = [pollable.when for pollable in pollables if pollable.when is not None]
    world.console.wait_for(lambda: any(pollable.ready() for pollable in pollables), min(whens, default=None))
    return [i for i, pollable in enumerate(pollables) if pollable.ready()]


@_import("wasi:clocks/monotonic-clock", "now")
def _monotonic(_world: World) -> int:
    return time.monotonic_ns()


@_import("wasi:clocks/monotonic-clock", "resolution")
def _resolution(_world: World) -> int:
    return 1


@_import("wasi:clocks/monotonic-clock", "subscribe-instant")
def _at(world: World, when: int) -> int:
    return world.new(_Pollable(lambda: time.monotonic_ns() >= when, when))


@_import("wasi:clocks/monotonic-clock", "subscribe-duration")
def _after(world: World, nanoseconds: int) -> int:
    return _at(world, time.monotonic_ns() + nanoseconds)


@_import("wasi:clocks/wall-clock", "now")
def _wall(_world: World) -> tuple[int, int]:
    return _moment(time.time_ns())


@_import("wasi:clocks/wall-clock", "resolution")
def _wall_resolution(_world: World) -> tuple[int, int]:
    return 0, 1


@_import("wasi:random/random", "get-random-bytes")
def _random(_world: World, size: int) -> bytes:
    if size > _MOST_RANDOM:
        raise Stop
    return os.urandom(size)


# The streams of the command, and its end.


@_import("wasi:cli/stdin", "get-stdin")
def _stdin(world: World) -> int:
    return world.new(_Standard(None))


@_import("wasi:cli/stdout", "get-stdout")
def _stdout(world: World) -> int:
    return world.new(_Standard("stdout"))


@_import("wasi:cli/stderr", "get-stderr")
def _stderr(world: World) -> int:
    return world.new(_Standard("stderr"))


@_import("wasi:cli/terminal-stdin", "get-terminal-stdin")
@_import("wasi:cli/terminal-stdout", "get-terminal-stdout")
@_import("wasi:cli/terminal-stderr", "get-terminal-stderr")
def _no_terminal(_world: World) -> None:
    return None


@_import("wasi:cli/environment", "get-environment", "get-arguments")
def _nothing(_world: World) -> list[Any]:
    return []  # they go to the interpreter with the program


@_import("wasi:cli/exit", "exit")
def _exit(world: World, well: bool) -> None:
    world.console.finish(0 if well else 1)


@_import("", "finish")
def _finish(world: World, code: int) -> None:
    world.console.finish(code)


@_import("wasi:io/streams", "[method]input-stream.read", "[method]input-stream.blocking-read")
def _read_stream(world: World, handle: int, most: int) -> bytes:
    match world.get(handle, object):
        case _Standard(stream=None):
            data = world.console.take(min(most, _CHUNK))
        case _FileStream(file=File() as file, offset=int(offset)) as stream:
            data = world.tree.read(file, offset, min(most, _CHUNK)) or None
            stream.offset = offset + len(data or b"")
        case _FileStream():
            data = None
        case _:
            raise Stop
    if data is None:
        raise Fault("closed")
    return data


@_import("wasi:io/streams", "[method]input-stream.subscribe")
def _readable(world: World, handle: int) -> int:
    stream = world.get(handle, object)
    return world.new(_Pollable(world.console.ready if isinstance(stream, _Standard) else lambda: True))


@_import("wasi:io/streams", "[method]output-stream.subscribe")
def _writable(world: World, _handle: int) -> int:
    return world.new(_Pollable(lambda: True))


@_import("wasi:io/streams", "[method]output-stream.check-write")
def _room(world: World, handle: int) -> int:
    stream = world.get(handle, object)
    if not isinstance(stream, _FileStream) or not isinstance(stream.file, File):
        return _CHUNK
    room = world.tree.room(stream.file, stream.offset)
    if room <= 0:
        raise Fault("last-operation-failed", world.new(_Error()))
    return min(room, _CHUNK)


@_import("wasi:io/streams", "[method]output-stream.write", "[method]output-stream.blocking-write-and-flush")
def _write_stream(world: World, handle: int, data: bytes) -> None:
    match world.get(handle, object):
        case _Standard(stream=("stdout" | "stderr") as name):
            world.console.give(name, data)
        case _FileStream(file=File() as file) as stream:
            try:
                end = world.tree.write(file, stream.offset, data)
            except Fault:
                raise Fault("last-operation-failed", world.new(_Error())) from None
            stream.offset = None if stream.offset is None else end
        case _FileStream():
            pass
        case _:
            raise Stop


@_import("wasi:io/streams", "[method]output-stream.flush", "[method]output-stream.blocking-flush")
def _flush(_world: World, _handle: int) -> None:
    return None


# Files.


@_import("wasi:filesystem/preopens", "get-directories")
def _folders(world: World) -> list[tuple[int, str]]:
    return [(world.new(_Descriptor(world.tree.root)), "/")]


@_import("wasi:filesystem/types", "[method]descriptor.open-at")
def _open_at(world: World, handle: int, _follow: object, path: str, how: frozenset[str], flags: frozenset[str]) -> int:
    if world.full():
        raise Fault("insufficient-memory")
    above = world.folder(handle)
    writes = "write" in flags
    node = world.tree.open(
        above,
        path,
        create="create" in how and "directory" not in how,
        exclusive="exclusive" in how,
        truncate="truncate" in how and writes,
    )
    if "directory" in how and not isinstance(node, Folder):
        raise Fault("not-directory")
    if isinstance(node, Folder) and (writes or "create" in how):
        raise Fault("is-directory")
    return world.holding(_Descriptor(node, "read" in flags or isinstance(node, Folder), writes))


@_import("wasi:filesystem/types", "[method]descriptor.read")
def _read(world: World, handle: int, most: int, offset: int) -> tuple[bytes, bool]:
    file = world.file(handle)
    data = world.tree.read(file, offset, min(most, _CHUNK)) if isinstance(file, File) else b""
    return data, not data and most > 0


@_import("wasi:filesystem/types", "[method]descriptor.write")
def _write(world: World, handle: int, data: bytes, offset: int) -> int:
    file = world.file(handle, write=True)
    if isinstance(file, File):
        world.tree.write(file, offset, data)
    return len(data)


@_import("wasi:filesystem/types", "[method]descriptor.read-via-stream")
def _reading(world: World, handle: int, offset: int) -> int:
    return world.holding(_FileStream(world.file(handle), offset))


@_import("wasi:filesystem/types", "[method]descriptor.write-via-stream")
def _writing(world: World, handle: int, offset: int) -> int:
    return world.holding(_FileStream(world.file(handle, write=True), offset))


@_import("wasi:filesystem/types", "[method]descriptor.append-via-stream")
def _appending(world: World, handle: int) -> int:
    return world.holding(_FileStream(world.file(handle, write=True), None))


@_import("wasi:filesystem/types", "[method]descriptor.set-size")
def _resize(world: World, handle: int, size: int) -> None:
    file = world.file(handle, write=True)
    if isinstance(file, File):
        world.tree.resize(file, size)


@_import(
    "wasi:filesystem/types",
    "[method]descriptor.advise",
    "[method]descriptor.sync",
    "[method]descriptor.sync-data",
)
def _synced(_world: World, *_: object) -> None:
    return None


@_import("wasi:filesystem/types", "[method]descriptor.get-flags")
def _flags(world: World, handle: int) -> frozenset[str]:
    descriptor = world.get(handle, _Descriptor)
    if isinstance(descriptor.node, Folder):
        return frozenset({"read", "mutate-directory"})  # by which os.access judges all that is below
    return frozenset([*(["read"] if descriptor.reads else []), *(["write"] if descriptor.writes else [])])


@_import("wasi:filesystem/types", "[method]descriptor.stat")
def _stat(world: World, handle: int) -> tuple[Any, ...]:
    return _described(world.get(handle, _Descriptor).node)


@_import("wasi:filesystem/types", "[method]descriptor.stat-at")
def _stat_at(world: World, handle: int, _follow: object, path: str) -> tuple[Any, ...]:
    return _described(world.tree.find(world.folder(handle), path))


@_import("wasi:filesystem/types", "[method]descriptor.set-times")
def _set_times(world: World, handle: int, _read: object, modified: tuple[str, Any]) -> None:
    _dated(world.get(handle, _Descriptor).node, modified)


@_import("wasi:filesystem/types", "[method]descriptor.set-times-at")
def _set_times_at(
    world: World, handle: int, _follow: object, path: str, _read: object, modified: tuple[str, Any]
) -> None:
    _dated(world.tree.find(world.folder(handle), path), modified)


@_import("wasi:filesystem/types", "[method]descriptor.metadata-hash")
def _number(world: World, handle: int) -> tuple[int, int]:
    return world.get(handle, _Descriptor).node.number, 0


@_import("wasi:filesystem/types", "[method]descriptor.metadata-hash-at")
def _number_at(world: World, handle: int, _follow: object, path: str) -> tuple[int, int]:
    return world.tree.find(world.folder(handle), path).number, 0


@_import("wasi:filesystem/types", "[method]descriptor.read-directory")
def _names(world: World, handle: int) -> int:
    return world.new(_Names(world.tree.listed(world.folder(handle))[::-1]))


@_import("wasi:filesystem/types", "[method]directory-entry-stream.read-directory-entry")
def _next_name(world: World, handle: int) -> tuple[str, str] | None:
    left = world.get(handle, _Names).left
    if not left:
        return None
    name, node = left.pop()
    return _kind(node), name


@_import("wasi:filesystem/types", "[method]descriptor.create-directory-at")
def _make_folder(world: World, handle: int, path: str) -> None:
    world.tree.make_folder(world.folder(handle), path)


@_import("wasi:filesystem/types", "[method]descriptor.remove-directory-at")
def _remove_folder(world: World, handle: int, path: str) -> None:
    world.tree.remove(world.folder(handle), path, expect=Folder)


@_import("wasi:filesystem/types", "[method]descriptor.unlink-file-at")
def _remove_file(world: World, handle: int, path: str) -> None:
    world.tree.remove(world.folder(handle), path, expect=File)


@_import("wasi:filesystem/types", "[method]descriptor.rename-at")
def _rename(world: World, handle: int, path: str, to_handle: int, to_path: str) -> None:
    world.tree.rename(world.folder(handle), path, world.folder(to_handle), to_path)


@_import("wasi:filesystem/types", "[method]descriptor.link-at", "[method]descriptor.symlink-at")
def _link(_world: World, *_: object) -> None:
    raise Fault("not-permitted")


@_import("wasi:filesystem/types", "[method]descriptor.readlink-at")
def _readlink(world: World, handle: int, path: str) -> str:
    world.tree.find(world.folder(handle), path)
    raise Fault("invalid")


# Sockets: there are none.


@_import("wasi:sockets/instance-network", "instance-network")
def _network(world: World) -> int:
    return world.new(_Network())


@_import("wasi:sockets/tcp-create-socket", "create-tcp-socket")
@_import("wasi:sockets/udp-create-socket", "create-udp-socket")
@_import("wasi:sockets/ip-name-lookup", "resolve-addresses")
def _no_socket(_world: World, *_: object) -> int:
    raise Fault("access-denied")


_KINDS: Mapping[type[Node], str] = {File: "regular-file", Folder: "directory", Device: "character-device"}


def _kind(node: Node) -> str:
    return _KINDS[type(node)]


def _described(node: Node) -> tuple[Any, ...]:
    size = len(node.data) if isinstance(node, File) else 0
    modified = _moment(node.modified)
    return _kind(node), 1, size, modified, modified, modified


def _dated(node: Node, moment: tuple[str, Any]) -> None:
    if moment[0] == "now":
        node.modified = time.time_ns()
    elif moment[0] == "timestamp":
        node.modified = moment[1][0] * 1_000_000_000 + moment[1][1]


def _moment(nanoseconds: int) -> tuple[int, int]:
    return nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000
