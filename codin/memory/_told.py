"""What a commit of a task's log adds to the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, cast

from pydantic_core import from_json, to_json

from codin.memory._limits import MemoryLimits
from codin.memory._protocol import Role, Utterance
from codin.task import Commit, Entry, Fold, InputEntry, StatusEntry, TaskStore

__all__ = ["told_in"]

_NO_PART: dict[str, Any] = {}


async def told_in(commit: Commit, store: TaskStore, limits: MemoryLimits) -> Sequence[Utterance]:
    """Messages of the caller, and at the end of each turn what the agent has made in it and said; in order.

    The same for the same commit, whenever it is read, so that it is known again by its numbers.
    """
    told: list[Utterance] = []
    for entry in commit.entries:
        if isinstance(entry, InputEntry):
            told.append(_utterance(commit, entry, "user", from_json(entry.body), limits))
        elif isinstance(entry, StatusEntry) and entry.state.resting:
            told += await _turn(commit, entry, store, limits)
    return told


async def _turn(commit: Commit, end: StatusEntry, store: TaskStore, limits: MemoryLimits) -> Sequence[Utterance]:
    """What the agent made, each artifact once, then what it said; and how the task ended."""
    before, after = await _artifacts(commit, end.number, store)
    told = [
        _utterance(commit, end, "agent", artifact, limits)
        for artifact in (_rest(artifact, before.get(key)) for key, artifact in after.items())
        if artifact["parts"]
    ]
    if end.message is not None:
        told.append(_utterance(commit, end, "agent", from_json(end.message), limits))
    if end.state.terminal:
        told.append(_utterance(commit, end, "state", {"parts": [{"text": end.state.value}]}, limits))
    return [replace(one, index=index) for index, one in enumerate(told)]


async def _artifacts(
    commit: Commit, number: int, store: TaskStore
) -> tuple[Mapping[str, dict[str, Any]], Mapping[str, dict[str, Any]]]:
    """The artifacts as they were when the turn before ended, and when this one did."""
    entries = await store.read(commit.owner, commit.task_id)
    if not entries or entries[-1].number != len(entries):  # pieces are gone: there is only what they came to in the end
        stored = await store.load(commit.owner, commit.task_id)
        if stored is None or not stored.state.terminal or stored.fold.last != number:
            return {}, {}
        return {}, _by_id(stored.fold)
    fold = Fold(commit.task_id, commit.context_id)
    before: Mapping[str, dict[str, Any]] = {}
    for entry in entries:
        entry.apply(fold)
        if entry.number == number:
            break
        if isinstance(entry, StatusEntry) and entry.state.resting:
            before = _by_id(fold)
    return before, _by_id(fold)


def _by_id(fold: Fold) -> Mapping[str, dict[str, Any]]:
    artifacts = cast("list[dict[str, Any]]", from_json(fold.to_json()).get("artifacts", []))
    return {artifact["artifactId"]: artifact for artifact in artifacts}


def _rest(artifact: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is new in an artifact: parts behind those it had, and of a text that has grown the end."""
    if before is None:
        return artifact
    old: list[dict[str, Any]] = before["parts"]
    parts: list[dict[str, Any]] = artifact["parts"]
    pairs = zip_longest(parts, old[: len(parts)], fillvalue=_NO_PART)
    return {**artifact, "parts": [_end(part, had) for part, had in pairs if part != had]}


def _end(part: dict[str, Any], had: Mapping[str, Any]) -> dict[str, Any]:
    text, earlier = part.get("text"), had.get("text")
    if text is None or earlier is None or not text.startswith(earlier):
        return part
    return {**part, "text": text[len(earlier) :]}


def _utterance(commit: Commit, entry: Entry, role: Role, said: Mapping[str, Any], limits: MemoryLimits) -> Utterance:
    parts = cast("list[dict[str, Any]]", said.get("parts", []))
    text = "".join(part["text"] for part in parts if "text" in part)
    others = [_without_bytes(part) for part in parts if "text" not in part]
    metadata: dict[str, Any] = {key: said[key] for key in ("artifactId", "name") if key in said}
    if (size := len(to_json(metadata))) > limits.metadata:
        metadata = {"metadataLeftOut": size}
    if len(text) > limits.text:
        text, metadata["cut"] = text[: limits.text], len(text)
    if len(to_json(others)) > limits.parts:
        others, metadata["partsLeftOut"] = [], len(others)
    return Utterance(
        role=role,
        text=text,
        parts=others,
        metadata=metadata,
        at=entry.at,
        task_id=commit.task_id,
        number=entry.number,
    )


def _without_bytes(part: dict[str, Any]) -> dict[str, Any]:
    """A file's bytes stay with its task."""
    return {key: value for key, value in part.items() if key != "raw"}
