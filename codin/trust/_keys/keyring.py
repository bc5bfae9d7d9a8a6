"""The keys of our own: in a folder that only their owner can read, or one key from a file or the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any, Self

from codin.errors import ConfigError
from codin.trust._keys.jwks import jwks
from codin.trust._keys.keyring_file import INDEX, KeyRecord, Records, read_records, write_records
from codin.trust._keys.keys import Algorithm, PublicKey, SigningKey
from codin.trust._keys.private_files import locked, make_private_folder, open_to_others, read_private

__all__ = ["KeyRing"]

_logger = logging.getLogger("codin.trust")

_OVERLAP = 7 * 24 * 3600.0  # seconds


class KeyRing:
    """The keys an agent signs with: the active one, and older ones that still sign beside it until their time is over.

    A ring in a folder follows what other processes do to it: a server signs by a new key as soon as there is one.
    """

    def __init__(
        self,
        keys: Mapping[str, SigningKey],
        records: Records,
        path: Path | None = None,
        stamp: tuple[int, int] | None = None,
    ) -> None:
        """Use `open`, `create`, `of` or `find`."""
        self._keys = keys
        self._records = records
        self._public = _public_halves(keys, records)
        self._path = path
        self._index = path / INDEX if path is not None else None
        self._stamp = stamp  # of before it was read: what has come meanwhile is seen with the next question

    # -- getting one ---------------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, key: SigningKey) -> Self:
        """A ring of one key, which cannot be rotated."""
        record = KeyRecord(key.kid, key.algorithm, created=0)
        return cls({key.kid: key}, Records(key.kid, (record,)))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The ring in a folder, or that of the one key in a PEM file.

        Raises:
            ConfigError: there is none, it cannot be read, or others can read it.
        """
        place = Path(path).expanduser()
        if place.is_file():
            return cls.of(_read_single(place))
        if not (place / INDEX).is_file():
            raise ConfigError(f"there are no keys in {str(path)!r}", hint=f"codin keys new --keys {path}")
        stamp = _stamp(place / INDEX)
        records = read_records(place)
        return cls(_read_keys(place, records), records, place, stamp)

    @classmethod
    def create(cls, path: str | Path, algorithm: Algorithm = "ES256") -> Self:
        """A ring in a new folder, with its first key.

        Raises:
            ConfigError: there is a ring already, or the folder cannot be written.
        """
        place = Path(path).expanduser()
        if (place / INDEX).exists():
            raise ConfigError(f"there are keys in {str(path)!r} already", hint="codin keys rotate makes the next one")
        make_private_folder(place)
        key = _generate(algorithm)
        records = Records(key.kid, (KeyRecord(key.kid, algorithm, created=int(time())),))
        write_records(place, records, key)
        return cls({key.kid: key}, records, place)

    @classmethod
    def find(cls) -> Self | None:
        """The keys that are meant here; None when there are none. Nothing is made.

        `CODIN_KEY` holds a PEM text, `CODIN_KEYS` names a folder or a PEM file; else it is the nearest folder
        `.codin/keys` from here upwards, and at last the one in the home directory.

        Raises:
            ConfigError: what was found cannot be used.
        """
        if pem := os.environ.get("CODIN_KEY"):
            return cls.of(SigningKey.from_pem(pem))
        if place := os.environ.get("CODIN_KEYS"):
            return cls.open(place)
        found = next((place for place in _places() if (place / INDEX).is_file() and _is_ours(place)), None)
        return cls.open(found) if found else None

    @staticmethod
    def default_path() -> Path:
        """Where a new ring belongs: `CODIN_KEYS`; else the nearest `.codin` folder; else the one of the home."""
        if place := os.environ.get("CODIN_KEYS"):
            return Path(place).expanduser()
        places = _places()
        return next((place for place in places if place.parent.is_dir() and _is_ours(place.parent)), places[-1])

    # -- what is in it -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The folder; None for a single key."""
        return self._path

    @property
    def active(self) -> SigningKey:
        """The key to sign with."""
        self._refresh()
        return self._keys[self._records.active]

    @property
    def signing(self) -> list[SigningKey]:
        """All keys that sign a card now: the active one, then those that it replaced not long ago."""
        self._refresh()
        now = time()
        old = [key.kid for key in self._records.keys if key.is_overlapping(now) and key.kid in self._keys]
        return [self._keys[self._records.active], *(self._keys[kid] for kid in old)]

    @property
    def published(self) -> list[PublicKey]:
        """The public halves of `signing`; the older ones say when they end."""
        expiries = {record.kid: record.expires for record in self._records.keys}
        return [key.public.until(expiries.get(key.kid)) for key in self.signing]

    @property
    def public(self) -> Mapping[str, PublicKey]:
        """The public halves of all that were not revoked, by thumbprint. Some of them may have ended."""
        self._refresh()
        return self._public

    @property
    def records(self) -> list[KeyRecord]:
        """What is known of each key, the newest first, the revoked ones too."""
        self._refresh()
        return list(self._records.keys)

    def record(self, kid: str) -> KeyRecord:
        """What is known of one key.

        Args:
            kid: may be cut short where it is clear which key is meant.

        Raises:
            ConfigError: there is no such key.
        """
        self._refresh()
        return self._records.find(kid)

    def export(self) -> dict[str, Any]:
        """The JSON Web Key Set of what is published."""
        return jwks(self.published)

    # -- changing it ---------------------------------------------------------------------------------------------------

    def rotate(self, algorithm: Algorithm | None = None, *, overlap: float = _OVERLAP) -> SigningKey:
        """Make a new active key. The old one signs beside it meanwhile, so that who knows only that one can follow.

        Args:
            algorithm: that of the old key by default.
            overlap: seconds until the old key ends.

        Raises:
            ConfigError: the ring is a single key, or the folder cannot be written.
        """
        folder = self._folder()
        with locked(folder):
            self._load(folder)
            key = _generate(algorithm or self._keys[self._records.active].algorithm)
            self._write(self._records.rotated(key, int(time()), overlap), key)
        return key

    def revoke(self, kid: str) -> None:
        """Never use a key again, and destroy it. In the place of the active one comes a new one.

        Args:
            kid: may be cut short where it is clear which key is meant.

        Raises:
            ConfigError: there is no such key, it is revoked already, or the ring is a single one.
        """
        folder = self._folder()
        with locked(folder):
            self._load(folder)
            record = self._records.find(kid)
            if record.revoked is not None:
                raise ConfigError(f"the key {record.kid!r} is revoked already", hint="codin keys list shows all")
            fresh = _generate(record.algorithm) if record.kid == self._records.active else None
            self._write(self._records.revoked(record.kid, int(time()), fresh), fresh)

    def _folder(self) -> Path:
        if self._path is None:
            raise ConfigError("a single key is not rotated or revoked", hint="codin keys new makes a ring of keys")
        return self._path

    def _write(self, records: Records, fresh: SigningKey | None) -> None:
        folder = self._folder()
        write_records(folder, records, fresh)
        self._load(folder)

    def _refresh(self) -> None:
        """Read it again when it has changed. What cannot be read leaves us with what we have."""
        if self._path is None or (stamp := _stamp(self._index)) == self._stamp:
            return
        try:
            self._load(self._path)
        except ConfigError as error:
            self._stamp = stamp  # and not that of now: it may have been written anew while it was read
            _logger.warning("the keys have changed and cannot be read; going on with those from before: %s", error)

    def _load(self, folder: Path) -> None:
        stamp = _stamp(self._index)
        records = read_records(folder)
        self._keys, self._records, self._stamp = _read_keys(folder, records), records, stamp
        self._public = _public_halves(self._keys, records)

    def __repr__(self) -> str:
        return f"KeyRing({str(self._path)!r}, active={self._records.active!r})"


