"""The agent that the tests of the command call; the first word of a message says what it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from codin.agent import AgentResponse, Reject, Task, agent

_opened = asyncio.Event()


class Length(StrEnum):
    """What `pick` takes for an answer."""

    SHORT = "short"
    LONG = "long"


class Person(BaseModel):
    """What `fill` takes for an answer."""

    name: str
    age: int | None = None


@agent(examples=["count 3"])
async def kit(task: Task) -> AsyncIterator[Any]:
    """Does what the first word of the message says."""
    word, _, rest = task.text.partition(" ")
    act = _ACTS.get(word)
    if act is None:
        yield task.text.upper()
        return
    async for item in act(task, rest):
        yield item


async def _count(task: Task, rest: str) -> AsyncIterator[Any]:
    for number in range(int(rest)):
        yield f"{number} "


async def _gate(task: Task, rest: str) -> AsyncIterator[Any]:
    yield "before "
    await _opened.wait()
    yield "after"


async def _open(task: Task, rest: str) -> AsyncIterator[Any]:
    _opened.set()
    yield "opened"


async def _work(task: Task, rest: str) -> AsyncIterator[Any]:
    await task.status("searching")
    yield "found"


async def _give(task: Task, rest: str) -> AsyncIterator[Any]:
    await task.artifact(b"a,b\n1,2\n", name="table", filename="../table.csv", media_type="text/csv")
    await task.artifact({"total": 2, "name": "ä"}, name="numbers")
    yield "see the table"


async def _bill(task: Task, rest: str) -> AsyncIterator[Any]:
    task.usage(input_tokens=310, money=0.02)
    yield "paid"


async def _tell(task: Task, rest: str) -> AsyncIterator[Any]:
    """What came with the message."""
    names = ",".join(part.filename or "?" for part in task.files)
    yield f"text={task.text!r} data={task.data!r} files={names}"


async def _ask(task: Task, rest: str) -> AsyncIterator[Any]:
    answer = await task.ask("Which colour?")
    yield f"You chose {answer.text}."


async def _repeat(task: Task, rest: str) -> AsyncIterator[Any]:
    answer = await task.ask("Really?", data={"questions": [{"id": "q-1", "question": "Really?"}]})
    yield answer.text


async def _pick(task: Task, rest: str) -> AsyncIterator[Any]:
    yield f"You chose {await task.ask('How long?', schema=Length)}."


async def _order(task: Task, rest: str) -> AsyncIterator[Any]:
    """Asks two things at once, as the adapters of frameworks do."""
    questions = [
        {"id": "q-1", "question": "Which colour?", "value": {"question": "Which colour?", "options": ["red", "blue"]}},
        {"id": "q-2", "question": "How many?", "value": {"stock": 7}, "schema": {"type": "integer"}},
    ]
    listed = "- q-1: Which colour?\n- q-2: How many?"
    text = f"There are 2 questions. Answer with a data part that maps each id to its answer.\n{listed}"
    answer = await task.ask(text, data={"questions": questions})
    yield f"data={answer.data!r}"


async def _approve(task: Task, rest: str) -> AsyncIterator[Any]:
    """Asks as `interrupt()` in a graph does."""
    value = {"question": "Approve it?", "draft": {"to": "Ann", "sum": 30}, "options": ["yes", "no"]}
    answer = await task.ask(
        "Approve it?", data={"questions": [{"id": "f00", "question": "Approve it?", "value": value}]}
    )
    yield answer.text


async def _fill(task: Task, rest: str) -> AsyncIterator[Any]:
    yield repr(await task.ask("Who?", schema=Person))


async def _auth(task: Task, rest: str) -> AsyncIterator[Any]:
    await task.authorize("The key, please.")
    yield "thanks"


async def _fail(task: Task, rest: str) -> AsyncIterator[Any]:
    yield AgentResponse.failed("no luck")


async def _reject(task: Task, rest: str) -> AsyncIterator[Any]:
    raise Reject("not my job")
    yield


async def _hang(task: Task, rest: str) -> AsyncIterator[Any]:
    yield "waiting"
    await asyncio.Event().wait()


async def _stubborn(task: Task, rest: str) -> AsyncIterator[Any]:
    """Does not end when it is canceled, only when the server ends."""
    yield "waiting"
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def _limits(task: Task, rest: str) -> AsyncIterator[Any]:
    """What the call may take. It asks first where it is told to."""
    if rest:
        await task.ask("Now?")
    given = task.limits
    yield f"{given.deadline} ms, {given.budget.tokens} tokens, {given.budget.money} money"


async def _escape(task: Task, rest: str) -> AsyncIterator[Any]:
    yield "\x1b[31mred\x1b[0m"


_ACTS = {
    "approve": _approve,
    "ask": _ask,
    "auth": _auth,
    "bill": _bill,
    "count": _count,
    "escape": _escape,
    "fail": _fail,
    "fill": _fill,
    "gate": _gate,
    "give": _give,
    "hang": _hang,
    "limits": _limits,
    "open": _open,
    "order": _order,
    "pick": _pick,
    "reject": _reject,
    "repeat": _repeat,
    "stubborn": _stubborn,
    "tell": _tell,
    "work": _work,
}
