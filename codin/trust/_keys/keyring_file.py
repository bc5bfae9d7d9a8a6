"""How a key ring lies in its folder: an index, and one PEM file for each key."""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from pydantic_core import to_json

from codin.errors import ConfigError
from codin.trust._keys.jose import read_object
from codin.trust._keys.keys import Algorithm, SigningKey
from codin.trust._keys.private_files import read_private, write_private

__all__ = ["INDEX", "KeyRecord", "KeyState", "Records", "read_records", "write_records"]

INDEX = "ring.json"
_KID = re.compile(r"[A-Za-z0-9_-]{43}")

KeyState: TypeAlias = Literal["active", "overlapping", "ended", "revoked"]


class KeyRecord(NamedTuple):
    """What is known of a key without looking at it. Times are seconds since 1970."""

    kid: str
    algorithm: Algorithm
    created: int
    expires: int | None = None
    revoked: int | None = None

    @property
    def file(self) -> str:
        """The name of its file in the folder."""
        return f"{self.kid}.pem"

    def is_overlapping(self, now: float) -> bool:
        """Whether it still signs beside the key that replaced it."""
        return self.revoked is None and self.expires is not None and now < self.expires

    def state(self, now: float) -> KeyState:
        """What the key is good for."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is None:
            return "active"
        return "overlapping" if self.is_overlapping(now) else "ended"


class Records(NamedTuple):
    """The index: all keys, the newest first."""

    active: str
    keys: tuple[KeyRecord, ...]

    def rotated(self, key: SigningKey, now: int, overlap: float) -> Records:
        """With a new active key; the old one ends by and by, and what has ended before is forgotten."""
        kept = [record for record in self.keys if record.state(now) != "ended"]
        old = [record._replace(expires=now + int(overlap)) if record.kid == self.active else record for record in kept]
        return Records(key.kid, (KeyRecord(key.kid, key.algorithm, now), *old))

    def revoked(self, kid: str, now: int, fresh: SigningKey | None) -> Records:
        """With a key that counts no more, and a new one when it was the active one."""
        keys = tuple(record._replace(revoked=now) if record.kid == kid else record for record in self.keys)
        if fresh is None:
            return Records(self.active, keys)
        return Records(fresh.kid, (KeyRecord(fresh.kid, fresh.algorithm, now), *keys))

    def find(self, kid: str) -> KeyRecord:
        """The key whose name begins so, though it may be revoked.

        Raises:
            ConfigError: none, or several.
        """
        found = [record for record in self.keys if kid and record.kid.startswith(kid)]
        if len(found) != 1:
            what = f"{len(found)} keys begin with {kid!r}" if found else f"there is no key {kid!r}"
            raise ConfigError(what, hint="codin keys list shows them")
        return found[0]


def read_records(folder: Path) -> Records:
    """The index of a folder.

    Raises:
        ConfigError: it cannot be read, others can read it, or it is not understood.
    """
    try:
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError(f"others can write to {str(folder)!r}", hint=f"chmod 700 {folder}")
        document = read_object(read_private(folder / INDEX))
        records = tuple(_record(each) for each in cast("list[Any]", document["keys"]))
        return Records(next(record.kid for record in records if record.state(0) == "active"), records)
    except FileNotFoundError:
        raise ConfigError(f"there are no keys in {str(folder)!r}", hint="codin keys new makes one") from None
    except (ValueError, KeyError, TypeError, StopIteration):
        raise ConfigError(f"{str(folder / INDEX)!r} is not understood", hint="restore it from a copy") from None


def _record(members: dict[str, Any]) -> KeyRecord:
    match members:
        case {"kid": str(kid), "algorithm": "ES256" | "EdDSA" | "RS256" as algorithm, "created": int(created)}:
            expires, revoked = members.get("expires"), members.get("revoked")
            if _KID.fullmatch(kid) and isinstance(expires, int | None) and isinstance(revoked, int | None):
                return KeyRecord(kid, algorithm, created, expires, revoked)
        case _:
            pass
    raise ValueError("not a key")


def write_records(folder: Path, records: Records, fresh: SigningKey | None) -> None:
    """Write a new key, then the index that names it, and then remove what it does not name any more.

    Raises:
        ConfigError: it cannot be written.
    """
    if fresh is not None:
        write_private(folder / f"{fresh.kid}.pem", fresh.to_pem())
    keys = [{name: value for name, value in record._asdict().items() if value is not None} for record in records.keys]
    write_private(folder / INDEX, to_json({"keys": keys}, indent=2) + b"\n")
    write_private(folder / ".gitignore", b"*\n")
    kept = {record.file for record in records.keys if record.revoked is None}
    for file in folder.glob("*.pem"):
        if _KID.fullmatch(file.stem) and file.name not in kept:
            with suppress(OSError):
                file.unlink()
