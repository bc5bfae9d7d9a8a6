"""Contexts, task ids, and what is asked for in between, in every binding. Spec 3.4, 7.6."""

from __future__ import annotations

from typing import Any

import pytest

from tests.spec.clerk import Clerk
from tests.spec.wire import Wire, message, state_of, texts_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("CONTEXT-MADE", "TASK-MADE", "TASK-TOLD")
async def test_ids_are_made_and_told(wire: Wire) -> None:
    one, two = await wire.send(), await wire.send()
    assert len({one["id"], two["id"], one["contextId"], two["contextId"]}) == 4
    assert all({one["id"], two["id"], one["contextId"], two["contextId"]})
    answer = (await wire.to("parrot").result("SendMessage", {"message": message()}))["message"]
    assert answer["contextId"]


@pytest.mark.requirement("CONTEXT-KEPT", "CONTEXT-NOT-REPLACED", "CONTEXT-NEW-TASK")
async def test_a_context_of_the_client_is_kept(wire: Wire) -> None:
    one, two = await wire.send(contextId="mine"), await wire.send(contextId="mine")
    assert (one["contextId"], two["contextId"]) == ("mine", "mine")
    assert one["id"] != two["id"]
    [first, *_] = await wire.events("SendStreamingMessage", {"message": message(contextId="mine")})
    assert first["task"]["contextId"] == "mine"
    params = {"message": message(contextId="mine")}
    assert (await wire.to("parrot").result("SendMessage", params))["message"]["contextId"] == "mine"


@pytest.mark.requirement("CONTEXT-INFERRED", "STATE-INPUT")
@pytest.mark.parametrize("names_context", [True, False])
async def test_an_answer_goes_on_in_its_task_and_context(wire: Wire, names_context: bool) -> None:
    asked = await wire.send("ask which?", contextId="mine")
    assert state_of(asked) == "INPUT_REQUIRED"
    context = {"contextId": "mine"} if names_context else {}
    answered = await wire.send("this one", taskId=asked["id"], **context)
    assert (answered["id"], answered["contextId"], state_of(answered)) == (asked["id"], "mine", "COMPLETED")
    assert texts_of(answered) == ["this one"]


@pytest.mark.requirement("CONTEXT-MISMATCH")
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_a_context_that_is_not_the_tasks(wire: Wire, method: str) -> None:
    asked = await wire.send("ask which?", contextId="mine")
    refused = await wire.refused(method, {"message": message("x", taskId=asked["id"], contextId="other")})
    assert (refused.reason, list(refused.violations)) == ("INVALID_PARAMS", ["message.contextId"])
    assert await wire.result("GetTask", {"id": asked["id"]}) == asked
    assert (await wire.result("ListTasks"))["totalSize"] == 1


@pytest.mark.requirement("TASK-UNKNOWN")
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
@pytest.mark.parametrize("fields", [{}, {"contextId": "mine"}])
async def test_no_task_is_made_by_an_id_of_the_client(wire: Wire, method: str, fields: dict[str, Any]) -> None:
    refused = await wire.refused(method, {"message": message(taskId="mine", **fields)})
    assert refused.reason == "TASK_NOT_FOUND"
    assert (await wire.result("ListTasks"))["totalSize"] == 0


@pytest.mark.requirement("CONTEXT-REFERENCES", "EXTENSION-POINTS")
async def test_what_a_message_refers_to_reaches_the_agent(wire: Wire, clerk: Clerk) -> None:
    first = await wire.send()
    said = {
        "referenceTaskIds": [first["id"]],
        "extensions": ["https://e.example/place/v1"],
        "metadata": {"https://e.example/place/v1": {"latitude": 52.5, "exact": True}},
    }
    task = await wire.send("say x", **said)
    assert {name: task["history"][0][name] for name in said} == said
    heard = clerk.heard[-1].history[-1].to_dict()
    assert {name: heard[name] for name in said} == said


# -- credentials -------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("STATE-AUTH", "STATE-AUTH-EXPLAINED", "STATE-AUTH-MESSAGES", "STATE-AUTH-SECRET")
async def test_a_credential_is_asked_for_and_kept_by_nobody_but_the_agent(wire: Wire) -> None:
    asked = await wire.send("authorize the key of the archive, please")
    assert state_of(asked) == "AUTH_REQUIRED"
    assert asked["status"]["message"]["parts"] == [{"text": "the key of the archive, please"}]
    answered = await wire.send("0pen-sesame", taskId=asked["id"])
    assert state_of(answered) == "COMPLETED"
    assert "0pen-sesame" not in str(answered)
    assert "0pen-sesame" not in str(await wire.result("GetTask", {"id": asked["id"]}))
