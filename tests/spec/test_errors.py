"""What an error says, in every binding. Spec 3.3.2, 5.4."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codin import a2a
from codin.server import App, ServerLimits
from tests.spec.clerk import Clerk, parrot
from tests.spec.wire import Refused, Wire, json_only, message

pytestmark = pytest.mark.anyio

ROWS = {row.reason: row for row in a2a.error_table()}


@pytest.fixture
def app(clerk: Clerk, options: dict[str, Any]) -> App:
    options["limits"] = replace(options["limits"], max_running=1)
    return App(clerk, parrot, server_limits=ServerLimits(max_parts=4), **options)


async def provoked(wire: Wire, reason: str) -> Refused:
    """The error with this reason, brought about."""
    done = await wire.send("say x")
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "TASK_NOT_FOUND": ("GetTask", {"id": "nope"}),
        "TASK_NOT_CANCELABLE": ("CancelTask", {"id": done["id"]}),
        "UNSUPPORTED_OPERATION": ("SubscribeToTask", {"id": done["id"]}),
        "CONTENT_TYPE_NOT_SUPPORTED": (
            "SendMessage",
            {"message": message(parts=[{"raw": "AAAA", "mediaType": "video/mp4"}])},
        ),
        "INVALID_PARAMS": ("ListTasks", {"pageSize": 1000}),
    }
    if reason == "INVALID_AGENT_RESPONSE":
        return await wire.to("parrot").refused("SendMessage", {"message": message("raise")})
    if reason == "VERSION_NOT_SUPPORTED":
        return await wire.saying(A2A_Version="99.0").refused("ListTasks")
    if reason == "OVERLOADED":
        await wire.begin("hangs")
        return await wire.refused("SendMessage", {"message": message("one too many")})
    return await wire.refused(*asked[reason])


PROVOKED = [
    "TASK_NOT_FOUND",
    "TASK_NOT_CANCELABLE",
    "UNSUPPORTED_OPERATION",
    "CONTENT_TYPE_NOT_SUPPORTED",
    "INVALID_AGENT_RESPONSE",
    "VERSION_NOT_SUPPORTED",
    "INVALID_PARAMS",
    "OVERLOADED",
]


@pytest.mark.requirement("ERROR-CODE-AND-MESSAGE", "ERROR-TYPED-DETAILS", "ERROR-KNOWN-DETAILS", "ERROR-MAPPING")
@pytest.mark.requirement("REST-ERROR", "REST-ERROR-INFO", "GRPC-ERROR", "GRPC-ERROR-INFO")
@pytest.mark.parametrize("reason", PROVOKED)
async def test_an_error_has_a_code_words_and_typed_details(wire: Wire, reason: str) -> None:
    refused = await provoked(wire, reason)
    assert refused.code == wire.code_of(ROWS[reason])
    assert refused.message
    assert all(str(detail["@type"]).startswith("type.googleapis.com/google.rpc.") for detail in refused.details)
    assert (refused.reason, refused.domain) == (reason, "a2a-protocol.org")


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("SendMessage", {}, "message"),
    ("SendMessage", {"message": message(messageId="")}, "message.messageId"),
    ("SendMessage", {"message": message(role="ROLE_UNSPECIFIED")}, "message.role"),
    ("SendMessage", {"message": message(parts=[])}, "message.parts"),
    ("SendMessage", {"message": message(parts=[{"text": "a"}, {"filename": "b"}])}, "message.parts[1]"),
    ("SendStreamingMessage", {"message": message(parts=[{}])}, "message.parts[0]"),
    ("SendMessage", {"message": message(), "configuration": {"historyLength": -1}}, "configuration.historyLength"),
    ("ListTasks", {"pageSize": 1000}, "pageSize"),
]
BAD_JSON: list[tuple[str, dict[str, Any], str]] = [
    ("SendMessage", {"message": message(messageId=7)}, "message.messageId"),
    ("SendMessage", {"message": message(role="ROLE_KING")}, "message.role"),
    ("SendMessage", {"message": message(parts="text")}, "message.parts"),
    ("SendMessage", {"message": message(parts=[{"text": "a", "url": "b"}])}, "message.parts[0]"),
    ("SendMessage", {"message": message(parts=[{"text": "a"}, {"raw": "%%%"}])}, "message.parts[1].raw"),
    (
        "SendMessage",
        {"message": message(), "configuration": {"returnImmediately": "soon"}},
        "configuration.returnImmediately",
    ),
    ("ListTasks", {"status": "TASK_STATE_HAPPY"}, "status"),
    ("ListTasks", {"statusTimestampAfter": "yesterday"}, "statusTimestampAfter"),
]


@pytest.mark.requirement(
    "ERROR-VALIDATED", "ERROR-FIELD", "DATA-REQUIRED-CHECKED", "DATA-NOT-EMPTY", "DATA-ONE-CONTENT"
)
@pytest.mark.parametrize(("method", "params", "field"), BAD)
async def test_a_wrong_parameter_is_named_and_nothing_is_done(
    wire: Wire, clerk: Clerk, method: str, params: dict[str, Any], field: str
) -> None:
    refused = await wire.refused(method, params)
    assert refused.reason == "INVALID_PARAMS"
    assert list(refused.violations) == [field]
    assert all(refused.violations.values())
    assert clerk.heard == []
    assert (await wire.result("ListTasks"))["totalSize"] == 0


@json_only
@pytest.mark.requirement("ERROR-VALIDATED", "ERROR-FIELD", "DATA-ONE-CONTENT", "DATA-TIMES-READ")
@pytest.mark.parametrize(("method", "params", "field"), BAD_JSON)
async def test_so_is_what_only_json_can_say(
    wire: Wire, clerk: Clerk, method: str, params: dict[str, Any], field: str
) -> None:
    await test_a_wrong_parameter_is_named_and_nothing_is_done(wire, clerk, method, params, field)


@pytest.mark.requirement("AUTH-BOUNDS")
async def test_parts_have_a_bound(wire: Wire) -> None:
    refused = await wire.refused("SendMessage", {"message": message(parts=[{"text": "a"}] * 5)})
    assert (refused.reason, list(refused.violations)) == ("INVALID_PARAMS", ["message.parts"])


@pytest.mark.requirement("ERROR-GUIDANCE")
async def test_an_error_says_what_would_be_right(wire: Wire) -> None:
    for reason, right in (("VERSION_NOT_SUPPORTED", "1.0"), ("CONTENT_TYPE_NOT_SUPPORTED", "text/plain")):
        assert right in ((await provoked(wire, reason)).hint or "")


@pytest.mark.requirement("ERROR-TEMPORARY", "ERROR-RETRY-AFTER", "AUTH-LOAD")
async def test_what_will_pass_says_when_to_come_back(wire: Wire, clerk: Clerk) -> None:
    refused = await provoked(wire, "OVERLOADED")
    [retry] = [detail for detail in refused.details if detail["@type"].endswith(".RetryInfo")]
    assert float(retry["retryDelay"].removesuffix("s")) > 0
    lasting = await wire.refused("GetTask", {"id": "nope"})
    assert not any(detail["@type"].endswith(".RetryInfo") for detail in lasting.details)
    clerk.strings["hangs"].end()
    assert await wire.send("say better now")


@pytest.mark.requirement("ERROR-AGENT-RESPONSE", "ERROR-DISCREET")
async def test_what_went_wrong_inside_stays_inside(wire: Wire) -> None:
    refused = await provoked(wire, "INVALID_AGENT_RESPONSE")
    failed = await wire.send("raise the secret detail")
    assert failed["status"]["state"] == "TASK_STATE_FAILED"
    assert "secret" not in str(refused.details) + refused.message + str(failed["status"])
