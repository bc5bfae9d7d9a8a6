"""A server over the object of a case, in memory, and what its callers see."""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codin import a2a
from codin.agent import Agent
from codin.client import Content, Event, Peer, Reply
from codin.task import USAGE_KEY
from codin.testing._answers import Answer, Body, ModelAnswer, content_text
from codin.testing._mesh import Peers, mesh
from codin.testing._model_server import ModelServer
from codin.testing.adapter_laws._bench import Bench
from codin.testing.adapter_laws._case import Make
from codin.trust import BearerTokens

__all__ = ["Desk", "Turn", "desk", "last_words", "says"]

_TOKENS = {"token-of-ann": "ann", "token-of-bob": "bob"}


@dataclass
class Turn:
    """What a caller saw of one message."""

    events: list[Event] = field(default_factory=list[Event])

    @property
    def task(self) -> a2a.Task:
        task = self.events[-1].task
        assert task is not None, "the agent answered without a task"
        return task

    @property
    def state(self) -> str:
        return self.task.status.state.name

    @property
    def reply(self) -> Reply:
        return Reply(self.task)

    @property
    def text(self) -> str:
        """The newest text of the answer."""
        texts = [text for artifact in self.task.artifacts if (text := a2a.text_of(artifact.parts))]
        return texts[-1] if texts else ""

    @property
    def said(self) -> str:
        """What the final status says: a question, or a reason."""
        message = self.task.status.message
        return a2a.text_of(message.parts) if message is not None else ""

    @property
    def questions(self) -> list[dict[str, Any]]:
        message = self.task.status.message
        parts = message.parts if message is not None else []
        data: list[Any] = [part.data for part in parts if part.kind == "data"]
        return data[-1]["questions"] if data else []

    @property
    def statuses(self) -> list[a2a.TaskStatusUpdateEvent]:
        return [event.value for event in self.events if isinstance(event.value, a2a.TaskStatusUpdateEvent)]

    @property
    def usage(self) -> Mapping[str, int]:
        told: Any = (self.statuses[-1].metadata or {}).get(USAGE_KEY, {})
        return told

    def pieces(self) -> dict[str, list[str]]:
        """The text of each artifact as it was streamed, without the update that repeats it to close it."""
        found: dict[str, list[str]] = {}
        for event in self.events:
            update = event.value
            if isinstance(update, a2a.TaskArtifactUpdateEvent):
                pieces = found.setdefault(update.artifact.artifact_id, [])
                if not (pieces and update.last_chunk and not update.append):
                    pieces.append(a2a.text_of(update.artifact.parts))
        return found


class Desk:
    """One process that serves the object of a case."""

    def __init__(self, make: Make, bench: Callable[[], Bench], model: ModelServer, **options: Any) -> None:
        self._make = make
        self._new_bench = bench
        self._options = options
        self._stack = AsyncExitStack()
        self.model = model
        self.bench: Bench = bench()
        self._peers: Peers | None = None

    async def open(self) -> None:
        """Build the object and serve it."""
        self._stack.push_async_callback(self.bench.close)
        made = self._make(self.bench)
        if inspect.isawaitable(made):
            made = await made
        agent = made if isinstance(made, Agent) else self.bench.adapt(made)
        self._peers = await self._stack.enter_async_context(mesh(agent, **self._options))

    async def close(self) -> None:
        """Stop serving."""
        await self._stack.aclose()

    async def restart(self) -> None:
        """Stop, and begin again with nothing but what was stored: a new object, a new agent, a new server."""
        await self.close()
        self.bench = self._new_bench()
        await self.open()

    @property
    def peer(self) -> Peer:
        """The agent, as an anonymous caller sees it."""
        assert self._peers is not None
        return next(iter(self._peers.values()))

    @asynccontextmanager
    async def caller(self, name: str) -> AsyncGenerator[Peer]:
        """The agent, as a caller with a token sees it. For a desk with `callers`."""
        assert self._peers is not None
        token = next(token for token, caller in _TOKENS.items() if caller == name)
        async with self._peers.connect(next(iter(self._peers)), token=token) as peer:
            yield peer

    async def send(
        self,
        content: Content,
        *,
        peer: Peer | None = None,
        task: a2a.Task | None = None,
        context_id: str | None = None,
    ) -> Turn:
        """Send, read the stream until the turn rests, and check what is promised of every stream."""
        peer = peer or self.peer
        turn = Turn()
        task_id, context_id = (task.id, task.context_id) if task else (None, context_id)
        async with aclosing(peer.stream(content, task_id=task_id, context_id=context_id)) as events:
            async for event in events:
                turn.events.append(event)
                status = event.value if isinstance(event.value, a2a.TaskStatusUpdateEvent) else None
                if status is not None and status.status.state is a2a.TaskState.AUTH_REQUIRED:
                    break  # such a stream stays open
        _check_stream(turn, await peer.get(turn.task.id))
        return turn

    @property
    def asked(self) -> str:
        """Everything the model has been asked, as JSON."""
        return json.dumps(self.model.requests)


def _check_stream(turn: Turn, stored: a2a.Task) -> None:
    task = turn.task
    assert _gist(task) == _gist(stored), "the events of the stream do not add up to the task"
    texts = {artifact.artifact_id: a2a.text_of(artifact.parts) for artifact in task.artifacts}
    for name, pieces in turn.pieces().items():
        assert "".join(pieces) == texts[name], "the streamed pieces are not the final text"
    ends = [place for place, update in enumerate(turn.statuses, 1) if update.status.state.terminal]
    expected = [len(turn.statuses)] if task.status.state.terminal else []
    assert ends == expected, "there is not exactly one end"
    if expected:
        assert turn.events[-1].value is turn.statuses[-1], "something comes after the end"


def _gist(task: a2a.Task) -> Any:
    """What two readers of one task must agree on, however its text was cut into parts."""
    artifacts = {
        artifact.artifact_id: (a2a.text_of(artifact.parts), [part for part in artifact.parts if part.text is None])
        for artifact in task.artifacts
    }
    return task.status.state, task.status.message, artifacts, task.metadata or {}


@asynccontextmanager
async def desk(
    make: Make | None,
    answer: Answer,
    *,
    tools: Sequence[Callable[..., Any]] = (),
    options: Mapping[str, Any] | None = None,
    durable: bool = False,
    callers: bool = False,
) -> AsyncGenerator[Desk]:
    """Serve what a factory makes.

    Args:
        answer: the model.
        tools, options: for the object and for its adapter.
        durable: keep tasks in a file, so that the desk can be opened again.
        callers: two callers, ann and bob, instead of an anonymous one.
    """
    assert make is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        async with ModelServer(answer).running() as model:
            settings: dict[str, Any] = {"store": f"sqlite:///{place / 'tasks.db'}"} if durable else {}
            if callers:
                settings["authenticator"] = BearerTokens(_TOKENS)
            opened = Desk(make, lambda: Bench(model, place, tools, options), model, **settings)
            try:
                await opened.open()
                yield opened
            finally:
                await opened.close()


def says(text: str) -> Answer:
    """A model that always says the same."""
    return lambda body: ModelAnswer(text)


def last_words(body: Body) -> str:
    """The words of the last message that is the user's."""
    spoken = [content_text(message.get("content")) for message in body["messages"] if message["role"] == "user"]
    return spoken[-1] if spoken else ""
