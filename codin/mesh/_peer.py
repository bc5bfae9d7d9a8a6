"""An agent by its name, as `task.call` gets it: each message goes to a replica that can take it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from codin import a2a
from codin.client import Content, Event, Peer, Reply
from codin.errors import CodinError
from codin.mesh._connections import Replica
from codin.mesh._router import Router

__all__ = ["RoutedPeer"]


class RoutedPeer(Peer):
    """A connected peer whose messages are routed.

    A task is read and ended at the replica that has it, and the tasks of all replicas are listed. For anything else the
    replica that had the newest message is asked.
    """

    def __init__(self, peer: Peer, replicas: Sequence[Replica], router: Router) -> None:
        self._replicas = replicas
        self._router = router
        self._become(peer)

    def _become(self, peer: Peer) -> None:
        vars(self).update(vars(peer))  # its card and its connection, which the mesh keeps open

    async def send(self, content: Content = (), *, timeout: float | None = None, **options: Any) -> Reply:
        """Send a message as `Peer.send` does."""
        reply, peer = await self._router.send(self._replicas, content, options, timeout=timeout)
        self._become(peer)
        return reply

    async def stream(
        self, content: Content = (), *, timeout: float | None = None, **options: Any
    ) -> AsyncGenerator[Event]:
        """Send a message and yield what happens, as `Peer.stream` does."""
        events = self._router.stream(self._replicas, content, options, timeout=timeout, adopt=self._become)
        async with aclosing(events):
            async for event in events:
                yield event

    async def get(self, task_id: str, **options: Any) -> a2a.Task:
        """The task as it is now."""
        return await self._where(task_id, lambda peer: peer.get(task_id, **options))

    async def cancel(self, task_id: str, **options: Any) -> a2a.Task:
        """Ask the agent to end a task. Returns the task after that."""
        return await self._where(task_id, lambda peer: peer.cancel(task_id, **options))

    async def list(self, **options: Any) -> AsyncGenerator[a2a.Task]:
        """Yield the caller's tasks, one replica after the other, as `Peer.list` does.

        Raises:
            CodinError: what went wrong with a replica, once the others have been asked.
        """
        problem: CodinError | None = None
        for replica in self._replicas:
            try:
                tasks = (await self._router.connected(replica)).list(**options)
                async with aclosing(tasks):
                    async for task in tasks:
                        self._router.remember(replica, task.id)
                        yield task
            except CodinError as error:
                problem = error
        if problem is not None:
            raise problem

    async def _where(self, task_id: str, act: Callable[[Peer], Awaitable[a2a.Task]]) -> a2a.Task:
        """Act where the task is; when that is not known, where it is found."""
        problem: CodinError | None = None
        for replica in self._router.holders(task_id, self._replicas):
            try:
                return await act(await self._router.connected(replica))
            except a2a.TaskNotFound as error:
                problem = problem or error
            except a2a.A2AError:
                raise
            except CodinError as error:  # this one cannot be asked, so nobody knows that there is no such task
                problem = error
        assert problem is not None
        raise problem
