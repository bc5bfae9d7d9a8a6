"""One command: a thread of its own that runs the interpreter, and the streams between it and the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import wasmtime

from codin.sandbox._protocol import Ending, Output, Stream
from codin.sandbox._wasm._files import Tree
from codin.sandbox._wasm._machine import Machine, Share
from codin.sandbox._wasm._values import Stop, add_tick
from codin.sandbox._wasm._wasi import World

__all__ = ["Program", "Run"]

_PIECE = 64 * 1024
_PIPE = 256 * 1024  # bytes that wait to be read before whoever writes has to wait
_THREAD_STACK = 16 * 1024 * 1024
_LONG = 3600.0
_QUIET = 0.001  # seconds between two pieces of output
_OUT_OF_MEMORY = -9  # as the guest says it
_ABORTED, _KILLED, _OVERFLOWED = -6, -9, -11

_logger = logging.getLogger("codin.sandbox")
_starting = threading.Lock()
_here = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the interpreter is to run, by the words of world.wit."""

    how: str
    source: str
    argv: list[str]
    env: list[tuple[str, str]]
    cwd: str


class Run:
    """A command, as the sandbox's `Process` on the event loop and as the `Console` of its own thread.

    Args:
        memory: bytes that it may have.
        on_end: called on the event loop when nothing of it is left.
    """

    def __init__(
        self,
        machine: Machine,
        tree: Tree,
        share: Share,
        program: Program,
        *,
        memory: int,
        on_end: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._tree = tree
        self._share = share
        self._program = program
        self._memory = memory
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._heard = 0.0
        self._used = 0.0
        # What follows belongs to both sides, under this lock.
        self._changed = threading.Condition()
        self._telling = False
        self._output: deque[tuple[Stream, bytearray]] = deque()
        self._unread = 0
        self._input = bytearray()
        self._input_ended = False
        self._killed = False
        self._exit_code: int | None = None
        self._ending: Ending | None = None

    def start(self) -> None:
        thread = threading.Thread(target=self._work, name="codin-wasm", daemon=True)
        with _starting:  # the size of a stack is a setting of all threads that start
            before = threading.stack_size(_THREAD_STACK)
            try:
                thread.start()
            finally:
                threading.stack_size(before)

    # On the event loop.

    async def read(self) -> Output | None:
        while True:
            with self._changed:
                if self._output:
                    return self._next_output()
                if self._ending is not None:
                    return None
                news = self._news
            await news.wait()

    async def write(self, chunk: bytes, /) -> None:
        while chunk:
            with self._changed:
                if self._ending is not None or self._killed:
                    return
                room = _PIPE - len(self._input)
                self._input += chunk[:room]
                chunk = chunk[room:]
                self._changed.notify_all()
                news = self._news
            if chunk:
                await news.wait()

    async def end_input(self) -> None:
        with self._changed:
            self._input_ended = True
            self._changed.notify_all()

    async def wait(self) -> Ending:
        while True:
            with self._changed:
                if self._ending is not None:
                    return self._ending
                news = self._news
            await news.wait()

    async def kill(self) -> None:
        with self._changed:
            self._killed = True
            self._changed.notify_all()
        self._machine.nudge()

    def _next_output(self) -> Output:
        stream, data = self._output[0]
        piece = bytes(data[:_PIECE])
        del data[:_PIECE]
        if not data:
            self._output.popleft()
        self._unread -= len(piece)
        self._changed.notify_all()
        return Output(stream, piece)

    def _tell(self) -> None:
        """Wake who waits on the event loop, but not for every line of a program that writes many; called locked."""
        if not self._telling:
            self._telling = True
            self._call(self._hear)

    def _hear(self) -> None:
        soon = self._heard + _QUIET
        if self._loop.time() < soon:
            self._loop.call_at(soon, self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._telling = False
            news, self._news = self._news, asyncio.Event()
        self._heard = self._loop.time()
        news.set()

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(callback)

    # On the thread of the command.

    def take(self, most: int) -> bytes | None:
        with self._changed:
            if not self._input:
                return None if self._input_ended else b""
            data = bytes(self._input[:most])
            del self._input[:most]
            self._tell()
            return data

    def ready(self) -> bool:
        return bool(self._input) or self._input_ended

    def give(self, stream: Stream, data: bytes) -> None:
        with self._changed:
            if self._unread >= _PIPE:
                self.wait_for(lambda: self._unread < _PIPE, None)
            if self._output and self._output[-1][0] == stream:
                self._output[-1][1].extend(data)
            elif data:
                self._output.append((stream, bytearray(data)))
            self._unread += len(data)
            self._tell()

    def wait_for(self, ready: Callable[[], bool], until: int | None) -> None:
        with self._changed:
            while not self._killed:
                if ready():
                    return
                left = _LONG if until is None else (until - time.monotonic_ns()) / 1_000_000_000
                if left <= 0:
                    return
                self._changed.wait(min(left, _LONG))
        raise Stop

    def finish(self, code: int) -> None:
        self._exit_code = code
        raise Stop

    def tick(self) -> None:
        """Account for the time that was used, and wait when it was too much."""
        used = time.thread_time()
        pause = self._share.spend(used - self._used, time.monotonic())
        self._used = used
        self.wait_for(lambda: not pause, time.monotonic_ns() + int(pause * 1_000_000_000))

    def _work(self) -> None:
        _here.run = self
        self._machine.begun()
        ending = Ending(_ABORTED)
        try:
            with World(self._tree, self):
                ending = self._ended()
        except BaseException:
            _logger.exception("a command of a wasm sandbox was given up")
        finally:
            self._machine.ended()
            with self._changed:
                self._ending = ending
            self._call(self._on_end)
            self._call(self._wake)

    def _ended(self) -> Ending:
        try:
            self.tick()
            code = self._interpret()
            with suppress(Stop):
                self.tick()
        except (Stop, wasmtime.WasmtimeError, wasmtime.Trap) as error:
            return self._stopped(error)
        if code == _OUT_OF_MEMORY:
            return Ending(_KILLED, "memory")
        return Ending(code)

    def _interpret(self) -> int:
        program = self._program
        with wasmtime.Store(self._machine.engine) as store:
            store.set_limits(memory_size=self._memory, memories=1)
            add_tick(store, _tick)
            instance = self._machine.linker.instantiate(store, self._machine.component)
            run = instance.get_func(store, "run")
            assert run is not None
            return run(store, program.how, program.source, program.argv, program.env, program.cwd)

    def _stopped(self, error: BaseException) -> Ending:
        if self._exit_code is not None:
            return Ending(self._exit_code)
        if self._killed:
            return Ending(_KILLED, "killed")
        why = str(error).strip().rsplit("\n", 1)[-1].strip()
        with suppress(Stop):
            self.give("stderr", f"{why}\n".encode())
        return Ending(_OVERFLOWED if "stack" in why else _ABORTED)


def _tick() -> None:
    _here.run.tick()
