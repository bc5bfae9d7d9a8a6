"""What an object of a framework is made of, as its adapter tells."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint

from codin.agent._adapt import adapters, packages_of

__all__ = ["Parts"]


class Parts:
    """Asks the adapters: beside its `adapt`, an adapter may have a function `parts(obj)`.

    It gives the objects that this one has or uses inside, of any framework, or None for what is a part by its nature: a
    model, a tool.
    """

    def __init__(self) -> None:
        self._adapters = adapters()

    def of(self, obj: object) -> Iterable[object] | None:
        """The parts that the adapter knows; None when the object itself is one."""
        if inspect.isclass(obj):
            return ()
        points = (self._adapters[package] for package in packages_of(obj) if package in self._adapters)
        point = next(points, None)
        tell = None if point is None else _hook(point)
        return () if tell is None else tell(obj)

    def within(self, obj: object) -> set[int]:
        """The identities of its parts, and of theirs."""
        found: dict[int, object] = {}
        waiting = [obj]
        while waiting:
            for part in self.of(waiting.pop()) or ():
                if id(part) not in found:
                    found[id(part)] = part
                    waiting.append(part)
        return set(found)


def _hook(point: EntryPoint) -> Callable[[object], Iterable[object] | None] | None:
    try:
        return getattr(importlib.import_module(point.module), "parts", None)
    except ImportError:  # said when the object is adapted
        return None
