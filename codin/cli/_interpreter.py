"""`--python PATH`: the command goes on in another interpreter, which has what the target needs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from codin.errors import ConfigError

__all__ = ["command_in", "go_on_in", "here_option", "python_option", "typed"]

_OLDEST = (3, 11)  # as in pyproject.toml
_PATIENCE = 60.0  # seconds; a cold disk is slow
_LOOK = "import sys; print(*sys.version_info[:2], flush=True); import codin.cli"

python_option = click.option(
    "--python", metavar="PATH", help="An interpreter with codin and what TARGET imports, instead of this one."
)

here_option = click.option("--here", is_flag=True, hidden=True, help="This is the interpreter that was meant.")


def go_on_in(python: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by `codin` with other arguments, in another interpreter.

    Raises:
        ConfigError: it cannot run codin.
    """
    command = command_in(python, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def command_in(python: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs `codin` in another interpreter.

    Raises:
        ConfigError: it cannot run codin.
    """
    path = _found(python)
    version, problem = _look_at(path)
    if len(version) != len(_OLDEST):
        raise ConfigError(f"--python {python!r} is no Python 3", hint="name the interpreter: DIR/bin/python")
    if version < _OLDEST:
        wanted, found = (".".join(map(str, each)) for each in (_OLDEST, version))
        raise ConfigError(f"--python {python!r} is Python {found}; codin needs {wanted} or later")
    if problem is not None:
        hint = f"{shlex.quote(path)} -m pip install codin"
        raise ConfigError(f"--python {python!r} cannot import codin: {problem}", hint=hint)
    return [path, "-m", "codin.cli", *arguments]


def _look_at(path: str) -> tuple[tuple[int, ...], str | None]:
    """The version of an interpreter, empty for what is none; and why it cannot import codin."""
    try:
        done = subprocess.run(
            [path, "-c", _LOOK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        version = tuple(map(int, done.stdout.split()))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return (), None
    said = done.stderr.strip().splitlines() or [f"it ends with exit code {done.returncode}"]
    return version, said[-1] if done.returncode else None


def _found(python: str) -> str:
    path = shutil.which(python)
    if path is not None:
        # A link is not resolved: by the place where it stands a virtual environment is known.
        return os.path.abspath(path)  # noqa: PTH100
    place = Path(python)
    if place.is_dir():
        raise ConfigError(
            f"--python {python!r} is a folder", hint=f"name the interpreter in it: {place / 'bin/python'}"
        )
    what = "is not executable" if place.exists() else "does not exist"
    raise ConfigError(f"--python {python!r} {what}", hint="name an interpreter, e.g. other/.venv/bin/python")


def typed(settings: Mapping[str, Any]) -> list[str]:
    """Options by their names in Python, as they are typed."""
    singular = {"bindings": "binding", "versions": "protocol-version"}  # what is typed once for each
    found: list[str] = []
    for name, value in settings.items():
        for each in value if isinstance(value, tuple) else [value]:  # pyright: ignore[reportUnknownVariableType]
            found += [f"--{singular.get(name, name).replace('_', '-')}={each}"] if each is not None else []
    return found
