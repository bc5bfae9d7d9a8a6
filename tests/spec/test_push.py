"""Configurations of push notifications, in every binding; what is posted is one for all. Spec 3.1.7 to 3.1.10, 4.3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from codin.server import App
from codin.trust import BearerTokens
from tests.server.hook import Hook, hooked, patient
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import Wire, message

pytestmark = pytest.mark.anyio

CREATE, GET = "CreateTaskPushNotificationConfig", "GetTaskPushNotificationConfig"
LIST, DELETE = "ListTaskPushNotificationConfigs", "DeleteTaskPushNotificationConfig"


@pytest.fixture
def app(request: pytest.FixtureRequest, clerk: Clerk, options: dict[str, Any]) -> App:
    """Pushes, unless a test says otherwise."""
    tokens = BearerTokens({"ada": "ada", "bob": "bob"})
    push = getattr(request, "param", patient())
    return App(clerk, parrot, push=push, authenticator=tokens, **options)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with hooked() as hook:
        yield hook


def by(wire: Wire, name: str) -> Wire:
    return wire.saying(Authorization=f"Bearer {name}")


def of(task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"taskId": task["id"], **fields}


@pytest.mark.requirement("PUSH-UNDECLARED", "PUSH-INLINE-UNDECLARED")
@pytest.mark.parametrize("app", [False], indirect=True)
async def test_where_push_is_not_declared(wire: Wire) -> None:
    ada = by(wire, "ada")
    task = await ada.begin("x")
    for method in (CREATE, GET, LIST, DELETE):
        fields = {"url": "https://e.example/"} if method == CREATE else {} if method == LIST else {"id": "c"}
        assert (await ada.refused(method, of(task, **fields))).reason == "PUSH_NOTIFICATION_NOT_SUPPORTED"
    inline = {"message": message(), "configuration": {"taskPushNotificationConfig": {"url": "https://e.example/"}}}
    for method in ("SendMessage", "SendStreamingMessage"):
        assert (await ada.refused(method, inline)).reason == "PUSH_NOTIFICATION_NOT_SUPPORTED"


@pytest.mark.requirement("PUSH-CREATE", "PUSH-CREATE-OBJECT", "PUSH-GET", "PUSH-LIST", "PUSH-DELETE", "PUSH-SEVERAL")
@pytest.mark.requirement("PUSH-DELETE-AGAIN", "PUSH-GET-UNKNOWN")
async def test_configurations_are_made_read_listed_and_deleted(wire: Wire, clerk: Clerk, hook: Hook) -> None:
    ada = by(wire, "ada")
    task = await ada.begin("x")
    made = [await ada.result(CREATE, of(task, url=hook.url, token=f"t{number}")) for number in range(3)]
    assert len({config["id"] for config in made}) == 3
    assert made[0] == of(task, url=hook.url, token="t0", id=made[0]["id"])
    assert await ada.result(GET, of(task, id=made[1]["id"])) == made[1]
    assert (await ada.result(LIST, of(task)))["configs"] == made
    for _ in range(2):
        await ada.result(DELETE, of(task, id=made[0]["id"]))
    assert (await ada.refused(GET, of(task, id=made[0]["id"]))).reason == "TASK_NOT_FOUND"
    assert (await ada.result(LIST, of(task)))["configs"] == made[1:]
    await clerk.strings["x"].write("after")
    clerk.strings["x"].end()
    await hook.seen(6)
    assert {each.headers["x-a2a-notification-token"] for each in hook.deliveries} == {"t1", "t2"}


@pytest.mark.requirement("PUSH-SCOPE", "PUSH-CREATE-UNKNOWN", "PUSH-GET-UNKNOWN", "AUTH-NOT-REVEALED")
@pytest.mark.parametrize("method", [CREATE, GET, LIST, DELETE])
async def test_somebody_elses_task_has_no_configurations(wire: Wire, hook: Hook, method: str) -> None:
    ada = by(wire, "ada")
    task = await ada.begin("x")
    await ada.result(CREATE, of(task, url=hook.url, id="c"))
    fields = {CREATE: {"url": hook.url}, LIST: {}}.get(method, {"id": "c"})
    answers: list[str] = []
    for params in (of(task, **fields), {"taskId": "nobodys", **fields}):
        refused = await by(wire, "bob").refused(method, params)
        assert refused.reason == "TASK_NOT_FOUND"
        answers.append(f"{refused.message} {refused.details}".replace(params["taskId"], "…"))
    assert answers[0] == answers[1]


@pytest.mark.requirement("PUSH-INLINE", "PUSH-PAYLOAD", "PUSH-MEDIA-TYPE", "PUSH-CREDENTIALS", "PUSH-TOKEN")
@pytest.mark.requirement("PUSH-ATTEMPT")
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_a_send_brings_along_is_served(wire: Wire, hook: Hook, at_once: bool) -> None:
    ada = by(wire, "ada")
    config = {
        "url": hook.url,
        "token": "t0ken",
        "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
    }
    configuration = {"taskPushNotificationConfig": config, "returnImmediately": at_once}
    task = (await ada.result("SendMessage", {"message": message("say hello"), "configuration": configuration}))["task"]
    deliveries = await hook.state("COMPLETED")
    assert all(set(each.event) <= {"task", "statusUpdate", "artifactUpdate"} for each in deliveries)
    assert all(len(each.event) == 1 for each in deliveries)
    assert all(update.get("taskId", task["id"]) == task["id"] for each in deliveries for update in each.event.values())
    for each in deliveries:
        assert each.headers["content-type"] == "application/a2a+json"
        assert each.headers["authorization"] == "Bearer s3cret"
        assert each.headers["x-a2a-notification-token"] == "t0ken"
