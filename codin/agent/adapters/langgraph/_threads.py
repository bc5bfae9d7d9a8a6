"""Threads of a graph: whose they are, what is open on them, and where the last good state is."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import StateSnapshot

from codin.agent.adapters._profile import thread_id
from codin.agent.adapters.langgraph._shape import Graph
from codin.errors import ConfigError
from codin.task import Reject, Task

__all__ = ["Place", "SyncCheckpointer", "Threads", "with_checkpointer"]

# In the metadata of every checkpoint of a run: the task it belongs to, and the checkpoint that task began at.
_TASK = "codin_task"
_BASE = "codin_base"
_KEPT_QUESTIONS = 10_000  # of a graph without a checkpointer of its own, whose threads nobody else deletes


class SyncCheckpointer(ConfigError):
    """A checkpointer that blocks cannot be used on a server's event loop."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where on a thread a run begins.

    Args:
        base: the checkpoint the task began at, "" for a new thread; a task that does not complete is undone to there.
        fork: begin at `base` instead of at the newest checkpoint.
    """

    thread: str
    base: str
    fork: bool = False

    def config(self, task: Task) -> RunnableConfig:
        """What the graph is run with, here."""
        configurable = {"thread_id": self.thread, **({"checkpoint_id": self.base} if self.fork else {})}
        return {"configurable": configurable, "metadata": {_TASK: task.id, _BASE: self.base}}


class _Serializer(JsonPlusSerializer):
    """Keeps what cannot be serialized as it is. It never leaves memory, and without a checkpointer the graph ran."""

    def dumps_typed(self, obj: Any) -> tuple[str, Any]:
        try:
            return super().dumps_typed(obj)
        except Exception:
            return "object", obj

    def loads_typed(self, data: tuple[str, Any]) -> Any:
        return data[1] if data[0] == "object" else super().loads_typed(data)


class Threads:
    """The threads of one graph.

    A graph with a checkpointer has one thread for each context of each caller. A graph without one has no memory, and
    gets none: each task runs on a thread of its own, in memory, so that it can ask and go on.

    Args:
        graph: is not changed; a graph without a checkpointer is copied.
        agent: the agent's id.
    """

    def __init__(self, graph: Graph, agent: str) -> None:
        self.lasting = isinstance(cast("Any", graph).checkpointer, BaseCheckpointSaver)
        if not self.lasting:
            graph = with_checkpointer(graph, InMemorySaver(serde=_Serializer()))
        self.graph = graph
        self.durable: bool = getattr(self._checkpointer, "durable", not isinstance(self._checkpointer, InMemorySaver))
        # A thread that nobody reads while it runs is written when the run ends.
        self.durability: Literal["async", "exit"] | None = None if self.lasting else "exit"
        self._agent = agent
        self._parked: OrderedDict[str, None] = OrderedDict()

    def id_of(self, task: Task) -> str:
        """The thread of a task."""
        return thread_id(self._agent, task, *([] if self.lasting else [task.id]))

    async def state(self, thread: str, checkpoint: str | None = None) -> StateSnapshot:
        """The newest state of a thread, or the one at a checkpoint.

        Raises:
            SyncCheckpointer: the graph's checkpointer has no async methods.
        """
        configurable = {"thread_id": thread, **({"checkpoint_id": checkpoint} if checkpoint else {})}
        try:
            return await self.graph.aget_state({"configurable": configurable})
        except NotImplementedError:
            kind = type(self._checkpointer).__name__
            raise SyncCheckpointer(
                f"the graph's checkpointer {kind} has no async methods, which a server needs",
                hint="use its async form, e.g. AsyncSqliteSaver",
            ) from None

    async def begin(self, task: Task) -> Place:
        """Where a new task begins: at the newest good state.

        A task that was canceled, failed or died half-way leaves its thread in the middle of a step, maybe with a
        message nobody answered or a tool call without a result, which models refuse. What it did is left behind.

        Raises:
            Reject: another task's question is open on the thread. To run would forget the question.
        """
        thread = self.id_of(task)
        if not self.lasting:
            return Place(thread, "")
        state = await self.state(thread)
        newest = _checkpoint(state)
        before = cast("dict[str, Any]", state.metadata or {})
        other = before.get(_TASK)
        if not state.tasks or other is None:
            return Place(thread, newest)
        if other != task.id and await self._open(task, state, other):
            raise Reject(
                f"Task {other!r} of this context has an open question. Answer it with that taskId, cancel that task, "
                "or begin a new context."
            )
        base = str(before.get(_BASE, ""))
        if not base:
            await self._checkpointer.adelete_thread(thread)
            return Place(thread, "")
        if (await self.state(thread, base)).metadata is None:
            return Place(thread, newest)  # it was pruned: the half-done state is better than none
        return Place(thread, base, fork=True)

    async def _open(self, task: Task, state: StateSnapshot, other: str) -> bool:
        """Whether somebody may still answer: the log knows, and what it has not committed yet shows on the thread."""
        of_other = await task.state_of(other)
        return of_other is not None and (of_other.interrupted or (bool(state.interrupts) and not of_other.terminal))

    async def resume(self, task: Task, thread: str) -> tuple[Place, StateSnapshot] | None:
        """Where a task goes on that has asked; None when its question is not there any more."""
        state = await self.state(thread)
        before = cast("dict[str, Any]", state.metadata or {})
        if not state.tasks or before.get(_TASK) != task.id:
            return None
        self._parked.pop(thread, None)
        return Place(thread, str(before.get(_BASE, ""))), state

    async def rest(self, thread: str, *, paused: bool) -> None:
        """The run has ended. A thread of a graph without memory is kept only while its question waits."""
        if self.lasting:
            return
        if paused:
            self._parked[thread] = None
            if len(self._parked) <= _KEPT_QUESTIONS:
                return
            thread, _ = self._parked.popitem(last=False)
        await self._checkpointer.adelete_thread(thread)

    @property
    def _checkpointer(self) -> BaseCheckpointSaver[Any]:
        return cast("Any", self.graph).checkpointer


def with_checkpointer(graph: Graph, checkpointer: BaseCheckpointSaver[Any]) -> Graph:
    """The graph with another checkpointer; the given one stays as it is."""
    graph = copy.copy(graph)
    graph.checkpointer = checkpointer
    return graph


def _checkpoint(state: StateSnapshot) -> str:
    if state.metadata is None:
        return ""
    return str(state.config.get("configurable", {}).get("checkpoint_id", ""))
