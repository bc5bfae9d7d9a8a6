"""Over gRPC: the official clients against several agents on codin, and the schema."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from codin import a2a
from codin.a2a._proto import POOL
from codin.agent import agent
from codin.client import Backoff
from codin.server import App
from codin.task import AgentResponse, Task
from codin.trust import BearerTokens
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


@pytest.fixture
def client(official_client: OfficialClient) -> OfficialClient:
    return replace(official_client, binding="GRPC")


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


async def test_it_gets_messages_files_and_data(host: Host) -> None:
    answer = await host.to("greet").send("you")
    assert isinstance(answer, a2a.Message)
    assert a2a.text_of(answer.parts) == "Hello you"
    parts = [part for artifact in (await sent(host.to("show"), "go")).artifacts for part in artifact.parts]
    assert (parts[0].raw, parts[0].filename) == (b"a,b\n1,2\n", "table.csv")
    assert parts[1].data == {"total": 2, "name": "ä", "parts": [None, 1.5, True]}


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
        with pytest.raises(Refused, match=r"UNAUTHENTICATED|no valid credential"):
            await client.to(f"{served.url}/").send("hello")


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
