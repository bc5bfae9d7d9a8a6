"""All checks, in the order in which they are run and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

from codin.cli.check._check import Check
from codin.cli.check._checks import (
    callers,
    card,
    envelope,
    errors,
    messages,
    push,
    resources,
    streams,
    tasks,
    together,
    versions,
)
from codin.errors import ConfigError

__all__ = ["CHECKS", "chosen"]


def _checks(*modules: ModuleType) -> Iterator[Check]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Check):
                yield value


CHECKS: Sequence[Check] = tuple(
    _checks(card, messages, tasks, streams, errors, versions, push, callers, envelope, resources, together)
)


def chosen(only: Sequence[str], skip: Sequence[str]) -> list[Check]:
    """The checks that answer to one of the words, and to none of the others.

    Args:
        only: names of checks, ids of rules, or groups; none is every check.

    Raises:
        ConfigError: no check answers to a word.
    """
    for word in (*only, *skip):
        if not any(check.answers_to(word) for check in CHECKS):
            raise ConfigError(f"no check is called {word!r}, or looks at it", hint="codin check --list shows all")
    return [
        check
        for check in CHECKS
        if (not only or any(map(check.answers_to, only))) and not any(map(check.answers_to, skip))
    ]
