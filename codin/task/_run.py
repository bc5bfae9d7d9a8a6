"""One handler at work on one task: its place in the log, its text, its questions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Any, Literal, NoReturn

from pydantic_core import to_json, to_jsonable_python

from codin import a2a
from codin.errors import CodinError, ConfigError, TaskClosed
from codin.task._clock import now_ms
from codin.task._entry import ChunkEntry, Entry, InputEntry, PrivateEntry, StatusEntry, encode_text, plain
from codin.task._ledger import USAGE_KEY, Bill, Ledger, limits_in
from codin.task._limits import Limits
from codin.task._log import TaskLog
from codin.task._parts import question_parts
from codin.task._position import Asked, Position
from codin.task._wishes import NO_WISHES, Wishes, wishes_entry, wishes_in
from codin.trust import Caller, CallLimits

__all__ = ["LimitReached", "ResumeMismatch", "Run", "Stop"]

_BREATH = 32  # entries after which a writer that never waits lets the event loop turn

Stop = Literal["abandon", "cancel", "park", "shutdown", "timeout"]
"""Why a run is being stopped from outside; its outcome is no longer its own."""


class ResumeMismatch(CodinError):
    """A handler that ran again asked something else than the first time."""

    code: str = "CODIN-1501"


class LimitReached(CodinError):
    """A task has written more than its limits allow."""

    code: str = "CODIN-1502"


class Run:
    """A handler's run: from `handle` being called to its outcome, over every question in between.

    Attributes:
        message: what the handler sees as its message.
        live: the newest message as it arrived; unlike the stored one it may hold a credential. None after a restart.
        number: the entry that began the present turn.
        parked: it waits for an answer and holds no slot.
        worker: the asyncio task that runs the handler; None while it is queued, or parked without a coroutine.
        answer: what a parked coroutine waits for.
        stop: set when the run is stopped from outside.
        holds_turn: it has the turn lock of its context.
        begun: `message` and `position` are set.
        called: the limits its caller gave it.
        usage: what it has cost itself; what other agents have is in `ledger`, once there is one.
        wishes: what its caller wants of the answer.
        context: the variables of the request it came with, when it had to wait for its turn.
        on_park: called when the run begins to wait for an answer.
        on_elsewhere: called when what it waits for has come another way than in a message.
    """

    __slots__ = (
        "_breath", "_replayed", "_size", "_unrecorded", "answer", "artifacts", "begun", "called", "caller", "chunks",
        "context", "deadline", "ending", "holds_turn", "ledger", "limits", "live", "log", "message", "number",
        "on_elsewhere", "on_park", "parked", "position", "stop", "text_head", "text_id", "text_open", "usage",
        "wishes", "worker",
    )  # fmt: skip

    def __init__(self, log: TaskLog, limits: Limits, caller: Caller) -> None:
        self.log: TaskLog = log
        self.limits: Limits = limits
        self.caller: Caller = caller
        self.number: int = 0
        self.parked: bool = False
        self.worker: asyncio.Task[None] | None = None
        self.on_park: Callable[[Run], None] = _ignore
        self.on_elsewhere: Callable[[Run], Awaitable[None]] = _nowhere
        self.answer: asyncio.Future[a2a.Message] | None = None
        self.stop: Stop | None = None
        self.ending: asyncio.Task[None] | None = None
        self.deadline: float = 0.0
        self.holds_turn: bool = False
        self.live: a2a.Message | None = None
        self.context: Context | None = None
        self.begun: bool = False
        self.called: CallLimits | None = None
        self.wishes: Wishes = NO_WISHES
        self._unrecorded = False
        self.ledger: Ledger | None = None
        self.usage: dict[str, int | float] = {}

    def recall(self) -> None:
        """Stand at the start of `handle` as the log tells it."""
        position = Position.read(self.log.entries)
        self.ledger = Ledger.read(self.log.entries, self.limits.budget)
        self.wishes = wishes_in(self.log.entries)
        newest = next(entry for entry in reversed(self.log.entries) if isinstance(entry, InputEntry))
        if self.live is not None and newest.number == position.start:
            message = self.live
        else:
            message = a2a.Message.from_json(position.message)
        self.begin(message, position)

    def begin(self, message: a2a.Message, position: Position) -> None:
        """Stand at the start of `handle`, with everything that is recorded behind it."""
        self.message: a2a.Message = message
        self.position: Position = position
        self.begun = True
        self.artifacts: int = 0
        self.chunks: list[str] = []
        self.text_open: bool = False
        self.text_id: str = f"text-{position.start}"
        self.text_head: bytes = b'{"artifactId":"%s"' % self.text_id.encode()
        self._replayed = 0
        self._breath = 0
        self._size = 0
        for entry in self.log.entries:
            self._size += len(entry.body)

    def bind(self, called: CallLimits | None) -> None:
        """The newest message's limits hold from here on. One without leaves path and budget as they are."""
        if called is not None:
            self.called = called
            self.account().grant(called.budget, self.usage)
        elif self.called is not None:
            self.called = self.called.without_deadline()
        elif not self.begun and self.log.last and (found := limits_in(self.log.entries)) is not None:
            self.called = found.without_deadline()

    def wish(self, wishes: Wishes) -> None:
        """What the newest message wants holds from here on."""
        self._unrecorded = wishes != self.wishes
        self.wishes = wishes

    def unrecorded(self) -> Sequence[Entry]:
        """What another process would have to know, of the newest message and of calls, when this run rests or waits."""
        entries: list[Entry] = []
        if self._unrecorded:
            self._unrecorded = False
            entries.append(wishes_entry(self.wishes))
        if self.log.answered:
            answered, self.log.answered = self.log.answered, []
            entries.append(PrivateEntry("call", now_ms(), to_json({"answered": answered})))
        return entries

    def account(self) -> Ledger:
        """Where the cost of other agents is kept."""
        if self.ledger is None:
            self.ledger = Ledger(self.limits.budget)
        return self.ledger

    def bill(self, more: Bill | None = None) -> dict[str, int | float]:
        """What the task has cost so far, in all its turns and with all it has called; `more` counts for its own."""
        own = {**self.usage, **more} if more else self.usage
        return own if self.ledger is None else self.ledger.total(own)

    @property
    def replaying(self) -> bool:
        """Whether recorded answers are left: what is written until then is in the log already."""
        return self._replayed < len(self.position.asked)

    def write_text(self, chunk: str) -> None:
        """Append a piece to the default artifact."""
        self.chunks.append(chunk)
        if self.replaying:
            return
        entry = ChunkEntry(self.log.ids, self.text_id, self.text_head, chunk, now_ms(), append=self.text_open)
        self.text_open = True
        self.take(entry)

    def text(self) -> str:
        """What has been written, as readers have it."""
        text = "".join(self.chunks)
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:  # pieces of a broken text were mended one by one
            return "".join([encode_text(chunk)[0] for chunk in self.chunks])
        return text

    def take(self, *entries: Entry) -> None:
        """Append within the limits. Raises LimitReached."""
        if self.parked or self.stop == "park":
            self.refuse()
        for entry in entries:
            self._size += len(entry.body)
        limits = self.limits
        if self.log.last + len(entries) > limits.max_entries or self._size > limits.max_task_bytes:
            raise LimitReached(
                f"task {self.log.task_id!r} has written more than {limits.max_entries} entries or "
                f"{limits.max_task_bytes} bytes",
                hint="raise Limits.max_entries or Limits.max_task_bytes, or write less",
            )
        self.log.append(*entries)

    def refuse(self) -> NoReturn:
        """Say why nothing can be written now."""
        if self.stop is not None:  # its coroutine is unwinding; another run may have the task by now
            raise TaskClosed(f"this run of task {self.log.task_id!r} has been let go")
        raise ConfigError(
            f"task {self.log.task_id!r} waits for the answer to a question; nothing can be written to it",
            hint="await one `ask` or `authorize` at a time, and write before or after it",
        )

    async def pace(self) -> None:
        """Wait for the store when it is far behind; let the event loop turn now and then."""
        log = self.log
        if log.last - log.committed > self.limits.max_uncommitted:
            await log.settled(log.last - self.limits.max_uncommitted // 2)
            return
        self._breath += 1
        if self._breath >= _BREATH:
            self._breath = 0
            await asyncio.sleep(0)

    def agent_message(self, parts: Sequence[a2a.Part]) -> bytes:
        """A message of the agent in this task, as JSON."""
        log = self.log
        return a2a.Message(
            message_id=f"{log.task_id}-{log.last + 1}",
            task_id=log.task_id,
            context_id=log.context_id,
            role=a2a.Role.AGENT,
            parts=list(parts),
        ).to_json()

    async def ask(
        self, state: a2a.TaskState, question: str, data: Any, elsewhere: asyncio.Future[Any] | None = None
    ) -> a2a.Message:
        """Ask and wait, or give the recorded answer.

        Args:
            elsewhere: done when no message is needed any more.
        """
        if self.parked or self.stop is not None:
            self.refuse()
        asked: dict[str, Any] = {"state": state.value, "question": question}
        if data is not None:
            asked["data"] = to_jsonable_python(data)
        asked = plain(asked)
        record: Mapping[str, Any] = asked
        if self.replaying:
            index = self._replayed
            answer = self._recall(index, asked)
            if answer is not None:
                return answer
            record = {**asked, "again": index}
            self.position.answering = index
        else:
            self.position.asked = [*self.position.asked, Asked(asked)]
            self._replayed = len(self.position.asked)
        prompt = self.agent_message(question_parts(question, data))
        bill = self.bill()
        told = {USAGE_KEY: plain(bill)} if bill else None
        status = StatusEntry(self.log.ids, state, now_ms(), prompt, told)
        self.take(*self.unrecorded(), PrivateEntry("ask", now_ms(), to_json(record)), status)
        return await self._park(elsewhere)

    async def _park(self, elsewhere: asyncio.Future[Any] | None) -> a2a.Message:
        loop = asyncio.get_running_loop()
        self.answer = loop.create_future()
        heeding = None if elsewhere is None else loop.create_task(self._heed(elsewhere))
        self.on_park(self)
        try:
            await self.log.settled()
            message = await self.answer
            if self.log.committed < self.number:
                await self.log.settled(self.number)  # nobody acts on an answer that may yet be lost
            return message
        finally:
            self.answer = None
            if heeding is not None:
                heeding.cancel()

    async def _heed(self, elsewhere: asyncio.Future[Any]) -> None:
        """Go on when what is waited for has come another way: as by a message, but that nobody has sent one."""
        await asyncio.wait({elsewhere})
        await self.log.settled()
        with contextlib.suppress(a2a.A2AError):  # a message was faster, or the task has ended
            while True:
                try:
                    await self.on_elsewhere(self)
                    return
                except a2a.Overloaded as error:
                    await asyncio.sleep(error.retry_after or 1.0)

    def _recall(self, index: int, asked: Mapping[str, Any]) -> a2a.Message | None:
        """The recorded answer; None when it was a credential, which no log keeps."""
        recorded = self.position.asked[index]
        if recorded.question != asked:
            raise ResumeMismatch(
                f"RESUME_MISMATCH: question {index + 1} was {recorded.question['question']!r} "
                f"and is now {asked['question']!r}",
                hint="what a handler asks may depend only on its message and on earlier answers",
            )
        self._replayed += 1
        if not self.replaying:
            self._rejoin_text()
        if index == self.position.answering and self.live is not None:
            return self.live
        if recorded.answer is None or asked["state"] == a2a.TaskState.AUTH_REQUIRED:
            return None
        return a2a.Message.from_json(recorded.answer)

    def _rejoin_text(self) -> None:
        """After a replay the stored text goes on where it ended, or is written anew where it differs."""
        written = self.text()
        if not written:
            return
        if self.log.fold.text(self.text_id) != written:
            self.take(ChunkEntry(self.log.ids, self.text_id, self.text_head, written, now_ms(), append=False))
        self.text_open = True


async def _nowhere(run: Run) -> None:
    """A direct message does not wait."""


def _ignore(run: Run) -> None:
    """No one to tell: the run of a direct message never parks."""
