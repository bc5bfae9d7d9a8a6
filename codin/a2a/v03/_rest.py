"""Requests and results of 0.3 in HTTP+JSON, whose operations are called as in 1.0. Source: the comments of `a2a.v1`."""

from __future__ import annotations

from typing import Any, cast

from codin import a2a
from codin.a2a.v03._card import with_old_fields
from codin.a2a.v03._dialect import REST, Fields
from codin.a2a.v03._requests import read_push, read_send, write_push

__all__ = ["read_rest_request", "write_rest_result"]


def read_rest_request(name: str, params: Fields) -> Fields:
    """The parameters of an operation, of the body of a request with the fields that its path and query tell.

    Raises:
        MethodNotFound: 0.3 has no such operation.
        InvalidParams: a role that is none.
    """
    match name:
        case "SendMessage" | "SendStreamingMessage":
            return read_send(REST, params)
        case "GetTask":
            length = params.get("historyLength")
            return _picked(params, "id") | ({"historyLength": length} if length not in (None, 0, "0") else {})
        case "CancelTask" | "SubscribeToTask":
            return _picked(params, "id")  # `name` says the same
        case "CreateTaskPushNotificationConfig":
            return {**read_push(_push_of(params)), **_picked(params, "taskId")}
        case "ListTasks":
            raise a2a.MethodNotFound("A2A 0.3 has no list of tasks", hint="send A2A-Version: 1.0 to GET /tasks")
        case _:
            return params


def _push_of(params: Fields) -> Any:
    """By the proto, the body is the configuration with its name; the SDKs send the request that holds it."""
    config = params.get("config")
    push: Any = (cast("Fields", config) if isinstance(config, dict) else params).get("pushNotificationConfig")
    return {"id": params.get("configId"), **cast("Fields", push)} if isinstance(push, dict) else None


def write_rest_result(name: str, answer: Any) -> Any:
    """The body of an answer."""
    match name:
        case "SendMessage" | "SendStreamingMessage":
            return REST.write_value(answer)
        case "GetTask" | "CancelTask":
            return REST.write_task(answer)
        case "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig":
            return _write_named(answer)
        case "ListTaskPushNotificationConfigs":
            return {**answer, "configs": [_write_named(config) for config in answer.get("configs", [])]}
        case "GetExtendedAgentCard":
            return with_old_fields(a2a.AgentCard.from_dict(answer))
        case _:
            return answer


def _write_named(config: Fields) -> Fields:
    made = write_push(config)
    push = made["pushNotificationConfig"]
    name = f"tasks/{config.get('taskId', '')}/pushNotificationConfigs/{config.get('id', '')}"
    return {"name": name, "pushNotificationConfig": push}


def _picked(params: Fields, *names: str) -> Fields:
    return {name: params[name] for name in names if name in params}
