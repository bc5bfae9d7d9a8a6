"""The same question has the same answer in every binding. Spec 5.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from codin.server import App
from codin.task import Limits
from codin.trust import BearerTokens
from tests.server.sockets import listening
from tests.spec.clerk import Clerk, parrot
from tests.spec.test_errors import BAD
from tests.spec.test_parameters import OPERATIONS
from tests.spec.wire import WIRES, Refused, Wire, message

pytestmark = pytest.mark.anyio


@pytest.fixture
async def wires(clerk: Clerk) -> AsyncIterator[list[Wire]]:
    """One server, by every binding it has."""
    tokens = BearerTokens({"ada": "ada", "bob": "bob"})
    app = App(clerk, parrot, authenticator=tokens, grpc_port=0, limits=Limits(drain=0.05))
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        served = await stack.enter_async_context(listening(app))
        opened = [await stack.enter_async_context(wire(served.url, app)) for wire in WIRES.values()]
        yield [wire.saying(Authorization="Bearer ada") for wire in opened]


def told(refused: Refused) -> tuple[object, ...]:
    """What an error says; the words about a field may differ, because gRPC cannot tell an empty one from none."""
    return refused.reason, refused.hint, list(refused.violations) or refused.message


@pytest.mark.requirement("BINDING-OPERATIONS")
@pytest.mark.parametrize("method", OPERATIONS)
async def test_every_operation_is_there(wires: list[Wire], method: str) -> None:
    for wire in wires:
        assert await outcome(wire, method) not in {"METHOD_NOT_FOUND", "INVALID_PARAMS", None}


async def outcome(wire: Wire, method: str) -> str | None:
    """Whether it is answered, or the reason why not."""
    try:
        if method in {"SendStreamingMessage", "SubscribeToTask"}:
            await wire.events(method, OPERATIONS[method])
        else:
            await wire.ask(method, OPERATIONS[method])
    except Refused as refused:
        return refused.reason
    return "answered"


@pytest.mark.requirement("BINDING-RESULTS")
async def test_a_task_is_the_same_wherever_it_was_made(wires: list[Wire]) -> None:
    def comparable(task: dict[str, Any]) -> dict[str, Any]:
        known = {task["id"]: "task", task["contextId"]: "context", task["status"].pop("timestamp"): "time"}
        for artifact in task.get("artifacts", ()):
            known[artifact["artifactId"]] = "artifact"
        text = json.dumps(task)
        for said, meant in known.items():
            text = text.replace(said, meant)
        return json.loads(text)

    for text in ("say hello", "fail why", "reject no"):
        made = [comparable(await wire.send(text)) for wire in wires]
        assert made[0] == made[1] == made[2], text


@pytest.mark.requirement("BINDING-RESULTS")
async def test_a_task_is_the_same_wherever_it_is_read(wires: list[Wire], clerk: Clerk) -> None:
    first = await wires[0].begin("x")
    await clerk.strings["x"].write("so far")
    for made in (first, await wires[1].send("ask which?"), await wires[2].send("say hello")):
        found = [await wire.result("GetTask", {"id": made["id"]}) for wire in wires]
        assert found[0]["id"] == made["id"]
        assert _same(found)
    pages = [await wire.result("ListTasks", {"includeArtifacts": True, "historyLength": 1}) for wire in wires]
    assert _same(pages)


@pytest.mark.requirement("BINDING-RESULTS")
async def test_a_stream_is_the_same_wherever_it_is_read(wires: list[Wire], clerk: Clerk) -> None:
    task = await wires[0].begin("x")
    async with AsyncExitStack() as stack:
        asked = [wire.stream("SubscribeToTask", {"id": task["id"]}) for wire in wires]
        streams = [await stack.enter_async_context(stream) for stream in asked]
        told = [[await anext(stream)] for stream in streams]
        await clerk.strings["x"].write("so ", "far")
        clerk.strings["x"].end()
        for events, stream in zip(told, streams, strict=True):
            events += [event async for event in stream]
    assert len(told[0]) > 3
    assert _same(told)


def _same(answers: list[Any]) -> bool:
    """Times without a fraction may be written shorter in one binding than in another."""
    told = [json.loads(json.dumps(answer).replace(".000Z", "Z")) for answer in answers]
    assert told[0] == told[1] == told[2]
    return True


@pytest.mark.requirement("BINDING-ERRORS")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        *[(method, params) for method, params, _ in BAD],
        ("GetTask", {"id": "nope"}),
        ("SubscribeToTask", {"id": "nope"}),
        ("SendStreamingMessage", {"message": message(taskId="nope")}),
        ("ListTasks", {"pageToken": "forged"}),
        ("GetExtendedAgentCard", {}),
    ],
)
async def test_a_mistake_is_the_same_error(wires: list[Wire], method: str, params: dict[str, Any]) -> None:
    refused = [told(await wire.refused(method, params)) for wire in wires]
    assert refused[0] == refused[1] == refused[2]


@pytest.mark.requirement("BINDING-CREDENTIALS")
async def test_the_same_credentials_count(wires: list[Wire]) -> None:
    task = await wires[0].send()
    for wire in wires:
        assert (await wire.result("GetTask", {"id": task["id"]}))["id"] == task["id"]
        assert (await wire.saying(Authorization="Bearer bob").refused("GetTask", {"id": task["id"]})).reason == (
            "TASK_NOT_FOUND"
        )
    for header in (None, "Bearer wrong", "Basic ada"):
        refused = [told(await wire.saying(Authorization=header).refused("ListTasks")) for wire in wires]
        assert refused[0] == refused[1] == refused[2]
        assert refused[0][0] == "UNAUTHENTICATED"
