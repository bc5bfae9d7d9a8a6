"""The fields of the protocol's objects, and what is wrong with the JSON of one. Spec 4, 5.5 to 5.7.

A field is `name`, `name!` when it is required, and behind a colon its type; a type in brackets is a list, in braces a
map. `str` is what has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from codin.cli.check._json import is_list, is_object

__all__ = ["Fault", "faults"]

_OBJECTS = {
    "Task": "id! contextId status!:TaskStatus artifacts:[Artifact] history:[Message] metadata:object",
    "TaskStatus": "state!:TaskState message:Message timestamp:time",
    "Message": "messageId! contextId taskId role!:Role parts!:[Part] metadata:object extensions:[str]"
    " referenceTaskIds:[str]",
    "Part": "text raw:base64 url data:any metadata:object filename mediaType",
    "Artifact": "artifactId! name description parts!:[Part] metadata:object extensions:[str]",
    "TaskStatusUpdateEvent": "taskId! contextId! status!:TaskStatus metadata:object",
    "TaskArtifactUpdateEvent": "taskId! contextId! artifact!:Artifact append:bool lastChunk:bool metadata:object",
    "SendMessageResponse": "task:Task message:Message",
    "StreamResponse": "task:Task message:Message statusUpdate:TaskStatusUpdateEvent"
    " artifactUpdate:TaskArtifactUpdateEvent",
    "ListTasksResponse": "tasks:[Task] nextPageToken pageSize:int totalSize:int",
    "TaskPushNotificationConfig": "tenant id taskId url! token authentication:AuthenticationInfo",
    "AuthenticationInfo": "scheme! credentials",
    "ListTaskPushNotificationConfigsResponse": "configs:[TaskPushNotificationConfig] nextPageToken",
    "AgentCard": "name! description! supportedInterfaces!:[AgentInterface] provider:AgentProvider version!"
    " documentationUrl capabilities!:AgentCapabilities securitySchemes:{object} securityRequirements:[object]"
    " defaultInputModes!:[str] defaultOutputModes!:[str] skills!:[AgentSkill] signatures:[AgentCardSignature] iconUrl",
    "AgentInterface": "url! protocolBinding! tenant protocolVersion!",
    "AgentProvider": "url! organization!",
    "AgentCapabilities": "streaming:bool pushNotifications:bool extensions:[AgentExtension] extendedAgentCard:bool",
    "AgentExtension": "uri description required:bool params:object",
    "AgentSkill": "id! name! description! tags!:[str] examples:[str] inputModes:[str] outputModes:[str]"
    " securityRequirements:[object]",
    "AgentCardSignature": "protected! signature! header:object",
}
_ONE_OF = {
    "Part": ("DATA-ONE-CONTENT", ("text", "raw", "url", "data")),
    "StreamResponse": ("DATA-ONE-EVENT", ("task", "message", "statusUpdate", "artifactUpdate")),
    "SendMessageResponse": ("SEND-ONE-ANSWER", ("task", "message")),
}
# Cards serve readers of other versions as well, and are extended; required lists in them may be empty, as in 8.4.1.
_OPEN = frozenset({"AgentCard", "AgentInterface", "AgentCapabilities", "AgentSkill", "AgentProvider", "AgentExtension"})
_RESTING = ("COMPLETED", "FAILED", "CANCELED", "REJECTED", "INPUT_REQUIRED", "AUTH_REQUIRED")
_STATES = frozenset(
    f"TASK_STATE_{name}"
    for name in [
        "SUBMITTED",
        "WORKING",
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "INPUT_REQUIRED",
        "REJECTED",
        "AUTH_REQUIRED",
    ]
)
_ROLES = frozenset({"ROLE_USER", "ROLE_AGENT"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?P<zone>Z|[+-]\d\d:\d\d)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_FIELD = re.compile(r"(?P<name>\w+)(?P<required>!)?(?::(?P<type>\S+))?")


class Fault(NamedTuple):
    """A rule, and where it is broken by what."""

    rule: str
    words: str


class _Field(NamedTuple):
    required: bool
    type: str


@cache
def _fields(name: str) -> Mapping[str, _Field]:
    found = map(_FIELD.fullmatch, _OBJECTS[name].split())
    return {each["name"]: _Field(bool(each["required"]), each["type"] or "str") for each in found if each}


def faults(name: str, value: Any, *, at: str = "") -> Iterator[Fault]:
    """What is wrong with the JSON of an object.

    Args:
        name: of the object in the proto.
        at: where it stands.
    """
    at = at or name[0].lower() + name[1:]
    if not is_object(value):
        yield Fault("DATA-REQUIRED", f"{at} is no object but {value!r}")
        return
    members = value
    known = _fields(name)
    if name not in _OPEN:
        yield from _strangers(members, known, at)
    for field, (required, kind) in known.items():
        found = members.get(field)
        if found is not None:
            yield from _value(kind, found, f"{at}.{field}", may_be_empty=not required or name in _OPEN)
        elif required:
            yield Fault("DATA-REQUIRED", f"{at}.{field} is missing")
    if name in _ONE_OF:
        rule, choices = _ONE_OF[name]
        given = [choice for choice in choices if choice in members]
        if len(given) != 1:
            yield Fault(rule, f"{at} has {' and '.join(given) or 'none'} of {', '.join(choices)}")


def _strangers(members: Mapping[str, Any], known: Mapping[str, _Field], at: str) -> Iterator[Fault]:
    for name in members:
        if name in known:
            continue
        camel = re.sub(r"_(\w)", lambda found: found[1].upper(), name)
        rule = "DATA-CAMEL-CASE" if camel in known else "DATA-FIELDS"
        yield Fault(rule, f"{at}.{name} is no field of it")


def _value(kind: str, value: Any, at: str, *, may_be_empty: bool = True) -> Iterator[Fault]:
    if kind.startswith("["):
        if not is_list(value):
            yield Fault("DATA-FIELDS", f"{at} is no list but {value!r}")
            return
        if not value and not may_be_empty:
            yield Fault("DATA-NOT-EMPTY", f"{at} is empty")
        for number, each in enumerate(value):
            yield from _value(kind[1:-1], each, f"{at}[{number}]")
    elif kind in _OBJECTS:
        yield from faults(kind, value, at=at)
    elif not _SIMPLE[kind][1](value):
        yield Fault(_SIMPLE[kind][0], f"{at} is {value!r}")


def _is_time(value: Any) -> bool:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    return found is not None and found["zone"] == "Z"


_SIMPLE: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("DATA-FIELDS", lambda value: isinstance(value, str)),
    "int": ("DATA-FIELDS", lambda value: isinstance(value, int)),
    "bool": ("DATA-FIELDS", lambda value: isinstance(value, bool)),
    "any": ("DATA-FIELDS", lambda value: True),
    "object": ("DATA-FIELDS", is_object),
    "{object}": ("DATA-FIELDS", is_object),
    "base64": ("DATA-BASE64", lambda value: isinstance(value, str) and _BASE64.fullmatch(value) is not None),
    "time": ("DATA-UTC", _is_time),
    "TaskState": ("DATA-ENUMS", lambda value: isinstance(value, str) and value in _STATES),
    "Role": ("DATA-ENUMS", lambda value: isinstance(value, str) and value in _ROLES),
}
