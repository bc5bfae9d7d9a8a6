"""Push configurations in the log: what survives a process, and what a task without one costs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.task import AgentResponse, MemoryStore, Owner, PushPolicy, Task, TaskStore
from codin.task.stores import SQLiteStore
from tests.server.hook import hooked, patient
from tests.task.desk import ALICE, Desk

pytestmark = pytest.mark.anyio


async def speak(task: Task) -> AgentResponse:
    """Says what it is told, or asks until it is told `end`."""
    if task.text != "ask":
        return AgentResponse.completed(task.text)
    while (await task.ask("and?")).text != "end":
        pass
    return AgentResponse.completed("asked")


class CountingStore(MemoryStore):
    """Counts what is asked of it beside the log itself."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if name in {"feed", "changed", "cursor", "cursors", "advance", "forget", "read", "load"}:
            self.asked[name] += 1
        return super().__getattribute__(name)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TaskStore:
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "tasks.db")


def configured(url: str, text: str = "hello", **fields: Any) -> a2a.SendMessageRequest:
    config = a2a.TaskPushNotificationConfig(url=url, **fields)
    message = a2a.Message(message_id="m", role=a2a.Role.USER, parts=[a2a.Part(text=text)])
    configuration = a2a.SendMessageConfiguration(task_push_notification_config=config)
    return a2a.SendMessageRequest(message=message, configuration=configuration)


async def test_a_task_without_a_configuration_costs_nothing() -> None:
    store = CountingStore()
    desk = Desk(speak, store, push=PushPolicy())
    await desk.manager.start()
    assert store.asked == {"cursors": 1}
    for _ in range(3):
        await desk.send()
    assert store.asked == {"cursors": 1}
    await desk.manager.close()


