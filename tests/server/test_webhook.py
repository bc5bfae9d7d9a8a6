"""The receiving end: what it takes, what it refuses, and that an event is taken once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from time import time
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from codin import a2a
from codin.errors import ConfigError
from codin.server import App
from codin.server.webhook import Notification, Webhook
from codin.trust import KeyRing, SigningKey, jwks, mint, read_jwks, sign_notification
from codin.trust._calls import notification
from tests.server.exchange import eventually
from tests.server.hook import patient
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message
from tests.server.sockets import listening, open_listener

pytestmark = pytest.mark.anyio

URL = "https://hooks.example.com/codin"
KEY = SigningKey.generate()


def event(task_id: str = "t", state: str = "TASK_STATE_COMPLETED") -> bytes:
    update = {"taskId": task_id, "contextId": "c", "status": {"state": state}}
    return json.dumps({"statusUpdate": update}).encode()


class Taken(list[Notification]):
    """Keeps what a webhook hands on; fails as often as it is told to."""

    failures = 0

    async def __call__(self, notification: Notification) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is gone")
        self.append(notification)


async def post(webhook: Webhook, body: bytes, headers: Mapping[str, str] | None = None, **options: Any) -> int:
    """The status of one delivery."""
    fields = {"content-type": "application/a2a+json", **(headers or {})}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(webhook), base_url="http://hook") as http:
        return (await http.request(options.pop("method", "POST"), "/", content=body, headers=fields)).status_code


def signed(body: bytes, key: SigningKey = KEY, url: str = URL, task_id: str = "t", number: int = 2) -> dict[str, str]:
    return {"Codin-Notification": sign_notification(key, "a", url, task_id=task_id, number=number, body=body)}


# -- signatures --------------------------------------------------------------------------------------------------------


async def test_a_signed_event_says_who_and_which() -> None:
    taken = Taken()
    webhook = Webhook(taken, url=URL, keys=[KEY.public])
    assert await post(webhook, event(), signed(event())) == 204
    [notification] = taken
    assert notification.event.status_update is not None
    assert notification.event.status_update.status.state is a2a.TaskState.COMPLETED
    assert (notification.task_id, notification.number, notification.agent) == ("t", 2, f"a@{KEY.kid}")


@pytest.mark.requirement("PUSH-RECEIVER-CREDENTIALS")
async def test_what_is_not_signed_as_it_should_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Taken()
    webhook = Webhook(taken, url=URL, keys=[KEY.public])
    right = signed(event())
    assert await post(webhook, event("u"), right) == 401  # another body
    assert await post(webhook, event() + b" ", right) == 401
    assert await post(webhook, event(), {}) == 401
    assert await post(webhook, event(), {"Codin-Notification": "x.y.z"}) == 401
    assert await post(webhook, event(), signed(event(), SigningKey.generate())) == 401
    assert await post(webhook, event(), signed(event(), url="https://another.example.com/")) == 401
    assert await post(webhook, event(), signed(event(), task_id="u")) == 400
    head, claims, signature = right["Codin-Notification"].split(".")
    assert await post(webhook, event(), {"Codin-Notification": f"{head}.{claims[:-2]}AA.{signature}"}) == 401
    assert await post(webhook, event(), {"Codin-Notification": mint(KEY, "a", URL)}) == 401  # another kind of JWT
    for shift in (-66, 66):
        with monkeypatch.context() as clock:
            there = time() + shift
            clock.setattr(notification, "time", lambda there=there: there)
            late_or_early = signed(event())
        assert await post(webhook, event(), late_or_early) == 401
    assert taken == []
    assert await post(webhook, event(), right) == 204


async def test_a_replayed_delivery_is_refused() -> None:
    taken = Taken()
    webhook = Webhook(taken, url=URL, keys={KEY.kid: KEY.public}.get)
    shown = signed(event())
    assert await post(webhook, event(), shown) == 204
    assert await post(webhook, event(), shown) == 401
    assert await post(webhook, event(), signed(event())) == 204  # the agent itself, which has not heard of the first
    assert len(taken) == 1


async def test_no_agent_takes_the_place_of_anothers_events() -> None:
    taken, other = Taken(), SigningKey.generate()
    webhook = Webhook(taken, url=URL, keys=[KEY.public, other.public])
    assert await post(webhook, event(), signed(event(), other)) == 204
    assert await post(webhook, event(), signed(event())) == 204
    assert [each.agent for each in taken] == [f"a@{other.kid}", f"a@{KEY.kid}"]


async def test_a_key_that_is_revoked_counts_no_more() -> None:
    keys = {KEY.kid: KEY.public}
    webhook = Webhook(Taken(), url=[URL, "http://other/"], keys=keys.get)
    assert await post(webhook, event(), signed(event(), url="http://other/")) == 204
    keys.clear()
    assert await post(webhook, event(), signed(event(), number=3)) == 401


# -- shared secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PUSH-RECEIVER-ACCEPTS", "PUSH-RECEIVER-CREDENTIALS")
async def test_token_and_authorization() -> None:
    taken = Taken()
    webhook = Webhook(taken, token="t0ken", authorization="Bearer s3cret")
    right = {"X-A2A-Notification-Token": "t0ken", "Authorization": "Bearer s3cret"}
    assert await post(webhook, event(), right) == 204
    for name in right:
        assert await post(webhook, event(), {**right, name: "wrong"}) == 401
        assert await post(webhook, event(), {key: value for key, value in right.items() if key != name}) == 401
    assert len(taken) == 1


@pytest.mark.parametrize("settings", [{}, {"token": ""}, {"keys": []}, {"tasks": ["t"]}])
def test_a_webhook_for_anybody_has_to_be_meant(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Webhook(Taken(), **settings)
    assert Webhook(Taken(), anonymous=True)


# -- once --------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PUSH-RECEIVER-AGAIN")
async def test_an_event_is_handed_on_once() -> None:
    taken = Taken()
    webhook = Webhook(taken, anonymous=True, max_seen=2)
    for number in (1, 1, 2, 1, 3, 3):
        assert await post(webhook, event(), {"Idempotency-Key": f"t/{number}"}) == 204
    assert [each.number for each in taken] == [1, 2, 3]
    assert await post(webhook, event(), {"Idempotency-Key": "another"}) == 204
    assert await post(webhook, event()) == 204  # of a sender that names nothing, nothing is known
    assert await post(webhook, event()) == 204
    assert [each.number for each in taken[3:]] == [None, None, None]


async def test_an_event_that_could_not_be_handled_comes_again() -> None:
    taken = Taken()
    taken.failures = 1
    webhook = Webhook(taken, anonymous=True)
    key = {"Idempotency-Key": "t/1"}
    assert [await post(webhook, event(), key) for _ in range(3)] == [500, 204, 204]
    assert len(taken) == 1


async def test_an_event_that_is_being_handled_is_put_off() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Notification) -> None:
        begun.set()
        await go_on.wait()

    webhook = Webhook(slow, anonymous=True)
    first = asyncio.ensure_future(post(webhook, event(), {"Idempotency-Key": "t/1"}))
    await begun.wait()
    assert await post(webhook, event(), {"Idempotency-Key": "t/1"}) == 503
    go_on.set()
    assert await first == 204


async def test_events_can_be_iterated_over() -> None:
    webhook = Webhook(anonymous=True, max_waiting=2)
    assert [await post(webhook, event(task)) for task in ("t1", "t2", "t3")] == [204, 204, 503]
    seen: list[str] = []
    async for each in webhook:
        seen.append(each.task_id)
        if len(seen) == 2:
            break
    assert seen == ["t1", "t2"]


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("PUSH-RECEIVER-TASK")
async def test_only_the_tasks_that_are_waited_for() -> None:
    taken, tasks = Taken(), set[str]()
    webhook = Webhook(taken, anonymous=True, tasks=tasks)
    assert await post(webhook, event("t")) == 503  # its id may be on its way
    tasks.add("t")
    assert await post(webhook, event("t")) == 204
    assert await post(webhook, event("u")) == 503
    assert [each.task_id for each in taken] == ["t"]


@pytest.mark.parametrize(
    ("body", "headers", "method", "status"),
    [
        (event(), {}, "GET", 405),
        (event(), {"content-type": "text/plain"}, "POST", 415),
        (event(), {"content-type": "application/json; charset=utf-8"}, "POST", 204),
        (b"x" * 2000, {}, "POST", 413),
        (b"{}", {}, "POST", 400),
        (b"no json", {}, "POST", 400),
        (b"[" * 1500, {}, "POST", 400),
        (b'{"task":{"id":"t"},"message":{}}', {}, "POST", 400),
    ],
)
async def test_what_is_no_event(body: bytes, headers: dict[str, str], method: str, status: int) -> None:
    assert await post(Webhook(Taken(), anonymous=True, max_body=1600), body, headers, method=method) == status


# -- from end to end ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def mounted(taken: Taken, ring: KeyRing, path: str) -> AsyncGenerator[str]:
    listener = open_listener()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    known = read_jwks(jwks(ring.published))  # as an agent's card leads to them
    webhook = Webhook(taken, url=url, keys=known, token="t0ken")
    routes = [Route("/hooks/route", webhook), Mount("/hooks/mount", webhook)]
    async with listening(Starlette(routes=routes), listener):
        yield url


@pytest.mark.parametrize("path", ["/hooks/route", "/hooks/mount/"])
async def test_from_an_agent_with_keys_to_a_mounted_webhook(path: str) -> None:
    ring, taken = KeyRing.of(KEY), Taken()
    async with mounted(taken, ring, path) as url:
        puppet = Puppet()
        app = App(puppet, keys=ring, push=patient())
        config = {"url": url, "token": "t0ken"}
        configuration = {"taskPushNotificationConfig": config, "returnImmediately": True}
        task = (await Rpc(app).result("SendMessage", {"message": message("a"), "configuration": configuration}))["task"]
        taken.failures = 1
        await puppet.strings["a"].write("x")
        puppet.strings["a"].end()
        await eventually(lambda: len(taken) == 4)
        await app.close()
    assert [each.task_id for each in taken] == [task["id"]] * 4
    assert taken[-1].event.status_update is not None
    assert taken[-1].event.status_update.status.state is a2a.TaskState.COMPLETED
    assert {each.agent for each in taken} == {f"puppet@{KEY.kid}"}
    numbers = [each.number or 0 for each in taken]
    assert numbers == sorted(set(numbers))
