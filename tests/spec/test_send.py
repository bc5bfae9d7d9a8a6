"""Sending a message, in every binding. Spec 3.1.1, 3.2.2, 3.3.1, 3.7."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codin.task import AgentResponse
from tests.spec.clerk import Clerk
from tests.spec.wire import Wire, message, state_of, texts_of

pytestmark = pytest.mark.anyio

AT_ONCE = {"returnImmediately": True}


@pytest.mark.requirement("SEND-ONE-ANSWER")
async def test_the_answer_is_a_task_or_a_message(wire: Wire) -> None:
    assert list(await wire.result("SendMessage", {"message": message()})) == ["task"]
    assert list(await wire.to("parrot").result("SendMessage", {"message": message()})) == ["message"]


@pytest.mark.requirement("SEND-BLOCKING", "SEND-LATEST-STATE")
@pytest.mark.parametrize("configuration", [None, {}, {"returnImmediately": False}])
@pytest.mark.parametrize("outcome", ["completed", "failed", "rejected", "input_required", "auth_required"])
async def test_a_send_waits_until_the_agent_rests(
    wire: Wire, clerk: Clerk, configuration: dict[str, Any] | None, outcome: str
) -> None:
    params: dict[str, Any] = {"message": message("x")}
    if configuration is not None:
        params["configuration"] = configuration
    sending = asyncio.ensure_future(wire.result("SendMessage", params))
    await clerk.strings["x"].write("so ", "far")
    assert not sending.done()
    response: AgentResponse = getattr(AgentResponse, outcome)("so far" if outcome == "completed" else "why")
    clerk.strings["x"].end(response)
    task = (await sending)["task"]
    assert state_of(task) == outcome.upper()
    assert texts_of(task) == ["so far"]
    if outcome != "completed":
        assert task["status"]["message"]["parts"] == [{"text": "why"}]


@pytest.mark.requirement("SEND-BLOCKING")
async def test_a_send_waits_for_a_cancel_too(wire: Wire, clerk: Clerk) -> None:
    sending = asyncio.ensure_future(wire.send("x"))
    await clerk.strings["x"].write("so far")
    [running] = (await wire.result("ListTasks"))["tasks"]
    await wire.result("CancelTask", {"id": running["id"]})
    assert state_of(await sending) == "CANCELED"


@pytest.mark.requirement("SEND-IMMEDIATELY", "SEND-GOES-ON")
async def test_an_immediate_answer_does_not_wait_and_the_work_goes_on(wire: Wire, clerk: Clerk) -> None:
    task = await wire.begin("x")
    assert state_of(task) in {"SUBMITTED", "WORKING"}
    async with wire.stream("SubscribeToTask", {"id": task["id"]}) as events:
        await anext(events)
        clerk.strings["x"].end(AgentResponse.completed("done"))
        assert [state_of(event) async for event in events][-1] == "COMPLETED"
    assert texts_of(await wire.result("GetTask", {"id": task["id"]})) == ["done"]


@pytest.mark.requirement("SEND-IMMEDIATELY-MESSAGE")
async def test_an_immediate_message_is_the_message(wire: Wire) -> None:
    result = await wire.to("parrot").result("SendMessage", {"message": message("hi"), "configuration": AT_ONCE})
    assert result["message"]["parts"] == [{"text": "hi"}]


@pytest.mark.requirement("SEND-IMMEDIATELY-STREAM")
async def test_an_immediate_stream_is_the_whole_stream(wire: Wire) -> None:
    params = {"message": message("say hello"), "configuration": AT_ONCE}
    events = await wire.events("SendStreamingMessage", params)
    assert state_of(events[-1]) == "COMPLETED"
    assert any("artifactUpdate" in event for event in events)


@pytest.mark.requirement("SEND-ENDED-TASK", "STREAM-ENDED-TASK")
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
@pytest.mark.parametrize("text", ["say x", "fail x", "reject x", "canceled"])
async def test_a_task_that_has_ended_takes_no_message(wire: Wire, method: str, text: str) -> None:
    if text == "canceled":
        task = await wire.begin(text)
        await wire.result("CancelTask", {"id": task["id"]})
    else:
        task = await wire.send(text)
    refused = await wire.refused(method, {"message": message("say more", taskId=task["id"])})
    assert refused.reason == "UNSUPPORTED_OPERATION"
    assert (await wire.result("ListTasks"))["totalSize"] == 1


@pytest.mark.requirement("SEND-MEDIA-TYPE", "STREAM-MEDIA-TYPE")
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_a_media_type_that_the_agent_does_not_take(wire: Wire, method: str) -> None:
    for part in ({"raw": "AAAA", "mediaType": "video/mp4"}, {"url": "https://e.example/v", "mediaType": "video/mp4"}):
        refused = await wire.refused(method, {"message": message(parts=[{"text": "look"}, part])})
        assert refused.reason == "CONTENT_TYPE_NOT_SUPPORTED"
    assert (await wire.result("ListTasks"))["totalSize"] == 0


@pytest.mark.requirement("SEND-ONCE")
async def test_a_send_with_a_key_is_done_once(wire: Wire) -> None:
    keyed = wire.saying(Idempotency_Key="k")
    assert await keyed.send("say one") == await keyed.send("say one")
    assert (await keyed.refused("SendMessage", {"message": message("say two")})).reason == "IDEMPOTENCY_CONFLICT"
    assert (await wire.result("ListTasks"))["totalSize"] == 1


@pytest.mark.requirement("SEND-SAME-MESSAGE-ID")
async def test_without_a_key_nothing_is_done_once(wire: Wire) -> None:
    one, two = await wire.send("say one"), await wire.send("say one")
    assert one["history"][0]["messageId"] == two["history"][0]["messageId"]
    assert one["id"] != two["id"]


@pytest.mark.requirement("SEND-RESULTS-IN-ARTIFACTS")
async def test_results_are_artifacts(wire: Wire) -> None:
    task = await wire.send("say hello")
    assert texts_of(task) == ["hello"]
    assert "message" not in task["status"]
    assert [entry["role"] for entry in task["history"]] == ["ROLE_USER"]


@pytest.mark.requirement("SEND-STATUS-MESSAGE")
async def test_a_question_is_a_message_in_the_status(wire: Wire) -> None:
    task = await wire.send("ask which?")
    asked = task["status"]["message"]
    assert (asked["role"], asked["parts"], asked["taskId"]) == ("ROLE_AGENT", [{"text": "which?"}], task["id"])
    assert "artifacts" not in task
