"""The source of a module that the place where it runs cannot have: what is neither installed nor of the library."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from codin.errors import ConfigError

__all__ = ["importable", "sources_of"]

_MOST = 16 * 1024 * 1024  # bytes of one package: beyond that it is no program that one sends along
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib", "platstdlib"))


def importable(module: str) -> bool:
    """Whether somebody else could import it; what was made while this program runs has no place to come from."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def sources_of(module: str | None, *, always: bool = False) -> Mapping[str, bytes]:
    """The files of the top-level package or module that `module` belongs to, by their path from where it is imported.

    Nothing for `__main__`, whose functions travel as code, and for what is installed, unless `always`. Hidden files,
    and links that lead out of the package, may be somebody's secrets and are no part of it.

    Raises:
        ConfigError: there is no such module, or it is too large to be sent.
    """
    if module is None or module == "__main__" or module.partition(".")[0] in sys.builtin_module_names:
        return {}
    top = module.partition(".")[0]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"the module {module!r} cannot be found: {error}") from error
    if spec is None:
        raise ConfigError(f"there is no module {module!r}", hint="it has to be importable here to be sent elsewhere")
    roots = [Path(place) for place in spec.submodule_search_locations or ()]
    if not roots and spec.origin and Path(spec.origin).suffix == ".py":
        roots = [Path(spec.origin)]
    found: dict[str, bytes] = {}
    size = 0
    for root in roots:
        if not always and any(root.resolve().is_relative_to(place) for place in _INSTALLED):
            continue
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and not _is_hidden(path.relative_to(root)) and (always or _is_own(path, root)):
                found[path.relative_to(root.parent).as_posix()] = content = path.read_bytes()
                size += len(content)
                if size > _MOST:
                    raise ConfigError(
                        f"the package {top!r} has more than {_MOST} bytes and is not sent along",
                        hint="install it where the workload runs",
                    )
    return found


def _is_hidden(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def _is_own(path: Path, root: Path) -> bool:
    """Whether a file of a package is there, and not elsewhere with a link to it."""
    return not path.is_symlink() or path.resolve().is_relative_to(root.resolve())
