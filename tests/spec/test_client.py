"""What the client owes a server. Spec 3.6.1, 7.6.2."""

from __future__ import annotations

import pytest

from codin import a2a
from codin.agent import agent
from codin.client import connect
from codin.task import Task
from codin.testing import serving
from tests.client.scripted import Call, Script, now, talking_to, task

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("VERSION-CLIENT", "VERSION-NO-PATCH")
async def test_every_request_names_the_version() -> None:
    async def answers(call: Call) -> None:
        if call.method in {"SendStreamingMessage", "SubscribeToTask"}:
            await call.stream(task(), now("COMPLETED"))
        elif call.method == "SendMessage":
            await call.result(task("COMPLETED"))
        elif call.method == "ListTasks":
            await call.result({"tasks": []})
        else:
            await call.result(task("COMPLETED")["task"])

    script = Script(*[answers] * 6)
    async with talking_to(script) as peer:
        await peer.send("hi")
        assert [event async for event in peer.stream("hi")]
        assert [event async for event in peer.subscribe("t")]
        await peer.get("t")
        await peer.cancel("t")
        assert [each async for each in peer.list()] == []
    assert len(script.calls) == 6
    assert {call.headers["a2a-version"] for call in script.calls} == {"1.0"}


@agent
async def vault(task: Task) -> str:
    """Opens for who has the key."""
    return f"opened with {(await task.authorize('the key, please')).text}"


@pytest.mark.requirement("STATE-AUTH-CHAIN")
async def test_a_wanted_credential_is_asked_for_further_up() -> None:
    @agent
    async def porter(task: Task) -> str:
        """Asks for what the vault asks for."""
        asked = await task.call(url, task.text)
        assert asked.state is a2a.TaskState.AUTH_REQUIRED
        answer = await task.authorize(asked.text)
        return (await task.call(url, answer.text, task_id=asked.task_id)).text

    async with serving(vault) as url, serving(porter) as front, connect(front) as peer:
        asked = await peer.send("open it")
        assert (asked.state, asked.text) == (a2a.TaskState.AUTH_REQUIRED, "the key, please")
        assert (await peer.send("k3y", task_id=asked.task_id)).text == "opened with k3y"
