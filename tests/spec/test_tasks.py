"""Get, list and cancel, in every binding. Spec 3.1.3 to 3.1.5, 3.2.4."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from tests.spec.clerk import Clerk
from tests.spec.wire import Wire, message, state_of, texts_of

pytestmark = pytest.mark.anyio


async def pages(wire: Wire, **query: Any) -> list[dict[str, Any]]:
    """All pages of a query."""
    found = [await wire.result("ListTasks", query)]
    while token := found[-1]["nextPageToken"]:
        found.append(await wire.result("ListTasks", {**query, "pageToken": token}))
    return found


def ids(*found: dict[str, Any]) -> list[str]:
    return [task["id"] for page in found for task in page["tasks"]]


@pytest.mark.requirement("GET-STATE", "GET-AGAIN")
async def test_a_task_is_read_as_it_is(wire: Wire, clerk: Clerk) -> None:
    task = await wire.begin("x")
    await clerk.strings["x"].write("so far")
    for _ in range(2):
        found = await wire.result("GetTask", {"id": task["id"]})
        assert (state_of(found), texts_of(found)) == ("WORKING", ["so far"])
        assert [entry["parts"] for entry in found["history"]] == [[{"text": "x"}]]
    clerk.strings["x"].ask("which?")
    answered = await wire.send("this", taskId=(await wire.begin("ask which?"))["id"])
    assert [await wire.result("GetTask", {"id": answered["id"]}) for _ in range(2)] == [answered, answered]


@pytest.mark.requirement("GET-UNKNOWN", "CANCEL-UNKNOWN")
async def test_a_task_that_is_not_there(wire: Wire) -> None:
    for method in ("GetTask", "CancelTask"):
        assert (await wire.refused(method, {"id": "nope"})).reason == "TASK_NOT_FOUND"


# -- history -----------------------------------------------------------------------------------------------------------


async def by_get(wire: Wire, task: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return await wire.result("GetTask", {"id": task["id"], **fields})


async def by_list(wire: Wire, task: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    [found] = (await wire.result("ListTasks", {"contextId": task["contextId"], **fields}))["tasks"]
    return found


async def by_send(wire: Wire, task: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    asked = await wire.send("ask which?")
    params = {"message": message("this", taskId=asked["id"]), "configuration": fields}
    return (await wire.result("SendMessage", params))["task"]


@pytest.mark.requirement("HISTORY-UNSET", "HISTORY-ZERO", "HISTORY-OMITTED", "HISTORY-AT-MOST", "HISTORY-EVERYWHERE")
@pytest.mark.parametrize("read", [by_get, by_list, by_send])
@pytest.mark.parametrize("length", [None, 0, 1, 2, 99])
async def test_history_length(wire: Wire, read: Callable[..., Awaitable[dict[str, Any]]], length: int | None) -> None:
    task = await wire.send("this", taskId=(await wire.send("ask which?"))["id"])
    everything = ["ask which?", "which?", "this"]
    found = await read(wire, task, {} if length is None else {"historyLength": length})
    told = [entry["parts"][0]["text"] for entry in found.get("history", ())]
    assert told == (everything if length is None else everything[max(0, 3 - length) :])
    assert ("history" in found) is (length != 0)


@pytest.mark.requirement("HISTORY-NEGATIVE")
async def test_a_negative_length_is_wrong(wire: Wire) -> None:
    task = await wire.send()
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("GetTask", {"id": task["id"], "historyLength": -1}, "historyLength"),
        ("ListTasks", {"historyLength": -1}, "historyLength"),
        ("SendMessage", {"message": message(), "configuration": {"historyLength": -1}}, "configuration.historyLength"),
    ]
    for method, params, field in asked:
        refused = await wire.refused(method, params)
        assert (refused.reason, list(refused.violations)) == ("INVALID_PARAMS", [field])


# -- list --------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LIST-REQUIRED", "LIST-DEFAULT-SIZE", "LIST-NEXT-TOKEN")
async def test_an_empty_list_has_all_its_fields(wire: Wire) -> None:
    assert await wire.result("ListTasks") == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


@pytest.mark.requirement("LIST-ORDER", "LIST-EQUAL-TIMES", "LIST-NEXT-TOKEN", "LIST-TOTAL", "LIST-REQUIRED")
@pytest.mark.parametrize("size", [1, 4, 30])
async def test_pages_show_every_task_once_newest_first(wire: Wire, size: int) -> None:
    made = [task["id"] for task in await asyncio.gather(*(wire.send(f"say {number}") for number in range(12)))]
    found = await pages(wire, pageSize=size)
    assert sorted(ids(*found)) == sorted(made)
    assert [(page["pageSize"], page["totalSize"]) for page in found] == [(size, 12)] * len(found)
    assert [bool(page["nextPageToken"]) for page in found] == [True] * (len(found) - 1) + [False]
    times = [datetime.fromisoformat(task["status"]["timestamp"]) for page in found for task in page["tasks"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.requirement("LIST-DEFAULT-SIZE")
async def test_a_page_holds_fifty(wire: Wire) -> None:
    await asyncio.gather(*(wire.send() for _ in range(51)))
    assert [len(page["tasks"]) for page in await pages(wire)] == [50, 1]


@pytest.mark.requirement("LIST-CURSOR")
async def test_a_task_that_comes_between_two_pages_moves_nobody(wire: Wire) -> None:
    for number in range(4):
        await wire.send(f"say {number}")
    found = await pages(wire)
    whole, newest = ids(*found), datetime.fromisoformat(found[0]["tasks"][0]["status"]["timestamp"])
    first = await wire.result("ListTasks", {"pageSize": 2})
    while time.time() < newest.timestamp() + 0.001:  # noqa: ASYNC110 - of one millisecond, the order is by chance
        await asyncio.sleep(0)
    await wire.send("say late")
    second = await wire.result("ListTasks", {"pageSize": 2, "pageToken": first["nextPageToken"]})
    assert ids(first, second) == whole


@pytest.mark.requirement("LIST-NO-ARTIFACTS", "LIST-ARTIFACTS")
async def test_artifacts_are_there_when_they_are_asked_for(wire: Wire) -> None:
    task = await wire.send("say hello")
    for query in ({}, {"includeArtifacts": False}):
        [listed] = (await wire.result("ListTasks", query))["tasks"]
        assert listed == {key: value for key, value in task.items() if key != "artifacts"}
    assert (await wire.result("ListTasks", {"includeArtifacts": True}))["tasks"] == [task]


@pytest.mark.requirement("LIST-SIZE-RANGE")
@pytest.mark.parametrize("size", [0, -1, 101])
async def test_a_page_size_out_of_range(wire: Wire, size: int) -> None:
    refused = await wire.refused("ListTasks", {"pageSize": size})
    assert (refused.reason, list(refused.violations)) == ("INVALID_PARAMS", ["pageSize"])


@pytest.mark.requirement("LIST-BY-CONTEXT", "LIST-BY-STATUS", "LIST-BY-TIME", "LIST-TOTAL")
async def test_filters(wire: Wire) -> None:
    mine = await wire.send("ask which?", contextId="mine")
    other = await wire.send("say x")
    while other["status"]["timestamp"] <= mine["status"]["timestamp"]:
        other = await wire.send("say x")
    for query, expected in (
        ({"contextId": "mine"}, mine),
        ({"status": "TASK_STATE_INPUT_REQUIRED"}, mine),
        ({"status": "TASK_STATE_INPUT_REQUIRED", "contextId": "mine"}, mine),
        ({"statusTimestampAfter": mine["status"]["timestamp"], "pageSize": 1}, other),
    ):
        page = await wire.result("ListTasks", query)
        assert ids(page) == [expected["id"]]
    for query in ({"contextId": "nobody's"}, {"status": "TASK_STATE_FAILED"}):
        page = await wire.result("ListTasks", query)
        assert (page["tasks"], page["totalSize"]) == ([], 0)


@pytest.mark.requirement("LIST-BAD-TOKEN")
async def test_a_page_token_of_something_else(wire: Wire) -> None:
    for _ in range(2):
        await wire.send(contextId="c")
    token = (await wire.result("ListTasks", {"pageSize": 1, "contextId": "c"}))["nextPageToken"]
    for query in ({"pageToken": "forged"}, {"pageToken": token}):
        refused = await wire.refused("ListTasks", query)
        assert (refused.reason, list(refused.violations)) == ("INVALID_PARAMS", ["pageToken"])


# -- cancel ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("CANCEL-UPDATED", "CANCEL-AGAIN", "CANCEL-METADATA")
@pytest.mark.parametrize("text", ["x", "ask which?", "authorize who?"])
async def test_a_canceled_task_is_answered_each_time(wire: Wire, text: str) -> None:
    task = await wire.begin(text)
    canceled = await wire.result("CancelTask", {"id": task["id"], "metadata": {"why": "late"}})
    assert (canceled["id"], state_of(canceled)) == (task["id"], "CANCELED")
    assert await wire.result("CancelTask", {"id": task["id"]}) == canceled
    assert await wire.result("GetTask", {"id": task["id"]}) == canceled


@pytest.mark.requirement("CANCEL-ENDED")
@pytest.mark.parametrize("text", ["say x", "fail x", "reject x"])
async def test_a_task_that_has_ended_cannot_be_canceled(wire: Wire, text: str) -> None:
    task = await wire.send(text)
    assert (await wire.refused("CancelTask", {"id": task["id"]})).reason == "TASK_NOT_CANCELABLE"
    assert await wire.result("GetTask", {"id": task["id"]}) == task
