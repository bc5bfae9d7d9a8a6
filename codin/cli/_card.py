"""`codin card`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import click

from codin import a2a
from codin.a2a.v03 import card_of
from codin.cli._card_files import app_of, read_card, sign, verify
from codin.cli._card_view import show_card
from codin.cli._connection import Connection, connection_options, keys_option
from codin.cli._exits import Exit
from codin.cli._interpreter import go_on_in, here_option, python_option, typed
from codin.cli._manifest import Served, read_folders
from codin.cli._names import known_as, names_somebody
from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import results, say, write
from codin.errors import CodinError, ConfigError, TransportError, TrustError

if TYPE_CHECKING:
    from codin.net import Response, StreamingResponse, Transport
    from codin.trust import Trusted

__all__ = ["card"]

_Known: TypeAlias = "Trusted | TrustError | None"  # who has signed a card, or why it is refused

_LOCAL = "http://127.0.0.1:8000"


class _Card(OrderedGroup):
    """`codin card URL` shows it, without a word for that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        alone = not args or args[0] in {"-h", "--help"}
        return super().parse_args(ctx, args if alone or args[0] in self.commands else ["show", *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return self.commands.get(cmd_name, show)


@click.group(cls=_Card, no_args_is_help=False, subcommand_metavar="URL_OR_TARGET | COMMAND")
def card() -> None:
    """Show, sign or verify the card of an agent.

    \b
    codin card http://127.0.0.1:8000
    codin card hello.py --json
    codin card sign hello.py --public-url https://agents.example.com
    codin card verify http://127.0.0.1:8000
    """


card.add_command(sign)
card.add_command(verify)


class _Show(click.Command):
    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("codin card", "[OPTIONS] URL_OR_TARGET")


@card.command(cls=_Show)
@click.argument("place", metavar="URL_OR_TARGET")
@click.option("--json", "as_json", is_flag=True, help="Print the document as the agent publishes it.")
@click.option("--extended", is_flag=True, help="The card that the agent at a URL has for you, by your credential.")
@click.option("--public-url", metavar="URL", help=f"For a TARGET: where it would be reached.  [default: {_LOCAL}]")
@python_option
@here_option
@keys_option
@connection_options
def show(
    place: str,
    as_json: bool,
    extended: bool,
    public_url: str | None,
    python: str | None,
    here: bool,
    connection: Connection,
) -> int:
    """Show the card of the agent at a URL, the one in a .json file, or the one that `codin serve TARGET` would publish,
    which serves nothing.

    \b
    codin card http://127.0.0.1:8000
    codin card hello
    codin card https://agents.example.com --extended --token-file me.txt
    codin card hello.py --json
    codin card package.module:name
    codin card signed.json
    """
    if names_somebody(place):
        place = anyio.run(_named, place, connection) or place
    at_url = place.startswith(("http://", "https://"))
    in_file = place.endswith(".json") and "://" not in place
    if (at_url or in_file) and (public_url is not None or python is not None):
        raise click.UsageError("--public-url and --python belong to a TARGET", click.get_current_context())
    if extended and not at_url:
        raise click.UsageError("--extended belongs to a URL", click.get_current_context())
    known: _Known = None
    if at_url:
        document, known = anyio.run(_fetch_extended if extended else _fetch, connection, place)
        documents = [document]
    elif in_file:
        documents = [read_card(Path(place))]
    else:
        served = read_folders([place], python)
        if served.python is not None and not here:
            options = [*(["--json"] if as_json else []), *typed({"public_url": public_url, "keys": connection.keys})]
            go_on_in(served.python, ["card", "--here", *options, "--", place])
        documents = _local(served, (public_url or _LOCAL).rstrip("/"), connection.keys)
    how = f"codin card verify {shlex.quote(place)}" if in_file else "codin trust approve, or --trust"
    _print(documents, as_json, _signed(known, how))
    return Exit.PEER if isinstance(known, TrustError) else Exit.OK


def _print(documents: Sequence[bytes], as_json: bool, signed: str) -> None:
    for number, document in enumerate(documents):
        if as_json:
            write(json.dumps(json.loads(document), ensure_ascii=False, indent=2) + "\n")
            continue
        if number:
            results().print()
        show_card(card_of(document), signed)


def _signed(known: _Known, how: str) -> str:
    """Who has signed a card, in a few words.

    Args:
        how: it is verified.
    """
    if isinstance(known, TrustError):
        return f"refused: {known.message.partition('trusted: ')[2] or known.message}"
    if known is None or known.key is None:
        return f"not verified here: {how}"
    return f"by {known.name or known.key.kid}, verified ({known.how})"


async def _named(name: str, connection: Connection) -> str | None:
    with suppress(TransportError):  # it may as well be a module
        return await known_as(name, has_token=connection.has_secret)


def _local(served: Served, base: str, keys: str | None) -> list[bytes]:
    """The cards that `codin serve` would publish, without signatures.

    Args:
        keys: where the keys are that let agents in; None finds them, "" uses none.
    """
    from codin.cli._target import load_agents
    from codin.trust import KeyRing

    if not base.startswith(("http://", "https://")):
        raise ConfigError(f"the public URL {base!r} is none", hint="write it like https://agents.example.com")
    ring = None if keys == "" else KeyRing.find() if keys is None else KeyRing.open(keys)
    app = app_of(served, load_agents(served.targets), ring)
    return [
        endpoint.cards.render(f"{base}{path}/").body for path, endpoint in zip(app.places, app.endpoints, strict=True)
    ]


async def _fetch(connection: Connection, url: str) -> tuple[bytes, _Known]:
    """The card as it was published, and who has signed it; also of an agent that codin could not call."""
    from codin.net import open_transport

    transport = _Recorder(open_transport())
    try:
        async with connection.open(url, transport=transport) as peer:
            return transport.body, peer.trusted
    except CodinError as error:
        if not _is_card(transport.body):
            raise
        say(f"codin cannot call this agent: {error}", "yellow")
        return transport.body, error if isinstance(error, TrustError) else None
    finally:
        await transport.aclose()


async def _fetch_extended(connection: Connection, url: str) -> tuple[bytes, _Known]:
    """The card for this caller, which has to be signed by whoever has signed the public one."""
    async with connection.open(url) as peer:
        await peer.extended_card()
        return peer.document, peer.trusted


def _is_card(body: bytes) -> bool:
    try:
        a2a.AgentCard.from_json(body)
    except CodinError:
        return False
    return True


class _Recorder:
    """A transport that keeps the first body that was there: the card's. What follows is asked for by the card."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.body = b""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        response = await self._transport.request(
            method, url, headers=headers, content=content, timeout=timeout, limit=limit
        )
        if not self.body and response.status == 200:
            self.body = response.body
        return response

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float | None
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        return self._transport.stream(method, url, headers=headers, content=content, timeout=timeout)

    async def aclose(self) -> None:
        await self._transport.aclose()
