"""The gRPC binding on the wire: what a call brings, what its answer and its trailers say. Spec 10."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import codin.a2a._proto as proto
from codin import a2a
from codin.agent import agent
from codin.errors import ConfigError
from codin.server import RESUME, App, ServerLimits
from codin.task import AgentResponse, Task
from codin.trust import Access, BearerTokens, Caller, Rule
from tests.server.clock import still, turns
from tests.server.grpc_call import Grpc, calling, read
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message
from tests.server.sockets import open_listener

pytestmark = pytest.mark.anyio

TOKENS = BearerTokens({"reader": Caller("ada", scopes=frozenset({"read"})), "nobody": "eve"})


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def whisper(task: Task) -> str:
    """Say it softly, and who has said it."""
    return f"{task.text.lower()} {task.caller.id}"


@agent
async def echo(task: Task) -> AgentResponse:
    """Gives the data back."""
    return AgentResponse.completed(data=task.data)


@agent(reply="message")
async def greet(text: str) -> str:
    """Answers without a task."""
    return f"Hello {text}"


@pytest.fixture
async def grpc() -> AsyncIterator[Grpc]:
    async with calling(App(shout, grpc_port=0)) as grpc:
        yield grpc


def sending(text: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"message": message(text, **fields)}


# -- operations --------------------------------------------------------------------------------------------------------


async def test_a_message_is_answered_with_the_task(grpc: Grpc) -> None:
    task = (await grpc.result("SendMessage", sending()))["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": "HELLO"}]
    assert await grpc.result("GetTask", {"id": task["id"]}) == task
    page = await grpc.result("ListTasks")
    assert ([each["id"] for each in page["tasks"]], page["totalSize"], page["pageSize"]) == ([task["id"]], 1, 50)


async def test_a_message_without_a_task_is_the_only_event_of_its_stream() -> None:
    async with calling(App(greet, grpc_port=0)) as grpc:
        assert (await grpc.result("SendMessage", sending("you")))["message"]["parts"] == [{"text": "Hello you"}]
        (event,) = await grpc.events("SendStreamingMessage", sending("you"))
        assert event["message"]["parts"] == [{"text": "Hello you"}]


async def test_cancel_ends_a_task() -> None:
    puppet = Puppet()
    async with calling(App(puppet, grpc_port=0)) as grpc:
        request = {**sending("a"), "configuration": {"returnImmediately": True}}
        task = (await grpc.result("SendMessage", request))["task"]
        assert task["status"]["state"] == "TASK_STATE_WORKING"
        canceled = await grpc.result("CancelTask", {"id": task["id"]})
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"


async def test_push_configurations_are_made_read_and_deleted() -> None:
    puppet = Puppet()
    async with calling(App(puppet, grpc_port=0)) as grpc:
        request = {**sending("a"), "configuration": {"returnImmediately": True}}
        task_id = (await grpc.result("SendMessage", request))["task"]["id"]
        hook = {"taskId": task_id, "url": "https://8.8.8.8/hook", "token": "t"}  # an address, so that no DNS is asked
        made = await grpc.result("CreateTaskPushNotificationConfig", hook)
        assert made == {**hook, "id": made["id"]}
        named = {"taskId": task_id, "id": made["id"]}
        assert await grpc.result("GetTaskPushNotificationConfig", named) == made
        assert await grpc.result("ListTaskPushNotificationConfigs", {"taskId": task_id}) == {"configs": [made]}
        assert await grpc.result("DeleteTaskPushNotificationConfig", named) == {}
        assert await grpc.result("ListTaskPushNotificationConfigs", {"taskId": task_id}) == {}
        puppet.strings["a"].end()


async def test_data_comes_back_as_it_was_sent() -> None:
    data = {"whole": 3, "broken": 1.5, "large": 2**52, "deep": [{"none": None, "yes": True}], "text": "ä"}
    async with calling(App(echo, grpc_port=0)) as grpc:
        sent = {"message": {**message(), "parts": [{"data": data}]}}
        task = (await grpc.result("SendMessage", sent))["task"]
        answered = task["artifacts"][0]["parts"][0]["data"]
        assert json.dumps(answered, sort_keys=True) == json.dumps(data, sort_keys=True)


async def test_the_extended_card_says_where_the_agent_is() -> None:
    app = App(
        whisper,
        grpc_port=0,
        public_url="https://agents.example.com",
        authenticator=TOKENS,
        extended_card=lambda card, caller: card.model_copy(update={"description": f"for {caller.id}"}),
    )
    async with calling(app) as grpc:
        card = await grpc.result("GetExtendedAgentCard", authorization="Bearer reader")
        assert card["description"] == "for ada"
        assert card["supportedInterfaces"][0]["url"] == "https://agents.example.com/"
        assert (await grpc.refused("GetExtendedAgentCard")).code == "UNAUTHENTICATED"


# -- service parameters ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("GRPC-VERSION")
@pytest.mark.parametrize("version", ["99.0", "0.3", "1.1", "", "one"])
@pytest.mark.parametrize("method", list(proto.RPCS))
async def test_no_operation_speaks_another_version(grpc: Grpc, method: str, version: str) -> None:
    refused = await grpc.refused(method, a2a_version=version)
    assert (refused.code, type(refused.error)) == ("FAILED_PRECONDITION", a2a.VersionNotSupported)


async def test_a_patch_version_is_no_other_version(grpc: Grpc) -> None:
    assert "task" in await grpc.result("SendMessage", sending(), a2a_version="1.0.7")


async def test_an_idempotency_key_makes_one_task(grpc: Grpc) -> None:
    first = await grpc.result("SendMessage", sending(), idempotency_key="k")
    assert await grpc.result("SendMessage", sending(), idempotency_key="k") == first
    refused = await grpc.refused("SendMessage", sending("other"), idempotency_key="k")
    assert (refused.code, type(refused.error)) == ("ALREADY_EXISTS", a2a.IdempotencyConflict)


async def test_the_answer_names_what_the_request_named(grpc: Grpc) -> None:
    await grpc.result("ListTasks", a2a_extensions=f"urn:other, {RESUME}", x_correlation_id="order-1")
    assert grpc.headers["a2a-extensions"] == RESUME
    assert grpc.headers["x-correlation-id"] == "order-1"
    refused = await grpc.refused("GetTask", {"id": "none"}, x_correlation_id="order-1")
    assert refused.trailers["x-correlation-id"] == "order-1"


async def test_a_line_is_logged_for_each_call(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "codin.server"):
        async with calling(App(shout, grpc_port=0)) as grpc:
            await grpc.result("SendMessage", sending())
            await grpc.refused("GetTask", {"id": "none"})
    lines = [record.message.partition(" in ")[0] for record in caplog.records if record.name == "codin.server"]
    assert lines == ["SendMessage to shout answered", "GetTask to shout refused (TASK_NOT_FOUND)"]


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("GRPC-ERROR")
async def test_errors_have_the_statuses_of_the_specification(grpc: Grpc) -> None:
    done = (await grpc.result("SendMessage", sending()))["task"]["id"]
    expected: list[tuple[str, Any, str, type[a2a.A2AError]]] = [
        ("GetTask", {"id": "none"}, "NOT_FOUND", a2a.TaskNotFound),
        ("SubscribeToTask", {"id": "none"}, "NOT_FOUND", a2a.TaskNotFound),
        ("CancelTask", {"id": done}, "FAILED_PRECONDITION", a2a.TaskNotCancelable),
        ("SubscribeToTask", {"id": done}, "FAILED_PRECONDITION", a2a.UnsupportedOperation),
        ("SendMessage", sending(taskId=done), "FAILED_PRECONDITION", a2a.UnsupportedOperation),
        ("GetExtendedAgentCard", {}, "FAILED_PRECONDITION", a2a.UnsupportedOperation),
        ("GetTask", {}, "INVALID_ARGUMENT", a2a.InvalidParams),
        ("ListTasks", {"pageSize": 101}, "INVALID_ARGUMENT", a2a.InvalidParams),
    ]
    for method, params, code, kind in expected:
        refused = await grpc.refused(method, params)
        assert (refused.code, type(refused.error)) == (code, kind), method


async def test_a_wrong_field_is_named_in_the_details(grpc: Grpc) -> None:
    refused = await grpc.refused("SendMessage", {"message": {"role": "ROLE_USER", "parts": [{}]}})
    assert refused.error is not None
    assert {violation.field for violation in refused.error.violations} == {"message.messageId", "message.parts[0]"}
    assert refused.words == refused.error.message


async def test_an_error_with_much_to_say_still_arrives(grpc: Grpc) -> None:
    parts = [{"metadata": {"x": 1}, "filename": "n" * 500}] * 30
    refused = await grpc.refused("SendMessage", {"message": {**message(), "parts": parts}})
    assert (refused.code, type(refused.error)) == ("INVALID_ARGUMENT", a2a.InvalidParams)
    missing = await grpc.refused("GetTask", {"id": "ä" * 3000})
    assert (missing.code, type(missing.error)) == ("NOT_FOUND", a2a.TaskNotFound)


@pytest.mark.parametrize(
    "error",
    [
        a2a.TaskNotFound("ä" * 3000),
        a2a.TaskNotFound("%" * 3000),
        a2a.InvalidParams("x" * 3000, metadata={"much": "y" * 9000}),
        a2a.InvalidParams("x", violations=[a2a.FieldViolation(f"parts[{number}]", "ä" * 200) for number in range(100)]),
    ],
)
def test_what_an_error_says_fits_into_trailers_that_pass_everywhere(error: a2a.A2AError) -> None:
    """Of those beyond 8 KiB gRPC refuses some by chance; other trailers need a part of that."""
    words = quote(proto.words_of(error), safe=" ")
    body = proto.status_of(error, 5)
    assert len(words) + len(b64encode(body)) < 7500
    assert type(proto.error_of(body, "", "")) is type(error)


async def test_bytes_that_are_no_message_are_refused_in_words(grpc: Grpc) -> None:
    refused = await grpc.refused("GetTask", body=b"\xff\xff\xff")
    assert (refused.code, type(refused.error)) == ("INVALID_ARGUMENT", a2a.ParseError)


async def test_numbers_that_json_has_not_are_refused(grpc: Grpc) -> None:
    request = proto.from_json("SendMessageRequest", json.dumps(sending()).encode())
    request.metadata["n"] = float("nan")
    refused = await grpc.refused("SendMessage", body=request.SerializeToString())
    assert (refused.code, type(refused.error)) == ("INVALID_ARGUMENT", a2a.InvalidParams)


async def test_what_a_handler_says_in_its_failure_stays_here() -> None:
    class Broken(Puppet):
        @property
        def reply(self) -> str:
            return "message"

        async def handle(self, task: Task) -> AgentResponse:
            raise ValueError("the secret of the handler")

    async with calling(App(Broken(), grpc_port=0)) as grpc:
        refused = await grpc.refused("SendMessage", sending())
        assert refused.code == "INTERNAL"
        assert "secret" not in f"{refused}"


# -- who calls ---------------------------------------------------------------------------------------------------------


async def test_who_calls_is_asked_and_challenged() -> None:
    app = App(whisper, grpc_port=0, authenticator=TOKENS, access=Access({"whisper": Rule(scopes="read")}))
    async with calling(app) as grpc:
        answer = await grpc.result("SendMessage", sending(), authorization="Bearer reader")
        assert answer["task"]["artifacts"][0]["parts"] == [{"text": "hello ada"}]
        stranger = await grpc.refused("SendMessage", sending())
        assert (stranger.code, stranger.trailers["www-authenticate"]) == ("UNAUTHENTICATED", 'Bearer realm="codin"')
        unfit = await grpc.refused("SendMessage", sending(), authorization="Bearer nobody")
        assert (unfit.code, type(unfit.error)) == ("PERMISSION_DENIED", a2a.PermissionDenied)
        assert "insufficient_scope" in unfit.trailers["www-authenticate"]


async def test_another_callers_task_is_not_there() -> None:
    async with calling(App(whisper, grpc_port=0, authenticator=TOKENS)) as grpc:
        task = (await grpc.result("SendMessage", sending(), authorization="Bearer reader"))["task"]
        other = await grpc.refused("GetTask", {"id": task["id"]}, authorization="Bearer nobody")
        nothing = await grpc.refused("GetTask", {"id": "f" * 32}, authorization="Bearer nobody")
        assert (other.code, other.words.replace(task["id"], "f" * 32)) == (nothing.code, nothing.words)


async def test_a_caller_cannot_say_where_it_calls_from() -> None:
    seen: list[bytes] = []

    class Addresses(BearerTokens):
        async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller | None:
            seen.append(headers[b":peer"])
            return Caller("somebody")

    async with calling(App(shout, grpc_port=0, authenticator=Addresses({"t": "somebody"}))) as grpc:
        await grpc.result("ListTasks")
    assert seen == [b"127.0.0.1"]


# -- several agents ----------------------------------------------------------------------------------------------------


async def test_the_tenant_names_one_of_several_agents() -> None:
    async with calling(App(shout, whisper, grpc_port=0)) as grpc:
        for tenant, said in [("shout", "HI"), ("whisper", "hi anonymous")]:
            answer = await grpc.result("SendMessage", {**sending("Hi"), "tenant": tenant})
            assert answer["task"]["artifacts"][0]["parts"] == [{"text": said}]
        mine = await grpc.result("ListTasks", {"tenant": "shout", "includeArtifacts": True})
        assert [each["artifacts"][0]["parts"] for each in mine["tasks"]] == [[{"text": "HI"}]]
        for request in (sending(), {**sending(), "tenant": "nobody"}):
            assert (await grpc.refused("SendMessage", request)).code == "UNIMPLEMENTED"


async def test_a_hidden_agent_is_one_that_does_not_exist() -> None:
    access = Access({"shout": (), "whisper": Rule(scopes="read", hidden=True)})
    async with calling(App(shout, whisper, grpc_port=0, authenticator=TOKENS, access=access)) as grpc:
        known = {"authorization": "Bearer reader", "x_correlation_id": "1"}
        assert "task" in await grpc.result("SendMessage", {**sending(), "tenant": "whisper"}, **known)
        for headers in ({"x_correlation_id": "1"}, {**known, "authorization": "Bearer nobody"}):
            hidden, nothing = [
                await grpc.refused("SendMessage", {**sending(), "tenant": tenant}, None, **headers)
                for tenant in ("whisper", "nobody")
            ]
            assert (hidden.code, str(hidden.error), hidden.trailers) == (
                nothing.code, str(nothing.error), nothing.trailers,
            )  # fmt: skip


async def test_numbers_that_no_double_holds_are_the_nearest_that_one_does() -> None:
    app = App(shout, grpc_port=0)
    async with calling(app) as grpc:
        task = await Rpc(app).send("hello", metadata={"large": 10**400, "small": [-(10**400)], "right": 7})
        (message,) = (await grpc.result("GetTask", {"id": task["id"]}))["history"]
        largest = sys.float_info.max
        assert message["metadata"] == {"large": largest, "small": [-largest], "right": 7}
        assert (await grpc.result("ListTasks"))["totalSize"] == 1


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_a_message_that_is_too_large_is_refused() -> None:
    async with calling(App(shout, grpc_port=0, server_limits=ServerLimits(max_body=1000))) as grpc:
        assert "task" in await grpc.result("SendMessage", sending("x" * 500))
        assert (await grpc.refused("SendMessage", sending("x" * 2000))).code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(("levels", "limit"), [(20, 15), (60, 100)])
async def test_a_message_that_is_nested_too_deep_is_refused(levels: int, limit: int) -> None:
    request = proto.from_json("SendMessageRequest", json.dumps(sending()).encode())
    value: Any = request.metadata.fields["x"]
    for _ in range(levels):
        value = value.list_value.values.add()
    async with calling(App(shout, grpc_port=0, server_limits=ServerLimits(max_depth=limit))) as grpc:
        refused = await grpc.refused("SendMessage", body=request.SerializeToString())
        assert (refused.code, type(refused.error)) == ("INVALID_ARGUMENT", a2a.ParseError)


@pytest.mark.parametrize("field", ["metadata", "message.parts.data"])
async def test_values_are_counted(field: str) -> None:
    request = proto.from_json("SendMessageRequest", json.dumps(sending()).encode())
    value: Any = request.metadata.fields["x"] if field == "metadata" else request.message.parts.add().data
    values = value.list_value.values
    async with calling(App(shout, grpc_port=0, server_limits=ServerLimits(max_values=100))) as grpc:
        for _ in range(80):
            values.add().struct_value.SetInParent()
        assert await grpc.raw("SendMessage", request.SerializeToString())
        for _ in range(80):
            values.add().struct_value.SetInParent()
        refused = await grpc.refused("SendMessage", body=request.SerializeToString())
        assert refused.code == "INVALID_ARGUMENT"
        assert refused.error is not None
        assert [each.field for each in refused.error.violations] == [field]


async def test_streams_have_a_bound() -> None:
    puppet = Puppet()
    async with calling(App(puppet, grpc_port=0, server_limits=ServerLimits(max_streams=1))) as grpc:
        first = grpc.stream("SendStreamingMessage", sending("a"))
        await first.read()
        refused = await grpc.refused("SendStreamingMessage", sending("b"))
        assert (refused.code, type(refused.error)) == ("UNAVAILABLE", a2a.Overloaded)
        assert refused.error is not None
        assert refused.error.retry_after == 1.0
        first.cancel()
        puppet.strings["a"].end()


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_numbers_are_for_those_who_ask_for_them(grpc: Grpc) -> None:
    numbered = await grpc.events("SendStreamingMessage", sending(), a2a_extensions=RESUME)
    values = [value for event in numbered for value in event.values()]
    assert [value["metadata"] for value in values] == [{RESUME: number} for number in "234"]
    plain = await grpc.events("SendStreamingMessage", sending())
    assert not any("metadata" in value for event in plain for value in event.values())


async def test_a_stream_goes_on_behind_a_number(grpc: Grpc) -> None:
    first = await grpc.events("SendStreamingMessage", sending(), a2a_extensions=RESUME)
    task_id = first[0]["task"]["id"]
    rest = await grpc.events("SubscribeToTask", {"id": task_id}, a2a_extensions=RESUME, last_event_id="2")
    assert rest == first[1:]
    refused = await grpc.refused("SubscribeToTask", {"id": task_id}, last_event_id="99")
    assert (refused.code, type(refused.error)) == ("INVALID_ARGUMENT", a2a.InvalidParams)
    assert refused.error is not None
    assert refused.error.reason == "EVENT_NUMBER_UNKNOWN"


async def all_left(app: App) -> None:
    """Wait until nobody reads: what comes of it happens in tasks of gRPC, which tell nobody."""
    while app.open_streams:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_who_leaves_is_no_reader_any_more_and_the_task_goes_on() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0)
    async with calling(app) as grpc:
        stream = grpc.stream("SendStreamingMessage", sending("a"))
        events = read(stream)
        task_id = (await anext(events))["task"]["id"]
        assert app.open_streams == 1
        stream.cancel()
        await all_left(app)
        puppet.strings["a"].end(AgentResponse.completed("done"))
        late = await grpc.events("SubscribeToTask", {"id": task_id}, last_event_id="2")
        assert late[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_who_takes_nothing_is_cut_off() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0, server_limits=ServerLimits(keep_alive=0.2, send_timeout=0.2))
    async with calling(app) as grpc:
        stream = grpc.stream("SendStreamingMessage", sending("a"))
        await stream.read()
        for _ in range(16):
            await puppet.strings["a"].write("x" * 1_000_000)
        await all_left(app)
        stream.cancel()
        puppet.strings["a"].end()


async def test_a_server_that_was_held_up_does_not_blame_its_readers() -> None:
    """An agent that blocks the loop holds up the answers of gRPC as well: nobody knows yet whether they were taken."""
    puppet = Puppet()
    app = App(puppet, grpc_port=0, server_limits=ServerLimits(keep_alive=1.0, send_timeout=1.0))
    async with calling(app) as grpc:
        stream = grpc.stream("SendStreamingMessage", sending("a"))
        events = read(stream)
        await anext(events)
        with still() as clock:
            for number in range(12):  # some of them while a message is on its way
                written = puppet.strings["a"].pull(lambda task: task.write("x"))
                await turns(number)
                await clock.advance(1.1)
                await written
                assert "artifactUpdate" in await anext(events)
        puppet.strings["a"].end()
        assert [event async for event in events][-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_drain_ends_streams_and_refuses_what_comes() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0)
    async with calling(app) as grpc:
        stream = grpc.stream("SendStreamingMessage", sending("a"))
        events = read(stream)
        task_id = (await anext(events))["task"]["id"]
        puppet.strings["a"].ask("what?")
        assert (await anext(events))["statusUpdate"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        late = grpc.stream("SubscribeToTask", {"id": task_id})
        assert "task" in await anext(read(late))
        await app.drain()
        assert [event async for event in read(late)] == []
        refused = await grpc.refused("SendMessage", sending())
        assert (refused.code, type(refused.error)) == ("UNAVAILABLE", a2a.Overloaded)


# -- the port ----------------------------------------------------------------------------------------------------------


def interfaces(app: App, url: str = "http://127.0.0.1:8000/") -> list[tuple[str, str, str, str | None]]:
    card = app.endpoints[0].cards.card(url)
    return [(each.protocol_binding, each.protocol_version, each.url, each.tenant) for each in card.supported_interfaces]


@pytest.mark.requirement("GRPC-ADDRESS")
async def test_the_card_names_the_port_while_it_is_open() -> None:
    app = App(shout, grpc_port=0)
    assert "GRPC" not in [name for name, *_ in interfaces(app)]
    async with calling(app):
        assert app.grpc is not None
        port = app.grpc.port
        found, ours = interfaces(app), ("GRPC", "1.0", f"127.0.0.1:{port}", None)
        assert found[[version for _, version, *_ in found].index("0.3") - 1] == ours
        assert ("GRPC", "1.0", f"agents.example.com:{port}", None) in interfaces(app, "https://agents.example.com/")
        assert ("GRPC", "1.0", f"[::1]:{port}", None) in interfaces(app, "http://[::1]:8000/")


@pytest.mark.requirement("TENANT-CARD")
async def test_the_card_of_one_of_several_names_its_tenant() -> None:
    app = App(shout, whisper, grpc_port=0, grpc_address="agents.example.com:443")
    async with calling(app):
        assert ("GRPC", "1.0", "agents.example.com:443", "shout") in interfaces(app)


async def test_a_card_without_a_port_names_none() -> None:
    assert "GRPC" not in [name for name, *_ in interfaces(App(shout))]


async def test_a_port_that_is_taken_is_an_error() -> None:
    with open_listener() as listener:
        listener.listen()
        app = App(shout, grpc_port=listener.getsockname()[1])
        with pytest.raises(ConfigError, match="cannot listen on"):
            await app.start()
        await app.close()


@pytest.mark.parametrize("address", ["https://agents.example.com", "agents.example.com", ":x"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ConfigError, match="no address for gRPC"):
        App(shout, grpc_port=0, grpc_address=address)


async def test_without_the_packages_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codin.server._grpc", None)
    app = App(shout, grpc_port=0)
    with pytest.raises(ConfigError, match=r"pip install 'codin\[grpc\]'"):
        await app.start()
    await app.close()


async def test_reflection_tells_the_service_to_who_knows_nothing_of_it(grpc: Grpc) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(grpc.channel)  # pyright: ignore[reportArgumentType, reportUnknownMemberType]
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=proto.SERVICE),
    ]
    services, files = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    assert proto.SERVICE in [service.name for service in services.list_services_response.service]
    pool = descriptor_pool.DescriptorPool()
    for file in reversed(files.file_descriptor_response.file_descriptor_proto):
        pool.AddSerializedFile(file)
    rpc = pool.FindServiceByName(proto.SERVICE).FindMethodByName("SendMessage")
    assert rpc is not None
    request = json_format.ParseDict(sending(), message_factory.GetMessageClass(rpc.input_type)())
    answer = message_factory.GetMessageClass(rpc.output_type).FromString(
        await grpc.raw("SendMessage", request.SerializeToString())
    )
    assert json_format.MessageToDict(answer)["task"]["artifacts"][0]["parts"] == [{"text": "HELLO"}]


def test_nobody_loads_grpc_who_does_not_serve_it() -> None:
    program = (
        "import sys, codin, codin.client, codin.server\n"
        "from codin.server import App\n"
        "def shout(text: str) -> str: return text\n"
        "App(shout)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('grpc', 'google')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
