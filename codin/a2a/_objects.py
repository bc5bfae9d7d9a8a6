"""Tasks, messages, parts, artifacts and the events of a stream.

Source: A2A v1.0.1 sections 3.2.3, 4.1 and 4.2, and the field list of `lf.a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, FailFast, Field, model_validator
from pydantic_core import PydanticCustomError

from codin.a2a._model import Base64, Flag, Id, Many, Metadata, Model, Timestamp, one_of

__all__ = [
    "Artifact",
    "Message",
    "Part",
    "Role",
    "SendMessageResponse",
    "StreamResponse",
    "Task",
    "TaskArtifactUpdateEvent",
    "TaskState",
    "TaskStatus",
    "TaskStatusUpdateEvent",
    "text_of",
]


class _ProtoEnum(StrEnum):
    """An enum by its names in the proto; a number is read as the member at that place."""

    __hash__ = str.__hash__  # Enum's own is written in Python, and states are keys on the hot path

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        members = list(cls)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
            return members[value]
        return None


class TaskState(_ProtoEnum):
    """Where a task is. The order is the proto's numbering."""

    UNSPECIFIED = "TASK_STATE_UNSPECIFIED"
    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    REJECTED = "TASK_STATE_REJECTED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"

    # Plain attributes of each member, because every entry of every log asks for them.
    terminal: bool
    """The task has ended and takes no further message."""
    interrupted: bool
    """The task waits for an answer or a credential."""
    resting: bool
    """Terminal or interrupted: nothing happens until somebody else does something."""


for _state in TaskState:
    _state.terminal = _state.name in {"COMPLETED", "FAILED", "CANCELED", "REJECTED"}
    _state.interrupted = _state.name in {"INPUT_REQUIRED", "AUTH_REQUIRED"}
    _state.resting = _state.terminal or _state.interrupted


class Role(_ProtoEnum):
    """Who speaks. The order is the proto's numbering."""

    UNSPECIFIED = "ROLE_UNSPECIFIED"
    USER = "ROLE_USER"
    AGENT = "ROLE_AGENT"


def _set(role: Role) -> Role:
    if role is Role.UNSPECIFIED:
        raise PydanticCustomError("unspecified", "Input should be 'ROLE_USER' or 'ROLE_AGENT'")
    return role


class _Absent(Enum):
    """Marks that a part has no data, because null is data."""

    ABSENT = None


_ABSENT = _Absent.ABSENT


class Part(Model):
    """One piece of content: exactly one of text, raw, url and data.

    Args:
        text: the text.
        raw: bytes; base64 text is decoded.
        url: where the content is.
        data: any JSON value, null included.
        filename: what a file is called.
        media_type: of the content.
    """

    text: str | None = None
    raw: Base64 | None = None
    url: str | None = None
    # `data` is a property, so that a part without data reads None and a part whose data is null is still written.
    data_or_absent: Any = Field(default=_ABSENT, alias="data", repr=False)
    metadata: Metadata | None = None
    filename: str | None = None
    media_type: str | None = None

    @property
    def data(self) -> Any:
        """The JSON value, None without one; `kind` tells null from absent."""
        return None if self.data_or_absent is _ABSENT else self.data_or_absent

    @property
    def kind(self) -> Literal["text", "raw", "url", "data"]:
        """Which content this part has."""
        if self.text is not None:
            return "text"
        if self.raw is not None:
            return "raw"
        return "url" if self.url is not None else "data"

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        yield from super().__repr_args__()
        if self.data_or_absent is not _ABSENT:
            yield "data", self.data_or_absent

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        contents = (
            (self.text is not None) + (self.raw is not None) + (self.url is not None)
            + (self.data_or_absent is not _ABSENT)
        )  # fmt: skip
        if contents != 1:
            raise one_of("A part holds exactly one of text, raw, url and data")
        return self


Parts = Annotated[list[Part], Field(min_length=1), FailFast()]


class Message(Model):
    """One turn of a conversation."""

    message_id: Id
    role: Annotated[Role, AfterValidator(_set)]
    parts: Parts
    context_id: str | None = None
    task_id: str | None = None
    metadata: Metadata | None = None
    extensions: Many[str] = Field(default_factory=list)
    reference_task_ids: Many[str] = Field(default_factory=list)


class Artifact(Model):
    """A result of a task."""

    artifact_id: Id
    parts: Parts
    name: str | None = None
    description: str | None = None
    metadata: Metadata | None = None
    extensions: Many[str] = Field(default_factory=list)


class TaskStatus(Model):
    """A state, what the agent says about it, and since when."""

    state: TaskState
    message: Message | None = None
    timestamp: Timestamp | None = None


class Task(Model):
    """The wire object: a snapshot of a task."""

    id: Id
    status: TaskStatus
    context_id: str | None = None
    artifacts: Many[Artifact] = Field(default_factory=list[Artifact])
    history: Many[Message] = Field(default_factory=list[Message])
    metadata: Metadata | None = None


class TaskStatusUpdateEvent(Model):
    """The task's status changed."""

    task_id: Id
    status: TaskStatus
    context_id: str = ""  # required, but peers whose tasks have none leave it out
    metadata: Metadata | None = None


class TaskArtifactUpdateEvent(Model):
    """An artifact, or with `append` more parts of one."""

    task_id: Id
    artifact: Artifact
    context_id: str = ""  # as above
    append: Flag = False
    last_chunk: Flag = False
    metadata: Metadata | None = None


class StreamResponse(Model):
    """One element of a stream or body of a push: exactly one of the four."""

    task: Task | None = None
    message: Message | None = None
    status_update: TaskStatusUpdateEvent | None = None
    artifact_update: TaskArtifactUpdateEvent | None = None

    @property
    def value(self) -> Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent:
        """The one that is set."""
        found = self.artifact_update or self.status_update or self.task or self.message
        return cast("Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent", found)

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        payloads = (self.task, self.message, self.status_update, self.artifact_update)
        if payloads.count(None) != 3:
            raise one_of("A stream response holds exactly one of task, message, statusUpdate and artifactUpdate")
        return self


class SendMessageResponse(Model):
    """What a send answers: exactly one of task and message."""

    task: Task | None = None
    message: Message | None = None

    @property
    def value(self) -> Task | Message:
        """The one that is set."""
        return cast("Task | Message", self.task or self.message)

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if (self.task is None) == (self.message is None):
            raise one_of("A send response holds exactly one of task and message")
        return self


def text_of(parts: Iterable[Part]) -> str:
    """The text parts joined without a separator, because a streamed text arrives in pieces."""
    return "".join([part.text for part in parts if part.text is not None])
