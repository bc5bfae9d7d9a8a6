"""The options of `codin serve` that say what is spoken, which an `agent.toml` has as keys, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, cast

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.task import PushPolicy

__all__ = ["SPOKEN_OPTIONS", "Binding", "Push", "Spoken", "Version", "spoken_options", "what_is_spoken"]

SPOKEN_OPTIONS = ("bindings", "versions", "push", "grpc_port")
"""The options by their names in Python, which are those of the keys as well."""

Binding: TypeAlias = Literal["JSONRPC", "HTTP+JSON"]
Version: TypeAlias = Literal["1.0", "0.3"]
Push: TypeAlias = Literal["off", "internet", "loopback", "anywhere"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def spoken_options(command: _Command) -> _Command:
    """Give a command the options."""
    options = [
        click.option(
            "--binding",
            "bindings",
            multiple=True,
            type=click.Choice(["JSONRPC", "HTTP+JSON"]),
            help="Speak this and not the other; may be repeated.  [default: both]",
        ),
        click.option(
            "--protocol-version",
            "versions",
            multiple=True,
            type=click.Choice(["1.0", "0.3"]),
            help="1.0 refuses callers of 0.3, which are served beside those of 1.0; may be repeated.  [default: both]",
        ),
        click.option(
            "--push",
            type=click.Choice(["off", "internet", "loopback", "anywhere"]),
            help="Where callers may have notifications posted to; loopback is this machine.  [default: internet]",
        ),
        click.option(
            "--grpc-port", type=click.IntRange(0, 65535), help="Serve gRPC too, on a port of its own; 0 takes one."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


class Spoken(TypedDict, total=False):
    """Arguments of `codin.serve`, and of an `App`."""

    bindings: Sequence[str]
    versions: Sequence[str]
    push: PushPolicy | bool
    grpc_port: int


def what_is_spoken(said: Mapping[str, Any]) -> Spoken:
    """What the options make, given by their names in Python; what is not said is the business of who takes it.

    Raises:
        ConfigError: 0.3 is wanted without 1.0.
    """
    made = {name: value for name in SPOKEN_OPTIONS if (value := said.get(name)) not in (None, ())}
    if set(made.get("versions", ())) == {"0.3"}:
        raise ConfigError(
            "A2A 0.3 is served beside 1.0 only", hint="say nothing of versions to serve both, or 1.0 to refuse 0.3"
        )
    if "push" in made:
        made["push"] = _pushed(made["push"])
    return cast("Spoken", made)


def _pushed(where: Push) -> PushPolicy | bool:
    from codin.net import AddressGuard
    from codin.task import PushPolicy

    if where == "loopback":
        return PushPolicy(guard=AddressGuard(allow_public=False, allow_loopback=True))
    return PushPolicy(guard=None) if where == "anywhere" else where == "internet"
