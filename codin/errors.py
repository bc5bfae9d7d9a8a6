"""The root of the error tree.

    CodinError                    catch this to catch everything codin raises on purpose
    ├── ConfigError               a setting is wrong, or a target cannot be served
    │   └── DocumentRefused       a document of somebody else cannot be read; names the place
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
    ├── SandboxError              a sandbox could not do it
    │   ├── SandboxUnavailable    this kind of sandbox cannot be had on this machine
    │   ├── PolicyNotEnforced     it could be had, and could not keep what the policy demands
    │   ├── SandboxClosed         used before it was opened, after it was closed, or gone
    │   ├── FileRefused           no such file in the sandbox, or one it will not take
    │   └── ExecFailed            a command ended badly; has its result
    │       ├── ExecTimeout       it took longer than it may
    │       ├── MemoryExceeded    it took more memory than it may
    │       ├── OutputExceeded    it wrote far more than anybody will read
    │       └── FilesExceeded     it made more files than it may
    ├── WorkloadError             a workload was not done
    │   ├── NoRuntime             no back-end can run it here; names those that could
    │   ├── RuntimeUnavailable    the back-end is not there, or went away
    │   ├── WorkloadFailed        the workload itself failed
    │   └── WorkloadTimeout       it took longer than it may
    ├── ToolError                 a tool was not used; says what a model can do about it
    │   ├── UnknownTool           no tool of that name for this caller
    │   ├── InvalidArguments      arguments that do not fit the tool; names the field
    │   ├── InvalidResult         a result that does not fit the tool
    │   ├── ToolRefused           a policy, a person or a guard said no
    │   ├── ToolBusy              too many calls, now or lately
    │   ├── ToolTimeout           it took longer than it may
    │   └── ToolFailed            the tool itself failed
    ├── MemoryFailed              a memory could not do it
    │   ├── MemoryUnavailable     the database is not there, or went away
    │   ├── FilterRefused         a filter that is none; names the field
    │   ├── NotKept               something that is too large, or has not the form, to be kept
    │   └── EmbeddingFailed       the embedder did not answer, or not as it should
    └── codin.a2a.A2AError        the errors of the protocol, which also travel (codin/a2a/_errors.py)

Every class has a stable `code`, which documentation, logs and scripts may rely on; messages may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codin.runtime import RuntimeResult
    from codin.sandbox import ExecResult

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
    "DocumentRefused",
    "EmbeddingFailed",
    "ExecFailed",
    "ExecTimeout",
    "FileRefused",
    "FilesExceeded",
    "FilterRefused",
    "InvalidArguments",
    "InvalidResult",
    "LeaseLost",
    "MemoryExceeded",
    "MemoryFailed",
    "MemoryUnavailable",
    "MeshError",
    "NoAgent",
    "NoRuntime",
    "NotKept",
    "OutputExceeded",
    "PeerBusy",
    "PolicyNotEnforced",
    "ResponseTooLarge",
    "RuntimeUnavailable",
    "SandboxClosed",
    "SandboxError",
    "SandboxUnavailable",
    "StoreError",
    "StoreInUse",
    "TaskClosed",
    "TokenRefused",
    "ToolBusy",
    "ToolError",
    "ToolFailed",
    "ToolRefused",
    "ToolTimeout",
    "TransportError",
    "TrustError",
    "UnknownTool",
    "WorkloadError",
    "WorkloadFailed",
    "WorkloadTimeout",
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

    def __reduce__(self) -> tuple[Any, ...]:
        # What a subclass takes by keyword is in its attributes; `Exception` would call it with the message alone.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[CodinError], args: tuple[Any, ...], state: dict[str, Any]) -> CodinError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(CodinError):
    """A setting is wrong, or a target cannot be served."""

    code: str = "CODIN-1100"


class DocumentRefused(ConfigError):
    """A document that somebody else wrote cannot be read, or is more than is read.

    Args:
        place: where in it, as a JSON pointer that begins with `#`.
    """

    code: str = "CODIN-1101"

    def __init__(self, message: str, *, place: str, hint: str | None = None) -> None:
        super().__init__(f"{place}: {message}", hint=hint)
        self.place: str = place


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


class SandboxError(CodinError):
    """A sandbox could not do what was asked."""

    code: str = "CODIN-1800"


class SandboxUnavailable(SandboxError):
    """This kind of sandbox cannot be had on this machine."""

    code: str = "CODIN-1801"


class PolicyNotEnforced(SandboxError):
    """The sandbox could be had, and could not keep everything its policy demands.

    Args:
        missing: what it could not keep, by the words of `codin.sandbox.Guarantee`.
    """

    code: str = "CODIN-1802"

    def __init__(self, message: str, *, missing: Iterable[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.missing: frozenset[str] = frozenset(missing)


class SandboxClosed(SandboxError):
    """A sandbox was used before it was opened or after it was closed, or it is gone."""

    code: str = "CODIN-1803"


class FileRefused(SandboxError):
    """No such file in the sandbox, or one that it will not take.

    Args:
        path: the path as it was given.
    """

    code: str = "CODIN-1804"

    def __init__(self, message: str, *, path: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path: str = path


class ExecFailed(SandboxError):
    """A command in a sandbox ended badly.

    Args:
        result: the `codin.sandbox.ExecResult`, with what it had written until then.
    """

    code: str = "CODIN-1805"

    def __init__(self, message: str, *, result: ExecResult, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result: ExecResult = result


class ExecTimeout(ExecFailed):
    """A command took longer than it may, and was killed."""

    code: str = "CODIN-1806"


class MemoryExceeded(ExecFailed):
    """A command took more memory than it may, and was killed."""

    code: str = "CODIN-1807"


class OutputExceeded(ExecFailed):
    """A command wrote far more than anybody will read, and was killed."""

    code: str = "CODIN-1808"


class FilesExceeded(ExecFailed):
    """A command made more files than it may, and was killed."""

    code: str = "CODIN-1809"


class WorkloadError(CodinError):
    """A workload was not done."""

    code: str = "CODIN-1850"


class NoRuntime(WorkloadError):
    """No back-end that is here can run the workload under its policy.

    Args:
        able: the back-ends that can run this kind of workload at all.
    """

    code: str = "CODIN-1851"

    def __init__(self, message: str, *, able: Iterable[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.able: tuple[str, ...] = tuple(able)


class RuntimeUnavailable(WorkloadError):
    """The back-end is not there, or went away while it ran the workload."""

    code: str = "CODIN-1852"


class WorkloadFailed(WorkloadError):
    """The workload itself failed.

    Args:
        result: the `codin.runtime.RuntimeResult`: exit code, output and logs until then.
    """

    code: str = "CODIN-1853"

    def __init__(self, message: str, *, result: RuntimeResult | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result: RuntimeResult | None = result


class WorkloadTimeout(WorkloadFailed):
    """The workload took longer than it may, and was stopped."""

    code: str = "CODIN-1854"


class ToolError(CodinError):
    """A tool was not used, or not to an end. Its message and hint are written for the model that called it.

    Args:
        tool: the name it was called by; a tool need not say its own.
        retryable: the same call may do better later.

    Example:
        raise ToolRefused("it is closed on Sundays", hint="ask again tomorrow")
    """

    code: str = "CODIN-1900"

    def __init__(self, message: str, *, tool: str = "", retryable: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tool: str = tool
        self.retryable: bool = retryable


class UnknownTool(ToolError):
    """No tool of that name, for this caller."""

    code: str = "CODIN-1901"


class InvalidArguments(ToolError):
    """The arguments do not fit the tool's schema.

    Args:
        field: the argument at fault, as a path with dots; empty for the arguments as a whole.
    """

    code: str = "CODIN-1902"

    def __init__(self, message: str, *, tool: str = "", field: str = "", hint: str | None = None) -> None:
        super().__init__(message, tool=tool, hint=hint)
        self.field: str = field


class InvalidResult(ToolError):
    """What the tool gave does not fit its output schema."""

    code: str = "CODIN-1903"


class ToolRefused(ToolError):
    """A policy, a person or a guard said no."""

    code: str = "CODIN-1904"


class ToolBusy(ToolError):
    """Too many calls of the tool at once, or lately."""

    code: str = "CODIN-1905"


class ToolTimeout(ToolError):
    """The tool took longer than it may, and was stopped; where nothing can stop it, the text says that it may go on."""

    code: str = "CODIN-1906"


class ToolFailed(ToolError):
    """The tool itself failed."""

    code: str = "CODIN-1907"


class MemoryFailed(CodinError):
    """A memory could not do it."""

    code: str = "CODIN-1950"


class MemoryUnavailable(MemoryFailed):
    """The database is not there, or went away. What was acknowledged is kept; whether the last was done is unknown."""

    code: str = "CODIN-1951"


class FilterRefused(MemoryFailed):
    """A filter that is none."""

    code: str = "CODIN-1952"


class NotKept(MemoryFailed):
    """Something that is too large, or has not the form, to be kept. Nothing of the call was kept."""

    code: str = "CODIN-1953"


class EmbeddingFailed(MemoryFailed):
    """The embedder did not answer, or not as it should.

    Args:
        retryable: the same call may do better later.
    """

    code: str = "CODIN-1954"

    def __init__(self, message: str, *, retryable: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retryable: bool = retryable
