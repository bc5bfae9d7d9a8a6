"""A remote agent as ADK's own tool, or as a sub-agent. What it asks becomes ADK's own durable pause."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from google.adk.agents import BaseAgent, InvocationContext
from google.adk.events import Event
from google.adk.tools import BaseTool, ToolContext
from google.genai import types
from pydantic import PrivateAttr
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._questions import object_of, parse_json
from codin.agent.adapters._remote import Remote, question_data, result_of
from codin.agent.adapters.adk._parts import file_of
from codin.agent.adapters.adk._questions import ANSWER, INPUT, REMOTE
from codin.client import Content, Peer, Reply
from codin.client import Event as PeerEvent
from codin.task import current_task

__all__ = ["agent", "tool"]


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> BaseTool:
    """A remote agent as a tool: in `LlmAgent(tools=[tool(peer)])`, or as a node in the edges of a `Workflow`.

    What the peer asks is a confirmation of ADK, kept in the session, whose payload has a place for the answer. The
    answer goes to the same remote task.

    Args:
        peer: a URL, a name, or a connected peer.
        name: instead of the card's.
        description: instead of the card's. A URL or name with both is not asked for its card.
    """
    return _RemoteTool(Remote(peer, name=name, description=description))


def agent(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> BaseAgent:
    """A remote agent as an agent of ADK: the root, a sub-agent to transfer to, or a step of a sequence.

    It is sent what was said last, by the user or by another agent, and its text is streamed. What it asks is a request
    for input of ADK, kept in the session. The answer goes to the same remote task.

    Args:
        peer: a URL, a name, or a connected peer.
        name: instead of the card's.
        description: instead of the card's. A URL or name with both is not asked for its card.
    """
    remote = Remote(peer, name=name, description=description)
    return _RemoteAgent(name=_identifier(remote.name), description=remote.description, rerun_on_resume=True).of(remote)


class _RemoteTool(BaseTool):
    """Calls the peer, and again with the answer when it has asked."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(name=remote.name, description=remote.description)
        self._remote = remote

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=dict(self._remote.input_schema)
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> Any:
        decision = tool_context.tool_confirmation
        if decision is None:
            reply = await self._remote.call(self._remote.content(args))
        elif decision.confirmed and REMOTE in (payload := object_of(decision.payload)):
            reply = await self._remote.call(_said(payload.get(ANSWER)), **_place(payload))
        else:
            return "The question was not answered."
        if not _asks(reply):
            return result_of(reply)
        if decision is not None and current_task() is None:  # ADK drops what a tool asks when it runs again
            return f"The agent asks: {reply.text}"
        tool_context.request_confirmation(hint=reply.text, payload={**_asked(reply), ANSWER: ""})
        tool_context.actions.skip_summarization = True  # else the model is told that there is no result
        return {"status": "The agent waits for an answer."}


