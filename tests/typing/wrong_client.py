"""Mistakes in calling a peer."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from datetime import UTC, datetime

import httpx

import codin
from codin import a2a
from codin.client import Backoff, Event, Peer, Reply

URL = "http://127.0.0.1:8000"


async def connects() -> None:
    codin.connect()  # error: reportCallIssue
    codin.connect(8000)  # error: reportArgumentType
    codin.connect(URL, "secret")  # error: reportCallIssue
    codin.connect(URL, bearer="secret")  # error: reportCallIssue
    codin.connect(URL, timeout="5s")  # error: reportArgumentType
    codin.connect(URL, headers={"X-Try": 1})  # error: reportArgumentType
    codin.connect(URL, backoff=3)  # error: reportArgumentType
    codin.connect(URL, transport=httpx.AsyncClient())  # error: reportArgumentType
    codin.connect(URL, backoff=Backoff(retries=3))  # error: reportCallIssue
    peer = await codin.connect(URL)  # error: reportGeneralTypeIssues
    print(peer)


def blocks() -> None:
    with codin.connect(URL) as peer:  # error: reportGeneralTypeIssues
        print(peer)


async def sends(peer: Peer) -> None:
    peer.send("hello")  # error: reportUnusedCoroutine
    await peer.send(42)  # error: reportArgumentType
    await peer.send(None)  # error: reportArgumentType
    await peer.send(b"bytes")  # error: reportArgumentType
    await peer.send(text="hello")  # error: reportCallIssue
    await peer.send("hello", "context")  # error: reportCallIssue
    await peer.send("hello", stream=True)  # error: reportCallIssue
    await peer.send("hello", timeout="5s")  # error: reportArgumentType
    await peer.send("hello", data={"at": datetime.now(UTC)})  # error: reportArgumentType
    await peer.send("hello", data={1, 2})  # error: reportArgumentType
    await peer.send("hello", files=[b"bytes"])  # error: reportArgumentType
    await peer.send("hello", metadata={1: "one"})  # error: reportArgumentType
    await peer.send("hello", accepted_output_modes=[a2a.Part(text="text/plain")])  # error: reportArgumentType
    await peer.stream("hello", wait=False)  # error: reportCallIssue


async def reads_what_was_not_awaited(peer: Peer) -> str:
    reply = peer.send("hello")
    return reply.text  # error: reportAttributeAccessIssue


async def replies(peer: Peer, reply: Reply) -> str:
    print(reply.text())  # error: reportCallIssue
    print(reply.task.status)  # error: reportOptionalMemberAccess
    print(reply.state.terminal)  # error: reportOptionalMemberAccess
    print(reply.status)  # error: reportAttributeAccessIssue
    print(reply["text"])  # error: reportIndexIssue
    print(reply.data["item"])  # error: reportArgumentType, reportCallIssue, reportIndexIssue, reportOptionalSubscript
    print(reply.files[0].raw.decode())  # error: reportOptionalMemberAccess
    await peer.get(reply.task_id)  # error: reportArgumentType
    if reply.state == "completed":  # error: reportUnnecessaryComparison
        return reply.text
    return reply  # error: reportReturnType


async def streams(peer: Peer) -> None:
    await peer.stream("hello")  # error: reportGeneralTypeIssues
    async for event in await peer.stream("hello"):  # error: reportGeneralTypeIssues
        print(event)
    async with peer.stream("hello") as events:  # error: reportGeneralTypeIssues
        print(events)
    async for event in peer.send("hello"):  # error: reportGeneralTypeIssues
        print(event)
    async for event in peer.stream("hello"):
        print(event.text())  # error: reportCallIssue
        print("text: " + event)  # error: reportOperatorIssue
    peer.subscribe(after=3)  # error: reportCallIssue
    peer.subscribe("1", after="3")  # error: reportArgumentType


def streams_without_async(peer: Peer) -> None:
    for event in peer.stream("hello"):  # error: reportGeneralTypeIssues
        print(event)


def events(event: Event) -> None:
    print(event.number + 1)  # error: reportOptionalOperand
    print(event.task.id)  # error: reportOptionalMemberAccess
    print(event.value.artifact)  # error: reportAttributeAccessIssue
    if event.kind == "update":  # error: reportUnnecessaryComparison
        print(event.text)
    match event.value:  # error: reportMatchNotExhaustive
        case a2a.Task():
            print("begun")
        case a2a.TaskStatusUpdateEvent():
            print("changed")


async def tasks(peer: Peer) -> None:
    await peer.list()  # error: reportGeneralTypeIssues
    print([task.id for task in peer.list()])  # error: reportGeneralTypeIssues
    print(len(peer.list()))  # error: reportArgumentType
    peer.list("context")  # error: reportCallIssue
    peer.list(status="completed")  # error: reportArgumentType
    peer.list(status_timestamp_after="2026-01-01")  # error: reportArgumentType
    task = await peer.get("1")
    print(task.text)  # error: reportAttributeAccessIssue
    await peer.get()  # error: reportCallIssue
    await peer.get(task)  # error: reportArgumentType
    await peer.cancel("1", "changed my mind")  # error: reportCallIssue
    peer.cancel("1")  # error: reportUnusedCoroutine
