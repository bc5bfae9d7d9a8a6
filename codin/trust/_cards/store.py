"""What this verifier has decided: which keys count where, which cards were approved, which keys never count again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from time import monotonic, time

import anyio.to_thread

from codin import a2a
from codin.errors import ConfigError
from codin.trust._cards.signers import base_of
from codin.trust._cards.trust_file import Trusts
from codin.trust._keys.keyring import KeyRing
from codin.trust._keys.keys import PublicKey
from codin.trust._keys.private_files import locked, read_private, write_private

__all__ = ["TrustStore"]

_NAME = "trust.json"
_MOMENT = 1.0 if os.access in os.supports_effective_ids else 0.0  # seconds; else it tells what another user may see


class TrustStore:
    """Decisions of a person or a program, in one file that only its owner can read.

    Any number of processes may use the file at once; each change is seen by all of them with their next question.

    Args:
        path: the file, which is made by the first decision; None keeps them in this object.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path: Path | None = Path(path).expanduser() if path is not None else None
        self._place = str(self.path) if self.path is not None else None
        self._absent_until = 0.0  # it was not there when it was looked for
        self._trusts = Trusts()
        self._stamp: object = None
        self._identity = object()
        self._changes = 0
        self._lock = Lock()

    @classmethod
    def default(cls) -> TrustStore:
        """The store beside the keys: `CODIN_TRUST_STORE`; else `trust.json` in the folder that `.codin/keys` is in."""
        if place := os.environ.get("CODIN_TRUST_STORE"):
            return cls(place)
        return cls(KeyRing.default_path().parent / _NAME)

    @property
    def stamp(self) -> object:
        """Another value after every change."""
        # Asked before every call, so it has to be quick: no path object, and no exception while there is no file.
        place = self._place
        if place is None:
            return self._identity, self._changes
        if monotonic() < self._absent_until and not os.access(place, os.F_OK, effective_ids=True):
            return None
        try:
            status = os.stat(place)  # noqa: PTH116
        except FileNotFoundError:
            # What can be read by and by is seen at once; only that it may not be read any more, a moment later.
            self._absent_until = monotonic() + _MOMENT
            return None
        except OSError as error:
            raise ConfigError(f"the trust store {place!r} cannot be read: {error.strerror}") from None
        self._absent_until = 0.0
        return place, status.st_mtime_ns, status.st_ino, status.st_size

    def read(self) -> Trusts:
        """All that is decided.

        Raises:
            ConfigError: the file cannot be read, others can read it, or it is not understood.
        """
        with self._lock:
            return self._read()

    async def load(self) -> Trusts:
        """The same, without holding up the event loop."""
        return self.read() if self.path is None or self.stamp is None else await anyio.to_thread.run_sync(self.read)

    def _read(self) -> Trusts:
        stamp = self.stamp
        if self.path is not None and stamp != self._stamp:
            try:
                self._trusts = Trusts.from_json(read_private(self.path), f"the trust store {str(self.path)!r}")
            except FileNotFoundError:
                self._trusts = Trusts()
            self._stamp = stamp
        return self._trusts

    def _change(self, make: Callable[[Trusts], Trusts]) -> Trusts:
        with self._lock:
            if self.path is None:
                self._trusts = make(self._trusts)
                self._changes += 1
                return self._trusts
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"{str(self.path)!r} cannot be written: {error.strerror}") from None
            with locked(self.path.parent):
                before = self._read()
                after = make(before)
                if after is not before:
                    write_private(self.path, after.to_json() + b"\n")
                return self._read()

    # -- decisions -----------------------------------------------------------------------------------------------------

    def pin(self, origin: str, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
        """Pin the keys of an origin, unless it has keys already. Returns those that are pinned then."""
        keys = tuple(keys)
        now = int(time())
        after = self._change(lambda now_: now_ if origin in now_.origins else now_.with_pins(origin, keys, now))
        return after.pinned(origin)

    def approve(self, address: str, card: a2a.AgentCard, keys: Iterable[PublicKey] = ()) -> None:
        """Approve a card as it is, and the keys that have signed it.

        Args:
            address: of the agent, or of its card.

        Raises:
            ConfigError: one of the keys was revoked.
        """
        keys = tuple(keys)
        fields = card.to_dict()

        def approved(trusts: Trusts) -> Trusts:
            _refuse_revoked(trusts, keys)
            return trusts.with_card(base_of(address), fields, keys, int(time()))

        self._change(approved)

    def name(self, name: str, key: PublicKey, *, anywhere: bool = False) -> None:
        """Give a key a name.

        Args:
            anywhere: trust a card of any origin that this key has signed.

        Raises:
            ConfigError: the name is another key's, or the key was revoked.
        """

        def named(trusts: Trusts) -> Trusts:
            _refuse_revoked(trusts, (key,))
            other = trusts.names.get(name)
            if not name or (other is not None and other.key != key):
                raise ConfigError(f"the name {name!r} is another key's", hint=f"codin trust revoke {name}")
            return trusts.with_name(name, key, anywhere=anywhere)

        self._change(named)

    def revoke(self, kid: str) -> None:
        """Never trust a key again, wherever it is met. What it was pinned for waits for the next approval.

        Args:
            kid: its thumbprint.
        """
        self._change(lambda trusts: trusts.without_key(kid, int(time())))

    def forget(self, address: str) -> None:
        """Take the approval of an agent back, as if nobody had ever seen it."""
        self._change(lambda trusts: trusts.without_address(base_of(address)))

    def __repr__(self) -> str:
        return f"TrustStore({str(self.path) if self.path else None!r})"


def _refuse_revoked(trusts: Trusts, keys: Iterable[PublicKey]) -> None:
    for key in keys:
        if key.kid in trusts.revoked:
            raise ConfigError(f"the key {key.kid!r} was revoked", hint="its owner makes another: codin keys rotate")
