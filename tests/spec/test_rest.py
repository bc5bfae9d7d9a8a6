"""What HTTP+JSON adds to the operations. Spec 11."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from codin.server import App
from tests.spec.clerk import Clerk
from tests.spec.wire import message

pytestmark = pytest.mark.anyio

A2A_JSON = {"Content-Type": "application/a2a+json"}
SEND = {"message": message("say hello")}


@pytest.fixture
async def http(clerk: Clerk) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"A2A-Version": "1.0", "Accept": "*/*"}
    transport = httpx.ASGITransport(App(clerk))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def sent(http: httpx.AsyncClient, text: str, path: str = "", **fields: str) -> str:
    """The id of a task that a message made."""
    body = json.dumps({"message": message(text, **fields)})
    return (await http.post(f"{path}/message:send", content=body, headers=A2A_JSON)).json()["task"]["id"]


@pytest.mark.requirement("REST-PATHS")
async def test_each_operation_has_its_path_and_its_verb(http: httpx.AsyncClient) -> None:
    task = f"/tasks/{await sent(http, 'ask which?')}"
    config = f"{task}/pushNotificationConfigs"
    for verbs, path in (
        ({"POST"}, "/message:send"),
        ({"POST"}, "/message:stream"),
        ({"GET"}, task),
        ({"GET"}, "/tasks"),
        ({"POST"}, f"{task}:cancel"),
        ({"POST", "GET"}, f"{task}:subscribe"),
        ({"POST", "GET"}, config),
        ({"GET", "DELETE"}, f"{config}/c"),
        ({"GET"}, "/extendedAgentCard"),
    ):
        response = await http.put(path)
        assert response.status_code == 405
        assert {verb.strip() for verb in response.headers["allow"].split(",")} - {"HEAD"} == verbs


@pytest.mark.requirement("REST-SUBSCRIBE", "REST-STREAM")
@pytest.mark.parametrize("verb", ["POST", "GET"])
async def test_a_subscription_may_be_asked_for_by_either_verb(http: httpx.AsyncClient, clerk: Clerk, verb: str) -> None:
    body = json.dumps({"message": message("x"), "configuration": {"returnImmediately": True}})
    task = (await http.post("/message:send", content=body, headers=A2A_JSON)).json()["task"]
    clerk.strings["x"].end()
    response = await http.request(verb, f"/tasks/{task['id']}:subscribe")
    assert response.headers["content-type"].startswith("text/event-stream")
    data = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data: ")]
    assert [list(event) for event in (data[0], data[-1])] == [["task"], ["statusUpdate"]]


@pytest.mark.requirement("REST-MEDIA-TYPE")
async def test_media_types(http: httpx.AsyncClient) -> None:
    for media_type in ("application/a2a+json", "application/a2a+json; charset=utf-8", "application/json"):
        response = await http.post("/message:send", content=json.dumps(SEND), headers={"Content-Type": media_type})
        assert response.status_code == 200
    for path in ("/tasks", "/tasks/nope"):
        for accepted, told in (
            ("*/*", "application/a2a+json"),
            ("application/a2a+json", "application/a2a+json"),
            ("application/json, application/a2a+json", "application/a2a+json"),
            ("application/json", "application/json"),
        ):
            assert (await http.get(path, headers={"Accept": accepted})).headers["content-type"] == told


@pytest.mark.requirement("REST-QUERY-NAMES", "REST-QUERY-VALUES")
async def test_the_fields_of_a_query(http: httpx.AsyncClient) -> None:
    asked, done = await sent(http, "ask which?", contextId="a b&c"), await sent(http, "say x")
    for query, expected in (
        ("contextId=a%20b%26c", [asked]),
        ("context_id=a%20b%26c", [done, asked]),  # another name, and passed over
        ("status=TASK_STATE_COMPLETED", [done]),
        ("statusTimestampAfter=2001-01-01T00:00:00Z&status=TASK_STATE_COMPLETED&pageSize=1", [done]),
        ("statusTimestampAfter=2999-01-01T00:00:00.000Z", []),
    ):
        page = (await http.get(f"/tasks?{query}")).json()
        assert sorted(task["id"] for task in page["tasks"]) == sorted(expected), query
    for value, there in (("true", True), ("false", False)):
        [task] = (await http.get(f"/tasks?includeArtifacts={value}&status=TASK_STATE_COMPLETED")).json()["tasks"]
        assert ("artifacts" in task) is there
    assert "history" not in (await http.get(f"/tasks/{done}?historyLength=0")).json()
    for query in ("includeArtifacts=True", "includeArtifacts=1", "pageSize=many", "status=working"):
        refused = await http.get(f"/tasks?{query}")
        [violation] = refused.json()["error"]["details"][1]["fieldViolations"]
        assert (refused.status_code, violation["field"]) == (400, query.partition("=")[0])


@pytest.mark.requirement("REST-ERROR", "REST-ERROR-INFO")
async def test_an_error_is_a_status(http: httpx.AsyncClient) -> None:
    response = await http.get("/tasks/nope")
    assert response.status_code == 404
    [(name, error)] = response.json().items()
    assert name == "error"
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["message"]
    [info] = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == ("TASK_NOT_FOUND", "a2a-protocol.org")


@pytest.mark.requirement("TENANT-PATH", "TENANT-APART")
async def test_a_tenant_may_stand_before_every_path(http: httpx.AsyncClient) -> None:
    acme = await sent(http, "ask which?", "/acme")
    nobodys = await sent(http, "say x")
    assert [task["id"] for task in (await http.get("/acme/tasks")).json()["tasks"]] == [acme]
    assert [task["id"] for task in (await http.get("/tasks")).json()["tasks"]] == [nobodys]
    assert [task["id"] for task in (await http.get("/tasks?tenant=acme")).json()["tasks"]] == [acme]
    for place, status in (("/acme", 200), ("", 404), ("/other", 404)):
        assert (await http.get(f"{place}/tasks/{acme}")).status_code == status
    assert (await http.post(f"/other/tasks/{acme}:cancel")).status_code == 404
    assert (await http.post(f"/acme/tasks/{acme}:cancel")).json()["status"]["state"] == "TASK_STATE_CANCELED"
