"""The engine that runs every wasm sandbox of this process, and what keeps the time of their commands."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wit

from codin.sandbox._wasm._wasi import linker_for

__all__ = ["SETTINGS", "Machine", "Share", "engine"]

_TICK = 0.01
_BURST = 0.1
_STACK = 2 * 1024 * 1024  # the most there can be
SETTINGS = f"epochs, stack of {_STACK}, no concurrency"
"""What is compiled under one of these does not run under another."""


def engine() -> wasmtime.Engine:
    """An engine; what one of them compiled, all of them can load."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = _STACK
    # With it, wasmtime 50 traps on any call that borrows two resources, as renaming does.
    ffi.wasmtime_config_concurrency_support_set(config.ptr(), False)
    return wasmtime.Engine(config)


class Machine:
    """The interpreter, ready to be started any number of times.

    Args:
        compiled: what `engine()` had compiled. It is run as it is, so that only a file of our own will do.
    """

    def __init__(self, compiled: Path) -> None:
        self.engine = engine()
        self.component = wit.Component.deserialize_file(self.engine, str(compiled))
        self.linker = linker_for(self.engine, self.component)
        self._running = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._tick, name="codin-wasm-tick", daemon=True).start()

    @staticmethod
    def of(place: Path) -> Machine | None:
        """The one that this process has loaded from there."""
        return _loaded.get(place)

    @staticmethod
    def load(place: Path) -> Machine:
        with _loading:
            if (machine := _loaded.get(place)) is None:
                machine = _loaded[place] = Machine(place)
            return machine

    def begun(self) -> None:
        with self._changed:
            self._running += 1
            self._changed.notify()

    def ended(self) -> None:
        with self._changed:
            self._running -= 1

    def nudge(self) -> None:
        """Let all commands look at once whether they are to go on."""
        self.engine.increment_epoch()

    def _tick(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
            time.sleep(_TICK)
            self.engine.increment_epoch()


_loading = threading.Lock()
_loaded: dict[Path, Machine] = {}


class Share:
    """The processor time that the commands of one sandbox have together: so many seconds in each second."""

    def __init__(self, cores: float) -> None:
        self._cores = max(cores, 0.01)
        self._lock = threading.Lock()
        self._left = _BURST
        self._at = 0.0

    def spend(self, seconds: float, now: float) -> float:
        """Take what was used; gives for how long nobody may go on."""
        with self._lock:
            self._left = min(self._left + (now - self._at) * self._cores, _BURST) - seconds
            self._at = now
            return max(-self._left / self._cores, 0.0)
