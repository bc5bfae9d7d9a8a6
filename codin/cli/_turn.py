"""One turn of a call: send, show what comes, and cancel the task when the person says so."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus

from codin import a2a
from codin.cli._answer import Answer
from codin.cli._limits import Allowed
from codin.cli._short_ids import with_whole_id
from codin.cli._terminal import say
from codin.client import Peer
from codin.errors import CodinError, DeadlineExceeded
from codin.trust import identity_in

__all__ = ["Outgoing", "cancel_task", "take_turn"]

_LAST_WORDS = 2.0  # seconds that a canceled task's stream has to end by itself
_UNWIND = 6.0  # seconds that an agent has to end when it is canceled; one of codin's takes five at most
_OWN_END = 6.0  # seconds that one has which keeps to deadlines, and says why it ends: that is told, streamed or not


@dataclass
class Outgoing:
    """What a turn sends."""

    content: Sequence[str | a2a.Part]
    files: Iterable[str] = ()
    context_id: str | None = None
    stream: bool = True
    allowed: Allowed = field(default_factory=Allowed)


async def take_turn(opening: AbstractAsyncContextManager[Peer], message: Outgoing, answer: Answer) -> bool:
    """Send a message and show the answer.

    Returns:
        False when the person left before the end: with a second Ctrl-C, or with one before the task was known.

    Raises:
        DeadlineExceeded: the time that was allowed is over, and the task has not ended.
    """
    async with opening as peer:
        if message.allowed.budget is not None and identity_in(peer.card) is None:
            say(f"{peer.card.name!r} does not say that it keeps to budgets, and is told of none", "yellow")
        turn = _Turn(peer, answer)
        problem: CodinError | None = None
        async with anyio.create_task_group() as group:
            await group.start(turn.heed_interrupts, group)
            if message.allowed.seconds is not None:
                group.start_soon(turn.heed_deadline, message.allowed.seconds, group)
            try:
                await _receive(peer, message, answer)
            except CodinError as error:  # raised below: a task group would wrap it
                problem = error
            turn.ended.set()
            group.cancel_scope.cancel()
        answer.end_line()
        if turn.late:
            problem = DeadlineExceeded("the time is over, and the agent goes on", hint="--deadline gives it longer")
        if problem is not None:
            raise problem
    return not turn.left


async def cancel_task(peer: Peer, task_id: str) -> a2a.Task | None:
    """Ask the peer to cancel; None, and a word about it, when that does not work."""
    try:
        return await peer.cancel(task_id)
    except a2a.TaskNotCancelable:
        return None  # it has ended meanwhile, which its stream tells
    except CodinError as error:
        say(f"the task cannot be canceled: {error.message}", "yellow")
        return None


async def _receive(peer: Peer, message: Outgoing, answer: Answer) -> None:
    if answer.task_id is None:
        await _exchange(peer, message, answer, None)
    else:
        await with_whole_id(peer, answer.task_id, partial(_exchange, peer, message, answer))


async def _exchange(peer: Peer, message: Outgoing, answer: Answer, task_id: str | None) -> None:
    answer.task_id = task_id
    content, files = message.content, message.files
    context_id, limits = message.context_id, message.allowed.limits()
    if not message.stream:
        reply = await peer.send(content, files=files, context_id=context_id, task_id=task_id, limits=limits)
        value = reply.task or reply.message
        assert value is not None
        answer.show_reply(value)
        return
    stream = peer.stream(content, files=files, context_id=context_id, task_id=task_id, limits=limits)
    async with aclosing(stream) as events:
        async for event in events:
            answer.show(event)
            if event.state is a2a.TaskState.AUTH_REQUIRED:
                return  # the stream would stay open until the credential has come by another way


@dataclass
class _Turn:
    peer: Peer
    answer: Answer
    left: bool = False
    late: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)

    async def heed_interrupts(self, group: TaskGroup, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            canceling = False
            async for _ in signals:
                if canceling or self.answer.task_id is None:
                    self.left = True
                    group.cancel_scope.cancel()
                    return
                canceling = True
                self.answer.end_line()
                say("canceling the task; Ctrl-C again leaves at once", "dim")
                group.start_soon(self._cancel, self.answer.task_id, group)

    async def heed_deadline(self, seconds: float, group: TaskGroup) -> None:
        """Do not wait longer than was allowed. A peer that keeps to deadlines ends by itself, and is not canceled."""
        await anyio.sleep(seconds)
        if identity_in(self.peer.card) is not None:
            with anyio.move_on_after(_OWN_END):
                await self.ended.wait()
                return
        with anyio.move_on_after(_UNWIND):
            if self.answer.task_id is not None:
                self.answer.end_line()
                say("the time is over; canceling the task", "dim")
                await self._cancel(self.answer.task_id, group)
            await self.ended.wait()
        self.late = not self.ended.is_set()
        group.cancel_scope.cancel()

    async def _cancel(self, task_id: str, group: TaskGroup) -> None:
        task = await cancel_task(self.peer, task_id)
        if task is None or not task.status.state.terminal:
            return
        with anyio.move_on_after(_LAST_WORDS):
            await self.ended.wait()
        self.answer.status = task.status
        group.cancel_scope.cancel()
