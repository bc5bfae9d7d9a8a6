"""The option of `codin serve` that says which tools run in a sandbox: the tables of tools in an `agent.toml`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast, get_args

import click

from codin.cli._exits import Unmendable
from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.agent import Agent
    from codin.tool import Sandboxing

__all__ = ["TOOL_OPTIONS", "check_tools", "tool_options", "what_tools_may"]

TOOL_OPTIONS = ("tool_sandbox",)
"""By their names in Python."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def tool_options(command: _Command) -> _Command:
    """Give a command the option."""
    return click.option(
        "--tool-sandbox",
        multiple=True,
        metavar="NAME=WORD",
        help="Whether a tool of the agent runs in a sandbox: required, preferred or off; may be repeated.",
    )(command)


def check_tools(may: ToolsMay, agents: Iterable[Agent]) -> None:
    """Raise Unmendable when the option, or a manifest, speaks of a tool that none of the agents has."""
    known = {tool.name for agent in agents for tool in agent.tools}
    for name in sorted(may.get("tool_sandbox", {}).keys() - known):
        hint = f"there are {', '.join(sorted(known))}" if known else "they have none"
        words = f"--tool-sandbox, or a table [tools] of an agent.toml, names the tool {name!r}, which no agent here has"
        raise Unmendable(words, hint=hint)


class ToolsMay(TypedDict, total=False):
    """Arguments of `codin.serve`."""

    tool_sandbox: Mapping[str, Sandboxing]


def what_tools_may(said: Mapping[str, Any]) -> ToolsMay:
    """What the option makes, given by its name in Python.

    Raises:
        ConfigError: it is not NAME=WORD.
    """
    written: Sequence[str] = said.get("tool_sandbox") or ()
    if not written:
        return {}
    from codin.tool import Sandboxing

    found: dict[str, Sandboxing] = {}
    for each in written:
        name, _, word = each.partition("=")
        if not name or word not in get_args(Sandboxing):
            raise ConfigError(
                f"--tool-sandbox {each!r} is none", hint=f"write NAME=WORD, of {', '.join(get_args(Sandboxing))}"
            )
        found[name] = cast("Sandboxing", word)
    return {"tool_sandbox": found}
