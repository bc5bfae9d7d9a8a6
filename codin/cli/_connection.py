"""The options by which a command reaches a peer, and the peer they lead to."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from codin import a2a
from codin.cli._names import address_of, is_name
from codin.cli._refusal import reword_refusal
from codin.cli._terminal import say
from codin.errors import CardNotTrusted, ConfigError

if TYPE_CHECKING:
    from codin.client import Backoff, Peer
    from codin.net import Transport
    from codin.trust import Credential, KeyRing, TrustMode, TrustPolicy

__all__ = ["Connection", "connection_options", "keys_option", "retry_option", "secret_in"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CALLER = "cli"  # the agent that somebody at a command line is


@dataclass
class Connection:
    """How to reach a peer. Its representation shows no secret.

    Attributes:
        token_file: where the token is from, for the commands that are suggested; so is `api_key_file`.
        retry: for how many seconds a lost connection is taken up again; None leaves that to the client.
        trust: the mode in which cards are looked at; None leaves that to the client.
        binding: the one to speak; None takes the first that is spoken here.
        extensions: those of the protocol to activate.
        keys: where the keys are that say who calls, when there is no other secret; None finds them, "" uses none.
    """

    token: str | None = field(repr=False)
    token_file: str | None
    timeout: float | None
    retry: float | None = None
    trust: TrustMode | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_file: str | None = None
    keys: str | None = ""
    binding: str | None = None
    extensions: tuple[str, ...] = ()
    _told: bool = field(default=False, init=False, repr=False)

    @asynccontextmanager
    async def open(self, url: str, *, transport: Transport | None = None) -> AsyncGenerator[Peer]:
        """The peer at a URL, or with a name. Says so, once, when the card at hand is the one of an agent elsewhere."""
        url = await self.address(url)
        async with AsyncExitStack() as stack:
            peer = await self._enter(stack, url, transport)
            if not self._told and (elsewhere := _elsewhere(url, peer.card)):
                self._told = True
                say(f"using the agent at {elsewhere}", "dim")
            try:
                yield peer
            except (a2a.A2AError, CardNotTrusted) as error:
                reword_refusal(error, peer, url, has_key=self._ring is not None)
                raise

    async def address(self, target: str) -> str:
        """Where an agent is that somebody has typed: a URL, or a name.

        Raises:
            ConfigError: it is neither, or nobody's name.
        """
        from codin.client._card import web_address

        if is_name(target):
            return await address_of(target, has_token=self.has_secret)
        web_address(target)
        return target

    async def _enter(self, stack: AsyncExitStack, url: str, transport: Transport | None) -> Peer:
        from codin.client import connect

        def opening(credential: Credential | None) -> Peer:
            return connect(
                url,
                token=self.token,
                credential=credential,
                timeout=self.timeout,
                transport=transport,
                backoff=None if self.retry is None else _backoff(self.retry),
                trust=self._policy,
                binding=self.binding,
                extensions=self.extensions,
            )

        try:
            return await stack.enter_async_context(opening(self._credential))
        except ConfigError:
            if self._ring is None or self.keys:
                raise
            # The card names another host, where no credential goes. Who asked for none calls as if there was no key.
            return await stack.enter_async_context(opening(None))

    @property
    def _credential(self) -> Credential | None:
        from codin.trust import AgentIdentity, ApiKey

        if self.api_key is not None:
            return ApiKey(self.api_key)
        return AgentIdentity(self._ring, _CALLER) if self._ring is not None else None

    @functools.cached_property
    def _ring(self) -> KeyRing | None:
        from codin.trust import KeyRing

        if self.has_secret or self.keys == "":
            return None
        return KeyRing.find() if self.keys is None else KeyRing.open(self.keys)

    @property
    def _policy(self) -> TrustPolicy | TrustMode | None:
        """How cards are looked at: agents with the keys of the one who calls are known to them."""
        from codin.trust import TrustPolicy

        if self._ring is None:
            return self.trust
        policy = TrustPolicy.of(self.trust)
        return TrustPolicy(policy.mode, keys=self._ring.published, first_use=policy.first_use)

    @property
    def has_secret(self) -> bool:
        """Whether a token or an API key goes along, which is good for whoever gets it."""
        return self.token is not None or self.api_key is not None

    @property
    def headers(self) -> dict[str, str]:
        """What a request without a peer carries."""
        if self.api_key is not None:
            return {"X-API-Key": self.api_key}
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def command(self, name: str, url: str, *words: str) -> str:
        """A command on the same peer, as it is typed."""
        given = {
            "--token-file": self.token_file,
            "--api-key-file": self.api_key_file,
            "--keys": self.keys,
            "--trust": self.trust,
            "--binding": self.binding,
        }
        options = [word for option, value in given.items() if value for word in (option, value)]
        options += ["--no-keys"] if self.keys == "" else []
        options += [word for uri in self.extensions for word in ("--extension", uri)]
        return shlex.join(["codin", name, url, *options, *words])


def _elsewhere(url: str, card: a2a.AgentCard) -> str | None:
    """Where the agent is, when it is not below the path that was asked for: a card is looked for at the origin too."""
    asked = urlsplit(url).path.rstrip("/")
    places = [each.url for each in card.supported_interfaces if each.url.startswith(("http://", "https://"))]
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


def keys_option(command: _Command) -> _Command:
    """Give a command with `connection_options` also `--keys` and `--no-keys`."""
    found = "[default: those that `codin keys list` shows]"
    command = click.option("--no-keys", "own_keys", flag_value="", help="Show no key, though there is one.")(command)
    told = f"Keys that say who calls, where no token or API key does.  {found}"
    return click.option("--keys", "own_keys", metavar="PATH", help=told)(command)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how a peer is reached, and hand it one `connection`."""

    @click.option(
        "--token", metavar="TOKEN", help="A bearer token; other users may see it in the process list. Or: CODIN_TOKEN."
    )
    @click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="A file that holds the token.")
    @click.option(
        "--api-key-file",
        type=click.Path(exists=True, dir_okay=False),
        help="A file that holds an API key, for the header X-API-Key. Or: CODIN_API_KEY.",
    )
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
    @click.option(
        "--binding",
        type=click.Choice(["JSONRPC", "HTTP+JSON", "GRPC"]),
        help="Speak this one.  [default: the first of the card that is spoken here]",
    )
    @click.option(
        "--extension", "extensions", metavar="URI", multiple=True, help="Activate an extension; may be repeated."
    )
    @functools.wraps(command)
    def connected(
        *args: Any,
        token: str | None,
        token_file: str | None,
        api_key_file: str | None,
        timeout: float,
        trust: TrustMode | None,
        binding: str | None,
        extensions: tuple[str, ...],
        retry: float | None = None,
        own_keys: str | None = "",
        **options: Any,
    ) -> Any:
        ways = {"--token": token, "--token-file": token_file, "--api-key-file": api_key_file, "--keys": own_keys}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{given[0]} and {given[1]} exclude each other", click.get_current_context())
        api_key: str | None = None
        if token_file is not None:
            token = secret_in(Path(token_file), "token")
        elif api_key_file is not None:
            api_key = secret_in(Path(api_key_file), "API key")
        elif not given:
            token = os.environ.get("CODIN_TOKEN") or None
            api_key = None if token else os.environ.get("CODIN_API_KEY") or None
        connection = Connection(
            token or None,
            token_file,
            timeout or None,
            retry,
            trust,
            api_key,
            api_key_file,
            own_keys,
            binding,
            extensions,
        )
        return command(*args, connection=connection, **options)

    return connected


def secret_in(path: Path, kind: str) -> str:
    """The one secret of a file: a line with nothing else, or a `caller-id secret` line as servers read it."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the {kind} file {str(path)!r} cannot be read: {type(error).__name__}") from None
    found = [words for words in lines if words and not words[0].startswith("#")]
    if len(found) != 1 or len(found[0]) > 2:
        raise ConfigError(
            f"the {kind} file {str(path)!r} holds {len(found)} lines that might be the {kind}",
            hint=f"one line with the {kind}, or `caller-id` and the {kind}",
        )
    return found[0][-1]
