"""`codin keys`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import click

from codin.cli._exits import Exit
from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import check_somebody, results, say, write
from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.trust import Algorithm, KeyRecord, KeyRing

__all__ = ["keys", "open_ring"]

_ALGORITHMS = ["ES256", "EdDSA", "RS256"]
_DAY = 24 * 3600.0

_place_option = click.option(
    "--keys",
    "place",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The folder of the keys.  [default: CODIN_KEYS; the nearest .codin/keys; ~/.codin/keys]",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print objects, one a line.")


def _algorithm_option(default: str | None) -> Callable[..., Any]:
    said = "" if default else "  [default: that of the key before]"
    return click.option(
        "--algorithm",
        type=click.Choice(_ALGORITHMS, case_sensitive=False),
        default=default,
        show_default=True,
        help=f"How the key signs.{said}",
    )


def open_ring(place: Path | None) -> KeyRing:
    """The keys at a place, or those that are found.

    Raises:
        ConfigError: there are none.
    """
    from codin.trust import KeyRing

    ring = KeyRing.find() if place is None else KeyRing.open(place)
    if ring is None:
        raise ConfigError("there are no keys", hint="codin keys new makes some")
    return ring


@click.group(cls=OrderedGroup)
def keys() -> None:
    """The keys that sign the cards of your agents.

    They are in a folder that only you can read. Where there are keys, `codin serve` signs cards by them and publishes
    their public halves at /.well-known/jwks.json.

    \b
    codin keys new
    codin keys list
    codin keys rotate
    codin keys revoke KID
    codin keys export > jwks.json
    """


@keys.command()
@_place_option
@_algorithm_option("ES256")
@_json_option
def new(place: Path | None, algorithm: Algorithm, as_json: bool) -> int:
    """Make a folder with a first key."""
    from codin.trust import KeyRing

    ring = KeyRing.create(place or KeyRing.default_path(), algorithm)
    _tell(ring, ring.records[0], as_json)
    say(f"it is in {ring.path}, and nobody else can read it; codin serve signs cards with it", "dim")
    return 0


@keys.command("list")
@_place_option
@_json_option
def list_(place: Path | None, as_json: bool) -> int:
    """List the keys, the newest first, without showing any."""
    from rich.table import Table

    ring = open_ring(place)
    if as_json:
        for record in ring.records:
            write(json.dumps(_fields(record)) + "\n")
        return 0
    table = Table("key", "algorithm", "made", "state", box=None, pad_edge=False)
    for record in ring.records:
        table.add_row(record.kid, record.algorithm, _day(record.created), _state(record))
    results().print(table)
    return 0


@keys.command()
@_place_option
@_algorithm_option(None)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 3650),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="How long the old key signs beside the new one.",
)
@_json_option
def rotate(place: Path | None, algorithm: Algorithm | None, overlap: float, as_json: bool) -> int:
    """Make a new key. Cards are signed by both while they overlap, so that who trusts the old one can follow.

    A server that runs takes it up by itself.
    """
    ring = open_ring(place)
    ring.rotate(algorithm, overlap=overlap * _DAY)
    _tell(ring, ring.records[0], as_json)
    return 0


@keys.command()
@click.argument("kid")
@_place_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
def revoke(kid: str, place: Path | None, yes: bool, as_json: bool) -> int:
    """Destroy a key that may be known to others. KID may be cut short.

    A new key takes the place of the active one. A server that runs takes it up by itself; who has pinned the key has
    to be told.
    """
    ring = open_ring(place)
    record = ring.record(kid)
    if record.revoked is None and not yes and not _agreed(record):
        say("nothing was revoked", "dim")
        return Exit.TASK
    before = ring.active.kid
    ring.revoke(record.kid)
    _tell(ring, ring.record(record.kid), as_json)
    if ring.active.kid != before:
        say(f"the active key is now {ring.active.kid}", "dim")
    return 0


def _agreed(record: KeyRecord) -> bool:
    """What the person says to the key that would be destroyed."""
    check_somebody("--yes destroys the key")
    say(f"{record.kid} {record.algorithm} made {_day(record.created)} {_state(record)}")
    if record.state(time()) == "active":
        say("it is the active one; codin keys rotate makes the next one, which others can follow", "dim")
    return click.confirm("Destroy it?", err=True)


@keys.command()
@_place_option
@click.option("--pem", is_flag=True, help="The active key only, as PEM.")
def export(place: Path | None, pem: bool) -> int:
    """Print the public keys as a JSON Web Key Set, for those who are to verify your cards."""
    ring = open_ring(place)
    write(ring.active.public.to_pem().decode() if pem else json.dumps(ring.export(), indent=2) + "\n")
    return 0


def _tell(ring: KeyRing, record: KeyRecord, as_json: bool) -> None:
    if as_json:
        write(json.dumps({**_fields(record), "path": str(ring.path)}) + "\n")
    else:
        write(f"{record.kid} {record.algorithm} {_state(record)}\n")


def _fields(record: KeyRecord) -> dict[str, Any]:
    known = {name: value for name, value in record._asdict().items() if value is not None}
    return {**known, "state": record.state(time())}


def _state(record: KeyRecord) -> str:
    state = record.state(time())
    return f"signs until {_day(record.expires or 0)}" if state == "overlapping" else state


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else "–"
