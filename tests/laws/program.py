"""An agent whose whole behaviour is drawn: a list of steps and an ending."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from codin.task import AgentResponse, NeedInput, Reject, Task

__all__ = ["Program", "answer_to", "play", "programs", "texts"]

texts = st.text(alphabet='abc {}"\\\n\u00e9\u2028\U0001f600', min_size=1, max_size=6)


@dataclass(frozen=True)
class Program:
    """What `play` does: steps in their order, then the ending."""

    steps: tuple[tuple[Any, ...], ...]
    ending: str

    def park_timeout(self, wanted: float) -> float:
        """Whoever lets go at once forgets the first credential before the second has come, and would ask for ever."""
        return 300.0 if sum(step[0] == "authorize" for step in self.steps) > 1 else wanted


_asks = st.one_of(
    st.tuples(st.just("ask"), texts),
    st.tuples(st.just("schema"), texts),
    st.tuples(st.just("authorize"), texts),
)
_writes = st.one_of(
    st.tuples(st.just("write"), texts),
    st.tuples(
        st.just("artifact"),
        st.sampled_from([None, "a", "b"]),
        st.one_of(texts, st.binary(max_size=3), st.just([1, 2.5, None]), st.dictionaries(texts, st.booleans())),
        st.booleans(),
    ),
    st.tuples(st.just("status"), texts),
    st.tuples(st.just("usage"), st.integers(1, 3)),
    st.tuples(st.just("breathe"), st.integers(1, 3)),
)
_pauses = st.tuples(st.just("pause"), texts)
_endings = st.sampled_from(["nothing", "text", "data", "raise", "reject", "fail", "garbage"])


def programs(*, pauses: bool = True, max_steps: int = 8) -> st.SearchStrategy[Program]:
    """Programs; without `pauses` one run of the handler does it all."""
    steps = st.one_of(_writes, _writes, _asks, _pauses) if pauses else st.one_of(_writes, _writes, _asks)
    return st.builds(Program, st.lists(steps, max_size=max_steps).map(tuple), _endings)


async def play(task: Task, program: Program) -> AgentResponse:
    """The handler: the steps from where the last pause left them, then the ending."""
    player = _Player(task)
    start: int = task.resume or 0
    if start:
        await player.write(f"({task.text})")
    for index, (name, *details) in enumerate(program.steps[start:], start):
        if name == "pause":
            raise NeedInput(*details, token=index + 1)
        await getattr(player, name)(*details)
    return _end(program.ending, "".join(player.written))


class _Player:
    """A method for each step. What it hears it writes, so that its outcome depends on every answer."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.written: list[str] = []

    async def write(self, text: str) -> None:
        self.written.append(text)
        await self.task.write(text)

    async def artifact(self, artifact_id: str | None, content: Any, append: bool) -> None:
        await self.task.artifact(content, artifact_id=artifact_id, append=append)

    async def status(self, text: str) -> None:
        await self.task.status(text, metadata={text: len(self.written)})

    async def usage(self, steps: int) -> None:
        self.task.usage(steps=steps)

    async def breathe(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def ask(self, question: str) -> None:
        await self.write(f"[{(await self.task.ask(question)).text}]")

    async def schema(self, question: str) -> None:
        await self.write(f"<{await self.task.ask(question, schema=int)}>")

    async def authorize(self, question: str) -> None:
        await self.write(f"{{{len((await self.task.authorize(question)).text)}}}")


def _end(ending: str, written: str) -> AgentResponse:
    match ending:
        case "text":
            return AgentResponse.completed(written or "nothing to say")
        case "data":
            return AgentResponse.completed(data={"written": written})
        case "raise":
            raise RuntimeError("the program ends like this")
        case "reject":
            raise Reject("no")
        case "fail":
            return AgentResponse.failed("it did not work")
        case "garbage":
            return written  # pyright: ignore[reportReturnType]  (an agent that breaks its promise)
        case _:
            return AgentResponse.completed()


def answer_to(question: str, state: str) -> str:
    """What the person says: the same to the same question, and at first nonsense where a number is wanted."""
    if state == "TASK_STATE_AUTH_REQUIRED":
        return "the credential"
    return "7" if question.startswith("That does not fit") else f"re {question[:4]}"
