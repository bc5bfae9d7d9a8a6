"""Parameters and results of the operations.

Source: A2A v1.0.1 sections 3.1, 3.2 and 4.3, and the field list of `lf.a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from codin.a2a._model import (
    Count,
    Flag,
    Id,
    Instant,
    LenientModel,
    Many,
    Metadata,
    Model,
    OptionalFlag,
    PageSize,
)
from codin.a2a._objects import Message, Task, TaskState

__all__ = [
    "AuthenticationInfo",
    "CancelTaskRequest",
    "DeleteTaskPushNotificationConfigRequest",
    "GetExtendedAgentCardRequest",
    "GetTaskPushNotificationConfigRequest",
    "GetTaskRequest",
    "ListTaskPushNotificationConfigsRequest",
    "ListTaskPushNotificationConfigsResponse",
    "ListTasksRequest",
    "ListTasksResponse",
    "SendMessageConfiguration",
    "SendMessageRequest",
    "SubscribeToTaskRequest",
    "TaskPushNotificationConfig",
]


class AuthenticationInfo(Model):
    """How a webhook wants to be called."""

    scheme: Id
    credentials: str | None = Field(default=None, repr=False)


class TaskPushNotificationConfig(Model):
    """Where a task's events are posted to."""

    url: Id
    task_id: str | None = None
    id: str | None = None
    tenant: str | None = None
    token: str | None = Field(default=None, repr=False)
    authentication: AuthenticationInfo | None = None


class SendMessageConfiguration(Model):
    """What the sender wants of the answer.

    Args:
        history_length: how many of the newest messages; 0 is none, None is the server's choice.
        return_immediately: answer as soon as the task exists.
    """

    accepted_output_modes: Many[str] = Field(default_factory=list)
    task_push_notification_config: TaskPushNotificationConfig | None = None
    history_length: Count | None = None
    return_immediately: Flag = False


class SendMessageRequest(Model):
    """Parameters of SendMessage and SendStreamingMessage."""

    message: Message
    configuration: SendMessageConfiguration | None = None
    tenant: str | None = None
    metadata: Metadata | None = None


class GetTaskRequest(Model):
    """Parameters of GetTask."""

    id: Id
    history_length: Count | None = None
    tenant: str | None = None


class ListTasksRequest(Model):
    """Parameters of ListTasks: filters and a page."""

    context_id: str | None = None
    status: TaskState | None = None
    status_timestamp_after: Instant | None = None
    page_size: PageSize | None = None
    page_token: str | None = None
    history_length: Count | None = None
    include_artifacts: OptionalFlag = None
    tenant: str | None = None


class ListTasksResponse(LenientModel):
    """One page of tasks; `total_size` counts before paging."""

    absent: ClassVar[Mapping[str, Any]] = {"tasks": [], "next_page_token": "", "page_size": 0, "total_size": 0}

    tasks: Many[Task]
    next_page_token: str
    page_size: Count
    total_size: Count


class CancelTaskRequest(Model):
    """Parameters of CancelTask."""

    id: Id
    tenant: str | None = None
    metadata: Metadata | None = None


class SubscribeToTaskRequest(Model):
    """Parameters of SubscribeToTask."""

    id: Id
    tenant: str | None = None


class GetTaskPushNotificationConfigRequest(Model):
    """Parameters of GetTaskPushNotificationConfig."""

    task_id: Id
    id: Id
    tenant: str | None = None


class DeleteTaskPushNotificationConfigRequest(Model):
    """Parameters of DeleteTaskPushNotificationConfig."""

    task_id: Id
    id: Id
    tenant: str | None = None


class ListTaskPushNotificationConfigsRequest(Model):
    """Parameters of ListTaskPushNotificationConfigs."""

    task_id: Id
    page_size: Count | None = None
    page_token: str | None = None
    tenant: str | None = None


class ListTaskPushNotificationConfigsResponse(Model):
    """One page of push configurations."""

    configs: Many[TaskPushNotificationConfig] = Field(default_factory=list[TaskPushNotificationConfig])
    next_page_token: str | None = None


class GetExtendedAgentCardRequest(Model):
    """Parameters of GetExtendedAgentCard."""

    tenant: str | None = None
