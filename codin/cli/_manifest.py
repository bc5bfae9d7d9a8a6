"""A folder as a target: the `agent.toml` in it says what is served, and by which interpreter."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codin.errors import ConfigError

__all__ = ["read_folders"]

NAME = "agent.toml"
_KEYS = ("target", "python")


def read_folders(targets: Sequence[str], python: str | None) -> tuple[tuple[str, ...], str | None]:
    """The targets with what stands for each folder, and the interpreter: `python`, else the one of the manifests.

    A folder without a manifest stands for the `agent.py` in it.

    Raises:
        ConfigError: a manifest cannot be read, or two of them name different interpreters.
    """
    found: list[str] = []
    wanted: dict[str | None, str] = {}
    for target in targets:
        folder = Path(target)
        if not folder.is_dir():
            found.append(target)
            wanted.setdefault(None, target)
            continue
        manifest = _read(folder / NAME)
        found.append(str(folder / manifest.get("target", "agent.py")))
        named = manifest.get("python")
        # A link is not resolved: by the place where it stands a virtual environment is known.
        wanted.setdefault(str(folder / named) if named and "/" in named else named, target)
    if python is None and len(wanted) > 1:
        hint = "serve each with a command of its own, or choose one with --python"
        raise ConfigError(f"{' and '.join(wanted.values())} are not for the same interpreter", hint=hint)
    return tuple(found), python or next(iter(wanted), None)


def _read(path: Path) -> Mapping[str, str]:
    try:
        manifest: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    for key, value in manifest.items():
        if key not in _KEYS:
            raise ConfigError(f"{path} has no key {key!r}", hint=f"it may have {' and '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{path}: {key} is text, e.g. {key} = {'agent.py' if key == 'target' else 'python3'!r}")
    return manifest
