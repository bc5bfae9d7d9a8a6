"""Laws of runs: their end, their failure, and that they keep out of each other's way."""

from __future__ import annotations

import asyncio
import json
import re
import threading

from codin.testing._answers import Body, ModelAnswer
from codin.testing.adapter_laws._bench import SECRET
from codin.testing.adapter_laws._case import AdapterCase
from codin.testing.adapter_laws._desk import Turn, desk, last_words, says
from codin.testing.adapter_laws._law import law

__all__: list[str] = []

_AT_ONCE = 100
_LONG = 10.0  # seconds for which a tool blocks, when nobody else gets on meanwhile


def _echo(body: Body) -> ModelAnswer:
    """Says the number that the user named, in words that take a while to stream."""
    found = re.findall(r"number (\d+)", last_words(body))
    return ModelAnswer(f"you said number {found[-1]} to me" if found else "you said no number")


@law("chat")
async def cancel(case: AdapterCase) -> None:
    """A cancel ends the run, and the call to the model with it."""
    async with desk(case.chat, lambda body: ModelAnswer("Let me think", ends=False)) as at:
        begun = await at.peer.send("Hello.", wait=False)
        assert begun.task_id is not None
        await at.model.stuck.wait()
        canceled = await at.peer.cancel(begun.task_id)
        assert canceled.status.state.name == "CANCELED"
        await at.model.drop.wait()


@law("chat")
async def memory(case: AdapterCase) -> None:
    """The turns of a context follow one another, also when they come at once, and each knows those before it."""
    async with desk(case.chat, _echo) as at:
        first = await at.peer.send("This is number 1.", context_id="talk", wait=False)
        second = await at.send("This is number 2.", context_id="talk")
        assert first.task_id is not None
        assert (await at.peer.get(first.task_id)).status.state.name == "COMPLETED"
        assert second.text == "you said number 2 to me"
        known = json.dumps(at.model.requests[-1]["messages"])
        assert "This is number 1." in known
        assert "you said number 1 to me" in known
        other = await at.send("This is number 3.", context_id="another talk")
        assert other.text == "you said number 3 to me"
        assert "number 1" not in json.dumps(at.model.requests[-1])


@law("chat")
async def callers(case: AdapterCase) -> None:
    """The same context of two callers is two conversations."""
    async with desk(case.chat, _echo, callers=True) as at, at.caller("ann") as ann, at.caller("bob") as bob:
        await at.send("This is number 1.", peer=ann, context_id="talk")
        heard = await at.send("This is number 2.", peer=bob, context_id="talk")
        assert heard.text == "you said number 2 to me"
        assert "number 1" not in json.dumps(at.model.requests[-1]), "bob's model was told what ann said"


@law("chat")
async def parallel(case: AdapterCase) -> None:
    """A hundred runs of one object at the same time do not mix."""
    async with desk(case.chat, _echo) as at:
        turns = await asyncio.gather(*(at.send(f"This is number {number}.") for number in range(_AT_ONCE)))
        assert [turn.text for turn in turns] == [f"you said number {number} to me" for number in range(_AT_ONCE)]


@law("failing")
async def failure(case: AdapterCase) -> None:
    """What the framework raises fails the task, once, without a traceback and without what it says."""
    async with desk(case.failing, says("Never mind.")) as at:
        _check_failed(await at.send("Go."))


@law("chat")
async def model_failure(case: AdapterCase) -> None:
    """A model that refuses fails the task in the same way, and the next one goes through."""
    async with desk(case.chat, lambda body: ModelAnswer(f"Wrong key: {SECRET}", status=400)) as at:
        _check_failed(await at.send("Hello.", context_id="talk"))
        at.model.answer = says("Here I am.")
        turn = await at.send("Are you there?", context_id="talk")
        assert (turn.state, turn.text) == ("COMPLETED", "Here I am."), turn.said


def _check_failed(turn: Turn) -> None:
    assert turn.state == "FAILED"
    assert turn.said, "it does not say why"
    told = "".join(event.value.to_json().decode() for event in turn.events)
    for word in (SECRET, "Traceback", 'File \\"'):
        assert word not in told, f"the caller is shown {word!r}"


@law("chat")
async def blocking_tool(case: AdapterCase) -> None:
    """A tool that blocks holds up nobody else."""
    begun, released = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def wait_long(word: str) -> str:
        """Wait until it is over."""
        begun.set()
        in_time.append(released.wait(_LONG))
        return word

    def answer(body: Body) -> ModelAnswer:
        if "Wait" not in last_words(body):
            return ModelAnswer("Not held up.")
        waited = any(message["role"] == "tool" for message in body["messages"])
        return ModelAnswer("It is over.") if waited else ModelAnswer(calls=[("wait_long", {"word": "over"})])

    async with desk(case.chat, answer, tools=[wait_long]) as at, asyncio.TaskGroup() as group:
        waiting = group.create_task(at.send("Wait."))
        await asyncio.to_thread(begun.wait)
        meanwhile = await at.send("Hello.")
        released.set()
    assert meanwhile.text == "Not held up."
    assert in_time == [True], "nobody else was served while the tool was blocking"
    assert waiting.result().text == "It is over."
