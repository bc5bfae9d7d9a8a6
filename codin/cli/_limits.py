"""The options by which somebody who calls says how long and for how much, and the limits they make."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.trust import Budget, CallLimits

__all__ = ["Allowed", "limit_options"]

_TIME = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_AMOUNTS: dict[str, Callable[[str], Any]] = {"tokens": int, "money": float}
_LONGEST = 365 * 24 * 3600.0


@dataclass(frozen=True)
class Allowed:
    """What the answer to a message may take.

    Args:
        seconds: from when the message is sent; None for any time.
        budget: for the agents that are called meanwhile; None for any.
    """

    seconds: float | None = None
    budget: Budget | None = None

    def limits(self) -> CallLimits | None:
        """The limits of a call that begins now; None when there are none."""
        if self.seconds is None and self.budget is None:
            return None
        from codin.trust import Budget, CallLimits

        deadline = None if self.seconds is None else int((time.time() + self.seconds) * 1000)
        return CallLimits(deadline=deadline, budget=self.budget or Budget())


def _seconds(ctx: click.Context, param: click.Parameter, said: str | None) -> float | None:
    """`30`, `30s`, `5m`, `1.5h`."""
    if said is None:
        return None
    match = _TIME.fullmatch(said)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"{said!r} is no time; write 30s, 5m or 1h", ctx, param)
    return seconds


def _budget(ctx: click.Context, param: click.Parameter, said: tuple[str, ...]) -> Budget | None:
    """`tokens=2000`, `money=0.5`: all of them together, each the smallest that was said."""
    if not said:
        return None
    from codin.trust import Budget

    whole = Budget()
    for each in said:
        what, _, count = each.partition("=")
        try:
            if what not in _AMOUNTS:
                raise ValueError
            whole = whole.within(Budget(**{what: _AMOUNTS[what](count)}))
        except (ValueError, ConfigError):
            words = f"{each!r} is no budget; write tokens=2000 or money=0.5"
            raise click.BadParameter(words, ctx, param) from None
    return whole


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--deadline` and `--budget`, and hand it one `allowed`."""

    @click.option(
        "--deadline",
        callback=_seconds,
        metavar="TIME",
        help="How long the agent has, with all that it calls: 30s, 5m, 1h, or seconds. The task is stopped then.",
    )
    @click.option(
        "--budget",
        callback=_budget,
        multiple=True,
        metavar="tokens=N|money=N",
        help="What the agent may spend on those that it calls; for both, give it twice.",
    )
    @functools.wraps(command)
    def limited(*args: Any, deadline: float | None, budget: Budget | None, **options: Any) -> Any:
        return command(*args, allowed=Allowed(deadline, budget), **options)

    return limited
