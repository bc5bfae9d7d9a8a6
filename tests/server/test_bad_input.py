"""What bad input gets: a typed error that names the field; the server stays up, and nothing is stored half."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.server import App, ServerLimits
from codin.task import Task
from codin.trust import BearerTokens
from tests.server.rpc import HEADERS, Rpc, lifted, message
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


@agent
async def echo(text: str, task: Task) -> str:
    """Answer what was said."""
    if text == "ask":
        return (await task.ask("what?")).text
    return text


@pytest.fixture
async def rpc() -> AsyncIterator[Rpc]:
    caller = Rpc(App(echo, server_limits=ServerLimits(max_body=100_000, max_parts=4, max_batch=3)))
    async with caller.http:
        yield caller
        assert (await caller.send("still there"))["status"]["state"] == "TASK_STATE_COMPLETED"


async def nothing_stored(rpc: Rpc) -> bool:
    return (await rpc.result("ListTasks"))["totalSize"] == 0


def call(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", **fields}).encode()


@pytest.mark.requirement("RPC-PARSE-ERROR", "RPC-INVALID-REQUEST", "RPC-METHOD-NOT-FOUND", "RPC-INVALID-PARAMS")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":7,"method":"SendMessage","params":{"x":NaN}}', -32700),
        (b'"text"', -32600),
        (b"[]", -32600),
        (b"42", -32600),
        (b"null", -32600),
        (call(jsonrpc="1.0"), -32600),
        (call(method=7), -32600),
        (call(id=1.5), -32600),
        (call(id=[1]), -32600),
        (call(params=[1]), -32602),
        (call(params="x"), -32600),
        (call(method="Nope"), -32601),
        (call(method="message/send"), -32601),
        (b"[" * 10_000 + b"]" * 10_000, -32700),
        (call(params={"message": message(), "metadata": json.loads("[" * 200 + "]" * 200)}), -32700),
        (call(params={"message": message(metadata=json.loads('{"a":' * 150 + "1" + "}" * 150))}), -32700),
    ],
)
async def test_an_envelope_that_is_none(rpc: Rpc, body: bytes, code: int) -> None:
    response = await rpc.post(body)
    assert response.status_code == 200
    assert response.json()["error"]["code"] == code
    assert await nothing_stored(rpc)


BAD_PARAMS: list[tuple[dict[str, Any], str]] = [
    ({}, "message"),
    ({"message": "text"}, "message"),
    ({"message": {**message(), "messageId": 7}}, "message.messageId"),
    ({"message": {"messageId": "m", "role": "ROLE_USER"}}, "message.parts"),
    ({"message": {**message(), "role": "ROLE_KING"}}, "message.role"),
    ({"message": {**message(), "parts": []}}, "message.parts"),
    ({"message": {**message(), "parts": "text"}}, "message.parts"),
    ({"message": {**message(), "parts": [{}]}}, "message.parts[0]"),
    ({"message": {**message(), "parts": [{"text": "a", "url": "b"}]}}, "message.parts[0]"),
    ({"message": {**message(), "parts": [{"text": "a"}, {"raw": "%%%"}]}}, "message.parts[1].raw"),
    ({"message": {**message(), "parts": [{"text": 7}]}}, "message.parts[0].text"),
    ({"message": message(), "configuration": {"historyLength": -1}}, "configuration.historyLength"),
    ({"message": {**message(), "parts": [{"text": "a"}] * 5}}, "message.parts"),
    ({"message": message(), "configuration": {"returnImmediately": "soon"}}, "configuration.returnImmediately"),
]


@pytest.mark.requirement("RPC-INVALID-PARAMS")
@pytest.mark.parametrize(("params", "field"), BAD_PARAMS)
async def test_params_name_the_wrong_field(rpc: Rpc, params: dict[str, Any], field: str) -> None:
    error = await rpc.error("SendMessage", params)
    assert error["code"] == -32602
    assert error["fields"] == [field]
    assert await nothing_stored(rpc)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 101}, "pageSize"),
        ({"historyLength": -1}, "historyLength"),
        ({"pageToken": "forged"}, "pageToken"),
        ({"pageToken": "WzEsIngiLCJ5Il0="}, "pageToken"),
        ({"status": "TASK_STATE_HAPPY"}, "status"),
        ({"statusTimestampAfter": "yesterday"}, "statusTimestampAfter"),
    ],
)
async def test_list_names_the_wrong_field(rpc: Rpc, params: dict[str, Any], field: str) -> None:
    error = await rpc.error("ListTasks", params)
    assert (error["code"], error["fields"]) == (-32602, [field])


async def test_a_page_token_of_another_query_is_refused(rpc: Rpc) -> None:
    for _ in range(3):
        await rpc.send(contextId="c")
    token = (await rpc.result("ListTasks", {"pageSize": 1, "contextId": "c"}))["nextPageToken"]
    assert token
    error = await rpc.error("ListTasks", {"pageSize": 1, "pageToken": token})
    assert error["fields"] == ["pageToken"]


@pytest.mark.requirement("AUTH-MEDIA-TYPES")
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
async def test_the_media_type_is_seen_before_the_body(rpc: Rpc, media_type: str | None) -> None:
    headers = {"A2A-Version": "1.0"} | ({"content-type": media_type} if media_type else {})
    response = await rpc.post(b"not json at all", headers)
    assert response.json()["error"]["code"] == -32005


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_media_types_are_taken(rpc: Rpc, media_type: str) -> None:
    response = await rpc.post(call(params={"message": message()}), {**HEADERS, "content-type": media_type})
    assert "result" in response.json()


@pytest.mark.parametrize("version", [None, "", "0.3", "2.0", "99.0", "1", "one", "1.01"])
async def test_another_version_is_refused_in_every_method(rpc: Rpc, version: str | None) -> None:
    headers = {"content-type": "application/json"} | ({} if version is None else {"A2A-Version": version})
    for method in ("SendMessage", "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask", "SubscribeToTask"):
        response = await rpc.post(call(method=method, params={"message": message(), "id": "x"}), headers)
        error = lifted(response.json()["error"])
        assert (error["code"], error["reason"]) == (-32009, "VERSION_NOT_SUPPORTED")
    assert await nothing_stored(rpc)


@pytest.mark.parametrize(
    ("version", "said"), [(None, "names no A2A version"), ("", "names no A2A version"), ("2.0", "A2A version '2.0'")]
)
async def test_a_version_that_was_not_sent_is_not_quoted(rpc: Rpc, version: str | None, said: str) -> None:
    headers = {"content-type": "application/json"} | ({} if version is None else {"A2A-Version": version})
    error = lifted((await rpc.post(call(method="GetTask", params={"id": "x"}), headers)).json()["error"])
    assert said in error["message"]
    assert "A2A-Version: 1.0" in error["hint"]


@pytest.mark.parametrize(("method", "of_an_old_version"), [("Nope", False), ("message/send", True)])
async def test_the_methods_that_there_are_are_named(rpc: Rpc, method: str, of_an_old_version: bool) -> None:
    hint = (await rpc.error(method))["hint"]
    assert ("0.3" in hint) is of_an_old_version
    for named in ("SendMessage", "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask", "SubscribeToTask"):
        assert named in hint
    assert "CreateTaskPushNotificationConfig" in hint
    assert "Push" not in (await Rpc(App(echo, push=False)).error(method))["hint"]
    assert "Extended" not in hint


@pytest.mark.parametrize("version", ["1.0", "1.0.1", " 1.0 "])
async def test_a_patch_version_is_ignored(rpc: Rpc, version: str) -> None:
    response = await rpc.post(call(params={"message": message()}), {**HEADERS, "A2A-Version": version})
    assert "result" in response.json()


@pytest.mark.requirement("VERSION-QUERY")
async def test_the_version_may_be_a_query_parameter(rpc: Rpc) -> None:
    headers = {"content-type": "application/json"}
    response = await rpc.http.post("/?A2A-Version=1.0", content=call(params={"message": message()}), headers=headers)
    assert "result" in response.json()


@pytest.mark.requirement("AUTH-BOUNDS")
async def test_a_huge_body_is_not_read_to_its_end() -> None:
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b" " * 1000

    app = App(echo, server_limits=ServerLimits(max_body=10_000))
    sent: list[dict[str, Any]] = []
    parts = chunks()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(parts), "more_body": True}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http", "method": "POST", "path": "/", "root_path": "", "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert lifted(json.loads(sent[1]["body"])["error"])["reason"] == "PAYLOAD_TOO_LARGE"
    assert taken < 100  # what is too much is discarded, up to eight times as much


async def test_a_declared_huge_body_is_refused_at_once(rpc: Rpc) -> None:
    response = await rpc.post(b" " * 200_000)
    assert response.status_code == 413


@pytest.mark.parametrize("transport", ["httpx", "asyncio"])
async def test_who_sends_far_too_much_is_told_so(transport: str) -> None:
    if transport == "asyncio":
        pytest.importorskip("httptools", reason="pip install 'codin[fast]'")
    app = App(echo, server_limits=ServerLimits(max_body=2_000_000))
    async with listening(app) as served, codin.connect(served.url, transport=transport) as peer:
        with pytest.raises(a2a.PayloadTooLarge, match="base64"):
            await peer.send("x", files=[a2a.Part(raw=b"x" * 10_000_000)])


async def test_unknown_tasks(rpc: Rpc) -> None:
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        assert (await rpc.error(method, {"id": "nope"}))["reason"] == "TASK_NOT_FOUND"
    error = await rpc.error("SendMessage", {"message": message(taskId="nope")})
    assert error["reason"] == "TASK_NOT_FOUND"
    assert await nothing_stored(rpc)


async def test_a_terminal_task_takes_no_message(rpc: Rpc) -> None:
    task = await rpc.send()
    assert (await rpc.error("SendMessage", {"message": message(taskId=task["id"])}))["code"] == -32004
    assert (await rpc.error("SubscribeToTask", {"id": task["id"]}))["code"] == -32004
    assert (await rpc.error("CancelTask", {"id": task["id"]}))["code"] == -32002
    assert await rpc.result("GetTask", {"id": task["id"]}) == task


async def test_a_context_that_is_not_the_tasks(rpc: Rpc) -> None:
    task = await rpc.send("ask")
    error = await rpc.error("SendMessage", {"message": message("x", taskId=task["id"], contextId="other")})
    assert error["fields"] == ["message.contextId"]
    assert await rpc.result("GetTask", {"id": task["id"]}) == task


async def test_an_event_number_beyond_the_end(rpc: Rpc) -> None:
    task = await rpc.send("ask")
    for number in ("999", "x", "-1", "9" * 30):
        error = await rpc.error("SubscribeToTask", {"id": task["id"]}, Last_Event_ID=number)
        assert error["reason"] == "EVENT_NUMBER_UNKNOWN"


async def test_the_same_key_with_another_body(rpc: Rpc) -> None:
    first = await rpc.result("SendMessage", {"message": message("a")}, Idempotency_Key="k")
    assert await rpc.result("SendMessage", {"message": message("a")}, Idempotency_Key="k") == first
    error = await rpc.error("SendMessage", {"message": message("b")}, Idempotency_Key="k")
    assert error["reason"] == "IDEMPOTENCY_CONFLICT"
    assert (await rpc.result("ListTasks"))["totalSize"] == 1


@pytest.mark.requirement("PUSH-UNDECLARED", "PUSH-INLINE-UNDECLARED", "EXTENDED-UNDECLARED")
async def test_push_and_extended_cards_are_not_there() -> None:
    rpc = Rpc(App(echo, push=False))
    for method in (
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
    ):
        for params in ({"taskId": "t", "id": "i", "url": "http://127.0.0.1/"}, {}, {"taskId": 7}):
            error = await rpc.error(method, params)
            assert error["reason"] == "PUSH_NOTIFICATION_NOT_SUPPORTED"
    assert (await rpc.error("GetExtendedAgentCard"))["reason"] == "UNSUPPORTED_OPERATION"
    inline = {"message": message(), "configuration": {"taskPushNotificationConfig": {"url": "http://127.0.0.1/"}}}
    assert (await rpc.error("SendMessage", inline))["reason"] == "PUSH_NOTIFICATION_NOT_SUPPORTED"


async def test_a_media_type_the_agent_does_not_take(rpc: Rpc) -> None:
    part = {"raw": "AAAA", "mediaType": "video/mp4"}
    error = await rpc.error("SendMessage", {"message": message(parts=[part])})
    assert error["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"


@pytest.mark.requirement("RPC-BATCH")
async def test_a_batch_is_answered_entry_by_entry(rpc: Rpc) -> None:
    good = {"jsonrpc": "2.0", "id": "a", "method": "SendMessage", "params": {"message": message()}}
    notified = {"jsonrpc": "2.0", "method": "ListTasks"}
    response = await rpc.post(json.dumps([good, 7, notified]).encode())
    answers = response.json()
    assert [answer["id"] for answer in answers] == ["a", None]
    assert answers[0]["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert answers[1]["error"]["code"] == -32600
    streaming = {**good, "method": "SendStreamingMessage"}
    assert (await rpc.post(json.dumps([streaming]).encode())).json()[0]["error"]["code"] == -32600
    assert (await rpc.post(json.dumps([good] * 4).encode())).json()["error"]["code"] == -32600


@pytest.mark.requirement("RPC-BATCH")
async def test_a_notification_is_not_answered(rpc: Rpc) -> None:
    response = await rpc.post(call(params={"message": message()}).replace(b'"id": 7, ', b""))
    assert (response.status_code, response.content) == (204, b"")
    assert (await rpc.result("ListTasks"))["totalSize"] == 1


@pytest.mark.requirement("RPC-ENVELOPE")
@pytest.mark.parametrize("call_id", ["text", 0, -5, None, 2**60, "é\u2028"])
async def test_ids_come_back_as_they_were(rpc: Rpc, call_id: object) -> None:
    response = await rpc.post(call(id=call_id, params={"message": message()}))
    assert response.json()["id"] == call_id
    assert "result" in response.json()


async def test_other_paths_and_methods(rpc: Rpc) -> None:
    expected = {("HEAD", "/"): 200, ("PUT", "/"): 405, ("GET", "/nope"): 404, ("POST", "/healthz"): 405}
    for (method, path), status in expected.items():
        response: httpx.Response = await rpc.http.request(method, path)
        assert response.status_code == status


async def test_without_a_valid_token_nothing_is_said() -> None:
    rpc = Rpc(App(echo, authenticator=BearerTokens({"s3cret": "alice", "other": "bob"})))
    for authorization in ("", "Bearer wrong", "Basic s3cret", "Bearer"):
        response = await rpc.post(call(params={"message": message()}), {**HEADERS, "Authorization": authorization})
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert lifted(response.json()["error"])["reason"] == "UNAUTHENTICATED"
        assert "s3cret" not in response.text
    alice, bob = {"Authorization": "Bearer s3cret"}, {"Authorization": "bearer other"}
    task = (await rpc.result("SendMessage", {"message": message("ask")}, **alice))["task"]
    assert (await rpc.result("GetTask", {"id": task["id"]}, **alice))["id"] == task["id"]
    unknown = await rpc.error("GetTask", {"id": "nope"}, **bob)
    foreign = await rpc.error("GetTask", {"id": task["id"]}, **bob)
    assert json.dumps(foreign).replace(task["id"], "nope") == json.dumps(unknown)
    assert (await rpc.result("ListTasks", **bob))["totalSize"] == 0
