"""Questions: asked, answered, answered late, answered with a secret, and asked differently the second time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from codin import a2a
from codin.task import AgentResponse, Limits, MemoryStore, NeedAuth, NeedInput, Task
from codin.task.stores import SQLiteStore
from tests.task.desk import ALICE, Desk, entries_of, message_of, state_of, text_of

pytestmark = pytest.mark.anyio

SECRET = "hunter2-correct-horse"


class Size(BaseModel):
    """What a shirt needs."""

    width: int
    fit: str = "slim"


async def test_an_answer_is_text_data_or_files() -> None:
    heard: list[object] = []

    async def asks(task: Task) -> AgentResponse:
        answer = await task.ask("which?", data={"choices": ["a", "b"]})
        heard.extend([answer.text, answer.data, [part.filename for part in answer.files]])
        return AgentResponse.completed()

    desk = Desk(asks)
    task = await desk.send()
    assert task["status"]["message"]["parts"] == [{"text": "which?"}, {"data": {"choices": ["a", "b"]}}]
    parts = [a2a.Part(text="b"), a2a.Part(data={"n": 1}), a2a.Part(raw=b"x", filename="x.bin")]
    await desk.send(task_id=task["id"], parts=parts)
    assert heard == ["b", {"n": 1}, ["x.bin"]]


async def test_an_answer_with_a_schema_is_asked_for_until_it_fits() -> None:
    async def asks(task: Task) -> AgentResponse:
        size = await task.ask("which size?", schema=Size)
        return AgentResponse.completed(data=size)

    desk = Desk(asks)
    task = await desk.send()
    assert task["status"]["message"]["parts"][1]["data"]["schema"]["properties"].keys() == {"width", "fit"}
    task = await desk.send("large", task_id=task["id"])
    assert message_of(task).startswith("That does not fit")
    task = await desk.send(task_id=task["id"], parts=[a2a.Part(data={"width": "wide"})])
    assert state_of(task) == "INPUT_REQUIRED"
    task = await desk.send(task_id=task["id"], parts=[a2a.Part(data={"width": 40})])
    assert task["artifacts"][0]["parts"] == [{"data": {"width": 40, "fit": "slim"}}]


@pytest.mark.parametrize(("said", "meant"), [("7", 7), (" 7 ", 7), ("true", True), ('"x"', "x"), ("x", "x")])
async def test_a_plain_text_answer_is_read_as_the_type(said: str, meant: object) -> None:
    heard: list[object] = []

    async def asks(task: Task) -> AgentResponse:
        heard.append(await task.ask("which?", schema=type(meant)))
        return AgentResponse.completed()

    desk = Desk(asks)
    task = await desk.send()
    assert state_of(await desk.send(said, task_id=task["id"])) == "COMPLETED"
    assert heard == [meant]


async def test_a_pause_gives_its_token_back_with_the_answer() -> None:
    token = {"step": [1, None, "two"]}

    async def pauses(task: Task) -> AgentResponse:
        if task.resume is None:
            raise NeedInput("which?", data=["a", "b"], token=token)
        assert task.resume == token
        return AgentResponse.completed(task.text)

    desk = Desk(pauses)
    task = await desk.send()
    assert state_of(task) == "INPUT_REQUIRED"
    assert text_of(await desk.send("blue", task_id=task["id"])) == "blue"


# -- credentials -------------------------------------------------------------------------------------------------------


async def _authorizes(task: Task) -> AgentResponse:
    credential = await task.authorize("log in please")
    assert SECRET in credential.text
    return AgentResponse.completed(f"{len(credential.text)} letters")


async def _needs_auth(task: Task) -> AgentResponse:
    if task.resume is None:
        raise NeedAuth("log in please", token=1)
    assert SECRET in task.text
    return AgentResponse.completed(f"{len(task.text)} letters")


@pytest.mark.parametrize("agent", [_authorizes, _needs_auth])
@pytest.mark.parametrize("queued", [False, True])
async def test_a_credential_reaches_the_agent_and_no_store(
    agent: Callable[[Task], Awaitable[AgentResponse]], queued: bool
) -> None:
    go = asyncio.Event()

    async def either(task: Task) -> AgentResponse:
        if task.text == "busy":
            await go.wait()
            return AgentResponse.completed()
        return await agent(task)

    desk = Desk(either, store := MemoryStore())
    task = await desk.send(context_id="c")
    assert state_of(task) == "AUTH_REQUIRED"
    if queued:
        await desk.submit("busy", context_id="c")
    secret = [a2a.Part(text=SECRET), a2a.Part(data={"token": SECRET}), a2a.Part(raw=SECRET.encode(), filename=SECRET)]
    turn = await desk.submit(task_id=task["id"], parts=secret, metadata={"token": SECRET}, key="k")
    go.set()
    task = json.loads(await turn.outcome())
    assert text_of(task) == f"{len(SECRET)} letters"
    log = await desk.log(task["id"])
    kept = [json.dumps(task), *(str(entry.body) for entry in log)]
    kept += [str([entry.body for entry in commit.entries]) for commit in await store.feed(0)]
    assert not any(SECRET in text for text in kept)
    assert "[redacted]" in kept[0]


@pytest.mark.requirement("STATE-AUTH-SECRET")
async def test_a_credential_is_in_no_byte_of_the_database(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "tasks.db")
    desk = Desk(_authorizes, store)
    task = await desk.send()
    assert text_of(await desk.send(SECRET, task_id=task["id"], metadata={"token": SECRET}, key="k")) == "21 letters"
    await store.close()
    written = b"".join(map(Path.read_bytes, tmp_path.glob("*")))  # noqa: ASYNC240
    assert b"log in please" in written
    assert SECRET.encode() not in written


async def test_the_next_answer_is_not_redacted() -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.authorize("log in")
        return AgentResponse.completed((await task.ask("which?")).text)

    desk = Desk(asks)
    task = await desk.send()
    task = await desk.send(SECRET, task_id=task["id"])
    task = await desk.send("blue", task_id=task["id"])
    said = [part["text"] for message in task["history"] if message["role"] == "ROLE_USER" for part in message["parts"]]
    assert said == ["hello", "[redacted]", "blue"]


# -- letting go --------------------------------------------------------------------------------------------------------


async def test_a_question_keeps_its_coroutine_for_park_timeout_and_no_longer() -> None:
    runs: list[str] = []
    unwound = asyncio.Event()

    async def asks(task: Task) -> AgentResponse:
        runs.append(task.text)
        await task.write("before ")
        try:
            answer = await task.ask("which?")
        except asyncio.CancelledError:
            unwound.set()
            raise
        await task.write(answer.text)
        return AgentResponse.completed()

    desk = Desk(asks, limits=Limits(park_timeout=0.01))
    task = await desk.send()
    await unwound.wait()
    assert state_of(await desk.get(task["id"])) == "INPUT_REQUIRED"
    task = await desk.send("blue", task_id=task["id"])
    assert text_of(task) == "before blue"
    assert runs == ["hello", "hello"]  # the handler ran again, with the message it began with
    assert entries_of(await desk.log(task["id"])).count("ask") == 1


async def test_a_subscriber_follows_a_task_that_was_let_go() -> None:
    async def asks(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.ask("which?")).text)

    desk = Desk(asks, limits=Limits(park_timeout=0.0))
    task = await desk.send()
    async with desk.watch(task["id"]) as events:
        assert (await anext(events))["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"
        for _ in range(5):
            await asyncio.sleep(0)
        await desk.send("blue", task_id=task["id"])
        rest = [event async for event in events]
    assert rest[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_coroutine_that_is_let_go_cannot_write_any_more() -> None:
    errors: list[str] = []
    done = asyncio.Event()

    async def clings(task: Task) -> AgentResponse:
        try:
            return AgentResponse.completed((await task.ask("which?")).text)
        except asyncio.CancelledError:
            try:
                await task.write("still here")
            except Exception as error:
                errors.append(type(error).__name__)
            done.set()
            return AgentResponse.completed("my own outcome")

    desk = Desk(clings, limits=Limits(park_timeout=0.0))
    task = await desk.send()
    await done.wait()
    assert errors == ["TaskClosed"]
    assert state_of(await desk.get(task["id"])) == "INPUT_REQUIRED"


# -- the same questions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (["one", "other"], "question 2 was 'two' and is now 'other'"),
        (["other", "two"], "question 1 was 'one' and is now 'other'"),
        ([], "fewer questions"),
        (["one"], "fewer questions"),
    ],
)
async def test_other_questions_than_the_first_time_fail_the_task(second: list[str], says: str) -> None:
    questions = ["one", "two"]

    async def asks(task: Task) -> AgentResponse:
        for question in tuple(questions):
            await task.ask(question)
        return AgentResponse.completed("done")

    store = MemoryStore()
    desk = Desk(asks, store)
    task = await desk.send()
    task = await desk.send("1", task_id=task["id"])
    assert message_of(task) == "two"
    await desk.manager.drain()
    questions[:] = second
    task = await Desk(asks, store).send("2", task_id=task["id"])
    assert state_of(task) == "FAILED"
    assert message_of(task).startswith("RESUME_MISMATCH")
    assert says in message_of(task)


async def test_a_question_that_moved_from_ask_to_authorize_is_another_one() -> None:
    secret: list[bool] = []

    async def asks(task: Task) -> AgentResponse:
        await (task.authorize if secret else task.ask)("who?")
        return AgentResponse.completed()

    store = MemoryStore()
    desk = Desk(asks, store)
    task = await desk.send()
    await desk.manager.drain()
    secret.append(True)
    task = await Desk(asks, store).send("me", task_id=task["id"])
    assert "RESUME_MISMATCH" in message_of(task)


async def test_a_forgotten_credential_is_asked_for_again_and_the_other_answers_are_not() -> None:
    async def asks(task: Task) -> AgentResponse:
        one = (await task.ask("one?")).text
        key = (await task.authorize("key?")).text
        two = (await task.ask("two?")).text
        return AgentResponse.completed(f"{one} {len(key)} {two}")

    store = MemoryStore()
    desk = Desk(asks, store)
    task = await desk.send()
    for answer in ("1", SECRET):
        task = await desk.send(answer, task_id=task["id"])
    assert message_of(task) == "two?"
    await desk.manager.drain()
    desk = Desk(asks, store)
    task = await desk.send("2", task_id=task["id"])
    assert (state_of(task), message_of(task)) == ("AUTH_REQUIRED", "key?")
    task = await desk.send(SECRET, task_id=task["id"])
    assert text_of(task) == f"1 {len(SECRET)} 2"


async def test_the_answerer_is_the_caller_of_the_turn() -> None:
    async def asks(task: Task) -> AgentResponse:
        await task.ask("which?")
        return AgentResponse.completed(",".join(sorted(task.caller.scopes)))

    desk = Desk(asks)
    task = await desk.send()
    scoped = type(ALICE)("alice", scopes=frozenset({"write"}))
    assert text_of(await desk.send("blue", task_id=task["id"], caller=scoped)) == "write"
