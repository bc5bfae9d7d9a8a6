"""`codin trust`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from codin.cli._card_files import keys_at
from codin.cli._connection import Connection, connection_options
from codin.cli._exits import Exit
from codin.cli._key_command import KeyCommand
from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import check_somebody, results, say, show, write
from codin.errors import CardChanged, CardNotTrusted, ConfigError

if TYPE_CHECKING:
    from codin.client import FetchedCard
    from codin.trust import PublicKey, Trusts, TrustStore

__all__ = ["trust"]

_place_option = click.option(
    "--store",
    "place",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where decisions are kept.  [default: CODIN_TRUST_STORE; trust.json beside the keys]",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print objects, one a line.")


def _open(place: Path | None) -> TrustStore:
    from codin.trust import TrustStore

    return TrustStore.default() if place is None else TrustStore(place)


@click.group(cls=OrderedGroup)
def trust() -> None:
    """Whom you trust: the agents you have approved, the keys of their cards, and keys that count no more.

    An agent that was approved is called only while its card stays as it was: its skills, its address, its key.

    \b
    codin trust approve https://agents.example.com/translator
    codin trust diff    https://agents.example.com/translator
    codin trust list
    codin trust revoke  https://agents.example.com/translator
    """


# -- list --------------------------------------------------------------------------------------------------------------


@trust.command("list")
@_place_option
@_json_option
def list_(place: Path | None, as_json: bool) -> int:
    """List approved agents, pinned and named keys, and revoked ones."""
    from rich.table import Table

    store = _open(place)
    rows = _rows(store.read())
    if as_json:
        for row in rows:
            write(json.dumps(row) + "\n")
        return Exit.OK
    if not rows:
        say(f"nothing was decided yet in {store.path}", "dim")
        return Exit.OK
    table = Table("what", "of", "keys", "since", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["kind"], row["of"], "\n".join(row["keys"]) or "not signed", _day(row["since"]))
    results().print(table)
    return Exit.OK


def _rows(trusts: Trusts) -> list[dict[str, Any]]:
    def row(kind: str, of: str, keys: list[str], since: int | None) -> dict[str, Any]:
        return {"kind": kind, "of": of, "keys": keys, "since": since}

    return [
        *(row("approved", place, list(each.kids), each.since) for place, each in trusts.cards.items()),
        *(
            row("first use", origin, [key.kid for key in pins.keys], pins.since)
            for origin, pins in trusts.origins.items()
            if pins.first_use  # the others are those of the approved agents
        ),
        *(
            row("any agent" if named.anywhere else "name", name, [named.key.kid], None)
            for name, named in trusts.names.items()
        ),
        *(row("revoked", "", [kid], since) for kid, since in trusts.revoked.items()),
    ]


def _day(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else ""


# -- approve -----------------------------------------------------------------------------------------------------------


@trust.command()
@click.argument("url", required=False)
@click.option("--key", "file", metavar="FILE_OR_URL", help="The key that has to have signed, or a set of keys.")
@click.option("--kid", metavar="THUMBPRINT", help="The thumbprint that it has to have, as its owner told you.")
@click.option("--name", metavar="NAME", help="What you call the key.")
@click.option("--anywhere", is_flag=True, help="With --key and --name: trust every card that this key has signed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_place_option
@_json_option
@connection_options
def approve(
    url: str | None,
    file: str | None,
    kid: str | None,
    name: str | None,
    anywhere: bool,
    yes: bool,
    place: Path | None,
    as_json: bool,
    connection: Connection,
) -> int:
    """Approve the agent at URL as it is now, and the key of its card; or give a key a name.

    URL may be a name that codin find shows; what is approved is the agent at its address.

    The key is the one that the agent's origin publishes. Whether it is the right one you know best from its owner:
    compare the thumbprint, or give it by --kid or --key. An approval takes the place of the one before; it is also the
    step by which a new key is accepted.

    \b
    codin trust approve https://agents.example.com/translator
    codin trust approve https://agents.example.com/translator --kid Zg5...
    codin trust approve --key company.jwk --name company --anywhere
    """
    store = _open(place)
    given = anyio.run(keys_at, file, connection) if file else None
    if url is None:
        return _approve_key(store, given, kid, name, anywhere, as_json)
    if anywhere:
        raise click.UsageError("--anywhere goes without a URL", click.get_current_context())
    url = anyio.run(_address, connection, url)
    found, keys = anyio.run(_looked_at, connection, url, store, given)
    if kid is not None and kid not in [key.kid for key in keys]:
        raise CardNotTrusted(f"the card is not signed by {kid!r}, but by {_listed(keys)}")
    if name is not None and len(keys) != 1:
        raise ConfigError(f"--name names one key, and the card has {len(keys)}")
    if not yes and kid is None and given is None and not _agreed(url, found, keys, store):
        return Exit.TASK
    store.approve(url, found.card, keys)
    if name is not None:
        store.name(name, keys[0])
    _tell(as_json, {"approved": url, "name": found.card.name, "keys": [key.kid for key in keys]},
          f"approved {found.card.name}, {_listed(keys)}")  # fmt: skip
    return Exit.OK


def _approve_key(
    store: TrustStore, given: list[PublicKey] | None, kid: str | None, name: str | None, anywhere: bool, as_json: bool
) -> int:
    if given is None or name is None:
        raise click.UsageError("give a URL, or --key and --name", click.get_current_context())
    keys = [key for key in given if kid in (None, key.kid)]
    if len(keys) != 1:
        raise ConfigError(f"the file has {len(keys)} such keys, and a name is for one", hint="--kid says which")
    store.name(name, keys[0], anywhere=anywhere)
    _tell(as_json, {"name": name, "keys": [keys[0].kid], "anywhere": anywhere}, f"{name} is {keys[0].kid}")
    return Exit.OK


async def _address(connection: Connection, target: str) -> str:
    """Where an agent is. Decisions are about addresses, so the one that a name stands for is told."""
    url = await connection.address(target)
    if url != target:
        say(f"{target} is {url}", "dim")
    return url


async def _looked_at(
    connection: Connection, url: str, store: TrustStore, given: list[PublicKey] | None
) -> tuple[FetchedCard, list[PublicKey]]:
    """The card, and those of the keys that may count which have signed it.

    Raises:
        CardNotTrusted: it is signed, and by none of them.
    """
    from codin.client import fetch_card
    from codin.net import AddressGuard, open_transport
    from codin.trust import published_keys, signed_by, signers_of, verify_card

    transport = open_transport(guard=AddressGuard(named_by=url))
    try:
        found = await fetch_card(
            url, headers=connection.headers, timeout=connection.timeout, transport=transport, trust="off"
        )
        signers = signers_of(found.card)
        keys = given if given is not None else await published_keys(transport, found.address) if signers else []
    finally:
        await transport.aclose()
    trusts = await store.load()
    keys = [key for key in dict.fromkeys(keys) if key.kid not in trusts.revoked]
    signed = signed_by(found.raw, keys)
    if not signed and (signers or given is not None):
        verify_card(found.raw, keys)  # says why not
    return found, signed


def _agreed(url: str, found: FetchedCard, keys: list[PublicKey], store: TrustStore) -> bool:
    """What the person says to what there is to approve."""
    check_somebody("--yes approves what is there")
    from codin.trust import card_changes

    before = store.read().approved(url)
    show(f"{found.card.name} at {found.address}")
    show(_listed(keys), label="  ", indent=2)
    if before is None:
        for skill in found.card.skills:
            show(f"skill {skill.id}: {skill.description}", label="  ", indent=2)
    else:
        old, new = ", ".join(before.kids) or "nothing", ", ".join(key.kid for key in keys) or "nothing"
        changes = card_changes(before.card, found.card) + ([f"key: {old} -> {new}"] if old != new else [])
        for line in changes or ["as it was approved before"]:
            show(line, label="  ", indent=2)
    return click.confirm("Approve it?", err=True)


# -- revoke ------------------------------------------------------------------------------------------------------------


@trust.command(cls=KeyCommand)
@click.argument("what", metavar="URL|NAME|KID")
@_place_option
@_json_option
def revoke(what: str, place: Path | None, as_json: bool) -> int:
    """Take an approval back, or never trust a key again.

    For a URL, the agent is as if it was never seen. A key, by its name or thumbprint, counts nowhere any more, and an
    agent that is pinned to it is refused until you approve its new one.
    """
    store = _open(place)
    trusts = store.read()
    if what.startswith(("http://", "https://")):
        before = trusts
        store.forget(what)
        if store.read() == before:
            raise ConfigError(f"nothing was decided about {what}", hint="codin trust list")
        _tell(as_json, {"forgotten": what}, f"{what} is not approved any more")
        return Exit.OK
    kid = trusts.names[what].key.kid if what in trusts.names else _known_kid(trusts, what)
    store.revoke(kid)
    _tell(as_json, {"revoked": kid}, f"{kid} counts no more")
    return Exit.OK


def _known_kid(trusts: Trusts, text: str) -> str:
    """The thumbprint that begins so; one that nobody has met yet has to be whole."""
    met = {key.kid for pins in trusts.origins.values() for key in pins.keys}
    met |= {named.key.kid for named in trusts.names.values()}
    found = [kid for kid in met if kid.startswith(text)]
    if len(found) == 1:
        return found[0]
    if len(text) == 43 and not found:
        return text
    raise ConfigError(
        f"{len(found)} keys begin with {text!r}", hint="codin trust list; an agent is named by its address here"
    )


# -- diff --------------------------------------------------------------------------------------------------------------


@trust.command()
@click.argument("url")
@_place_option
@_json_option
@connection_options
def diff(url: str, place: Path | None, as_json: bool, connection: Connection) -> int:
    """Show what is different from what you approved. Exit code 0 says nothing, 1 something."""
    store = _open(place)
    lines = anyio.run(_differences, connection, anyio.run(_address, connection, url), store)
    for line in lines:
        write(json.dumps({"change": line}) + "\n" if as_json else f"{line}\n")
    if not lines:
        say("nothing has changed", "dim")
    return Exit.TASK if lines else Exit.OK


async def _differences(connection: Connection, url: str, store: TrustStore) -> list[str]:
    from codin.client import fetch_card
    from codin.trust import TrustPolicy, card_changes, signers_of

    found = await fetch_card(url, headers=connection.headers, timeout=connection.timeout, trust="off")
    trusts = await store.load()
    before, pinned = trusts.approved(url) or trusts.approved(found.address), trusts.pins(url)
    if before is None and pinned is None:
        raise ConfigError(f"{url} was not approved", hint=f"codin trust approve {url}")
    lines = card_changes(before.card, found.card) if before is not None else []
    try:
        policy = TrustPolicy("prefer", store=store, first_use=False)
        await policy.check(found.address, found.raw, found.card, transport=None, asked=url)
    except CardChanged as error:
        lines += [line for line in error.changes if line not in lines]
    except CardNotTrusted as error:
        lines.append(error.message)
    for signer in signers_of(found.card):
        if pinned is not None and not lines and not any(key.answers_to(signer.kid) for key in pinned.keys):
            say(f"also signed by {signer.kid}, which is not approved yet: codin trust approve {url}", "dim")
    return lines


def _listed(keys: list[PublicKey]) -> str:
    return ", ".join(f"key {key.kid} ({key.algorithm})" for key in keys) or "not signed"


def _tell(as_json: bool, fields: dict[str, Any], words: str) -> None:
    if as_json:
        write(json.dumps(fields) + "\n")
    else:
        show(words)
