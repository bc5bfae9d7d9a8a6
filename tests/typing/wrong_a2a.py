"""Mistakes with the objects of the protocol."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from datetime import UTC, datetime

from codin import a2a


def makes_parts() -> None:
    a2a.Part("hello")  # error: reportCallIssue
    a2a.Part(text=b"hello")  # error: reportArgumentType
    a2a.Part(raw="aGVsbG8=")  # error: reportArgumentType
    a2a.Part(file=b"hello")  # error: reportCallIssue
    a2a.Part(kind="text", text="hello")  # error: reportCallIssue
    a2a.Part(text="hello", mediaType="text/plain")  # error: reportCallIssue
    a2a.Part(text="hello", metadata={"at": datetime.now(UTC)})  # error: reportArgumentType
    a2a.TextPart(text="hello")  # error: reportAttributeAccessIssue
    part = a2a.Part(text="hello")
    part.data = {"item": "tea"}  # error: reportAttributeAccessIssue
    part.kind = "data"  # error: reportAttributeAccessIssue


def makes_messages(part: a2a.Part) -> None:
    a2a.Message(role=a2a.Role.USER, parts=[part])  # error: reportCallIssue
    a2a.Message(message_id="1", parts=[part])  # error: reportCallIssue
    a2a.Message(message_id="1", role=a2a.Role.USER)  # error: reportCallIssue
    a2a.Message(messageId="1", role=a2a.Role.USER, parts=[part])  # error: reportCallIssue
    a2a.Message(message_id="1", role="user", parts=[part])  # error: reportArgumentType
    a2a.Message(message_id=1, role=a2a.Role.USER, parts=[part])  # error: reportArgumentType
    a2a.Message(message_id="1", role=a2a.Role.USER, parts=part)  # error: reportArgumentType
    a2a.Message(message_id="1", role=a2a.Role.USER, parts=["hello"])  # error: reportArgumentType
    a2a.Message(message_id="1", role=a2a.Role.USER, text="hello", parts=[part])  # error: reportCallIssue
    a2a.Message("1", a2a.Role.USER, [part])  # error: reportCallIssue


def makes_tasks(message: a2a.Message) -> None:
    a2a.Task(id="t", status=a2a.TaskState.WORKING)  # error: reportArgumentType
    a2a.Task(id="t", status=a2a.TaskStatus(state="working"))  # error: reportArgumentType
    a2a.Task(id="t", status=a2a.TaskStatus(state=a2a.TaskState.DONE))  # error: reportAttributeAccessIssue
    a2a.TaskStatus(state=a2a.TaskState.WORKING, message="hello")  # error: reportArgumentType
    a2a.TaskStatus(state=a2a.TaskState.WORKING, timestamp="2026-01-01T00:00:00Z")  # error: reportArgumentType
    a2a.Artifact(parts=message.parts)  # error: reportCallIssue
    a2a.Artifact(id="a", parts=message.parts)  # error: reportCallIssue


def makes_cards() -> None:
    a2a.AgentCard(name="shout", description="Say it louder.", url="https://example.org")  # error: reportCallIssue
    a2a.AgentSkill(id="shout", name="Shout", description="Say it louder.")  # error: reportCallIssue
    a2a.AgentSkill(id="shout", name="Shout", description="Say it louder.", tags="text")  # error: reportArgumentType
    a2a.AgentInterface(url="https://example.org", transport="JSONRPC")  # error: reportCallIssue
    a2a.AgentCapabilities(streaming="yes")  # error: reportArgumentType
    a2a.SecurityScheme(bearer=a2a.HTTPAuthSecurityScheme(scheme="Bearer"))  # error: reportCallIssue
    a2a.SecurityRequirement(schemes={"bearer": ["read"]})  # error: reportArgumentType


def reads(task: a2a.Task, event: a2a.StreamResponse) -> str:
    print(task.text)  # error: reportAttributeAccessIssue
    print(task.state)  # error: reportAttributeAccessIssue
    print(task.status.message.parts)  # error: reportOptionalMemberAccess
    print(task.artifacts.parts)  # error: reportAttributeAccessIssue
    print(task["id"])  # error: reportIndexIssue
    print(task.metadata["source"])  # error: reportOptionalSubscript
    print(task.status.state.terminal())  # error: reportCallIssue
    print(event.value.status)  # error: reportAttributeAccessIssue
    print(event.task.id)  # error: reportOptionalMemberAccess
    print(a2a.text_of(task))  # error: reportArgumentType
    print(a2a.text_of(task.artifacts))  # error: reportArgumentType
    print(a2a.Task.from_json({"id": "t"}))  # error: reportArgumentType
    if task.status == a2a.TaskState.COMPLETED:  # error: reportUnnecessaryComparison
        return "done"
    if task.status.state == "completed":  # error: reportUnnecessaryComparison
        return "done"
    return task.to_json()  # error: reportReturnType
