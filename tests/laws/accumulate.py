"""What a client that knows the specification, and nothing of codin, makes of a stream. Spec 3.5.2, 4.2."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["accumulate", "comparable", "text_updates"]

Json = dict[str, Any]


def accumulate(bodies: Iterable[bytes]) -> Json:
    """The `Task` that the events of a stream add up to; a Task among them replaces everything before it."""
    task: Json = {}
    for body in bodies:
        ((kind, value),) = json.loads(body).items()
        if kind == "task":
            task = value
        elif kind == "statusUpdate":
            _set_status(task, value)
        else:
            assert kind == "artifactUpdate"
            _put(task, value)
    return task


def _set_status(task: Json, update: Json) -> None:
    said = task.get("status", {}).get("message")
    if said is not None:
        task.setdefault("history", []).append(said)
    task["status"] = update["status"]
    if "metadata" in update:
        task["metadata"] = {**task.get("metadata", {}), **update["metadata"]}


def _put(task: Json, update: Json) -> None:
    artifacts: list[Json] = task.setdefault("artifacts", [])
    new = update["artifact"]
    index = next((i for i, known in enumerate(artifacts) if known["artifactId"] == new["artifactId"]), None)
    if index is None:
        artifacts.append(new)
    elif update.get("append"):
        artifacts[index]["parts"] += new["parts"]
    else:
        artifacts[index] = new


def comparable(task: Json) -> Json:
    """What two readers of one task must agree on, however its text was cut into parts.

    A reader of a stream does not see the messages that others send to the task; the agent's it sees all.
    """
    history = [message for message in task.get("history", ()) if message["role"] == "ROLE_AGENT"]
    artifacts = [{**artifact, "parts": _joined(artifact["parts"])} for artifact in task.get("artifacts", ())]
    return {
        "status": task["status"],
        "artifacts": artifacts,
        "history": history,
        "metadata": task.get("metadata", {}),
    }


def _joined(parts: Iterable[Json]) -> list[Json]:
    joined: list[Json] = []
    for part in parts:
        if part.keys() == {"text"} and joined and joined[-1].keys() == {"text"}:
            joined[-1] = {"text": joined[-1]["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def text_updates(bodies: Iterable[bytes], artifact_id: str) -> tuple[str, str | None]:
    """The streamed pieces of a text artifact, joined; and what the closing update says, if there is one."""
    streamed, closing = "", None
    for body in bodies:
        update = json.loads(body).get("artifactUpdate")
        if update is None or update["artifact"]["artifactId"] != artifact_id:
            continue
        text = "".join(part["text"] for part in update["artifact"]["parts"])
        if update.get("lastChunk"):
            closing = text
        else:
            streamed = streamed + text if update.get("append") else text
    return streamed, closing
