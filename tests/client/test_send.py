"""One message, one answer; and everything that can be wrong with either."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from codin import a2a
from codin.client import Backoff, Content, Reply, connect
from codin.errors import BadResponse, ConfigError, ConnectError, DeadlineExceeded, ResponseTooLarge, TransportError
from codin.net import HttpxTransport
from tests.client.scripted import BRIEF, PATIENT, SWIFT, Call, Script, Step, card, message, now, talking_to, task
from tests.net.wire import Exchange, serving

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("spoken")]


def answering(result: Any) -> Step:
    async def step(call: Call) -> None:
        await call.result(result)

    return step


async def lose(call: Call) -> None:
    call.cut()


DONE = task("COMPLETED", text="done")


# The answer.


def test_usage_is_in_the_metadata_of_the_task() -> None:
    told = a2a.Task.from_dict({**DONE["task"], "metadata": {"urn:codin:a2a:usage:v1": {"total_tokens": 42}}})
    assert Reply(told).usage == {"total_tokens": 42}
    assert Reply(a2a.Task.from_dict(DONE["task"])).usage is None


async def test_a_task_is_read_as_text_data_files_and_state() -> None:
    artifacts = [
        {"artifactId": "1", "parts": [{"text": "one "}, {"text": "line"}]},
        {"artifactId": "2", "parts": [{"data": {"old": True}}, {"raw": "AAE=", "filename": "f", "mediaType": "x/y"}]},
        {"artifactId": "3", "parts": [{"text": "another"}, {"data": {"new": True}}, {"url": "https://e.example/f"}]},
    ]
    async with talking_to(Script(answering(task("COMPLETED", said="well done", artifacts=artifacts)))) as peer:
        reply = await peer.send("hi")
    assert reply.text == "one line\nanother"
    assert reply.data == {"new": True}
    assert [(file.raw, file.url) for file in reply.files] == [(b"\0\1", None), (None, "https://e.example/f")]
    assert (reply.state, reply.task_id, reply.context_id) == (a2a.TaskState.COMPLETED, "t", "c")
    assert reply.task is not None
    assert reply.message is None


@pytest.mark.parametrize(
    ("state", "text", "said", "expected"),
    [
        ("COMPLETED", None, "in the status", "in the status"),
        ("COMPLETED", "in an artifact", "all done", "in an artifact"),
        ("INPUT_REQUIRED", "a draft", "which?", "which?"),
        ("AUTH_REQUIRED", None, "log in", "log in"),
        ("FAILED", "half of it", "no paper", "no paper"),
        ("FAILED", "half of it", None, "half of it"),
        ("WORKING", None, "thinking", ""),
    ],
)
async def test_the_words_of_an_answer(state: str, text: str | None, said: str | None, expected: str) -> None:
    async with talking_to(Script(answering(task(state, text=text, said=said)))) as peer:
        assert (await peer.send("hi")).text == expected


async def test_a_message_is_an_answer_without_a_task() -> None:
    async with talking_to(Script(answering(message("hello")))) as peer:
        reply = await peer.send("hi")
    assert (reply.text, reply.task, reply.state, reply.context_id) == ("hello", None, None, "c")
    assert reply.message is not None


# The message.


class Order(BaseModel):
    size: int
    with_milk: bool = Field(alias="withMilk")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("text", [{"text": "text"}]),
        ("", [{"text": ""}]),
        ({"size": 1}, [{"data": {"size": 1}}]),
        (Order(size=1, withMilk=True), [{"data": {"size": 1, "withMilk": True}}]),
        (a2a.Part(url="https://e.example/", media_type="a/b"), [{"url": "https://e.example/", "mediaType": "a/b"}]),
        (["look: ", a2a.Part(raw=b"\0\1"), {"k": None}], [{"text": "look: "}, {"raw": "AAE="}, {"data": {"k": None}}]),
        (a2a.Message(message_id="m", role=a2a.Role.USER, parts=[a2a.Part(text="mine")]), [{"text": "mine"}]),
    ],
)
async def test_content_becomes_parts(content: Content, parts: list[Any]) -> None:
    script = Script(answering(DONE))
    async with talking_to(script) as peer:
        await peer.send(content)
    sent = script.calls[0].params["message"]
    assert sent["parts"] == parts
    assert sent["role"] == "ROLE_USER"
    assert sent["messageId"]
    assert a2a.SendMessageRequest.from_dict(script.calls[0].params)


async def test_every_argument_travels_in_its_place(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_bytes(b"numbers")
    script = Script(answering(DONE))
    async with talking_to(script) as peer:
        await peer.send(
            "read this",
            context_id="c",
            task_id="t",
            data={"page": 2},
            files=[report, a2a.Part(url="https://e.example/f")],
            metadata={"k": "v"},
            wait=False,
            history_length=0,
            accepted_output_modes=["text/plain"],
            idempotency_key="mine",
        )
    (call,) = script.calls
    sent = call.params["message"]
    assert (sent["contextId"], sent["taskId"], sent["metadata"]) == ("c", "t", {"k": "v"})
    assert sent["parts"] == [
        {"text": "read this"},
        {"data": {"page": 2}},
        {"raw": "bnVtYmVycw==", "filename": "report.txt", "mediaType": "text/plain"},
        {"url": "https://e.example/f"},
    ]
    assert call.params["configuration"] == {
        "returnImmediately": True,
        "historyLength": 0,
        "acceptedOutputModes": ["text/plain"],
    }
    assert call.headers["idempotency-key"] == "mine"
    assert call.headers["a2a-version"] == "1.0"
    assert call.headers["content-type"] == {"JSONRPC": "application/json"}.get(call.binding, "application/a2a+json")


async def test_data_or_a_file_may_be_all_there_is_to_say(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_bytes(b"numbers")
    script = Script(answering(DONE), answering(DONE), answering(DONE))
    async with talking_to(script) as peer:
        await peer.send(data={"page": 2})
        await peer.send(files=[report])
        with pytest.raises(BadResponse):  # the answer is no stream
            await anext(peer.stream(data=Order(size=1, withMilk=True)))
    parts = [call.params["message"]["parts"] for call in script.calls]
    assert parts[0] == [{"data": {"page": 2}}]
    assert [part["filename"] for part in parts[1]] == ["report.txt"]
    assert parts[2] == [{"data": {"size": 1, "withMilk": True}}]


async def test_nothing_is_not_sent() -> None:
    async with talking_to(Script()) as peer:
        with pytest.raises(ConfigError, match="nothing to send"):
            await peer.send()
        with pytest.raises(ConfigError, match="nothing to send"):
            await anext(peer.stream([]))


@pytest.mark.parametrize(
    ("argument", "alone"),
    [
        ("files", "report.txt"),
        ("files", Path("report.txt")),
        ("files", a2a.Part(raw=b"x")),
        ("accepted_output_modes", "text/plain"),
    ],
)
async def test_one_is_not_taken_for_a_list(argument: str, alone: Any) -> None:
    async with talking_to(Script()) as peer:
        with pytest.raises(TypeError, match=rf"{argument}=\["):
            await peer.send("hi", **{argument: alone})
        with pytest.raises(TypeError, match=rf"{argument}=\["):
            await anext(peer.stream("hi", **{argument: alone}))


async def test_every_message_has_ids_of_its_own() -> None:
    script = Script(answering(DONE), answering(DONE))
    async with talking_to(script) as peer:
        await peer.send("hi")
        await peer.send("hi")
    first, second = script.calls
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert first.params["message"]["messageId"] != second.params["message"]["messageId"]


async def test_what_cannot_be_written_as_json_never_leaves() -> None:
    async with talking_to(Script()) as peer:
        with pytest.raises(ConfigError):
            await peer.send({"a": object()})
        with pytest.raises(ConfigError):
            await peer.send("half a character: \ud800")


@pytest.mark.requirement("TENANT-CLIENT")
async def test_the_tenant_of_the_interface_is_in_every_request() -> None:
    script = Script(answering(DONE), answering(DONE["task"]), answering({"tasks": []}), answering(DONE["task"]))
    async with serving(script) as url:
        interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "acme"}
        async with connect(card(url, supportedInterfaces=[interface])) as peer:
            await peer.send("hi")
            await peer.get("t")
            assert [one async for one in peer.list()] == []
            await peer.cancel("t")
            async with asyncio.timeout(PATIENT):
                script.steps.append(_completed)
                async for _ in peer.subscribe("t"):
                    pass
    assert [call.params["tenant"] for call in script.calls] == ["acme"] * 5


async def _completed(call: Call) -> None:
    await call.stream(task(), now("COMPLETED"))


# Other methods.


@pytest.mark.requirement("LIST-CLIENT-PAGES")
async def test_get_cancel_and_list() -> None:
    script = Script(
        answering(DONE["task"]),
        answering(task("CANCELED")["task"]),
        answering({"tasks": [DONE["task"]], "nextPageToken": "2", "pageSize": 1, "totalSize": 2}),
        answering({"tasks": [DONE["task"]], "nextPageToken": "", "pageSize": 1, "totalSize": 2}),
    )
    async with talking_to(script) as peer:
        assert (await peer.get("t", history_length=3)).status.state.terminal
        assert (await peer.cancel("t", metadata={"why": "late"})).status.state == a2a.TaskState.CANCELED
        listed = [one async for one in peer.list(status=a2a.TaskState.COMPLETED, include_artifacts=True, page_size=1)]
    assert [one.id for one in listed] == ["t", "t"]
    filters = {"status": "TASK_STATE_COMPLETED", "includeArtifacts": True, "pageSize": 1}
    assert [call.params for call in script.calls] == [
        {"id": "t", "historyLength": 3},
        {"id": "t", "metadata": {"why": "late"}},
        filters,
        {**filters, "pageToken": "2"},
    ]


async def test_a_list_that_runs_in_a_circle_is_left() -> None:
    page = {"tasks": [DONE["task"]], "nextPageToken": "again"}
    async with talking_to(Script(*[answering(page)] * 5)) as peer:
        with pytest.raises(BadResponse, match="again and again"):
            async for _ in peer.list():
                pass


# Errors.


@pytest.mark.requirement("ERROR-CLIENT-KINDS")
@pytest.mark.parametrize("row", a2a.error_table(), ids=lambda row: row.reason)
async def test_every_error_of_the_protocol_comes_back_as_itself(row: a2a.ErrorRow) -> None:
    async def refuse(call: Call) -> None:
        await call.error(row.error("because", hint="do this", retry_after=3.0), status=row.http_status)

    async with talking_to(Script(refuse)) as peer:
        with pytest.raises(row.error) as caught:
            await peer.get("t")
    assert type(caught.value) is row.error
    assert (caught.value.message, caught.value.hint, caught.value.retry_after) == ("because", "do this", 3.0)


async def test_the_retry_after_header_counts_when_the_error_does_not_say() -> None:
    async def refuse(call: Call) -> None:
        await call.error(a2a.Overloaded("full"), status=503, headers={"Retry-After": "7"})

    async with talking_to(Script(refuse)) as peer:
        with pytest.raises(a2a.Overloaded) as caught:
            await peer.get("t")
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, BadResponse),
        (307, BadResponse),
        (400, BadResponse),
        (401, a2a.Unauthenticated),
        (403, a2a.PermissionDenied),
        (404, BadResponse),
        (413, a2a.PayloadTooLarge),
        (429, a2a.Overloaded),
        (500, BadResponse),
        (502, TransportError),
        (503, a2a.Overloaded),
    ],
)
async def test_a_status_without_json_rpc_has_an_error_too(status: int, error: type[Exception]) -> None:
    async def refuse(call: Call) -> None:
        headers = {"Content-Type": "text/html", "Location": "http://e.example/"}
        await call.exchange.answer(b"<h1>no</h1>", status=status, headers=headers)

    async with talking_to(Script(refuse)) as peer:
        with pytest.raises(error) as caught:
            await peer.send("hi")
    assert type(caught.value) is error
    assert str(status) in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"null",
        b"[]",
        b"{}",
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":[1,2,3]}',
        b'{"jsonrpc":"2.0","id":1,"result":{"task":{"id":"t","status":{"state":"TASK_STATE_ELSEWHERE"}}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"task":{"id":"t"}}}',
        b'{"jsonrpc":"2.0","id":1,"error":"broken"}',
        b'{"jsonrpc":"2.0","id":1,"result":{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"}}}',
        b"\xff\xfe",
        b'{"result":' + b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_none_is_a_bad_response(body: bytes) -> None:
    async def answer(call: Call) -> None:
        await call.exchange.answer(body)

    async with talking_to(Script(answer)) as peer:
        with pytest.raises(BadResponse):
            await peer.send("hi")


async def test_an_error_object_may_be_as_broken_as_it_likes() -> None:
    async def answer(call: Call) -> None:
        body = b'{"error":{"code":"x","status":[],"message":7,"data":[1,{"@type":2}],"details":{"@type":2}}}'
        await call.exchange.answer(body, status=200 if call.binding == "JSONRPC" else 500)

    async with talking_to(Script(answer)) as peer:
        with pytest.raises(a2a.A2AError):
            await peer.send("hi")


async def test_an_answer_is_bounded() -> None:
    async def flood(call: Call) -> None:
        await call.exchange.begin("application/json")
        while True:
            await call.exchange.chunk(b" " * 4096)

    transport = HttpxTransport(limit=100_000)
    async with serving(Script(flood)) as url, connect(card(url), transport=transport, timeout=PATIENT) as peer:
        with pytest.raises(ResponseTooLarge):
            await peer.send("hi")
    await transport.aclose()


async def test_one_deadline_for_all_of_a_call() -> None:
    async def hang(call: Call) -> None:
        await call.exchange.gone()

    async with talking_to(Script(hang, hang, hang), timeout=BRIEF) as peer:
        with pytest.raises(DeadlineExceeded):
            await peer.send("hi")
        with pytest.raises(DeadlineExceeded):
            await peer.get("t")
    async with talking_to(Script(hang), resume=True) as peer:
        with pytest.raises(DeadlineExceeded) as caught:
            await peer.send("hi", timeout=BRIEF)
    assert caught.value.message.endswith(f"did not answer within {BRIEF} s.")
    assert caught.value.hint is not None
    for way in ("timeout=", "wait=False", "stream()"):
        assert way in caught.value.hint


# Repetition.


async def test_a_message_is_not_sent_twice_to_a_peer_that_would_act_twice() -> None:
    script = Script(lose, answering(DONE))
    async with talking_to(script) as peer:
        with pytest.raises(TransportError):
            await peer.send("pay")
    assert len(script.calls) == 1


async def test_a_message_is_sent_again_in_the_same_bytes_to_a_peer_that_knows_the_key() -> None:
    script = Script(lose, lose, answering(DONE))
    async with talking_to(script, resume=True) as peer:
        assert (await peer.send("pay")).text == "done"
    assert len({call.body for call in script.calls}) == 1
    assert len({call.headers["idempotency-key"] for call in script.calls}) == 1


async def test_a_question_may_be_asked_again() -> None:
    script = Script(lose, answering(DONE["task"]), lose, answering({"tasks": []}))
    async with talking_to(script) as peer:
        assert (await peer.get("t")).id == "t"
        assert [one async for one in peer.list()] == []
    assert script.methods == ["GetTask", "GetTask", "ListTasks", "ListTasks"]


async def test_a_cancellation_is_not_repeated() -> None:
    script = Script(lose, answering(DONE["task"]))
    async with talking_to(script) as peer:
        with pytest.raises(TransportError):
            await peer.cancel("t")
    assert len(script.calls) == 1


async def test_repetition_has_an_end() -> None:
    script = Script(*[lose] * 10)
    async with talking_to(script) as peer:
        with pytest.raises(TransportError):
            await peer.get("t")
    assert len(script.calls) == 1 + SWIFT.tries


async def test_repetition_ends_with_the_deadline() -> None:
    script = Script(*[lose] * 10)
    slow = Backoff(tries=10, first=60, longest=60)
    async with serving(script) as url, connect(card(url), backoff=slow, timeout=PATIENT) as peer:
        with pytest.raises(TransportError):
            await peer.get("t")
    assert len(script.calls) == 1


async def test_a_peer_that_is_not_there() -> None:
    async def nothing(exchange: Exchange) -> None:
        pass

    async with serving(nothing) as url:
        pass
    async with connect(card(url), backoff=SWIFT) as peer:
        with pytest.raises(ConnectError):
            await peer.send("hi")


@pytest.mark.requirement("RPC-CLIENT")
@pytest.mark.parametrize("spoken", ["JSONRPC"], indirect=True)
async def test_the_envelope_is_json_rpc() -> None:
    script = Script(answering(DONE), answering(DONE))
    async with talking_to(script) as peer:
        await peer.send("é\n\"'")
        await peer.send("b")
    envelopes = [json.loads(call.body) for call in script.calls]
    assert [envelope["jsonrpc"] for envelope in envelopes] == ["2.0", "2.0"]
    assert [envelope["id"] for envelope in envelopes] == [1, 2]
    assert envelopes[0]["params"]["message"]["parts"] == [{"text": "é\n\"'"}]
