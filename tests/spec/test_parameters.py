"""Service parameters, versions and extensions, in every binding. Spec 3.2.6, 3.6, 4.6."""

from __future__ import annotations

from typing import Any

import pytest

from codin import a2a
from codin.server import RESUME, App
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import Wire, message

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(request: pytest.FixtureRequest, clerk: Clerk, options: dict[str, Any]) -> App:
    """Speaks the versions that a test names, or those that every server speaks."""
    named = {"versions": request.param} if hasattr(request, "param") else {}
    return App(clerk, parrot, **options, **named)


OPERATIONS: dict[str, dict[str, Any]] = {
    "SendMessage": {"message": message()},
    "SendStreamingMessage": {"message": message()},
    "GetTask": {"id": "t"},
    "ListTasks": {},
    "CancelTask": {"id": "t"},
    "SubscribeToTask": {"id": "t"},
    "CreateTaskPushNotificationConfig": {"taskId": "t", "url": "http://127.0.0.1/"},
    "GetTaskPushNotificationConfig": {"taskId": "t", "id": "c"},
    "ListTaskPushNotificationConfigs": {"taskId": "t"},
    "DeleteTaskPushNotificationConfig": {"taskId": "t", "id": "c"},
    "GetExtendedAgentCard": {},
}


@pytest.mark.requirement("VERSION-REFUSED", "VERSION-EVERYWHERE", "GRPC-VERSION")
@pytest.mark.parametrize("method", OPERATIONS)
@pytest.mark.parametrize("version", ["0.2", "2.0", "99.0", "1", "one"])
async def test_another_version_is_refused_in_every_operation(wire: Wire, method: str, version: str) -> None:
    refused = await wire.saying(A2A_Version=version).refused(method, OPERATIONS[method])
    assert refused.reason == "VERSION_NOT_SUPPORTED"
    assert (await wire.result("ListTasks"))["totalSize"] == 0


@pytest.mark.requirement("VERSION-EMPTY")
@pytest.mark.parametrize("version", [None, ""])
@pytest.mark.parametrize("app", [("1.0",)], indirect=True)
async def test_no_version_is_another_one(wire: Wire, version: str | None) -> None:
    refused = await wire.saying(A2A_Version=version).refused("ListTasks")
    assert refused.reason == "VERSION_NOT_SUPPORTED"
    assert "0.3" in refused.message
    assert "1.0" in (refused.hint or "")


@pytest.mark.requirement("VERSION-PATCH")
@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1.0.1", "1.0.99"])
async def test_a_patch_number_does_not_count(wire: Wire, version: str) -> None:
    assert await wire.saying(A2A_Version=version).send()


@pytest.mark.requirement("PARAM-HEADERS", "PARAM-CASE", "GRPC-METADATA")
@pytest.mark.parametrize("name", ["a2a-version", "A2A-VERSION"])
async def test_names_have_no_case(wire: Wire, name: str) -> None:
    assert await wire.saying(**{"A2A-Version": None, name: "1.0"}).send()


@pytest.mark.requirement("EXTENSION-UNKNOWN", "EXTENSION-NO-FALLBACK", "EXTENSION-USED", "PARAM-COMMA")
@pytest.mark.parametrize(
    ("named", "used"),
    [
        (RESUME, RESUME),
        (f"https://e.example/unknown/v1,{RESUME}", RESUME),
        (f"{RESUME} , https://e.example/unknown/v1", RESUME),
        ("https://e.example/unknown/v1", None),
        (RESUME.replace(":v1", ":v2"), None),
        (RESUME.upper(), None),
    ],
)
async def test_known_extensions_are_used_and_others_passed_over(wire: Wire, named: str, used: str | None) -> None:
    answer = await wire.saying(A2A_Extensions=named).ask("SendMessage", {"message": message()})
    assert answer.result["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert answer.headers.get("a2a-extensions") == used


SEALS = a2a.AgentExtension(uri="https://seals.example/v2", required=True)


@pytest.mark.requirement("EXTENSION-REQUIRED", "EXTENSION-NO-FALLBACK")
@pytest.mark.parametrize("clerk", [Clerk(extensions=[SEALS])])
@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask"])
async def test_a_required_extension_has_to_be_named(wire: Wire, clerk: Clerk, method: str) -> None:
    for named in (None, "https://e.example/unknown/v1", "https://seals.example/v1"):
        refused = await wire.saying(A2A_Extensions=named).refused(method, OPERATIONS[method])
        assert refused.reason == "EXTENSION_SUPPORT_REQUIRED"
        assert "https://seals.example/v2" in (refused.hint or "")
    assert (await wire.saying(A2A_Extensions=SEALS.uri).send())["status"]["state"] == "TASK_STATE_COMPLETED"
