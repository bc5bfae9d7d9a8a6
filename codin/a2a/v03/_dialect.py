"""The objects of 1.0 as A2A 0.3 writes them, and back.

0.3 had one set of objects and two ways to write them: JSON-RPC by its JSON Schema, HTTP+JSON by its proto. Both
directions work on plain JSON. What is not understood stays as it is, so that the types of 1.0 say what is wrong.

Source: A2A v0.3.0 sections 6 and 7, its JSON Schema, and the field list of `a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from codin import a2a

__all__ = ["REST", "RPC", "Dialect", "Fields"]

Fields = dict[str, Any]

_WRAPPED = "data_part_compat"
"""Marks data that is no object, which 0.3 cannot say, within one. Both official SDKs read and write this mark."""

_KINDS = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write the objects. `write_…` makes 0.3 of 1.0, `read_…` the opposite.

    Args:
        kinds: an object says in `kind` what it is; else a member name says it.
        parts: what a message calls its parts.
        raw: what a file calls its bytes.
        url: what a file calls its address.
        inner_data: a data part holds an object that holds the data.
        states: what the states are called.
        roles: what the roles are called.
    """

    kinds: bool
    parts: str
    raw: str
    url: str
    inner_data: bool
    states: Mapping[str, str]
    roles: Mapping[str, str]

    # -- events and results --------------------------------------------------------------------------------------------

    def write_value(self, value: Fields, *, final: bool = False) -> Fields:
        """A `SendMessageResponse` or `StreamResponse`; `final` marks the status that ends a stream."""
        (name, written), *_ = value.items()
        match name:
            case "task":
                made = self.write_task(written)
            case "message":
                made = self.write_message(written)
            case "statusUpdate":
                made = self.write_status_update(written, final=final)
            case _:
                made = self.write_artifact_update(written)
        return made if self.kinds else {name: made}

    def read_value(self, value: Any) -> Any:
        """A `StreamResponse` of what `write_value` makes."""
        if not isinstance(value, dict):
            return value
        fields = cast("Fields", value)
        if not self.kinds:
            return {name: self._read_named(name, item) for name, item in fields.items()}
        name = _KINDS.get(str(fields.get("kind"))) or _guess(fields)
        return {name: self._read_named(name, fields)}

    def _read_named(self, name: str, value: Any) -> Any:
        readers: dict[str, Callable[[Any], Any]] = {
            "task": self.read_task,
            "message": self.read_message,
            "statusUpdate": self.read_status_update,
            "artifactUpdate": self.read_artifact_update,
        }
        return readers[name](value) if name in readers else value

    def write_status_update(self, update: Fields, *, final: bool) -> Fields:
        """A `TaskStatusUpdateEvent`."""
        made: Fields = {"contextId": "", **update, "status": self._write_status(update["status"]), "final": final}
        return self._of_kind("status-update", made)

    def read_status_update(self, update: Any) -> Any:
        """A `TaskStatusUpdateEvent`, which does not know any more whether it is final."""
        return _changed(update, status=self._read_status)

    def write_artifact_update(self, update: Fields) -> Fields:
        """A `TaskArtifactUpdateEvent`."""
        made: Fields = {"contextId": "", **update, "artifact": self._write_artifact(update["artifact"])}
        return self._of_kind("artifact-update", made)

    def read_artifact_update(self, update: Any) -> Any:
        """A `TaskArtifactUpdateEvent`."""
        return _changed(update, artifact=self._read_artifact)

    # -- tasks and messages --------------------------------------------------------------------------------------------

    def write_task(self, task: Fields) -> Fields:
        """A `Task`."""
        made: Fields = {"contextId": "", **task, "status": self._write_status(task["status"])}
        if "artifacts" in made:
            made["artifacts"] = [self._write_artifact(each) for each in made["artifacts"]]
        if "history" in made:
            made["history"] = [self.write_message(each) for each in made["history"]]
        return self._of_kind("task", made)

    def read_task(self, task: Any) -> Any:
        """A `Task`."""
        return _changed(
            task, status=self._read_status, artifacts=_each(self._read_artifact), history=_each(self.read_message)
        )

    def write_message(self, message: Fields) -> Fields:
        """A `Message`."""
        made = {name: value for name, value in message.items() if name != "parts"}
        made["role"] = self.roles.get(message["role"], "")
        made[self.parts] = [self._write_part(part) for part in message["parts"]]
        if not self.kinds:
            made.pop("referenceTaskIds", None)  # the proto of 0.3 has no such field, and its readers may be strict
        return self._of_kind("message", made)

    def read_message(self, message: Any) -> Any:
        """A `Message`; the parts may be called as either dialect calls them."""
        if not isinstance(message, dict):
            return message
        made = cast("Fields", _changed(message, role=self._read_role))
        parts = made.pop("content", None)
        if "parts" not in made and parts is not None:
            made["parts"] = parts
        return cast("Fields", _changed(made, parts=_each(self._read_part)))

    def _read_role(self, role: Any) -> Any:
        names = {written: name for name, written in self.roles.items()}
        if not isinstance(role, str) or role not in names:
            words = " or ".join(repr(written) for written in names if names[written] != a2a.Role.UNSPECIFIED)
            raise a2a.InvalidParams.of("message.role", f"Input should be {words}")
        return names[role]

    def _write_status(self, status: Fields) -> Fields:
        made: Fields = {**status, "state": self.states.get(status["state"], self.states[a2a.TaskState.UNSPECIFIED])}
        if "message" in made:
            made["message"] = self.write_message(made["message"])
        return made

    def _read_status(self, status: Any) -> Any:
        names = {written: name for name, written in self.states.items()}
        made = _changed(status, state=lambda state: names.get(str(state), a2a.TaskState.UNSPECIFIED.value))
        if isinstance(made, dict) and _is_blank(cast("Fields", made).get("message"), self.parts):
            del made["message"]
        return _changed(made, message=self.read_message)

    # -- artifacts and parts -------------------------------------------------------------------------------------------

    def _write_artifact(self, artifact: Fields) -> Fields:
        return {**artifact, "parts": [self._write_part(part) for part in artifact["parts"]]}

    def _read_artifact(self, artifact: Any) -> Any:
        return _changed(artifact, parts=_each(self._read_part))

    def _write_part(self, part: Fields) -> Fields:
        metadata: Fields = part.get("metadata") or {}
        made: Any
        if "text" in part:
            kind, made = "text", part["text"]
        elif "data" in part:
            kind, made = "data", part["data"]
            if not isinstance(part["data"], dict):
                made, metadata = {"value": part["data"]}, {**metadata, _WRAPPED: True}
            made = cast("Any", {"data": made}) if self.inner_data else made
        else:
            kind, made = "file", self._write_file(part)
        return self._of_kind(kind, {kind: made, **({"metadata": metadata} if metadata else {})})

    def _write_file(self, part: Fields) -> Fields:
        made: Fields = {self.raw: part["raw"]} if "raw" in part else {self.url: part["url"]}
        for name, given in (("mimeType", "mediaType"), ("name", "filename")):
            if part.get(given):
                made[name] = part[given]
        return made

    def _read_part(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        fields = cast("Fields", part)
        made: Fields = {"metadata": fields["metadata"]} if fields.get("metadata") else {}
        if "text" in fields:
            made["text"] = fields["text"]
        elif "data" in fields:
            made.update(self._read_data(fields["data"], made))
        elif isinstance(fields.get("file"), dict):
            made.update(self._read_file(fields["file"]))
        return {name: value for name, value in made.items() if name != "metadata" or value}

    def _read_data(self, data: Any, made: Fields) -> Fields:
        if self.inner_data and isinstance(data, dict):
            data = cast("Fields", data).get("data")
        metadata = made.get("metadata")
        if not (isinstance(metadata, dict) and cast("Fields", metadata).get(_WRAPPED) is True):
            return {"data": data}
        rest = {name: value for name, value in cast("Fields", metadata).items() if name != _WRAPPED}
        return {"data": cast("Fields", data).get("value") if isinstance(data, dict) else data, "metadata": rest}

    def _read_file(self, file: Fields) -> Fields:
        names = {self.raw: "raw", self.url: "url", "mimeType": "mediaType", "name": "filename"}
        return {names[name]: value for name, value in file.items() if name in names and value is not None}

    def _of_kind(self, kind: str, fields: Fields) -> Fields:
        return {"kind": kind, **fields} if self.kinds else fields


def _changed(value: Any, **readers: Callable[[Any], Any]) -> Any:
    """The object with the members that have a reader read by it, and without its kind."""
    if not isinstance(value, dict):
        return value
    fields = cast("Fields", value)
    return {
        name: readers[name](item) if name in readers and item is not None else item
        for name, item in fields.items()
        if name not in {"kind", "final"}
    }


def _each(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(items: Any) -> Any:
        return [reader(item) for item in cast("list[Any]", items)] if isinstance(items, list) else items

    return read


def _guess(fields: Fields) -> str:
    """What an object without `kind` is, by the members that only one has."""
    if "artifact" in fields:
        return "artifactUpdate"
    if "status" in fields:
        return "statusUpdate" if "taskId" in fields else "task"
    return "message"


def _is_blank(message: Any, parts: str) -> bool:
    """Whether it is what a proto writer makes of no message at all."""
    if not isinstance(message, dict):
        return False
    fields = cast("Fields", message)
    return not fields.get("messageId") and not fields.get(parts)


def _spelled(member: str) -> str:
    return "unknown" if member == "UNSPECIFIED" else member.lower().replace("_", "-")


RPC = Dialect(
    kinds=True,
    parts="parts",
    raw="bytes",
    url="uri",
    inner_data=False,
    states={state.value: _spelled(state.name) for state in a2a.TaskState},
    roles={a2a.Role.USER.value: "user", a2a.Role.AGENT.value: "agent"},
)
"""As JSON-RPC writes it: `kind`, and enums in lower case with dashes."""

REST = Dialect(
    kinds=False,
    parts="content",
    raw="fileWithBytes",
    url="fileWithUri",
    inner_data=True,
    states={state.value: state.value.replace("CANCELED", "CANCELLED") for state in a2a.TaskState},
    roles={role.value: role.value for role in a2a.Role},
)
"""As HTTP+JSON writes it: the JSON of a proto that is not the one of 1.0."""
