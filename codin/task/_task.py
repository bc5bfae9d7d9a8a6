"""The live handle on a task: what an agent reads from and writes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from codin import a2a
from codin.errors import ConfigError
from codin.task._allowance import allowance
from codin.task._clock import now_ms
from codin.task._entry import StatusEntry, plain
from codin.task._guarding import refusal
from codin.task._log import TaskLog
from codin.task._open_calls import Begun
from codin.task._parts import artifact_entry, data_of, files_of, parts_of
from codin.task._protocol import Owner
from codin.task._run import Run
from codin.task._usage import Usage
from codin.trust import Budget, Caller, CallLimits

if TYPE_CHECKING:
    from codin.client import Reply
    from codin.task._guard import Decision, Guard

__all__ = ["Answer", "CallAgent", "Provides", "Task", "UseTool", "run_of", "use_of"]

T = TypeVar("T")

CallAgent = Callable[["Task", Any, Any, Mapping[str, Any]], Awaitable["Reply"]]
"""How a manager lets its tasks call other agents: (task, agent, content, options).

The options are those of `Peer.send`, with the `timeout` and the `limits` of this call; `sending` is awaited with the
message before it leaves, and `learn` given what the agent's task has come to; both get the agent's address as well.
"""

UseTool = Callable[["Task", str, Mapping[str, Any]], Awaitable[Any]]
"""How a manager lets its tasks use the agent's tools: (task, name, arguments)."""

Provides = Mapping[type[Any], Callable[["Task"], Any]]
"""What a manager gives its tasks to use, by type, and how it is made for one of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller answered to a question.

    Args:
        value: what came another way than in a message, see `Task.authorize`.
    """

    message: a2a.Message
    value: Any = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return a2a.text_of(self.message.parts)

    @property
    def data(self) -> Any:
        """The first data part; None when there is none."""
        return data_of(self.message)

    @property
    def files(self) -> Sequence[a2a.Part]:
        """The parts with bytes or a URL."""
        return files_of(self.message)


