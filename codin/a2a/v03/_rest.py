"""Requests and results of 0.3 in HTTP+JSON, whose operations are called as in 1.0. Source: the comments of `a2a.v1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from codin import a2a
from codin.a2a.v03._card import is_old_card, read_card, with_old_fields
from codin.a2a.v03._dialect import REST, Fields
from codin.a2a.v03._requests import METHODS, lacking, read_push, read_send, write_push, write_send

__all__ = [
    "REST_PREFIX",
    "REST_ROUTES",
    "read_rest_request",
    "read_rest_result",
    "write_rest_request",
    "write_rest_result",
]

REST_PREFIX: Final = "/v1"
"""What stands before every path, and so behind the URL of an interface."""

REST_ROUTES: Mapping[str, a2a.Route] = {
    **{name: route for name, route in a2a.ROUTES.items() if name in METHODS.values()},
    "SubscribeToTask": a2a.Route("GET", a2a.ROUTES["SubscribeToTask"].path),
    "GetExtendedAgentCard": a2a.Route("GET", "/card"),
}
"""By the operation's name in 1.0, below `REST_PREFIX`."""


# -- a server's side ---------------------------------------------------------------------------------------------------


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


# -- a client's side ---------------------------------------------------------------------------------------------------


def write_rest_request(name: str, params: Fields) -> Fields:
    """The fields of a request: those of the path of its route, and behind them those of its query or body.

    Raises:
        UnsupportedOperation: 0.3 has none, as for `ListTasks`.
    """
    if name not in REST_ROUTES:
        raise lacking(name)
    match name:
        case "SendMessage" | "SendStreamingMessage":
            return write_send(REST, params)
        case "CancelTask":
            return {"id": params["id"], "name": f"tasks/{params['id']}"}
        case "CreateTaskPushNotificationConfig":
            task = params["taskId"]
            written = {"parent": f"tasks/{task}", "configId": params.get("id", ""), "config": _write_named(params)}
            return {"taskId": task, **written}
        case _:
            return {key: value for key, value in params.items() if key != "tenant"}


def read_rest_result(name: str, result: Any) -> Any:
    """The answer of an operation, of the body of its answer in 0.3."""
    match name:
        case "SendMessage":
            return REST.read_value(result)
        case "GetTask" | "CancelTask":
            return REST.read_task(result)
        case "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig":
            return _read_named(result)
        case "ListTaskPushNotificationConfigs":
            configs = cast("Fields", result).get("configs") if isinstance(result, dict) else None
            return {"configs": [_read_named(each) for each in cast("list[Any]", configs or [])]}
        case "DeleteTaskPushNotificationConfig":
            return {}
        case "GetExtendedAgentCard" if is_old_card(result):
            return read_card(result)
        case _:
            return result


def _read_named(config: Any) -> Any:
    """A configuration, whose name says what task it is of: `tasks/{task}/pushNotificationConfigs/{id}`."""
    if not isinstance(config, dict):
        return config
    fields = cast("Fields", config)
    task = str(fields.get("name") or "").removeprefix("tasks/").partition("/")[0]
    return {"taskId": task, **read_push(fields.get("pushNotificationConfig"))}
