"""A small world around a task manager: callers who send, watch, cut, resume, answer and cancel; a process that dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, ParamSpec

from codin import a2a
from codin.task import AgentResponse, Entry, Limits, Owner, Subscription, Task, TaskManager, TaskStore
from codin.trust import Caller
from tests.laws.conftest import Kind
from tests.laws.program import Program, answer_to, play
from tests.laws.through import Through

__all__ = ["ALICE", "Plan", "Watcher", "World", "request"]

ALICE = Caller("alice")
_ROUNDS = 200
P = ParamSpec("P")


def request(text: str, message_id: str = "m", **fields: Any) -> a2a.SendMessageRequest:
    """A send of one text; a fresh object each time, because the manager completes the message it takes in."""
    message = a2a.Message(message_id=message_id, role=a2a.Role.USER, parts=[a2a.Part(text=text)], **fields)
    return a2a.SendMessageRequest(message=message)


class Watcher:
    """A client that reads a stream, and knows the number of the last event it has seen."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.seen: list[tuple[int, bytes]] = []
        self.reading: asyncio.Task[None] | None = None

    @property
    def last(self) -> int | None:
        return self.seen[-1][0] if self.seen else None

    @property
    def bodies(self) -> Sequence[bytes]:
        return [body for _, body in self.seen]

    @property
    def events(self) -> Sequence[tuple[int, bytes]]:
        """What came after the Task that the stream began with."""
        return [item for item in self.seen if not item[1].startswith(b'{"task":')]

    async def read(self, subscription: Subscription, cut_after: int | None = None) -> None:
        """Read to the end of the stream, or until it is cut after so many events."""
        with subscription.reader as reader:
            if subscription.first is not None:
                number, task = subscription.first
                self.seen.append((number, b'{"task":%s}' % task))
            while True:
                for entry in reader.take():
                    if cut_after is not None and cut_after <= 0:
                        return
                    cut_after = None if cut_after is None else cut_after - 1
                    self.seen.append((entry.number, entry.body))
                if reader.ended:
                    return
                await reader.wait()


@dataclass(frozen=True)
class Plan:
    """What hypothesis draws: the agents' programs, what happens when, and how fast a late store answers."""

    programs: Sequence[Program]
    script: Sequence[tuple[Any, ...]] = ()
    rhythm: Sequence[int] = (1,)
    rerunnable: bool = False
    closing_update: bool = True
    limits: Limits = field(default_factory=Limits)


