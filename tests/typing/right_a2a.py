"""The objects of the protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, assert_type

from pydantic import JsonValue

from codin import a2a


def makes_messages() -> a2a.Message:
    parts = [
        a2a.Part(text="hello"),
        a2a.Part(raw=b"\x89PNG", media_type="image/png", filename="a.png"),
        a2a.Part(url="https://example.org/a.png"),
        a2a.Part(data={"item": "tea", "metadata": None}, metadata={"source": "till"}),
        a2a.Part(data=None),
    ]
    return a2a.Message(message_id="1", role=a2a.Role.USER, parts=parts, context_id="c", reference_task_ids=["t"])


def makes_tasks(message: a2a.Message) -> a2a.Task:
    return a2a.Task(
        id="t",
        status=a2a.TaskStatus(state=a2a.TaskState.WORKING, message=message, timestamp=datetime.now(UTC)),
        artifacts=[a2a.Artifact(artifact_id="a", parts=message.parts, name="All of it")],
        history=[message],
    )


def makes_cards() -> a2a.AgentCard:
    bearer = a2a.SecurityScheme(http_auth_security_scheme=a2a.HTTPAuthSecurityScheme(scheme="Bearer"))
    return a2a.AgentCard(
        name="shout",
        description="Say it louder.",
        version="1.0.0",
        supported_interfaces=[
            a2a.AgentInterface(url="https://example.org", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=a2a.AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[a2a.AgentSkill(id="shout", name="Shout", description="Say it louder.", tags=["text"])],
        provider=a2a.AgentProvider(url="https://example.org", organization="Example"),
        security_schemes={"bearer": bearer},
        security_requirements=[a2a.SecurityRequirement(schemes={"bearer": a2a.StringList(list=["read"])})],
    )


def reads_json(text: bytes) -> None:
    assert_type(a2a.Task.from_json(text), a2a.Task)
    assert_type(a2a.AgentCard.from_json(text.decode()), a2a.AgentCard)
    assert_type(a2a.Message.from_dict({"messageId": "1"}), a2a.Message)
    assert_type(a2a.Task.from_json(text).to_json(), bytes)
    assert_type(a2a.Task.from_json(text).to_dict(), dict[str, Any])


def reads_tasks(task: a2a.Task) -> str:
    assert_type(task.id, str)
    assert_type(task.context_id, str | None)
    assert_type(task.status.state, a2a.TaskState)
    assert_type(task.status.state.terminal, bool)
    assert_type(task.status.timestamp, datetime | None)
    assert_type(task.artifacts, list[a2a.Artifact])
    assert_type(task.metadata, dict[str, JsonValue] | None)
    match task.status.state:
        case a2a.TaskState.COMPLETED:
            return a2a.text_of(part for artifact in task.artifacts for part in artifact.parts)
        case state if state.interrupted and task.status.message is not None:
            return a2a.text_of(task.status.message.parts)
        case state:
            return state.name


def reads_parts(part: a2a.Part) -> bytes | str | None:
    assert_type(part.text, str | None)
    assert_type(part.raw, bytes | None)
    assert_type(part.data, Any)
    assert_type(part.kind, Literal["text", "raw", "url", "data"])
    return part.text or part.raw or part.url


def reads_answers(sent: a2a.SendMessageResponse, streamed: a2a.StreamResponse) -> None:
    assert_type(sent.value, a2a.Task | a2a.Message)
    assert_type(streamed.value, a2a.Task | a2a.Message | a2a.TaskStatusUpdateEvent | a2a.TaskArtifactUpdateEvent)
    if streamed.artifact_update is not None:
        assert_type(streamed.artifact_update.append, bool)


def makes_requests(message: a2a.Message) -> list[a2a.Model]:
    configuration = a2a.SendMessageConfiguration(history_length=0, return_immediately=True)
    return [
        a2a.SendMessageRequest(message=message, configuration=configuration),
        a2a.GetTaskRequest(id="t", history_length=2),
        a2a.ListTasksRequest(status=a2a.TaskState.WORKING, page_size=10, include_artifacts=False),
        a2a.CancelTaskRequest(id="t", metadata={"why": "changed my mind"}),
    ]
