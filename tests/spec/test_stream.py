"""Streams, in every binding. Spec 3.1.2, 3.1.6, 3.5.2, 7.6.1, 11.7."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from codin.server import App
from codin.task import AgentResponse
from tests.spec.clerk import Clerk
from tests.spec.wire import Wire, message, state_of, texts_of

pytestmark = pytest.mark.anyio

OUTCOMES = ["COMPLETED", "FAILED", "REJECTED", "CANCELED"]


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"message": message(text, **fields)}


async def end(wire: Wire, clerk: Clerk, task_id: str, outcome: str) -> None:
    if outcome == "CANCELED":
        await wire.result("CancelTask", {"id": task_id})
    else:
        clerk.strings["x"].end(getattr(AgentResponse, outcome.lower())("so far" if outcome == "COMPLETED" else "why"))


@pytest.mark.requirement("STREAM-MESSAGE", "REST-STREAM", "GRPC-STREAM")
async def test_a_message_is_the_whole_stream(wire: Wire) -> None:
    [event] = await wire.to("parrot").events("SendStreamingMessage", said("hi"))
    assert event["message"]["parts"] == [{"text": "hi"}]


@pytest.mark.requirement("STREAM-TASK-FIRST", "STREAM-UPDATES", "STREAM-ENDS", "STREAM-AT-ONCE", "TASK-TOLD")
@pytest.mark.requirement("REST-STREAM", "GRPC-STREAM")
@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_the_task_its_updates_and_its_end(wire: Wire, clerk: Clerk, outcome: str) -> None:
    async with wire.stream("SendStreamingMessage", said("x")) as events:
        first = await anext(events)
        assert list(first) == ["task"]
        await clerk.strings["x"].write("so far")
        update = await anext(events)  # the agent is still at work
        assert update["artifactUpdate"]["artifact"]["parts"] == [{"text": "so far"}]
        await end(wire, clerk, first["task"]["id"], outcome)
        rest = [event async for event in events]
    assert {name for event in rest for name in event} <= {"statusUpdate", "artifactUpdate"}
    assert [state_of(event) for event in rest if "statusUpdate" in event] == [outcome]
    updates = [update for event in rest for update in event.values()]
    assert {each["taskId"] for each in updates} == {first["task"]["id"]}
    assert {each["contextId"] for each in updates} == {first["task"]["contextId"]}


@pytest.mark.requirement("STREAM-INTERRUPTED", "STATE-AUTH-STREAM", "STATE-AUTH-MESSAGES")
async def test_a_question_ends_the_stream_of_a_send_and_a_wanted_credential_does_not(wire: Wire) -> None:
    asked = await wire.events("SendStreamingMessage", said("ask which?"))
    assert state_of(asked[-1]) == "INPUT_REQUIRED"
    async with wire.stream("SendStreamingMessage", said("authorize who?")) as events:
        task_id = (await anext(events))["task"]["id"]
        assert state_of(await anext(events)) == "AUTH_REQUIRED"
        await wire.send("a key", taskId=task_id)
        assert [state_of(event) async for event in events][-1] == "COMPLETED"


@pytest.mark.requirement("STREAM-INTERRUPTED")
async def test_a_question_does_not_end_a_subscription(wire: Wire, clerk: Clerk) -> None:
    task = await wire.begin("x")
    async with wire.stream("SubscribeToTask", {"id": task["id"]}) as events:
        await anext(events)
        clerk.strings["x"].ask("which?")
        assert state_of(await anext(events)) == "INPUT_REQUIRED"
        await wire.begin("this", taskId=task["id"])
        assert state_of(await anext(events)) == "WORKING"
        clerk.strings["x"].end()
        assert [state_of(event) async for event in events] == ["COMPLETED"]


@pytest.mark.requirement("STREAM-REFUSED", "STREAM-UNKNOWN-TASK", "SUBSCRIBE-UNKNOWN")
async def test_what_is_refused_does_not_stream(wire: Wire) -> None:
    for method, params, reason in (
        ("SendStreamingMessage", said("x", parts=[]), "INVALID_PARAMS"),
        ("SendStreamingMessage", said("x", taskId="nope"), "TASK_NOT_FOUND"),
        ("SubscribeToTask", {"id": "nope"}, "TASK_NOT_FOUND"),
    ):
        assert (await wire.refused(method, params)).reason == reason


@pytest.mark.requirement(
    "STREAM-ORDER", "STREAM-SEVERAL", "STREAM-BROADCAST", "STREAM-SAME-FOR-ALL", "STREAM-CLOSED-ALONE",
)  # fmt: skip
async def test_all_streams_of_a_task_tell_the_same_whoever_leaves(wire: Wire, clerk: Clerk) -> None:
    string, told = clerk.strings["x"], [f"{number} " for number in range(50)]
    async with AsyncExitStack() as stack:
        sending = await stack.enter_async_context(wire.stream("SendStreamingMessage", said("x")))
        watched = {"id": (await anext(sending))["task"]["id"]}
        watching = [await stack.enter_async_context(wire.stream("SubscribeToTask", watched)) for _ in range(2)]
        async with wire.stream("SubscribeToTask", watched) as leaving:
            for stream in (leaving, *watching):
                assert state_of(await anext(stream)) == "WORKING"
            await string.write(*told[:25])
            await anext(leaving)
        await string.write(*told[25:])
        string.end()
        tails = [[event async for event in stream] for stream in (sending, *watching)]
    assert tails[0] == tails[1] == tails[2]
    pieces = [
        event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in tails[0] if "artifactUpdate" in event
    ]
    assert pieces[:50] == told
    assert state_of(tails[0][-1]) == "COMPLETED"


@pytest.mark.requirement("STREAM-OUTLIVED")
async def test_a_task_outlives_its_streams(wire: Wire, clerk: Clerk) -> None:
    async with wire.stream("SendStreamingMessage", said("x")) as events:
        task_id = (await anext(events))["task"]["id"]
    await clerk.strings["x"].write("alone ")
    async with wire.stream("SubscribeToTask", {"id": task_id}) as events:
        assert texts_of((await anext(events))["task"]) == ["alone "]
        clerk.strings["x"].end()
        assert [state_of(event) async for event in events][-1] == "COMPLETED"


@pytest.mark.requirement("STREAM-DECLARED")
async def test_streams_are_declared(wire: Wire, app: App) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        card = (await http.get("/clerk/.well-known/agent-card.json")).json()
    assert card["capabilities"]["streaming"] is True
    assert await wire.events("SendStreamingMessage", said("say x"))


# -- subscriptions -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("SUBSCRIBE-TASK-FIRST", "SUBSCRIBE-ENDS", "SUBSCRIBE-ANY")
@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_a_subscription_begins_with_the_task_as_it_is(wire: Wire, clerk: Clerk, outcome: str) -> None:
    task = await wire.begin("x")
    await clerk.strings["x"].write("so ")
    async with wire.stream("SubscribeToTask", {"id": task["id"]}) as events:
        first = (await anext(events))["task"]
        assert (first["id"], first["contextId"], texts_of(first)) == (task["id"], task["contextId"], ["so "])
        await clerk.strings["x"].write("far")
        assert (await anext(events))["artifactUpdate"]["artifact"]["parts"] == [{"text": "far"}]
        await end(wire, clerk, task["id"], outcome)
        assert [state_of(event) async for event in events][-1] == outcome


@pytest.mark.requirement("SUBSCRIBE-ANY")
@pytest.mark.parametrize("text", ["ask which?", "authorize who?"])
async def test_a_task_that_waits_can_be_subscribed_to(wire: Wire, text: str) -> None:
    task = await wire.send(text)
    async with wire.stream("SubscribeToTask", {"id": task["id"]}) as events:
        assert state_of(await anext(events)) == state_of(task)
        await wire.begin("this", taskId=task["id"])
        assert [state_of(event) async for event in events][-1] == "COMPLETED"


@pytest.mark.requirement("SUBSCRIBE-ENDED")
@pytest.mark.parametrize("text", ["say x", "fail x", "reject x"])
async def test_a_task_that_has_ended_cannot_be_subscribed_to(wire: Wire, text: str) -> None:
    task = await wire.send(text)
    assert (await wire.refused("SubscribeToTask", {"id": task["id"]})).reason == "UNSUPPORTED_OPERATION"
