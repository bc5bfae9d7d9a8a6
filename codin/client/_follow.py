"""Following a task: one stream for the reader, however often the connection under it is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from time import monotonic
from typing import Literal

import anyio

from codin import a2a
from codin.client._backoff import Backoff, may_pass
from codin.client._binding import Arrival
from codin.client._event import Event
from codin.client._fold import Fold, Snapshot, StreamValue
from codin.client._line import Call, Line
from codin.client._overlap import Overlap
from codin.errors import CodinError, ConnectError, DeadlineExceeded, TransportError

__all__ = ["Course", "follow"]

_LAST_WORDS = 0.25


class Course:
    """How far a reader has come with a task.

    Args:
        task_id: of the task; None until a stream that sends a message has told it.
        after: the number of the last event the reader has; None when it has nothing.
        answers: the reader waits for the answer to a message, so a question back ends its stream; a subscription
            goes on until the task has ended.
        continued: the message went to a task that existed, so the first Task is the past.

    Attributes:
        after: as given, as long as what the reader had there may matter.
        number: of the last event the reader has.
        over: the task is known to have ended, though not from its events.
        lacks: what it takes to tell whether the last event is new: the task as it is now, or the past that the reader
            had when it came.
    """

    def __init__(
        self,
        line: Line,
        *,
        task_id: str | None = None,
        after: int | None = None,
        answers: bool = True,
        continued: bool = False,
    ) -> None:
        self._line = line
        self._fold = Fold()
        self._answers = answers
        self._continued = continued
        self._past: a2a.TaskStatus | None = None
        self._spoke = False
        self._overlap = None if line.resumable else Overlap()
        self.after = after
        self.number = after
        self.task_id = task_id
        self.attached_again = False
        self.over = False
        self.lacks: Literal["task", "past"] | None = None

    @property
    def begun(self) -> bool:
        """Whether the reader has got an event of the task."""
        return self._fold.snapshot is not None

    @property
    def settled(self) -> bool:
        """Whether a peer that closes the stream here does so rightly."""
        snapshot = self._fold.snapshot
        if snapshot is None:
            return self._spoke
        return snapshot.status.state.terminal or snapshot.status.state.interrupted

    @property
    def ended(self) -> bool:
        """Whether nothing that the reader waits for can come any more."""
        snapshot = self._fold.snapshot
        if snapshot is None:
            return self._spoke
        state = snapshot.status.state
        if state == a2a.TaskState.INPUT_REQUIRED:
            return self._answers and snapshot.status != self._past
        return state.terminal

    def take(self, value: StreamValue, number: int | None) -> Event | None:
        """One event of the wire as the reader gets it; None when it has nothing new."""
        if not self._line.resumable:
            number = None
        if number is not None:
            if self.number is not None and number <= self.number:
                return None
            if self._may_repeat(value):
                self.lacks = "past"
                return None
            self.number = number
        if isinstance(value, a2a.Task):
            return self.take_task(value, number)
        if isinstance(value, a2a.Message):
            self._spoke = True
        else:
            self.task_id = value.task_id
        self.attached_again = False
        if isinstance(value, a2a.TaskArtifactUpdateEvent) and not self._is_new(value):
            return None
        text = self._fold.apply(value)
        return Event(value, text, self._fold.snapshot, number, replaced=self._fold.replaced)

    def take_task(self, task: a2a.Task, number: int | None = None) -> Event | None:
        """A Task: the first thing a stream tells, and what a peer that cannot resume has instead of what was missed."""
        before = self._fold.snapshot
        known = self.attached_again and not self._fold.differs(task)
        text = self._fold.apply(task)
        if self._overlap is not None:
            self._note_overlap(self._overlap, before, Snapshot.of(task))
        self.attached_again, self.lacks, self.after = False, None, None
        self.task_id = task.id
        if before is None and self._continued and not task.status.state.terminal:
            self._past, text = task.status, ""
        return None if known else Event(task, text, self._fold.snapshot, number)

    def _note_overlap(self, overlap: Overlap, before: Snapshot | None, present: Snapshot) -> None:
        if self.lacks == "task":
            overlap.answer(present.contents())
        elif self.attached_again or (before is None and not self._answers):
            overlap.begin(before.contents() if before is not None else {}, present.contents())
        else:
            overlap.end()

    def _is_new(self, update: a2a.TaskArtifactUpdateEvent) -> bool:
        if self._overlap is None or not self._overlap.open:
            return True
        snapshot = self._fold.snapshot
        kept = snapshot.artifacts.get(update.artifact.artifact_id) if snapshot is not None else None
        verdict = self._overlap.judge(update, kept.content() if kept is not None else None)
        if verdict == "unclear":
            self.lacks = "task"
        return verdict == "new"

    def _may_repeat(self, value: StreamValue) -> bool:
        """Whether an event may repeat what the reader had when it came; one that is new looks alike."""
        if not self.after:
            return False
        artifacts = self._fold.snapshot.artifacts if self._fold.snapshot is not None else {}
        if isinstance(value, a2a.TaskArtifactUpdateEvent):
            return value.last_chunk and not value.append and value.artifact.artifact_id not in artifacts
        if isinstance(value, a2a.TaskStatusUpdateEvent) and value.status.state == a2a.TaskState.COMPLETED:
            return value.status.message is not None and not any(kept.text() for kept in artifacts.values())
        return False

    def recall(self, task: a2a.Task | None) -> None:
        """What the reader had when it came; None when the peer does not keep it any more."""
        self.after = self.lacks = None
        if task is not None:
            self._fold.recall(task)

    def attach_again(self) -> Call:
        """The call that goes on where the reader is."""
        assert self.task_id is not None
        self.attached_again, self.lacks = True, None
        return subscription(self._line, self.task_id, self.number)


def subscription(line: Line, task_id: str, after: int | None) -> Call:
    """The call that subscribes to a task, behind event number `after` where the peer can resume."""
    headers = {"Last-Event-ID": str(after)} if after is not None and line.resumable else None
    return line.prepare("SubscribeToTask", {"id": task_id}, headers, stream=True)


class _Patience:
    """How long a reader bears that nothing new comes."""

    def __init__(self, backoff: Backoff, timeout: float | None) -> None:
        self._backoff = backoff
        self._timeout = timeout
        self._lost: CodinError | None = None
        self.renew()

    def told(self, problem: CodinError) -> CodinError:
        """The problem as the reader gets it: once a try has reached the peer, it may have acted."""
        return self._lost if self._lost is not None and isinstance(problem, ConnectError) else problem

    def renew(self) -> None:
        """Something new came."""
        self.news = True
        self._tried = 0
        self._heard = monotonic()

    def exhausted(self, problem: CodinError) -> bool:
        if self._lost is None and isinstance(problem, ConnectError) and not self._backoff.unreached:
            return True
        return self._tried >= self._backoff.tries

    @property
    def silent_too_long(self) -> bool:
        return self._timeout is not None and monotonic() - self._heard > self._timeout

    async def pause(self, problem: CodinError) -> None:
        if not isinstance(problem, ConnectError):
            self._lost = problem
        await anyio.sleep(self._backoff.pause(self._tried, problem))
        self.news = False
        self._tried += 1


async def follow(line: Line, call: Call, course: Course, *, timeout: float | None) -> AsyncGenerator[Event]:
    """Yield the events of a stream until its task has ended, attaching again when it is cut.

    A stream is cut when its connection is lost or falls silent, and also when the peer closes it while the task goes
    on. `SubscribeToTask` takes it up again; a peer that refuses is asked for the Task itself, which then decides.
    Before the task is known, only a peer that honours idempotency keys is sent the same message again.

    Args:
        timeout: seconds of silence that are borne; comments that keep the connection alive are not silence.

    Raises:
        ConnectError: no try has reached the peer.
    """
    patience = _Patience(line.backoff, timeout)
    patience.news = False
    while True:
        problem: CodinError
        try:
            async with aclosing(_read(line, call, course, timeout)) as events:
                async for event in events:
                    patience.renew()
                    yield event
            return
        except (TransportError, a2a.A2AError) as error:
            problem = error
        if _refuses_subscription(problem, course):
            if (event := await _ask_for_task(line, course, timeout)) is not None:
                patience.renew()
                yield event
            if course.settled:
                return
            if patience.silent_too_long:
                raise DeadlineExceeded(f"{line.url} has had nothing new to tell for {timeout} s.") from problem
        elif patience.exhausted(problem) or not _is_cut(problem, line, course, patience.news):
            raise patience.told(problem)
        await patience.pause(problem)
        if course.task_id is not None:
            call = course.attach_again()


async def _read(line: Line, call: Call, course: Course, timeout: float | None) -> AsyncGenerator[Event]:
    """The events of one connection. Raises when it is over and the task is not."""
    async with line.open(call, timeout) as arrivals:
        async for value, number in arrivals:
            event = course.take(value, number)
            if course.lacks is not None:
                event = await _fetch(line, course, value, number, timeout)
            if event is not None:
                yield event
            if course.ended:
                await _hang_up(arrivals)
                return
    if not course.settled and not await _is_over(line, course, timeout):
        raise TransportError(f"{line.url} closed the stream before the task had ended.")


async def _hang_up(arrivals: AsyncIterator[Arrival]) -> None:
    """Let the peer close the stream, so that the connection can be used again; but do not wait for it."""
    with anyio.move_on_after(_LAST_WORDS):
        try:
            async for _ in arrivals:
                pass
        except CodinError:
            pass


async def _is_over(line: Line, course: Course, timeout: float | None) -> bool:
    """Whether a stream without events was all there is: the reader has the last number of a task that has ended.

    Only a stream that was opened after the end was known says so: one before may have been closed for another reason.
    """
    if course.number is None or course.begun:
        return False
    if not course.over:
        course.over = (await _get(line, course, timeout)).status.state.terminal
        return False
    return True


async def _get(line: Line, course: Course, timeout: float | None) -> a2a.Task:
    call = line.prepare("GetTask", {"id": course.task_id})
    return await line.call(call, a2a.Task, timeout=timeout, again=True)


async def _ask_for_task(line: Line, course: Course, timeout: float | None) -> Event | None:
    course.attached_again = True
    return course.take_task(await _get(line, course, timeout))


async def _fetch(
    line: Line, course: Course, value: StreamValue, number: int | None, timeout: float | None
) -> Event | None:
    """Get what the course lacks. The task as it is takes the place of the event: it has it by now."""
    if course.lacks == "task":
        return await _ask_for_task(line, course, timeout)
    await _recall(line, course, timeout)
    return course.take(value, number)


async def _recall(line: Line, course: Course, timeout: float | None) -> None:
    """Read the log from its beginning to where the reader came; nothing else tells what it had there."""
    assert course.after is not None
    past = Course(line, task_id=course.task_id, after=0, answers=False)
    had: Event | None = None
    async with aclosing(follow(line, past.attach_again(), past, timeout=timeout)) as events:
        async for event in events:
            if event.number is None or event.number > course.after:
                break
            had = event
    course.recall(had.task if had is not None else None)


def _refuses_subscription(problem: CodinError, course: Course) -> bool:
    if isinstance(problem, a2a.InvalidParams) and problem.reason == "EVENT_NUMBER_UNKNOWN":
        course.number = None
        return course.task_id is not None
    return isinstance(problem, (a2a.UnsupportedOperation, a2a.TaskNotFound)) and course.task_id is not None


def _is_cut(problem: CodinError, line: Line, course: Course, news: bool) -> bool:
    if course.task_id is None:
        return line.resumable and isinstance(problem, TransportError) and may_pass(problem)
    # Silence behind news is a connection that died unnoticed; silence behind silence is a peer with nothing to say.
    return news if isinstance(problem, DeadlineExceeded) else may_pass(problem)