class Task:
    """A task while an agent works on it.

    Reads are plain attributes. Writes are coroutines: they return when the entry is in the log, and wait only when too
    much of it is uncommitted. After the outcome every write raises TaskClosed.
    """

    __slots__ = ("_call", "_guards", "_identity", "_provides", "_run", "_use")

    def __init__(
        self,
        run: Run,
        call: CallAgent | None = None,
        guards: Sequence[Guard] = (),
        identity: str = "agent",
        use: UseTool | None = None,
        provides: Provides | None = None,
    ) -> None:
        self._run = run
        self._call = call
        self._guards = guards
        self._identity = identity
        self._use = use
        self._provides = provides or {}

    def __repr__(self) -> str:
        return f"<Task {self.id!r} {self._run.log.state.name}>"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._run.log.task_id

    @property
    def context_id(self) -> str:
        """The conversation it belongs to."""
        return self._run.log.context_id

    @property
    def owner(self) -> Owner:
        """Whose task it is: tenant, agent and caller, by their ids."""
        return self._run.log.owner

    @property
    def tenant(self) -> str:
        """The tenant the request named, "" for none."""
        return self._run.log.owner.tenant

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self._run.caller

    @property
    def deadline(self) -> float:
        """When the turn is stopped, on the event loop's clock (`asyncio.get_running_loop().time()`)."""
        return self._run.deadline

    @property
    def limits(self) -> CallLimits:
        """What its caller gave it: the path of the call and its deadline; and what is free of its budget."""
        called = self._run.called or CallLimits()
        return replace(called, budget=self._run.account().free(self._run.usage))

    @property
    def usage(self) -> Usage:
        """What the task has cost so far, with all it has called; called with counts, it adds them."""
        return Usage(self._run)

    @property
    def resume(self) -> Any:
        """The `token` of the response that paused the task, in the run that gets the answer; else None."""
        return self._run.position.token

    @property
    def message(self) -> a2a.Message:
        """What the caller sent."""
        return self._run.message

    @property
    def text(self) -> str:
        """The text parts of the message, joined."""
        return a2a.text_of(self.message.parts)

    @property
    def data(self) -> Any:
        """The first data part of the message; None when there is none."""
        return data_of(self.message)

    @property
    def files(self) -> Sequence[a2a.Part]:
        """The parts of the message with bytes or a URL."""
        return files_of(self.message)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata of the message."""
        return self.message.metadata or {}

    @property
    def history(self) -> Sequence[a2a.Message]:
        """All messages of the task so far, the present one last."""
        return [a2a.Message.from_json(message) for message in self._run.log.fold.history]

    @property
    def artifacts(self) -> Sequence[a2a.Artifact]:
        """What has been produced so far."""
        return [a2a.Artifact.from_json(artifact) for artifact in self._run.log.fold.artifacts()]

    @property
    def accepted_output_modes(self) -> Sequence[str]:
        """The media types that the caller takes; empty for any. Spec 3.2.2."""
        return self._run.wishes.output_modes

    def accepts(self, media_type: str) -> bool:
        """Whether the caller takes an answer of this media type."""
        return self._run.wishes.accept(media_type)

    @property
    def extensions(self) -> Sequence[str]:
        """URIs of the agent's own extensions that the caller has activated. Spec 4.6."""
        return self._run.wishes.extensions

    async def write(self, chunk: str) -> None:
        """Stream a piece of text into the task's default artifact.

        Raises:
            TaskClosed: the task has had its outcome.
            LimitReached: the task has written more than `Limits` allow; it fails.
        """
        # What is no text would reach the wire as a part that nobody understands.
        if not isinstance(chunk, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"write takes text, not {type(chunk).__name__!r}; artifact takes anything")
        if chunk:
            self._run.write_text(chunk)
            await self._run.pace()

    async def artifact(
        self,
        content: Any,
        *,
        name: str | None = None,
        description: str | None = None,
        media_type: str | None = None,
        filename: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        extensions: Sequence[str] = (),
        artifact_id: str | None = None,
        append: bool = False,
        last: bool = True,
    ) -> str:
        """Add an artifact.

        Args:
            content: text, bytes (a file), parts, or a JSON value or pydantic model (a data part).
            extensions: URIs of the extensions it was made with.
            artifact_id: replaces the artifact with that id, or continues it with `append=True`.
            last: False when more will be appended.

        Returns:
            The artifact's id.
        """
        run = self._run
        run.artifacts += 1
        artifact_id = artifact_id or f"artifact-{run.position.start}-{run.artifacts}"
        if run.replaying:
            return artifact_id
        artifact = a2a.Artifact(
            artifact_id=artifact_id,
            name=name,
            description=description,
            metadata=dict(metadata) if metadata else None,
            extensions=list(extensions),
            parts=parts_of(content, media_type=media_type, filename=filename),
        )
        run.take(artifact_entry(run.log.ids, artifact, append=append, last=last))
        await run.pace()
        return artifact_id

    async def status(self, text: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Say what is going on: a WORKING status with a message."""
        run = self._run
        if run.replaying:
            return
        message = run.agent_message([a2a.Part(text=text)])
        meta = plain(metadata) if metadata else None
        run.take(StatusEntry(run.log.ids, a2a.TaskState.WORKING, now_ms(), message, meta))
        await run.pace()

    @overload
    async def ask(self, question: str, *, data: Any = None) -> Answer: ...
    @overload
    async def ask(self, question: str, *, schema: type[T], data: Any = None) -> T: ...
    @overload
    async def ask(self, question: str, *, schema: Any, data: Any = None) -> Any: ...
    async def ask(self, question: str, *, schema: Any = None, data: Any = None) -> Any:
        """Ask the caller and wait: the task becomes INPUT_REQUIRED.

        Durable by position: if the process ends meanwhile, the answer runs `handle` again from the top, and the k-th
        `ask` returns the k-th recorded answer. So CODE BEFORE AN ASK MUST BE IDEMPOTENT.

        Args:
            question: readable text.
            schema: a type (also `Literal[…]`, `Annotated[…]`, `int | None`); the answer (data part, or text as JSON or
                plain value) is validated, asked again while it does not fit, and returned as that type. Its JSON Schema
                goes with the question.
            data: a JSON value shown beside the question.

        Raises:
            ResumeMismatch: on a second run, when the question differs from the recorded one.
        """
        if schema is None:
            return Answer(await self._run.ask(a2a.TaskState.INPUT_REQUIRED, question, data))
        adapter: TypeAdapter[Any] = TypeAdapter(schema)
        extra: dict[str, Any] = {"schema": adapter.json_schema()}
        if data is not None:
            extra["data"] = data
        problem = ""
        while True:
            answer = Answer(await self._run.ask(a2a.TaskState.INPUT_REQUIRED, problem + question, extra))
            try:
                return _fit(adapter, answer)
            except ValidationError as error:
                problem = f"That does not fit: {error.errors()[0]['msg']}. "

    async def authorize(self, text: str, *, data: Any = None, elsewhere: Awaitable[Any] | None = None) -> Answer:
        """Ask for a credential and wait: the task becomes AUTH_REQUIRED. The answer is redacted in the log. Spec 7.6.

        A restart forgets the credential: a handler that runs again asks for it again.

        Args:
            text: says what is needed, and where.
            elsewhere: done when the credential has come another way than in a message, as to a page where a person
                logs in: the task goes on by itself, and what it gives is `Answer.value`; what it raises is raised here.
                A message is taken all the same, and then it is canceled.
        """
        other = None if elsewhere is None else asyncio.ensure_future(elsewhere)
        try:
            message = await self._run.ask(a2a.TaskState.AUTH_REQUIRED, text, data, other)
            return Answer(message, other.result() if other is not None and other.done() else None)
        finally:
            if other is not None:
                other.cancel()

    async def call(
        self, agent: Any, content: Any, *, budget: Budget | None = None, timeout: float | None = None, **options: Any
    ) -> Reply:
        """Call another agent on behalf of this task, once everything written so far is committed.

        Args:
            agent: a URL, a connected `Peer`, or a name that the server's resolver knows.
            content: what `Peer.send` takes; `options` go to it as well, and `on_event` is given every event of the
                answer as it comes.
            budget: the agent's share of this task's; all that is free by default, so that a second call waits for
                the first.
            timeout: seconds for all of it; what the run has left by default.

        The peer gets a context of its own, the same one for every call from this context. It is told the path of the
        call, the deadline and the budget, and what it cost is added to `usage`. When this run is canceled, or its
        time is up, the peer's task is canceled; so is, once this task has ended, one whose question was left without
        an answer. The call is a private entry.

        Raises:
            PermissionDenied: a guard refused the call.
            UnsupportedOperation: the limits of this task do not allow it: reason CALL_CYCLE, CALL_TOO_DEEP,
                CALL_EXPIRED or CALL_BUDGET_SPENT, in words that a model can act on.
            DeadlineExceeded: the time is up.
        """
        run = self._run
        if self._call is None:
            raise ConfigError("this task cannot call other agents", hint="serve the agent with codin.server.App")
        refused = await self.permit(str(agent), content)
        if refused is not None:
            raise a2a.PermissionDenied(refused.reason or f"a guard refused the call of {agent!s}")
        if run.parked:
            run.refuse()
        run.log.check_open()
        await run.log.settled()
        async with allowance(run, self._identity, budget, timeout) as allowed:
            going_on = content.task_id if isinstance(content, a2a.Message) else None
            begun = Begun(run, agent, options.get("task_id") or going_on, waits=options.get("wait", True))

            def learn(value: a2a.Task | a2a.Message, address: str) -> None:
                allowed.learn(value, address)
                begun.learn(value, address)

            options |= {"timeout": allowed.left, "limits": allowed.limits, "learn": learn, "sending": begun.sending}
            try:
                return await self._call(self, agent, content, options)
            except BaseException as error:
                begun.broken_off(error)
                raise

    async def tool(self, name: str, /, **arguments: Any) -> Any:
        """Use one of the agent's tools: `await task.tool("shout", text="hello")`.

        The tool has to be one of the agent's `tools`, and open to the task's caller. Its use is two private entries:
        what is asked of it, committed before it runs, and how it ended. A handler that runs again uses it again.

        Raises:
            ToolError: it was not used, or not to an end; the text can be shown to a model.
        """
        if self._use is None:
            raise ConfigError("this task has no tools", hint="serve the agent with codin.server.App, with tools=[…]")
        return await self._use(self, name, arguments)

    def use(self, kind: type[T], /) -> T:
        """What the server has of a kind, made for this task: `task.use(Memory)` is the memory of its caller.

        Raises:
            ConfigError: the server has none.
        """
        make = self._provides.get(kind)
        if make is None:
            given = "codin serve --memory sqlite:///memory.db gives it one, or memory= in a program"
            hint = given if kind.__name__ == "Memory" else None
            raise ConfigError(f"this server has no {kind.__name__} for its tasks", hint=hint)
        return make(self)

    async def permit(self, target: str, content: Any) -> Decision | None:
        """Ask the guards before an agent or a tool is called; one that holds asks the caller first.

        Returns:
            The refusal, if there is one.
        """
        for guard in self._guards:
            refused = await refusal(self._run, partial(guard.call, self, target, content))
            if refused is not None:
                return refused
        return None

    async def references(self) -> Sequence[a2a.Task]:
        """The tasks that the message refers to, as they are committed; those that its caller has not are left out.

        Source: spec 3.4.3 (`referenceTaskIds`).
        """
        log = self._run.log
        found = [await log.store.load(log.owner, task_id) for task_id in self.message.reference_task_ids]
        return [a2a.Task.from_json(TaskLog.restore(log.store, stored, ()).fold.to_json()) for stored in found if stored]

    async def state_of(self, task_id: str) -> a2a.TaskState | None:
        """The committed state of another task of the same caller; None when there is no such task."""
        log = self._run.log
        stored = await log.store.load(log.owner, task_id)
        return None if stored is None else stored.state


def run_of(task: Task) -> Run:
    """The run behind a task, for what else writes to its log."""
    return task._run  # pyright: ignore[reportPrivateUsage] - of this module


def use_of(task: Task) -> UseTool | None:
    """How a task uses the tools of its agent; None where it has none."""
    return task._use  # pyright: ignore[reportPrivateUsage] - of this module


def _fit(adapter: TypeAdapter[T], answer: Answer) -> T:
    if answer.data is not None:
        return adapter.validate_python(answer.data)
    try:
        return adapter.validate_json(answer.text)
    except ValidationError:
        text, fields = answer.text.strip(), adapter.json_schema().get("properties", {})
        if [field.get("type") for field in fields.values()] == ["string"]:
            return adapter.validate_python(dict.fromkeys(fields, text))
        return adapter.validate_python(text)
