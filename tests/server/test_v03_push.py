"""Whoever sets a push configuration in A2A 0.3 is posted to as 0.3 did it: the whole task, each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import codin
from codin.server import App
from codin.server.webhook import Webhook
from codin.task import AgentResponse
from codin.trust import SigningKey
from tests.server.exchange import eventually
from tests.server.hook import Delivery, Hook, hooked, patient
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

Fields = dict[str, Any]

JSON = {"content-type": "application/json"}
SET, GET = "tasks/pushNotificationConfig/set", "tasks/pushNotificationConfig/get"


class Old:
    """A client of 0.3, the puppet it calls, and the hook it has named."""

    def __init__(self, hook: Hook, **options: Any) -> None:
        self.hook = hook
        self.puppet = Puppet()
        options.setdefault("push", patient())
        self.app = App(self.puppet, **options)
        self.new = Rpc(self.app)

    async def call(self, method: str, params: Fields) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = (await self.new.post(body, JSON)).json()
        assert "result" in answer, answer
        return answer["result"]

    async def begin(self, text: str = "a", **push: Any) -> str:
        """The id of a task that runs, with a configuration when one is given."""
        parts = [{"kind": "text", "text": text}]
        message = {"kind": "message", "messageId": "m", "role": "user", "parts": parts}
        configuration: Fields = {"blocking": False}
        if push:
            configuration["pushNotificationConfig"] = {"url": self.hook.url, **push}
        return (await self.call("message/send", {"message": message, "configuration": configuration}))["id"]

    async def set(self, task_id: str, **push: Any) -> Fields:
        config = {"url": self.hook.url, **push}
        return await self.call(SET, {"taskId": task_id, "pushNotificationConfig": config})


@pytest.fixture
async def old(anyio_backend: str) -> AsyncIterator[Old]:
    async with hooked() as hook:
        old = Old(hook)
        try:
            yield old
        finally:
            hook.gate.set()
            await old.app.close()


def ended(hook: Hook, **headers: str) -> bool:
    return any(task["status"]["state"] == "completed" for task in tasks(hook, **headers))


def tasks(hook: Hook, **headers: str) -> list[Fields]:
    """The tasks that were posted with these headers; everything else that 0.3 says of them holds."""
    return [each.event for each in hook.deliveries if is_old(each) and headers.items() <= each.headers.items()]


def is_old(delivery: Delivery) -> bool:
    if delivery.headers["content-type"] != "application/json":
        return False
    assert delivery.event["kind"] == "task"
    return True


def text_of(task: Fields) -> str:
    return "".join(part["text"] for artifact in task["artifacts"] for part in artifact["parts"])


async def test_a_message_brings_its_configuration_along(old: Old) -> None:
    task_id = await old.begin(token="t0ken", authentication={"schemes": ["Bearer"], "credentials": "s3cret"})
    await old.hook.seen(1)
    await old.puppet.strings["a"].write("x", "y")
    old.puppet.strings["a"].end()
    await eventually(lambda: ended(old.hook))
    for delivery in old.hook.deliveries:
        assert is_old(delivery)
        assert delivery.headers["x-a2a-notification-token"] == "t0ken"
        assert delivery.headers["authorization"] == "Bearer s3cret"
    first, *_, last = tasks(old.hook)
    assert (first["id"], first["status"]["state"]) == (task_id, "working")
    assert last == await old.call("tasks/get", {"id": task_id})
    assert text_of(last) == "xy"
    keys = [delivery.headers["idempotency-key"] for delivery in old.hook.deliveries]
    assert len({*keys}) == len(keys)


async def test_what_comes_while_a_receiver_is_busy_is_told_at_once(old: Old) -> None:
    old.hook.gate.clear()
    await old.begin(id="p")
    await old.hook.seen(1)
    await old.puppet.strings["a"].write(*"abcdef")
    old.puppet.strings["a"].end()
    await old.puppet.strings["a"].stopped.wait()
    old.hook.gate.set()
    await eventually(lambda: ended(old.hook))
    assert len(old.hook.deliveries) <= 3
    assert text_of(tasks(old.hook)[-1]) == "abcdef"


async def test_each_is_told_in_the_version_it_asked_in(old: Old) -> None:
    task_id = await old.begin()
    made = await old.set(task_id, id="old", token="o")
    rest = {"config": {"pushNotificationConfig": {"url": old.hook.url, "id": "rest", "token": "r"}}}
    path = f"/v1/tasks/{task_id}/pushNotificationConfigs"
    assert (await old.new.http.post(path, json={"configId": "rest", **rest})).status_code == 200
    new = {"taskId": task_id, "id": "new", "url": old.hook.url, "token": "n"}
    assert await old.new.result("CreateTaskPushNotificationConfig", new) == new
    # Both versions show what was set, and nothing of how it is kept.
    assert await old.call(GET, {"id": task_id, "pushNotificationConfigId": "old"}) == made
    shown = await old.new.result("GetTaskPushNotificationConfig", {"taskId": task_id, "id": "old"})
    assert shown == {**new, "id": "old", "token": "o"}

    old.puppet.strings["a"].end(AgentResponse.completed("done"))
    for token in "or":
        await eventually(lambda token=token: ended(old.hook, **{"x-a2a-notification-token": token}))
    await eventually(lambda: any("TASK_STATE_COMPLETED" in str(each.body) for each in old.hook.deliveries))
    for delivery in old.hook.deliveries:
        assert is_old(delivery) == (delivery.headers["x-a2a-notification-token"] in "or")


async def test_who_asks_behind_the_end_gets_the_task_once(old: Old) -> None:
    old.puppet.strings["a"].end(AgentResponse.completed("done"))
    task_id = (await old.new.send("a"))["id"]
    await old.set(task_id)
    [delivery] = await old.hook.seen(1)
    assert is_old(delivery)
    assert delivery.event == await old.call("tasks/get", {"id": task_id})


async def test_one_that_is_set_anew_is_told_in_the_version_of_that(old: Old) -> None:
    task_id = await old.begin()
    await old.set(task_id, id="p")
    await old.new.result("CreateTaskPushNotificationConfig", {"taskId": task_id, "id": "p", "url": old.hook.url})
    old.puppet.strings["a"].end()
    await old.hook.state("COMPLETED")
    assert not any(map(is_old, old.hook.deliveries))


async def test_a_question_is_told(old: Old) -> None:
    await old.begin(token="t")
    old.puppet.strings["a"].ask("Which?")
    await eventually(lambda: any(task["status"]["state"] == "input-required" for task in tasks(old.hook)))
    asked = tasks(old.hook)[-1]["status"]["message"]
    assert (asked["kind"], asked["parts"]) == ("message", [{"kind": "text", "text": "Which?"}])


async def test_our_own_webhook_takes_both() -> None:
    hook = Webhook(token="t")
    async with listening(hook) as ours:
        puppet = Puppet()
        app = App(puppet, push=patient(), keys=SigningKey.generate("ES256"))
        async with listening(app) as served, codin.connect(served.url) as peer:
            puppet.strings["a"].end(AgentResponse.completed("done"))
            task_id = (await peer.send("a")).task_id
            push = {"url": ours.url, "token": "t"}
            params = {"taskId": task_id, "pushNotificationConfig": push}
            async with httpx.AsyncClient() as http:
                body = {"jsonrpc": "2.0", "id": 1, "method": SET, "params": params}
                assert "result" in (await http.post(served.url, json=body)).json()
            async with asyncio.timeout(10):
                notification = await anext(hook)
            assert task_id is not None
            assert notification.event.task == await peer.get(task_id)
            wrong = {"kind": "message", "messageId": "m"}
            async with httpx.AsyncClient(headers={"x-a2a-notification-token": "t"}) as http:
                assert (await http.post(ours.url, json=wrong)).status_code == 400


async def test_the_next_process_knows_the_version(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'tasks.db'}"
    async with hooked() as hook:
        hook.answers = [(503, {"retry-after": "600"})]
        first = Old(hook, store=store, push=patient(drain=0.1))
        await first.begin(token="t")
        await hook.seen(1)
        first.puppet.strings["a"].end()
        await first.puppet.strings["a"].stopped.wait()
        await first.app.close()
        hook.deliveries.clear()

        second = Old(hook, store=store)
        await second.app.start()
        await eventually(lambda: ended(hook))
        assert all(map(is_old, hook.deliveries))
        await second.app.close()


async def test_dead_letters_of_both_are_alike(old: Old) -> None:
    old.hook.answers = [(404, {})]
    task_id = await old.begin(token="t")
    old.puppet.strings["a"].end()
    async with asyncio.timeout(10):
        while not (letters := await old.app.dead_letters()):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [letter.task_id for letter in letters] == [task_id]
    assert await old.app.revive_dead_letters() == 1
    await eventually(lambda: ended(old.hook))
