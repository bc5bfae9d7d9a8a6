"""The tasks that a task has begun at other agents and that have not ended, as its log tells them.

They are called off when nobody is left who could use their answer. That is read from the log and not from the run: the
run may be gone by then, with the process it was in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import PrivateEntry
from codin.task._log import TaskLog
from codin.task._run import Run

__all__ = ["Begun", "OpenCall", "open_calls"]


class OpenCall(NamedTuple):
    """A task of another agent that has not ended.

    Attributes:
        target: the URL or name by which the agent was called, or the address of a peer that was handed over.
        task: its id there.
        asks: it waits for an answer; else it is at work.
        handed: the agent was called by a connected `Peer`, which has a credential of its own.
    """

    target: str
    task: str
    asks: bool
    handed: bool


class Begun:
    """Records what the task that one call begins has come to.

    Args:
        agent: as `task.call` was given it.
        task_id: the task that the call goes on with, if it begins none. Only what the caller began is its to end.
    """

    def __init__(self, run: Run, agent: object, task_id: str | None) -> None:
        self._log = run.log
        self._run = run
        self._target = agent if isinstance(agent, str) else None
        self._continues = task_id is not None
        self._known: bool | None = None  # whether it asks, by the newest record

    def learn(self, value: a2a.Task | a2a.Message, address: str) -> None:
        """Take what the agent at this address answered. Most tasks end with the call, and leave no record."""
        if not isinstance(value, a2a.Task):
            return
        state = value.status.state
        target = self._target or address
        if state.terminal:
            if self._known is not None or self._continues:
                self._record({"ended": value.id, "target": target})
        elif not self._continues and state.interrupted is not self._known:
            self._known = state.interrupted
            self._record({"open": value.id, "target": target, "asks": self._known, "handed": self._target is None})

    def _record(self, record: dict[str, Any]) -> None:
        run, log = self._run, self._log
        if log.calls is None:
            log.calls = []
        log.calls.append(PrivateEntry("call", now_ms(), to_json(record)))
        if run.holds_turn and run.stop is None and not run.parked and not log.closed:
            records, log.calls = log.calls, []
            log.append(*records)  # past the limits: it must be known what is to be ended when they are reached


def open_calls(log: TaskLog) -> Sequence[OpenCall]:
    """What a task has begun at other agents and has not seen the end of."""
    found: dict[tuple[str, str], OpenCall] = {}
    for entry in (*log.entries, *(log.calls or ())):
        if entry.kind != "call":
            continue
        record = from_json(entry.body)
        if "open" in record:
            place = (record["target"], record["open"])
            found[place] = OpenCall(*place, record["asks"], record["handed"])
        elif "ended" in record:
            found.pop((record["target"], record["ended"]), None)
    return list(found.values())