class _RemoteAgent(BaseAgent):
    """Sends to the peer what was said last, or the answer to what it asked."""

    _remote: Remote = PrivateAttr()

    def of(self, remote: Remote) -> _RemoteAgent:
        """Set the peer, which is no field of an agent."""
        self._remote = remote
        return self

    async def _run_async_impl(self, ctx: InvocationContext) -> AsyncGenerator[Event, None]:
        turn = self._turn(ctx)
        if turn is None:  # an agent beside it was answered; then all that wait are run
            return
        async with aclosing(_streamed(self._remote, *turn)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield self._event(ctx, [types.Part(text=piece)], partial=True)
                elif _asks(piece):
                    yield self._pause(ctx, piece)
                else:
                    yield self._end(ctx, piece)
                    if ctx.is_resumable:  # else a parent that resumes runs it again
                        ctx.set_agent_state(self.name, end_of_agent=True)
                        yield self._create_agent_state_event(ctx)

    def _turn(self, ctx: InvocationContext) -> tuple[Content, Mapping[str, Any]] | None:
        """What to send, and the remote task or context it goes on with; None while its question waits."""
        events = _without_rewound(ctx.session.events)
        newest: Content = []
        for event in reversed(events):
            if event.author != self.name:
                newest = newest or _spoken(event)
                continue
            if (request := _request_in(event)) is not None:
                response = _response_to(request["interruptId"], events)
                said = newest if response is None else _said(_unwrapped(response))
                return (said, _place(request["payload"])) if said else None
            if event.content is not None:
                break
        return newest or _parts(ctx.user_content), {"context_id": self._context(events)}

    def _context(self, events: list[Event]) -> str | None:
        """The remote's side of this conversation."""
        own = (event.custom_metadata for event in reversed(events) if event.author == self.name)
        return next((metadata[REMOTE] for metadata in own if metadata and REMOTE in metadata), None)

    def _pause(self, ctx: InvocationContext, reply: Reply) -> Event:
        call = str(uuid.uuid4())
        args = {"interruptId": call, "message": reply.text, "payload": _asked(reply), "response_schema": None}
        part = types.Part(function_call=types.FunctionCall(id=call, name=INPUT, args=args))
        return self._event(ctx, [part], long_running_tool_ids={call})

    def _end(self, ctx: InvocationContext, reply: Reply) -> Event:
        parts = [types.Part(text=result_of(reply)), *_files(reply)]
        state = reply.state or a2a.TaskState.COMPLETED
        code = None if state is a2a.TaskState.COMPLETED else f"REMOTE_{state.name}"
        output = reply.text if reply.data is None else reply.data
        return self._event(ctx, parts, output=output, custom_metadata={REMOTE: reply.context_id}, error_code=code)

    def _event(self, ctx: InvocationContext, parts: list[types.Part], **fields: Any) -> Event:
        content = types.Content(role="model", parts=parts)
        return Event(invocation_id=ctx.invocation_id, author=self.name, branch=ctx.branch, content=content, **fields)


async def _streamed(remote: Remote, content: Content, place: Mapping[str, Any]) -> AsyncGenerator[str | Reply, None]:
    """The text of the answer as it comes, then the reply. Closed before its end, it cancels the remote task."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    async def take(event: PeerEvent) -> None:
        if event.kind == "artifact" and event.text:
            pieces.put_nowait(event.text)

    call = asyncio.get_running_loop().create_task(remote.call(content, on_event=take, **place))
    call.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        yield call.result()
    finally:
        if not call.done():
            call.cancel()
            await asyncio.wait({call})


# -- questions ---------------------------------------------------------------------------------------------------------


def _asks(reply: Reply) -> bool:
    return reply.state is not None and reply.state.interrupted


def _asked(reply: Reply) -> dict[str, Any]:
    """The payload of a question: where the answer goes, and what a program reads of it."""
    where = {
        "task": reply.task_id,
        "context": reply.context_id,
        "auth": reply.state is a2a.TaskState.AUTH_REQUIRED,
        "question": question_data(reply),
    }
    return {REMOTE: where}


def _place(payload: Mapping[str, Any]) -> dict[str, Any]:
    where = object_of(payload[REMOTE])
    return {"task_id": where["task"], "context_id": where["context"]}


def _request_in(event: Event) -> Mapping[str, Any] | None:
    """The arguments with which a peer's question was put."""
    for call in event.get_function_calls():
        if call.name == INPUT and REMOTE in object_of(object_of(call.args).get("payload")):
            return object_of(call.args)
    return None


def _without_rewound(events: Sequence[Event]) -> list[Event]:
    """The events as ADK's models see them: what was taken back is still in the session."""
    kept: list[Event] = []
    place = len(events) - 1
    while place >= 0:
        before = events[place].actions.rewind_before_invocation_id
        if before:
            place = next((i for i, event in enumerate(events[:place]) if event.invocation_id == before), place)
        else:
            kept.append(events[place])
        place -= 1
    return kept[::-1]


def _response_to(request: str, events: list[Event]) -> dict[str, Any] | None:
    found = [response for event in events for response in event.get_function_responses() if response.id == request]
    return found[-1].response if found else None


def _unwrapped(response: Mapping[str, Any]) -> Any:
    """ADK's form of a value that is no object, undone as ADK undoes it."""
    if set(response) != {"result"}:
        return dict(response)
    value = response["result"]
    parsed = parse_json(value) if isinstance(value, str) else None
    return value if parsed is None else parsed


# -- contents ----------------------------------------------------------------------------------------------------------


def _said(value: Any) -> Content:
    """A value as a message: text as text, an object or a list as data."""
    if isinstance(value, (dict, list)):
        return a2a.Part(data=value)
    return value if isinstance(value, str) else to_json(value).decode()


def _spoken(event: Event) -> Content:
    """What an event says to whoever comes next: its words and files, or the output of a node."""
    return _parts(event.content) or ([] if event.output is None else _said(event.output))


def _parts(content: types.Content | None) -> list[a2a.Part]:
    """Text and files; calls, results and thoughts stay here."""
    parts = [part for part in (content.parts if content else None) or [] if not part.thought]
    found = [a2a.Part(text=part.text) if part.text else file_of(part, None) for part in parts]
    return [part for part in found if part is not None]


def _files(reply: Reply) -> Iterator[types.Part]:
    for file in reply.files:
        if file.raw is not None:
            blob = types.Blob(data=file.raw, mime_type=file.media_type, display_name=file.filename)
            yield types.Part(inline_data=blob)
        else:
            yield types.Part(file_data=types.FileData(file_uri=file.url, mime_type=file.media_type))


def _identifier(name: str) -> str:
    """A name ADK takes for an agent: it must not begin with a digit, and "user" is taken."""
    return f"agent_{name}" if name[0].isdigit() or name == "user" else name
