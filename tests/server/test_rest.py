"""HTTP+JSON: resources, queries, media types, errors. What the operations do is tested over JSON-RPC."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError
from codin.server import App, ServerLimits, log_lines
from codin.task import Limits, Task
from codin.trust import Access, BearerTokens, Rule
from tests.server.resources import A2A_JSON, Rest, events_of, problem_of
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio

CARD = "/.well-known/agent-card.json"


@agent
async def shout(text: str, task: Task) -> str:
    """Say it louder."""
    if text == "ask":
        await task.ask("what?")
    return text.upper()


@agent
async def whisper(text: str) -> str:
    """Say it softer."""
    return text.lower()


@agent(reply="message")
async def chat(text: str) -> str:
    """Just talk."""
    return text


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App(shout)
    yield app
    await app.close()


# Resources.


@pytest.mark.requirement("REST-PATHS", "BINDING-OPERATIONS")
async def test_every_operation_is_a_resource(app: App) -> None:
    rest = Rest(app)
    task = await rest.send("hi")
    assert a2a.text_of(a2a.Task.from_dict(task).artifacts[0].parts) == "HI"
    got = await rest.ask("GET", f"/tasks/{task['id']}")
    assert (got.status_code, got.json()) == (200, task)
    listed = (await rest.ask("GET", "/tasks?includeArtifacts=true")).json()
    assert (listed["tasks"], listed["nextPageToken"], listed["totalSize"]) == ([task], "", 1)
    asked = await rest.send("ask")
    canceled = await rest.ask("POST", f"/tasks/{asked['id']}:cancel", {})
    assert canceled.json()["status"]["state"] == "TASK_STATE_CANCELED"
    card = await rest.ask("GET", "/extendedAgentCard")
    assert problem_of(card)["reason"] == "UNSUPPORTED_OPERATION"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/tasks/t/pushNotificationConfigs"),
        ("GET", "/tasks/t/pushNotificationConfigs"),
        ("GET", "/tasks/t/pushNotificationConfigs/c"),
        ("DELETE", "/tasks/t/pushNotificationConfigs/c"),
    ],
)
async def test_push_configurations_are_resources(verb: str, path: str) -> None:
    app = App(shout, push=False)
    for prefix in ("", "/acme"):
        answer = await Rest(app).ask(verb, prefix + path, {"url": "https://e.example/"} if verb == "POST" else None)
        assert (answer.status_code, problem_of(answer)["reason"]) == (400, "PUSH_NOTIFICATION_NOT_SUPPORTED")
    await app.close()


@pytest.mark.requirement("REST-STREAM", "REST-SUBSCRIBE")
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_streams_are_bare_objects_with_numbers(app: App, verb: str) -> None:
    rest = Rest(app)
    events = events_of(await rest.ask("POST", "/message:stream", {"message": message("hi")}))
    assert [next(iter(event)) for _, event in events] == ["task", "artifactUpdate", "statusUpdate"]
    numbers = [number for number, _ in events]
    assert numbers == sorted(set(numbers))
    path = f"/tasks/{events[0][1]['task']['id']}:subscribe"
    assert events_of(await rest.ask(verb, path, Last_Event_ID=str(numbers[0]))) == events[1:]
    refused = problem_of(await rest.ask(verb, path))
    assert (refused["status"], refused["reason"]) == ("FAILED_PRECONDITION", "UNSUPPORTED_OPERATION")
    unknown = problem_of(await rest.ask(verb, path, Last_Event_ID="999"))
    assert unknown["reason"] == "EVENT_NUMBER_UNKNOWN"


async def test_a_message_is_one_event() -> None:
    app = App(chat)
    answer = await Rest(app).ask("POST", "/message:stream", {"message": message("hi")})
    [(_, event)] = events_of(answer)
    assert event["message"]["parts"] == [{"text": "hi"}]
    await app.close()


async def test_the_id_in_the_path_counts(app: App) -> None:
    rest = Rest(app)
    first, second = await rest.send("ask"), await rest.send("ask")
    canceled = await rest.ask("POST", f"/tasks/{first['id']}:cancel", {"id": second["id"], "metadata": {}})
    assert canceled.json()["id"] == first["id"]
    assert (await rest.ask("GET", f"/tasks/{first['id']}?id={second['id']}")).json()["id"] == first["id"]


@pytest.mark.parametrize("written", ["a%2Fb", "%3Acancel", "x%3Acancel", "a%20b%3Fc", "%C3%A9%25", "..%2f..", "x:y"])
async def test_an_id_is_decoded_once_and_stays_one_segment(app: App, written: str) -> None:
    decoded = httpx.URL(f"http://t/{written}").path[1:]
    told = problem_of(await Rest(app).ask("GET", f"/tasks/{written}"))
    assert (told["reason"], told["message"]) == ("TASK_NOT_FOUND", f"there is no task {decoded!r}")


@pytest.mark.requirement("TENANT-PATH")
async def test_a_tenant_is_a_segment_in_front(app: App) -> None:
    rest = Rest(app)
    task = await rest.ask("POST", "/acme/message:send", {"message": message("hi"), "tenant": "acme"})
    assert task.status_code == 200
    other = await rest.ask("POST", "/acme/message:send", {"message": message("hi"), "tenant": "evil"})
    assert (other.status_code, problem_of(other)["fields"]) == (400, ["tenant"])
    assert (await rest.ask("GET", "/acme/tasks?tenant=evil")).status_code == 400
    assert (await rest.ask("GET", "/acme%2Ftasks")).status_code == 404
    for path in ("/acme/tasks", "/acme/tasks/t:subscribe", "/tasks/tasks/t", "/a%20b/extendedAgentCard"):
        assert (await rest.ask("GET", path)).json().get("error", {}).get("message") != "nothing is here"


async def test_several_agents_have_their_own_resources() -> None:
    app = App(shout, whisper)
    task = await Rest(app, "/whisper").send("HI")
    assert (await Rest(app, "/whisper").ask("GET", f"/tasks/{task['id']}")).json()["artifacts"][0]["parts"] == [
        {"text": "hi"}
    ]
    assert (await Rest(app, "/shout").ask("GET", f"/tasks/{task['id']}")).status_code == 404
    assert (await Rest(app, "/whisper").ask("GET", f"/acme/tasks/{task['id']}")).status_code in {200, 404}
    nowhere = await Rest(app).ask("POST", "/message:send", {"message": message()})
    assert (nowhere.status_code, problem_of(nowhere)["message"]) == (404, "nothing is here")
    await app.close()


@pytest.mark.parametrize("prefix", ["", "/outer", "/a b/c"])
@pytest.mark.parametrize("agents", [1, 2])
async def test_resources_are_below_where_the_app_is_mounted(prefix: str, agents: int) -> None:
    app = App(*[shout, whisper][:agents])
    host = Starlette(routes=[Mount(prefix, app)])
    place = prefix.replace(" ", "%20") + ("/shout" if agents == 2 else "")
    task = await Rest(host, place).send("hi")
    assert (await Rest(host, place).ask("GET", f"/tasks/{task['id']}")).json() == task
    for path in ("/tasks/a%2Fb", "/acme%2F/tasks/a%2Fb"):
        assert problem_of(await Rest(host, place).ask("GET", path))["message"] == "there is no task 'a/b'"
    await app.close()


# Verbs.


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("GET", "/message:send", "POST"),
        ("DELETE", "/tasks", "GET, HEAD"),
        ("POST", "/tasks/t", "GET, HEAD"),
        ("GET", "/tasks/t:cancel", "POST"),
        ("HEAD", "/tasks/t:subscribe", "GET, POST"),
        ("PUT", "/tasks/t/pushNotificationConfigs", "GET, HEAD, POST"),
        ("PATCH", "/tasks/t/pushNotificationConfigs/c", "DELETE, GET, HEAD"),
        ("OPTIONS", "/acme/extendedAgentCard", "GET, HEAD"),
    ],
)
async def test_another_verb_is_told_which_there_are(app: App, verb: str, path: str, allow: str) -> None:
    answer = await Rest(app).ask(verb, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    if verb != "HEAD":
        assert problem_of(answer)["status"] == "UNIMPLEMENTED"


@pytest.mark.parametrize("path", ["/tasks/t:explode", "/acme/tasks/a:b:explode"])
async def test_an_operation_that_there_is_not(app: App, path: str) -> None:
    rest = Rest(app)
    answer = await rest.ask("POST", path)
    problem = problem_of(answer)
    assert (answer.status_code, problem["message"]) == (404, "there is no operation 'explode' on a task")
    assert problem["hint"] == "there are cancel and subscribe; a colon in an id is written %3A"
    assert problem_of(await rest.ask("GET", path))["reason"] == "TASK_NOT_FOUND"  # an id may have a colon


async def test_a_head_is_a_get_without_its_body(app: App) -> None:
    rest = Rest(app)
    task = await rest.send("hi")
    for path in (f"/tasks/{task['id']}", "/tasks", "/tasks/unknown"):
        whole, head = await rest.ask("GET", path), await rest.ask("HEAD", path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["/nowhere", "/message:shout", "/a/b/tasks", "/tasks/t/pushNotificationConfigs/c/d"])
async def test_what_is_not_there_is_told_as_a_status(app: App, path: str) -> None:
    told = problem_of(await Rest(app).ask("GET", path))
    assert (told["code"], told["reason"]) == (404, "METHOD_NOT_FOUND")


# Queries. Spec 11.5.


@pytest.mark.requirement("REST-QUERY-VALUES")
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pageSize=0", "pageSize"),
        ("pageSize=many", "pageSize"),
        ("pageSize=", "pageSize"),
        ("historyLength=-1", "historyLength"),
        ("includeArtifacts=maybe", "includeArtifacts"),
        ("includeArtifacts=True", "includeArtifacts"),
        ("status=DONE", "status"),
        ("statusTimestampAfter=yesterday", "statusTimestampAfter"),
        ("pageSize=1&pageSize=2", "pageSize"),
    ],
)
async def test_a_wrong_value_is_told_by_its_field(app: App, query: str, field: str) -> None:
    answer = await Rest(app).ask("GET", f"/tasks?{query}")
    assert (answer.status_code, problem_of(answer)["fields"]) == (400, [field])


@pytest.mark.requirement("REST-QUERY-NAMES", "REST-QUERY-VALUES")
async def test_a_query_filters(app: App) -> None:
    rest = Rest(app)
    done, asks = await rest.send("hi"), await rest.send("ask")
    # Both may have come in one millisecond, and then their ids order them.
    newest = sorted((done, asks), key=lambda task: (task["status"]["timestamp"], task["id"]), reverse=True)

    async def ids(query: str) -> list[str]:
        return [task["id"] for task in (await rest.ask("GET", f"/tasks?{query}")).json()["tasks"]]

    assert await ids("status=TASK_STATE_COMPLETED") == [done["id"]]
    assert await ids(f"contextId={asks['contextId']}&unknown=1&page_size=0&A2A-Version=1.0") == [asks["id"]]
    assert await ids("statusTimestampAfter=2020-01-01T00%3A00%3A00%2B01%3A00") == [task["id"] for task in newest]
    assert await ids("statusTimestampAfter=2999-01-01T00:00:00Z") == []
    [page] = [(await rest.ask("GET", "/tasks?pageSize=1&historyLength=0")).json()]
    assert "history" not in page["tasks"][0]
    assert "artifacts" not in page["tasks"][0]
    assert await ids(f"pageSize=1&pageToken={page['nextPageToken']}") == [newest[1]["id"]]


# Media types.


@pytest.mark.requirement("REST-MEDIA-TYPE")
@pytest.mark.parametrize(
    ("accept", "sent", "answered"),
    [
        ("*/*", A2A_JSON, A2A_JSON),
        ("*/*", "application/json", "application/json"),
        ("application/json", A2A_JSON, "application/json"),
        ("application/json, application/a2a+json", "application/json", A2A_JSON),
        ("", "application/json; charset=utf-8", "application/json"),
        ("text/html", A2A_JSON, A2A_JSON),
    ],
)
async def test_it_is_answered_in_kind(app: App, accept: str, sent: str, answered: str) -> None:
    for body in ({"message": message()}, {}):
        answer = await Rest(app).ask("POST", "/message:send", body, accept=accept, content_type=sent)
        assert answer.headers["content-type"] == answered


async def test_a_get_is_answered_as_a2a(app: App) -> None:
    assert (await Rest(app).ask("GET", "/tasks")).headers["content-type"] == A2A_JSON


@pytest.mark.parametrize("declared", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_type_is_refused(app: App, declared: str) -> None:
    answer = await Rest(app).ask("POST", "/message:send", {"message": message()}, content_type=declared)
    problem = problem_of(answer)
    assert (answer.status_code, problem["reason"]) == (400, "CONTENT_TYPE_NOT_SUPPORTED")
    assert (f"media type {declared!r}" if declared else "without a media type") in problem["message"]
    assert problem["hint"] == "send JSON, as application/a2a+json or application/json"


# Errors.


@pytest.mark.requirement("REST-ERROR", "REST-ERROR-INFO")
@pytest.mark.parametrize(
    ("body", "reason", "fields"),
    [
        (b"{", "PARSE_ERROR", []),
        (b"[]", "INVALID_REQUEST", []),
        (b"{}", "INVALID_PARAMS", ["message"]),
        (b"", "INVALID_PARAMS", ["message"]),
        (b'{"message":{"messageId":"1","role":"ROLE_USER","parts":[{"text":1}]}}', "INVALID_PARAMS", None),
        (b"[" * 1000, "PARSE_ERROR", []),
    ],
)
async def test_a_wrong_body_is_told(app: App, body: bytes, reason: str, fields: list[str] | None) -> None:
    answer = await Rest(app).ask("POST", "/message:send", body, content_type=A2A_JSON)
    told = problem_of(answer)
    assert (told["code"], told["status"], told["reason"]) == (400, "INVALID_ARGUMENT", reason)
    assert told["fields"] == fields or (fields is None and told["fields"])


@pytest.mark.requirement("VERSION-REFUSED", "VERSION-EVERYWHERE")
@pytest.mark.parametrize("version", ["99.0", "2.0", "one"])
async def test_another_version_is_refused_everywhere(app: App, version: str) -> None:
    for verb, path in (("POST", "/message:send"), ("POST", "/message:stream"), ("GET", "/tasks"), ("GET", "/tasks/t")):
        answer = await Rest(app).ask(verb, path, {} if verb == "POST" else None, A2A_Version=version)
        assert (answer.status_code, problem_of(answer)["reason"]) == (400, "VERSION_NOT_SUPPORTED")


async def test_back_pressure_is_503_and_says_when() -> None:
    app = App(shout, limits=Limits(max_running=0), server_limits=ServerLimits(max_body=2000))
    answer = await Rest(app).ask("POST", "/message:send", {"message": message()})
    assert (answer.status_code, problem_of(answer)["status"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
    large = await Rest(app).ask("POST", "/message:send", {"message": message("x" * 3000)})
    assert (large.status_code, problem_of(large)["reason"]) == (413, "PAYLOAD_TOO_LARGE")
    await app.close()


async def test_a_failure_of_the_server_tells_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any) -> bytes:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(app.endpoints[0].manager, "get", fail)
    answer = await Rest(app).ask("GET", "/tasks/t")
    assert (answer.status_code, problem_of(answer)["status"]) == (500, "INTERNAL")
    assert "42" not in answer.text


# Who may come in.


@pytest.mark.requirement("AUTH-CHALLENGE", "BINDING-CREDENTIALS")
async def test_callers_are_known_as_they_are_over_json_rpc() -> None:
    app = App(shout, authenticator=BearerTokens({"a": "alice", "b": "bob"}))
    alice, bob = Rest(app, Authorization="Bearer a"), Rest(app, Authorization="Bearer b")
    task = await alice.send("hi")
    assert (await bob.ask("GET", f"/tasks/{task['id']}")).status_code == 404
    for verb, path in (("GET", "/tasks?pageSize=0"), ("POST", "/message:send"), ("POST", "/tasks/t:cancel")):
        refused = await Rest(app).ask(verb, path, b"{" if verb == "POST" else None, content_type=A2A_JSON)
        assert (refused.status_code, problem_of(refused)["status"]) == (401, "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"].startswith("Bearer")
    await app.close()


async def test_what_is_not_allowed_is_403() -> None:
    access = Access({"shout": Rule(scopes="shout")}, grants={"alice": "shout"})
    app = App(shout, authenticator=BearerTokens({"a": "alice", "b": "bob"}), access=access)
    assert (await Rest(app, Authorization="Bearer a").ask("GET", "/tasks")).status_code == 200
    refused = await Rest(app, Authorization="Bearer b").ask("GET", "/tasks")
    assert (refused.status_code, problem_of(refused)["status"]) == (403, "PERMISSION_DENIED")
    assert "scope" in refused.headers["www-authenticate"]
    await app.close()


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/message:send", "/tasks", "/tasks/t", "/acme/tasks/t:cancel", "/extendedAgentCard"])
async def test_a_hidden_agent_is_not_there(verb: str, path: str) -> None:
    access = Access({"shout": Rule(scopes="see", hidden=True), "whisper": Rule(scopes="see")}, grants={"alice": "see"})
    app = App(shout, whisper, authenticator=BearerTokens({"a": "alice", "b": "bob"}), access=access)
    stranger = Rest(app, Authorization="Bearer b")
    hidden, nowhere = await stranger.ask(verb, f"/shout{path}"), await stranger.ask(verb, f"/nowhere{path}")
    assert (hidden.status_code, hidden.content, hidden.headers) == (404, nowhere.content, nowhere.headers)
    assert (await Rest(app, Authorization="Bearer a").ask("GET", "/shout/tasks")).status_code == 200
    await app.close()


# What is told of a request.


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    stream = io.StringIO()
    log_lines("plain", "info", stream)
    yield stream
    root.handlers, root.level = before, level


async def test_the_operation_is_in_the_log(app: App, lines: io.StringIO) -> None:
    await Rest(app).send("hi")
    await Rest(app).ask("GET", "/tasks/unknown", X_Correlation_ID="c-1")
    said = lines.getvalue()
    assert "SendMessage to shout answered" in said
    assert "GetTask to shout refused (TASK_NOT_FOUND)" in said


async def test_the_correlation_id_and_the_extensions_come_back(app: App) -> None:
    answer = await Rest(app).ask("GET", "/tasks", X_Correlation_ID="c-1", A2A_Extensions=a2a.RESUME_EXTENSION)
    assert (answer.headers["x-correlation-id"], answer.headers["a2a-extensions"]) == ("c-1", a2a.RESUME_EXTENSION)


# The option.


async def test_the_card_names_the_bindings_that_are_served() -> None:
    for bindings in (("JSONRPC",), ("HTTP+JSON",), ("HTTP+JSON", "JSONRPC")):
        app = App(shout, bindings=bindings)
        card = a2a.AgentCard.from_json((await Rest(app).ask("GET", CARD)).content)
        now = [each for each in card.supported_interfaces if each.protocol_version == "1.0"]
        assert [(each.protocol_binding, each.url) for each in now] == [(name, "http://test/") for name in bindings]
        rest = await Rest(app).ask("POST", "/message:send", {"message": message()})
        rpc = await Rpc(app).post(b'{"jsonrpc":"2.0","id":1,"method":"ListTasks"}')
        assert (rest.status_code == 200) == ("HTTP+JSON" in bindings)
        assert (rpc.status_code == 200) == ("JSONRPC" in bindings)
        await app.close()


@pytest.mark.parametrize("bindings", [(), ("REST",), ("JSONRPC", "JSONRPC"), ("GRPC",)])
def test_a_binding_that_cannot_be_served_is_refused(bindings: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="bindings"):
        App(shout, bindings=bindings)
