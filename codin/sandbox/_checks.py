"""Whether what a sandbox is told can be meant: a word that nobody knows would be a wall that is not there."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Collection, Mapping
from typing import Any, cast

from codin.errors import ConfigError

__all__ = ["check_command", "check_content", "check_env", "check_number", "check_whole", "check_word"]


def check_whole(name: str, value: Any) -> None:
    """Raise ConfigError unless it is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name}={value!r} is no whole number above 0")


def check_number(name: str, value: Any, hint: str | None = None) -> None:
    """Raise ConfigError unless it is a finite number above 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ConfigError(f"{name}={value!r} is no number above 0", hint=hint)


def check_word(name: str, value: Any, words: Collection[str]) -> None:
    """Raise ConfigError unless it is one of the words."""
    if not isinstance(value, str) or value not in words:
        raise ConfigError(f"{name}={value!r} is none of {', '.join(words)}")


def check_env(env: Any) -> None:
    """Raise ConfigError unless an environment can have these variables."""
    if not isinstance(env, Mapping):
        raise ConfigError(f"env={env!r} is no mapping", hint='env={"LANG": "C"}')
    for name, value in cast("Mapping[Any, Any]", env).items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ConfigError(f"env: {name!r} is no name of a variable")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigError(
                f"env: {name}={type(value).__name__} is no text", hint="variables are strings without NUL"
            )


def check_command(command: Any) -> None:
    """Raise TypeError unless it is the words of a command."""
    if isinstance(command, str | bytes) or not command or not all(isinstance(word, str) for word in command):
        raise TypeError(f"a command is a list of strings, the program first, not {command!r}")


def check_content(name: str, content: Any) -> None:
    """Raise TypeError unless it is bytes, or gives them."""
    if not isinstance(content, bytes | AsyncIterable):
        raise TypeError(f"{name} is bytes, or an async iterable of them, not {type(content).__name__}")