async def test_the_configuration_is_in_the_commit_of_its_message(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        turn = await desk.manager.submit(ALICE, configured(hook.url, token="t"))
        await turn.outcome()
        await hook.state("COMPLETED")
        [first, *_] = await store.feed(0)
        assert [entry.kind for entry in first.entries] == ["input", "push", "status"]
        assert json.loads(first.entries[1].body)["set"]["token"] == "t"
        await desk.manager.drain()
        assert await store.cursors("push") == []  # delivered to the end: nothing is left of it
        await desk.manager.close()


async def test_the_same_key_makes_one_task_and_one_configuration(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        turns = [await desk.manager.submit(ALICE, configured(hook.url), key="k") for _ in range(2)]
        assert len({turn.log.task_id for turn in turns}) == 1
        await hook.state("COMPLETED")
        request = a2a.ListTaskPushNotificationConfigsRequest(task_id=turns[0].log.task_id)
        assert len(json.loads(await desk.manager.push(ALICE, request))["configs"]) == 1
        await desk.manager.close()


async def test_a_message_that_is_refused_leaves_nothing(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        task = await desk.send("ask")
        request = configured(hook.url)
        request.message.task_id, request.message.context_id = task["id"], "another context"
        with pytest.raises(a2a.InvalidParams):
            await desk.manager.submit(ALICE, request)
        await desk.manager.drain()
        assert await store.cursors("push") == []
        await desk.manager.close()


async def test_what_was_not_delivered_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    async with hooked() as hook:
        hook.gate.clear()
        store = SQLiteStore(tmp_path / "tasks.db")
        first = Desk(speak, store, push=patient())
        turn = await first.manager.submit(ALICE, configured(hook.url))
        await turn.outcome()
        await hook.seen(1)  # it has not been answered
        await first.crash()
        await store.close()
        hook.gate.set()

        second = Desk(speak, store, push=patient())
        await second.manager.start()
        await hook.state("COMPLETED")
        keys = [delivery.headers["idempotency-key"] for delivery in hook.deliveries]
        assert keys[0] == keys[1]  # repeated, and not lost
        assert hook.words == ["WORKING", "WORKING", "hello", "COMPLETED"]
        await second.manager.close()


@pytest.mark.requirement("PUSH-KEPT")
async def test_a_configuration_of_a_parked_task_goes_on_with_the_next_process(tmp_path: Path) -> None:
    async with hooked() as hook:
        first = Desk(speak, SQLiteStore(tmp_path / "tasks.db"), push=patient())
        turn = await first.manager.submit(ALICE, configured(hook.url, "ask"))
        task_id = turn.log.task_id
        await hook.state("INPUT_REQUIRED")
        await first.manager.close()
        await first.crash()

        second = Desk(speak, SQLiteStore(tmp_path / "tasks.db"), push=patient())
        await second.send("end", task_id=task_id)
        await hook.state("COMPLETED")
        assert hook.words == ["WORKING", "INPUT_REQUIRED", "WORKING", "asked", "COMPLETED"]
        await second.manager.close()


async def test_a_dead_letter_waits_for_as_long_as_it_takes(tmp_path: Path) -> None:
    async with hooked() as hook:
        hook.answers = [(404, {})]
        first = Desk(speak, SQLiteStore(tmp_path / "tasks.db"), push=patient())
        await (await first.manager.submit(ALICE, configured(hook.url))).outcome()
        await dead(first)
        await first.manager.close()
        await first.crash()

        second = Desk(speak, SQLiteStore(tmp_path / "tasks.db"), push=patient())
        assert len(await second.manager.dead_letters()) == 1
        assert await second.manager.revive_dead_letters() == 1
        await hook.state("COMPLETED")
        assert await second.manager.dead_letters() == []
        await second.manager.close()


async def test_two_agents_share_a_store_and_no_notifications() -> None:
    store = MemoryStore()
    async with hooked() as hook:
        hook.answers = [(404, {})]
        one, two = (Desk(speak, store, push=patient(), agent=name) for name in ("one", 'o"ne'))
        await (await one.manager.submit(ALICE, configured(hook.url))).outcome()
        await dead(one)
        assert await two.manager.dead_letters() == []
        assert await two.manager.revive_dead_letters() == 0
        await two.manager.close()
        await one.manager.close()


async def test_a_configuration_while_a_guard_holds_the_task(store: TaskStore) -> None:
    """The answer to the guard is still its answer, although an entry came in between."""
    from codin.task import Decision

    class Once:
        held = False

        async def submit(self, caller: object, message: a2a.Message) -> Decision | None:
            if Once.held:
                return None
            Once.held = True
            return Decision("hold", "sure?", "once")

        async def call(self, task: Task, target: str, content: object) -> Decision | None:
            return None

        async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
            return None

    Once.held = False
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient(), guards=[Once()])
        held = await desk.send("hello")
        await desk.manager.push(ALICE, a2a.TaskPushNotificationConfig(url=hook.url, task_id=held["id"]))
        task = await desk.send("yes", task_id=held["id"])
        assert task["artifacts"][0]["parts"] == [{"text": "hello"}]
        await hook.state("COMPLETED")
        await desk.manager.close()


async def test_configurations_of_one_task_at_once(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        for task in (await desk.send("ask"), await desk.send("done")):
            async with asyncio.timeout(10):
                await asyncio.gather(
                    *(
                        desk.manager.push(ALICE, a2a.TaskPushNotificationConfig(url=hook.url, task_id=task["id"]))
                        for _ in range(8)
                    ),
                    *(desk.manager.push(ALICE, delete(task["id"], f"c{number}")) for number in range(4)),
                )
            listed = await desk.manager.push(ALICE, a2a.ListTaskPushNotificationConfigsRequest(task_id=task["id"]))
            assert len(json.loads(listed)["configs"]) == 8
        await hook.seen(8)  # of the one that has ended
        await desk.manager.close()


async def test_no_more_configurations_than_there_may_be_at_once(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient(max_configs=3))
        task = await desk.send("ask")
        made = await asyncio.gather(
            *(
                desk.manager.push(ALICE, a2a.TaskPushNotificationConfig(url=hook.url, task_id=task["id"]))
                for _ in range(8)
            ),
            return_exceptions=True,
        )
        assert [type(each) for each in made].count(bytes) == 3
        assert {each.reason for each in made if isinstance(each, a2a.A2AError)} == {"TOO_MANY_PUSH_CONFIGS"}
        await desk.manager.close()


async def test_a_cancel_and_a_configuration_at_once(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        for _ in range(5):
            task = await desk.send("ask")
            config = a2a.TaskPushNotificationConfig(url=hook.url, task_id=task["id"])
            _, canceled = await asyncio.gather(desk.manager.push(ALICE, config), desk.cancel(task["id"]))
            assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
        await hook.seen(5)
        await desk.manager.close()


async def test_a_task_that_retention_takes_is_forgotten() -> None:
    store = MemoryStore(max_ended=1)
    async with hooked() as hook:
        hook.answers = [(404, {})]
        desk = Desk(speak, store, push=patient())
        await (await desk.manager.submit(ALICE, configured(hook.url))).outcome()
        await dead(desk)
        await desk.send()
        assert await desk.manager.dead_letters() == []
        assert await store.cursors("push") == []
        await desk.manager.close()


async def dead(desk: Desk) -> None:
    async with asyncio.timeout(10):
        while not await desk.manager.dead_letters():  # noqa: ASYNC110
            await asyncio.sleep(0)


def delete(task_id: str, config_id: str) -> a2a.DeleteTaskPushNotificationConfigRequest:
    return a2a.DeleteTaskPushNotificationConfigRequest(task_id=task_id, id=config_id)


async def test_the_log_keeps_what_was_decided(store: TaskStore) -> None:
    async with hooked() as hook:
        desk = Desk(speak, store, push=patient())
        task = await desk.send("ask")
        await desk.manager.push(ALICE, a2a.TaskPushNotificationConfig(url=hook.url, task_id=task["id"], id="c"))
        await desk.manager.push(ALICE, delete(task["id"], "c"))
        log = await store.read(Owner("", "agent", ALICE.id), task["id"])
        assert [json.loads(entry.body).keys() for entry in log if entry.kind == "push"] == [{"set"}, {"deleted"}]
        await desk.send("end", task_id=task["id"])
        await desk.manager.close()
        assert hook.deliveries == []


def test_a_configuration_does_not_show_its_secrets() -> None:
    config = a2a.TaskPushNotificationConfig(
        url="https://example.com/", token="hush", authentication=a2a.AuthenticationInfo(scheme="x", credentials="hush")
    )
    assert "hush" not in repr(config)
    assert "hush" in config.to_json().decode()
