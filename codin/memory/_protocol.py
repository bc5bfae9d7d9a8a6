"""What a memory is made of, and what it needs of a back-end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from codin.memory._filter import Condition

__all__ = [
    "Found",
    "Indexed",
    "MemoryBackend",
    "Note",
    "Record",
    "Role",
    "Scope",
    "Stats",
    "Summary",
    "Utterance",
    "Vector",
]

Role = Literal["user", "agent", "state"]
Vector = Sequence[float]


class Scope(NamedTuple):
    """Whose memory. Every method of a back-end starts with it, so that a stranger's data is not there.

    Args:
        agent: "" is what the agents of a tenant share.
        caller: "" is what the callers of an agent share.
    """

    tenant: str = ""
    agent: str = ""
    caller: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something said or done in a conversation, once for all: what has the same `task_id`, `number` and `index` is it.

    Args:
        role: who said it; "state" is how a task ended, whose text is the state's name.
        text: what is text of it, all parts joined.
        parts: those that are not text, as A2A has them in JSON.
        metadata: of an artifact its `artifactId` and `name`; `MemoryLimits.metadata` bounds it.
        at: milliseconds since 1970.
        task_id: the task that it is of; "" for what was not said in a task, which is new each time.
        number: of the log entry that it comes from.
        index: among several from one entry.
        place: in its conversation, rising; set by the back-end.
    """

    role: Role
    text: str
    parts: Sequence[Mapping[str, Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    at: int = 0
    task_id: str = ""
    number: int = 0
    index: int = 0
    place: int = 0


class Summary(NamedTuple):
    """A conversation's beginning in few words.

    Args:
        covers: the place of the last utterance that it stands for.
    """

    text: str
    covers: int


@dataclass(frozen=True, slots=True)
class Note:
    """A value under a key.

    Args:
        value: JSON.
        at: when it was set, milliseconds since 1970.
        expires: when it is gone, likewise; None for never.
    """

    key: str
    value: Any
    at: int = 0
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A text that can be found again.

    Args:
        id: within its scope; adding another one with it replaces the first.
        metadata: what filters look at, and where it is from: texts, numbers, booleans and lists of texts by name.
        at: when it was added, milliseconds since 1970.
    """

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    at: int = 0


class Indexed(NamedTuple):
    """A record as a back-end takes it.

    Args:
        terms: the words it is found by, in the order of the text; see `terms_of`.
        space: what made the vector, such as "minilm-l6-v2/384": only vectors of one space are compared.
        vector: of length 1 (its norm); None for what is found by words alone.
    """

    record: Record
    terms: Sequence[str]
    space: str = ""
    vector: Vector | None = None


class Found(NamedTuple):
    """A record, and how well it fits.

    Args:
        score: from `nearest` the cosine; from `matching` a number that is larger for what fits better.
    """

    scope: Scope
    record: Record
    score: float


@dataclass(frozen=True, slots=True)
class Stats:
    """How much there is.

    Args:
        spaces: records by the space of their vectors; "" has those without.
    """

    contexts: int = 0
    utterances: int = 0
    notes: int = 0
    records: int = 0
    blobs: int = 0
    spaces: Mapping[str, int] = field(default_factory=dict[str, int])


class MemoryBackend(Protocol):
    """Where memories are kept. One suite of tests holds for every implementation.

    What fails raises `MemoryFailed`, whatever the driver calls it; what was acknowledged before is there.
    """

    durable: bool
    """Whether what is kept outlives the process."""

    async def open(self) -> None:
        """Get ready, and apply migrations. Opening twice is opening once."""
        ...

    async def close(self) -> None:
        """Finish and let go."""
        ...

    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        """Append to a conversation, all or none; what is there already is left out, and what `trim` has erased.

        Gives how many were new.
        """
        ...

    async def window(
        self, scope: Scope, context_id: str, *, limit: int, after: int = 0, oldest: bool = False
    ) -> Sequence[Utterance]:
        """The newest `limit` utterances with places above `after`, or the oldest; in order, oldest first."""
        ...

    async def summary(self, scope: Scope, context_id: str) -> Summary | None:
        """The conversation's summary."""
        ...

    async def summarise(self, scope: Scope, context_id: str, summary: Summary) -> None:
        """Replace the summary, unless the one that is there covers more."""
        ...

    async def note(self, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
        """The note of a key that has not expired."""
        ...

    async def put_note(self, scope: Scope, context_id: str, note: Note) -> None:
        """Set a note. Among two that set one key the later call wins."""
        ...

    async def drop_note(self, scope: Scope, context_id: str, key: str) -> bool:
        """Remove a note; whether there was one."""
        ...

    async def notes(
        self, scope: Scope, context_id: str, now: int, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Note]:
        """Notes whose keys begin with `prefix` and come behind `after`, by key (code points), without expired ones."""
        ...

    async def put_blobs(
        self, scope: Scope, shelf: str, blobs: Mapping[str, bytes], *, at: int, replace: bool = True
    ) -> None:
        """Put bytes on a shelf, one or more, all or none. Without `replace`, what is there under a key stays."""
        ...

    async def blobs(self, scope: Scope, shelf: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        """What is there of some keys."""
        ...

    async def blob_keys(
        self, scope: Scope, shelf: str, *, prefix: str = "", before: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Keys that begin with `prefix` and come in front of `before`, by key (code points), the last first."""
        ...

    async def drop_blobs(self, scope: Scope, shelf: str, keys: Sequence[str] | None = None) -> int:
        """Remove some keys, all or none; None is the whole shelf. Gives how many there were."""
        ...

    async def shelves(self, scope: Scope, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """Shelves that have something, with names behind `after`, by name (code points)."""
        ...

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        """Add records, all or none; one with a known id replaces that."""
        ...

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        """Remove records; how many there were."""
        ...

    async def records(
        self, scope: Scope, *, where: Sequence[Condition] = (), after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        """Records with ids behind `after`, by id (code points)."""
        ...

    async def nearest(
        self, scopes: Sequence[Scope], space: str, vector: Vector, *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        """The records of a space with the largest cosine to `vector`, which has length 1, best first."""
        ...

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        """The records that have any of `terms`, best first: by BM25, or near it."""
        ...

    async def forget(self, tenant: str, agent: str | None = None, caller: str | None = None) -> int:
        """Erase all that is of a caller, an agent or a tenant; None stands for every one. Gives how many things.

        Nothing of it is left in indexes either, nor as deleted bytes in files that are ours.
        """
        ...

    async def trim(self, *, before: int, now: int) -> int:
        """Retention: erase utterances and records older than `before`, and notes that have expired by `now`.

        And shelves, each as a whole, where nothing was put since `before`.
        """
        ...

    async def scopes(
        self,
        tenant: str | None = None,
        agent: str | None = None,
        caller: str | None = None,
        *,
        after: Scope | None = None,
        limit: int = 100,
    ) -> Sequence[Scope]:
        """Whom it knows: everybody of whom something was kept and who was not forgotten since; None is every one.

        In an order of the back-end's own; the next page comes after the last of this one.
        """
        ...

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        """How much there is; None stands for every one."""
        ...
