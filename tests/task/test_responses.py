"""What becomes of what an agent returns, raises, or does instead."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from codin import a2a
from codin.errors import TaskClosed
from codin.task import USAGE_KEY, AgentResponse, Reject, Task
from tests.task.desk import Desk, entries_of, message_of, state_of, text_of

pytestmark = pytest.mark.anyio

Agent = Callable[[Task], Awaitable[AgentResponse]]


class Shirt(BaseModel):
    """Any model."""

    size: int


async def _exit(task: Task) -> AgentResponse:
    sys.exit(3)


async def _garbage(task: Task) -> AgentResponse:
    return {"text": "hello"}  # type: ignore[return-value]


async def _none(task: Task) -> AgentResponse:
    return None  # type: ignore[return-value]


async def _unknown_outcome(task: Task) -> AgentResponse:
    return AgentResponse("finished")  # type: ignore[arg-type]


async def _unsendable(task: Task) -> AgentResponse:
    return AgentResponse.completed(data=object())


async def _direct(task: Task) -> AgentResponse:
    return AgentResponse.message("hello")


async def _cancels_itself(task: Task) -> AgentResponse:
    raise asyncio.CancelledError


async def _cancels_its_own_task(task: Task) -> AgentResponse:
    mine = asyncio.current_task()
    assert mine is not None
    mine.cancel()
    await asyncio.Event().wait()
    raise AssertionError


async def _group(task: Task) -> AgentResponse:
    async with asyncio.TaskGroup() as group:
        group.create_task(_exit_softly())
    raise AssertionError


async def _exit_softly() -> None:
    raise ValueError("inside")


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        (_exit, "SystemExit"),
        (_garbage, "INVALID_AGENT_RESPONSE"),
        (_none, "INVALID_AGENT_RESPONSE"),
        (_unknown_outcome, "INVALID_AGENT_RESPONSE"),
        (_unsendable, "INVALID_AGENT_RESPONSE"),
        (_direct, "reply='message'"),
        (_cancels_itself, "stopped itself"),
        (_cancels_its_own_task, "stopped itself"),
        (_group, "ExceptionGroup"),
    ],
)
async def test_an_agent_that_breaks_its_promise_has_failed_and_hurts_nobody(agent: Agent, says: str) -> None:
    async def either(task: Task) -> AgentResponse:
        return AgentResponse.completed("fine") if task.text == "fine" else await agent(task)

    desk = Desk(either)
    task = await desk.send(context_id="c")
    assert state_of(task) == "FAILED"
    assert says in message_of(task)
    assert text_of(await desk.send("fine", context_id="c")) == "fine"
    assert desk.manager.running == 0


async def test_writes_after_the_end_are_refused() -> None:
    late: list[str] = []
    over = asyncio.Event()
    written = asyncio.Event()

    async def leaves_something_running(task: Task) -> AgentResponse:
        async def tail() -> None:
            await over.wait()
            for write in (task.write("x"), task.status("x"), task.artifact("x"), task.ask("x"), task.authorize("x")):
                try:
                    await write
                except TaskClosed as error:
                    late.append(type(error).__name__)
            written.set()

        tails.append(asyncio.create_task(tail()))
        return AgentResponse.completed("done")

    tails: list[asyncio.Task[None]] = []
    desk = Desk(leaves_something_running)
    task = await desk.send()
    over.set()
    await written.wait()
    assert late == ["TaskClosed"] * 5
    assert entries_of(await desk.log(task["id"])) == ["input", "WORKING", "artifact", "COMPLETED"]


@pytest.mark.parametrize(
    ("response", "state", "says"),
    [
        (AgentResponse.completed(), "COMPLETED", ""),
        (AgentResponse.failed("no luck"), "FAILED", "no luck"),
        (AgentResponse.rejected("not me"), "REJECTED", "not me"),
        (AgentResponse.input_required("which?"), "INPUT_REQUIRED", "which?"),
        (AgentResponse.auth_required("log in"), "AUTH_REQUIRED", "log in"),
    ],
)
async def test_an_outcome_becomes_a_state(response: AgentResponse, state: str, says: str) -> None:
    async def answers(task: Task) -> AgentResponse:
        return response

    task = await Desk(answers).send()
    assert (state_of(task), message_of(task)) == (state, says)


async def test_reject_may_be_raised_from_anywhere() -> None:
    async def refuses(task: Task) -> AgentResponse:
        raise Reject("not me")

    task = await Desk(refuses).send()
    assert (state_of(task), message_of(task)) == ("REJECTED", "not me")


@pytest.mark.parametrize("data", [{"size": 4}, [1, 2], 0, False, "text", Shirt(size=4)])
async def test_data_gets_an_artifact_of_its_own(data: Any) -> None:
    async def answers(task: Task) -> AgentResponse:
        return AgentResponse.completed("text", data=data)

    task = await Desk(answers).send()
    expected = {"size": 4} if isinstance(data, Shirt) else data
    assert [artifact["parts"] for artifact in task["artifacts"]] == [[{"text": "text"}], [{"data": expected}]]


async def test_usage_is_added_up_and_shown() -> None:
    async def counts(task: Task) -> AgentResponse:
        task.usage(input_tokens=3)
        task.usage(input_tokens=4, output_tokens=1)
        return AgentResponse.completed("x", usage={"output_tokens": 5})

    desk = Desk(counts)
    task = await desk.send()
    assert task["metadata"][USAGE_KEY] == {"input_tokens": 7, "output_tokens": 5}
    assert [json.loads(entry.body) for entry in await desk.log(task["id"]) if entry.kind == "usage"] == [
        {"input_tokens": 7, "output_tokens": 5}
    ]


async def _updates(desk: Desk, task_id: str) -> list[dict[str, Any]]:
    """The artifact updates of the log."""
    log = await desk.log(task_id)
    return [json.loads(entry.body)["artifactUpdate"] for entry in log if entry.kind == "artifact"]


# -- text --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("returned", [None, "one two"])
@pytest.mark.parametrize("closing_update", [False, True])
async def test_written_text_is_the_answer_with_or_without_a_closing_update(
    returned: str | None, closing_update: bool
) -> None:
    async def writes(task: Task) -> AgentResponse:
        for chunk in ("one", " ", "", "two"):
            await task.write(chunk)
        return AgentResponse.completed(returned)

    desk = Desk(writes, closing_update=closing_update)
    task = await desk.send()
    assert task["artifacts"] == [{"artifactId": "text-1", "parts": [{"text": "one two"}]}]
    updates = await _updates(desk, task["id"])
    assert [update["artifact"]["parts"][0]["text"] for update in updates[:3]] == ["one", " ", "two"]
    assert [update.get("append", False) for update in updates[:3]] == [False, True, True]
    if closing_update:
        assert updates[3]["lastChunk"]
        assert not updates[3].get("append")
        assert updates[3]["artifact"]["parts"] == [{"text": "one two"}]
    assert len(updates) == 3 + closing_update


@pytest.mark.parametrize("written", [True, False])
async def test_the_answer_is_said_in_the_completed_status_when_that_is_wanted(written: bool) -> None:
    async def answers(task: Task) -> AgentResponse:
        if task.text == "data":
            return AgentResponse.completed(data=[1])
        if not written:
            return AgentResponse.completed("one two")
        for chunk in ("one ", "two"):
            await task.write(chunk)
        return AgentResponse.completed()

    desk = Desk(answers, closing_message=True)
    task = await desk.send()
    assert message_of(task) == text_of(task) == "one two"
    assert "message" not in (await desk.send("data"))["status"]
    assert "message" not in (await Desk(answers).send())["status"]


async def test_another_text_than_was_written_fails_the_task() -> None:
    async def writes(task: Task) -> AgentResponse:
        await task.write("one")
        return AgentResponse.completed("two")

    task = await Desk(writes).send()
    assert state_of(task) == "FAILED"
    assert "differs" in message_of(task)


async def test_what_was_written_stays_when_the_agent_fails() -> None:
    async def writes(task: Task) -> AgentResponse:
        await task.write("half an ans")
        raise RuntimeError

    task = await Desk(writes).send()
    assert (state_of(task), text_of(task)) == ("FAILED", "half an ans")


@pytest.mark.parametrize("chunks", [["a\ud83d", "\ude00b"], ["\udfff"], ["ok ", "\ud800"], ["\ud83d\ude00"]])
@pytest.mark.parametrize("returns", [False, True])
async def test_broken_text_is_mended_and_the_same_for_every_reader(chunks: list[str], returns: bool) -> None:
    async def writes(task: Task) -> AgentResponse:
        for chunk in chunks:
            await task.write(chunk)
        return AgentResponse.completed("".join(chunks) if returns else None)

    desk = Desk(writes)
    task = await desk.send()
    assert state_of(task) == "COMPLETED"
    updates = await _updates(desk, task["id"])
    texts = ["".join(part["text"] for part in update["artifact"]["parts"]) for update in updates]
    assert "".join(texts[:-1]) == texts[-1] == text_of(task)
    text_of(task).encode()


async def test_broken_text_breaks_nothing_wherever_it_comes_from() -> None:
    broken = "\ud800"

    async def everywhere(task: Task) -> AgentResponse:
        await task.status(broken, metadata={broken: [broken, float("nan")]})
        await task.artifact({"broken": broken}, name=broken, metadata={broken: float("inf")})
        await task.artifact(broken)
        task.usage(cost=float("nan"))
        await task.ask(broken, data={"n": float("nan"), "t": broken})
        return AgentResponse("completed", data=[broken], metadata={"m": broken}, usage={"n": float("inf")})

    desk = Desk(everywhere)
    task = await desk.send()
    assert (state_of(task), message_of(task)) == ("INPUT_REQUIRED", "\ufffd")
    task = await desk.send("go on", task_id=task["id"])
    assert state_of(task) == "COMPLETED", message_of(task)
    for entry in await desk.log(task["id"]):
        body = entry.body.decode()
        assert not any(word in body for word in ("NaN", "Infinity", "ud800"))
        json.loads(body)
    a2a.Task.from_json(json.dumps(task))


async def test_a_pause_keeps_a_token_that_no_json_can_hold_as_far_as_it_can() -> None:
    async def pauses(task: Task) -> AgentResponse:
        if task.resume is None:
            return AgentResponse.input_required("which?", token={"at": float("nan"), "text": "\ud800"})
        return AgentResponse.completed(json.dumps(task.resume))

    desk = Desk(pauses)
    task = await desk.send()
    assert json.loads(text_of(await desk.send("x", task_id=task["id"]))) == {"at": None, "text": "\ufffd"}
