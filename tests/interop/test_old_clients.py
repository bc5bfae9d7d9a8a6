"""The clients of the official SDKs for A2A 0.3 against agents on codin, which is served with its default settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from codin.agent import agent
from codin.server import App
from codin.task import AgentResponse, PushPolicy, Task
from codin.trust import BearerTokens, SigningKey, verify_card
from tests.interop.line import Refused
from tests.interop.old_client import Fields, OldClient
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 30.0
PIECES = [f"piece {number} " for number in range(20)]
ALICE = "a1ice-t0ken"


@agent(examples=["hello"])
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def ask(text: str, task: Task) -> str:
    """Asks back."""
    answer = await task.ask(f"Which {text}?")
    return f"You chose {answer.text}."


@agent(input_modes=["*/*"])
async def show(task: Task) -> AgentResponse:
    """Shows what it got, and things that are not text."""
    for part in task.files:
        await task.artifact(part, name="received")
    await task.artifact(b"a,b\n1,2\n", name="table", filename="table.csv", media_type="text/csv")
    return AgentResponse.completed(data=[task.data, {"total": 2, "name": "ä"}])


AGENTS = [shout, pieces, ask, show]


class Host:
    """Agents on a port of this process, and an official client that may call them."""

    def __init__(self, url: str, client: OldClient, binding: str) -> None:
        self.url = url
        self.client = client
        self.binding = binding

    def to(self, agent_id: str) -> OldClient:
        """The client, calling one of the agents."""
        return self.client.to(f"{self.url}/{agent_id}/", ALICE, self.binding)


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
async def host(request: pytest.FixtureRequest, old_client: OldClient) -> AsyncIterator[Host]:
    app = App(
        *AGENTS,
        authenticator=BearerTokens({ALICE: "alice"}),
        push=PushPolicy(guard=None),
        keys=SigningKey.generate("ES256"),
    )
    async with asyncio.timeout(PATIENT), listening(app) as served:
        yield Host(served.url, old_client, request.param)


def said(parts: Sequence[Fields]) -> str:
    return "".join(part["text"] for part in parts)


def told(events: Sequence[Fields]) -> str:
    """The text of the one artifact that a stream builds."""
    text = ""
    for event in events:
        if event["kind"] == "artifact-update":
            new = said(event["artifact"]["parts"])
            text = text + new if event.get("append") else new
    return text


@pytest.mark.requirement("V03-CARD")
async def test_the_card(old_client: OldClient) -> None:
    key = SigningKey.generate("ES256")
    async with listening(App(shout, keys=key, authenticator=BearerTokens({ALICE: "alice"}))) as served:
        card = await old_client.to(served.url).one("card")
        async with httpx.AsyncClient() as http:
            document = (await http.get(f"{served.url}/.well-known/agent-card.json")).content
    assert card["url"] == f"{served.url}/"
    assert card["protocolVersion"] == "0.3.0"
    assert card["preferredTransport"] == "JSONRPC"
    assert {each["transport"] for each in card["additionalInterfaces"]} == {"JSONRPC", "HTTP+JSON"}
    assert {scheme["type"] for scheme in card["securitySchemes"].values()} == {"http"}
    assert [*card["security"][0].values()] == [[]]
    assert verify_card(document, [key.public]) == key.public


async def test_get(host: Host) -> None:
    client = host.to("shout")
    task = await client.send("hello")
    stored = await client.one("get", id=task["id"])
    assert (stored["status"]["state"], stored["artifacts"]) == ("completed", task["artifacts"])
    assert len((await client.one("get", id=task["id"], historyLength=1))["history"]) == 1


async def test_stream(host: Host) -> None:
    events = [event async for event in host.to("pieces").stream("go")]
    first, *_, last = events
    assert (first["kind"], first["status"]["state"]) == ("task", "working")
    # Each piece once: frameworks join what they get.
    assert [said(event["artifact"]["parts"]) for event in events if event["kind"] == "artifact-update"] == PIECES
    assert (last["kind"], last["status"]["state"], last["final"]) == ("status-update", "completed", True)
    assert not any(event.get("final") for event in events[:-1])


async def test_a_question_ends_a_stream(host: Host) -> None:
    events = [event async for event in host.to("ask").stream("colour")]
    assert (events[-1]["status"]["state"], events[-1]["final"]) == ("input-required", True)
    ids = {"taskId": events[-1]["taskId"], "contextId": events[-1]["contextId"]}
    answered = [event async for event in host.to("ask").stream("green", **ids)]
    assert told(answered) == "You chose green."


def named(host: Host, file: Fields) -> Fields:
    """A file as the client can tell it: over HTTP+JSON, the JavaScript SDK leaves out the names of files."""
    if (host.client.language, host.binding) != ("javascript", "HTTP+JSON"):
        return file
    return {name: value for name, value in file.items() if name != "name"}


async def test_files_and_data(host: Host) -> None:
    uri: Fields = {"kind": "file", "file": {"uri": "https://files.example/x", "mimeType": "text/plain", "name": "x"}}
    task = await host.to("show").send("look", uri, {"kind": "data", "data": {"n": 1}})
    assert task["status"]["state"] == "completed", task
    contents = [part for artifact in task["artifacts"] for part in artifact["parts"]]
    received, table, data = contents
    assert received["file"] == named(host, uri["file"])
    assert table["file"]["mimeType"] == "text/csv"
    assert table["file"].get("name") == named(host, {"name": "table.csv"}).get("name")
    # 0.3 knows only objects as data, so another value stands in one.
    assert data["data"] == {"value": [{"n": 1}, {"total": 2, "name": "ä"}]}


async def test_bytes(host: Host) -> None:
    given: Fields = {"kind": "file", "file": {"bytes": "AAH/", "mimeType": "image/x", "name": "dot"}}
    task = await host.to("show").send("look", given)
    received, table, _ = [part for artifact in task["artifacts"] for part in artifact["parts"]]
    assert received["file"] == named(host, given["file"])
    # Over HTTP+JSON the Python SDK encodes bytes twice, and decodes them once.
    once = (host.client.language, host.binding) == ("python", "HTTP+JSON")
    assert table["file"]["bytes"] == ("a,b\n1,2\n" if once else "YSxiCjEsMgo=")


async def test_push_configurations(host: Host) -> None:
    client = host.to("shout")
    task = await client.send("x")
    given = {"id": "p", "url": "http://127.0.0.1:9/", "token": "t", "authentication": {"schemes": ["Bearer"]}}
    made = await client.one("set push", taskId=task["id"], pushNotificationConfig=given)
    wanted = {"id": task["id"], "pushNotificationConfigId": made["pushNotificationConfig"]["id"]}
    found = await client.one("get push", **wanted)
    for config in (made, found):
        assert config["taskId"] == task["id"]
        assert config["pushNotificationConfig"]["url"] == given["url"]


# The Python SDK has one error for all, which has the code, or over HTTP+JSON the status.
FAILURES = {
    "TaskNotFound": {"-32001", "404"},
    "TaskNotCancelable": {"-32002", "400"},
    "UnsupportedOperation": {"-32004", "400"},
}


async def test_failures_have_the_right_class(host: Host) -> None:
    client = host.to("shout")
    done = (await client.send("done"))["id"]

    async def name(call: Any) -> str:
        with pytest.raises(Refused) as refusal:
            await call
        return refusal.value.name

    refused = {
        "TaskNotFound": [
            client.one("get", id="nope"),
            client.one("cancel", id="nope"),
            client.send("more", taskId="nope"),
        ],
        "TaskNotCancelable": [client.one("cancel", id=done)],
        "UnsupportedOperation": [client.send("more", taskId=done)],
    }
    for expected, calls in refused.items():
        for call in calls:
            found = await name(call)
            assert found.startswith(expected) or found.rpartition(" ")[2] in FAILURES[expected]


async def test_a_stranger_is_told_to_say_who_it_is(host: Host) -> None:
    with pytest.raises(Refused, match=r"401|no valid credential"):
        await host.client.to(f"{host.url}/shout/", None, host.binding).send("hello")


async def test_a_server_of_1_0_alone_does_not_know_them(old_client: OldClient) -> None:
    async with listening(App(shout, versions=("1.0",))) as served:
        with pytest.raises(Refused):
            await old_client.to(served.url).send("hello")
