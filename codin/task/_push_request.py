"""What goes into the operations on push configurations, and what comes of deliveries that were given up."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from codin import a2a

__all__ = ["DeadLetter", "OldPushConfig", "PushRequest"]


class OldPushConfig(a2a.TaskPushNotificationConfig):
    """A configuration that was set in A2A 0.3, whose receiver gets what 0.3 posted: always the whole task."""


PushRequest: TypeAlias = (
    a2a.TaskPushNotificationConfig
    | a2a.GetTaskPushNotificationConfigRequest
    | a2a.ListTaskPushNotificationConfigsRequest
    | a2a.DeleteTaskPushNotificationConfigRequest
)
"""The request of one of the four operations; a configuration is that of the first. Spec 3.1.7 to 3.1.10."""


class DeadLetter(NamedTuple):
    """A push configuration whose delivery was given up. Nothing goes out to it until it is revived.

    Attributes:
        url: scheme, host and port of the receiver.
        number: the event that did not arrive.
        at: when it was given up, in milliseconds since 1970.
    """

    agent: str
    tenant: str
    caller: str
    task_id: str
    config_id: str
    url: str
    number: int
    why: str
    at: int
