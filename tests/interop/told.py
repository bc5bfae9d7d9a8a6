"""What a caller of an agent gets to know, in one form for every client and both versions of the protocol."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Listener", "Told", "reading"]

_MEMBERS = {"status-update": "statusUpdate", "artifact-update": "artifactUpdate"}
_ITS_WORDS = {"input-required", "auth-required", "failed", "rejected"}


class Told(NamedTuple):
    """What a caller knows of a task.

    Attributes:
        task: its id; "" when there is none, or when the client keeps it to itself.
        state: in the words of 0.3; "message" when the answer is a message, "" when the client does not tell.
        text: what the agent says: its question, or why it failed, or what is in its artifacts.
    """

    task: str = ""
    context: str = ""
    state: str = ""
    text: str = ""

    def reached(self, state: str) -> bool:
        """The task is in a state, as far as the client tells."""
        return self.state in {"", state}


class Listener:
    """Puts together what the events of a stream say, in the JSON of 1.0 or of 0.3, by the rules of spec 4.2.2."""

    def __init__(self) -> None:
        self._ids = ("", "")
        self._state = ""
        self._words = ""
        self._artifacts: dict[str, str] = {}

    def hear(self, event: dict[str, Any]) -> Told:
        """Take one event; gives what is known with it."""
        kind, body = _opened(event)
        if kind == "message":
            return Told(body.get("taskId", ""), body.get("contextId", ""), "message", _said(body))
        self._ids = (body["id"] if kind == "task" else body["taskId"], body["contextId"])
        if kind == "task":
            self._artifacts = {each["artifactId"]: _said(each) for each in body.get("artifacts", [])}
        if kind == "artifactUpdate":
            artifact = body["artifact"]
            before = self._artifacts.get(artifact["artifactId"], "") if body.get("append") else ""
            self._artifacts[artifact["artifactId"]] = before + _said(artifact)
        else:
            self._state = body["status"]["state"].removeprefix("TASK_STATE_").lower().replace("_", "-")
            self._words = _said(body["status"].get("message", {}))
        text = self._words if self._state in _ITS_WORDS else "".join(self._artifacts.values())
        return Told(*self._ids, self._state, text)


def reading(answer: dict[str, Any]) -> Told:
    """What one answer says: a task, a message, or what holds one of them."""
    return Listener().hear({"task": answer} if "status" in answer and "kind" not in answer else answer)


def _opened(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if "kind" in event:
        return str(_MEMBERS.get(event["kind"], event["kind"])), event
    ((kind, body),) = event.items()
    return kind, body


def _said(holder: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in holder.get("parts", []))
