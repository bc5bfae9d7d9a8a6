"""Extensions of an agent: declared on the card, demanded, activated, echoed, and known to the task. Spec 4.6, 3.3.4."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codin import a2a
from codin.agent import agent
from codin.client import connect
from codin.server import App
from codin.task import Task
from codin.testing import serving
from tests.server.rpc import HEADERS, Rpc, message

pytestmark = pytest.mark.anyio

UNITS = "https://units.example/v1"
SEALS = a2a.AgentExtension(uri="https://seals.example/v2", description="Sealed answers.", required=True)


@agent(extensions=[UNITS])
async def measure(task: Task) -> str:
    """Measure."""
    return f"with {' and '.join(task.extensions) or 'nothing'}"


@agent(extensions=[SEALS, UNITS])
async def seal(task: Task) -> str:
    """Seal."""
    return f"sealed by {', '.join(task.extensions)}"


@agent(extensions=[UNITS])
async def ask(task: Task) -> str:
    """Ask first."""
    answer = await task.ask("Which?")
    return f"{answer.text} with {', '.join(task.extensions)}"


@agent(extensions=[UNITS], reply="message")
async def say(task: Task) -> str:
    """Say it in a message."""
    return f"with {', '.join(task.extensions)}"


def text_of(task: dict[str, Any]) -> str:
    return task["artifacts"][0]["parts"][0]["text"]


@pytest.mark.requirement("EXTENSION-DECLARED")
async def test_the_card_declares_them() -> None:
    async with serving(seal) as url, connect(url) as peer:
        declared = {each.uri: each for each in peer.card.capabilities.extensions}
    assert declared[SEALS.uri].required
    assert declared[SEALS.uri].description == "Sealed answers."
    assert not declared[UNITS].required


async def test_a_named_one_is_active_and_echoed() -> None:
    rpc = Rpc(App(measure))
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}).encode()
    response = await rpc.post(body, {**HEADERS, "A2A-Extensions": f"https://other.example/v1 , {UNITS}"})
    assert response.headers["a2a-extensions"] == UNITS
    assert text_of(response.json()["result"]["task"]) == f"with {UNITS}"


async def test_without_the_header_nothing_is_active() -> None:
    rpc = Rpc(App(measure))
    assert text_of(await rpc.send()) == "with nothing"


async def test_it_stays_active_for_the_answer_to_a_question() -> None:
    rpc = Rpc(App(ask))
    task = (await rpc.result("SendMessage", {"message": message()}, A2A_Extensions=UNITS))["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    done = await rpc.send("this", taskId=task["id"])
    assert text_of(done) == f"this with {UNITS}"


async def test_a_direct_message_knows_them_as_well() -> None:
    rpc = Rpc(App(say))
    answer = await rpc.result("SendMessage", {"message": message()}, A2A_Extensions=UNITS)
    assert answer["message"]["parts"][0]["text"] == f"with {UNITS}"


@pytest.mark.requirement("EXTENSION-REQUIRED")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SendMessage", {"message": message()}),
        ("SendStreamingMessage", {"message": message()}),
        ("GetTask", {"id": "x"}),
        ("ListTasks", {}),
        ("CancelTask", {"id": "x"}),
        ("SubscribeToTask", {"id": "x"}),
    ],
)
async def test_a_required_one_has_to_be_named_in_every_operation(method: str, params: dict[str, Any]) -> None:
    rpc = Rpc(App(seal))
    error = await rpc.error(method, params, A2A_Extensions=UNITS)
    assert error["code"] == -32008
    assert error["reason"] == "EXTENSION_SUPPORT_REQUIRED"
    assert SEALS.uri in error["hint"]


async def test_with_the_required_one_it_works() -> None:
    rpc = Rpc(App(seal))
    answer = await rpc.result("SendMessage", {"message": message()}, A2A_Extensions=f"{SEALS.uri},{UNITS}")
    assert text_of(answer["task"]) == f"sealed by {SEALS.uri}, {UNITS}"


@pytest.mark.requirement("EXTENSION-NO-FALLBACK")
async def test_another_version_of_one_is_another_extension() -> None:
    rpc = Rpc(App(seal))
    error = await rpc.error("SendMessage", {"message": message()}, A2A_Extensions="https://seals.example/v1")
    assert error["code"] == -32008
