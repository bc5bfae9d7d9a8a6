"""How a command ends: the exit codes, and the words for what went wrong."""

from __future__ import annotations

import shlex
from enum import IntEnum

from codin import a2a
from codin.errors import (
    AddressRefused,
    CodinError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    FilterRefused,
    InvalidArguments,
    NotKept,
    StoreError,
    ToolError,
    UnknownTool,
)

__all__ = ["REFUSED", "Exit", "Unmendable", "exit_of", "for_programs", "hint_of"]

REFUSED = 78
"""How a process of `codin up` ends that no restart would mend; as in sysexits.h."""


class Unmendable(ConfigError):
    """A setting that is as wrong the next time: to start again mends nothing."""


class Exit(IntEnum):
    """What a script may rely on; `docs/cli.md` has the same table."""

    OK = 0
    TASK = 1
    """The task failed, was rejected or was canceled."""
    USAGE = 2
    """The command line, a file or a setting is wrong."""
    INPUT = 3
    """The task asks for input."""
    AUTH = 4
    """The peer or the task asks for a credential."""
    PEER = 5
    """The peer could not be reached, refused the request, or broke the protocol."""
    BUG = 70
    """Nobody expected this."""
    INTERRUPTED = 130
    """Ctrl-C, and nothing was waited for."""


_AUTH = "--token-file or CODIN_TOKEN give a bearer token, --api-key-file or CODIN_API_KEY an API key"

# The library's hints speak to programs; on a command line other words help. Subclasses stand before their parents.
_HINTS: dict[type[CodinError], str] = {
    AddressRefused: "if it is meant, give its own address instead of the one that named it",
    ConnectError: "is the server running, and the address right?",
    DeadlineExceeded: "--timeout waits longer, 0 for ever",
}


def exit_of(error: CodinError) -> Exit:
    """The exit code for an error."""
    if isinstance(error, (ConfigError, FilterRefused, NotKept, StoreError, UnknownTool, InvalidArguments)):
        return Exit.USAGE
    if isinstance(error, ToolError):
        return Exit.TASK
    if isinstance(error, (a2a.Unauthenticated, a2a.PermissionDenied)):
        return Exit.AUTH
    return Exit.PEER


# How hints begin that speak of headers and arguments: those of codin's client, and of agents that it serves.
_FOR_PROGRAMS = ("Pass token=", "say whose cards are trusted:", "send Authorization:", "the card says how:")

_EXTENSIONS = "send the header A2A-Extensions: "


def for_programs(hint: str | None) -> bool:
    """Whether a hint says nothing to somebody at a command line."""
    return hint is None or hint.startswith(_FOR_PROGRAMS)


def hint_of(error: CodinError) -> str | None:
    """What the person at the command line can do next."""
    if error.hint is not None and error.hint.startswith("--"):
        return error.hint
    if error.hint is not None and error.hint.startswith(_EXTENSIONS):
        return " ".join(f"--extension {shlex.quote(uri)}" for uri in error.hint.removeprefix(_EXTENSIONS).split(", "))
    if isinstance(error, (a2a.Unauthenticated, a2a.PermissionDenied)):
        return _AUTH if for_programs(error.hint) else error.hint
    return next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), error.hint)
