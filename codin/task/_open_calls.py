"""What a task has begun at other agents and has not seen the end of, as its log tells it.

It is called off when nobody is left who could use the answer. That is read from the log and not from the run: the run
may be gone by then, with the process it was in. A message is recorded before it leaves, its task once its id is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from codin import a2a
from codin.errors import ConfigError, ConnectError, MeshError, TrustError
from codin.task._clock import now_ms
from codin.task._entry import PrivateEntry
from codin.task._log import TaskLog
from codin.task._run import Run

__all__ = ["Begun", "OpenCall", "may_have_begun", "open_calls", "orphans"]

_NOT_TAKEN = (a2a.A2AError, ConfigError, ConnectError, MeshError, TrustError)


class OpenCall(NamedTuple):
    """A message to another agent without an answer, or a task there that has not ended.

    Attributes:
        target: the URL or name by which the agent was called, or the address of a peer that was handed over.
        task: its id there; "" while only the message is known.
        message: the id of the message that began it; "" where the task is known.
        context: that of the message.
        asks: it waits for an answer; else it is at work.
        waits: the call was to last until it ended or asked.
        handed: the agent was called by a connected `Peer`, which has a credential of its own.
    """

    target: str
    task: str = ""
    message: str = ""
    context: str | None = None
    asks: bool = False
    waits: bool = False
    handed: bool = False


class Begun:
    """Records what one call begins, and what comes of it.

    Args:
        agent: as `task.call` was given it.
        task_id: the task that the call goes on with, if it begins none. Only what the caller began is its to end.
        waits: the call lasts until the agent's task has ended or asks.
    """

    def __init__(self, run: Run, agent: object, task_id: str | None, *, waits: bool) -> None:
        self._log = run.log
        self._run = run
        self._target = agent if isinstance(agent, str) else None
        self._waits = waits
        self._continues = task_id is not None
        self._sent: tuple[str, str] | None = None  # where to, and which message, until something is heard of it
        self._asks: bool | None = None  # by the newest record of its task

    async def sending(self, message: a2a.Message, address: str) -> None:
        """Record a message that is about to leave for this address; back when that is committed."""
        run, log = self._run, self._log
        target = self._target or address
        record: dict[str, Any] = {"target": target}
        if not self._continues:
            self._sent = target, message.message_id
            record |= {"message": message.message_id, "context": message.context_id}
            record |= {"waits": self._waits, "handed": self._target is None}
        if log.answered:
            record["answered"], log.answered = log.answered, []
        if run.parked:  # it asks meanwhile
            self._write(record)
            return
        log.calls = log.calls or []
        run.take(PrivateEntry("call", now_ms(), to_json(record)))
        await log.settled()

    def learn(self, value: a2a.Task | a2a.Message, address: str) -> None:
        """Take what the agent at this address answered. Most tasks end with the call, and leave no record."""
        if not isinstance(value, a2a.Task):
            self._answered()
            return
        state = value.status.state
        target = self._target or address
        if state.terminal:
            self._answered()
            if self._asks is not None or self._continues:
                self._write({"ended": value.id, "target": target})
        elif not self._continues and state.interrupted is not self._asks:
            self._asks = state.interrupted
            record = {"open": value.id, "target": target, "asks": self._asks, "handed": self._target is None}
            if self._sent is not None:
                record["message"], self._sent = self._sent[1], None
            self._write({**record, "waits": self._waits})

    def broken_off(self, error: BaseException) -> None:
        """The call has ended without an answer."""
        if not may_have_begun(error):
            self._answered()

    def _answered(self) -> None:
        """Nothing is to be ended for the message. The next record says so, too."""
        if self._sent is not None:
            self._log.answered.append(self._sent)
            self._sent = None

    def _write(self, record: dict[str, Any]) -> None:
        run, log = self._run, self._log
        if log.calls is None:
            log.calls = []
        log.calls.append(PrivateEntry("call", now_ms(), to_json(record)))
        if run.holds_turn and run.stop is None and not run.parked and not log.closed:
            records, log.calls = log.calls, []
            log.append(*records)  # past the limits: it must be known what is to be ended when they are reached


def may_have_begun(error: BaseException) -> bool:
    """Whether an agent may be at work for a call that has ended so."""
    return not isinstance(error, _NOT_TAKEN)


def orphans(log: TaskLog) -> Sequence[OpenCall]:
    """What an earlier run of the handler was waiting for. Whoever asks may still get an answer."""
    return [call for call in open_calls(log) if call.waits and not call.asks]


def open_calls(log: TaskLog) -> Sequence[OpenCall]:
    found: dict[tuple[str, str], OpenCall] = {}
    for entry in (*log.entries, *(log.calls or ())):
        if entry.kind == "call":
            _recall(found, from_json(entry.body))
    for place in log.answered:
        found.pop(place, None)
    return list(found.values())


def _recall(found: dict[tuple[str, str], OpenCall], record: dict[str, Any]) -> None:
    for target, message in record.get("answered", ()):
        found.pop((target, message), None)
    target: str = record.get("target", "")
    task: str = record.get("open", "")
    message: str = record.get("message", "")
    if "ended" in record:
        found.pop((target, record["ended"]), None)
    elif task:
        found.pop((target, message), None)  # its task is known now
        waits: bool = record.get("waits", False)  # an older version did not say
        found[target, task] = OpenCall(target, task, asks=record["asks"], waits=waits, handed=record["handed"])
    elif message:
        sent = OpenCall(target, "", message, record["context"], waits=record["waits"], handed=record["handed"])
        found[target, message] = sent
