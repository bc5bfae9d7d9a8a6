"""What of the errors a peer of 0.3 knows, in its words."""

from __future__ import annotations

import re

from codin import a2a
from codin.a2a.v03._dialect import Dialect

__all__ = ["known_error"]

_NEW = (a2a.ExtensionSupportRequired, a2a.VersionNotSupported)
_FIELD = re.compile(r"\A(?P<before>(?:Invalid params: )?)(?P<field>[\w.\[\]]+)(?=: )")
_PART = re.compile(r"message\.parts(?P<index>\[\d+\])?(?P<below>\.\w+)?")
_PUSH = "configuration.taskPushNotificationConfig"


def known_error(error: a2a.A2AError, dialect: Dialect | None = None, operation: str = "") -> a2a.A2AError:
    """The error, or for one that came with 1.0 the nearest that 0.3 has, which keeps reason and hint.

    Args:
        dialect: how the request was written; without it, the names of fields stay.
        operation: what was asked for, by its name in 1.0.
    """
    message, violations = error.message, error.violations
    if dialect is not None:
        message = _FIELD.sub(lambda found: found["before"] + _old_name(dialect, operation, found["field"]), message, 1)
        violations = [each._replace(field=_old_name(dialect, operation, each.field)) for each in violations]
    if not isinstance(error, _NEW) and (message, violations) == (error.message, error.violations):
        return error
    kind = a2a.UnsupportedOperation if isinstance(error, _NEW) else type(error)
    return kind(
        message,
        hint=error.hint,
        reason=error.reason,
        violations=violations,
        metadata=error.metadata,
        retry_after=error.retry_after,
    )


def _old_name(dialect: Dialect, operation: str, field: str) -> str:
    """What the sender of a request has called a field, by its JSON path in 1.0."""
    match operation:
        case "SendMessage" | "SendStreamingMessage":
            return _in_send(dialect, field)
        case "CreateTaskPushNotificationConfig" if field != "taskId":
            return f"pushNotificationConfig.{_in_push(field)}"
        case "GetTaskPushNotificationConfig" | "ListTaskPushNotificationConfigs" | "DeleteTaskPushNotificationConfig":
            # Over HTTP+JSON they are in the path, which is as it was.
            return {"taskId": "id", "id": "pushNotificationConfigId"}.get(field, field) if dialect.kinds else field
        case _:
            return field


def _in_send(dialect: Dialect, field: str) -> str:
    if field == _PUSH or field.startswith(f"{_PUSH}."):
        name = "pushNotificationConfig" if dialect.kinds else "pushNotification"
        return f"configuration.{name}{_in_push(field.removeprefix(_PUSH))}"
    if (part := _PART.fullmatch(field)) is None:
        return field
    file = {".raw": dialect.raw, ".url": dialect.url, ".mediaType": "mimeType", ".filename": "name"}
    below = part["below"] or ""
    inner = f".file.{file[below]}" if below in file else below
    return f"message.{dialect.parts}{part['index'] or ''}{inner}"


def _in_push(field: str) -> str:
    return f"{field}s" if field.endswith("authentication.scheme") else field
