"""How a response becomes the last entries of a turn. The only place that sets outcome states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import ArtifactEntry, Entry, PrivateEntry, StatusEntry, encode_text, plain
from codin.task._ledger import USAGE_KEY
from codin.task._parts import artifact_entry, data_part, question_parts
from codin.task._response import AgentResponse
from codin.task._run import Run

__all__ = ["outcome_entries", "status_entry"]

_STATES = {
    "completed": a2a.TaskState.COMPLETED,
    "input_required": a2a.TaskState.INPUT_REQUIRED,
    "auth_required": a2a.TaskState.AUTH_REQUIRED,
    "rejected": a2a.TaskState.REJECTED,
    "failed": a2a.TaskState.FAILED,
}


def status_entry(run: Run, state: a2a.TaskState, text: str | None = None) -> StatusEntry:
    """A status with a readable message, and the bill so far."""
    message = None if text is None else run.agent_message([a2a.Part(text=text)])
    bill = run.bill()
    return StatusEntry(run.log.ids, state, now_ms(), message, {USAGE_KEY: plain(bill)} if bill else None)


def outcome_entries(
    run: Run, response: AgentResponse, *, closing_update: bool, closing_message: bool
) -> Sequence[Entry]:
    """The entries that end a turn with this response.

    Raises:
        ValueError: the response cannot be sent; the text says why.
    """
    state = _STATES.get(response.outcome)
    if state is None:
        raise ValueError("a direct message needs an agent declared with reply='message'")
    text = response.text
    if text is not None and not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"the text of the response is {type(text).__name__!r}")
    now = now_ms()
    entries: list[Entry] = []
    completed = response.outcome == "completed"
    _close_text(run, text if completed else None, entries, now, closing_update)
    if completed and response.data is not None:
        data = a2a.Artifact(artifact_id=f"data-{run.position.start}", parts=[run.wishes.fit(data_part(response.data))])
        entries.append(artifact_entry(run.log.ids, data))
    if response.artifacts:
        entries += [artifact_entry(run.log.ids, artifact) for artifact in response.artifacts]
    metadata: dict[str, Any] | None = plain(response.metadata) if response.metadata else None
    bill = run.bill(response.usage)
    if bill:
        usage: dict[str, Any] = plain(bill)
        entries.append(PrivateEntry("usage", now, to_json(usage)))
        metadata = {**(metadata or {}), USAGE_KEY: usage}
    message = None
    if completed:
        if closing_message and (said := run.text() if run.chunks else text):
            message = run.agent_message([a2a.Part(text=said)])
    else:
        message = run.agent_message(question_parts(text or "", response.data))
        if state.interrupted:
            entries += run.unrecorded()
            entries.append(PrivateEntry("pause", now, to_json(plain(response.token))))
    entries.append(StatusEntry(run.log.ids, state, now, message, metadata))
    return entries


def _close_text(run: Run, returned: str | None, entries: list[Entry], now: int, closing_update: bool) -> None:
    """The default artifact: what was written, or else what was returned.

    The closing update repeats the whole text, because some clients keep only the last chunk of a streamed artifact.
    """
    if run.chunks:
        text = run.text()
        if returned and returned not in (text, "".join(run.chunks)):
            raise ValueError("the returned text differs from the text that was written; return None after writing")
        if not closing_update:
            return
    elif returned is None:
        return
    else:
        text = returned
    part = b'{"text":' + encode_text(text)[1] + b"}"
    entries.append(ArtifactEntry(run.log.ids, run.text_id, run.text_head, (part,), now, append=False, last=True))
