"""The option of `codin serve` that sets limits: the table `[limits]` of an `agent.toml`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.server import ServerLimits
    from codin.task import Limits

__all__ = ["BOUND_OPTIONS", "bound_options", "check_limit", "flat_limits", "what_is_bounded"]

BOUND_OPTIONS = ("limit",)
"""By their names in Python."""

_FROM_ZERO = frozenset({"budget.money", "budget.tokens", "cancel_grace", "drain", "max_hops", "max_waiting"})
_MOST = 2**31 - 1  # bytes, or 68 years: what every part of a server can count to

_Command = TypeVar("_Command", bound=Callable[..., Any])


def bound_options(command: _Command) -> _Command:
    """Give a command the option."""
    return click.option(
        "--limit",
        multiple=True,
        metavar="NAME=VALUE",
        help="A bound; may be repeated. In seconds: run_timeout, park_timeout, cancel_grace, drain, log_retention, "
        "task_retention, keep_alive, send_timeout. In bytes: max_body, max_task_bytes. Counted: max_running, "
        "max_waiting, max_entries, max_uncommitted, max_hops, max_depth, max_values, max_parts, max_references, "
        "max_batch, max_streams. Of one task: budget.tokens, budget.money.",
    )(command)


class Bounds(TypedDict, total=False):
    """Arguments of `codin.serve`."""

    limits: Limits
    server_limits: ServerLimits


def what_is_bounded(said: Mapping[str, Any]) -> Bounds:
    """What the option makes, given by its name in Python; of two with one name, the later.

    Raises:
        ConfigError: it is not NAME=VALUE, or a name or a value is wrong.
    """
    written: Sequence[str] = said.get("limit") or ()
    if not written:
        return {}
    from codin.server import ServerLimits
    from codin.task import Limits
    from codin.trust import Budget

    found: dict[str, Any] = {}
    for each in written:
        name, _, value = each.partition("=")
        try:
            found[name] = check_limit(name, _number(value))
        except ConfigError as error:
            raise ConfigError(f"--limit {each}: {error.message}", hint=error.hint) from None
    budget = {name.removeprefix("budget."): found.pop(name) for name in [*found] if name.startswith("budget.")}
    of_server = {name: found.pop(name) for name in [*found] if name in ServerLimits.__dataclass_fields__}
    return {"limits": Limits(**found, budget=Budget(**budget)), "server_limits": ServerLimits(**of_server)}


def check_limit(name: str, value: object) -> int | float:
    """A limit by its name: the number itself, when it is one.

    Raises:
        ConfigError: there is no such limit, or that is no value for it.
    """
    kinds = _kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}"
        raise ConfigError(f"there is no limit {name!r}", hint=hint)
    is_number = type(value) is int or (kinds[name] is float and type(value) is float)
    if is_number and 0 <= cast("float", value) <= _MOST and (value or name in _FROM_ZERO):
        return cast("int | float", value)
    what = "a whole number" if kinds[name] is int else "a number" if "." in name else "a number of seconds"
    raise ConfigError(f"{name} is {what}, {'0 or more' if name in _FROM_ZERO else 'more than 0'}, up to {_MOST}")


def flat_limits(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """The names and values of a table, those of a table in it with a dot."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat_limits(cast("Mapping[str, Any]", value), f"{within}{name}.")
        else:
            yield within + name, value


def _kinds() -> Mapping[str, type]:
    """All that can be set, whole numbers and others."""
    from codin.server import ServerLimits
    from codin.task import Limits

    defaults = {each.name: each.default for kind in (Limits, ServerLimits) for each in fields(kind)}
    del defaults["budget"]
    whole = {name: int if isinstance(default, int) else float for name, default in defaults.items()}
    return {**whole, "budget.tokens": int, "budget.money": float}


def _number(text: str) -> object:
    """What was typed, as TOML would have it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
