"""`codin card sign` and `codin card verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from codin import a2a
from codin.a2a.v03 import card_of
from codin.cli._callers import who_may_call
from codin.cli._connection import Connection, connection_options
from codin.cli._interpreter import go_on_in, here_option, python_option, typed
from codin.cli._keys import open_ring
from codin.cli._manifest import Served, read_folders
from codin.cli._names import names_somebody
from codin.cli._spoken import what_is_spoken
from codin.cli._terminal import write
from codin.errors import CardNotTrusted, ConfigError

if TYPE_CHECKING:
    from codin.agent import Agent
    from codin.server import App
    from codin.trust import KeyRing, PublicKey

__all__ = ["app_of", "keys_at", "read_card", "sign", "verify"]

_LOCAL = "http://127.0.0.1:8000"
_MAX_BYTES = 1024 * 1024


@click.command()
@click.argument("place", metavar="FILE_OR_TARGET")
@click.option("--keys", metavar="PATH", help="Keys to sign with.  [default: those that `codin keys list` shows]")
@click.option("--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--public-url", metavar="URL", help=f"For a TARGET: where it is reached.  [default: {_LOCAL}]")
@python_option
@here_option
def sign(
    place: str, keys: str | None, output: str | None, public_url: str | None, python: str | None, here: bool
) -> int:
    """Sign the card in a JSON file, or the one that `codin serve TARGET` would publish.

    Signatures that it has by other keys stay.

    \b
    codin card sign card.json -o signed.json
    codin card sign hello.py --public-url https://agents.example.com
    """
    if place.endswith(".json"):
        if public_url is not None or python is not None:
            raise click.UsageError("--public-url and --python belong to a TARGET", click.get_current_context())
        document = _signed_file(Path(place), open_ring(Path(keys) if keys else None))
    else:
        served = read_folders([place], python)
        if served.python is not None and not here:
            given = {"keys": keys, "output": output, "public_url": public_url}
            go_on_in(served.python, ["card", "sign", "--here", *typed(given), "--", place])
        document = _signed_target(served, (public_url or _LOCAL).rstrip("/"), open_ring(Path(keys) if keys else None))
    text = json.dumps(json.loads(document), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        write(text)
    else:
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{output!r} cannot be written: {error.strerror}") from None
    return 0


def _signed_file(path: Path, ring: KeyRing) -> bytes:
    from codin.trust import sign_card

    try:
        card = a2a.AgentCard.from_json(_read(path))
    except a2a.A2AError as error:
        raise ConfigError(f"{str(path)!r} is no agent card of A2A v1.0: {error.message}") from None
    return sign_card(card, *ring.signing).to_json()


def _signed_target(served: Served, base: str, ring: KeyRing) -> bytes:
    from codin.cli._target import load_agents
    from codin.server._jwks import JWKS_PATH

    if not base.startswith(("http://", "https://")):
        raise ConfigError(f"the public URL {base!r} is none", hint="write it like https://agents.example.com")
    agents = load_agents(served.targets)
    if len(agents) > 1:
        (target,) = served.targets
        hint = f"name one: {', '.join(f'{target}:{agent.id}' for agent in agents)}"
        raise ConfigError(f"{target!r} has {len(agents)} agents, each with a card of its own", hint=hint)
    app = app_of(served, agents, ring)
    return app.endpoints[0].cards.render(f"{base}/", f"{base}{JWKS_PATH}").body


def app_of(served: Served, agents: Sequence[Agent], ring: KeyRing | None) -> App:
    """The application that `codin serve` would run, for its cards; it serves nothing."""
    from codin.server import App

    app = App(*agents, keys=ring, **who_may_call(served.settings), **what_is_spoken(served.settings))
    if app.grpc is not None:
        app.grpc.port = served.settings["grpc_port"] or None  # where it would listen; a free one is not known
    return app


@click.command()
@click.argument("place", metavar="URL_OR_FILE")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE_OR_URL",
    help="A key that counts: PEM, JSON Web Key, or a set of them.  [default: your own, and those you have approved]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the key that has signed it, as JSON.")
@connection_options
def verify(place: str, keys: tuple[str, ...], as_json: bool, connection: Connection) -> int:
    """Verify a card at a URL, which may be a name that codin find shows, or in a file, by keys that you choose.
    No address in the card is followed.

    Exit code 0 says that one of the keys has signed it as it is.

    \b
    codin card verify http://127.0.0.1:8000
    codin card verify card.json --key jwks.json
    codin card verify https://agents.example.com --key https://agents.example.com/.well-known/jwks.json
    """
    if names_somebody(place):
        place = anyio.run(connection.address, place)
    key = anyio.run(_verify, place, keys, connection)
    if as_json:
        write(json.dumps(key.to_jwk()) + "\n")
    else:
        write(f"signed by {key.kid} ({key.algorithm})\n")
    return 0


async def _verify(place: str, named: tuple[str, ...], connection: Connection) -> PublicKey:
    from codin.trust import verify_card

    keys = await _keys_for(place, named, connection)
    card = await _card_at(place, connection)
    try:
        return verify_card(card, keys)
    except CardNotTrusted:
        if named and len(keys) == 1:
            with suppress(CardNotTrusted):
                return verify_card(card, lambda _: keys[0])  # it may have signed under any name
        raise


async def _card_at(place: str, connection: Connection) -> bytes:
    """The card as it was published, whatever it is."""
    if not place.startswith(("http://", "https://")):
        return read_card(Path(place))
    from codin.client._card import CardCache
    from codin.net import open_transport

    transport = open_transport()
    try:
        return (await CardCache().resolve(transport, place, connection.headers, connection.timeout)).raw
    finally:
        await transport.aclose()


async def _keys_for(place: str, named: tuple[str, ...], connection: Connection) -> list[PublicKey]:
    """The keys that count: those that are named; else our own, those that count everywhere, and those of the place.

    Raises:
        ConfigError: there are none, or what is named holds none.
    """
    from codin.trust import KeyRing, TrustStore
    from codin.trust._cards.signers import origin_of

    if named:
        return [key for each in named for key in await keys_at(each, connection)]
    ring, trusts = KeyRing.find(), await TrustStore.default().load()
    ours = ring.published if ring is not None else ()
    pinned = trusts.pinned(origin_of(place)) if "://" in place else ()
    found = [key for key in (*ours, *trusts.anywhere(), *pinned) if key.kid not in trusts.revoked]
    if not found:
        raise ConfigError("there is no key to verify with", hint="--key FILE names one, or a set of them")
    return found


async def keys_at(place: str, connection: Connection) -> list[PublicKey]:
    """The keys in a file, or at an address that somebody has typed."""
    from codin.net import open_transport
    from codin.trust import PublicKey, read_jwks

    if place.startswith(("http://", "https://")):
        transport = open_transport()
        try:
            response = await transport.request(
                "GET", place, headers={"Accept": "application/json"}, timeout=connection.timeout, limit=_MAX_BYTES
            )
        finally:
            await transport.aclose()
        if response.status != 200:
            raise ConfigError(f"there are no keys at {place}: it answers {response.status}")
        document = response.body
    else:
        document = _read(Path(place))
    if document.lstrip().startswith(b"-----BEGIN"):
        return [PublicKey.from_pem(document)]
    if keys := read_jwks(document if b'"keys"' in document else b'{"keys":[%s]}' % document):
        return keys
    raise ConfigError(f"{place!r} has no key that codin uses", hint="P-256, Ed25519 and RSA are")


def read_card(path: Path) -> bytes:
    """A card in a file, as it was published.

    Raises:
        ConfigError: the file cannot be read, or is no card.
    """
    document = _read(path)
    try:
        card_of(document)
    except a2a.A2AError as error:
        wrong = error.message.removeprefix("Invalid params: ")
        raise ConfigError(f"{str(path)!r} is no agent card of A2A: {wrong}") from None
    return document


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the file {str(path)!r} cannot be read: {error.strerror}") from None
