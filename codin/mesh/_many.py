"""Asking several agents at once, within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio

from codin.client import Reply
from codin.errors import CodinError, DeadlineExceeded

__all__ = ["Answer", "ask_all"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question to one of several agents: a reply or an error, never both.

    Attributes:
        agent: the agent's name, or what was asked for.
    """

    agent: str
    reply: Reply | None = None
    error: CodinError | None = None

    @property
    def text(self) -> str:
        """The words of the reply; "" when there is none."""
        return self.reply.text if self.reply is not None else ""


async def ask_all(
    questions: Sequence[tuple[str, Callable[[], Awaitable[Reply]]]], *, at_most: int, timeout: float
) -> list[Answer]:
    """Ask, `at_most` at a time, all within `timeout` seconds. The answers come in the order of the questions."""
    late = DeadlineExceeded(f"There was no answer within {timeout:g} s.")
    answers = [Answer(agent, error=late) for agent, _ in questions]
    limiter = anyio.CapacityLimiter(at_most)

    async def ask(index: int, agent: str, question: Callable[[], Awaitable[Reply]]) -> None:
        async with limiter:
            try:
                answers[index] = Answer(agent, await question())
            except CodinError as error:
                answers[index] = Answer(agent, error=error)

    with anyio.move_on_after(timeout):
        async with anyio.create_task_group() as group:
            for index, (agent, question) in enumerate(questions):
                group.start_soon(ask, index, agent, question)
    return answers
