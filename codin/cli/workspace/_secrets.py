"""Secrets by reference: where a value stands, and the value itself only for the process that is to have it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from codin.errors import ConfigError

__all__ = ["hide", "referenced", "resolve"]

_SHORTEST = 6  # a shorter word turns up by chance
_LARGEST = 64 * 1024


def resolve(references: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """The values behind `env:NAME` and `file:PATH`.

    Raises:
        ConfigError: one is not to be had; the text has its name and reference.
    """
    return {name: _value(name, reference, folder) for name, reference in references.items()}


def _value(name: str, reference: str, folder: Path) -> str:
    kind, _, place = reference.partition(":")
    if kind == "env":
        value, problem = os.environ.get(place, ""), f"the environment variable {place} is not set"
    else:
        value, problem = _read(folder / Path(place).expanduser())
    if not value:
        raise ConfigError(f"the secret {name} is not to be had: {problem}")
    return value


def _read(path: Path) -> tuple[str, str]:
    """What a file holds, and the words for it when that is nothing."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8").strip(), f"{path} is empty"
    except OSError as error:
        return "", f"{path} cannot be read: {error.strerror}"
    except UnicodeError:
        return "", f"{path} is no text in UTF-8"


def referenced(references: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """The environment variables that any of the manifests takes a secret from."""
    found = (reference for each in references for reference in each.values())
    return frozenset(reference.removeprefix("env:") for reference in found if reference.startswith("env:"))


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """The text with the name of each secret in place of its value."""
    for name, value in secrets.items():
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"[{name}]")
    return text
