"""The kinds of sandboxes by name, those of other packages among them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from codin.errors import ConfigError, SandboxUnavailable
from codin.sandbox._protocol import Policy
from codin.sandbox._sandbox import Sandbox

__all__ = ["sandbox_kinds", "sandbox_of"]

_GROUP = "codin.sandboxes"


def sandbox_kinds() -> tuple[str, ...]:
    """The names of all kinds that are installed, whether or not this machine can open one."""
    return tuple(sorted(_entries()))


def sandbox_of(kind: str, policy: Policy | None = None, **options: Any) -> Sandbox:
    """A sandbox by the name of its kind, not yet opened.

    Args:
        kind: `local`, `wasm`, `docker`, `e2b`, `daytona`, or what another package adds by the entry point group
            `codin.sandboxes`: a name, and a class like these.
        policy: what it must keep.
        options: what the kind takes beside the policy.

    Raises:
        ConfigError: there is no such kind.
        SandboxUnavailable: what it needs is not installed.
    """
    if (entry := _entries().get(kind)) is None:
        raise ConfigError(f"there is no sandbox of kind {kind!r}", hint=f"one of: {', '.join(sandbox_kinds())}")
    try:
        made = cast("type[Sandbox]", entry.load())
    except ImportError as error:
        raise SandboxUnavailable(
            f"a sandbox of kind {kind!r} needs a package that is not installed: {error.name}",
            hint=f"pip install 'codin[{kind}]'",
        ) from error
    return made(policy, **options)


@cache
def _entries() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=_GROUP)}
