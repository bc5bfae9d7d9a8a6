"""ListTasks at the wire: filters, pages, what is left out. Spec 3.1.4."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin.agent import agent
from codin.server import App
from codin.task import Task
from codin.trust import BearerTokens
from tests.server.clock import still
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio


@agent
async def clerk(text: str, task: Task) -> str:
    """Answers, or asks."""
    if text == "ask":
        await task.ask("what?")
    return text


@pytest.fixture(params=["memory", "sqlite"])
async def rpc(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rpc]:
    app = App(clerk, store="memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'tasks.db'}")
    caller = Rpc(app)
    async with caller.http:
        yield caller
    await app.close()


async def pages(rpc: Rpc, **query: Any) -> list[dict[str, Any]]:
    """All pages of a query."""
    found = [await rpc.result("ListTasks", query)]
    while token := found[-1]["nextPageToken"]:
        found.append(await rpc.result("ListTasks", {**query, "pageToken": token}))
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [task["id"] for page in found for task in page["tasks"]]


def changed(task: dict[str, Any]) -> str:
    return task["status"]["timestamp"]


async def test_an_empty_list_has_all_its_fields(rpc: Rpc) -> None:
    assert await rpc.result("ListTasks") == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


async def test_artifacts_are_omitted_entirely_unless_they_are_asked_for(rpc: Rpc) -> None:
    task = await rpc.send("x")
    assert task["artifacts"]
    for fields in ({}, {"includeArtifacts": False}):
        [listed] = (await rpc.result("ListTasks", fields))["tasks"]
        assert listed == {key: value for key, value in task.items() if key != "artifacts"}
    [whole] = (await rpc.result("ListTasks", {"includeArtifacts": True}))["tasks"]
    assert whole == task


@pytest.mark.requirement("LIST-EQUAL-TIMES", "LIST-ORDER")
async def test_pages_over_equal_timestamps_show_every_task_once(rpc: Rpc) -> None:
    made: set[str] = set()
    with still() as clock:
        for count in (25, 5, 30):
            made |= {task["id"] for task in await asyncio.gather(*(rpc.send("x") for _ in range(count)))}
            await clock.advance(0.001)
    for size in (1, 7, 60, 100):
        found = await pages(rpc, pageSize=size)
        assert len(ids(found)) == 60
        assert set(ids(found)) == made
        assert {page["totalSize"] for page in found} == {60}
        assert {page["pageSize"] for page in found} == {size}
        assert [len(page["tasks"]) for page in found[:-1]] == [size] * (len(found) - 1)
        times = [changed(task) for page in found for task in page["tasks"]]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == 3


async def test_a_task_that_comes_between_two_pages_moves_nobody(rpc: Rpc) -> None:
    with still() as clock:
        for number in range(4):
            await rpc.send(str(number))
        await clock.advance(0.001)
        whole = ids(await pages(rpc, pageSize=100))
        first = await rpc.result("ListTasks", {"pageSize": 2})
        await rpc.send("late")
    second = await rpc.result("ListTasks", {"pageSize": 2, "pageToken": first["nextPageToken"]})
    assert ids([first, second]) == whole
    assert second["totalSize"] == 5


async def test_the_status_filter(rpc: Rpc) -> None:
    asked, done = await rpc.send("ask"), await rpc.send("x")
    for status, expected in (("INPUT_REQUIRED", [asked["id"]]), ("COMPLETED", [done["id"]]), ("FAILED", [])):
        page = await rpc.result("ListTasks", {"status": f"TASK_STATE_{status}"})
        assert (ids([page]), page["totalSize"]) == (expected, len(expected))


async def test_the_context_filter(rpc: Rpc) -> None:
    mine = [(await rpc.send("x", contextId="mine"))["id"] for _ in range(3)]
    await rpc.send("x", contextId="other")
    found = await pages(rpc, contextId="mine", pageSize=2)
    assert sorted(ids(found)) == sorted(mine)
    assert found[0]["totalSize"] == 3
    assert (await rpc.result("ListTasks", {"contextId": "none"}))["totalSize"] == 0


@pytest.mark.requirement("LIST-BY-TIME")
async def test_the_time_filter_is_strict(rpc: Rpc) -> None:
    tasks = [await rpc.send(str(number)) for number in range(20)]
    for task in tasks:
        page = await rpc.result("ListTasks", {"statusTimestampAfter": changed(task)})
        assert sorted(ids([page])) == sorted(other["id"] for other in tasks if changed(other) > changed(task))


async def test_the_time_filter_takes_other_zones_and_finer_fractions(rpc: Rpc) -> None:
    task = await rpc.send("x")
    for instant in ("2001-01-01T02:00:00+05:30", "2001-01-01T00:00:00.123456789Z"):
        assert (await rpc.result("ListTasks", {"statusTimestampAfter": instant}))["totalSize"] == 1
    just_behind = changed(task).replace("Z", "001Z")
    assert (await rpc.result("ListTasks", {"statusTimestampAfter": just_behind}))["totalSize"] == 0


async def test_filters_hold_together(rpc: Rpc) -> None:
    asked = await rpc.send("ask", contextId="c")
    await rpc.send("x", contextId="c")
    await rpc.send("ask", contextId="d")
    query = {"contextId": "c", "status": "TASK_STATE_INPUT_REQUIRED"}
    assert ids(await pages(rpc, **query)) == [asked["id"]]


async def test_an_answer_moves_the_task_to_the_front(rpc: Rpc) -> None:
    with still() as clock:
        asked = await rpc.send("ask")
        await clock.advance(0.001)
        other = await rpc.send("x")
        await clock.advance(0.001)
        assert ids(await pages(rpc)) == [other["id"], asked["id"]]
        answered = await rpc.send("go", taskId=asked["id"])
        assert changed(answered) > changed(other)
        assert ids(await pages(rpc)) == [asked["id"], other["id"]]


@pytest.mark.requirement("LIST-VISIBLE")
async def test_callers_see_their_own_tasks_only() -> None:
    rpc = Rpc(App(clerk, authenticator=BearerTokens({"a": "alice", "b": "bob"})))
    alice, bob = {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}
    await rpc.result("SendMessage", {"message": message(contextId="shared")}, **alice)
    mine = (await rpc.result("SendMessage", {"message": message(contextId="shared")}, **bob))["task"]
    for query in ({}, {"contextId": "shared"}):
        assert ids([await rpc.result("ListTasks", query, **bob)]) == [mine["id"]]
    first = await rpc.result("ListTasks", {"pageSize": 1}, **alice)
    await rpc.result("SendMessage", {"message": message()}, **alice)
    first = await rpc.result("ListTasks", {"pageSize": 1}, **alice)
    error = await rpc.error("ListTasks", {"pageSize": 1, "pageToken": first["nextPageToken"]}, **bob)
    assert error["fields"] == ["pageToken"]


@pytest.mark.requirement("TENANT-APART")
async def test_tenants_are_apart() -> None:
    rpc = Rpc(App(clerk))
    for tenant in ("one", "two", None):
        await rpc.result("SendMessage", {"message": message(), **({"tenant": tenant} if tenant else {})})
    found = [(await rpc.result("ListTasks", {"tenant": tenant}))["tasks"] for tenant in ("one", "two", "three")]
    assert [len(tasks) for tasks in found] == [1, 1, 0]
    assert found[0][0]["id"] != found[1][0]["id"]
    unknown = await rpc.error("GetTask", {"id": found[0][0]["id"], "tenant": "two"})
    assert unknown["reason"] == "TASK_NOT_FOUND"
