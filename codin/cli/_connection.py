"""The options by which a command reaches a peer, and the peer they lead to."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from codin.cli._names import address_of, is_name
from codin.cli._terminal import say
from codin.errors import BadResponse, ConfigError

if TYPE_CHECKING:
    from codin.a2a import AgentCard
    from codin.client import Backoff, Peer
    from codin.net import Transport
    from codin.trust import TrustMode

__all__ = ["Connection", "connection_options", "retry_option"]


@dataclass
class Connection:
    """How to reach a peer. Its representation shows no token.

    Attributes:
        token_file: where the token is from, for the commands that are suggested.
        retry: for how many seconds a lost connection is taken up again; None leaves that to the client.
        trust: the mode in which cards are looked at; None leaves that to the client.
    """

    token: str | None = field(repr=False)
    token_file: str | None
    timeout: float | None
    retry: float | None = None
    trust: TrustMode | None = None
    _told: bool = field(default=False, init=False, repr=False)

    @asynccontextmanager
    async def open(self, url: str, *, transport: Transport | None = None) -> AsyncGenerator[Peer]:
        """The peer at a URL, or with a name. Says so, once, when the card at hand is the one of an agent elsewhere."""
        from codin.client import connect

        backoff = None if self.retry is None else _backoff(self.retry)
        if is_name(url):
            url = await address_of(url, has_token=self.token is not None)
        async with AsyncExitStack() as stack:
            peer = connect(
                url, token=self.token, timeout=self.timeout, transport=transport, backoff=backoff, trust=self.trust
            )
            try:
                await stack.enter_async_context(peer)
            except BadResponse as error:
                raise _one_of_several(error, url) from None
            if not self._told and (elsewhere := _elsewhere(url, peer.card)):
                self._told = True
                say(f"using the agent at {elsewhere}", "dim")
            yield peer

    @property
    def headers(self) -> dict[str, str]:
        """What a request without a peer carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def command(self, name: str, url: str, *words: str) -> str:
        """A command on the same peer, as it is typed."""
        token = ["--token-file", self.token_file] if self.token_file else []
        trust = ["--trust", self.trust] if self.trust else []
        return shlex.join(["codin", name, url, *token, *trust, *words])


def _one_of_several(error: BadResponse, url: str) -> BadResponse:
    """Without a card at the root of a server, it may still have agents: each at a path of its own."""
    if urlsplit(url).path.strip("/") or not error.message.startswith("There is no agent card"):
        return error
    hint = f"is the address right? One of several agents has a path of its own: {url.rstrip('/')}/NAME"
    return BadResponse(error.message, hint=hint)


def _elsewhere(url: str, card: AgentCard) -> str | None:
    """Where the agent is, when it is not below the path that was asked for: a card is looked for at the origin too."""
    asked = urlsplit(url).path.rstrip("/")
    places = [interface.url for interface in card.supported_interfaces if interface.protocol_binding == "JSONRPC"]
    if not asked or asked.endswith(".json") or not places:
        return None
    return None if any(f"{urlsplit(place).path}/".startswith(f"{asked}/") for place in places) else places[0]


def _backoff(seconds: float) -> Backoff:
    """As many tries as take this long, with the client's usual pauses."""
    from codin.client import Backoff

    usual = Backoff()
    tries, waited = 0, 0.0
    while waited < seconds:
        waited += 0.75 * min(usual.longest, usual.first * 2.0**tries)  # the mean of what `Backoff` makes of it
        tries += 1
    return Backoff(tries, usual.first, usual.longest)


retry_option = click.option(
    "--retry",
    type=click.FloatRange(min=0, max=86400),
    metavar="SECONDS",
    default=3.0,
    show_default=True,
    help="How long a lost connection is taken up again.",
)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--token`, `--token-file`, `--timeout` and `--trust`, and hand it one `connection`."""

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
    @click.option(
        "--trust",
        type=click.Choice(["off", "prefer", "require"]),
        help="How cards are looked at; require wants a signature that counts. Or: CODIN_TRUST.  "
        "[default: keep to what was approved]",
    )
    @functools.wraps(command)
    def connected(
        *args: Any,
        token: str | None,
        token_file: str | None,
        timeout: float,
        trust: TrustMode | None,
        retry: float | None = None,
        **options: Any,
    ) -> Any:
        if token is not None and token_file is not None:
            raise click.UsageError("--token and --token-file exclude each other", click.get_current_context())
        if token_file is not None:
            token = _token_in(Path(token_file))
        found = token or os.environ.get("CODIN_TOKEN") or None
        connection = Connection(found, token_file, timeout or None, retry, trust)
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
