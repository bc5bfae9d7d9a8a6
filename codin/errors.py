"""The root of the error tree.

    CodinError                    catch this to catch everything codin raises on purpose
    ├── ConfigError               a setting is wrong, or a target cannot be served
    ├── TransportError            a peer could not be reached or did not answer properly
    │   ├── ConnectError          no connection
    │   ├── DeadlineExceeded      no answer in time
    │   ├── ResponseTooLarge      an answer, or one event of it, beyond the bound
    │   └── BadResponse           an answer that is not what the protocol promises
    ├── TaskClosed                a write after the task's outcome
    ├── StoreError                the task store refused
    │   ├── Conflict              somebody else appended first
    │   ├── LeaseLost             this process no longer holds the turn
    │   └── StoreInUse            another process has the store open
    └── codin.a2a.A2AError        the errors of the protocol, which also travel (codin/a2a/_errors.py)

Every class has a stable `code`, which documentation, logs and scripts may rely on; messages may change.
"""

from __future__ import annotations

__all__ = [
    "BadResponse",
    "CodinError",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "DeadlineExceeded",
    "LeaseLost",
    "ResponseTooLarge",
    "StoreError",
    "StoreInUse",
    "TaskClosed",
    "TransportError",
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
