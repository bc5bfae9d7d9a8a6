"""A2A 0.3 at the wire: which requests are in it, and what is answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError
from codin.server import RESUME, App
from codin.task import Task
from codin.trust import BearerTokens, SigningKey, verify_card
from tests.server.rpc import Rpc, lifted

pytestmark = pytest.mark.anyio

Fields = dict[str, Any]

NOT_SAID: dict[str, str] = {"content-type": "application/json"}
CARD = "/.well-known/agent-card.json"
MESSAGE: Fields = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
REST_MESSAGE: Fields = {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hi"}]}


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def clerk(text: str, task: Task) -> AsyncIterator[str]:
    """Asks for a name, and greets it."""
    yield f"Hello {(await task.ask('Who?')).text}"


@pytest.fixture
async def rpc() -> AsyncIterator[Rpc]:
    caller = Rpc(App(shout))
    async with caller.http:
        yield caller


async def post(rpc: Rpc, method: str, params: Fields | None = None, **headers: str) -> httpx.Response:
    body = json.dumps({"jsonrpc": "2.0", "id": "i", "method": method, "params": params or {}}).encode()
    return await rpc.post(body, NOT_SAID | {name.replace("_", "-"): value for name, value in headers.items()})


async def result(rpc: Rpc, method: str, params: Fields | None = None, **headers: str) -> Any:
    answer = (await post(rpc, method, params, **headers)).json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", "i")
    assert "result" in answer, answer
    return answer["result"]


async def error(rpc: Rpc, method: str, params: Fields | None = None, **headers: str) -> Fields:
    return lifted((await post(rpc, method, params, **headers)).json()["error"])


def events(response: httpx.Response) -> list[Fields]:
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


# -- which requests are in 0.3 -----------------------------------------------------------------------------------------


@pytest.mark.requirement("V03-SERVER")
@pytest.mark.parametrize("version", [None, "", "0.3", "0.3.0", " 0.3 "])
async def test_a_method_of_0_3_is_answered_in_0_3(rpc: Rpc, version: str | None) -> None:
    task = await result(
        rpc, "message/send", {"message": MESSAGE}, **({} if version is None else {"A2A_Version": version})
    )
    assert (task["kind"], task["status"]["state"]) == ("task", "completed")
    assert task["artifacts"][0]["parts"] == [{"kind": "text", "text": "HI"}]


async def test_a_method_of_0_3_in_another_version_is_none(rpc: Rpc) -> None:
    assert (await error(rpc, "message/send", {"message": MESSAGE}, A2A_Version="1.0"))["code"] == -32601
    assert (await error(rpc, "message/send", {"message": MESSAGE}, A2A_Version="2.0"))["code"] == -32009


@pytest.mark.parametrize("version", [None, "0.3"])
async def test_a_method_of_1_0_in_0_3_is_refused(rpc: Rpc, version: str | None) -> None:
    headers = {} if version is None else {"A2A_Version": version}
    refused = await error(rpc, "GetTask", {"id": "x"}, **headers)
    assert (refused["code"], refused["hint"]) == (-32009, "send the header A2A-Version: 1.0")


@pytest.mark.requirement("VERSION-EMPTY")
async def test_a_server_of_1_0_alone_refuses_0_3() -> None:
    rpc = Rpc(App(shout, versions=("1.0",)))
    assert (await error(rpc, "message/send", {"message": MESSAGE}))["code"] == -32009
    rest = await rpc.http.post("/v1/message:send", json={"message": REST_MESSAGE})
    assert rest.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"
    card = (await rpc.http.get(CARD)).json()
    assert {each["protocolVersion"] for each in card["supportedInterfaces"]} == {"1.0"}
    assert "url" not in card


@pytest.mark.parametrize("versions", [("0.3",), (), ("1.0", "0.2"), "0.3"])
async def test_versions_that_cannot_be_served(versions: Any) -> None:
    with pytest.raises(ConfigError, match="versions="):
        App(shout, versions=versions)


PUSH = {"url": "nothing"}


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("message/send", {"message": MESSAGE, "configuration": {"pushNotificationConfig": PUSH}},
         "configuration.pushNotificationConfig.url"),
        ("message/send", {"message": {**MESSAGE, "parts": [{"kind": "file", "file": {"bytes": "ä"}}]}},
         "message.parts[0].file.bytes"),
        ("message/stream", {"message": {**MESSAGE, "parts": [{"kind": "file", "file": {"uri": 3}}]}},
         "message.parts[0].file.uri"),
        ("message/send", {"message": {**MESSAGE, "parts": [{"kind": "text", "text": 3}]}}, "message.parts[0].text"),
        ("message/send", {"message": {**MESSAGE, "taskId": 3}}, "message.taskId"),
        ("tasks/pushNotificationConfig/set", {"taskId": "{task}", "pushNotificationConfig": PUSH},
         "pushNotificationConfig.url"),
        ("tasks/pushNotificationConfig/set",
         {"taskId": "{task}", "pushNotificationConfig": {"url": "http://a.test", "authentication": {"schemes": ["ä"]}}},
         "pushNotificationConfig.authentication.schemes"),
        ("tasks/pushNotificationConfig/set", {"pushNotificationConfig": PUSH}, "taskId"),
        ("tasks/pushNotificationConfig/get", {"pushNotificationConfigId": "c"}, "id"),
        ("tasks/pushNotificationConfig/delete", {"id": "{task}"}, "pushNotificationConfigId"),
        ("tasks/get", {}, "id"),
    ],
)  # fmt: skip
async def test_an_error_names_the_field_as_it_was_sent(rpc: Rpc, method: str, params: Fields, field: str) -> None:
    task = await result(rpc, "message/send", {"message": MESSAGE})
    given = {name: task["id"] if value == "{task}" else value for name, value in params.items()}
    refused = await error(rpc, method, given)
    assert refused["fields"][0] == field
    assert refused["message"].startswith(f"Invalid params: {field}: ")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("message:send", {"message": REST_MESSAGE, "configuration": {"pushNotification": PUSH}},
         "configuration.pushNotification.url"),
        ("message:send", {"message": {**REST_MESSAGE, "content": [{"file": {"fileWithBytes": "ä"}}]}},
         "message.content[0].file.fileWithBytes"),
        ("message:send", {"message": {**REST_MESSAGE, "content": [{"text": "x"}] * 257}}, "message.content"),
        ("tasks/{task}/pushNotificationConfigs", {"config": {"pushNotificationConfig": PUSH}},
         "pushNotificationConfig.url"),
    ],
)  # fmt: skip
async def test_an_error_names_the_field_as_http_json_had_it(rpc: Rpc, path: str, body: Fields, field: str) -> None:
    task = await result(rpc, "message/send", {"message": MESSAGE})
    refused = lifted((await rpc.http.post(f"/v1/{path.format(task=task['id'])}", json=body)).json())
    assert refused["fields"][0] == field
    assert refused["message"].startswith(f"Invalid params: {field}: ")


async def test_a_type_of_a_file_that_is_not_taken_is_named_as_it_was_sent(rpc: Rpc) -> None:
    file = {"kind": "file", "file": {"bytes": "", "mimeType": "image/png"}}
    refused = await error(rpc, "message/send", {"message": {**MESSAGE, "parts": [file]}})
    assert refused["message"].startswith("message.parts[0].file.mimeType: this agent does not take")


async def test_a_batch_may_hold_both_spellings_of_one_version(rpc: Rpc) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": MESSAGE}},
        {"jsonrpc": "2.0", "id": 2, "method": "tasks/get", "params": {"id": "x"}},
        {"jsonrpc": "2.0", "id": 3, "method": "GetTask", "params": {"id": "x"}},
    ]
    first, second, third = (await rpc.post(json.dumps(calls).encode(), NOT_SAID)).json()
    assert first["result"]["kind"] == "task"
    assert (second["error"]["code"], third["error"]["code"]) == (-32001, -32009)


# -- JSON-RPC ----------------------------------------------------------------------------------------------------------


async def test_the_last_status_of_a_stream_is_final() -> None:
    rpc = Rpc(App(clerk))
    told = [event["result"] for event in events(await post(rpc, "message/stream", {"message": MESSAGE}))]
    assert told[0]["kind"] == "task"
    assert (told[-1]["kind"], told[-1]["status"]["state"], told[-1]["final"]) == (
        "status-update",
        "input-required",
        True,
    )
    answer = {**MESSAGE, "messageId": "n", "taskId": told[0]["id"], "contextId": told[0]["contextId"]}
    told = [event["result"] for event in events(await post(rpc, "message/stream", {"message": answer}))]
    assert (told[-1]["status"]["state"], told[-1]["final"]) == ("completed", True)
    assert not any(event.get("final") for event in told[:-1])


async def test_extensions_are_named_by_the_old_header(rpc: Rpc) -> None:
    response = await post(rpc, "message/send", {"message": MESSAGE}, X_A2A_Extensions=RESUME)
    assert response.headers["x-a2a-extensions"] == RESUME
    assert "a2a-extensions" not in response.headers
    body = {"message": REST_MESSAGE, "configuration": {"blocking": True}}
    for verb in ("send", "stream"):
        response = await rpc.http.post(
            f"/v1/message:{verb}", json=body, headers={"X-A2A-Extensions": f"urn:x, {RESUME}"}
        )
        assert response.headers["x-a2a-extensions"] == RESUME
        assert "a2a-extensions" not in response.headers


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tasks/get", {"id": "x"}, -32001),
        ("tasks/get", {}, -32602),
        ("tasks/cancel", {"id": "x"}, -32001),
        ("tasks/resubscribe", {"id": "x"}, -32001),
        ("tasks/list", {}, -32601),
        ("message/send", {"message": {**MESSAGE, "role": "assistant"}}, -32602),
        ("message/send", {"message": {**MESSAGE, "parts": []}}, -32602),
        ("message/send", {"message": {**MESSAGE, "taskId": "x"}}, -32001),
        ("agent/getAuthenticatedExtendedCard", {}, -32004),
    ],
)
async def test_failures(rpc: Rpc, method: str, params: Fields, code: int) -> None:
    assert (await error(rpc, method, params))["code"] == code


async def test_a_push_configuration(rpc: Rpc) -> None:
    task_id = (await result(rpc, "message/send", {"message": MESSAGE}))["id"]
    config = {"url": "https://hook.example/", "authentication": {"schemes": ["Bearer"], "credentials": "c"}}
    method = "tasks/pushNotificationConfig/"
    made = await result(rpc, f"{method}set", {"taskId": task_id, "pushNotificationConfig": config})
    assert made["taskId"] == task_id
    assert made["pushNotificationConfig"]["url"] == config["url"]
    ids = {"id": task_id, "pushNotificationConfigId": made["pushNotificationConfig"]["id"]}
    assert await result(rpc, f"{method}get", ids) == made
    assert await result(rpc, f"{method}get", {"id": task_id}) == made
    assert await result(rpc, f"{method}list", {"id": task_id}) == [made]
    assert await result(rpc, f"{method}delete", ids) is None
    assert await result(rpc, f"{method}list", {"id": task_id}) == []


# -- HTTP+JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("V03-DIALECTS")
@pytest.mark.parametrize("place", ["", "/shout"])
async def test_resources_are_below_v1(place: str) -> None:
    http = Rpc(App(*([shout, clerk] if place else [shout]))).http
    body = {"message": REST_MESSAGE, "configuration": {"blocking": True}}
    task = (await http.post(f"{place}/v1/message:send", json=body)).json()["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["history"][0]["content"] == [{"text": "hi"}]
    assert (await http.get(f"{place}/v1/tasks/{task['id']}")).json() == task
    told = events(await http.post(f"{place}/v1/message:stream", json=body))
    assert [*told[0]] == ["task"]
    assert told[-1]["statusUpdate"]["final"]
    canceled = await http.post(f"{place}/v1/tasks/{task['id']}:cancel", json={})
    assert (canceled.status_code, canceled.json()["code"]) == (400, -32002)
    for verb in ("GET", "POST"):
        over = await http.request(verb, f"{place}/v1/tasks/{task['id']}:subscribe")
        assert (over.status_code, over.json()["code"]) == (400, -32004)


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/acme/tasks/x", "/v2/tasks/x", "/v1/nothing"])
async def test_there_is_nothing_else_below_v1(path: str) -> None:
    assert (await Rpc(App(shout)).http.get(path)).status_code >= 400


async def test_v1_may_be_a_tenant_in_1_0() -> None:
    http = Rpc(App(shout)).http
    body = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}}
    task = (await http.post("/v1/message:send", json=body, headers={"A2A-Version": "1.0"})).json()["task"]
    path = f"/v1/tasks/{task['id']}"
    assert (await http.get(path, headers={"A2A-Version": "1.0"})).json()["artifacts"][0]["parts"] == [{"text": "HI"}]


# -- cards -------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("V03-CARD")
async def test_a_signed_card_holds_with_the_fields_of_both() -> None:
    key = SigningKey.generate("ES256")
    app = App(shout, keys=key, authenticator=BearerTokens({"t": "ada"}), public_url="https://a.example")
    document = (await Rpc(app).http.get(CARD)).content
    card = json.loads(document)
    assert verify_card(document, [key.public]) == key.public
    assert (card["url"], card["protocolVersion"]) == ("https://a.example/", "0.3.0")
    assert card["security"][0] == {name: [] for name in card["securityRequirements"][0]["schemes"]}
    versions = [each["protocolVersion"] for each in card["supportedInterfaces"]]
    assert versions == sorted(versions, reverse=True)
    forged = json.dumps({**card, "url": "https://evil.example/"}).encode()
    assert a2a.AgentCard.from_json(forged) == a2a.AgentCard.from_json(document)
