"""The back-ends by name, those of other packages among them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from codin.errors import ConfigError, RuntimeUnavailable
from codin.runtime._protocol import Kind

if TYPE_CHECKING:
    from codin.runtime._runtime import Runtime

__all__ = ["runtime_of", "runtimes", "runtimes_for"]

_GROUP = "codin.runtimes"
_ALL = frozenset[Kind]({"function", "module", "command", "container", "endpoint"})
# Of ours without importing them: whoever asks which back-ends could run something has often not installed them.
_CELLS: Mapping[str, frozenset[Kind]] = {
    "local": _ALL - {"container"},
    "docker": _ALL,
    "kubernetes": _ALL,
    "ray": _ALL - {"command", "container"},
    "http": frozenset({"endpoint"}),
    "daytona": frozenset({"command", "container"}),
}


def runtimes() -> tuple[str, ...]:
    """The names of all back-ends: codin's in the order in which they are preferred, then those of other packages."""
    entries = _entries()
    return (*(name for name in _CELLS if name in entries), *sorted(entries.keys() - _CELLS.keys()))


def runtimes_for(kind: Kind) -> tuple[str, ...]:
    """The back-ends that run a kind of workload, whether or not this machine has them."""
    return tuple(name for name in runtimes() if kind in (_CELLS.get(name) or runtime_class(name).kinds))


def runtime_of(name: str, **options: Any) -> Runtime:
    """A back-end by its name.

    Args:
        name: `local`, `docker`, `kubernetes`, `ray`, `http`, `daytona`, or what another package adds by the entry
            point group `codin.runtimes`: a name, and a subclass of `Runtime`.
        options: what the back-end takes.

    Raises:
        ConfigError: there is no such back-end.
        RuntimeUnavailable: what it needs is not installed.
    """
    return runtime_class(name)(**options)


def runtime_class(name: str) -> type[Runtime]:
    """The class of a back-end. Raises as `runtime_of` does."""
    if (entry := _entries().get(name)) is None:
        raise ConfigError(f"there is no runtime {name!r}", hint=f"one of: {', '.join(runtimes())}")
    try:
        return cast("type[Runtime]", entry.load())
    except ImportError as error:
        raise RuntimeUnavailable(
            f"the runtime {name!r} needs a package that is not installed: {error.name}",
            hint=f"pip install 'codin[{name}]'",
        ) from error


@cache
def _entries() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=_GROUP)}