def _generate(algorithm: Algorithm) -> SigningKey:
    """A key whose name, typed in a command, does not read as an option."""
    while (key := SigningKey.generate(algorithm)).kid.startswith("-"):
        pass
    return key


def _public_halves(keys: Mapping[str, SigningKey], records: Records) -> dict[str, PublicKey]:
    return {each.kid: keys[each.kid].public.until(each.expires) for each in records.keys if each.kid in keys}


def _stamp(index: Path | None) -> tuple[int, int] | None:
    """What changes when the index is replaced."""
    if index is None:
        return None
    try:
        status = index.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _read_keys(folder: Path, records: Records) -> dict[str, SigningKey]:
    found: dict[str, SigningKey] = {}
    for record in records.keys:
        if record.revoked is None:
            try:
                found[record.kid] = SigningKey.from_pem(read_private(folder / record.file))
            except FileNotFoundError:
                continue
    if records.active not in found or any(kid != key.kid for kid, key in found.items()):
        raise ConfigError(f"the keys in {str(folder)!r} are not those of its {INDEX}", hint="restore them from a copy")
    return found


def _read_single(path: Path) -> SigningKey:
    """A key that an operator names; a mounted secret often is readable by all in its container, so this is no error."""
    try:
        if open_to_others(path.stat().st_mode):
            _logger.warning("the key file %s can be read by others; chmod 600 keeps it yours", path)
        return SigningKey.from_pem(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"the key file {str(path)!r} cannot be read: {error.strerror}") from None


def _places() -> list[Path]:
    """Where a ring may be, nearest first; the last one is that of the home directory."""
    here = Path.cwd()
    folders = [here, *here.parents]
    with suppress(RuntimeError):  # who has no name on this machine has no home either
        folders.append(Path.home())
    return [folder / ".codin" / "keys" for folder in folders]


def _is_ours(place: Path) -> bool:
    """A folder above may be anybody's, such as /tmp: keys that somebody else has put there are not taken."""
    ours = place.stat().st_uid == os.geteuid()
    if not ours:
        _logger.warning("the keys in %s belong to somebody else and are not used; CODIN_KEYS names others", place)
    return ours
