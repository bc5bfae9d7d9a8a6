"""The root of the error tree.

    CodinError                    catch this to catch everything codin raises on purpose
    ├── ConfigError               a setting is wrong, or a target cannot be served
    ├── TransportError            a peer could not be reached or did not answer properly
    │   ├── ConnectError          no connection
    │   │   └── AddressRefused    the address is one that may not be called
    │   ├── DeadlineExceeded      no answer in time
    │   ├── ResponseTooLarge      an answer, or one event of it, beyond the bound
    │   └── BadResponse           an answer that is not what the protocol promises
    ├── TaskClosed                a write after the task's outcome
    ├── StoreError                the task store refused
    │   ├── Conflict              somebody else appended first
    │   ├── LeaseLost             this process no longer holds the turn
    │   └── StoreInUse            another process has the store open
    ├── TrustError                somebody is not who they say, or nobody can tell
    │   ├── CardNotTrusted        the card has no signature that counts
    │   ├── CardChanged           the card is not the one that was approved
    │   └── TokenRefused          a token that does not prove who calls
    ├── MeshError                 the mesh has no way to do it
    │   ├── NoAgent               nobody fits the name, skill or wish
    │   ├── CircuitOpen           the peer failed too often and is left alone for a while
    │   └── PeerBusy              as many calls to the peer are under way as may be
    └── codin.a2a.A2AError        the errors of the protocol, which also travel (codin/a2a/_errors.py)

Every class has a stable `code`, which documentation, logs and scripts may rely on; messages may change.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AddressRefused",
    "BadResponse",
    "CardChanged",
    "CardNotTrusted",
    "CircuitOpen",
    "CodinError",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "DeadlineExceeded",
    "LeaseLost",
    "MeshError",
    "NoAgent",
    "PeerBusy",
    "ResponseTooLarge",
    "StoreError",
    "StoreInUse",
    "TaskClosed",
    "TokenRefused",
    "TransportError",
    "TrustError",
]


class CodinError(Exception):
    """Anything codin raises on purpose.

    Args:
        message: what went wrong, with identifiers quoted.
        hint: what to do next, one sentence.
    """

    code: str = "CODIN-1000"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message.removesuffix('.')}. Hint: {self.hint}" if self.hint else self.message


class ConfigError(CodinError):
    """A setting is wrong, or a target cannot be served."""

    code: str = "CODIN-1100"


class TransportError(CodinError):
    """A peer could not be reached, or did not answer properly."""

    code: str = "CODIN-1200"


class ConnectError(TransportError):
    """No connection to the peer."""

    code: str = "CODIN-1201"


class DeadlineExceeded(TransportError):
    """No answer in time."""

    code: str = "CODIN-1202"


class ResponseTooLarge(TransportError):
    """An answer, or one event of it, is larger than the bound."""

    code: str = "CODIN-1203"


class BadResponse(TransportError):
    """An answer that is not what the protocol promises."""

    code: str = "CODIN-1204"


class AddressRefused(ConnectError):
    """The address is one that may not be called from here; nothing was sent."""

    code: str = "CODIN-1205"


class TaskClosed(CodinError):
    """A write after the task's outcome."""

    code: str = "CODIN-1300"


class StoreError(CodinError):
    """The task store refused."""

    code: str = "CODIN-1400"


class Conflict(StoreError):
    """Somebody else appended first."""

    code: str = "CODIN-1401"


class LeaseLost(StoreError):
    """This process no longer holds the turn it writes for."""

    code: str = "CODIN-1402"


class StoreInUse(StoreError):
    """Another process has the store open."""

    code: str = "CODIN-1403"


class TrustError(CodinError):
    """Somebody is not who they say they are, or nobody can tell."""

    code: str = "CODIN-1600"


class CardNotTrusted(TrustError):
    """The card has no signature, or none by a key that counts here."""

    code: str = "CODIN-1601"


class CardChanged(TrustError):
    """The card is not the one that was approved.

    Args:
        changes: what is different, a line each.
    """

    code: str = "CODIN-1602"

    def __init__(self, message: str, *, changes: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.changes: tuple[str, ...] = tuple(changes)


class TokenRefused(TrustError):
    """A token does not prove who calls."""

    code: str = "CODIN-1603"


class MeshError(CodinError):
    """The mesh has no way to do what was asked."""

    code: str = "CODIN-1700"


class NoAgent(MeshError):
    """Nobody in the mesh fits the name, the skill or the wish."""

    code: str = "CODIN-1701"


class CircuitOpen(MeshError):
    """The peer failed too often and is left alone for a while."""

    code: str = "CODIN-1702"


class PeerBusy(MeshError):
    """As many calls to the peer are under way as may be."""

    code: str = "CODIN-1703"
