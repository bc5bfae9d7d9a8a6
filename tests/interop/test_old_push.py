"""Push configurations that the official clients for A2A 0.3 set: what is posted is what their own servers post."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codin.server import App
from codin.task import AgentResponse
from tests.interop.old_client import OldClient
from tests.server.exchange import eventually
from tests.server.hook import Delivery, hooked, patient
from tests.server.puppet import Puppet
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 30.0


def state_of(delivery: Delivery) -> str:
    """Of the whole task that a delivery is."""
    task: dict[str, Any] = json.loads(delivery.body)
    assert task["kind"] == "task"
    return task["status"]["state"]


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_an_official_client_is_notified(old_client: OldClient, binding: str) -> None:
    puppet = Puppet()
    async with (
        asyncio.timeout(PATIENT),
        hooked() as hook,
        listening(App(puppet, push=patient())) as served,
    ):
        client = old_client.to(f"{served.url}/", binding=binding)
        # Over HTTP+JSON the Python SDK cannot send one along with a message.
        inline = {"pushNotificationConfig": {"url": hook.url, "token": "first"}} if binding == "JSONRPC" else {}
        task = await client.send("a", configuration={"blocking": False, **inline})
        config = {"id": "p", "url": hook.url, "token": "second"}
        made = await client.one("set push", taskId=task["id"], pushNotificationConfig=config)
        assert (made["taskId"], made["pushNotificationConfig"]["url"]) == (task["id"], hook.url)
        puppet.strings["a"].end(AgentResponse.completed("done"))
        told = {"first", "second"} if inline else {"second"}
        await eventually(
            lambda: told == {each.headers["x-a2a-notification-token"] for each in hook.deliveries if ended(each)}
        )
        done = await client.one("get", id=task["id"])
    for delivery in hook.deliveries:
        assert delivery.headers["content-type"] == "application/json"
        assert json.loads(delivery.body)["id"] == task["id"]
    last = json.loads(next(each for each in hook.deliveries if ended(each)).body)
    assert (last["status"]["state"], last["artifacts"][0]["parts"]) == ("completed", done["artifacts"][0]["parts"])


def ended(delivery: Delivery) -> bool:
    return state_of(delivery) == "completed"
