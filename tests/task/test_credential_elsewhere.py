"""A credential that comes another way than in a message. Spec 7.6.1."""

from __future__ import annotations

import asyncio

import pytest

from codin.task import AgentResponse, Limits, Task
from tests.task.desk import Desk, state_of, text_of

pytestmark = pytest.mark.anyio


class LoggedOut(Exception):
    """The person went away."""


class Login:
    """A page where a person logs in."""

    def __init__(self) -> None:
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.canceled = asyncio.Event()

    async def wait(self) -> str:
        try:
            return await self.done
        except asyncio.CancelledError:
            self.canceled.set()
            raise


def asking(login: Login) -> Desk:
    async def handle(task: Task) -> AgentResponse:
        answer = await task.authorize("Log in at https://login.example", elsewhere=login.wait())
        return AgentResponse.completed(f"in as {answer.value or answer.text}")

    return Desk(handle)


@pytest.mark.requirement("STATE-AUTH-ELSEWHERE")
async def test_the_task_goes_on_without_a_message() -> None:
    login = Login()
    desk = asking(login)
    task = await desk.send()
    assert state_of(task) == "AUTH_REQUIRED"
    async with desk.watch(task["id"]) as events:
        login.done.set_result("ada")
        async with asyncio.timeout(10):
            states = [event["statusUpdate"]["status"]["state"] async for event in events if "statusUpdate" in event]
    assert [state.removeprefix("TASK_STATE_") for state in states] == [
        "WORKING",
        "AUTH_REQUIRED",
        "WORKING",
        "COMPLETED",
    ]
    assert text_of(await desk.get(task["id"])) == "in as ada"


async def test_a_message_is_taken_all_the_same() -> None:
    login = Login()
    desk = asking(login)
    task = await desk.send()
    done = await desk.send("bob", task_id=task["id"])
    assert text_of(done) == "in as bob"
    async with asyncio.timeout(10):
        await login.canceled.wait()


async def test_what_goes_wrong_there_is_raised_in_the_handler() -> None:
    login = Login()

    async def handle(task: Task) -> AgentResponse:
        try:
            await task.authorize("Log in.", elsewhere=login.wait())
        except LoggedOut:
            return AgentResponse.rejected("Nobody has logged in.")
        return AgentResponse.completed()

    desk = Desk(handle)
    task = await desk.send()
    login.done.set_exception(LoggedOut())
    async with asyncio.timeout(10):
        await desk.until(task["id"], "REJECTED")


async def test_it_may_have_come_before_the_question_is_asked() -> None:
    login = Login()
    login.done.set_result("ada")
    desk = asking(login)
    task = await desk.send()
    async with asyncio.timeout(10):
        await desk.until(task["id"], "COMPLETED")
    assert text_of(await desk.get(task["id"])) == "in as ada"


async def test_a_canceled_task_waits_for_nothing() -> None:
    login = Login()
    desk = asking(login)
    task = await desk.send()
    await desk.cancel(task["id"])
    async with asyncio.timeout(10):
        await login.canceled.wait()


async def test_after_a_while_only_a_message_goes_on() -> None:
    """A run that waits too long is let go, and what it waits for with it; the answer runs the handler anew."""
    logins: list[Login] = []

    async def handle(task: Task) -> AgentResponse:
        logins.append(Login())
        answer = await task.authorize("Log in.", elsewhere=logins[-1].wait())
        return AgentResponse.completed(f"in as {answer.value or answer.text}")

    desk = Desk(handle, limits=Limits(park_timeout=0.01))
    task = await desk.send()
    async with asyncio.timeout(10):
        await logins[0].canceled.wait()
    assert text_of(await desk.send("bob", task_id=task["id"])) == "in as bob"
