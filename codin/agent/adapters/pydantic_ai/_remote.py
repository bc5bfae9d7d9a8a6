"""A remote agent as a tool of Pydantic AI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic_ai import ApprovalRequired, RunContext, Tool

from codin import a2a
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import Remote, question_data, result_of
from codin.client import Peer, Reply
from codin.task import current_task

__all__ = ["ANSWER", "TASK", "Place", "place_of", "tool"]

TASK = "codin.task"
"""The key, in the metadata of a run, of the task whose adapter carries the questions of tools to the caller."""
ANSWER = "answer"
"""The key, in the metadata that a tool is called again with, of what the caller said."""
_PLACE = "codin.remote"


@dataclass(frozen=True)
class Place:
    """Where a remote agent has asked: kept with the call of its tool until the answer comes."""

    task: str
    context: str | None
    question: str
    data: Any = None
    auth: bool = False


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> Tool[Any]:
    """A remote agent as a tool: `Agent(model, tools=[tool("http://…")])`.

    In an agent that codin serves, what the peer asks goes to the caller, and the answer to the same task of the peer,
    also after a restart. Elsewhere the question is the result of the tool.

    Args:
        peer: a URL, a name, or a connected peer.
        name: of the tool; the card's by default.
        description: for the model; what the card says by default. A URL or name with both is not asked for its card.
    """
    remote = Remote(peer, name=name, description=description)

    async def call(ctx: RunContext[Any], **arguments: Any) -> str:
        task = current_task()
        if task is None or object_of(ctx.metadata).get(TASK) != task.id:
            return result_of(await remote.invoke(arguments))
        metadata = object_of(ctx.tool_call_metadata)
        if (place := place_of(metadata)) is not None:
            answer = metadata[ANSWER]
            said = answer if isinstance(answer, str) else a2a.Part(data=answer)
            reply = await remote.call(said, task_id=place.task, context_id=place.context)
        else:
            reply = await remote.call(remote.content(arguments))
        if reply.state is not None and reply.state.interrupted:
            raise ApprovalRequired({_PLACE: asdict(_place(reply))})
        return result_of(reply)

    return Tool[Any].from_schema(call, remote.name, remote.description, dict(remote.input_schema), takes_ctx=True)


def _place(reply: Reply) -> Place:
    auth = reply.state is a2a.TaskState.AUTH_REQUIRED
    return Place(reply.task_id or "", reply.context_id, reply.text, question_data(reply), auth)


def place_of(metadata: Mapping[str, Any]) -> Place | None:
    """Where the remote agent has asked that a tool call waits for; None when it waits for something else."""
    place = object_of(metadata.get(_PLACE))
    return Place(**place) if place else None
