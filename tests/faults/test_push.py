"""Notifications of what was acknowledged survive `kill -9`: they may come twice, and none is lost."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.server.exchange import call_body
from tests.server.hook import Hook, hooked
from tests.server.process import running
from tests.server.rpc import HEADERS, message

pytestmark = pytest.mark.anyio

PROGRAM = "tests.faults.pushing"
LIVES = 6
CHUNKS = 15


async def begin(http: httpx.AsyncClient, url: str, hook: Hook) -> str:
    """A task that was acknowledged, with its configuration."""
    configuration = {"taskPushNotificationConfig": {"url": hook.url}, "returnImmediately": True}
    params = {"message": message(str(CHUNKS)), "configuration": configuration}
    response = await http.post(url, content=call_body("SendMessage", params), headers=HEADERS)
    return response.json()["result"]["task"]["id"]


async def test_no_notification_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed={seed}")
    rng = random.Random(seed)
    store = f"sqlite:///{tmp_path / 'tasks.db'}"
    tasks: list[str] = []
    async with asyncio.timeout(150), hooked() as hook, httpx.AsyncClient(verify=False, timeout=60) as http:
        for _ in range(LIVES):
            # In the middle of the deliveries: the answer to one of them is still to come. They do not wait for whoever
            # is told that its task was begun.
            stopping = asyncio.create_task(stop(hook, len(hook.deliveries) + rng.randint(1, CHUNKS)))
            async with running(PROGRAM, store=store) as process:
                tasks += [await begin(http, process.url, hook) for _ in range(2)]
                await stopping
                process.send(signal.SIGKILL)
                await process.ended()
                hook.forget_unanswered()
                hook.gate.set()
        async with running(PROGRAM, store=store):
            while not set(tasks) <= ended(hook):
                await patiently(hook, len(hook.deliveries) + 1)
    for task_id in tasks:
        numbers = by_task(hook)[task_id]
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), "out of order"
        missing = set(range(min(first), max(first) + 1)) - set(first)
        assert not missing, f"{missing} of {task_id} were lost"


async def stop(hook: Hook, count: int) -> None:
    """Answer no more behind so many deliveries, and wait until one has no answer."""
    await patiently(hook, count)
    hook.gate.clear()
    while not hook.under_way:
        await patiently(hook, len(hook.deliveries) + 1)


async def patiently(hook: Hook, count: int) -> None:
    """Wait for so many deliveries, as long as the test has time."""
    while len(hook.deliveries) < count:
        with suppress(TimeoutError):
            await hook.seen(count)


def by_task(hook: Hook) -> dict[str, list[int]]:
    """The numbers that came, in their order."""
    found: dict[str, list[int]] = defaultdict(list)
    for delivery in hook.deliveries:
        task_id, _, number = delivery.headers["idempotency-key"].rpartition("/")
        found[task_id].append(int(number))
    return found


def ended(hook: Hook) -> set[str]:
    """The tasks of which the end came: completed, or failed by a death."""
    found: set[str] = set()
    for delivery in hook.deliveries:
        update = delivery.event.get("statusUpdate")
        if update is not None and update["status"]["state"] in {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED"}:
            found.add(update["taskId"])
    return found
