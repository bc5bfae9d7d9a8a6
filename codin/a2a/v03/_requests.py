"""The operations of 1.0 by the names and parameters of 0.3, and back.

Source: A2A v0.3.0 section 7 and its JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from codin import a2a
from codin.a2a.v03._card import is_old_card, read_card, with_old_fields
from codin.a2a.v03._dialect import RPC, Dialect, Fields

__all__ = [
    "METHODS",
    "lacking",
    "read_push",
    "read_request",
    "read_result",
    "read_send",
    "write_push",
    "write_request",
    "write_result",
    "write_send",
]

METHODS: Mapping[str, str] = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
"""What the methods of 0.3 are called in 1.0. It had no way to list tasks."""

_OLD_NAMES = {name: method for method, name in METHODS.items()}


# -- requests ----------------------------------------------------------------------------------------------------------


def read_request(method: str, params: Fields) -> tuple[str, Fields]:
    """The operation that a JSON-RPC method of 0.3 stands for, and its parameters.

    A configuration of pushes could be asked for without its id, and is then the first of the list.

    Raises:
        MethodNotFound: 0.3 has no such method.
        InvalidParams: a role that is none.
    """
    name = METHODS.get(method)
    if name is None:
        raise a2a.MethodNotFound(f"no method {method[:100]!r}", hint=f"A2A 0.3 has {', '.join(METHODS)}")
    match method.rpartition("/"):
        case ("message", _, _):
            return name, read_send(RPC, params)
        case ("tasks/pushNotificationConfig", _, verb):
            return _read_push_request(verb, name, params)
        case ("tasks", _, "get"):
            return name, _given(id=params.get("id"), historyLength=params.get("historyLength") or None)
        case ("tasks", _, "cancel"):
            return name, _given(id=params.get("id"), metadata=params.get("metadata"))
        case ("tasks", _, _):
            return name, _given(id=params.get("id"))
        case _:
            return name, {}


def _read_push_request(verb: str, name: str, params: Fields) -> tuple[str, Fields]:
    if verb == "set":
        return name, _given(taskId=params.get("taskId"), **read_push(params.get("pushNotificationConfig")))
    config_id = params.get("pushNotificationConfigId")
    if verb == "get" and config_id is None:
        return "ListTaskPushNotificationConfigs", _given(taskId=params.get("id"))
    return name, _given(taskId=params.get("id"), id=config_id)


def read_send(dialect: Dialect, params: Fields) -> Fields:
    """A `SendMessageRequest`."""
    return _given(
        message=dialect.read_message(params.get("message")),
        configuration=_read_configuration(dialect, params.get("configuration")),
        metadata=params.get("metadata"),
    )


def _read_configuration(dialect: Dialect, configuration: Any) -> Any:
    if not isinstance(configuration, dict):
        return configuration
    given = cast("Fields", configuration)
    # What was not said: the JSON Schema says nothing, the proto says no.
    blocking = given.get("blocking", dialect.kinds)
    push = given.get("pushNotificationConfig" if dialect.kinds else "pushNotification")
    return _given(
        acceptedOutputModes=given.get("acceptedOutputModes"),
        historyLength=given.get("historyLength") or None,  # 0 was everything
        taskPushNotificationConfig=read_push(push) if isinstance(push, dict) else push,
        returnImmediately=True if blocking is False else None,
    )


def write_request(name: str, params: Fields) -> tuple[str, Fields]:
    """The JSON-RPC method of 0.3 for an operation, and its parameters.

    Raises:
        UnsupportedOperation: 0.3 has none, as for `ListTasks`.
    """
    method = _OLD_NAMES.get(name)
    if method is None:
        raise lacking(name)
    match name:
        case "SendMessage" | "SendStreamingMessage":
            return method, write_send(RPC, params)
        case "CreateTaskPushNotificationConfig":
            return method, write_push(params)
        case "GetTaskPushNotificationConfig" | "DeleteTaskPushNotificationConfig":
            return method, _given(id=params.get("taskId"), pushNotificationConfigId=params.get("id"))
        case "ListTaskPushNotificationConfigs":
            return method, _given(id=params.get("taskId"))
        case "GetExtendedAgentCard":
            return method, {}
        case _:
            return method, {key: value for key, value in params.items() if key != "tenant"}


def lacking(name: str) -> a2a.UnsupportedOperation:
    """What is raised for an operation that 0.3 does not have."""
    return a2a.UnsupportedOperation(
        f"the peer speaks A2A 0.3, which has no {name}", hint="keep the ids of your tasks, and ask for each"
    )


def write_send(dialect: Dialect, params: Fields) -> Fields:
    """The parameters of `message/send` and `message/stream`."""
    configuration: Fields = params.get("configuration") or {}
    push = configuration.get("taskPushNotificationConfig")
    written = _given(
        acceptedOutputModes=configuration.get("acceptedOutputModes"),
        historyLength=configuration.get("historyLength"),
        # 0.3 leaves it to the server when nothing is said.
        blocking=not configuration.get("returnImmediately", False),
    )
    if push:
        name = "pushNotificationConfig" if dialect.kinds else "pushNotification"
        written[name] = write_push(push)["pushNotificationConfig"]
    message = dialect.write_message(params["message"])
    return _given(message=message, configuration=written, metadata=params.get("metadata"))


# -- results -----------------------------------------------------------------------------------------------------------


def write_result(method: str, answer: Any) -> Any:
    """What a JSON-RPC method of 0.3 answers, of the answer of the operation that it stands for.

    Raises:
        TaskNotFound: there is no configuration of pushes, and one was asked for.
    """
    match method:
        case "message/send":
            return RPC.write_value(answer)
        case "tasks/get" | "tasks/cancel":
            return RPC.write_task(answer)
        case "tasks/pushNotificationConfig/list":
            return [write_push(config) for config in answer.get("configs", [])]
        case "tasks/pushNotificationConfig/delete":
            return None
        case "tasks/pushNotificationConfig/get" if "configs" in answer or not answer:
            return write_push(_first_of(answer.get("configs", [])))
        case "tasks/pushNotificationConfig/set" | "tasks/pushNotificationConfig/get":
            return write_push(answer)
        case _:
            return with_old_fields(a2a.AgentCard.from_dict(answer))


def _first_of(configs: list[Fields]) -> Fields:
    if not configs:
        raise a2a.TaskNotFound("this task has no push configuration")
    return configs[0]


def read_result(name: str, result: Any) -> Any:
    """The answer of an operation, of the result of its JSON-RPC method in 0.3."""
    match name:
        case "SendMessage":
            return RPC.read_value(result)
        case "GetTask" | "CancelTask":
            return RPC.read_task(result)
        case "ListTaskPushNotificationConfigs":
            configs = cast("list[Any]", result) if isinstance(result, list) else []
            return {"configs": [_read_task_push(config) for config in configs]}
        case "DeleteTaskPushNotificationConfig":
            return {}
        case "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig":
            return _read_task_push(result)
        case "GetExtendedAgentCard" if is_old_card(result):
            return read_card(result)
        case _:
            return result


# -- pushes ------------------------------------------------------------------------------------------------------------


def _read_task_push(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    fields = cast("Fields", config)
    return _given(taskId=fields.get("taskId"), **read_push(fields.get("pushNotificationConfig")))


def read_push(config: Any) -> Fields:
    """The inner object of 0.3; of the schemes that a webhook takes, 1.0 names one."""
    if not isinstance(config, dict):
        return {}
    fields = cast("Fields", config)
    authentication = fields.get("authentication")
    if isinstance(authentication, dict):
        given = cast("Fields", authentication)
        schemes: Any = given.get("schemes") or None
        # What is no list stays as it is, so that the type of 1.0 refuses it.
        scheme = cast("list[Any]", schemes)[0] if isinstance(schemes, list) else schemes
        named = _given(scheme=scheme, credentials=given.get("credentials") or None)
        authentication = named or None
    return _given(
        id=fields.get("id") or None,
        url=fields.get("url"),
        token=fields.get("token") or None,
        authentication=authentication,
    )


def write_push(config: Fields) -> Fields:
    """The two objects of 0.3, one in the other."""
    authentication = config.get("authentication")
    if authentication is not None:
        scheme = authentication.get("scheme")
        authentication = _given(schemes=[scheme] if scheme else [], credentials=authentication.get("credentials"))
    inner = _given(id=config.get("id"), url=config.get("url"), token=config.get("token"), authentication=authentication)
    return _given(taskId=config.get("taskId"), pushNotificationConfig=inner)


def _given(**fields: Any) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
