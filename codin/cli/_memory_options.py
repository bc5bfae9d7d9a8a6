"""The options of `codin serve` that say what agents remember: keys of an `agent.toml`, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from codin.memory import Memories

__all__ = ["MEMORY_OPTIONS", "memory_options", "what_is_remembered"]

MEMORY_OPTIONS = ("memory", "embedder")
"""By their names in Python."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def memory_options(command: _Command) -> _Command:
    """Give a command the options."""
    command = click.option(
        "--embedder",
        metavar="NAME",
        envvar="CODIN_EMBEDDER",
        help="What makes vectors: hashing, minilm, openai:MODEL or none. Or: CODIN_EMBEDDER.  [default: hashing]",
    )(command)
    return click.option(
        "--memory",
        metavar="URL",
        envvar="CODIN_MEMORY",
        help="Where agents remember: sqlite:///memory.db, redis://…, postgresql://…, or memory://. Or: CODIN_MEMORY.",
    )(command)


class Remembers(TypedDict, total=False):
    """Arguments of `codin.serve`."""

    memory: Memories


def what_is_remembered(said: Mapping[str, Any]) -> Remembers:
    """What the options make, given by their names in Python.

    Raises:
        ConfigError: there is no such memory or embedder.
    """
    memory, embedder = said.get("memory"), said.get("embedder")
    if memory is None:
        return {}  # what the environment says of embedders is for whoever has a memory
    from codin.memory import Memories
    from codin.memory.embedders import embedder_of

    return {"memory": Memories(memory, embedder=embedder_of(embedder or "hashing"))}
