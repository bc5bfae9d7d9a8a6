"""The HTTP+JSON binding: its resources, and the body of its errors.

Source: A2A v1.0.1 sections 5.3 and 11.3, and the HTTP annotations of `lf.a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from codin.a2a._errors import A2AError, to_status
from codin.a2a._model import encode

__all__ = ["ROUTES", "Route", "status_bytes"]


class Route(NamedTuple):
    """How an operation is asked for: a path below the interface's URL or its tenant, with fields of the request in it.

    What is not in the path is the query of a GET or DELETE, and the body of a POST.
    """

    verb: str
    path: str


ROUTES: Mapping[str, Route] = {
    "SendMessage": Route("POST", "/message:send"),
    "SendStreamingMessage": Route("POST", "/message:stream"),
    "GetTask": Route("GET", "/tasks/{id}"),
    "ListTasks": Route("GET", "/tasks"),
    "CancelTask": Route("POST", "/tasks/{id}:cancel"),
    # By GET as well: the text of the specification has the one, its annotations have the other.
    "SubscribeToTask": Route("POST", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": Route("POST", "/tasks/{taskId}/pushNotificationConfigs"),
    "GetTaskPushNotificationConfig": Route("GET", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "ListTaskPushNotificationConfigs": Route("GET", "/tasks/{taskId}/pushNotificationConfigs"),
    "DeleteTaskPushNotificationConfig": Route("DELETE", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "GetExtendedAgentCard": Route("GET", "/extendedAgentCard"),
}
"""By the operation's name in JSON-RPC and gRPC."""


def status_bytes(error: A2AError) -> bytes:
    """The body of an answer that is an error."""
    return b'{"error":' + encode(to_status(error)) + b"}"
