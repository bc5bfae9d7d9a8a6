"""The options by which a command reaches a peer, and the peer they lead to."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.client import Peer
    from codin.net import Transport

__all__ = ["Connection", "connection_options"]


@dataclass(frozen=True)
class Connection:
    """How to reach a peer. Its representation shows no token."""

    token: str | None
    timeout: float | None

    def __repr__(self) -> str:
        return f"Connection(token={'…' if self.token else None}, timeout={self.timeout})"

    def open(self, url: str, *, transport: Transport | None = None) -> Peer:
        """The peer at a URL, to be used in `async with`."""
        from codin.client import connect

        return connect(url, token=self.token, timeout=self.timeout, transport=transport)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--token`, `--token-file` and `--timeout`, and hand it one `connection`."""

    @click.option(
        "--token", metavar="TOKEN", help="A bearer token; other users may see it in the process list. Or: CODIN_TOKEN."
    )
    @click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="A file that holds the token.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How long the peer may be silent; 0 waits for ever.",
    )
    @functools.wraps(command)
    def connected(*args: Any, token: str | None, token_file: str | None, timeout: float, **options: Any) -> Any:
        if token is not None and token_file is not None:
            raise click.UsageError("--token and --token-file exclude each other", click.get_current_context())
        if token_file is not None:
            token = _token_in(Path(token_file))
        connection = Connection(token or os.environ.get("CODIN_TOKEN") or None, timeout or None)
        return command(*args, connection=connection, **options)

    return connected


def _token_in(path: Path) -> str:
    """The one token of a file: a line with nothing else, or a `caller-id token` line as servers read it."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {str(path)!r} cannot be read: {type(error).__name__}") from None
    found = [words for words in lines if words and not words[0].startswith("#")]
    if len(found) != 1 or len(found[0]) > 2:
        raise ConfigError(
            f"the token file {str(path)!r} holds {len(found)} lines that might be the token",
            hint="one line with the token, or `caller-id token`",
        )
    return found[0][-1]
