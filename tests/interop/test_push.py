"""Push configurations by the official clients, and the official sender against codin's webhook."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from codin import a2a
from codin.server import App
from codin.server.webhook import Notification, Webhook
from tests.interop.conftest import HERE
from tests.interop.line import Refused
from tests.interop.official_client import OfficialClient
from tests.server.hook import hooked, patient
from tests.server.puppet import Puppet
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 30.0


async def test_an_official_client_is_notified(official_client: OfficialClient) -> None:
    puppet = Puppet()
    async with (
        asyncio.timeout(PATIENT),
        hooked() as hook,
        listening(App(puppet, push=patient())) as served,
    ):
        client = official_client.to(f"{served.url}/")
        assert (await client.card()).capabilities.push_notifications
        task = await client.send("a", {"returnImmediately": True, "taskPushNotificationConfig": {"url": hook.url}})
        assert isinstance(task, a2a.Task)
        authentication = {"scheme": "Bearer", "credentials": "s3cret"}
        made = await client.create_push(task.id, hook.url, id="second", token="t0ken", authentication=authentication)
        assert (made.id, made.task_id, made.url, made.token) == ("second", task.id, hook.url, "t0ken")
        assert await client.get_push(task.id, "second") == made
        assert [config.id for config in await client.list_push(task.id)][1:] == ["second"]

        puppet.strings["a"].end()
        await hook.seen(3)
        assert sorted(hook.words) == ["COMPLETED", "COMPLETED", "WORKING"]
        shown = {delivery.headers.get("authorization") for delivery in hook.deliveries}
        assert shown == {None, "Bearer s3cret"}

        await client.delete_push(task.id, "second")
        await client.delete_push(task.id, "second")
        with pytest.raises(Refused) as refused:
            await client.get_push(task.id, "second")
        assert refused.value.name == "TaskNotFoundError"
        assert len(await client.list_push(task.id)) == 1


async def test_an_official_client_is_told_what_is_refused(official_client: OfficialClient) -> None:
    puppet = Puppet()
    async with asyncio.timeout(PATIENT), listening(App(puppet)) as served:
        client = official_client.to(f"{served.url}/")
        task = await client.send("a", {"returnImmediately": True})
        assert isinstance(task, a2a.Task)
        with pytest.raises(Refused, match="leads to an address that is not called"):
            await client.create_push(task.id, "http://169.254.169.254/latest/meta-data/")
        with pytest.raises(Refused) as refused:
            await client.create_push("unknown", "https://example.com/")
        assert refused.value.name == "TaskNotFoundError"
        puppet.strings["a"].end()


async def test_the_official_sender_notifies_a_webhook(a2a_sdk_python: Path) -> None:
    taken: list[Notification] = []

    async def take(notification: Notification) -> None:
        taken.append(notification)

    token = "an-official-token"
    webhook = Webhook(take, token=token, authorization=f"Bearer {token}", tasks={"t"})
    async with asyncio.timeout(PATIENT), listening(webhook) as served:
        sender = await asyncio.create_subprocess_exec(
            a2a_sdk_python, HERE / "peers" / "a2a_sdk_sender.py", f"{served.url}/", token
        )
        assert await sender.wait() == 0
    assert [type(each.event.value) for each in taken] == [a2a.Task, a2a.TaskStatusUpdateEvent]
    assert {each.task_id for each in taken} == {"t"}