class World:
    """Everything that happens in one example."""

    def __init__(self, kind: Kind, store: TaskStore, plan: Plan) -> None:
        self.kind = kind
        self.store = store
        self.plan = plan
        self.rhythm = cycle([*plan.rhythm, 8])  # sure to come to every commit
        self.watchers: list[Watcher] = []
        self.tasks: list[str] = []
        self._ids = count(1)
        self._cuts: set[asyncio.Task[Any] | None] = set()
        self._requests: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._begin_life()

    def _begin_life(self) -> None:
        self.process: Through = self.kind.reach(self.store, self.rhythm, copies=("restart",) in self.plan.script)
        self.manager = TaskManager(
            self.handle,
            self.process,
            limits=self.plan.limits,
            closing_update=self.plan.closing_update,
            rerunnable=self.plan.rerunnable,
            new_id=lambda: f"id-{next(self._ids)}",
        )

    async def handle(self, task: Task) -> AgentResponse:
        first = next(message for message in task.history if message.role is a2a.Role.USER)
        return await play(task, self.plan.programs[int(a2a.text_of(first.parts)) % len(self.plan.programs)])

    # -- what may happen -----------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Do what the script says, bring every task to its end, and let every watcher read to the end."""
        await self.manager.start()
        await self.act()
        await self._finish()
        self._complain()

    def _complain(self) -> None:
        if self._errors:
            raise BaseExceptionGroup("what the callers got", self._errors)

    async def act(self) -> None:
        """Do what the script says, and wait until every request has its answer."""
        for action in self.plan.script:
            await self._act(action)
        if self._requests:
            await asyncio.wait(self._requests)

    async def _act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("turns", turns):
                for _ in range(turns):
                    await self.process.turn()
            case ("send", program, context_id, cut_after):
                self._requests.add(self._go(self._send, program, context_id, cut_after))
            case ("restart",):
                await self.restart()
            case ("cut", int(index)) if self.watchers:
                self._cut(self.watchers[index % len(self.watchers)])
            case ("resume", int(index), cut_after) if self.watchers:
                self._follow(self.watchers[index % len(self.watchers)], cut_after)
            case (verb, index, *rest) if self.tasks and verb in _VERBS:
                _VERBS[verb](self, self.tasks[index % len(self.tasks)], *rest)
            case _:
                pass  # nothing there yet to do it with

    def _go(
        self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._guarded(work, *args, **kwargs))

    async def _guarded(self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Refusals are answers; anything else fails the example."""
        process = self.process
        try:
            await work(*args, **kwargs)
        except (a2a.UnsupportedOperation, a2a.TaskNotCancelable):
            pass
        except (Exception, asyncio.CancelledError) as error:
            if not process.dead and asyncio.current_task() not in self._cuts:
                self._errors.append(error)

    async def _send(self, program: int, context_id: str | None, cut_after: int | None) -> None:
        turn = await self.manager.submit(ALICE, request(str(program), context_id=context_id), streaming=True)
        await turn.accepted()  # an id that no client has seen is nobody's to ask for
        self.tasks.append(turn.log.task_id)
        watcher = Watcher(turn.log.task_id)
        self.watchers.append(watcher)
        watcher.reading = self._go(watcher.read, await turn.stream(), cut_after)

    def watch(self, task_id: str, cut_after: int | None) -> None:
        watcher = Watcher(task_id)
        self.watchers.append(watcher)
        self._follow(watcher, cut_after)

    def send_answer(self, task_id: str, text: str) -> None:
        self._requests.add(self._go(self._answer, task_id, text))

    def send_cancel(self, task_id: str) -> None:
        self._requests.add(self._go(self.cancel, task_id))

    def _follow(self, watcher: Watcher, cut_after: int | None = None) -> None:
        if watcher.reading is None or watcher.reading.done():
            watcher.reading = self._go(self._subscribe, watcher, cut_after)

    async def _subscribe(self, watcher: Watcher, cut_after: int | None) -> None:
        asked = a2a.SubscribeToTaskRequest(id=watcher.task_id)
        await watcher.read(await self.manager.subscribe(ALICE, asked, watcher.last), cut_after)

    def _cut(self, watcher: Watcher) -> None:
        if watcher.reading is not None:
            self._cuts.add(watcher.reading)
            watcher.reading.cancel()

    async def _answer(self, task_id: str, text: str) -> None:
        await self.manager.submit(ALICE, request(text, task_id=task_id))

    async def cancel(self, task_id: str) -> None:
        task = json.loads(await self.manager.cancel(ALICE, a2a.CancelTaskRequest(id=task_id)))
        assert task["status"]["state"] == "TASK_STATE_CANCELED"

    async def restart(self) -> None:
        """The process dies: nothing of it goes on, and nothing more of it reaches the store."""
        self.process.cut()
        doomed = asyncio.all_tasks() - {asyncio.current_task()}
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        if self.store.durable:
            await self.store.close()
        self._begin_life()
        await self.manager.start()

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        for task_id in self.tasks:
            await self.finish(task_id)
        for watcher in self.watchers:
            if watcher.reading is not None:
                await asyncio.wait({watcher.reading})
            if watcher.seen:
                watcher.reading = None
                self._follow(watcher)
                assert watcher.reading is not None
                await asyncio.wait({watcher.reading})

    async def finish(self, task_id: str) -> Mapping[str, Any]:
        """Answer whatever the task asks until it has ended."""
        for _ in range(_ROUNDS):
            task = await self.get(task_id)
            state = a2a.TaskState(task["status"]["state"])
            if state.terminal:
                return task
            if state.interrupted:
                await self._guarded(self._reply, task_id, task)
            else:
                await self._guarded(self._until_it_rests, task_id)
            self._complain()
        raise AssertionError(f"task {task_id} does not end")

    async def answer(self, task_id: str) -> None:
        """Answer what the task asks, and wait until it rests again."""
        await self._reply(task_id, await self.get(task_id))
        await self._until_it_rests(task_id)

    async def _reply(self, task_id: str, task: Mapping[str, Any]) -> None:
        question = task["status"]["message"]["parts"][0]["text"]
        await self._answer(task_id, answer_to(question, task["status"]["state"]))

    async def _until_it_rests(self, task_id: str) -> None:
        try:
            subscription = await self.manager.subscribe(ALICE, a2a.SubscribeToTaskRequest(id=task_id))
        except a2a.UnsupportedOperation:
            return  # it has ended
        assert subscription.first is not None
        state = a2a.TaskState(json.loads(subscription.first[1])["status"]["state"])
        with subscription.reader as reader:
            while not (state.terminal or state.interrupted):
                await reader.wait()
                for entry in reader.take():
                    status = json.loads(entry.body).get("statusUpdate")
                    state = a2a.TaskState(status["status"]["state"]) if status else state

    async def get(self, task_id: str) -> Mapping[str, Any]:
        return json.loads(await self.manager.get(ALICE, a2a.GetTaskRequest(id=task_id)))

    async def log(self, task_id: str) -> Sequence[Entry]:
        """All entries of the task, from the store."""
        return await self.store.read(Owner("", self.manager.agent, ALICE.id), task_id)

    async def public(self, task_id: str) -> Sequence[tuple[int, bytes]]:
        """The public entries: what the law says every reader sees."""
        return [(entry.number, entry.body) for entry in await self.log(task_id) if entry.public]


_VERBS: Mapping[str, Callable[..., object]] = {
    "watch": World.watch,
    "answer": World.send_answer,
    "cancel": World.send_cancel,
}
