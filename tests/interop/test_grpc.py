"""Over gRPC: the official Python client against agents on codin, codin's client against an official server."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from codin import a2a
from codin.a2a.proto import POOL
from codin.agent import agent
from codin.client import Backoff, Event, Peer, connect
from codin.server import App
from codin.task import AgentResponse, Task
from codin.trust import BearerTokens
from tests.interop.conftest import HERE, running
from tests.interop.line import Refused
from tests.interop.official_client import OfficialClient
from tests.server.puppet import Puppet
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 30.0
SWIFT = Backoff(first=0.01, longest=0.1)
PIECES = [f"piece {number} " for number in range(20)]


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def ask(task: Task) -> str:
    """Asks back."""
    return f"You chose {(await task.ask(f'Which {task.text}?')).text}."


@agent
async def show(text: str, task: Task) -> AgentResponse:
    """Shows things that are not text."""
    await task.artifact(b"a,b\n1,2\n", name="table", filename="table.csv", media_type="text/csv")
    return AgentResponse.completed(data={"total": 2, "name": "ä", "parts": [None, 1.5, True]})


@agent(reply="message")
async def greet(text: str) -> str:
    """Answers without a task."""
    return f"Hello {text}"


# -- the official client -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(a2a_sdk_python: Path) -> Iterator[OfficialClient]:
    with running(a2a_sdk_python, HERE / "peers" / "a2a_sdk_client.py") as port:
        yield OfficialClient(int(port), binding="GRPC")


class Host:
    """Agents on a port of this process, and the client that calls them."""

    def __init__(self, url: str, client: OfficialClient, puppet: Puppet) -> None:
        self.url = url
        self.client = client
        self.puppet = puppet

    def to(self, agent_id: str, token: str | None = None) -> OfficialClient:
        return self.client.to(f"{self.url}/{agent_id}/", token)


@pytest.fixture
async def host(client: OfficialClient) -> AsyncIterator[Host]:
    puppet = Puppet()
    app = App(pieces, ask, show, greet, puppet, grpc_port=0)
    async with asyncio.timeout(PATIENT), listening(app) as served:
        yield Host(served.url, client, puppet)


async def sent(client: OfficialClient, text: str, **fields: Any) -> a2a.Task:
    answer = await client.send(text, **fields)
    assert isinstance(answer, a2a.Task)
    return answer


def told(events: list[a2a.StreamResponse]) -> str:
    """The text of the one artifact that a stream builds, by the rules of spec 4.2.2."""
    text = ""
    for event in events:
        update = event.artifact_update
        if update is not None:
            said = a2a.text_of(update.artifact.parts)
            text = text + said if update.append else said
    return text


@pytest.mark.requirement("GRPC-SERVICE", "GRPC-STREAM")
async def test_it_sends_and_streams(host: Host) -> None:
    task = await sent(host.to("pieces"), "go")
    assert task.status.state == a2a.TaskState.COMPLETED
    assert a2a.text_of(task.artifacts[0].parts) == "".join(PIECES)
    events = [event async for event in host.to("pieces").stream("go")]
    assert events[0].task is not None
    assert told(events) == "".join(PIECES)
    assert all((event.artifact_update or event.status_update).metadata is None for event in events[1:])  # pyright: ignore[reportOptionalMemberAccess]


async def test_it_gets_messages_files_and_data(host: Host) -> None:
    answer = await host.to("greet").send("you")
    assert isinstance(answer, a2a.Message)
    assert a2a.text_of(answer.parts) == "Hello you"
    parts = [part for artifact in (await sent(host.to("show"), "go")).artifacts for part in artifact.parts]
    assert (parts[0].raw, parts[0].filename) == (b"a,b\n1,2\n", "table.csv")
    assert parts[1].data == {"total": 2, "name": "ä", "parts": [None, 1.5, True]}


async def test_it_answers_a_question(host: Host) -> None:
    question = await sent(host.to("ask"), "colour")
    assert question.status.state == a2a.TaskState.INPUT_REQUIRED
    answer = await sent(host.to("ask"), "green", taskId=question.id)
    assert a2a.text_of(answer.artifacts[0].parts) == "You chose green."


async def test_it_joins_lists_and_cancels(host: Host) -> None:
    client, string = host.to("puppet"), host.puppet.strings["x"]
    first = client.stream("x")
    event = await anext(first)
    assert event.task is not None
    await string.write("hello ")
    late = client.subscribe(event.task.id)
    joined = await anext(late)
    assert joined.task is not None
    assert [task.id for task in (await client.list()).tasks] == [event.task.id]
    assert (await client.cancel(event.task.id)).status.state == a2a.TaskState.CANCELED
    for stream in (first, late):
        *_, last = [each async for each in stream]
        assert last.status_update is not None
        assert last.status_update.status.state == a2a.TaskState.CANCELED


@pytest.mark.requirement("GRPC-ERROR-INFO")
async def test_it_knows_our_errors(host: Host) -> None:
    done = (await sent(host.to("pieces"), "go")).id
    client = host.to("pieces")

    async def name(call: Any) -> str:
        with pytest.raises(Refused) as refusal:
            await call
        return refusal.value.name

    async def all_of(events: AsyncGenerator[a2a.StreamResponse]) -> None:
        async for _ in events:
            pass

    assert await name(client.get("no such task")) == "TaskNotFoundError"
    assert await name(all_of(client.subscribe("no such task"))) == "TaskNotFoundError"
    assert await name(client.cancel(done)) == "TaskNotCancelableError"
    assert await name(client.send("more", taskId=done)) == "UnsupportedOperationError"
    assert await name(all_of(client.stream("more", taskId=done))) == "UnsupportedOperationError"
    assert await name(host.to("ask").get(done)) == "TaskNotFoundError"  # another agent's task


async def test_its_tokens_tell_callers_apart(client: OfficialClient) -> None:
    tokens = BearerTokens({"a1ice": "alice", "b0b": "bob"})
    app = App(pieces, grpc_port=0, authenticator=tokens)
    async with asyncio.timeout(PATIENT), listening(app) as served:
        alice, bob = client.to(f"{served.url}/", "a1ice"), client.to(f"{served.url}/", "b0b")
        task = await sent(alice, "mine")
        assert (await alice.get(task.id)).id == task.id
        with pytest.raises(Refused, match="TaskNotFoundError"):
            await bob.get(task.id)
        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            await client.to(f"{served.url}/").send("hello")


# -- the official server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official(a2a_sdk_python: Path) -> Iterator[str]:
    with running(a2a_sdk_python, HERE / "peers" / "a2a_sdk_server.py", "grpc") as url:
        yield url


@pytest.fixture
async def peer(official: str) -> AsyncIterator[Peer]:
    async with asyncio.timeout(PATIENT), connect(official, timeout=PATIENT, backoff=SWIFT) as peer:
        assert peer.interface.protocol_binding == "GRPC"
        yield peer


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


async def test_we_send_and_stream(peer: Peer) -> None:
    reply = await peer.send("hello there")
    assert (reply.state, reply.text) == (a2a.TaskState.COMPLETED, "HELLO THERE")
    assert (await peer.send("again", context_id=reply.context_id)).context_id == reply.context_id
    events = [event async for event in peer.stream("chunks 20")]
    assert said(events) == "".join(PIECES)
    assert events[-1].state == a2a.TaskState.COMPLETED
    assert (await peer.send("message hi")).text == "HI"


async def test_we_answer_a_question(peer: Peer) -> None:
    question = await peer.send("ask size")
    assert (question.state, question.text) == (a2a.TaskState.INPUT_REQUIRED, "Which size?")
    answer = await peer.send("large", task_id=question.task_id, context_id=question.context_id)
    assert (answer.state, answer.text) == (a2a.TaskState.COMPLETED, "large")


async def test_we_get_list_join_and_cancel(peer: Peer) -> None:
    stream = peer.stream("slow")
    first = await anext(stream)
    assert first.task is not None
    task_id = first.task.id
    assert task_id in [task.id async for task in peer.list()]
    joined = peer.subscribe(task_id)
    assert (await anext(joined)).task is not None
    assert (await peer.cancel(task_id)).status.state == a2a.TaskState.CANCELED
    assert (await peer.get(task_id)).status.state == a2a.TaskState.CANCELED
    for events in (stream, joined):
        *_, last = [event async for event in events]
        assert last.state == a2a.TaskState.CANCELED


async def test_we_know_its_errors(peer: Peer) -> None:
    with pytest.raises(a2a.TaskNotFound):
        await peer.get("no such task")
    with pytest.raises(a2a.TaskNotFound):
        await peer.send("more", task_id="no such task")
    done = await peer.send("hello")
    assert done.task_id is not None
    with pytest.raises(a2a.TaskNotCancelable):
        await peer.cancel(done.task_id)


# -- the schema --------------------------------------------------------------------------------------------------------

_SHAPE = """
def shape(file):
    made, found = descriptor_pb2.FileDescriptorProto(), {}
    file.CopyToProto(made)

    def note(message, name):
        found[name] = sorted(
            [field.number, field.name, field.json_name, field.label, field.type, field.type_name, field.proto3_optional,
             message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""]
            for field in message.field
        )
        for inner in message.nested_type:
            note(inner, name + "." + inner.name)

    for message in made.message_type:
        note(message, message.name)
    for enum in made.enum_type:
        found[enum.name] = sorted([value.number, value.name] for value in enum.value)
    for service in made.service:
        found[service.name] = sorted(
            [rpc.name, rpc.input_type, rpc.output_type, rpc.server_streaming] for rpc in service.method
        )
    return [made.package, found]
"""


def test_our_schema_is_theirs(a2a_sdk_python: Path) -> None:
    names: dict[str, Any] = {"descriptor_pb2": descriptor_pb2}
    exec(_SHAPE, names)
    ours = names["shape"](POOL.FindFileByName("a2a.proto"))
    program = (
        f"import json\nfrom a2a.types import a2a_pb2\nfrom google.protobuf import descriptor_pb2\n{_SHAPE}\n"
        "print(json.dumps(shape(a2a_pb2.DESCRIPTOR)))"
    )
    done = subprocess.run([a2a_sdk_python, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(json.dumps(ours)) == json.loads(done.stdout)
