"""A call that is part of the caller's own work: what ends that, ends the peer's task too."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import anyio

from codin import a2a
from codin.client._content import Content, message_of
from codin.client._event import Event
from codin.client._peer import Peer
from codin.client._reply import Reply
from codin.errors import BadResponse, CodinError, DeadlineExceeded

__all__ = ["OnEvent", "begun_by", "delegate"]

OnEvent: TypeAlias = Callable[[Event], Awaitable[None]]
Learn: TypeAlias = Callable[["a2a.Task | a2a.Message"], None]
Sending: TypeAlias = Callable[[a2a.Message], Awaitable[None]]

_logger = logging.getLogger("codin.client")
_GRACE = 4.0  # seconds for telling the peer; less than a server gives a canceled run to unwind
_LOOKED_THROUGH = 100  # of the newest tasks of a context, and of the messages of each, for the one that a message made
_PAGE = 20


async def delegate(
    peer: Peer,
    content: Content,
    *,
    timeout: float | None = None,
    on_event: OnEvent | None = None,
    learn: Learn | None = None,
    sending: Sending | None = None,
    **options: Any,
) -> Reply:
    """Send a message and wait until the task has ended or asks for something; cancel it when nobody waits any more.

    `Peer.send` leaves the peer's task alone when its caller goes away. This does not.

    Args:
        timeout: seconds for all of it.
        on_event: is given every event of the answer as it comes.
        learn: is given what the peer's task has come to, or its message, also when it had to be canceled; and the
            task as it begins, when it is streamed.
        sending: is awaited with the message before it leaves.
        options: what `Peer.send` takes beside.

    Raises:
        DeadlineExceeded: the time is up.
    """
    parts = {name: options.pop(name, None) for name in ("data", "metadata", "context_id", "task_id")}
    files = options.pop("files", ())
    message = a2a.Message.model_validate(await message_of(content, files=files, **parts))
    seen: list[str] = [message.task_id] if message.task_id else []
    learn = learn or _forget
    if sending is not None:
        await sending(message)
    try:
        if on_event is None:
            reply = await peer.send(message, timeout=timeout, **options)
        else:
            with anyio.fail_after(timeout):
                reply = await _watch(peer, message, on_event, seen, learn, options)
        learn(reply.value)
        return reply
    except (anyio.get_cancelled_exc_class(), DeadlineExceeded):
        await _call_off(peer, message, seen, learn)
        raise
    except TimeoutError:
        await _call_off(peer, message, seen, learn)
        raise DeadlineExceeded(f"{peer.card.name!r} did not answer within {timeout:g} s.") from None


async def _watch(
    peer: Peer, message: a2a.Message, on_event: OnEvent, seen: list[str], learn: Learn, options: dict[str, Any]
) -> Reply:
    reply: Reply | None = None
    async with aclosing(peer.stream(message, **options)) as events:
        async for event in events:
            if isinstance(event.value, a2a.Message):
                reply = Reply(event.value)
            elif not seen and event.task is not None:
                seen.append(event.task.id)
                learn(event.task)
            await on_event(event)
            state = event.state
            if event.task is not None and state is not None and (state.interrupted or state.terminal):
                reply = Reply(event.task)
                if state.interrupted:
                    break  # a stream stays open while a credential is awaited
    if reply is None:
        raise BadResponse(f"{peer.card.name!r} ended its stream without an outcome.")
    return reply


async def _call_off(peer: Peer, message: a2a.Message, seen: list[str], learn: Learn) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(_GRACE):
        try:
            task_id = seen[0] if seen else None
            if task_id is None and (task := await begun_by(peer, message.message_id, message.context_id)) is not None:
                task_id = task.id
            if task_id is not None:
                learn(await _canceled(peer, task_id))
        except CodinError as error:
            _logger.warning("the task that %r works on could not be canceled: %s", peer.card.name, error)


async def _canceled(peer: Peer, task_id: str) -> a2a.Task:
    try:
        return await peer.cancel(task_id)
    except a2a.TaskNotCancelable:  # it had ended by itself
        return await peer.get(task_id)


def _forget(value: a2a.Task | a2a.Message) -> None:
    """Nobody wants to know."""


async def begun_by(peer: Peer, message_id: str, context_id: str | None) -> a2a.Task | None:
    """The task that a message began, if it is among the newest of its context.

    A plain send tells the id of its task with the answer only. The history of the task has the message before that.
    """
    looked = 0
    tasks = peer.list(context_id=context_id, history_length=_LOOKED_THROUGH, page_size=_PAGE)
    async with aclosing(tasks):
        async for task in tasks:
            if any(said.message_id == message_id for said in task.history):
                return task
            looked += 1
            if looked == _LOOKED_THROUGH:
                break
    return None
