"""The entries of a task log.

An entry is numbered by the log, encoded once (and only when somebody reads or stores it), and knows how it changes
the fold. Public entries are exactly one A2A event each (their `body` is the JSON of a `StreamResponse`); private ones
are for readers inside.

    Entry
    ├── StatusEntry      public   status update
    ├── ArtifactEntry    public   artifact update: whole parts, or parts to append
    ├── ChunkEntry       public   artifact update: one piece of text
    ├── InputEntry       private  a message of the caller, as it is stored in the history
    └── PrivateEntry     private  question, pause token, cancel request, usage, guard decision, call, limits of a call,
                              use of a tool, push configuration
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

from codin import a2a
from codin.task._clock import timestamp

if TYPE_CHECKING:
    from codin.task._fold import Fold

__all__ = [
    "ArtifactEntry",
    "ChunkEntry",
    "Entry",
    "InputEntry",
    "Packed",
    "PrivateEntry",
    "PrivateKind",
    "StatusEntry",
    "decode_entry",
    "unpack_entry",
]

Packed = tuple[Any, ...]
"""An entry as a tuple of strings, bytes and numbers: number, kind, at, and what the kind needs."""

PrivateKind = Literal["ask", "call", "cancel", "decision", "limits", "pause", "push", "tool", "usage", "wishes"]

_STATE_JSON = {state: b'{"state":"%s"' % state.encode() for state in a2a.TaskState}


def encode_text(text: str) -> tuple[str, bytes]:
    """The text and its JSON. Lone surrogates, which no UTF-8 reader accepts, become U+FFFD in both."""
    try:
        return text, to_json(text)
    except PydanticSerializationError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text, to_json(text)


def plain(value: Any) -> Any:
    """A value as readers of its JSON will have it: no lone surrogates, and null for NaN and infinities."""
    try:
        return from_json(to_json(value, inf_nan_mode="null"))
    except PydanticSerializationError:
        text = json.dumps(value, ensure_ascii=False, default=to_jsonable_python)
        return from_json(to_json(json.loads(encode_text(text)[0]), inf_nan_mode="null"))


class Entry:
    """One numbered entry of a task log.

    Attributes:
        number: its place in the log, from 1 without gaps; 0 until the log has taken it.
        at: milliseconds since 1970.
    """

    __slots__ = ("_body", "_ids", "at", "number")
    kind: str = ""
    public: ClassVar[bool] = False

    def __init__(self, at: int, body: bytes) -> None:
        self.number: int = 0
        self.at: int = at
        self._ids = b""
        self._body: bytes | None = body

    @property
    def body(self) -> bytes:
        """Its JSON. For a public entry, that of a `StreamResponse`."""
        body = self._body
        if body is None:
            body = self._body = self._encode(self._ids)
        return body

    def _encode(self, ids: bytes) -> bytes:
        return b"{}"

    def pack(self) -> Packed:
        """The entry as plain values, for `unpack_entry`."""
        return self.number, self.kind, self.at, self.body

    def apply(self, fold: Fold) -> None:
        """Change the fold the way this entry says."""


class StatusEntry(Entry):
    """A new status of the task."""

    __slots__ = ("message", "metadata", "state", "status")
    kind = "status"
    public = True

    def __init__(
        self,
        ids: bytes,
        state: a2a.TaskState,
        at: int,
        message: bytes | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.number = 0
        self.at = at
        self.state: a2a.TaskState = state
        self.message: bytes | None = message
        self.metadata: dict[str, Any] | None = metadata
        head = _STATE_JSON[state]
        if message is not None:
            head += b',"message":' + message
        self.status: bytes = head + b',"timestamp":"' + timestamp(at) + b'"}'
        self._ids = ids
        self._body = None

    def pack(self) -> Packed:
        if self._body is not None or self.metadata:
            return self.number, self.kind, self.at, self.body
        return self.number, "+status", self.at, str(self.state), self.message

    def _encode(self, ids: bytes) -> bytes:
        tail = b"" if not self.metadata else b',"metadata":' + to_json(self.metadata)
        return b'{"statusUpdate":{%s,"status":%s%s}}' % (ids, self.status, tail)

    @classmethod
    def decode(cls, at: int, body: bytes) -> StatusEntry:
        """Read a stored entry again."""
        update = from_json(body)["statusUpdate"]
        status: dict[str, Any] = update["status"]
        entry = cls.__new__(cls)
        Entry.__init__(entry, at, body)
        message = status.get("message")
        entry.state = a2a.TaskState(status["state"])
        entry.message = message and _dump(message)
        entry.metadata = update.get("metadata")
        entry.status = _dump(status)
        return entry

    def apply(self, fold: Fold) -> None:
        fold.set_status(self.state, self.status, self.message, self.metadata, self.at)


class ArtifactEntry(Entry):
    """An artifact, whole or as parts to append."""

    __slots__ = ("append", "artifact_id", "head", "last", "parts")
    kind = "artifact"
    public = True

    def __init__(
        self, ids: bytes, artifact_id: str, head: bytes, parts: Sequence[bytes], at: int, *, append: bool, last: bool
    ) -> None:
        self.number = 0
        self.at = at
        self.artifact_id: str = artifact_id
        self.head: bytes = head
        self.parts: Sequence[bytes] = parts
        self.append: bool = append
        self.last: bool = last
        self._ids = ids
        self._body = None

    def pack(self) -> Packed:
        if self._body is not None:
            return self.number, self.kind, self.at, self._body
        return self.number, "+artifact", self.at, self.artifact_id, self.head, tuple(self.parts), self.append, self.last

    def _encode(self, ids: bytes) -> bytes:
        flags = (b',"append":true' if self.append else b"") + (b',"lastChunk":true' if self.last else b"")
        return b'{"artifactUpdate":{%s,"artifact":%s,"parts":[%s]}%s}}' % (ids, self.head, b",".join(self.parts), flags)

    @classmethod
    def decode(cls, at: int, body: bytes) -> ArtifactEntry:
        """Read a stored entry again; a stored chunk comes back as the artifact update it was on the wire."""
        update = from_json(body)["artifactUpdate"]
        artifact: dict[str, Any] = update["artifact"]
        parts = cast("list[Any]", artifact.pop("parts"))
        entry = cls.__new__(cls)
        Entry.__init__(entry, at, body)
        entry.artifact_id = artifact["artifactId"]
        entry.head = _dump(artifact)[:-1]
        entry.parts = [_dump(part) for part in parts]
        entry.append = bool(update.get("append"))
        entry.last = bool(update.get("lastChunk"))
        return entry

    def apply(self, fold: Fold) -> None:
        fold.put_parts(self.artifact_id, self.head, self.parts, append=self.append)


class ChunkEntry(Entry):
    """One piece of text, the first or one more of a streamed artifact."""

    __slots__ = ("append", "artifact_id", "head", "text")
    kind = "artifact"
    public = True

    def __init__(self, ids: bytes, artifact_id: str, head: bytes, text: str, at: int, *, append: bool) -> None:
        self.number = 0
        self.at = at
        self.artifact_id: str = artifact_id
        self.head: bytes = head
        self.append: bool = append
        self.text: str
        self.text, encoded = encode_text(text)
        flag = b',"append":true' if append else b""
        self._body = b'{"artifactUpdate":{%s,"artifact":%s,"parts":[{"text":%s}]}%s}}' % (ids, head, encoded, flag)

    def apply(self, fold: Fold) -> None:
        fold.put_text(self.artifact_id, self.head, self.text, append=self.append)


class InputEntry(Entry):
    """A message of the caller. `body` is its JSON, which is also what the history shows."""

    __slots__ = ()
    kind = "input"

    def apply(self, fold: Fold) -> None:
        fold.add_message(self.body)


class PrivateEntry(Entry):
    """What only readers inside see: it leaves the fold as it is."""

    __slots__ = ("kind",)

    def __init__(self, kind: PrivateKind, at: int, body: bytes) -> None:
        self.kind = kind
        super().__init__(at, body)


def decode_entry(number: int, kind: str, at: int, body: bytes) -> Entry:
    """An entry as a store kept it: `number`, `kind`, `at` and `body`."""
    if kind == "status":
        entry: Entry = StatusEntry.decode(at, body)
    elif kind == "artifact":
        entry = ArtifactEntry.decode(at, body)
    elif kind == "input":
        entry = InputEntry(at, body)
    else:
        entry = PrivateEntry(cast("PrivateKind", kind), at, body)
    entry.number = number
    return entry


def unpack_entry(packed: Packed, ids: bytes) -> Entry:
    """An entry from `Entry.pack`; `ids` are those of its task."""
    number, kind, at, *fields = packed
    if kind == "+status":
        state, message = fields
        entry: Entry = StatusEntry(ids, a2a.TaskState(state), at, message)
    elif kind == "+artifact":
        artifact_id, head, parts, append, last = fields
        entry = ArtifactEntry(ids, artifact_id, head, parts, at, append=append, last=last)
    else:
        return decode_entry(number, kind, at, fields[0])
    entry.number = number
    return entry


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
